// The command that `run` starts, as strace starts one: it has standard input and output for itself, and
// is in the foreground with us.
//
//     signal                            what becomes of it
//     Ctrl-C at a terminal              the terminal tells both; for us it ends the following only
//     SIGTERM, SIGHUP                   handed on to the command; we end when it does. Where only what
//                                       it left behind runs on: as Ctrl-C
//     SIGQUIT                           the command's alone
//
// Its exit status is ours: 128 and the signal, if one ended it.
#ifndef LG_CLI_CHILD_H
#define LG_CLI_CHILD_H

#include <stdatomic.h>
#include <stdbool.h>

#include "diag/port.h"

struct lg_child {
    struct lg_port *port;
    atomic_bool is_begun; // Signals are the command's from now on.
    atomic_int pid;       // 0: it does not run
    bool was_started;
    int status;                 // -1: not known so far
    unsigned steps_left_behind; // How long what it left behind has been waited for.
    bool is_given_up;           // An interrupt has ended that.
};

// `words` are of the command line, ended with NULL. An error leaves in `status` what a shell would say:
// 127 and 126.
LG_MUST_CHECK struct lg_error *lg_child_start(struct lg_child *child, char *const *words);
// Whether it has ended, by now.
bool lg_child_is_over(struct lg_child *child);
// The process of the first runtime that came up in it, which waits. The error says why there is none.
LG_MUST_CHECK struct lg_error *lg_child_wait_for_runtime(struct lg_child *child, int *ret);
// Until it has ended, whatever came before, and what it left behind has, which may start runtimes that
// want the port, or an interrupt; says `err` at once, and takes it. What is left is its status. We have
// no other children by then.
void lg_child_finish(struct lg_child *child, struct lg_error *err);
void lg_child_deinit(struct lg_child *child);

// From the thread of the signals: false: there is no command, the signal is ours.
bool lg_child_take_signal(struct lg_child *child, int number);

#endif
