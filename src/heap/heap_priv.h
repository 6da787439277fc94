// For the files of src/heap, and for collect, which makes passes of its own over the pieces.
#ifndef LG_HEAP_HEAP_PRIV_H
#define LG_HEAP_HEAP_PRIV_H

#include <string.h>

#include "heap/gcdesc.h"
#include "heap/heap.h"
#include "heap/window.h"

// A run of memory that begins and ends at an object; walked by one worker.
struct lg_piece {
    const struct lg_segment *segment;
    uint64_t start, end; // [start, end): where its objects start; the last may reach beyond
    bool guessed; // `start` is not a segment's first object but what looked like one: to be confirmed
    uint64_t walked_to; // where its walk ended, for confirming the next
};

struct walker;

struct lg_heap {
    struct lg_clr *clr;
    struct lg_target *target;
    uint64_t mask, free_mt;
    const struct lg_segment *segments;
    size_t segment_count;
    const struct lg_alloc_context *contexts;
    size_t context_count;
    uint64_t piece_size;
    LG_VEC(struct lg_piece) pieces; // by address
    bool confirmed;                 // no piece is guessed any more
    LG_VEC(struct gc_desc *) descs; // by lg_type.id; NULL: no references, or not compiled yet
    LG_VEC(bool) desc_read;
    struct walker *looker;   // for single look-ups; made on first use
    struct walker *referrer; // for the references of single objects; the same
};

// lg_heap_open(), with segments cut into pieces of about that size.
LG_MUST_CHECK struct lg_error *lg_heap_open_pieces(struct lg_clr *clr, uint64_t piece_size,
                                                   struct lg_heap **ret);

// Makes sure that every piece begins at an object: by a walk, if none has been over the whole heap yet.
LG_MUST_CHECK struct lg_error *lg_heap_confirm(struct lg_heap *heap);

// What a walker tells of an object: where its bytes are, and how many of them are in the window.
struct lg_seen {
    struct lg_object object;
    const struct lg_segment *segment;
    const uint8_t *bytes;
    uint64_t available;
};

typedef void seen_visitor(void *self, struct walker *walker, const struct lg_seen *seen);

// Objects (not free ones) start at those of the 64 addresses from `address` on, 8 apart, whose bits are
// set.
typedef void lg_starts_visitor(void *self, uint64_t address, uint64_t bits);

// Passes over all pieces on all workers, told either of objects or only of where they start, which is
// faster. `begin` and `end` bracket each piece, and may be NULL.
struct lg_pass {
    seen_visitor *seen;        // NULL: starts only
    lg_starts_visitor *starts; // from several workers at once
    void (*begin)(void *self, size_t piece, size_t worker);
    void (*end)(void *self, size_t piece, size_t worker);
    bool with_free; // `seen` is told of free objects too.
    void *self;     // shared by all workers
};
LG_MUST_CHECK struct lg_error *lg_heap_pass(struct lg_heap *heap, const struct lg_pass *pass,
                                            struct lg_walk_result *result_ret);
size_t lg_walker_number(const struct walker *walker);

// All references of a seen object, in runs: `values` are `count` words at `offset`, aligned or not. Some
// may be 0.
typedef void lg_run_visitor(void *self, uint64_t offset, const uint8_t *values, size_t count);
static inline uint64_t lg_load_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}
void lg_seen_references(struct walker *walker, const struct lg_seen *seen, const struct gc_desc *desc,
                        lg_run_visitor *run, void *self);

// The GCDesc of a type, compiled on first use; NULL without references. Not thread-safe: compile all
// before a pass with lg_heap_compile().
const struct gc_desc *lg_heap_desc(struct lg_heap *heap, const struct lg_type *type);
LG_MUST_CHECK struct lg_error *lg_heap_compile(struct lg_heap *heap);

#endif
