// One system call in a stopped thread of another process, which completes without us if it must.
//
// Below the red zone of the thread's own stack we write
//
//     base                  base + COPY_FRAME      base + STATE
//     ┌─────────────────────┬─────────────────────┬──────────────────────────┐ ┌──────────┬───────
//     │ signal frame of the │ signal frame of the │ vector state (XSAVE) of  │ │ red zone │ stack
//     │ thread as it was    │ copy: exit_group(0) │ the thread               │ │ 128      │ in use
//     └─────────────────────┴─────────────────────┴──────────────────────────┘ └──────────┴───────
//       ▲ stack pointer during the call                                          the thread's own ▲
//
// and send the thread to "syscall; ret". While we live we step it to the end of the call and put
// everything back ourselves: registers, signal mask, the bytes of the stack. The kernel then restarts
// the call that the stop had interrupted as if nothing had been. If we die at any instant, the thread
// returns from the call to the signal frame, and rt_sigreturn puts all of it back (only a call that
// restarts through a restart block, such as poll with a timeout, then ends with EINTR). A copy that is
// let go finds the second frame, and ends.
//
// The vector state lies above the stack pointer, as a signal may be delivered below it at any time. Its
// size is that of the thread's features without AMX: with a larger one the kernel resets everything but
// x87 and SSE, silently (measured; torvalds/linux arch/x86/kernel/fpu/signal.c @00c65c8,
// check_xstate_in_sigframe).
#ifndef LG_TARGET_FREEZE_CALL_H
#define LG_TARGET_FREEZE_CALL_H

#include "target/freeze.h"

struct lg_call {
    struct lg_freeze *freeze;
    struct lg_tracee *thread;
    uint64_t mask;       // The thread's signal mask.
    uint64_t base;       // Where the block begins.
    uint64_t copy_stack; // A stack pointer for a copy.
    size_t len;
    uint8_t *before; // [len] What was there. Owned.
    bool is_armed;   // The registers are not the thread's own.
    bool has_left;   // It is somewhere else than where it had been stopped.
    int deferred;    // A signal that could not wait (a fault), to be sent again; 0: none
    int let_through; // A SIGSTOP that the thread stands before, and has as it goes on; 0: none
    long result;     // Of the call: what it returned, negative errno for an error.
    int child;       // The process that it made, 0: none
};

// How suitable a stopped thread is; below 0: not at all. Best is one in a call that restarts by itself.
int lg_call_fitness(const struct lg_freeze *freeze, const struct lg_tracee *thread);

// Writes the block. The caller ends what was begun, whether it failed or not.
LG_MUST_CHECK struct lg_error *lg_call_begin(struct lg_call *call, struct lg_freeze *freeze,
                                             struct lg_tracee *thread);
// Sends the thread to the call. From here on it may be let go at any moment.
LG_MUST_CHECK struct lg_error *lg_call_arm(struct lg_call *call, long number, const uint64_t args[4]);
// Lets it make the call; fills `result` and `child`. An error: the call was not made.
LG_MUST_CHECK struct lg_error *lg_call_run(struct lg_call *call);
// Puts back what was changed. The thread is stopped as it was, or has ended.
void lg_call_end(struct lg_call *call);

// All of it.
LG_MUST_CHECK struct lg_error *lg_call(struct lg_call *call, struct lg_freeze *freeze,
                                       struct lg_tracee *thread, long number, const uint64_t args[4]);

#endif
