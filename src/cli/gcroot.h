// The parts of `gcroot`: which roots hold an object, and the path from each.
#ifndef LG_CLI_GCROOT_H
#define LG_CLI_GCROOT_H

#include "cli/support.h"
#include "collect/meanings.h"
#include "graph/disjoint.h"
#include "util/arena.h"

// In the order of the text. Statics come first, because they have names; the rest as in SOS.
enum lg_root_section {
    LG_SECTION_STATICS,
    LG_SECTION_THREAD_STATICS,
    LG_SECTION_HANDLES,
    LG_SECTION_FINALIZER,
    LG_SECTION_THREAD,
};

// One root that reaches the target. Words of one stack that lead to the same object are one root.
struct lg_chain {
    const struct lg_root *root;
    enum lg_root_section section;
    uint32_t hops;   // Objects on the path, the root's own and the target included.
    uint32_t others; // Further words of the same stack, to the same object.
};

struct lg_chains {
    LG_VEC(struct lg_chain) all; // By section, thread, length, slot.
    uint64_t objects_searched;
};
void lg_chains_deinit(struct lg_chains *chains);

LG_MUST_CHECK struct lg_error *lg_chains_find(const struct lg_heap_graph *graph,
                                              const struct lg_roots *roots, const struct lg_paths *paths,
                                              bool stacks, struct lg_chains *ret);
// The roots that paths of lg_disjoint_find() start at, one for each path, that which explains best; and
// all that hold the target itself.
LG_MUST_CHECK struct lg_error *lg_chains_of_starts(const struct lg_heap_graph *graph,
                                                   const struct lg_roots *roots,
                                                   const struct lg_disjoint *disjoint, bool stacks,
                                                   struct lg_chains *ret);
// Does `gcroot` count this root?
bool lg_root_is_wanted(const struct lg_root *root, bool stacks);

// ---- paths ----

struct lg_hop {
    struct lg_object object;
    const char *label; // How it refers to the next hop; NULL: not known, or the last.
    enum lg_link link;
    bool has_link;
    const char *meaning; // collect/meanings.h; NULL: nothing beside the label.
    uint64_t skipped;    // Objects left out behind this one, of a path longer than is kept.
};

// Labels are asked for once per object: paths share their ends.
struct lg_path_reader {
    const struct lg_heap_graph *graph;
    const struct lg_paths *paths;
    struct lg_map labels; // node -> index
    LG_VEC(struct lg_hop) known;
    struct lg_arena arena;
    struct lg_meanings meanings;
};
void lg_path_reader_deinit(struct lg_path_reader *reader);

enum { LG_PATH_KEPT = 10000 }; // hops; of a longer path the first and the last half of that
struct lg_path {
    LG_VEC(struct lg_hop) hops;
};
static inline void lg_path_deinit(struct lg_path *path)
{
    lg_vec_free(&path->hops);
}
LG_MUST_CHECK struct lg_error *lg_path_read(struct lg_path_reader *reader, const struct lg_chain *chain,
                                            struct lg_path *ret);

// The hops of one path, as lines and as rows of a table.
extern const struct lg_table_spec lg_path_spec;
void lg_path_write(struct lg_report *report, struct lg_clr *clr, const struct lg_path *path);
void lg_path_add(struct lg_table *table, struct lg_clr *clr, const struct lg_path *path);

// Each root with its path, at most `limit` of them (0: all).
LG_MUST_CHECK struct lg_error *lg_chains_report(struct lg_report *report,
                                                const struct lg_heap_graph *graph,
                                                const struct lg_paths *paths,
                                                const struct lg_chains *chains, uint64_t limit);

// ---- paths that share nothing ----

struct lg_disjoint_query {
    const struct lg_object *object;
    bool stacks;    // Those of threads too.
    uint64_t limit; // Paths at most; 0: all.
};
LG_MUST_CHECK struct lg_error *lg_gcroot_disjoint(struct lg_session *session,
                                                  const struct lg_disjoint_query *query,
                                                  struct lg_report *report);

// ---- all instances of a type ----

struct lg_groups_query {
    const char *contains; // Part of the name of their types, or NULL:
    uint64_t mt;          // exactly this one
    uint64_t limit;       // Groups at most; 0: all.
    bool by_fields;       // Inner objects of collections are steps of their own.
};
LG_MUST_CHECK struct lg_error *lg_gcroot_groups(struct lg_session *session,
                                                const struct lg_groups_query *query,
                                                struct lg_report *report);

// ---- compression ----

// A run of hops that say the same again and again: `period` hops, `times` times, from `start` on.
struct lg_repeat {
    size_t start, period, times;
};
enum { LG_PERIOD_MAX = 4, LG_REPEATS_MIN = 5 };
// The longest run that starts at `start`, or times 0. `same(a, b)` compares two hops.
struct lg_repeat lg_repeat_at(size_t start, size_t count,
                              bool (*same)(const void *self, size_t a, size_t b), const void *self);

#endif
