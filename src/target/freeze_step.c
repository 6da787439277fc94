// Takes a thread that was sent to a system call through it, stop by stop, and back:
//
//     armed ─► call entered ─► call left, or child made ─► interrupted ─► as it was
//              PTRACE_SYSCALL              PTRACE_EVENT_CLONE   PTRACE_INTERRUPT
//
// It is put back where the kernel looks for calls to restart: in a stop for PTRACE_INTERRUPT, not at the
// end of a call.
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target/freeze_call.h"
#include "target/watchdog.h"
#include "util/error.h"

enum event { ENDED, LATE, AT_CALL, MADE_CHILD, INTERRUPTED, SIGNALLED };

enum {
    STOPS_MAX = 64,   // On the way of one call, signals and all.
    ENTER_MS = 1000,  // Nothing is in the way, unless the process is frozen by its cgroup.
    CALL_MS = 60000,  // Copying 4 GB takes some 50 ms.
    SECCOMP_TRAP = 1, // SYS_SECCOMP (sigaction(2))
};

static enum event tell(int status, int *signal_ret)
{
    if (!WIFSTOPPED(status))
        return ENDED;
    *signal_ret = WSTOPSIG(status);
    if (*signal_ret == (SIGTRAP | 0x80))
        return AT_CALL;
    switch (status >> 16) {
    case 0:
        return SIGNALLED;
    case PTRACE_EVENT_CLONE:
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
        return MADE_CHILD;
    default:
        return INTERRUPTED;
    }
}

static enum event await_event(struct lg_call *call, unsigned limit_ms, int *signal_ret)
{
    int status, pid = lg_freeze_wait(call->freeze, call->thread->tid, limit_ms, &status);
    return pid == 0 ? LATE : pid < 0 ? ENDED : tell(status, signal_ret);
}

// A signal that is sent again once the call is over: by us, or by the watchdog.
static void defer(struct lg_call *call, int sig)
{
    struct lg_journal *journal = call->freeze->journal;
    call->deferred = sig;
    if (journal) {
        atomic_store(&journal->tid, call->thread->tid);
        atomic_store(&journal->signal, sig);
    }
}

// A signal that cannot wait until the call is over. A fault is deferred. SIGSTOP is not: sent again, it
// would undo a SIGCONT that came after it. It is let through: the process is to stop from then on, which
// a traced thread takes note of, to go on all the same (group-stop, ptrace(2)); let go, it stops, unless
// a SIGCONT has come.
static void meet(struct lg_call *call, int sig)
{
    if (sig == SIGSTOP)
        call->let_through = sig;
    else
        defer(call, sig);
}

// Goes on to the next stop.
static enum event go(struct lg_call *call, int request, unsigned limit_ms)
{
    int tid = call->thread->tid, sig = 0;
    if (ptrace(request, tid, 0, (void *)(intptr_t)call->let_through) != 0) {
        // It was killed in its stop; there is nothing to see but its end.
        call->thread->state = LG_TRACEE_MOVING;
        return ENDED;
    }
    call->has_left = true;
    call->let_through = 0;
    enum event event = await_event(call, limit_ms, &sig);
    if (event == ENDED)
        call->thread->state = LG_TRACEE_GONE;
    if (event == LATE)
        call->thread->state = LG_TRACEE_MOVING;
    if (event == SIGNALLED)
        meet(call, sig);
    return event;
}

// A filter that refuses by a signal has left SIGSYS with the thread: it is ours, and not delivered.
static bool was_trapped(int tid)
{
    struct __ptrace_peeksiginfo_args args = { .nr = 8 };
    siginfo_t pending[8];
    long n = ptrace(PTRACE_PEEKSIGINFO, tid, &args, pending);
    for (long i = 0; i < n; i++) {
        if (pending[i].si_signo == SIGSYS && pending[i].si_code == SECCOMP_TRAP)
            return true;
    }
    return false;
}

static void finish(struct lg_call *call)
{
    int tid = call->thread->tid;
    struct user_regs_struct r;
    call->result = ptrace(PTRACE_GETREGS, tid, 0, &r) == 0 ? (long)r.rax : -ESRCH;
    if (!was_trapped(tid))
        return;
    call->result = -EPERM;
    if (go(call, PTRACE_CONT, ENTER_MS) == SIGNALLED && call->deferred == SIGSYS)
        defer(call, 0);
}

static void keep_child(struct lg_call *call)
{
    unsigned long child = 0;
    if (ptrace(PTRACE_GETEVENTMSG, call->thread->tid, 0, &child) == 0)
        call->child = (int)child;
}

// Whether a signal came before the call could begin: the kernel then makes it anew.
static bool is_made_again(const struct lg_call *call)
{
    struct user_regs_struct r;
    return ptrace(PTRACE_GETREGS, call->thread->tid, 0, &r) == 0 && (long)r.rax == -LG_ERESTARTNOINTR;
}

static struct lg_error *not_made(struct lg_call *call, enum event event)
{
    if (event == LATE)
        return lg_error_new(LG_ERR_OS, "thread %d does not run when told to: is the process frozen?",
                            call->thread->tid);
    return lg_error_new(LG_ERR_NOT_FOUND, "ended while it was stopped");
}

struct lg_error *lg_call_run(struct lg_call *call)
{
    long options =
        PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
    if (ptrace(PTRACE_SETOPTIONS, call->thread->tid, 0, (void *)options) != 0)
        return lg_error_os(errno, "thread %d: set options", call->thread->tid);
    bool entered = false;
    for (int stops = 0; stops < STOPS_MAX; stops++) {
        enum event event = go(call, PTRACE_SYSCALL, entered ? CALL_MS : ENTER_MS);
        if (event == ENDED || event == LATE)
            return not_made(call, event);
        if (event == MADE_CHILD) {
            keep_child(call);
            return NULL;
        }
        if (event == AT_CALL && entered && !is_made_again(call)) {
            finish(call);
            return NULL;
        }
        if (event == AT_CALL)
            entered = !entered;
    }
    return not_made(call, LATE);
}

// Brings the thread to a stop of the kind that it was found in.
static bool come_to_rest(struct lg_call *call)
{
    int tid = call->thread->tid, sig = 0;
    enum event event = SIGNALLED;
    for (int stops = 0; stops < STOPS_MAX && event != INTERRUPTED; stops++) {
        ptrace(PTRACE_INTERRUPT, tid, 0, 0);
        if (call->thread->state == LG_TRACEE_MOVING) {
            event = await_event(call, ENTER_MS, &sig);
            call->thread->state = event == ENDED  ? LG_TRACEE_GONE
                                  : event == LATE ? LG_TRACEE_MOVING
                                                  : LG_TRACEE_STOPPED;
            if (event == SIGNALLED)
                meet(call, sig);
        } else {
            event = go(call, PTRACE_CONT, ENTER_MS);
        }
        if (event == ENDED || event == LATE)
            return false;
    }
    return event == INTERRUPTED;
}

void lg_call_end(struct lg_call *call)
{
    struct lg_tracee *t = call->thread;
    bool at_rest = t->state == LG_TRACEE_STOPPED;
    if (call->has_left)
        at_rest = t->state != LG_TRACEE_GONE && come_to_rest(call);
    // The order matters: until its registers are back, the thread needs its frame, and with them its
    // mask.
    if (at_rest && call->is_armed) {
        ptrace(PTRACE_SETOPTIONS, t->tid, 0, 0);
        ptrace(PTRACE_SETSIGMASK, t->tid, (void *)sizeof(call->mask), &call->mask);
        at_rest = ptrace(PTRACE_SETREGS, t->tid, 0, &t->registers) == 0;
    }
    if (at_rest && call->before) {
        ssize_t n = lg_proc_mem_write(&call->freeze->mem, call->before, call->len, call->base);
        (void)n; // What lies below a red zone is nobody's.
    }
    if (call->let_through && t->state == LG_TRACEE_STOPPED) { // It stands before it.
        t->state = LG_TRACEE_SIGNAL;
        t->signal = call->let_through;
    }
    if (call->deferred) {
        syscall(SYS_tgkill, call->freeze->pid, t->tid, call->deferred);
        defer(call, 0);
    }
    free(call->before);
    call->before = NULL;
}
