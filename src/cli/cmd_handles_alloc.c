// `handles-alloc`: where the GC handles that are not freed were made.
#include "cli/alloc.h"
#include "cli/cmd.h"

enum { BUFFER_MB = 64, BUFFER_MB_MAX = 4096 };

static struct lg_error *parse(const struct lg_args *args, struct lg_alloc_query *ret)
{
    int kind;
    *ret = (struct lg_alloc_query){
        .for_ms = lg_args_number(args, "for", 0),
        .max_bytes = lg_args_number(args, "max-bytes", 0),
        .buffer_mb = lg_args_number(args, "buffer", BUFFER_MB),
        .target = lg_target_options_parse(args),
    };
    struct lg_error *err = lg_args_expect(args, 1, 1);
    if (!err && (ret->buffer_mb == 0 || ret->buffer_mb > BUFFER_MB_MAX))
        err = lg_error_new(LG_ERR_USAGE, "-buffer is a number of MiB between 1 and %d", BUFFER_MB_MAX);
    return err ? err : lg_handle_kind_parse(lg_args_text(args, "kind"), &kind);
}

static struct lg_error *check_args(const struct lg_args *args)
{
    struct lg_alloc_query query;
    return parse(args, &query);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_alloc_query query;
    struct lg_handles_seen handles = { 0 };
    struct lg_alloc_run run = { .handles = &handles };
    int pid = 0;
    struct lg_error *err = parse(args, &query);
    if (!err)
        err = lg_target_resolve(lg_args_at(args, 0), &pid);
    if (!err && pid == 0)
        err = lg_error_new(LG_ERR_USAGE, "'%s' is no running process: it makes no handles any more",
                           lg_args_at(args, 0));
    if (!err)
        err = lg_alloc_live(&run, session, lg_args_at(args, 0), &query);
    if (!err)
        err = lg_handles_report(session, &run, args, ret);
    lg_alloc_run_deinit(&run);
    lg_handles_seen_deinit(&handles);
    return err;
}

static const struct lg_option options[] = {
    { "for", LG_OPT_DURATION, "TIME", "follow for so long (30s, 10m); without it until Ctrl-C" },
    { "max-bytes", LG_OPT_SIZE, "SIZE", "follow until so many bytes of events have come" },
    { "kind", LG_OPT_TEXT, "KIND", "only handles of this kind: Strong, Pinned, WeakShort, Dependent …" },
    { "top", LG_OPT_NUMBER, "N", "sites at most; 0: all (default 10)" },
    { "buffer", LG_OPT_NUMBER, "MB", "most memory that events may take in the target (default 64)" },
    { 0 },
};

static const char details[] =
    "What is made and freed meanwhile is told by the runtime's own events; at the end the process is\n"
    "copied, and what is in its handle table is shown with what keeps its number. Stacks are there "
    "only\n"
    "where the runtime tells one: GCHandle.Alloc has none. Handles that were there before are known by "
    "a\n"
    "first copy, and are not shown.\n"
    "\n"
    "  $ linger handles-alloc 4711 -for 30s -top 1\n"
    "  100 weak-short handles to Pinnable, 2,400 bytes\n"
    "      kept in System.WeakReference of static Handles.references -> List items";

const struct lg_command lg_cmd_handles_alloc = {
    .name = "handles-alloc",
    .usage = "TARGET [OPTIONS]",
    .summary = "the GC handles that are made meanwhile and not freed: what keeps them, who made them",
    .details = details,
    .options = options,
    .needs = LG_TAKES_TARGET,
    .follows = true,
    .check = check_args,
    .run = run,
};
