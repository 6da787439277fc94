// Whether a thread's seccomp filters end it for a system call.
//
// A filter that refuses a call does no harm; one that kills does, and the call would be ours. Filters
// can be read with CAP_SYS_ADMIN only (PTRACE_SECCOMP_GET_FILTER); without, nothing is known, and they
// are taken to be of the usual kind, which returns an error.
#ifndef LG_TARGET_SECCOMP_H
#define LG_TARGET_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a filter returns for a call: SECCOMP_RET_…. A filter that the kernel would not have taken kills.
uint32_t lg_seccomp_run(const struct sock_filter *filter, size_t count, const void *data, size_t size);

// Of a thread that is traced and stopped. Arguments of pointers and the like may be anything.
bool lg_seccomp_kills(int tid, long number, const uint64_t args[4]);

#endif
