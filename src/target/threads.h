// The threads of a live process: their names, and their numbers in the process's own PID namespace.
#ifndef LG_TARGET_THREADS_H
#define LG_TARGET_THREADS_H

#include "target/target.h"

// The number that the process with this /proc/PID/status text has in its own PID namespace.
uint32_t lg_threads_ns_pid(const char *status, uint32_t pid);

// Fills in `ns_tid` and `name` of every thread, as far as /proc/PID, open as `dir`, still knows them.
void lg_threads_describe(int dir, struct lg_target *target);

#endif
