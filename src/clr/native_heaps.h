// The runtime's native memory, one source a file. Each adds what it knows; what cannot be known it says
// in an error, which becomes a note of the target.
//
// Not told by anything on .NET 10: the heaps of the virtual stub dispatch (indirection cells, cache
// entries), of dynamic helpers, the JIT's own working memory, and whatever the runtime takes from
// malloc.
#ifndef LG_CLR_NATIVE_HEAPS_H
#define LG_CLR_NATIVE_HEAPS_H

#include "clr/clr_priv.h"

// Runs of loader heaps: System Domain and the loader allocators of modules.
LG_MUST_CHECK struct lg_error *lg_loader_heaps_read(struct lg_clr *clr);
// JIT code.
LG_MUST_CHECK struct lg_error *lg_code_heaps_read(struct lg_clr *clr);
// The same as the DAC tells, where the descriptor does not.
LG_MUST_CHECK struct lg_error *lg_told_loader_heaps(struct lg_clr *clr);
LG_MUST_CHECK struct lg_error *lg_told_code_heaps(struct lg_clr *clr);
// Card tables and the like, free regions, handle tables.
LG_MUST_CHECK struct lg_error *lg_gc_native_heaps_read(struct lg_clr *clr);

bool lg_native_heap_add(struct lg_clr *clr, struct lg_native_heap heap); // False: out of memory.

// How many bytes from `start` on, at most `size`, are readable memory: committed, in the runtime's word.
// What it has only reserved is mapped without access.
uint64_t lg_committed_bytes(const struct lg_target *target, uint64_t start, uint64_t size);

// How many of these bytes are readable memory, wherever in the run they lie.
uint64_t lg_readable_bytes(const struct lg_target *target, uint64_t start, uint64_t size);

#endif
