// The prompt: commands on the target that is open, until `quit` or the end of input.
//
// At a terminal there are line editing, history, completion and a pager, and Ctrl-C ends the command
// that runs. Input from elsewhere is read line by line. Either way an error is printed, and the next
// command is read.
#ifndef LG_CLI_REPL_H
#define LG_CLI_REPL_H

#include "cli/runner.h"

// Are we talking to somebody at a terminal?
bool lg_repl_has_terminal(void);

// `*status_ret`: at a terminal 0, else the exit status of the first command that failed. Errors are only
// those of the prompt itself.
LG_MUST_CHECK struct lg_error *lg_repl(struct lg_runner *runner, int *status_ret);

#endif
