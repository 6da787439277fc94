// `run`: starts a command, and follows its allocations from the first one on, as `alloc` does.
#include <stdio.h>

#include "cli/alloc.h"
#include "cli/child.h"
#include "cli/cmd.h"

static struct lg_error *check_args(const struct lg_args *args)
{
    struct lg_alloc_query query;
    return lg_alloc_query_parse(args, true, &query);
}

static struct lg_error *start(struct lg_child *child, const struct lg_args *args)
{
    size_t count = lg_args_count(args);
    _cleanup_free_ char **words = calloc(count + 1, sizeof(*words));
    if (!words)
        return &lg_no_memory;
    for (size_t i = 0; i < count; i++)
        words[i] = (char *)lg_args_at(args, i);
    return lg_child_start(child, words);
}

static struct lg_error *follow(struct lg_session *session, const struct lg_args *args,
                               const struct lg_alloc_query *query, struct lg_report **ret)
{
    struct lg_child *child = lg_session_child(session);
    struct lg_alloc_run alloc = { .port = child->port };
    char pid[16];
    int first;
    struct lg_error *err = lg_child_wait_for_runtime(child, &first);
    if (err)
        return lg_error_context(err, "'%s'", lg_args_at(args, 0));
    snprintf(pid, sizeof(pid), "%d", first);
    err = lg_alloc_record(session, args, pid, query, &alloc);
    lg_port_let_go(child->port); // Whatever came of that.
    if (!err)
        err = lg_alloc_make_report(session, args, query, &alloc, ret);
    lg_alloc_run_deinit(&alloc);
    return err;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_alloc_query query;
    struct lg_error *err = lg_alloc_query_parse(args, true, &query);
    if (!err)
        err = start(lg_session_child(session), args);
    return err ? err : follow(session, args, &query, ret);
}

static const char details[] =
    "The command has standard input, output and error for itself. The report comes on standard error,\n"
    "or with -o into a file; JSON if --json says so. It comes when the command ends, or, while it runs\n"
    "on, after -for, at -until-rss, or on an interrupt. Only of a process that still runs is known "
    "what\n"
    "is alive; of one that has ended, what was made. Exit status: the command's; 128 and the signal if\n"
    "one ended it; 127 if there is no such command, 126 if it cannot be run. The first .NET runtime\n"
    "that comes up in it is followed: .NET 5 or later.\n"
    "\n"
    "  $ linger run -for 30s -o report.txt -- ./Shop --port 8080";

const struct lg_command lg_cmd_run = {
    .name = "run",
    .usage = "[OPTIONS] [--] COMMAND [ARGUMENTS]",
    .summary =
        "starts a command, and shows where the objects that are alive were made, from the first on",
    .details = details,
    .options = lg_alloc_options,
    .needs = LG_NEEDS_SHELL,
    .follows = true,
    .writes_file = lg_alloc_can_export,
    .check = check_args,
    .run = run,
};
