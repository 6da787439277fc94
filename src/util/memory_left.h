// Memory that can still be had, of a control group or of the machine: whichever is less.
//
// Where a limit is in the way, the kernel kills for it instead of failing a call. So whoever is about to
// take much asks before.
#ifndef LG_UTIL_MEMORY_LEFT_H
#define LG_UTIL_MEMORY_LEFT_H

#include <stdint.h>

#include "util/error.h"

// Bytes that a process, whose /proc/PID is open as `proc`, can have before anything is killed;
// UINT64_MAX: unknown. Clean pages of files count as such.
uint64_t lg_memory_left(int proc);

// Whether linger can have so many bytes, beside what it has touched already. The error says what would
// take them (`format`: "a graph of 7 objects"), how many are left, of what, and what would help.
LG_MUST_CHECK struct lg_error *lg_memory_need(uint64_t bytes, const char *format, ...) LG_PRINTF(2, 3);

#endif
