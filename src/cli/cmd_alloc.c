// `alloc`: where the objects that are still alive were made.
#include <string.h>

#include "cli/alloc.h"
#include "cli/cmd.h"

enum { TOP = 10, MIN_PERCENT = 1, BUFFER_MB = 64, BUFFER_MB_MAX = 4096 };

struct lg_error *lg_alloc_query_parse(const struct lg_args *args, bool is_command,
                                      struct lg_alloc_query *ret)
{
    static const char *const ways[] = { "site", "method", "type", "holder" };
    const char *by = lg_args_text(args, "by"), *out = lg_args_text(args, "o");
    *ret = (struct lg_alloc_query){
        .all = lg_args_has(args, "all"),
        .contains = lg_args_text(args, "type"),
        .top = lg_args_number(args, "top", TOP),
        .tree = lg_args_has(args, "tree"),
        .depth = lg_args_number(args, "depth", 0),
        .min = lg_args_number(args, "min", MIN_PERCENT),
        .for_ms = lg_args_number(args, "for", 0),
        .until_rss = lg_args_number(args, "until-rss", 0),
        .max_bytes = lg_args_number(args, "max-bytes", 0),
        .buffer_mb = lg_args_number(args, "buffer", BUFFER_MB),
        .looks = out && lg_alloc_is_snapshot(out),
    };
    if (!is_command)
        ret->target = lg_target_options_parse(args);
    struct lg_error *err = lg_args_expect(args, 1, is_command ? SIZE_MAX : 1);
    if (err)
        return err;
    unsigned way = 0;
    while (by && way < 4 && strcmp(by, ways[way]) != 0)
        way++;
    ret->by = (enum lg_alloc_by)way;
    if (way == 4)
        return lg_error_new(LG_ERR_USAGE, "cannot sum by '%s': expected site, method, type or holder",
                            by);
    if (ret->tree && (by || lg_args_has(args, "top")))
        return lg_error_new(LG_ERR_USAGE, "-tree is another question than -by and -top: -depth and -min "
                                          "say how much of it");
    if (!ret->tree && (lg_args_has(args, "depth") || lg_args_has(args, "min")))
        return lg_error_new(LG_ERR_USAGE, "-depth and -min are for -tree");
    if (ret->tree)
        ret->by = LG_ALLOC_BY_STACK;
    if (ret->all && ret->by == LG_ALLOC_BY_HOLDER)
        return lg_error_new(LG_ERR_USAGE, "-all tells of what died, too: nothing holds it");
    if (lg_args_has(args, "rate"))
        return lg_error_new(LG_ERR_USAGE,
                            "-rate: the runtime samples once in 100 KiB, and has no setting for it; "
                            "-buffer and -max-bytes bound what following costs");
    if (ret->buffer_mb == 0 || ret->buffer_mb > BUFFER_MB_MAX)
        return lg_error_new(LG_ERR_USAGE, "-buffer is a number of MiB between 1 and %d", BUFFER_MB_MAX);
    if (out && !is_command && !lg_alloc_can_export(out))
        return lg_error_new(LG_ERR_USAGE,
                            "'-o %s': expected a name that ends in .folded, .speedscope.json, .pb.gz, "
                            ".snap or .nettrace",
                            out);
    return NULL;
}

static struct lg_error *check_args(const struct lg_args *args)
{
    struct lg_alloc_query query;
    return lg_alloc_query_parse(args, false, &query);
}

static bool is_trace(const char *spec)
{
    FILE *f = fopen(spec, "re");
    char magic[8];
    bool is = f && fread(magic, 1, 8, f) == 8 && memcmp(magic, "Nettrace", 8) == 0;
    if (f)
        fclose(f);
    return is;
}

// What came is kept, even if the process could not be copied afterwards.
static struct lg_error *keep_events(struct lg_new_file *file, struct lg_error *err)
{
    if (err && file->size == 0)
        return err;
    struct lg_error *unkept = lg_new_file_finish(file);
    if (!err)
        return unkept;
    lg_error_free(unkept);
    return err;
}

static bool keeps_events(const char *out)
{
    size_t n = out ? strlen(out) : 0;
    return n > 9 && strcmp(out + n - 9, ".nettrace") == 0;
}

struct lg_error *lg_alloc_record(struct lg_session *session, const struct lg_args *args,
                                 const char *spec, const struct lg_alloc_query *query,
                                 struct lg_alloc_run *run)
{
    const char *out = lg_args_text(args, "o");
    struct lg_error *err = keeps_events(out) ? lg_new_file_create(out, &run->raw) : NULL;
    if (err)
        return err;
    err = lg_alloc_live(run, session, spec, query);
    return run->raw ? keep_events(run->raw, err) : err;
}

static struct lg_error *record(struct lg_session *session, const struct lg_args *args,
                               const struct lg_alloc_query *query, struct lg_alloc_run *run)
{
    const char *spec = lg_args_at(args, 0), *out = lg_args_text(args, "o");
    int pid = 0;
    struct lg_error *err = lg_target_resolve(spec, &pid);
    if (err)
        return err;
    bool is_file = pid == 0 && is_trace(spec);
    if (pid == 0 && query->target.collect)
        return lg_error_new(LG_ERR_USAGE, "--gc: '%s' is no running process", spec);
    if (is_file && out && (keeps_events(out) || lg_alloc_is_snapshot(out)))
        return lg_error_new(
            LG_ERR_USAGE, "'-o %s': that is written of a process; '%s' is a file of events", out, spec);
    if (is_file)
        return lg_alloc_file(run, spec);
    if (pid == 0)
        return lg_error_new(LG_ERR_UNSUPPORTED, "'%s' is no process, and no .nettrace file", spec);
    return lg_alloc_record(session, args, spec, query, run);
}

struct lg_error *lg_alloc_make_report(struct lg_session *session, const struct lg_args *args,
                                      const struct lg_alloc_query *query, struct lg_alloc_run *run,
                                      struct lg_report **ret)
{
    struct lg_alloc_sites sites = { 0 };
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("alloc");
    struct lg_error *err = report ? lg_alloc_sites_find(session, run, query, &sites) : &lg_no_memory;
    if (!err)
        err = lg_alloc_report(run, query, &sites, report);
    if (!err && lg_alloc_knows(run))
        err = lg_alloc_keep(session, run, &sites);
    const char *out = lg_args_text(args, "o");
    if (!err && out && lg_alloc_can_export(out))
        err = lg_alloc_export(session, run, query, out);
    lg_alloc_sites_deinit(&sites);
    if (!err && lg_report_failed(report))
        err = &lg_no_memory;
    if (!err)
        *ret = lg_steal(report);
    return err;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_alloc_query query;
    struct lg_alloc_run alloc = { 0 };
    struct lg_error *err = lg_alloc_query_parse(args, false, &query);
    if (!err)
        err = record(session, args, &query, &alloc);
    if (!err)
        err = lg_alloc_make_report(session, args, &query, &alloc, ret);
    lg_alloc_run_deinit(&alloc);
    return err;
}

const struct lg_option lg_alloc_options[] = {
    { "for", LG_OPT_DURATION, "TIME", "follow for so long (30s, 10m); without it until Ctrl-C" },
    { "until-rss", LG_OPT_SIZE, "SIZE", "follow until so much of it is resident (2g)" },
    { "max-bytes", LG_OPT_SIZE, "SIZE", "follow until so many bytes of events have come" },
    { "by", LG_OPT_TEXT, "KEY", "sums by site (default), method, type or holder" },
    { "type", LG_OPT_TEXT, "TEXT", "only types whose name contains TEXT" },
    { "top", LG_OPT_NUMBER, "N", "rows at most; 0: all (default 10)" },
    { "tree", LG_OPT_FLAG, NULL, "who called whom on the way to them, from the top down" },
    { "depth", LG_OPT_NUMBER, "N", "levels of the tree at most" },
    { "min", LG_OPT_NUMBER, "PERCENT", "least share of a row of the tree (default 1)" },
    { "all", LG_OPT_FLAG, NULL, "what died, too: the sites that made the most" },
    { "rate", LG_OPT_TEXT, "SIZE", NULL },
    { "buffer", LG_OPT_NUMBER, "MB", "most memory that events may take in the target (default 64)" },
    { "o", LG_OPT_TEXT, "FILE",
      "also write .folded, .speedscope.json, .pb.gz, .snap, or all events (.nettrace)" },
    { 0 },
};

static const char details[] =
    "Some of all allocations are sampled, with their stacks, and followed through every GC. At the end\n"
    "the process is copied: what of the samples is an object of its type and size there, and is held "
    "by\n"
    "something, is shown by the place that made it. Nothing is loaded into the process. Estimates are "
    "of\n"
    "all objects that were made meanwhile, and between these bounds in 95 of 100 cases. A .nettrace "
    "file\n"
    "tells what was made.\n"
    "\n"
    "  $ linger alloc 4711 -for 30s -top 1\n"
    "  Planted: 4,202,317 bytes alive (3,027,690 to 5,680,365) in 21,887 objects\n"
    "      41 of 41 samples (100.0 %) are alive and retain 7,872 bytes\n"
    "      at Initialised.Fill (Sites.dll) in Program.cs:61\n"
    "      at Initialised..cctor (Sites.dll) in Program.cs:54\n"
    "      held by static Initialised.Items -> Planted[] items";

const struct lg_command lg_cmd_alloc = {
    .name = "alloc",
    .usage = "TARGET [OPTIONS]",
    .summary = "where the objects that are alive were made: sampled allocations, followed from outside",
    .details = details,
    .options = lg_alloc_options,
    .needs = LG_TAKES_TARGET,
    .follows = true,
    .writes_file = lg_alloc_can_export,
    .check = check_args,
    .run = run,
};
