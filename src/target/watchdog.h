// What is left in a process when linger is killed, and who undoes it.
//
// Most of it undoes itself: a thread that is let go, in whatever state, runs on by itself
// (freeze_call.h), a signal that it stood before is delivered, and a copy is killed by the kernel with
// its tracer, or ends by itself. Three things do not, and are kept in a journal, in memory that is
// shared with a process of our own, forked before the first stop, which does nothing else:
//
//     what                                              what the watchdog does when we are gone
//     a thread that is on its way to clone              turns it back
//     a copy, from its clone until it was waited for:   has the process wait for it
//       it would stay a zombie
//     a signal (of a fault) that a thread came to stand sends it again
//       before in the middle of a call of ours, and
//       that was taken away to end the call
//
// It hears of our end from a descriptor of our process, or as its parent's number changes, so no instant
// is too early or too late: SIGKILL between two ptrace calls is as good as any. Then all threads of ours
// have ended, and nothing is traced any more. It holds no file of ours open, is in a session of its own,
// and ends as soon as it has nothing to do: with us, or after us.
//
// As an orphan it falls to the first process of its PID namespace, in a container often the very
// target, which may never wait for it: then it has the target wait for that too, with its last act.
#ifndef LG_TARGET_WATCHDOG_H
#define LG_TARGET_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "util/cleanup.h"
#include "util/error.h"

struct lg_journal {
    atomic_bool has_copy;      // Or may have one any moment: made by
    atomic_int cloner;         // this thread,
    atomic_ullong system_call; // at this address,
    atomic_ullong stack;       // with this stack pointer; what follows
    atomic_ullong sigreturn;   // lies here.
    atomic_int tid;            // The thread whose
    atomic_int signal;         // signal was taken; 0: none.
    atomic_bool is_over;       // We end in good order.
};

struct lg_watchdog;

// Starts one for process `pid`, whose /proc/PID is open as `proc`.
LG_MUST_CHECK struct lg_error *lg_watchdog_start(int pid, int proc, struct lg_watchdog **ret);
// Borrowed. NULL for NULL.
struct lg_journal *lg_watchdog_journal(struct lg_watchdog *watchdog);
// Ends it. NULL is allowed.
void lg_watchdog_free(struct lg_watchdog *watchdog);
LG_DEFINE_FREEP(lg_watchdog)

#endif
