// Which address ranges of a target belong to the runtime, and to what in it.
//
//     |gen0 |gc free| ... |gen2      |gc free| ... |loader heap| ... |jit code|stubs| ... |bookkeeping|
//                    ^ end of objects         ^ committed
//
// Whole pages: a boundary within a page (where one generation of the segments GC ends and another
// begins) is moved to the page's start, and the end of a run to the page's end. A range says whose the
// addresses are, not that they are resident: much of a heap is only reserved.
//
// What nothing in the runtime leads to is in no range: what it takes from malloc (its hash tables, the
// JIT's working memory, mark lists of the GC), buffers of EventPipe without an event in them
// (or any, where the process itself is read and no copy), alternate
// signal stacks.
#ifndef LG_CLR_MEMORY_H
#define LG_CLR_MEMORY_H

#include "clr/clr.h"

enum lg_memory_kind {
    LG_MEMORY_GEN0, // As enum lg_generation: objects, and free space between them.
    LG_MEMORY_GEN1,
    LG_MEMORY_GEN2,
    LG_MEMORY_LOH,
    LG_MEMORY_POH,
    LG_MEMORY_FOH,
    LG_MEMORY_GC_FREE,        // Committed, not in use: behind the objects of a region, free regions.
    LG_MEMORY_GC_BOOKKEEPING, // Card table, brick table, mark array, region map ...: one reservation.
    LG_MEMORY_HANDLE_TABLE,
    LG_MEMORY_LOADER_HEAP,  // Method tables, descriptors, statics without references.
    LG_MEMORY_STUBS,        // Precode, fixups, dispatch stubs.
    LG_MEMORY_JIT_CODE,     // Code of methods, where it runs.
    LG_MEMORY_JIT_WRITABLE, // A second mapping of pages above, to write to them: the same pages again.
    LG_MEMORY_EXECUTABLE,   // Other memory of the executable allocator (memfd:doublemapper).
    LG_MEMORY_EVENTPIPE,    // Events that somebody traces; recognised by their looks.
    LG_MEMORY_KINDS,
};
const char *lg_memory_kind_name(enum lg_memory_kind kind); // "gen0", "GC free", "JIT code"

struct lg_memory_range {
    uint64_t start, end; // Multiples of 4096.
    enum lg_memory_kind kind;
    const char *name; // "heap 0 gen2", "LowFrequencyHeap of System Domain"; lives as long as the clr.
};

// By `start`; none overlap, none is empty. Adjacent ranges of one kind and name are one.
LG_MUST_CHECK struct lg_error *lg_clr_memory(struct lg_clr *clr, const struct lg_memory_range **ret,
                                             size_t *count_ret);

// What the GC has committed, as it counts itself.
struct lg_gc_committed {
    uint64_t in_use; // Regions or segments of the generations, without frozen ones.
    uint64_t free;   // Regions that are free, on the lists of the heaps.
    uint64_t frozen; // Frozen segments; the GC does not count them.
    // in_use + free is GC.GetGCMemoryInfo().TotalCommittedBytes if the last GC ended just now.
};
// UNSUPPORTED if the free regions cannot be read.
LG_MUST_CHECK struct lg_error *lg_clr_gc_committed(struct lg_clr *clr, struct lg_gc_committed *ret);

// How often it collected, and when it began to the last time.
struct lg_gc_clock {
    uint64_t collections[3]; // GC.CollectionCount(0), (1), (2).
    uint64_t last_us[3]; // The last of that generation or an older one: CLOCK_MONOTONIC; 0: none yet.
};
// UNSUPPORTED if it is not found.
LG_MUST_CHECK struct lg_error *lg_clr_gc_clock(struct lg_clr *clr, struct lg_gc_clock *ret);
// How many seconds before the picture of the target was taken the last GC began. False: unknown (a core,
// a time namespace of its own), or there was none.
bool lg_clr_last_gc(struct lg_clr *clr, double *ret);
// With regions: how many bytes of address space the GC has set aside for its heap. False: it does not
// tell, or has segments.
bool lg_clr_gc_range(const struct lg_clr *clr, uint64_t *ret);

// The first byte of a segment that is committed; its `start` is the first object.
uint64_t lg_clr_segment_base(const struct lg_clr *clr, const struct lg_segment *segment);

#endif
