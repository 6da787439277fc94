// What tests of whole commands share. For programs that link the commands.
#ifndef LG_TESTS_SUPPORT_LINE_H
#define LG_TESTS_SUPPORT_LINE_H

#include <sched.h>
#include <stddef.h>

#include "cli/command.h"
#include "cli/session.h"
#include "cli/words.h"

// A line as at the prompt. The report is described, as the prompt does it; NULL after an error.
static inline struct lg_error *run_line(struct lg_session *session, const char *line,
                                        struct lg_report **ret)
{
    _cleanup_(lg_words_deinit) struct lg_words words;
    _cleanup_(lg_args_freep) struct lg_args *args = NULL;
    struct lg_error *err = lg_words_split(line, &words);
    if (err)
        return err;
    const struct lg_command *command = lg_command_find(words.at.at[0]);
    err = lg_args_parse(command, (int)words.at.len - 1, words.at.at + 1, &args);
    if (!err)
        err = command->run(session, args, ret);
    if (!err)
        lg_session_describe(session, *ret);
    return err;
}

// From now on there is one worker, so that allocations come in the same order in every run, and what
// goes wrong goes wrong again.
static inline void use_one_processor(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
}

#endif
