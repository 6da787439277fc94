#include "target/freeze_call.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "util/error.h"

enum {
    FRAME = 320, // Of rt_sigframe as far as the kernel reads it, rounded up.
    COPY_FRAME = FRAME,
    STATE = 2 * FRAME,
    STATE_MAX = 16 << 10,
    RED_ZONE = 128,
    SPARE = 16 << 10, // Below the block, for signals that arrive if we die.
};

static bool in_call(const struct user_regs_struct *r)
{
    return (long)r->orig_rax >= 0;
}

static bool restarts_by_itself(const struct user_regs_struct *r)
{
    long result = (long)r->rax;
    return in_call(r)
           && (result == -LG_ERESTARTSYS || result == -LG_ERESTARTNOINTR
               || result == -LG_ERESTARTNOHAND);
}

// Whether there is room on the thread's stack for all that may be written.
static bool has_room(const struct lg_freeze *freeze, const struct lg_tracee *t)
{
    uint64_t at = t->registers.rsp;
    const struct lg_range *range = lg_target_find(freeze->maps, at);
    // As long as a thread lives, it has its stack.
    if (!range && t->tid == freeze->cloner && at >= freeze->stack.start && at < freeze->stack.end)
        range = &freeze->stack;
    return range && (range->access & (LG_READ | LG_WRITE)) == (LG_READ | LG_WRITE)
           && at - range->start > RED_ZONE + STATE + STATE_MAX + SPARE;
}

// In a restartable sequence (rseq(2)) a thread may not be sent elsewhere.
static bool is_in_sequence(const struct lg_freeze *freeze, int tid)
{
#ifdef PTRACE_GET_RSEQ_CONFIGURATION
    struct __ptrace_rseq_configuration rseq = { 0 };
    uint64_t sequence = 0;
    long n = ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof(rseq), &rseq);
    if (n <= 0 || !rseq.rseq_abi_pointer)
        return false;
    uint64_t at = rseq.rseq_abi_pointer + 8; // struct rseq: rseq_cs
    return lg_proc_mem_read(&freeze->mem, &sequence, sizeof(sequence), at) == sizeof(sequence)
           && sequence != 0;
#else
    return false;
#endif
}

int lg_call_fitness(const struct lg_freeze *freeze, const struct lg_tracee *t)
{
    if (t->state != LG_TRACEE_STOPPED || !t->has_registers || !has_room(freeze, t))
        return -1;
    if (restarts_by_itself(&t->registers))
        return 3;
    if (in_call(&t->registers))
        return (long)t->registers.rax == -LG_ERESTART_RESTARTBLOCK ? 0 : 2;
    return is_in_sequence(freeze, t->tid) ? -1 : 1;
}

// rt_sigframe (torvalds/linux arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h @00c65c8), in
// words:
//
//     0 return address | 1 uc_flags | 2 uc_link | 3-5 uc_stack | 6-23 r8 … r15 rdi rsi rbp rbx rdx rax
//     rcx rsp rip eflags | 24 cs gs fs ss | 25 err | 26 trapno | 27 oldmask | 28 cr2 | 29 fpstate |
//     30-37 reserved | 38 uc_sigmask
static void write_frame(uint8_t *frame, const struct user_regs_struct *r, uint64_t sigreturn,
                        uint64_t mask, uint64_t state)
{
    uint64_t words[FRAME / 8] = { sigreturn };
    words[1] = (state ? 1u : 0u) | 2 | 4; // UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
    words[4] = 0x7fff; // Of uc_stack, the flags: invalid, so that the alternate stack stays as it is.
    uint64_t context[] = { r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rdi,
                           r->rsi, r->rbp, r->rbx, r->rdx, r->rax, r->rcx, r->rsp, r->rip, r->eflags };
    memcpy(words + 6, context, sizeof(context));
    words[24] = (r->cs & 0xffff) | r->ss << 48;
    words[29] = state;
    words[38] = mask;
    memcpy(frame, words, sizeof(words));
}

// What the thread is to have when it goes on without us: the kernel's own way to restart a call.
static struct user_regs_struct resumed(const struct user_regs_struct *stopped)
{
    struct user_regs_struct r = *stopped;
    if (restarts_by_itself(&r)) {
        r.rax = r.orig_rax;
        r.rip -= 2;
    } else if (in_call(&r) && (long)r.rax == -LG_ERESTART_RESTARTBLOCK) {
        r.rax = (uint64_t)-EINTR; // rt_sigreturn forgets the restart block.
    }
    return r;
}

// Fetches the vector state in the form of a signal frame; its size, or 0. The register set has room for
// every feature; bytes 464-511, which XSAVE leaves to software, begin with the mask of the enabled ones.
static uint32_t read_state(int tid, uint8_t state[STATE_MAX])
{
    enum { AMX = 3 << 17 };
    struct iovec io = { state, STATE_MAX };
    if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &io) != 0 || io.iov_len < 576)
        return 0;
    uint64_t enabled, used;
    memcpy(&enabled, state + 464, sizeof(enabled));
    memcpy(&used, state + 512, sizeof(used));
    if (used & AMX)
        return 0;
    enabled &= ~(uint64_t)AMX;
    uint32_t size = 576;
    for (uint32_t i = 2, bytes, offset, c, d; i < 63; i++) {
        if (enabled >> i & 1 && __get_cpuid_count(13, i, &bytes, &offset, &c, &d)
            && offset + bytes > size)
            size = offset + bytes;
    }
    if (size + 4 > STATE_MAX || size > io.iov_len)
        return 0;
    // struct _fpx_sw_bytes: magic, size with the second magic, features, size
    uint32_t magic[2] = { 0x46505853, size + 4 }, magic2 = 0x46505845;
    memcpy(state + 464, magic, sizeof(magic));
    memcpy(state + 472, &enabled, sizeof(enabled));
    memcpy(state + 480, &size, sizeof(size));
    memcpy(state + size, &magic2, sizeof(magic2));
    return size;
}

// A TID that has come to be another process's would have us write into the wrong one.
static bool is_its_own(const struct lg_freeze *freeze, int tid)
{
    char name[64];
    struct stat st;
    snprintf(name, sizeof(name), "task/%d", tid);
    return fstatat(freeze->proc, name, &st, 0) == 0;
}

static void fill_block(const struct lg_call *call, uint8_t *block, const uint8_t *state, uint32_t size)
{
    const struct user_regs_struct *stopped = &call->thread->registers;
    const struct lg_gadgets *gadgets = &call->freeze->gadgets;
    memcpy(block + STATE, state, size + 4);
    struct user_regs_struct own = resumed(stopped), copy = *stopped;
    write_frame(block, &own, gadgets->sigreturn, call->mask, call->base + STATE);
    copy.rax = SYS_exit_group;
    copy.rdi = 0;
    copy.rip = gadgets->system_call;
    copy.rsp = call->base;
    write_frame(block + COPY_FRAME, &copy, gadgets->sigreturn, ~UINT64_C(0), 0);
}

struct lg_error *lg_call_begin(struct lg_call *call, struct lg_freeze *freeze, struct lg_tracee *thread)
{
    *call = (struct lg_call){ .freeze = freeze, .thread = thread };
    _cleanup_free_ uint8_t *state = malloc(STATE_MAX);
    _cleanup_free_ uint8_t *block = malloc(STATE + STATE_MAX);
    _cleanup_free_ uint8_t *before = malloc(STATE + STATE_MAX);
    if (!state || !block || !before)
        return &lg_no_memory;
    if (!is_its_own(freeze, thread->tid))
        return lg_error_new(LG_ERR_NOT_FOUND, "thread %d has ended", thread->tid);
    if (!lg_gadgets_hold(&freeze->gadgets, &freeze->mem))
        return lg_error_new(LG_ERR_UNSUPPORTED, "the C library is not where it was");
    uint32_t size = read_state(thread->tid, state);
    if (size == 0)
        return lg_error_new(LG_ERR_UNSUPPORTED, "thread %d uses vector state that cannot be restored",
                            thread->tid);
    if (ptrace(PTRACE_GETSIGMASK, thread->tid, (void *)sizeof(call->mask), &call->mask) != 0)
        return lg_error_os(errno, "thread %d: signal mask", thread->tid);

    call->base = (thread->registers.rsp - RED_ZONE - STATE - size - 4) & ~UINT64_C(63);
    call->copy_stack = call->base + COPY_FRAME;
    size_t len = STATE + size + 4;
    fill_block(call, block, state, size);
    if (lg_proc_mem_read(&freeze->mem, before, len, call->base) != (ssize_t)len)
        return lg_error_new(LG_ERR_FAULT, "thread %d has no stack", thread->tid);
    call->before = lg_steal(before);
    call->len = len;
    if (lg_proc_mem_write(&freeze->mem, block, len, call->base) != (ssize_t)len)
        return lg_error_new(LG_ERR_FAULT, "thread %d: its stack cannot be written", thread->tid);
    return NULL;
}

struct lg_error *lg_call_arm(struct lg_call *call, long number, const uint64_t args[4])
{
    int tid = call->thread->tid;
    struct user_regs_struct r = call->thread->registers;
    r.rip = call->freeze->gadgets.system_call;
    r.rsp = call->base;
    r.rax = (uint64_t)number;
    r.orig_rax = UINT64_MAX; // In no call: there is none to restart.
    r.rdi = args[0];
    r.rsi = args[1];
    r.rdx = args[2];
    r.r10 = args[3];
    r.r8 = r.r9 = 0;
    r.eflags &= ~UINT64_C(0x500); // Trap and direction flag.
    call->is_armed = true;
    if (ptrace(PTRACE_SETREGS, tid, 0, &r) != 0)
        return lg_error_os(errno, "thread %d: set registers", tid);
    // No signal before the call is over; the frame, and lg_call_end, know the thread's own mask. Faults
    // cannot wait: the kernel would reset their handlers.
    uint64_t faults = UINT64_C(1) << (SIGSEGV - 1) | UINT64_C(1) << (SIGBUS - 1)
                      | UINT64_C(1) << (SIGILL - 1) | UINT64_C(1) << (SIGFPE - 1)
                      | UINT64_C(1) << (SIGTRAP - 1) | UINT64_C(1) << (SIGSYS - 1);
    uint64_t mask = ~faults;
    if (ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof(mask), &mask) != 0)
        return lg_error_os(errno, "thread %d: set signal mask", tid);
    return NULL;
}

struct lg_error *lg_call(struct lg_call *call, struct lg_freeze *freeze, struct lg_tracee *thread,
                         long number, const uint64_t args[4])
{
    struct lg_error *err = lg_call_begin(call, freeze, thread);
    if (!err)
        err = lg_call_arm(call, number, args);
    if (!err)
        err = lg_call_run(call);
    lg_call_end(call);
    return err;
}
