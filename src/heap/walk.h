// One worker's walk over pieces of the heap.
#ifndef LG_HEAP_WALK_H
#define LG_HEAP_WALK_H

#include "heap/heap_priv.h"
#include "util/parallel.h"

// What the inner loop needs of a type, and its counters until another type takes the slot.
struct type_slot {
    uint64_t mt;
    const struct lg_type *type;
    uint32_t base_size;
    uint32_t component_size;
    uint64_t count, bytes;
};

enum { SLOT_BITS = 11, SLOTS = 1 << SLOT_BITS, MIN_OBJECT = 24 };

struct walker {
    struct lg_heap *heap;
    struct window window;
    size_t number;
    struct lg_walk_result result;
    LG_VEC(uint64_t) counts; // by lg_type.id
    LG_VEC(uint64_t) sizes;
    LG_VEC(struct lg_object) big_free;
    bool out_of_memory;
    struct type_slot slots[SLOTS];
};

LG_MUST_CHECK struct lg_error *walker_new(struct lg_heap *heap, size_t number, struct walker **ret);
void walker_free(struct walker *walker);
LG_DEFINE_FREEP(walker)

// Empties the slots into `counts`, `sizes` and `result`.
void walker_flush(struct walker *walker);

// Counts the objects that start in [from, piece->end); the walk begins at piece->start all the same.
void walk_count(struct walker *walker, struct lg_piece *piece, uint64_t from);
// Where an object seems to start, at or behind `p`; `end` if nothing does.
uint64_t walk_guess(struct walker *walker, uint64_t p, uint64_t end);
// Counts as well, and tells where objects start.
void walk_starts(struct walker *walker, struct lg_piece *piece, lg_starts_visitor *starts, void *self);
// Tells of each object; free ones too if `with_free`. Ends early when `*stop` becomes true.
void walk_tell(struct walker *walker, struct lg_piece *piece, bool with_free, seen_visitor *seen,
               void *self, const bool *stop);

#endif
