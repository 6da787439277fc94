// The GC heap as it lies in memory: its objects in address order, and what each refers to.
//
// A walk tells a visitor about objects; it keeps nothing itself. It runs over all segments at once on
// all processors, reads the target in MiB pieces, and makes no system call and no allocation per object.
// It is exact when every segment was walked exactly to its end; what was skipped is counted, and every
// command that used the walk says so.
#ifndef LG_HEAP_HEAP_H
#define LG_HEAP_HEAP_H

#include "clr/clr.h"

struct lg_heap;

LG_MUST_CHECK struct lg_error *lg_heap_open(struct lg_clr *clr, struct lg_heap **ret);
void lg_heap_free(struct lg_heap *heap); // NULL is allowed; the `clr` stays
LG_DEFINE_FREEP(lg_heap)
struct lg_clr *lg_heap_clr(const struct lg_heap *heap);

// What a walk did not see, or saw and did not believe.
struct lg_walk_result {
    uint64_t objects, bytes; // without free objects; sizes unrounded, as SOS counts
    uint64_t free_objects, free_bytes;
    uint64_t bad_objects;   // places where an object should have been and was not
    uint64_t first_bad;     // address of the first of them
    uint64_t skipped_bytes; // passed over to find the next object behind them
    uint64_t unsettled;     // objects being allocated at the stop, stepped over
};
static inline bool lg_walk_is_exact(const struct lg_walk_result *result)
{
    return result->bad_objects == 0 && result->skipped_bytes == 0 && result->unsettled == 0;
}

// What a walk tells about. Zeroed: everything.
struct lg_walk_filter {
    uint64_t start, end;  // Addresses; end 0: no bound.
    uint32_t heap;        // Index of a GC heap + 1; 0: all.
    uint64_t segment;     // Any address in a segment, or that of its heap_segment; 0: all.
    uint32_t generations; // A bit per enum lg_generation; 0: all.
};

struct lg_object {
    uint64_t address;
    uint64_t size; // As SOS counts it: not rounded up to 8.
    const struct lg_type *type;
};

// Counts by type: the fast path, on all processors.
enum { LG_BIG_FREE = 512 << 10 };
struct lg_type_stats {
    uint64_t *counts, *sizes; // [type_count], by lg_type.id; free objects under their type
    uint32_t type_count;
    LG_VEC(struct lg_object) big_free; // Free objects of LG_BIG_FREE bytes or more, by address.
};
LG_MUST_CHECK struct lg_error *lg_heap_stats(struct lg_heap *heap, const struct lg_walk_filter *filter,
                                             struct lg_type_stats *ret,
                                             struct lg_walk_result *result_ret);
void lg_type_stats_deinit(struct lg_type_stats *stats);

// Every object in address order, free ones too (LG_TYPE_FREE), on the calling thread. Ends early when
// `object` returns false.
typedef bool lg_object_visitor(void *self, const struct lg_object *object,
                               const struct lg_segment *segment);
LG_MUST_CHECK struct lg_error *lg_heap_walk(struct lg_heap *heap, const struct lg_walk_filter *filter,
                                            lg_object_visitor *object, void *self,
                                            struct lg_walk_result *result_ret);

// The segment whose objects' range holds `address`, or NULL.
const struct lg_segment *lg_heap_segment_at(const struct lg_heap *heap, uint64_t address);
// Does what looks like an object (not a free one) start at `address`? By its method table alone: one
// that was collected, in memory that is free by now, still looks like one. For addresses that the
// runtime or a walk vouches for; for others see below.
bool lg_heap_object_at(struct lg_heap *heap, uint64_t address, struct lg_object *ret);
// The object that `address` lies in, its start included; free ones too. By a walk from the start of its
// piece.
bool lg_heap_object_containing(struct lg_heap *heap, uint64_t address, struct lg_object *ret);

// Every reference of an object that is not null: where in the object, and to what.
typedef void lg_reference_visitor(void *self, uint64_t offset, uint64_t target);
void lg_heap_references(struct lg_heap *heap, const struct lg_object *object,
                        lg_reference_visitor *reference, void *self);

#endif
