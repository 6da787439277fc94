#include "target/proc_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "target/proc.h"
#include "util/cleanup.h"

// Asks for what no process has: the answer is EFAULT if we may, EPERM if we may not.
static bool may_access(int pid)
{
    char byte;
    struct iovec local = { &byte, 1 }, remote = { (void *)1, 1 };
    return lg_proc_self() == getpid()
           && (process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1 || errno == EFAULT);
}

bool lg_proc_mem_open(int proc, int pid, bool writable, struct lg_proc_mem *ret)
{
    *ret = (struct lg_proc_mem){ .fd = -1, .is_writable = writable };
    if (writable)
        ret->fd = openat(proc, "mem", O_RDWR | O_CLOEXEC);
    if (ret->fd < 0) {
        ret->is_writable = false;
        ret->fd = openat(proc, "mem", O_RDONLY | O_CLOEXEC);
    }
    if (ret->fd >= 0 || ((errno == EACCES || errno == EPERM) && may_access(pid)))
        ret->pid = pid;
    return lg_proc_mem_is_open(ret);
}

void lg_proc_mem_close(struct lg_proc_mem *mem)
{
    lg_closep(&mem->fd);
    *mem = LG_PROC_MEM_NONE;
}

ssize_t lg_proc_mem_read(const struct lg_proc_mem *mem, void *buf, size_t len, uint64_t address)
{
    struct iovec local = { buf, len }, remote = { (void *)(uintptr_t)address, len };
    return mem->fd >= 0 ? pread(mem->fd, buf, len, (off_t)address)
                        : process_vm_readv(mem->pid, &local, 1, &remote, 1, 0);
}

ssize_t lg_proc_mem_write(const struct lg_proc_mem *mem, const void *buf, size_t len, uint64_t address)
{
    struct iovec local = { (void *)(uintptr_t)buf, len }, remote = { (void *)(uintptr_t)address, len };
    return mem->is_writable ? pwrite(mem->fd, buf, len, (off_t)address)
                            : process_vm_writev(mem->pid, &local, 1, &remote, 1, 0);
}
