// `diff`: what differs between two pictures, and what grows over three and more.
#include <inttypes.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/collection.h"
#include "cli/pictures.h"
#include "cli/support.h"
#include "target/live.h"

enum { TOP = 20 };

static struct lg_error *parse_by(const char *text, enum lg_changes_by *ret)
{
    static const char *const names[] = { "both", "type", "holder" };
    *ret = LG_CHANGES_BOTH;
    for (unsigned i = 0; text && i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum lg_changes_by)i;
            return NULL;
        }
    }
    return text ? lg_error_new(LG_ERR_USAGE, "cannot compare by '%s': expected type or holder", text)
                : NULL;
}

static struct lg_error *parse(const struct lg_args *args, struct lg_changes_query *ret)
{
    *ret = (struct lg_changes_query){
        .contains = lg_args_text(args, "type"),
        .top = lg_args_number(args, "top", TOP),
        .min = lg_args_number(args, "min", 0),
    };
    return parse_by(lg_args_text(args, "by"), &ret->by);
}

static struct lg_error *check(const struct lg_args *args)
{
    struct lg_changes_query query;
    return parse(args, &query);
}

// ---- targets ----

static void end_session(struct lg_session **session)
{
    lg_session_free(*session);
}

// What is open at a prompt is one of them.
static struct lg_error *check_collection(const struct lg_session *session, const struct lg_args *args)
{
    const struct lg_target *open = lg_session_target(session);
    int pid = open && open->kind == LG_TARGET_PROCESS ? open->pid : 0;
    struct lg_error *err = NULL;
    for (size_t i = 0; i < lg_args_count(args) && pid == 0 && !err; i++)
        err = lg_target_resolve(lg_args_at(args, i), &pid);
    if (!err && pid == 0)
        err = lg_error_new(LG_ERR_USAGE, "--gc: none of these is a running process");
    return err;
}

// `--gc` is for those of the targets that run.
static struct lg_error *parse_options(const struct lg_args *args, const char *spec,
                                      struct lg_target_options *ret)
{
    int pid = 0;
    *ret = lg_target_options_parse(args);
    struct lg_error *err = ret->collect ? lg_target_resolve(spec, &pid) : NULL;
    if (pid == 0)
        ret->collect = LG_COLLECT_NOT;
    return err;
}

// The session's own target is what a prompt is about: others are opened beside it.
static struct lg_error *take(struct lg_session *session, const struct lg_args *args, const char *spec,
                             struct lg_pictures *pictures)
{
    bool is_taken;
    struct lg_target_options options;
    struct lg_error *err = parse_options(args, spec, &options);
    if (!err)
        err = lg_session_open(session, spec, &options);
    if (!err)
        err = lg_pictures_take(pictures, session, "try again", &is_taken);
    lg_session_close(session);
    return lg_error_context(err, "'%s'", spec);
}

static struct lg_error *take_open(struct lg_session *session, const struct lg_args *args,
                                  struct lg_pictures *pictures)
{
    bool collects = lg_args_has_target_option(args, "gc")
                    && lg_session_target(session)->kind == LG_TARGET_PROCESS,
         is_taken;
    struct lg_error *err = collects ? lg_collect_and_refresh(session) : NULL;
    return err ? err : lg_pictures_take(pictures, session, "'refresh' takes another copy", &is_taken);
}

static struct lg_error *take_all(struct lg_session *session, const struct lg_args *args,
                                 struct lg_pictures *pictures)
{
    bool prompting = lg_session_target(session) != NULL;
    _cleanup_(end_session) struct lg_session *beside = prompting ? lg_session_new() : NULL;
    struct lg_error *err = prompting && !beside ? &lg_no_memory : NULL;
    bool collects = lg_args_has_target_option(args, "gc");
    if (!err && collects)
        err = check_collection(session, args);
    // One that stands still for us could not answer, and may be told beside, too.
    bool waits = !err && collects && prompting && lg_live_reads_process(lg_session_target(session));
    if (waits)
        lg_session_end(session);
    if (!err && beside)
        err = lg_session_use_dac(beside, lg_args_text(args, "dac"));
    for (size_t i = 0; i < lg_args_count(args) && !err; i++)
        err = take(beside ? beside : session, args, lg_args_at(args, i), pictures);
    if (!err && prompting)
        err = take_open(session, args, pictures);
    if (err && waits)
        lg_error_free(lg_session_refresh(session)); // What was wrong is told already.
    return err;
}

// ---- the report ----

static void describe(const struct lg_pictures *pictures, struct lg_report *report)
{
    for (size_t i = 0; i < pictures->taken.len; i++) {
        const struct lg_picture_about *about = &pictures->taken.at[i];
        char name[32], count[LG_COMMAS_SIZE], size[LG_COMMAS_SIZE];
        snprintf(name, sizeof(name), "process %d", about->target.pid);
        lg_report_line(report, "%zu: %s, %s: %s %sobjects, %s bytes", i + 1,
                       about->target.path ? about->target.path : name,
                       about->target.taken ? about->target.taken : "at an unknown time",
                       lg_commas(count, about->total.count), about->counts_dead ? "" : "live ",
                       lg_commas(size, about->total.size));
        _cleanup_free_ char *words =
            about->collected.count ? lg_collection_words(&about->collected) : NULL;
        if (words)
            lg_report_line(report, "   %s", words);
    }
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_changes_query query;
    size_t least = lg_session_target(session) ? 1 : 2;
    struct lg_error *err = lg_args_expect(args, least, SIZE_MAX);
    if (!err)
        err = parse(args, &query);
    if (err)
        return err;
    _cleanup_(lg_pictures_deinit) struct lg_pictures pictures = {
        .graph = true, .types_only = query.by == LG_CHANGES_TYPES, .all = lg_args_has(args, "all")
    };
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("diff");
    err = report ? take_all(session, args, &pictures) : &lg_no_memory;
    if (err)
        return err;
    describe(&pictures, report);
    err = lg_changes_report(&pictures, &query, report);
    if (!err)
        *ret = lg_steal(report);
    return err;
}

static const struct lg_option options[] = {
    { "by", LG_OPT_TEXT, "KEY", "only type, or only holder: what the objects hang on" },
    { "type", LG_OPT_TEXT, "TEXT", "only types that contain TEXT, each with all that hold it" },
    { "top", LG_OPT_NUMBER, "N", "rows at most, the most grown first; 0: all (default 20)" },
    { "min", LG_OPT_SIZE, "SIZE", "only what changed by SIZE bytes at least" },
    { "all", LG_OPT_FLAG, NULL, "dead objects count, too" },
    { 0 },
};

static const char details[] =
    "TARGETs are processes, cores and snapshots, in any mix, the oldest first; at a prompt what is\n"
    "open is the last of them. Only live objects count (-all: dead ones too). Types match by name and\n"
    "assembly, holders by the route from a root, so that it may be another run of the program. What\n"
    "hangs below objects that came is counted with them. Of three and more targets it is told what\n"
    "grows steadily, how fast, and how sure that is. Each is let go of before the next is opened.\n"
    "\n"
    "  $ linger diff monday.snap tuesday.snap -by holder -top 1\n"
    "  1: monday.snap, 2026-11-24T16:34:03.120Z: 3,814 live objects, 480,784 bytes\n"
    "  2: tuesday.snap, 2026-11-24T16:34:03.430Z: 5,342 live objects, 641,890 bytes\n"
    "\n"
    "  9 holders differ, the most grown first:\n"
    "  Objects    Bytes What, and what holds it\n"
    "     +500 +157,000 Order <- static OrderCache.orders -> Dictionary values";

const struct lg_command lg_cmd_diff = {
    .name = "diff",
    .usage = "[OPTIONS] TARGET...",
    .summary = "what differs between pictures: types, and what holds the objects that came",
    .details = details,
    .options = options,
    .needs = LG_TAKES_TARGET,
    .check = check,
    .run = run,
};
