#include "target/freeze.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "target/proc.h"
#include "util/error.h"
#include "util/proc_text.h"

enum {
    NAP_NS = 500 * 1000, // At first,
    NAP_MAX_NS = 4 * NAP_NS,
    PATIENCE_MS = 10,   // With threads asleep in the kernel, for as long as the others stand still.
    DEADLINE_MS = 5000, // A thread that wants to run gets a processor by then, whatever the load.
    ROUNDS_MAX = 1000,  // Each stops all threads that there are when it starts.
};

uint64_t lg_freeze_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static double ms_since(uint64_t then)
{
    return (double)(lg_freeze_now() - then) / 1e6;
}

// Every stop of a tracee is a SIGCHLD for its tracer, which is how to wait for one and not forever.
// Should another thread of ours take the signal, the nap ends by itself. Whoever waits for long takes
// longer naps: on a busy machine each of them takes a processor from the thread that it waits for.
static void nap(long *ns)
{
    sigset_t sigchld;
    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    if (sigtimedwait(&sigchld, NULL, &(struct timespec){ .tv_nsec = *ns }) < 0 && *ns < NAP_MAX_NS)
        *ns *= 2;
}

// Whether this thread that has ended was a process that this one had started (`run`).
static bool is_ours(int tid)
{
    char name[32], text[LG_PROC_TEXT];
    snprintf(name, sizeof(name), "/proc/%d/status", tid);
    return lg_proc_read(AT_FDCWD, name, text, sizeof(text)) > 0
           && lg_proc_field(text, "PPid", -1) == getpid() && lg_proc_field(text, "Tgid", -1) == tid;
}

// As waitpid, but two things are only looked at. A stop before a signal: once it is waited for, the
// kernel has given the signal to us, and it is lost if we die (torvalds/linux kernel/exit.c @00c65c8,
// wait_task_stopped); looked at, it is delivered then. And the end of a process that we had started:
// its status is for whoever did that (ibid., wait_task_zombie).
static int look(int tid, int *status_ret)
{
    enum { STOPS = WSTOPPED | __WALL | WNOHANG };
    siginfo_t info = { 0 };
    if (waitid(P_PID, (id_t)tid, &info, WEXITED | STOPS | WNOWAIT) != 0)
        return -1;
    if (info.si_pid == 0)
        return 0;
    *status_ret = info.si_status << 8 | 0x7f;
    if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) {
        *status_ret = 0;
        return is_ours(tid) ? tid : waitpid(tid, status_ret, __WALL | WNOHANG);
    }
    if (info.si_code == CLD_TRAPPED && info.si_status >> 8 == 0 && info.si_status != (SIGTRAP | 0x80))
        return tid;
    info.si_pid = 0;
    if (waitid(P_PID, (id_t)tid, &info, STOPS) != 0) // It may have ended by now: that is for later.
        return -1;
    *status_ret = info.si_status << 8 | 0x7f;
    return info.si_pid;
}

// Takes note of what has happened to a thread; returns whether it is not moving any more.
static bool poll_tracee(struct lg_tracee *t)
{
    int status;
    pid_t pid = look(t->tid, &status);
    if (pid == 0)
        return false;
    t->signal = 0;
    if (pid < 0 || !WIFSTOPPED(status)) {
        t->state = LG_TRACEE_GONE;
    } else if (status >> 16 != 0 || WSTOPSIG(status) == (SIGTRAP | 0x80)) {
        // PTRACE_EVENT_STOP; or, of a call that came too late (freeze_step.c), its end or its child.
        t->state = LG_TRACEE_STOPPED;
    } else {
        t->state = LG_TRACEE_SIGNAL;
        t->signal = WSTOPSIG(status);
    }
    return true;
}

// The end of the first thread of a process that was killed is not told before those of all others have
// been seen, not even to its parent.
static void see_ends(struct lg_freeze *freeze, int but)
{
    if (lg_proc_state(freeze->proc, "stat") != 'Z')
        return;
    for (size_t i = 0; i < freeze->tracees.len; i++) {
        struct lg_tracee *t = &freeze->tracees.at[i];
        if (t->tid != but && t->state != LG_TRACEE_GONE)
            poll_tracee(t);
    }
}

int lg_freeze_wait(struct lg_freeze *freeze, int tid, unsigned limit_ms, int *status_ret)
{
    uint64_t started = lg_freeze_now();
    for (long ns = NAP_NS;;) {
        int pid = look(tid, status_ret);
        if (pid != 0 || lg_freeze_now() - started > (uint64_t)limit_ms * 1000000)
            return pid;
        see_ends(freeze, tid);
        nap(&ns);
    }
}

// Blocked where no signal wakes it (in vfork, or reading a disk), or a first thread that has ended
// before the others: it can be seen to stop or end only later, and does nothing until then.
static bool is_out_of_reach(const struct lg_freeze *freeze, int tid)
{
    char name[64];
    snprintf(name, sizeof(name), "task/%d/stat", tid);
    char state = lg_proc_state(freeze->proc, name);
    return state == 'D' || state == 'Z' || state == 'X' || state == 0;
}

bool lg_freeze_await(struct lg_freeze *freeze, struct lg_tracee *t)
{
    for (long ns = NAP_NS; !poll_tracee(t);) {
        double waited = ms_since(freeze->started);
        if (waited > DEADLINE_MS || (waited > PATIENCE_MS && is_out_of_reach(freeze, t->tid)))
            return false;
        nap(&ns);
    }
    return true;
}

// Calls that end with EINTR whenever they are interrupted, and restart after no stop by themselves
// (signal(7)). Nothing has happened yet when they do, so they can be made again as they were; a time
// limit then begins anew, which is what a loop around EINTR makes of it. A wait that takes longer than
// its limit is one that a program has to expect anyway; EINTR without a signal is not.
static bool is_cut_short(const struct user_regs_struct *r)
{
    if ((long)r->rax != -EINTR)
        return false;
    switch ((long)r->orig_rax) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_rt_sigtimedwait:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
        return true;
    default:
        return false;
    }
}

static void keep_registers(struct lg_tracee *t)
{
    struct iovec io = { &t->registers, sizeof(t->registers) };
    bool found = ptrace(PTRACE_GETREGSET, t->tid, (void *)NT_PRSTATUS, &io) == 0;
    // A 32-bit thread has a smaller set, and none that we could use.
    t->has_registers = found && io.iov_len == sizeof(t->registers);
    if (!t->has_registers || t->state != LG_TRACEE_STOPPED || !is_cut_short(&t->registers))
        return;
    // A signal that is pending for it still ends the call, as it would have.
    t->registers.rax = (uint64_t)-LG_ERESTARTNOHAND;
    ptrace(PTRACE_SETREGS, t->tid, 0, &t->registers);
}

static struct lg_error *await_all(struct lg_freeze *freeze)
{
    for (size_t i = 0; i < freeze->tracees.len; i++) {
        struct lg_tracee *t = &freeze->tracees.at[i];
        if (t->state != LG_TRACEE_MOVING)
            continue;
        lg_freeze_await(freeze, t);
        if (ms_since(freeze->started) > DEADLINE_MS && !is_out_of_reach(freeze, t->tid))
            return lg_error_new(LG_ERR_OS,
                                "thread %d did not stop within %d s: try again when the "
                                "machine is less busy",
                                t->tid, DEADLINE_MS / 1000);
        if (t->state == LG_TRACEE_STOPPED || t->state == LG_TRACEE_SIGNAL)
            keep_registers(t);
    }
    return NULL;
}

// Attaches to one thread. Ones that have ended are passed over.
static struct lg_error *seize(struct lg_freeze *freeze, int tid, bool *added)
{
    struct lg_tracee t = { .tid = tid, .state = LG_TRACEE_MOVING };
    if (ptrace(PTRACE_SEIZE, tid, 0, 0) != 0) {
        int reason = errno;
        char name[64];
        snprintf(name, sizeof(name), "task/%d/stat", tid);
        char state = lg_proc_state(freeze->proc, name);
        if (reason == ESRCH || state == 0 || state == 'Z' || state == 'X')
            return NULL;
        freeze->is_refused = true;
        return lg_freeze_denied(freeze->pid, freeze->proc, tid, &freeze->is_contended);
    }
    if (!lg_vec_push(&freeze->tracees, t)
        || !lg_map_put(&freeze->by_tid, (uint64_t)tid, (uint32_t)freeze->tracees.len - 1)) {
        // Nothing stops it yet; it is let go with the thread that attached.
        return &lg_no_memory;
    }
    *added = true;
    return NULL;
}

// One pass over the threads that there are. `added` tells whether one of them was new.
static struct lg_error *seize_all(struct lg_freeze *freeze, bool *added)
{
    *added = false;
    int fd = openat(freeze->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir)
        return NULL; // It has ended; no thread was found.
    struct lg_error *err = NULL;
    for (struct dirent *entry; !err && (entry = readdir(dir));) {
        uint32_t index;
        int tid = atoi(entry->d_name);
        if (tid > 0 && !lg_map_get(&freeze->by_tid, (uint64_t)tid, &index))
            err = seize(freeze, tid, added);
    }
    closedir(dir);
    return err;
}

static void interrupt_from(struct lg_freeze *freeze, size_t first)
{
    for (size_t i = first; i < freeze->tracees.len; i++)
        ptrace(PTRACE_INTERRUPT, freeze->tracees.at[i].tid, 0, 0);
}

// Whether as many threads stand still as there are: then no other can exist, as nobody is left to have
// made it.
static bool are_all_stopped(const struct lg_freeze *freeze)
{
    char status[LG_PROC_TEXT];
    size_t stopped = 0;
    for (size_t i = 0; i < freeze->tracees.len; i++)
        stopped += freeze->tracees.at[i].state == LG_TRACEE_STOPPED
                   || freeze->tracees.at[i].state == LG_TRACEE_SIGNAL;
    return lg_proc_read(freeze->proc, "status", status, sizeof(status)) > 0
           && lg_proc_field(status, "Threads", -1) == (int64_t)stopped;
}

// A thread that is let go takes the processor of the one that woke it, which has others to let go: so
// that one is not to be taken from, if we are allowed that, for as long as somebody waits for it.
static void hurry(struct lg_freeze *freeze)
{
    int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
    const struct sched_param lowest = { .sched_priority = 1 };
    freeze->is_urgent = (policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE)
                        && sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest) == 0;
    freeze->policy = policy;
}

static void be_calm(struct lg_freeze *freeze)
{
    const struct sched_param none = { 0 };
    if (freeze->is_urgent)
        sched_setscheduler(0, freeze->policy | SCHED_RESET_ON_FORK, &none);
    freeze->is_urgent = false;
}

static struct lg_error *stop_all(struct lg_freeze *freeze)
{
    bool added;
    freeze->is_contended = freeze->is_refused = false;
    for (size_t i = 0; i < freeze->tracees.len; i++) { // Left over from the last time.
        if (!lg_map_put(&freeze->by_tid, (uint64_t)freeze->tracees.at[i].tid, (uint32_t)i))
            return &lg_no_memory;
    }
    struct lg_error *err = seize_all(freeze, &added); // They run on: the pause has not begun.
    hurry(freeze);
    freeze->started = lg_freeze_now();
    clock_gettime(CLOCK_REALTIME, &freeze->taken);
    freeze->is_stopped = true;
    size_t interrupted = 0;
    for (int round = 0; !err && interrupted < freeze->tracees.len; round++) {
        if (round == ROUNDS_MAX)
            return lg_error_new(LG_ERR_OS, "makes threads faster than they can be stopped: try again");
        interrupt_from(freeze, interrupted);
        interrupted = freeze->tracees.len;
        err = await_all(freeze);
        if (err || are_all_stopped(freeze))
            break;
        err = seize_all(freeze, &added);
    }
    return err;
}

static struct lg_error *check_stopped(const struct lg_freeze *freeze)
{
    size_t alive = 0;
    for (size_t i = 0; i < freeze->tracees.len; i++) {
        const struct lg_tracee *t = &freeze->tracees.at[i];
        alive += t->state != LG_TRACEE_GONE;
        if (!t->has_registers && (t->state == LG_TRACEE_STOPPED || t->state == LG_TRACEE_SIGNAL))
            return lg_error_new(LG_ERR_UNSUPPORTED, "is not a 64-bit x86 process");
    }
    return alive > 0 ? NULL : lg_error_new(LG_ERR_NOT_FOUND, "ended while it was being stopped");
}

struct lg_error *lg_freeze_stop(struct lg_freeze *freeze)
{
    struct lg_error *err = stop_all(freeze);
    if (!err)
        err = check_stopped(freeze);
    if (err)
        lg_freeze_resume(freeze);
    return err;
}

struct lg_tracee *lg_freeze_stop_one(struct lg_freeze *freeze, int tid)
{
    bool added = false;
    lg_error_free(seize(freeze, tid, &added));
    if (!added)
        return NULL;
    freeze->started = lg_freeze_now();
    struct lg_tracee *t = &freeze->tracees.at[freeze->tracees.len - 1];
    ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    if (!lg_freeze_await(freeze, t) || t->state == LG_TRACEE_GONE)
        return NULL;
    keep_registers(t);
    return t;
}

bool lg_freeze_deliver(struct lg_freeze *freeze, struct lg_tracee *t)
{
    ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
    bool sent = ptrace(PTRACE_CONT, t->tid, 0, (void *)(intptr_t)t->signal) == 0;
    t->state = LG_TRACEE_MOVING;
    t->has_registers = false;
    if (!sent || !lg_freeze_await(freeze, t) || t->state == LG_TRACEE_GONE)
        return false;
    keep_registers(t);
    return true;
}

// Whether nothing is left to be done for the thread.
static bool let_go(struct lg_tracee *t)
{
    if (t->state == LG_TRACEE_MOVING)
        poll_tracee(t);
    if (t->state == LG_TRACEE_MOVING)
        return false;
    if (t->state == LG_TRACEE_GONE || ptrace(PTRACE_DETACH, t->tid, 0, (void *)(intptr_t)t->signal) == 0)
        return true;
    // It was killed as it stood there, and its end waits to be seen.
    t->state = LG_TRACEE_MOVING;
    return false;
}

bool lg_freeze_tend(struct lg_freeze *freeze)
{
    size_t kept = 0;
    for (size_t i = 0; i < freeze->tracees.len; i++) {
        struct lg_tracee *t = &freeze->tracees.at[i];
        if (!let_go(t) && !(t->state == LG_TRACEE_MOVING && poll_tracee(t) && let_go(t)))
            freeze->tracees.at[kept++] = *t;
    }
    freeze->tracees.len = kept;
    return kept > 0;
}

void lg_freeze_resume_others(struct lg_freeze *freeze, const struct lg_tracee *but)
{
    for (size_t i = 0; i < freeze->tracees.len; i++) {
        struct lg_tracee *t = &freeze->tracees.at[i];
        if (t != but && t->state != LG_TRACEE_MOVING && let_go(t))
            t->state = LG_TRACEE_GONE; // Nothing is left to be done for it.
    }
}

void lg_freeze_resume(struct lg_freeze *freeze)
{
    for (size_t i = 0; i < freeze->tracees.len; i++) {
        if (freeze->tracees.at[i].state == LG_TRACEE_MOVING) // Only stopped can it be let go.
            ptrace(PTRACE_INTERRUPT, freeze->tracees.at[i].tid, 0, 0);
    }
    lg_freeze_tend(freeze);
    if (freeze->is_stopped) {
        freeze->pause_ms = ms_since(freeze->started);
        be_calm(freeze);
    }
    freeze->is_stopped = false;
    lg_map_free(&freeze->by_tid);
}

void lg_freeze_deinit(struct lg_freeze *freeze)
{
    lg_vec_free(&freeze->tracees);
    lg_map_free(&freeze->by_tid);
}
