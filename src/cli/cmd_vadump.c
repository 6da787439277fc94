// `vadump`: whose the resident memory of a process is.
//
// The categories, columns and totals are those of the tool of that name for Windows, which people know.
// A process stands still for the reading; for -detail one with a runtime is copied after that, so that
// its structures can be read at leisure.
#include <string.h>

#include "cli/cmd.h"
#include "cli/collection.h"
#include "cli/support.h"
#include "cli/vadump.h"
#include "cli/watch.h"
#include "clr/memory.h"
#include "target/processes.h"

static const struct {
    const char *name;
    enum lg_by by;
} ways[] = {
    { "module", LG_BY_MODULE },
    { "file", LG_BY_FILE },
    { "kind", LG_BY_KIND },
    { "thread", LG_BY_THREAD },
};

static bool find_way(const char *name, enum lg_by *ret)
{
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        if (strcmp(ways[i].name, name) == 0) {
            *ret = ways[i].by;
            return true;
        }
    }
    return false;
}

static struct lg_error *check(const struct lg_args *args)
{
    enum lg_by by;
    const char *way = lg_args_text(args, "by");
    if (way && !find_way(way, &by))
        return lg_error_new(LG_ERR_USAGE, "option '-by': '%s' is none of module, file, kind, thread",
                            way);
    unsigned seconds;
    struct lg_error *err = lg_args_has(args, "watch") ? lg_watch_seconds(args, &seconds) : NULL;
    if (err)
        return err;
    if (lg_args_has(args, "diff"))
        return lg_args_expect(args, 2, 2);
    return lg_args_expect(args, 0, 1);
}

static bool wants_detail(const struct lg_args *args)
{
    return lg_args_has(args, "detail") || lg_args_has(args, "by");
}

// What is to be done with a process behind the look at it, and whether a runtime is to be looked for.
static struct lg_error *plan(const char *spec, bool *managed_ret, enum lg_live_after *after_ret,
                             bool *live_ret)
{
    int pid;
    struct lg_process process = { 0 };
    struct lg_error *err = lg_target_resolve(spec, &pid);
    if (err)
        return err;
    *live_ret = pid > 0;
    *managed_ret = true;
    if (pid > 0) {
        lg_error_free(lg_process_read(pid, &process)); // Opening it says what is the matter.
        *managed_ret = process.flavour != LG_FLAVOUR_NONE;
        lg_process_deinit(&process);
    }
    // The runtime's structures are many reads: those are for a copy.
    *after_ret = *managed_ret ? LG_AFTER_COPY : LG_AFTER_STAY;
    return NULL;
}

struct taking {
    struct lg_sight *sight;
    struct lg_picture *picture;
    char *why; // There is no runtime.
    bool live, opened;
};

static void taking_deinit(struct taking *taking)
{
    lg_sight_free(taking->sight);
    lg_picture_free(taking->picture);
    free(taking->why);
}

static struct lg_error *open_target(struct lg_session *session, const struct lg_args *args,
                                    struct taking *taking)
{
    bool managed;
    const char *spec = lg_args_at(args, 0);
    const struct lg_target_options options_given = lg_target_options_parse(args);
    struct lg_live_watch watch = { lg_sight_stopped, taking->sight };
    struct lg_error *err = plan(spec, &managed, &watch.after, &taking->live);
    taking->opened = true;
    if (!err)
        err = lg_session_open_watched(session, spec, &options_given, managed, &watch, &taking->why);
    return err;
}

// At a prompt: anew, as the copy that is open makes every page of the process shared.
static struct lg_error *look_again(struct lg_session *session, const struct lg_args *args,
                                   struct taking *taking)
{
    const struct lg_live_watch watch = { lg_sight_stopped, taking->sight };
    struct lg_target *target = lg_session_target(session);
    if (!target)
        return lg_error_new(LG_ERR_USAGE,
                            "expected a target: a PID, the name of a .NET process, or a core "
                            "file; 'linger ps' lists processes");
    taking->live = target->kind == LG_TARGET_PROCESS;
    struct lg_error *err =
        lg_args_has_target_option(args, "gc") ? lg_collect_and_refresh(session) : NULL;
    return err || !taking->live ? err : lg_session_refresh_watched(session, &watch);
}

static struct lg_error *take(struct lg_session *session, const struct lg_args *args,
                             struct taking *taking)
{
    bool detail = wants_detail(args);
    taking->sight = lg_sight_new();
    if (!taking->sight)
        return &lg_no_memory;
    struct lg_error *err =
        lg_args_count(args) > 0 ? open_target(session, args, taking) : look_again(session, args, taking);
    const struct lg_picture_options options = { .detail = detail };
    if (!err && lg_session_snapshot(session))
        return lg_session_picture(session, false, &taking->picture);
    if (!err)
        err = lg_picture_make(taking->live ? taking->sight : NULL, lg_session_target(session),
                              lg_session_clr(session), &options, &taking->picture);
    bool lost = !err && taking->live && lg_session_is_lost(session);
    if (lost)
        err = lg_error_new(LG_ERR_FAULT, "process %d, or its copy, was killed while it was being read",
                           lg_session_target(session)->pid);
    return err;
}

static void add_facts(struct lg_report *report, const struct taking *taking, struct lg_clr *clr)
{
    const struct lg_picture *picture = taking->picture;
    if (picture->is_core)
        lg_report_fact_null(report, "rss");
    else
        lg_report_fact_number(report, "rss", picture->rss);
    if (picture->page_tables < 0)
        lg_report_fact_null(report, "page_tables");
    else
        lg_report_fact_number(report, "page_tables", (uint64_t)picture->page_tables);
    if (picture->is_core)
        lg_report_fact_null(report, "swapped");
    else
        lg_report_fact_number(report, "swapped", picture->total.swapped);
    lg_report_fact_number(report, "hugetlb", picture->hugetlb);
    lg_report_fact_number(report, "page_size", picture->page_size);
    if (picture->status_rss >= 0)
        lg_report_fact_number(report, "status_rss", (uint64_t)picture->status_rss);
    struct lg_gc_committed committed;
    struct lg_error *err = clr ? lg_clr_gc_committed(clr, &committed) : NULL;
    if (clr && !err)
        lg_report_fact_number(report, "gc_committed", committed.in_use + committed.free);
    lg_error_free(err);
    for (size_t i = 0; i < picture->notes.len; i++)
        lg_report_incomplete(report, "%s", picture->notes.at[i]);
    if (taking->why)
        lg_report_incomplete(report, "what the runtime owns is unknown: %s", taking->why);
}

static struct lg_error *make_report(struct lg_session *session, const struct lg_args *args,
                                    struct taking *taking, struct lg_report **ret)
{
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("vadump");
    if (!report)
        return &lg_no_memory;
    struct lg_vadump_view view = {
        .report = report,
        .picture = taking->picture,
        .clr = lg_session_clr(session),
        .detail = lg_args_has(args, "detail"),
        .by_given = lg_args_has(args, "by"),
        .top = lg_args_number(args, "top", 0),
        .memory = lg_session_memory(session),
    };
    if (view.by_given)
        find_way(lg_args_text(args, "by"), &view.by);
    add_facts(report, taking, view.clr);
    struct lg_error *err = lg_vadump_tables(&view);
    if (err)
        return err;
    lg_vadump_words(&view);
    *ret = lg_steal(report);
    return NULL;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    if (lg_args_has(args, "diff"))
        return lg_vadump_diff(lg_args_at(args, 0), lg_args_at(args, 1), ret);
    _cleanup_(taking_deinit) struct taking taking = { 0 };
    struct lg_error *err = take(session, args, &taking);
    if (!err)
        err = make_report(session, args, &taking, ret);
    if (taking.opened) // It need not wait while somebody reads the report.
        lg_session_end(session);
    return err;
}

static const struct lg_option options[] = {
    { "detail", LG_OPT_FLAG, NULL, "each category's rows: whose the pages are" },
    { "by", LG_OPT_TEXT, "WAY", "rows by module, file, kind or thread" },
    { "top", LG_OPT_NUMBER, "N", "only the N largest rows" },
    { "watch", LG_OPT_NUMBER, "[SECONDS]", "again every SECONDS (2), with what changed" },
    { "diff", LG_OPT_FLAG, NULL, "compare two pictures that were saved with -o FILE" },
    { 0 },
};

static const char details[] =
    "What is resident in a process, as the kernel counts it, page for page, and whose it is. The "
    "process\n"
    "stands still while it is read; it may be any process, or a core. Private: pages that are its own\n"
    "copies; Shareable: pages of files and shared memory that nobody else maps now; Shared: pages that\n"
    "others map too.\n"
    "\n"
    "    $ linger vadump 4711\n"
    "    Category                        Total        Private Shareable    Shared\n"
    "                               Pages    KBytes    KBytes    KBytes    KBytes\n"
    "          Page Table Pages        89       356       356         0         0\n"
    "          Other System            32       128       128         0         0\n"
    "          Code/StaticData       7319     29276      1020        80     28176\n"
    "          Heap                 12352     49408     49408         0         0\n"
    "          Stack                   38       152       152         0         0\n"
    "          Teb                      9        36        36         0         0\n"
    "          Mapped Data              0         0         0         0         0\n"
    "          Other Data             878      3512       532      2948        32\n"
    "";

const struct lg_command lg_cmd_vadump = {
    .name = "vadump",
    .usage = "TARGET [-detail] [-by WAY] [-top N] [-watch SECONDS] | -diff FILE FILE",
    .summary = "whose the memory of a process is, page by page: managed, native, files, stacks",
    .details = details,
    .options = options,
    .needs = LG_TAKES_TARGET,
    .saves_json = true,
    .check = check,
    .run = run,
    .remember = lg_vadump_remember,
    .forget = lg_vadump_forget,
};
