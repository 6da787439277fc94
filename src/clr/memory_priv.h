// For the files that find owners of memory: how they claim it.
#ifndef LG_CLR_MEMORY_PRIV_H
#define LG_CLR_MEMORY_PRIV_H

#include "clr/clr_priv.h"
#include "clr/memory.h"
#include "util/arena.h"

struct lg_memory {
    LG_VEC(struct lg_memory_range) ranges; // By `start`, none overlap; claims in any order behind these.
    size_t settled;                        // How many.
    struct lg_arena names;
};

// Widened to whole pages. False: out of memory. `name` must live as long as the clr.
bool lg_memory_claim(struct lg_memory *memory, uint64_t start, uint64_t end, enum lg_memory_kind kind,
                     const char *name);
// Sorts the claims and takes overlaps away.
void lg_memory_settle(struct lg_memory *memory);

// Of what is settled, the first range that ends behind `address`, or NULL.
const struct lg_memory_range *lg_memory_after(const struct lg_memory *memory, uint64_t address);

// What is found by its looks, where nothing has claimed it so far. memory_eventpipe.c: buffers of
// EventPipe.
LG_MUST_CHECK struct lg_error *lg_memory_claim_eventpipe(struct lg_clr *clr);
// memory_executable.c: what of memfd:doublemapper nothing has claimed so far.
LG_MUST_CHECK struct lg_error *lg_memory_claim_executable(struct lg_clr *clr);

#endif
