// The copy of a stopped process: made by a clone of one of its threads, reaped by a wait of one.
//
// The copy has no exit signal, so that the process hears nothing of its end; but it is a child, and
// stays a zombie until it is waited for. It shares the table of open files while it comes to be, and
// then leaves it: a socket that the process closes is closed, and the port of a process that ends is
// free.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target/freeze_call.h"
#include "target/proc.h"
#include "target/seccomp.h"
#include "target/threads.h"
#include "target/watchdog.h"
#include "util/error.h"

enum {
    SIGNALS_MAX = 32, // That are let through to find a thread that can make the copy.
    COPY_MS = 5000,   // For a process that was just made to stop before its first instruction.

};

static void refuse(struct lg_freeze *freeze, const char *why)
{
    snprintf(freeze->refusal, sizeof(freeze->refusal), "%s", why);
}

// The fittest thread that has not been tried.
static struct lg_tracee *pick(struct lg_freeze *freeze, const struct lg_map *tried)
{
    struct lg_tracee *best = NULL;
    int best_fitness = -1;
    for (size_t i = 0; i < freeze->tracees.len; i++) {
        uint32_t unused;
        struct lg_tracee *t = &freeze->tracees.at[i];
        int fitness = lg_map_get(tried, (uint64_t)t->tid, &unused) ? -1 : lg_call_fitness(freeze, t);
        if (fitness > best_fitness) {
            best = t;
            best_fitness = fitness;
        }
    }
    return best;
}

// Of a process all of whose threads stand before a signal, one is let to have it.
static bool deliver_one(struct lg_freeze *freeze)
{
    for (size_t i = 0; i < freeze->tracees.len; i++) {
        if (freeze->tracees.at[i].state == LG_TRACEE_SIGNAL)
            return lg_freeze_deliver(freeze, &freeze->tracees.at[i]);
    }
    return false;
}

// Until the copy has been waited for, somebody else has to do it if we are killed.
static void note_copy(const struct lg_call *call)
{
    struct lg_journal *journal = call->freeze->journal;
    if (!journal)
        return;
    atomic_store(&journal->cloner, call->thread->tid);
    atomic_store(&journal->system_call, call->freeze->gadgets.system_call);
    atomic_store(&journal->sigreturn, call->freeze->gadgets.sigreturn);
    atomic_store(&journal->stack, call->base);
    atomic_store(&journal->has_copy, true);
}

static void note_no_copy(struct lg_freeze *freeze)
{
    if (freeze->journal)
        atomic_store(&freeze->journal->has_copy, false);
}

// Whether the thread's filters let it make a copy, and wait for it in the end.
static bool is_let(struct lg_freeze *freeze, const struct lg_tracee *t)
{
    const uint64_t clone_args[4] = { CLONE_FILES }, wait_args[4] = { 1, 0, __WALL | WNOHANG, 0 };
    enum lg_verdict verdict = lg_seccomp_verdict(freeze->proc, t->tid, SYS_clone, clone_args);
    const char *what = "clone";
    if (verdict == LG_SECCOMP_LETS) {
        verdict = lg_seccomp_verdict(freeze->proc, t->tid, SYS_wait4, wait_args);
        what = "wait4";
    }
    if (verdict == LG_SECCOMP_LETS)
        return true;
    char why[sizeof(freeze->refusal)];
    if (verdict == LG_SECCOMP_UNSEEN)
        snprintf(why, sizeof(why),
                 "it has seccomp filters that linger may not read, which takes CAP_SYS_ADMIN, and they "
                 "may kill it for that");
    else
        snprintf(why, sizeof(why), "its seccomp filter %s %s",
                 verdict == LG_SECCOMP_REFUSES ? "refuses" : "would harm it for", what);
    refuse(freeze, why);
    return false;
}

// Has thread `t` make the copy. True: no other thread need be tried.
static bool clone_by(struct lg_freeze *freeze, struct lg_tracee *t, struct lg_error **err_ret)
{
    if (!is_let(freeze, t))
        return true;
    struct lg_call call;
    struct lg_error *err = lg_call_begin(&call, freeze, t);
    bool begun = !err;
    if (!err) {
        note_copy(&call);
        err = lg_call_arm(&call, SYS_clone, (uint64_t[4]){ CLONE_FILES, call.copy_stack });
    }
    if (!err)
        err = lg_call_run(&call);
    if (call.child) // It is complete: nobody else has to wait until this thread gets a processor again.
        lg_freeze_resume_others(freeze, t);
    lg_call_end(&call);
    if (call.child == 0 && t->state != LG_TRACEE_MOVING)
        note_no_copy(freeze);
    freeze->copy = call.child;
    freeze->cloner = t->tid;
    const struct lg_range *stack = lg_target_find(freeze->maps, t->registers.rsp);
    freeze->stack = stack ? *stack : (struct lg_range){ 0 };
    if (err) {
        refuse(freeze, lg_error_message(err));
    } else if (call.child == 0) {
        char why[64];
        snprintf(why, sizeof(why), "clone: %s", strerror((int)-call.result));
        refuse(freeze, why);
    }
    *err_ret = err && begun && lg_error_kind(err) == LG_ERR_NOT_FOUND ? err : NULL;
    if (err && !*err_ret)
        lg_error_free(err);
    return begun;
}

// With a shadow stack a return to an address that was not called is a fault.
static bool can_return_anywhere(const struct lg_freeze *freeze)
{
    char status[LG_PROC_TEXT];
    if (lg_proc_read(freeze->proc, "status", status, sizeof(status)) < 0)
        return false;
    const char *features = strstr(status, "x86_Thread_features:");
    return !features || !memmem(features, strcspn(features, "\n"), "shstk", 5);
}

static struct lg_error *make_copy(struct lg_freeze *freeze)
{
    if (!freeze->gadgets.system_call || !freeze->gadgets.sigreturn) {
        refuse(freeze, "no code to make a system call with");
        return NULL;
    }
    if (!can_return_anywhere(freeze)) {
        refuse(freeze, "its threads have shadow stacks");
        return NULL;
    }
    refuse(freeze, "no thread is fit to make it");
    struct lg_map tried = { 0 };
    struct lg_error *err = NULL;
    bool done = false;
    for (int signals = 0; !done && signals < SIGNALS_MAX;) {
        struct lg_tracee *t = pick(freeze, &tried);
        if (t)
            done = !lg_map_put(&tried, (uint64_t)t->tid, 0) || clone_by(freeze, t, &err);
        else if (deliver_one(freeze))
            signals++;
        else
            break;
    }
    lg_map_free(&tried);
    return err;
}

static bool await_copy(struct lg_freeze *freeze)
{
    int status;
    return lg_freeze_wait(freeze, freeze->copy, COPY_MS, &status) == freeze->copy && WIFSTOPPED(status);
}

// Makes the copy leave the table of files that it shares with the process. It is not ours to try where a
// filter may kill for a call that it does not know.
static void leave_files(struct lg_freeze *freeze, const char *status_text)
{
    struct user_regs_struct r;
    int copy = freeze->copy;
    if (lg_proc_field(status_text, "Seccomp", 0) != 0 || ptrace(PTRACE_GETREGS, copy, 0, &r) != 0)
        return;
    r.rip = freeze->gadgets.system_call;
    r.rax = SYS_close_range;
    r.orig_rax = UINT64_MAX;
    r.rdi = 0;
    r.rsi = UINT32_MAX;
    r.rdx = CLOSE_RANGE_UNSHARE;
    if (ptrace(PTRACE_SETREGS, copy, 0, &r) != 0)
        return;
    for (int stop = 0; stop < 2; stop++) { // Enters, leaves.
        if (ptrace(PTRACE_SYSCALL, copy, 0, 0) != 0 || !await_copy(freeze))
            return;
    }
}

// Should memory run out, the copy is to go first.
static void offer_to_oom_killer(int proc)
{
    int fd = openat(proc, "oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = write(fd, "1000", 4);
    (void)n;
    close(fd);
}

static struct lg_error *settle_copy(struct lg_freeze *freeze)
{
    char text[LG_PROC_TEXT] = "";
    freeze->copy_ns_pid = freeze->copy;
    bool is_there = await_copy(freeze);
    if (is_there)
        ptrace(PTRACE_SETOPTIONS, freeze->copy, 0,
               (void *)(long)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
    _cleanup_close_ int proc = lg_proc_open(freeze->copy);
    if (lg_proc_read(proc, "status", text, sizeof(text)) > 0)
        freeze->copy_ns_pid = (int)lg_threads_ns_pid(text, (uint32_t)freeze->copy);
    if (!is_there)
        return lg_error_new(LG_ERR_NOT_FOUND, "its copy was killed at once: is memory short?");
    offer_to_oom_killer(proc);
    leave_files(freeze, text);
    return NULL;
}

struct lg_error *lg_freeze_copy(struct lg_freeze *freeze)
{
    freeze->copy = 0;
    freeze->copy_ended = false;
    struct lg_error *err = make_copy(freeze);
    if (err || freeze->copy)
        lg_freeze_resume(freeze);
    if (!err && freeze->copy)
        err = settle_copy(freeze);
    if (err)
        lg_freeze_end(freeze);
    return err;
}

bool lg_freeze_has_copy(struct lg_freeze *freeze)
{
    int status = 0;
    if (freeze->copy && !freeze->copy_ended)
        freeze->copy_ended =
            waitpid(freeze->copy, &status, __WALL | WNOHANG) != 0 && !WIFSTOPPED(status);
    return freeze->copy && !freeze->copy_ended;
}

static void kill_copy(struct lg_freeze *freeze)
{
    int status;
    if (!freeze->copy_ended) {
        // To send a signal takes CAP_KILL; its tracer may end it without. Where that just lets it go on
        // (Linux before 5.19), its stack leads to exit_group.
        if (kill(freeze->copy, SIGKILL) != 0)
            ptrace(PTRACE_KILL, freeze->copy, 0, 0);
        while (waitpid(freeze->copy, &status, __WALL) == freeze->copy && WIFSTOPPED(status))
            ptrace(PTRACE_KILL, freeze->copy, 0, 0);
    }
    lg_freeze_reap(freeze);
    note_no_copy(freeze);
    freeze->copy = 0;
}

void lg_freeze_end(struct lg_freeze *freeze)
{
    lg_freeze_resume(freeze);
    if (freeze->copy)
        kill_copy(freeze);
}
