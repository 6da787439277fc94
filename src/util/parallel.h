// Work on all processors.
#ifndef LG_UTIL_PARALLEL_H
#define LG_UTIL_PARALLEL_H

#include <stddef.h>

// How many workers lg_parallel() uses: processors that this process might run on when it was first
// asked, at most `LG_WORKERS_MAX`. It never changes: arrays may have a place for each.
enum { LG_WORKERS_MAX = 64 };
size_t lg_workers(void);

// Calls `work(data, i, worker)` for every i below `count`, in no particular order, on lg_workers()
// threads of which the caller's is one; `worker` (below lg_workers()) tells the threads apart. Returns
// when all is done. A thread that cannot be started is done without.
void lg_parallel(size_t count, void (*work)(void *data, size_t i, size_t worker), void *data);

#endif
