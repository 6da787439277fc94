// What a thread's seccomp filters do about a system call that we would have it make.
//
// A filter that refuses a call by an error does no harm; one that kills does, and so does one that
// raises SIGSYS, should we die before we have taken that away, or one that asks a supervisor. Filters
// can be read with CAP_SYS_ADMIN only, by a tracer that has none itself (PTRACE_SECCOMP_GET_FILTER).
// Where they cannot, those that are our own too are known to be harmless: same control group, same
// mounts, as many filters, as `docker exec` and `kubectl exec` have it. All others may do anything.
#ifndef LG_TARGET_SECCOMP_H
#define LG_TARGET_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a filter returns for a call: SECCOMP_RET_…. A filter that the kernel would not have taken kills.
uint32_t lg_seccomp_run(const struct sock_filter *filter, size_t count, const void *data, size_t size);

enum lg_verdict {
    LG_SECCOMP_LETS,
    LG_SECCOMP_REFUSES, // By an error.
    LG_SECCOMP_HARMS,
    LG_SECCOMP_UNSEEN, // There are filters, of another kind than ours, and we may not read them.
};

// Of thread `tid`, traced and stopped, of the process whose /proc/PID is open as `proc`. Arguments of
// pointers and the like may be anything.
enum lg_verdict lg_seccomp_verdict(int proc, int tid, long number, const uint64_t args[4]);

#endif
