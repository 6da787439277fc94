// Opening a target: `open`, `attach`, and what only a prompt has, `refresh` and `quit`.
#include "cli/cmd.h"
#include "cli/collection.h"
#include "cli/support.h"

static const struct lg_option options[] = {
    { "c", LG_OPT_TEXT, "COMMAND", "run COMMAND instead of prompting; may be given several times" },
    { 0 },
};

static struct lg_error *run_open(struct lg_session *session, const struct lg_args *args,
                                 struct lg_report **ret)
{
    struct lg_target_options how = lg_target_options_parse(args);
    struct lg_error *err = lg_args_expect(args, 1, 1);
    return err ? err : lg_session_open(session, lg_args_at(args, 0), &how);
}

const struct lg_command lg_cmd_open = {
    .name = "open",
    .usage = "CORE [-c COMMAND]",
    .summary = "look at a core file: commands at a prompt, or from -c or standard input",
    .details =
        "At the prompt, commands go without a target: 'dumpheap -stat'. Tab completes commands,\n"
        "options, and type names after -type and -mt; Ctrl-C ends the command that runs, Ctrl-D\n"
        "the prompt. Commands that are not typed come from standard input, one a line; after one\n"
        "that fails the next is run, and the exit status is that of the first that failed.\n"
        "\n"
        "    linger open core.1234 -c 'eeheap -gc' -c 'dumpheap -stat'\n"
        "\n"
        "With -c the first command that fails is the last. The same without a verb:\n"
        "\n"
        "    linger core.1234 -c 'eeheap -gc' -c 'dumpheap -stat'",
    .options = options,
    .needs = LG_OPENS_TARGET,
    .run = run_open,
};

const struct lg_command lg_cmd_attach = {
    .name = "attach",
    .usage = "PID|NAME [-c COMMAND]",
    .summary = "look at a running process: the same, on a copy of it",
    .details =
        "The process stands still for some milliseconds while it is copied (the note says how\n"
        "long), and runs on; the commands look at the copy. 'refresh' takes another.\n"
        "NAME is that of exactly one .NET process, as 'linger ps' shows it.\n"
        "\n"
        "    $ linger attach Leak\n"
        "    Process 28018: .NET 10.0.12, workstation GC. 'help' lists the commands, 'quit' leaves.\n"
        "    linger> dumpheap -stat -type Session\n"
        "    Statistics:\n"
        "              MT Count TotalSize Class Name\n"
        "    7f83d895b6c8   100     3,200 Session\n"
        "    Total 100 objects, 3,200 bytes\n"
        "    linger> quit",
    .options = options,
    .needs = LG_OPENS_TARGET,
    .run = run_open,
};

static struct lg_error *run_refresh(struct lg_session *session, const struct lg_args *args,
                                    struct lg_report **ret)
{
    struct lg_error *err = lg_args_expect(args, 0, 0);
    if (err)
        return err;
    return lg_args_has(args, "gc") ? lg_collect_and_refresh(session) : lg_session_refresh(session);
}

static const struct lg_option refresh_options[] = {
    { "gc", LG_OPT_FLAG, NULL, "have it make a full collection first" },
    { 0 },
};

const struct lg_command lg_cmd_refresh = {
    .name = "refresh",
    .usage = "[-gc]",
    .summary = "copy the running process anew",
    .details =
        "What commands said so far is of the copy before. Addresses of objects may have changed: a\n"
        "collection moves them.\n"
        "\n"
        "    linger> refresh\n"
        "    note: target paused 2 times, 8.5 ms in all, 4.3 ms at most",
    .options = refresh_options,
    .needs = LG_NEEDS_PROMPT,
    .run = run_refresh,
};

static struct lg_error *run_quit(struct lg_session *session, const struct lg_args *args,
                                 struct lg_report **ret)
{
    return NULL; // Whoever runs it sees which one it was.
}

const struct lg_command lg_cmd_quit = {
    .name = "quit",
    .alias = "exit",
    .usage = "",
    .summary = "leave the prompt",
    .needs = LG_NEEDS_PROMPT,
    .run = run_quit,
};
