// Two pieces of code that every process on x86-64 has mapped, usually in its C library:
//
//     system_call:   syscall; ret
//     sigreturn:     mov $15, %eax or %rax; syscall       (what a signal handler returns to)
//
// A thread sent to the first makes a system call and then returns to the second, which restores all its
// registers from a signal frame.
#ifndef LG_TARGET_GADGETS_H
#define LG_TARGET_GADGETS_H

#include "target/proc_mem.h"
#include "target/target.h"

struct lg_gadgets {
    uint64_t system_call, sigreturn; // 0: not found
};

// Looks through the executable ranges of `target` with the memory of the same process open as `mem`.
// Keeps what `*gadgets` has if that is still there. False if one is not to be found.
bool lg_gadgets_find(const struct lg_target *target, const struct lg_proc_mem *mem,
                     struct lg_gadgets *gadgets);

// Whether both are where they were found.
bool lg_gadgets_hold(const struct lg_gadgets *gadgets, const struct lg_proc_mem *mem);

#endif
