// The parts of `alloc`: events in, sites out.
//
//     alloc_live.c      follows a process over its diagnostics socket, then freezes it    ─┐
//     alloc_trace.c     events to samples and methods; files; the window of the freeze     ├─►
//     lg_alloc_run alloc_sites.c     samples against the frozen heap and its graph; sums by site ◄─┘
//     alloc_frames.c    code addresses to names
//     handles_alloc.c   handles against the handle table of the frozen process, by site
//     handles_kept.c    which objects have their numbers
//     alloc_report.c    tables and lines          alloc_export.c    flame graphs
//     alloc_tree.c      the tree of calls         alloc_pprof.c     pprof
#ifndef LG_CLI_ALLOC_H
#define LG_CLI_ALLOC_H

#include <pthread.h>
#include <stdio.h>

#include "cli/retained.h"
#include "cli/source_lines.h"
#include "cli/support.h"
#include "collect/allocations.h"
#include "collect/code_seen.h"
#include "collect/handles_seen.h"
#include "collect/routes.h"
#include "diag/diag.h"
#include "diag/port.h"
#include "util/new_file.h"

enum lg_alloc_by {
    LG_ALLOC_BY_SITE,
    LG_ALLOC_BY_METHOD,
    LG_ALLOC_BY_TYPE,
    LG_ALLOC_BY_HOLDER,
    LG_ALLOC_BY_STACK, // for flame graphs: all of it
};

struct lg_alloc_query {
    enum lg_alloc_by by;
    bool all;                      // what died, too
    const char *contains;          // Part of a type's name, or NULL.
    uint64_t top;                  // Rows at most; 0: all.
    bool tree;                     // who called whom
    uint64_t depth, min;           // of the tree: levels, 0: all; least percent of a row
    uint64_t for_ms;               // 0: until told to end
    uint64_t until_rss, max_bytes; // 0: no bound
    uint64_t buffer_mb;
    struct lg_target_options target; // how it is looked at in the end
    bool looks;                      // for the memory picture of a snapshot
};

// What was told, and by whom.
struct lg_alloc_run {
    struct lg_allocations samples;
    struct lg_codes codes;
    struct lg_handles_seen *handles; // They are what is followed; NULL: allocations are.
    struct lg_nettrace *trace;
    struct lg_new_file *raw; // A copy of the stream goes there; NULL: nowhere.
    struct lg_port *port;    // The process waits there until it is followed; NULL: it runs already.
    int pid;                 // 0: a file
    double seconds;          // followed
    const char *ended_by; // "-for", "interrupt", "-until-rss", "-max-bytes", "the process", "the file"
    bool is_frozen;       // The session has the heap as it was at the end.
    const char *why_not;  // Why no survivors can be told; NULL: they can.
};
// `is_command`: what is followed is a command, all the words.
LG_MUST_CHECK struct lg_error *lg_alloc_query_parse(const struct lg_args *args, bool is_command,
                                                    struct lg_alloc_query *ret);
// Follows a process, and keeps its events if `-o` wants them.
LG_MUST_CHECK struct lg_error *lg_alloc_record(struct lg_session *session, const struct lg_args *args,
                                               const char *spec, const struct lg_alloc_query *query,
                                               struct lg_alloc_run *run);
LG_MUST_CHECK struct lg_error *lg_alloc_make_report(struct lg_session *session,
                                                    const struct lg_args *args,
                                                    const struct lg_alloc_query *query,
                                                    struct lg_alloc_run *run, struct lg_report **ret);
extern const struct lg_option lg_alloc_options[];
LG_MUST_CHECK struct lg_error *lg_alloc_trace_new(struct lg_alloc_run *run);
LG_MUST_CHECK struct lg_error *lg_alloc_take(struct lg_alloc_run *run, const void *bytes, size_t size);
LG_MUST_CHECK struct lg_error *lg_alloc_file(struct lg_alloc_run *run, const char *path);
LG_MUST_CHECK struct lg_error *lg_alloc_live(struct lg_alloc_run *run, struct lg_session *session,
                                             const char *spec, const struct lg_alloc_query *query);
void lg_alloc_run_deinit(struct lg_alloc_run *run);

// A frame of a stack, in words.
struct lg_alloc_frame {
    const char *method; // "async App.OrderService.Submit"; NULL: not known
    const char *module; // "App.dll"; NULL: not known
    uint32_t il;        // UINT32_MAX: not known
    struct lg_source_line source;
    bool is_system; // of the class library
};
struct lg_alloc_names {
    struct lg_alloc_run *run;
    struct lg_clr *clr; // NULL: no process to ask
    struct lg_arena arena;
    struct lg_source_lines lines;
    struct lg_map by_place; // hash of code and IL offset -> index
    struct lg_map by_name;  // hash of name and IL offset -> index
    LG_VEC(struct lg_alloc_frame) frames;
};
// Its index in `frames`; UINT32_MAX: out of memory.
uint32_t lg_alloc_name(struct lg_alloc_names *names, const struct lg_alloc_origin *origin, uint32_t i);
// "Orders.cs:17" where that is known, else "+IL25", or "".
const char *lg_alloc_place(const struct lg_alloc_frame *frame, char *buf, size_t size);
bool lg_alloc_is_system(const char *module); // Of the class library. NULL is allowed.
// A type as an event names it, in words: "List<System.Int32>". In the arena; NULL: out of memory.
const char *lg_alloc_type_name(struct lg_alloc_names *names, const char *told);
void lg_alloc_names_deinit(struct lg_alloc_names *names);

// One row: samples that have something in common.
struct lg_alloc_site {
    const char *type;   // NULL: of several
    const char *method; // The innermost not of the class library; NULL: not known, none, several.
    const char *holder; // What holds most of its survivors; NULL: not known, or of several.
    uint32_t stack, stack_count;               // in lg_alloc_sites.stacks: frames, innermost first
    uint64_t samples;                          // of it made, dead or alive
    uint64_t unsized;                          // of them: of no known size, so `made_count` is not
    uint64_t survivors;                        // samples
    double made_count, made_bytes, made_var;   // estimated
    double count, bytes, count_var, bytes_var; // of the survivors, estimated
    uint64_t own, retained; // bytes of the sampled survivors; what they keep alive together
};
struct lg_alloc_survivor {
    uint64_t address, size;
    uint32_t site;
};
// A survivor of whatever type, and the stack that made it.
struct lg_alloc_kept {
    uint64_t address;
    double share;
    uint32_t stack, count, own; // `own`: of these tell the site
};
struct lg_alloc_sites {
    struct lg_alloc_names names;
    LG_VEC(struct lg_alloc_site) all; // The most surviving bytes first; with -all the most made.
    LG_VEC(uint32_t) stacks;
    LG_VEC(struct lg_alloc_survivor) survivors;
    LG_VEC(struct lg_alloc_kept) kept;
    uint64_t tracked, confirmed, alive, own_noise;
    uint64_t unresolved, frames;
    struct lg_routes *routes;
};
LG_MUST_CHECK struct lg_error *lg_alloc_sites_find(struct lg_session *session, struct lg_alloc_run *run,
                                                   const struct lg_alloc_query *query,
                                                   struct lg_alloc_sites *ret);
void lg_alloc_sites_deinit(struct lg_alloc_sites *sites);

// Of so many samples at the most there may be as many objects as these stand for, though none was met:
// the two-sided 95 % bound of Poisson's law, -ln(0.025).
#define LG_ALLOC_NONE_MAX 3.688879
// 95 % of such samples come from something between `*low_ret` and `*high_ret`.
void lg_alloc_interval(double estimate, double variance, double *low_ret, double *high_ret);

// Is it known what is alive?
static inline bool lg_alloc_knows(const struct lg_alloc_run *run)
{
    return run->is_frozen && !run->why_not;
}
LG_MUST_CHECK struct lg_error *lg_alloc_report(const struct lg_alloc_run *run,
                                               const struct lg_alloc_query *query,
                                               const struct lg_alloc_sites *sites,
                                               struct lg_report *report);
// The cells that tables of frames have in common: method, IL offset, module, file, line.
void lg_alloc_frame_cells(struct lg_table *frames, const struct lg_alloc_frame *frame);
void lg_alloc_frame_line(struct lg_report *report, const struct lg_alloc_frame *frame);
// The cells from `bytes` to `survivors`, null if that is not known, then `samples` to `made_bytes`.
void lg_alloc_cell_living(struct lg_table *table, const struct lg_alloc_site *sums, bool is_known);
void lg_alloc_cell_made(struct lg_table *table, const struct lg_alloc_site *sums);
// Of sites by whole stacks.
LG_MUST_CHECK struct lg_error *lg_alloc_tree(const struct lg_alloc_query *query,
                                             const struct lg_alloc_sites *sites, bool is_alive,
                                             struct lg_report *report);
void lg_alloc_cell_frames(struct lg_table *table, const struct lg_alloc_sites *sites,
                          const struct lg_alloc_site *site);
void lg_alloc_add_frames(struct lg_report *report, const struct lg_alloc_sites *sites,
                         const struct lg_alloc_site *site);
// By handle: the living object that has its number in it, or LG_NO_NODE. `handles` by address.
LG_MUST_CHECK struct lg_error *lg_handles_keepers(struct lg_session *session,
                                                  const struct lg_handle *handles, size_t count,
                                                  lg_node *ret);
// What is left of `run->handles`, against the handle table of the copy.
LG_MUST_CHECK struct lg_error *lg_handles_report(struct lg_session *session, struct lg_alloc_run *run,
                                                 const struct lg_args *args, struct lg_report **ret);
// By its name: .folded, .speedscope.json, .pb.gz, .snap; .nettrace is written while it comes.
bool lg_alloc_can_export(const char *path);
bool lg_alloc_is_snapshot(const char *path); // .snap: of the copy in which survivors were found
LG_MUST_CHECK struct lg_error *lg_alloc_export(struct lg_session *session, struct lg_alloc_run *run,
                                               const struct lg_alloc_query *query, const char *path);
// Has the session keep where the survivors were made, as long as it has this copy of the process.
LG_MUST_CHECK struct lg_error *lg_alloc_keep(struct lg_session *session, const struct lg_alloc_run *run,
                                             const struct lg_alloc_sites *sites);
// Sites by whole stacks, dead or alive.
LG_MUST_CHECK struct lg_error *lg_alloc_pprof(const struct lg_alloc_run *run,
                                              const struct lg_alloc_sites *sites, const char *path);

#endif
