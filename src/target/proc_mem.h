// The memory of a process that we may trace, while it is stopped or runs.
//
// /proc/PID/mem is best: it stays with the memory that it was opened for, and reading costs nothing. But
// it is a file, and the process's user's: CAP_SYS_PTRACE does not open it, CAP_DAC_READ_SEARCH does, for
// reading, or CAP_DAC_OVERRIDE. With the former alone there are process_vm_readv(2) and its sister. They
// pin what they read: of a process that was forked the kernel then copies every such page
// (torvalds/linux mm/gup.c @00c65c8, gup_must_unshare; since 5.19).
#ifndef LG_TARGET_PROC_MEM_H
#define LG_TARGET_PROC_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lg_proc_mem {
    int fd;           // /proc/PID/mem; -1: through `pid`.
    int pid;          // 0: not open
    bool is_writable; // Through `fd`.
};
#define LG_PROC_MEM_NONE ((struct lg_proc_mem){ .fd = -1 })

// `proc` is /proc/PID. False: no right to, or it is gone.
bool lg_proc_mem_open(int proc, int pid, bool writable, struct lg_proc_mem *ret);
void lg_proc_mem_close(struct lg_proc_mem *mem);
static inline bool lg_proc_mem_is_open(const struct lg_proc_mem *mem)
{
    return mem->pid != 0;
}
// Whether reading makes a copied process's pages its own.
static inline bool lg_proc_mem_pins(const struct lg_proc_mem *mem)
{
    return mem->fd < 0;
}

// Bytes read or written, up to the first that cannot be; below 0: none.
ssize_t lg_proc_mem_read(const struct lg_proc_mem *mem, void *buf, size_t len, uint64_t address);
ssize_t lg_proc_mem_write(const struct lg_proc_mem *mem, const void *buf, size_t len, uint64_t address);

#endif
