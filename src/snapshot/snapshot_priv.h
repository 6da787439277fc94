// For the files of src/snapshot.
#ifndef LG_SNAPSHOT_SNAPSHOT_PRIV_H
#define LG_SNAPSHOT_SNAPSHOT_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "clr/stored.h"
#include "snapshot/pages.h"
#include "snapshot/snapshot.h"
#include "snapshot/tables.h"

#define CHUNK_META LG_CHUNK_ID('M', 'E', 'T', 'A')
#define CHUNK_IMAG LG_CHUNK_ID('I', 'M', 'A', 'G')
#define CHUNK_SEGM LG_CHUNK_ID('S', 'E', 'G', 'M')
#define CHUNK_TYPE LG_CHUNK_ID('T', 'Y', 'P', 'E')
#define CHUNK_NAME LG_CHUNK_ID('N', 'A', 'M', 'E')
#define CHUNK_FIEL LG_CHUNK_ID('F', 'I', 'E', 'L')
#define CHUNK_MODU LG_CHUNK_ID('M', 'O', 'D', 'U')
#define CHUNK_THRD LG_CHUNK_ID('T', 'H', 'R', 'D')
#define CHUNK_STAT LG_CHUNK_ID('S', 'T', 'A', 'T')
#define CHUNK_HNDL LG_CHUNK_ID('H', 'N', 'D', 'L')
#define CHUNK_NHEA LG_CHUNK_ID('N', 'H', 'E', 'A')
#define CHUNK_FINQ LG_CHUNK_ID('F', 'I', 'N', 'Q')
#define CHUNK_DOMA LG_CHUNK_ID('D', 'O', 'M', 'A')
#define CHUNK_STAK LG_CHUNK_ID('S', 'T', 'A', 'K')
#define CHUNK_FRAM LG_CHUNK_ID('F', 'R', 'A', 'M')
#define CHUNK_PICT LG_CHUNK_ID('P', 'I', 'C', 'T')
#define CHUNK_LIMI LG_CHUNK_ID('L', 'I', 'M', 'I')
#define CHUNK_ROOT LG_CHUNK_ID('R', 'O', 'O', 'T')
#define CHUNK_HIST LG_CHUNK_ID('H', 'I', 'S', 'T')
#define CHUNK_RETA LG_CHUNK_ID('R', 'E', 'T', 'A')
#define CHUNK_MADE LG_CHUNK_ID('M', 'A', 'D', 'E')
#define CHUNK_MEMO LG_CHUNK_ID('M', 'E', 'M', 'O')
#define CHUNK_CODE LG_CHUNK_ID('C', 'O', 'D', 'E')
#define CHUNK_RUNS LG_CHUNK_ID('R', 'U', 'N', 'S')
#define CHUNK_PAGE LG_CHUNK_ID('P', 'A', 'G', 'E')
#define CHUNK_HEAP LG_CHUNK_ID('H', 'E', 'A', 'P')

// ---- facts.c: the runtime's ----

// META tells of it too: that the runtime is told first, and the notes.
struct about_io {
    struct lg_snapshot_about about;
    struct lg_clr_info info;
    bool has_last_gc; // as in lg_stored
    double last_gc;
    LG_VEC(const char *) notes;
};
void io_about(struct lg_table_io *io, void *about_io);

LG_MUST_CHECK struct lg_error *facts_write(struct lg_chunk_writer *writer, struct lg_stored *stored);
// All but `info`. Checks what is relied on: segments in order, threads that exist.
LG_MUST_CHECK struct lg_error *facts_read(struct lg_chunk_file *file, struct lg_arena *arena,
                                          uint64_t *budget, struct lg_stored *ret);

// ---- findings.c: what was found out ----

struct images {
    struct lg_image *at;
    size_t len, cap;
};
void io_images(struct lg_table_io *io, void *images);

struct roots_io {
    struct lg_roots *roots;
    const struct lg_managed_thread *threads;
    size_t thread_count;
};
void io_roots(struct lg_table_io *io, void *roots_io);

struct stats_io {
    LG_VEC(uint64_t) counts;
    LG_VEC(uint64_t) sizes;
    LG_VEC(struct lg_object) big_free;
    struct lg_walk_result walk;
    struct lg_clr *clr;
    const uint32_t *numbers; // writing: of types, by lg_type.id
};
void io_stats(struct lg_table_io *io, void *stats_io);
void stats_io_deinit(struct stats_io *stats);
void io_summary(struct lg_table_io *io, void *summary);

// ---- memos.c: single words of memory that shapes depend on ----

struct memo {
    uint64_t address;
    uint32_t length;
    const uint8_t *bytes; // of the arena
};
struct memos {
    LG_VEC(struct memo) all; // by address; none overlap
};
void io_memos(struct lg_table_io *io, void *memos);
static inline void memos_deinit(struct memos *memos)
{
    lg_vec_free(&memos->all);
}
// False when out of memory; what cannot be read is left out.
bool memos_add(struct memos *memos, struct lg_target *target, struct lg_arena *arena, uint64_t address,
               uint64_t length);
// Those beside the objects: GCDescs, handles of threads, native loader allocators.
LG_MUST_CHECK struct lg_error *memos_gather(struct lg_heap *heap, const struct lg_stored *stored,
                                            struct lg_arena *arena, struct memos *ret);
// By address; what several of them have is kept once.
void memos_sort(struct memos *memos);
// Puts what of them lies in [address, address + len) where it belongs.
void memos_overlay(const struct memos *memos, uint64_t address, uint8_t *bytes, size_t len);
// The memo that `address` is in, or NULL.
const struct memo *memos_find(const struct memos *memos, uint64_t address);

// Whether [address, address + len) is all memos.
bool memos_cover(const struct memos *memos, uint64_t address, size_t len);

// ---- stacks.c ----

// Memory that reads as zero where there is no memo: of stacks only the words that lead into the heap
// are kept.
struct blank {
    uint64_t start, end;
};
struct blanks {
    LG_VEC(struct blank) all; // by address; none overlap
};
void io_blanks(struct lg_table_io *io, void *blanks);
static inline void blanks_deinit(struct blanks *blanks)
{
    lg_vec_free(&blanks->all);
}
// How much of [address, address + len) lies in the one that `address` is in.
size_t blanks_length(const struct blanks *blanks, uint64_t address, size_t len);
// Of all threads; words go to `memos`.
LG_MUST_CHECK struct lg_error *stacks_gather(struct lg_heap *heap, struct lg_arena *arena,
                                             struct blanks *ret, struct memos *memos);

// What the DAC tells of the stacks of managed threads, by thread.
struct frames {
    const char *dac;     // the file that told
    const char *missing; // why nothing did; NULL: it did
    LG_VEC(struct lg_told_stack) all;
};
void io_frames(struct lg_table_io *io, void *frames);
void frames_deinit(struct frames *frames);
LG_MUST_CHECK struct lg_error *frames_gather(const struct lg_snapshot_source *source,
                                             struct frames *ret);

// ---- made.c ----

void io_made(struct lg_table_io *io, void *made);

// ---- about.c: the memory picture, and what bounds the process ----

struct picture_io {
    struct lg_picture *picture; // NULL: there is none,
    const char *missing;        // because
};
void io_picture(struct lg_table_io *io, void *picture_io);
struct limits_io {
    struct lg_limits *limits;
    const char *missing;
};
void io_limits(struct lg_table_io *io, void *limits_io);

// ---- snapshot.c ----

enum { CACHED = 64 }; // pages
struct cached {
    pthread_mutex_t lock;
    uint64_t page; // + 1; 0: none
    uint8_t *bytes;
};

struct run {
    uint64_t start, end, page;
};

struct lg_snapshot {
    struct lg_target target;
    struct lg_chunk_file *file; // NULL: it is a .gcdump
    struct gcdump *dump;        // gcdump_priv.h; NULL: it is a file of ours
    struct lg_arena arena;
    uint64_t budget;
    struct about_io about;
    struct lg_stored stored; // until lg_snapshot_clr()
    struct memos memos;
    struct blanks blanks;
    struct frames frames;
    bool has_frames;
    struct images images;
    LG_VEC(struct run) runs;
    const uint8_t *pages; // records
    uint64_t page_count;
    struct lg_chunk_part heap;
    struct lg_shapes shapes;
    LG_VEC(struct lg_type) types;   // by code, for the shapes
    LG_VEC(struct gc_desc *) descs; // the same
    struct cached cached[CACHED];
    _Atomic uint64_t damaged; // page + 1
    struct lg_summary summary;
    bool has_summary;
};
LG_MUST_CHECK struct lg_error *snapshot_new(struct lg_snapshot **ret);
void snapshot_close(struct lg_target *target);
size_t snapshot_read(struct lg_target *target, uint64_t address, void *buf, size_t len); // read.c
bool snapshot_knows(struct lg_target *target, uint64_t address, size_t len);
// Decodes a page that is not in the cache; remembers the first that is damaged.
bool snapshot_decode(struct lg_snapshot *snapshot, const struct run *run, uint64_t page, uint8_t *bytes);

// ---- gcdump_open.c ----

LG_MUST_CHECK struct lg_error *snapshot_open_gcdump(const char *path, struct lg_snapshot **ret);
// The same of bytes in memory; `owned`: the same, to be freed with it, after an error too; or NULL.
LG_MUST_CHECK struct lg_error *snapshot_of_gcdump(const char *name, const void *bytes, size_t size,
                                                  void *owned, struct lg_snapshot **ret);

#endif
