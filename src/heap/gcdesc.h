// Where the references of an object are: the GCDesc below its method table, compiled.
//
//     method table - 8    number of series n (int64)
//     n > 0: classes and arrays of references           n < 0: arrays of value types, -n items per
//     element
//       - 24  {int64 size - base_size; offset} …          - 16  offset of the first element's first
//       reference highest offset first; add the object's size       - 24  {uint32 references; uint32
//       bytes to skip} …
//
// (dotnet/runtime src/coreclr/gc/gcdesc.h, CGCDesc; measured equal to the runtime's own heap dump,
// reference clr.md C.3.) Everything below a method table is untrusted: counts are capped, and runs are
// clipped to the object when they are used.
#ifndef LG_HEAP_GCDESC_H
#define LG_HEAP_GCDESC_H

#include "clr/clr.h"

// A run of adjacent references: from `offset` on, `length + object size` bytes (n > 0); or, of an
// element, `count` references and then `skip` bytes (n < 0).
struct gc_run {
    int64_t offset, length;
    uint32_t count, skip;
};

enum { GC_SLOTS = 12 };
struct gc_desc {
    bool repeats;     // arrays of value types
    uint32_t runs;    // 0: no references
    uint64_t first;   // repeats: offset of the first element
    uint64_t element; // repeats: bytes that one pass over the runs advances
    // Of a class with few references all of their offsets: most objects of most heaps. Valid for objects
    // of the type's base size.
    uint32_t slot_count; // 0: ask the runs
    uint16_t slots[GC_SLOTS];
    struct gc_run run[];
};

// Compiles the GCDesc of a type; `*ret` is NULL for a type without references.
LG_MUST_CHECK struct lg_error *gc_desc_read(struct lg_target *target, const struct lg_type *type,
                                            struct gc_desc **ret);

// The adjacent references of an object of `size` bytes (unrounded), run by run. Start with zeroed state.
struct gc_cursor {
    uint32_t run;
    uint64_t at;
};
// The next run of references: `*offset_ret` from the object's start, `*end_ret` behind the last. False
// at the end.
static inline bool gc_desc_next(const struct gc_desc *desc, uint64_t size, struct gc_cursor *cursor,
                                uint64_t *offset_ret, uint64_t *end_ret)
{
    uint64_t last = size >= 16 ? size - 8 : 8; // The object ends before the header of the next.
    if (!desc->repeats) {
        while (cursor->run < desc->runs) {
            const struct gc_run *run = &desc->run[cursor->run++];
            int64_t bytes = run->length + (int64_t)size;
            uint64_t start = (uint64_t)run->offset, end = start + (uint64_t)bytes;
            if (bytes < 8 || start < 8 || start >= last)
                continue;
            *offset_ret = start;
            *end_ret = end < last ? end : last;
            return true;
        }
        return false;
    }
    if (cursor->at == 0)
        cursor->at = desc->first;
    if (cursor->at < 8 || cursor->at >= last)
        return false;
    const struct gc_run *run = &desc->run[cursor->run];
    *offset_ret = cursor->at;
    *end_ret = cursor->at + run->count * UINT64_C(8);
    if (*end_ret > last)
        *end_ret = last;
    cursor->at += run->count * UINT64_C(8) + run->skip;
    cursor->run = cursor->run + 1 < desc->runs ? cursor->run + 1 : 0;
    return true;
}

#endif
