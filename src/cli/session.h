// What a run of linger has open: one target, and what has been learnt of it so far.
//
// A verb opens a session for its one command; the REPL and `-c` scripts keep one. Each part is made when
// first asked for, and stays: the second `gcroot` does not build the graph again.
#ifndef LG_CLI_SESSION_H
#define LG_CLI_SESSION_H

#include "clr/clr.h"
#include "collect/collect.h"
#include "collect/retain.h"
#include "dac/dac.h"
#include "diag/gc.h"
#include "heap/heap.h"
#include "report/report.h"
#include "snapshot/snapshot.h"
#include "target/target.h"

struct lg_session;
struct lg_child;   // cli/child.h
struct lg_picture; // picture/picture.h

// No target yet.
struct lg_session *lg_session_new(void);
void lg_session_free(struct lg_session *session);
LG_DEFINE_FREEP(lg_session)

// Opens a target and its heap, in place of the one that was open. Takes further copies while a GC is
// under way, for a few seconds at most. After an error there is no target.
LG_MUST_CHECK struct lg_error *lg_session_open(struct lg_session *session, const char *spec,
                                               const struct lg_target_options *options);

// Processes that are opened from now on are looked at while they stand still, for lg_session_picture().
LG_MUST_CHECK struct lg_error *lg_session_look(struct lg_session *session);
// Whether lg_session_open() would take it for a snapshot.
bool lg_session_is_snapshot(const char *spec);

// The same of a target that is open already; takes it, after an error too.
LG_MUST_CHECK struct lg_error *lg_session_adopt(struct lg_session *session, struct lg_target *target);

// Opens a target for its memory picture: with or without a runtime in it, and a live one under a watch
// (target/live.h). `*why_ret`: why there is no lg_session_clr(), owned; NULL if there is. The heap is
// not opened. `managed` false: no runtime is looked for.
struct lg_live_watch;
LG_MUST_CHECK struct lg_error *lg_session_open_watched(struct lg_session *session, const char *spec,
                                                       const struct lg_target_options *options,
                                                       bool managed, const struct lg_live_watch *watch,
                                                       char **why_ret);
// lg_session_refresh() under a watch.
LG_MUST_CHECK struct lg_error *lg_session_refresh_watched(struct lg_session *session,
                                                          const struct lg_live_watch *watch);

// The command that `run` has started; nothing at first.
struct lg_child *lg_session_child(struct lg_session *session);

// Lets go of the target, and of all that was learnt of it.
void lg_session_close(struct lg_session *session);

// Has the runtime of the live process that is open make a full collection. What is open is what it was
// before: refresh.
LG_MUST_CHECK struct lg_error *lg_session_collect(struct lg_session *session);
// The last one, of whatever was opened with LG_COLLECT_FIRST, or by that; NULL: there was none.
const struct lg_gc_asked *lg_session_collected(const struct lg_session *session);

// From another thread, when the program is about to end: lets the target go. What is read of it from now
// on is not there.
void lg_session_end(struct lg_session *session);

// Is what was being read gone: a copy or a process that someone killed? Then whatever was read since may
// be wrong.
bool lg_session_is_lost(const struct lg_session *session);

// A new picture of a live process. What the old one told is void.
LG_MUST_CHECK struct lg_error *lg_session_refresh(struct lg_session *session);

// What it is about, for whoever waits: "building the graph". From any thread.
const char *lg_session_doing(const struct lg_session *session);
// Says what a command is about itself; a literal, NULL when it is done.
void lg_session_does(struct lg_session *session, const char *what);

// NULL without a target. Functions below that walk may take another copy of a live process, and then
// these change: ask for them after the last of those, not before.
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
LG_MUST_CHECK struct lg_error *lg_session_reach(struct lg_session *session, const struct lg_reach **ret);
LG_MUST_CHECK struct lg_error *lg_session_retention(struct lg_session *session,
                                                    const struct lg_retention **ret);
// With edges of whatever form: for its index, and what it lacks.
LG_MUST_CHECK struct lg_error *lg_session_index(struct lg_session *session,
                                                const struct lg_heap_graph **ret);
// With reversed edges.
LG_MUST_CHECK struct lg_error *lg_session_graph(struct lg_session *session,
                                                const struct lg_heap_graph **ret);

// What retains most, if the target is a snapshot that holds it; NULL: it is to be computed.
LG_MUST_CHECK struct lg_error *lg_session_summary(struct lg_session *session,
                                                  const struct lg_summary **ret);
// Where sampled objects of this very copy were made, or of the process that a snapshot is of; NULL: it
// was not followed.
LG_MUST_CHECK struct lg_error *lg_session_made(struct lg_session *session, const struct lg_made **ret);
// Takes it; void with the picture.
void lg_session_keep_made(struct lg_session *session, struct lg_made *made);
// The target as a snapshot; NULL: it is none.
const struct lg_snapshot *lg_session_snapshot(const struct lg_session *session);
// What of a snapshot that was read turned out to be damaged: then whatever was made of it is nothing.
LG_MUST_CHECK struct lg_error *lg_session_damage(const struct lg_session *session);
// Takes what a command has come to, and returns that, or why it is nothing: what was read was damaged,
// or taken away meanwhile. `hint` says what would help then.
LG_MUST_CHECK struct lg_error *lg_session_judge(const struct lg_session *session, struct lg_error *err,
                                                const char *hint);

// The DAC of the runtime, started when first asked for; the error says why there is none, and is the
// same each time. Void with the picture.
LG_MUST_CHECK struct lg_error *lg_session_dac(struct lg_session *session, struct lg_dac **ret);
// Which file that is from now on; "none": go without one. NULL changes nothing.
LG_MUST_CHECK struct lg_error *lg_session_use_dac(struct lg_session *session, const char *file);

// Says a line of a command that `follows` at once. Where text is not what is printed, or it goes to a
// file, the line becomes one of the report. Nothing of a target's own: it is printed as it is.
LG_MUST_CHECK struct lg_error *lg_session_say(const struct lg_session *session, struct lg_report *report,
                                              const char *format, ...) LG_PRINTF(3, 4);
// Where to; NULL: to the report.
void lg_session_listen(struct lg_session *session, FILE *out);
FILE *lg_session_listener(const struct lg_session *session);

// What its target is. Texts are the session's, and `taken`'s.
struct lg_report_target lg_session_about(const struct lg_session *session, char taken[32]);
// Says in a report what it is about, and what its target could not tell. The shell and the prompt do it
// for every command.
void lg_session_describe(const struct lg_session *session, struct lg_report *report);

// The memory picture of the target, in detail: of a process only after lg_session_look(). `nameless`:
// without the names of threads.
LG_MUST_CHECK struct lg_error *lg_session_picture(struct lg_session *session, bool nameless,
                                                  struct lg_picture **ret);

// The stack of a managed thread as the DAC tells it, or told when the snapshot was taken.
LG_MUST_CHECK struct lg_error *lg_session_stack(struct lg_session *session,
                                                const struct lg_managed_thread *thread, unsigned wanted,
                                                struct lg_told_stack *ret);
// Which DAC that is; the error says why there is none.
LG_MUST_CHECK struct lg_error *lg_session_stacks_by(struct lg_session *session, const char **path_ret);

// How often a live target has been stopped since the session began, and for how long in all.
struct lg_pauses {
    unsigned count;
    double total_ms, longest_ms;
};
struct lg_pauses lg_session_pauses(const struct lg_session *session);

// What a command that is being watched remembers from round to round; NULL: it is run once.
void lg_session_remember(struct lg_session *session, void *memory);
void *lg_session_memory(const struct lg_session *session);

// Adds to a report what a partial walk has to confess. For every command that used a walk.
void lg_session_report_walk(struct lg_report *report, const struct lg_walk_result *result);

// For session.c: what to do when each copy is of a collection under way. NULL: what there is is walked.
LG_MUST_CHECK struct lg_error *lg_session_gc_error(const struct lg_session *session, unsigned tries,
                                                   unsigned seconds);

#endif
