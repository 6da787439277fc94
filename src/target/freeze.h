// Stops a live process, and lets it make a copy of itself.
//
//     time ──────────────────────────────────────────────────────────────────────────────►
//     prepare      seize  │interrupt  registers   clone   detach│        read the copy   kill, reap
//     maps, code          │◄──────────── pause ────────────────►│
//                                                     │◄───────►│ of the thread that cloned alone
//
// Attached by PTRACE_SEIZE: a tracer that dies, at any moment, leaves every thread running. What has
// been asked of one thread (freeze_call.h) completes without us. Signals that arrive in between wait
// with the thread that was to have them, and are delivered when it is let go. A process that job control
// has stopped stays stopped.
//
// Where the process cannot be copied, it is left stopped, to be read itself until lg_freeze_end().
//
// ptrace answers only to the thread that attached: all of this is for one thread (see keeper.h).
#ifndef LG_TARGET_FREEZE_H
#define LG_TARGET_FREEZE_H

#include <sys/user.h>

#include "target/gadgets.h"
#include "target/target.h"
#include "util/arena.h"
#include "util/map.h"

// What a call that was interrupted returns to the kernel's exit path, to be restarted (torvalds/linux
// include/linux/errno.h @00c65c8).
enum { LG_ERESTARTSYS = 512, LG_ERESTARTNOINTR, LG_ERESTARTNOHAND, LG_ERESTART_RESTARTBLOCK = 516 };

enum lg_tracee_state {
    LG_TRACEE_MOVING,  // Attached; not seen to stop yet.
    LG_TRACEE_STOPPED, // By us, or by job control.
    LG_TRACEE_SIGNAL,  // Stopped just before `signal` is delivered to it.
    LG_TRACEE_GONE,
};

struct lg_tracee {
    int tid;
    enum lg_tracee_state state;
    int signal;
    bool has_registers;
    struct user_regs_struct registers;
};

struct lg_journal; // watchdog.h

struct lg_freeze {
    int pid;
    int proc;               // /proc/PID
    struct lg_proc_mem mem; // Of the process, while it is needed.
    struct lg_gadgets gadgets;
    struct lg_target *maps; // Borrowed: its ranges are those of the process shortly before the stop.
    LG_VEC(struct lg_tracee) tracees;
    struct lg_map by_tid;
    uint64_t started; // Of the stop, CLOCK_MONOTONIC, ns.
    double pause_ms;  // Of the last stop that has ended.
    bool is_stopped;
    bool is_urgent;             // The keeper's thread is not to be taken from;
    int policy;                 // what it is scheduled by otherwise.
    struct timespec taken;      // When it was stopped.
    int copy;                   // PID of the copy, 0: none
    int copy_ns_pid;            // What the process itself calls it.
    bool copy_ended;            // Killed by someone else; still to be reaped.
    int cloner;                 // The thread that made it,
    struct lg_range stack;      // and the mapping that its stack is in.
    struct lg_journal *journal; // Of what would be left if we were killed. Borrowed; NULL: not kept.
    bool is_contended;          // Another linger is at it: the last stop failed for that.
    bool is_refused;   // A thread may not be traced: for good, or by somebody who has let go since.
    char refusal[160]; // Why there is no copy.
};

uint64_t lg_freeze_now(void);

// The next thing that happens to a tracee, as of waitpid: its PID, 0 if nothing has by `limit_ms`, or
// -1.
int lg_freeze_wait(struct lg_freeze *freeze, int tid, unsigned limit_ms, int *status_ret);

// Stops every thread and keeps its registers. On failure all run.
LG_MUST_CHECK struct lg_error *lg_freeze_stop(struct lg_freeze *freeze);
// Stops one thread; NULL if that cannot be done soon. Ended by lg_freeze_resume too.
struct lg_tracee *lg_freeze_stop_one(struct lg_freeze *freeze, int tid);
// Lets a thread that stands before a signal have it, and stops it again: at its handler. False if it has
// not stopped by then.
bool lg_freeze_deliver(struct lg_freeze *freeze, struct lg_tracee *tracee);
// Waits until a thread that is seized and interrupted is still. False: it takes too long, or is asleep
// in the kernel, where it can change nothing before it stops.
bool lg_freeze_await(struct lg_freeze *freeze, struct lg_tracee *tracee);
// Lets all run but one. They count as gone from then on.
void lg_freeze_resume_others(struct lg_freeze *freeze, const struct lg_tracee *but);
// Lets all run, and measures the pause. Threads that could not be let go yet stay in `tracees`.
void lg_freeze_resume(struct lg_freeze *freeze);
// Lets go those that have arrived since. Whether some are still missing.
bool lg_freeze_tend(struct lg_freeze *freeze);

// Of a stopped process: makes the copy and lets the process go; or, if it cannot copy itself, leaves it
// stopped and says why in `refusal`. An error: it ended, and nothing is left.
LG_MUST_CHECK struct lg_error *lg_freeze_copy(struct lg_freeze *freeze);
// Whether the copy is still there. Has to be asked now and then: a copy that someone has killed stays
// a zombie until then.
bool lg_freeze_has_copy(struct lg_freeze *freeze);
// Lets the process go, or kills its copy and has the process reap it. Nothing stays.
void lg_freeze_end(struct lg_freeze *freeze);
// Has the process wait for its copy, which has been killed, and for what others have left. In between.
void lg_freeze_reap(struct lg_freeze *freeze);
// For a process whose tracer was killed: waits until its copies have ended, and has it wait for them.
// The caller has no children of its own.
void lg_freeze_reap_orphans(struct lg_freeze *freeze);
// Has the process wait for its child `ns_pid`, which is us. We have to end then, at once.
void lg_freeze_be_waited_for(struct lg_freeze *freeze, int ns_pid);
// Frees the bookkeeping.
void lg_freeze_deinit(struct lg_freeze *freeze);

// After a stop that failed, and `tries` further ones: whether one more, some milliseconds later, may do.
enum { LG_TRACER_TRIES = 30, LG_REFUSED_TRIES = 8 };
static inline bool lg_freeze_may_yet(const struct lg_freeze *freeze, int tries)
{
    return tries < (freeze->is_contended ? LG_TRACER_TRIES : freeze->is_refused ? LG_REFUSED_TRIES : 0);
}

// Why thread `tid` of the process cannot be attached to: one sentence with what would help.
// `*is_contended_ret` becomes true if another linger is at it, which takes milliseconds.
struct lg_error *lg_freeze_denied(int pid, int proc, int tid, bool *is_contended_ret)
    __attribute__((__returns_nonnull__));

// What decides whether we may trace a process that is nobody's tracee.
struct lg_rights {
    int64_t uid;               // Ours.
    bool may_trace_all;        // CAP_SYS_PTRACE
    bool is_in_user_namespace; // Not in the first one.
    bool is_filtered;          // By seccomp.
    char yama;                 // kernel.yama.ptrace_scope; '0': none
    char program[256];         // For the user to give a right to.
};
// Which right is missing to trace a process of user `owner`, given that it may not be done.
struct lg_error *lg_freeze_denial(const struct lg_rights *rights, int64_t owner)
    __attribute__((__returns_nonnull__));

// An error if what /proc calls a process is another one for the kernel's calls, or none; else NULL.
LG_MUST_CHECK struct lg_error *lg_freeze_misplaced(void);
// There is none of that number.
struct lg_error *lg_freeze_no_such(void) __attribute__((__returns_nonnull__));

#endif
