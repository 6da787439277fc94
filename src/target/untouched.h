// Anonymous memory that a process has never touched: it reads as zeros, but to read it, from outside
// too, makes it resident in the process for good (Linux 6.18, measured: /proc/PID/mem and
// process_vm_readv). Whoever reads a process itself, and not a copy of it, leaves such pages alone.
#ifndef LG_TARGET_UNTOUCHED_H
#define LG_TARGET_UNTOUCHED_H

#include "target/target.h"

// How many bytes from `address` on, `len` at most, are such memory; if none, `*other_ret` is how many
// are not. `pagemap` is that of the process, -1: nothing is known, and nothing is untouched.
size_t lg_untouched(int pagemap, const struct lg_target *target, uint64_t address, size_t len,
                    size_t *other_ret);

#endif
