// A GC heap laid by hand in a fake target: method tables with their GCDesc, objects, and an opened
// runtime that knows just them.
//
//     struct fake_heap *f = fake_heap_new();
//     uint64_t a = fake_object(f, FAKE_NODE, 0);       // at the end of the segment so far
//     fake_refer(f, a, 8, b);
//     struct lg_clr *clr = fake_heap_clr(f);           // closes the segment
#ifndef LG_TESTS_SUPPORT_FAKE_HEAP_H
#define LG_TESTS_SUPPORT_FAKE_HEAP_H

#include "clr/clr_priv.h"

enum fake_type {
    FAKE_FREE,
    FAKE_STRING,
    FAKE_NODE,    // 32 bytes, references at 8 and 16
    FAKE_PLAIN,   // 24 bytes, no references
    FAKE_ARRAY,   // Object[]
    FAKE_BYTES,   // Byte[]
    FAKE_ENTRIES, // an array of structs of 24 bytes, whose references are at 0 and 16
    FAKE_TYPES,
};

struct fake_heap;
struct fake_heap *fake_heap_new(void);
void fake_heap_free(struct fake_heap *fake);

uint64_t fake_type_mt(enum fake_type type);
// Where the next object goes.
uint64_t fake_heap_end(const struct fake_heap *fake);
// Adds an object with `count` elements (0 where it has none), and returns its address.
uint64_t fake_object(struct fake_heap *fake, enum fake_type type, uint32_t count);
void fake_refer(struct fake_heap *fake, uint64_t object, uint64_t offset, uint64_t to);
// An allocation context with `unused` bytes, and the 24 behind it; filled with rubbish.
void fake_context(struct fake_heap *fake, uint64_t unused);
// Starts another segment; the first is there from the beginning, in generation 0.
void fake_segment(struct fake_heap *fake, enum lg_generation generation);
struct lg_target *fake_heap_target(struct fake_heap *fake);

// Belongs to `fake`. No objects can be added any more, but what is there can be damaged.
struct lg_clr *fake_heap_clr(struct fake_heap *fake);

#endif
