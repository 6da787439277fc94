// Runs commands: parses their words, hands them the session, prints their reports.
//
// The shell runs one; `-c` scripts, standard input and the prompt run many, all through here.
#ifndef LG_CLI_RUNNER_H
#define LG_CLI_RUNNER_H

#include <stdio.h>

#include "cli/command.h"
#include "cli/session.h"

struct lg_runner {
    struct lg_session *session;
    bool json, tsv;          // What is printed, unless a command says otherwise.
    FILE *out;               // Where to.
    bool terminal;           // `out` is one.
    bool paging;             // Show long text in a pager.
    bool prompting;          // Commands that need a prompt may run.
    bool quit;               // `quit` was said.
    int64_t collection_said; // The end of the full collection that has been told of.
    unsigned pauses_said;    // How many stops of the target have been told of.
    LG_VEC(char *)
    notes_said; // At a prompt and in a script a note is printed once, not for each command.
};
void lg_runner_deinit(struct lg_runner *runner);

// Says which target is open, and what is to be known of it.
void lg_runner_greet(struct lg_runner *runner);

// Runs a command whose words have been parsed. `args` has lost the target.
LG_MUST_CHECK struct lg_error *lg_runner_command(struct lg_runner *runner,
                                                 const struct lg_command *command, struct lg_args *args);
// Runs one line: "dumpheap -type 'My App' -stat". An empty one, and one that starts with '#', is
// nothing.
LG_MUST_CHECK struct lg_error *lg_runner_line(struct lg_runner *runner, const char *line);
// What can be said of all `-c` of a command line before a target is stopped for them: that there are
// such commands and options.
LG_MUST_CHECK struct lg_error *lg_runner_check_script(const struct lg_args *args);
// Runs all `-c` of a command line, up to the first that fails.
LG_MUST_CHECK struct lg_error *lg_runner_script(struct lg_runner *runner, const struct lg_args *args);

// `-o FILE` of what opens a target is for all commands on it: sends their reports there.
LG_MUST_CHECK struct lg_error *lg_runner_redirect(struct lg_runner *runner, const struct lg_args *args);
// Ends that. Takes `err`, and returns it or what closing the file brought up.
LG_MUST_CHECK struct lg_error *lg_runner_restore(struct lg_runner *runner, struct lg_error *err);

// Errors of writing: NULL, a sentence, or LG_ERR_CLOSED.
LG_MUST_CHECK struct lg_error *lg_runner_flush(FILE *out);

// The exit status that an error means.
int lg_exit_status(const struct lg_error *err);

#endif
