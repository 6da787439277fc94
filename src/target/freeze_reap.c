// The end of a copy: it is a child of its process, and stays a zombie until that has waited for it. So
// we have it wait, by one of its threads, which is stopped for that.
//
// What tracers that were killed have left behind is taken along: zombies without an exit signal.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target/freeze_call.h"
#include "target/maps.h"
#include "target/proc.h"
#include "target/seccomp.h"
#include "target/threads.h"
#include "target/watchdog.h"
#include "util/error.h"

enum {
    SIGNALS_MAX = 32, // That are let through to a thread before another is tried.
    THREADS_MAX = 64, // That are tried.
    TRIES = 20,
    ORPHAN_TRIES = 6000, // To see a copy end, which is being killed: 10 ms each.
    ZOMBIES_MAX = 32,    // At a time.
    EXIT_SIGNAL = 38,    // Field of a stat file (proc(5)).
};

struct zombies {
    int ns_pids[ZOMBIES_MAX]; // As the process calls them.
    size_t count;
    size_t alive; // Children without an exit signal that have not ended.
    bool is_us;   // The one child is the caller, which ends when the process is about to wait for it.
};

// A child without an exit signal: one that has ended goes to the list.
static void add_child(const struct lg_freeze *freeze, int pid, struct zombies *zombies)
{
    char text[LG_PROC_TEXT];
    _cleanup_close_ int proc = pid > 0 ? lg_proc_open(pid) : -1;
    if (proc < 0 || zombies->count == ZOMBIES_MAX || lg_proc_stat(proc, "stat", EXIT_SIGNAL, -1) != 0
        || lg_proc_read(proc, "status", text, sizeof(text)) <= 0
        || lg_proc_field(text, "PPid", -1) != freeze->pid)
        return;
    int ns_pid = (int)lg_threads_ns_pid(text, (uint32_t)pid);
    if (lg_proc_state(proc, "stat") != 'Z')
        zombies->alive++;
    else if (ns_pid > 0)
        zombies->ns_pids[zombies->count++] = ns_pid;
}

// Of all threads, the children; where the kernel does not list those, only the copy.
static void find_zombies(const struct lg_freeze *freeze, struct zombies *zombies)
{
    *zombies = (struct zombies){ 0 };
    add_child(freeze, freeze->copy, zombies);
    int fd = openat(freeze->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *entry; dir && zombies->count < ZOMBIES_MAX && (entry = readdir(dir));) {
        char name[300], text[LG_PROC_TEXT], *end;
        snprintf(name, sizeof(name), "task/%s/children", entry->d_name);
        if (entry->d_name[0] == '.' || lg_proc_read(freeze->proc, name, text, sizeof(text)) <= 0)
            continue;
        for (const char *at = text;; at = end) {
            long pid = strtol(at, &end, 10);
            if (end == at)
                break;
            if (pid != freeze->copy)
                add_child(freeze, (int)pid, zombies);
        }
    }
    if (dir)
        closedir(dir);
}

// Whatever it answers: a zombie whose tracer has not seen its end is not ours to wait for.
static bool wait_for(struct lg_freeze *freeze, struct lg_tracee *t, int ns_pid)
{
    struct lg_call call;
    uint64_t args[4] = { (uint64_t)ns_pid, 0, __WALL | WNOHANG, 0 };
    if (lg_seccomp_verdict(freeze->proc, t->tid, SYS_wait4, args) != LG_SECCOMP_LETS)
        return true;
    struct lg_error *err = lg_call(&call, freeze, t, SYS_wait4, args);
    bool done = !err;
    lg_error_free(err);
    return done;
}

// Sends the thread to wait, and leaves it there: it goes on by itself as we end.
static bool be_waited_for(struct lg_freeze *freeze, struct lg_tracee *t, int ns_pid)
{
    struct lg_call call;
    uint64_t args[4] = { (uint64_t)ns_pid, 0, __WALL, 0 };
    if (lg_seccomp_verdict(freeze->proc, t->tid, SYS_wait4, args) != LG_SECCOMP_LETS)
        return true;
    struct lg_error *err = lg_call_begin(&call, freeze, t);
    if (!err)
        err = lg_call_arm(&call, SYS_wait4, args);
    bool done = !err;
    if (done)
        free(call.before);
    else
        lg_call_end(&call);
    lg_error_free(err);
    return done;
}

// Has one thread wait for all of them. False: another has to be tried.
static bool reap_by(struct lg_freeze *freeze, int tid, const struct zombies *zombies)
{
    struct lg_tracee *t = lg_freeze_stop_one(freeze, tid);
    for (int signals = 0; t && t->state == LG_TRACEE_SIGNAL && signals < SIGNALS_MAX; signals++) {
        if (!lg_freeze_deliver(freeze, t))
            t = NULL;
    }
    bool done = t && lg_call_fitness(freeze, t) >= (zombies->is_us ? 1 : 0);
    if (done && zombies->is_us && be_waited_for(freeze, t, zombies->ns_pids[0]))
        return true;
    for (size_t i = 0; done && i < zombies->count; i++)
        done = wait_for(freeze, t, zombies->ns_pids[i]);
    lg_freeze_resume(freeze);
    return done;
}

static bool reap_by_any(struct lg_freeze *freeze, const struct zombies *zombies)
{
    bool done = false;
    int fd = openat(freeze->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    for (int tries = 0; dir && !done && tries < THREADS_MAX && (entry = readdir(dir)); tries++) {
        int tid = atoi(entry->d_name);
        done = tid > 0 && reap_by(freeze, tid, zombies);
    }
    if (dir)
        closedir(dir);
    return done;
}

// Best by the thread that made the copy: it was fit, and needs no look at the maps. But it may be gone,
// or the process have called exec: then everything is looked up anew.
static bool reap(struct lg_freeze *freeze, const struct zombies *zombies)
{
    struct lg_target now = { 0 }, *before = freeze->maps;
    struct lg_arena paths = { 0 };
    struct lg_proc_mem mem = freeze->mem;
    bool is_open = lg_proc_mem_open(freeze->proc, freeze->pid, true, &freeze->mem);
    freeze->maps = &now;
    bool done = is_open && lg_gadgets_hold(&freeze->gadgets, &freeze->mem)
                && reap_by(freeze, freeze->cloner, zombies);
    if (!done && is_open) {
        struct lg_error *err = lg_maps_read(freeze->proc, &now, &paths);
        done = !err && lg_gadgets_find(&now, &freeze->mem, &freeze->gadgets)
               && reap_by_any(freeze, zombies);
        lg_error_free(err);
    }
    lg_proc_mem_close(&freeze->mem);
    lg_vec_free(&now.ranges);
    lg_arena_free(&paths);
    freeze->maps = before;
    freeze->mem = mem;
    return done;
}

// A thread that was sent to make a copy, and has not, returns without.
static void turn_back(const struct lg_journal *journal, const struct lg_tracee *t)
{
    struct user_regs_struct r = t->registers;
    uint64_t code = atomic_load(&journal->system_call), stack = atomic_load(&journal->stack);
    bool is_before = r.rip == code || (r.rip == code + 2 && (long)r.rax <= -LG_ERESTARTSYS);
    if (!t->has_registers || r.rsp != stack || !is_before)
        return;
    r.rip = atomic_load(&journal->sigreturn);
    r.rsp = stack + 8;
    r.orig_rax = UINT64_MAX;
    ptrace(PTRACE_SETREGS, t->tid, 0, &r);
}

// Sees to it that no copy is yet to be made.
static bool settle(struct lg_freeze *freeze)
{
    struct stat st;
    char name[64];
    int tid = atomic_load(&freeze->journal->cloner);
    snprintf(name, sizeof(name), "task/%d", tid);
    const struct lg_tracee *t = lg_freeze_stop_one(freeze, tid);
    if (t)
        turn_back(freeze->journal, t);
    bool done = t || fstatat(freeze->proc, name, &st, 0) != 0;
    lg_freeze_resume(freeze);
    return done;
}

// A copy that is made just as one tracer dies and the next attaches falls to the next, and waits for it
// (torvalds/linux include/linux/ptrace.h @00c65c8, ptrace_init_task).
static void let_copies_go(void)
{
    int status, pid;
    while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
        if (WIFSTOPPED(status))
            ptrace(PTRACE_DETACH, pid, 0, 0);
    }
}

void lg_freeze_reap_orphans(struct lg_freeze *freeze)
{
    for (int tries = 0; tries < ORPHAN_TRIES && !settle(freeze); tries++)
        nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000000 }, NULL);
    struct zombies zombies = { .alive = 1 };
    for (int tries = 0; zombies.alive > 0 && tries < ORPHAN_TRIES; tries++) {
        if (tries > 0)
            nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000000 }, NULL);
        let_copies_go();
        find_zombies(freeze, &zombies);
    }
    lg_freeze_reap(freeze);
}

void lg_freeze_be_waited_for(struct lg_freeze *freeze, int ns_pid)
{
    const struct zombies us = { .ns_pids = { ns_pid }, .count = 1, .is_us = true };
    reap(freeze, &us);
}

void lg_freeze_reap(struct lg_freeze *freeze)
{
    struct zombies zombies;
    // A process that has just called exec has no C library yet that a thread could be sent to.
    for (int tries = 0; tries < TRIES; tries++) {
        find_zombies(freeze, &zombies);
        if (zombies.count == 0 || (reap(freeze, &zombies) && zombies.count < ZOMBIES_MAX))
            return;
        nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000000 }, NULL);
    }
}
