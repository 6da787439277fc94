// A look at the GC of a process that runs: what `ps` reads of hundreds in milliseconds.
//
// Only the GC's own variables are read, no descriptor, no types, no threads; so it works on every
// runtime whose GcDacVars we know, .NET 8 and 9 too. They may change between two reads, so they are read
// until two readings agree.
#ifndef LG_CLR_GC_LOOK_H
#define LG_CLR_GC_LOOK_H

#include "target/target.h"

struct lg_gc_look {
    bool server, in_progress;
    uint32_t heap_count;
    size_t segment_count;
    // What the GC has taken of the system, in its own count (clr/memory.h), and what of the segments has
    // been given to objects. That moves whenever anything is allocated: it is right as of the last
    // reading.
    uint64_t committed, allocated;
    bool committed_known; // This runtime tells it.
    char version[32];     // "" if its image does not tell
};

// `target` is open as lg_peek_open() does it; `base` is where the runtime's image is mapped. Errors: as
// those of lg_clr_open(); CORRUPT: it changed all the time.
LG_MUST_CHECK struct lg_error *lg_gc_look(struct lg_target *target, const char *path, uint64_t base,
                                          struct lg_gc_look *ret);

#endif
