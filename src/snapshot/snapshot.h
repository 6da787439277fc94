// Snapshots: a heap in a file, without its values (docs/format-snapshot.md).
//
// An opened one is a target whose memory is what the shapes of its objects tell, with a runtime that
// tells what it told when the snapshot was taken; heap, graph and commands work on it as on a core. What
// took long to find out lies in it as it was found: roots, the histogram, what retains most.
#ifndef LG_SNAPSHOT_SNAPSHOT_H
#define LG_SNAPSHOT_SNAPSHOT_H

#include "collect/collect.h"
#include "collect/made.h"

struct lg_limits;  // limits/limits.h
struct lg_picture; // picture/picture.h

// ---- what retains most ----

struct lg_summary_row {
    uint64_t address, size, retained;
    uint64_t dominator; // The object that holds it alone; 0: none does.
    uint32_t type;      // lg_type.id
    uint32_t objects;   // How many it retains, itself included.
    uint32_t depth;     // Objects from the one that a root holds down to this one.
    bool size_is_known;
    const char *held_by; // "static App.Cache.s_orders"; NULL: by another object.
};
enum { LG_SUMMARY_ROWS = 1000 };
struct lg_summary {
    uint64_t live_count, live_size, guessed; // guessed: of words on stacks alone
    uint64_t all;                            // objects that no other dominates
    LG_VEC(struct lg_summary_row) rows;      // the first of them, those that retain most first
};

// ---- writing ----

struct lg_snapshot_source {
    struct lg_target *target;
    struct lg_heap *heap;
    const struct lg_heap_graph *graph;
    const struct lg_roots *roots;
    const struct lg_type_stats *stats;
    const struct lg_walk_result *walk;
    const struct lg_summary *summary;
    // What is not known has a reason instead.
    struct lg_dac *dac; // for the frames of stacks
    const char *no_dac;
    const struct lg_picture *picture; // in detail
    const char *no_picture;
    const struct lg_limits *limits;
    const char *no_limits;
    const struct lg_made *made; // NULL: it was not followed
    const char *tool;           // "linger 0.1.0"
    bool contents;              // Values and strings too.
};
struct lg_snapshot_figures {
    uint64_t size;           // of the file
    uint64_t objects, bytes; // without free ones
    uint64_t references;     // that are not null
    uint64_t page_bytes;     // of the streams
};
LG_MUST_CHECK struct lg_error *lg_snapshot_write(const struct lg_snapshot_source *source,
                                                 const char *path, struct lg_snapshot_figures *ret);

// ---- reading ----

struct lg_snapshot;
// One of ours, or a .gcdump.
bool lg_snapshot_is_one(const char *path);
LG_MUST_CHECK struct lg_error *lg_snapshot_open(const char *path, struct lg_snapshot **ret);
// The same of bytes in memory, which must outlive it.
LG_MUST_CHECK struct lg_error *lg_snapshot_of(const char *name, const void *bytes, size_t size,
                                              struct lg_snapshot **ret);
// The target that it is: freeing that frees the snapshot, after whatever was made of it.
struct lg_target *lg_snapshot_target(struct lg_snapshot *snapshot);
// Its runtime, once: for the caller to free.
LG_MUST_CHECK struct lg_error *lg_snapshot_clr(struct lg_snapshot *snapshot, struct lg_clr **ret);

// Whether the histogram and what retains most lie in it: not in a .gcdump, nor in NULL.
bool lg_snapshot_has_findings(const struct lg_snapshot *snapshot);
LG_MUST_CHECK struct lg_error *lg_snapshot_stats(struct lg_snapshot *snapshot, struct lg_clr *clr,
                                                 struct lg_type_stats *ret,
                                                 struct lg_walk_result *walk_ret);
// Names are the snapshot's.
LG_MUST_CHECK struct lg_error *lg_snapshot_roots(struct lg_snapshot *snapshot, struct lg_clr *clr,
                                                 struct lg_roots **ret);
// Borrowed; NULL: there is none.
LG_MUST_CHECK struct lg_error *lg_snapshot_summary(struct lg_snapshot *snapshot,
                                                   const struct lg_summary **ret);

// Errors say why the snapshot has none.
LG_MUST_CHECK struct lg_error *lg_snapshot_picture(struct lg_snapshot *snapshot,
                                                   struct lg_picture **ret);
// Strings are the snapshot's.
LG_MUST_CHECK struct lg_error *lg_snapshot_limits(struct lg_snapshot *snapshot, struct lg_limits *ret);
// The DAC that told of the stacks.
LG_MUST_CHECK struct lg_error *lg_snapshot_dac(struct lg_snapshot *snapshot, const char **path_ret);
// What it told of the managed thread of that number. After lg_snapshot_dac(); borrowed.
const struct lg_told_stack *lg_snapshot_stack(const struct lg_snapshot *snapshot, size_t thread);

// Where sampled objects were made, for the caller to free; NULL: it was not followed.
LG_MUST_CHECK struct lg_error *lg_snapshot_made(struct lg_snapshot *snapshot, struct lg_made **ret);

// What it says of itself.
struct lg_snapshot_about {
    const char *tool;
    enum lg_target_kind kind; // of what it was taken of
    int pid;
    const char *path;
    struct timespec taken;
    bool is_gcdump;  // A bare graph: there are no findings in it, and no chunks.
    const char *log; // What its writer had to say; of a .gcdump.
    bool has_contents;
    struct lg_snapshot_figures figures; // size: of the file as it is
};
const struct lg_snapshot_about *lg_snapshot_about(const struct lg_snapshot *snapshot);
// The chunks of its file: name and size. False past the last.
bool lg_snapshot_chunk(const struct lg_snapshot *snapshot, size_t i, char name[5], uint64_t *size_ret);

// Reading memory has no error of its own: whether a page that was read is damaged, and which.
LG_MUST_CHECK struct lg_error *lg_snapshot_damage(const struct lg_snapshot *snapshot);
// Looks at every byte.
LG_MUST_CHECK struct lg_error *lg_snapshot_check(struct lg_snapshot *snapshot);

#endif
