// What a run of linger has open: one target, and what has been learnt of it so far.
//
// A verb opens a session for its one command; the REPL and `-c` scripts keep one. Each part is made when
// first asked for, and stays: the second `gcroot` does not build the graph again.
#ifndef LG_CLI_SESSION_H
#define LG_CLI_SESSION_H

#include "clr/clr.h"
#include "collect/collect.h"
#include "heap/heap.h"
#include "target/target.h"

struct lg_session;

// No target yet.
struct lg_session *lg_session_new(void);
void lg_session_free(struct lg_session *session);
LG_DEFINE_FREEP(lg_session)

// Opens a target and its heap. Takes further copies while a GC is under way, for a few seconds at most.
LG_MUST_CHECK struct lg_error *lg_session_open(struct lg_session *session, const char *spec);

// NULL without a target.
struct lg_target *lg_session_target(const struct lg_session *session);
struct lg_clr *lg_session_clr(const struct lg_session *session);
struct lg_heap *lg_session_heap(const struct lg_session *session);

// Statistics over everything, and whether that walk was exact; made once. When the walk of a live
// target's copy does not end exactly, other copies are taken, a bounded number of times, before this
// settles for less.
LG_MUST_CHECK struct lg_error *lg_session_stats(struct lg_session *session,
                                                const struct lg_type_stats **ret,
                                                const struct lg_walk_result **result_ret);

// Roots and graph, made once.
LG_MUST_CHECK struct lg_error *lg_session_roots(struct lg_session *session, const struct lg_roots **ret);
LG_MUST_CHECK struct lg_error *lg_session_graph(struct lg_session *session,
                                                const struct lg_heap_graph **ret);

// Adds to a report what a partial walk has to confess. For every command that used a walk.
struct lg_report;
void lg_session_report_walk(struct lg_report *report, const struct lg_walk_result *result);

#endif
