// The memory picture: what of a process is resident, and whose it is.
//
//     smaps, pagemap   of the stopped process      ─► mappings, with what of each is resident
//     runtime, threads, malloc, files: claims      ─► owners of ranges
//     both                                         ─► parts: one owner's pages in one mapping
//
//     mapping   |            anonymous             |    libc.so text    |
//     claims        |gen0|free|  |arena|
//     parts     |...|gen0|free|..|arena|...........|    libc.so text    |
//
// Every page of every mapping is in exactly one part, so sums of parts are sums of the process:
//
//     sum(parts.resident) == sum(mappings.resident) == rss + hugetlb
//
// A core knows no residency: there `resident` is what the core holds, and the split is unknown.
#ifndef LG_PICTURE_PICTURE_H
#define LG_PICTURE_PICTURE_H

#include "clr/clr.h"
#include "target/live.h"
#include "util/arena.h"

// Bytes, whole pages. resident == own + shareable + shared where the split is known.
//   own        pages that are the process's own copies: anonymous or copied on write, and mapped by
//   nobody
//              else
//   shareable  pages of a file or of shared memory that nobody else maps now
//   shared     pages that somebody else, or the process itself a second time, maps too
struct lg_amounts {
    uint64_t resident, own, shareable, shared;
    uint64_t swapped, locked; // locked: resident, in a mapping that is locked
    bool split_unknown;       // Of own and shareable.
};
void lg_amounts_add(struct lg_amounts *sum, const struct lg_amounts *more);

struct lg_mapping {
    uint64_t start, end;
    uint64_t offset; // Of `start` in the file.
    unsigned access; // enum lg_access
    bool is_shared;  // MAP_SHARED
    bool has_file;   // An inode: a file, or shared memory.
    const char *path;
    uint64_t
        hugetlb; // Bytes of `sum.resident` that are hugetlb pages: the kernel's RSS is without them.
    uint64_t anonymous;
    struct lg_amounts sum;
};
struct lg_mappings {
    LG_VEC(struct lg_mapping) all; // By `start`; none overlap.
    struct lg_arena paths;
};

// What /proc/PID/smaps says (proc(5)). Adds to `ret`. Where pages of a private file mapping are partly
// shared, `sum.split_unknown` is set: only pagemap can tell.
LG_MUST_CHECK struct lg_error *lg_smaps_parse(const char *text, size_t len, struct lg_mappings *ret);
void lg_mappings_deinit(struct lg_mappings *mappings);

enum lg_category { // Those of the classic table, in its order.
    LG_PAGE_TABLES,
    LG_OTHER_SYSTEM, // Kernel stacks.
    LG_CODE,         // Modules: their text and data, mapped assemblies.
    LG_HEAP,         // The GC heap, malloc.
    LG_STACK,
    LG_TEB, // Thread control blocks and thread-local storage.
    LG_MAPPED_DATA,
    LG_OTHER_DATA,
    LG_CATEGORIES,
};
const char *lg_category_name(enum lg_category category); // "Page Table Pages"

struct lg_page_owner {
    enum lg_category category;
    const char *kind;   // "GC heap", "thread stack": what -by kind groups by.
    const char *name;   // "gen2", "libc.so.6 text": the row of -detail.
    const char *module; // Simple name of the file of a module; NULL: none.
    const char *thread; // "4711 worker, managed 12"; NULL: none in particular.
    bool is_unknown;    // Nobody claims it: anonymous memory of unknown owner.
};

struct lg_part {
    uint64_t start, end;
    uint32_t mapping;
    const struct lg_page_owner *owner;
    struct lg_amounts sum;
};

// A malloc arena of glibc, as far as its structures tell.
struct lg_arena_use {
    uint64_t address, size, free;
    bool is_known; // Its chunks lead from one to the next up to its end: `free` is true.
};

struct lg_picture {
    uint64_t page_size;
    bool is_core;
    struct lg_mappings mappings;
    LG_VEC(struct lg_part) parts; // By `start`.
    LG_VEC(struct lg_arena_use) arenas;
    struct lg_amounts total; // Of all parts.
    uint64_t rss, hugetlb;   // Of the mappings.
    int64_t status_rss;      // As /proc/PID/status has it; -1 unknown
    int64_t page_tables;     // Bytes; -1 unknown
    int64_t threads, kernel_stacks;
    uint64_t written_twice; // Bytes that are resident in a writable double mapping of JIT code.
    LG_VEC(char *) notes;   // What could not be known.
    struct lg_arena names;
};
void lg_picture_free(struct lg_picture *picture);
LG_DEFINE_FREEP(lg_picture)

// What is looked at while a process stands still: hand lg_sight_stopped and a sight to
// lg_live_open_with().
struct lg_sight;
struct lg_sight *lg_sight_new(void); // NULL: no memory
void lg_sight_free(struct lg_sight *sight);
LG_DEFINE_FREEP(lg_sight)
void lg_sight_stopped(void *sight, int proc); // A later call replaces what an earlier one saw.

struct lg_picture_options {
    bool nameless; // Threads have numbers only: what the kernel calls them is what the program does.
    bool detail;   // Owners of every name; else only as much as tells the categories apart.
};
// Of a process that was opened with this sight, or (NULL) of a core. `clr` may be NULL.
LG_MUST_CHECK struct lg_error *lg_picture_make(struct lg_sight *sight, struct lg_target *target,
                                               struct lg_clr *clr,
                                               const struct lg_picture_options *options,
                                               struct lg_picture **ret);

#endif
