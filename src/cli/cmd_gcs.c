// `gcs`: each collection of a running process as it happens, and what they come to.
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/session.h"
#include "diag/gc.h"
#include "util/cancel.h"

enum { END_MS = 10000, GENERATIONS = 3 };

static const struct lg_column generation_columns[] = {
    { "generation", NULL, LG_CELL_TEXT },   { "before", NULL, LG_CELL_BYTES },
    { "free_before", NULL, LG_CELL_BYTES }, { "after", NULL, LG_CELL_BYTES },
    { "free_after", NULL, LG_CELL_BYTES },  { "promoted", NULL, LG_CELL_BYTES },
};
static const struct lg_table_spec generations_spec = LG_TABLE_SPEC("generations", generation_columns, 0);

static const struct lg_column columns[] = {
    { "number", NULL, LG_CELL_COUNT },   { "generation", NULL, LG_CELL_COUNT },
    { "kind", NULL, LG_CELL_TEXT },      { "reason", NULL, LG_CELL_TEXT },
    { "start_ms", NULL, LG_CELL_REAL },  { "duration_ms", NULL, LG_CELL_REAL },
    { "pause_ms", NULL, LG_CELL_REAL },  { "before", NULL, LG_CELL_BYTES },
    { "after", NULL, LG_CELL_BYTES },    { "fragmentation", NULL, LG_CELL_BYTES },
    { "promoted", NULL, LG_CELL_BYTES }, { "compacting", NULL, LG_CELL_BOOL },
    { "heaps", NULL, LG_CELL_COUNT },    { "memory_load", NULL, LG_CELL_COUNT },
    { "pinned", NULL, LG_CELL_COUNT },   { "finalized", NULL, LG_CELL_COUNT },
    { "handles", NULL, LG_CELL_COUNT },  { "generations", NULL, LG_CELL_TABLE },
};
static const struct lg_table_spec spec =
    LG_TABLE_SPEC("collections", columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

static const struct lg_column summary_columns[] = {
    { "generation", "Generation", LG_CELL_COUNT, .flags = LG_COL_LEFT },
    { "count", "Count", LG_CELL_COUNT },
    { "background", "Background", LG_CELL_COUNT },
    { "compacting", "Compacting", LG_CELL_COUNT },
    { "pause_ms", "Pause ms", LG_CELL_REAL },
    { "longest_ms", "Longest", LG_CELL_REAL },
    { "promoted", "Promoted", LG_CELL_BYTES, .flags = LG_COL_HUMAN },
};
static const struct lg_table_spec summary_spec =
    LG_TABLE_SPEC("summary", summary_columns, LG_TABLE_WIDE);

struct sums {
    uint64_t count, background, compacting, promoted;
    double pause_ms, longest_ms;
};

struct watching {
    struct lg_session *session;
    struct lg_report *report;
    struct lg_table *table;
    struct lg_gc_follower *follower;
    struct sums sums[GENERATIONS];
    uint64_t count;
};

// ---- one collection ----

static const char *human(char buf[16], uint64_t bytes)
{
    const char *units = "BKMGT";
    double value = (double)bytes;
    while (value >= 999.5 && units[1]) {
        value /= 1024;
        units++;
    }
    snprintf(buf, 16, value < 9.95 && *units != 'B' ? "%.1f%c" : "%.0f%c", value, *units);
    return buf;
}

static struct lg_error *say_head(const struct watching *w)
{
    return lg_session_say(w->session, w->report, "%9s %6s %3s %-10s %9s %6s %6s %8s %6s  %s  %s",
                          "Time s", "Number", "Gen", "Kind", "Pause ms", "Before", "After", "Promoted",
                          "Free", "gen0 gen1 gen2 loh poh, before>after              ", "Reason");
}

static struct lg_error *say(const struct watching *w, const struct lg_gc *gc)
{
    char pause[32] = "-", before[16] = "-", after[16] = "-", promoted[16] = "-", free[16] = "-";
    char generations[96] = "-", a[16], b[16];
    size_t len = 0;
    if (gc->pause_ms >= 0)
        snprintf(pause, sizeof(pause), "%.3f", gc->pause_ms);
    if (gc->has_stats)
        human(promoted, lg_gc_promoted(gc));
    if (gc->has_history) {
        human(before, lg_gc_before(gc));
        human(after, lg_gc_after(gc));
        human(free, lg_gc_free_after(gc));
    }
    for (int i = 0; i < LG_GC_GENERATIONS && gc->has_history; i++)
        len += (size_t)snprintf(generations + len, sizeof(generations) - len, "%s%s>%s", i ? " " : "",
                                human(a, gc->generations[i].before), human(b, gc->generations[i].after));
    return lg_session_say(
        w->session, w->report, "%9.3f %6" PRIu64 " %3" PRIu32 " %-10s %9s %6s %6s %8s %6s  %-50s  %s",
        gc->start_ms / 1000, gc->number, gc->generation, lg_gc_kind_name(gc->kind), pause, before, after,
        promoted, free, generations, lg_gc_reason_name(gc->reason));
}

static void number_if(struct lg_table *table, bool known, uint64_t value)
{
    if (known)
        lg_cell_number(table, value);
    else
        lg_cell_null(table);
}

static void report_generations(struct lg_table *table, const struct lg_gc *gc)
{
    for (int i = 0; i < LG_GC_GENERATIONS; i++) {
        const struct lg_gc_sizes *sizes = &gc->generations[i];
        lg_cell_text(table, lg_gc_generation_names[i]);
        number_if(table, gc->has_history, sizes->before);
        number_if(table, gc->has_history, sizes->free_before);
        number_if(table, gc->has_history, sizes->after);
        number_if(table, gc->has_history, sizes->free_after);
        number_if(table, gc->has_stats, sizes->promoted);
    }
}

static void report_gc(struct lg_table *table, const struct lg_gc *gc)
{
    lg_cell_number(table, gc->number);
    lg_cell_number(table, gc->generation);
    lg_cell_text(table, lg_gc_kind_name(gc->kind));
    lg_cell_text(table, lg_gc_reason_name(gc->reason));
    lg_cell_real(table, gc->start_ms);
    lg_cell_real(table, gc->duration_ms);
    if (gc->pause_ms >= 0)
        lg_cell_real(table, gc->pause_ms);
    else
        lg_cell_null(table);
    number_if(table, gc->has_history, lg_gc_before(gc));
    number_if(table, gc->has_history, lg_gc_after(gc));
    number_if(table, gc->has_history, lg_gc_free_after(gc));
    number_if(table, gc->has_stats, lg_gc_promoted(gc));
    if (gc->has_history)
        lg_cell_bool(table, gc->compacting);
    else
        lg_cell_null(table);
    number_if(table, gc->has_history, gc->heaps);
    number_if(table, gc->has_history, gc->memory_load);
    number_if(table, gc->has_stats, gc->pinned);
    number_if(table, gc->has_stats, gc->finalized);
    number_if(table, gc->has_stats, gc->handles);
    report_generations(lg_cell_table(table, &generations_spec), gc);
}

static struct lg_error *collected(void *self, const struct lg_gc *gc)
{
    struct watching *w = self;
    w->count++;
    if (gc->generation < GENERATIONS) {
        struct sums *sums = &w->sums[gc->generation];
        double pause = gc->pause_ms > 0 ? gc->pause_ms : 0;
        sums->count++;
        sums->background += gc->kind == LG_GC_BACKGROUND;
        sums->compacting += gc->compacting;
        sums->promoted += gc->has_stats ? lg_gc_promoted(gc) : 0;
        sums->pause_ms += pause;
        sums->longest_ms = pause > sums->longest_ms ? pause : sums->longest_ms;
    }
    report_gc(w->table, gc);
    return say(w, gc);
}

static struct lg_error *take_event(void *self, const struct lg_event *event)
{
    return lg_gc_follower_event(((struct watching *)self)->follower, event);
}

static void take_loss(void *self, const struct lg_event_loss *loss)
{
    lg_gc_follower_lost(((struct watching *)self)->follower);
}

// ---- following ----

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct bounds {
    int64_t until_ms; // INT64_MAX: until Ctrl-C
    uint64_t count;   // of collections
};

// Until a bound is reached, the process ends, or Ctrl-C, which is no error.
static struct lg_error *follow(struct watching *w, struct lg_diag_session *stream,
                               struct lg_nettrace *trace, const struct bounds *bounds)
{
    struct lg_error *err = NULL;
    while (!err && !stream->ended && w->count < bounds->count && now_ms() < bounds->until_ms)
        err = lg_diag_feed(stream, trace, LG_DIAG_QUIET_MS);
    if (!err || lg_error_kind(err) != LG_ERR_CANCELLED || lg_cancel_flag != SIGINT)
        return err;
    lg_cancel_flag = 0;
    return NULL;
}

static struct lg_error *end(const struct lg_diag *diag, struct lg_diag_session *stream,
                            struct lg_nettrace *trace)
{
    int64_t until = now_ms() + END_MS;
    struct lg_error *err = lg_diag_stop(diag, stream);
    while (!err && !stream->ended && now_ms() < until)
        err = lg_diag_feed(stream, trace, LG_DIAG_QUIET_MS);
    return err ? err : lg_diag_stopped(diag, stream);
}

static void report_summary(const struct watching *w, double seconds,
                           const struct lg_nettrace_facts *facts, unsigned unfinished)
{
    struct lg_gc_pauses pauses = lg_gc_follower_pauses(w->follower);
    double percent = seconds > 0 ? pauses.total_ms / seconds / 10 : 0;
    lg_report_line(w->report, "%s", "");
    lg_report_line(w->report,
                   "%" PRIu64 " collections in %.1f s; %" PRIu64
                   " pauses, %.1f ms in all (%.2f %% of the time), the longest %.1f ms",
                   w->count, seconds, pauses.count, pauses.total_ms, percent, pauses.longest_ms);
    lg_report_fact_number(w->report, "count", w->count);
    lg_report_fact_real(w->report, "seconds", seconds);
    lg_report_fact_number(w->report, "pauses", pauses.count);
    lg_report_fact_real(w->report, "pause_ms", pauses.total_ms);
    lg_report_fact_real(w->report, "longest_ms", pauses.longest_ms);
    lg_report_fact_number(w->report, "lost_events", facts->lost);
    uint64_t missing = lg_gc_follower_missing(w->follower);
    lg_report_fact_number(w->report, "missing", missing);
    lg_report_fact_number(w->report, "unfinished", unfinished);
    struct lg_table *table = lg_report_table(w->report, &summary_spec);
    for (unsigned i = 0; i < GENERATIONS; i++) {
        lg_cell_number(table, i);
        lg_cell_number(table, w->sums[i].count);
        lg_cell_number(table, w->sums[i].background);
        lg_cell_number(table, w->sums[i].compacting);
        lg_cell_real(table, w->sums[i].pause_ms);
        lg_cell_real(table, w->sums[i].longest_ms);
        lg_cell_number(table, w->sums[i].promoted);
    }
    if (facts->lost > 0)
        lg_report_incomplete(w->report,
                             "%" PRIu64
                             " events were lost: collections may be missing, and pauses are unknown "
                             "where they were",
                             facts->lost);
    if (missing > 0)
        lg_report_incomplete(w->report,
                             "%" PRIu64 " collections are not told: another tool's session can take "
                             "them away, and a region without collections has a number, too",
                             missing);
    if (unfinished > 0)
        lg_report_incomplete(w->report, "%u collections had begun and were not over at the end",
                             unfinished);
}

static struct lg_error *watch(struct watching *w, const struct lg_diag *diag, struct bounds *bounds,
                              struct lg_diag_session *stream, struct lg_nettrace *trace)
{
    const struct lg_diag_provider provider = { LG_DIAG_RUNTIME, LG_GC_KEYWORD, LG_DIAG_INFO };
    const struct lg_diag_request request = { .providers = &provider, .provider_count = 1 };
    unsigned unfinished = 0;
    struct lg_error *err = lg_diag_collect(diag, &request, stream);
    int64_t start = now_ms();
    if (bounds->until_ms != INT64_MAX)
        bounds->until_ms += start;
    if (!err)
        err = say_head(w);
    if (!err)
        err = follow(w, stream, trace, bounds);
    double seconds = (double)(now_ms() - start) / 1000;
    bool was_over = stream->ended;
    if (!err)
        err = end(diag, stream, trace);
    if (!err)
        err = lg_gc_follower_finish(w->follower, &unfinished);
    if (err)
        return err;
    report_summary(w, seconds, lg_nettrace_facts(trace), unfinished);
    if (was_over)
        lg_report_incomplete(w->report, "the process, or its session, ended after %.1f s", seconds);
    return NULL;
}

// ---- the command ----

static struct lg_error *check(const struct lg_args *args)
{
    struct lg_error *err = lg_args_expect(args, 1, 1);
    if (!err && lg_args_has(args, "for") && lg_args_number(args, "for", 0) > INT32_MAX)
        err = lg_error_new(LG_ERR_USAGE, "option '-for': at most 24 days");
    return err;
}

static void describe(struct lg_report *report, const struct lg_diag *diag, int pid)
{
    struct lg_diag_info info = { 0 };
    struct lg_error *err = lg_diag_process_info(diag, &info);
    lg_error_free(err); // Then its version is not told.
    char *end = info.version ? strpbrk(info.version, "+- ") : NULL;
    if (end)
        *end = '\0';
    const struct lg_report_target about = {
        .kind = "process", .pid = pid, .runtime = info.version, .pause_ms = -1, .cow_bytes = -1
    };
    lg_report_set_target(report, &about);
    lg_diag_info_deinit(&info);
}

static struct lg_error *start(struct watching *w, const struct lg_args *args, int pid)
{
    struct bounds bounds = { INT64_MAX, lg_args_number(args, "count", UINT64_MAX) };
    struct lg_diag_session stream = { .fd = -1, .stop_fd = -1 };
    const struct lg_event_handler handler = { w, take_event, take_loss };
    const struct lg_gc_listener listener = { w, collected };
    _cleanup_(lg_diag_freep) struct lg_diag *diag = NULL;
    _cleanup_(lg_nettrace_freep) struct lg_nettrace *trace = NULL;
    if (lg_args_has(args, "for"))
        bounds.until_ms = (int64_t)lg_args_number(args, "for", 0);
    struct lg_error *err = lg_diag_open(pid, &diag);
    if (err)
        return err;
    describe(w->report, diag, pid);
    err = lg_nettrace_new(&handler, LG_NETTRACE_IN_ORDER, &trace);
    if (!err)
        err = lg_gc_follower_new(&listener, trace, &w->follower);
    if (!err)
        err = watch(w, diag, &bounds, &stream, trace);
    lg_diag_close(&stream);
    lg_gc_follower_free(w->follower);
    return err;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    int pid;
    struct lg_error *err = lg_target_resolve(lg_args_at(args, 0), &pid);
    if (!err && pid == 0)
        err = lg_error_new(LG_ERR_USAGE, "'%s' is no running process: it collects nothing any more",
                           lg_args_at(args, 0));
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("gcs");
    if (!report)
        return &lg_no_memory;
    struct watching w = { .session = session,
                          .report = report,
                          .table = lg_report_table(report, &spec) };
    err = start(&w, args, pid);
    if (err)
        return err;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "for", LG_OPT_DURATION, "TIME", "for so long (60s, 10m); else until Ctrl-C" },
    { "count", LG_OPT_NUMBER, "N", "until N collections were seen" },
    { 0 },
};

static const char details[] =
    "A line for each collection as it happens, then what they come to: it ends by -for, by -count,\n"
    "with the process, or by Ctrl-C. Pause is how long threads stood still for it; sizes are those of\n"
    "all heaps, before>after by generation; Free is what of After is fragmentation.";

const struct lg_command lg_cmd_gcs = {
    .name = "gcs",
    .usage = "TARGET [-for TIME] [-count N]",
    .summary = "each collection of a running process as it happens: pause, sizes, reason",
    .details = details,
    .options = options,
    .needs = LG_NEEDS_NOTHING,
    .follows = true,
    .check = check,
    .run = run,
};
