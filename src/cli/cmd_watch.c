// `watch`: a process, again and again, and what of it grows steadily.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/collection.h"
#include "cli/pictures.h"
#include "cli/support.h"
#include "cli/watch.h"
#include "target/processes.h"
#include "util/cancel.h"

enum { TOP = 20 };

// From round to round.
struct memory {
    struct lg_pictures pictures;
    int pid;             // 0: not known yet
    int64_t start_ticks; // A PID may be given to another process.
    struct timespec start;
    uint64_t rounds;
    bool has_ended;
};

static void *remember(void)
{
    return calloc(1, sizeof(struct memory));
}

static void forget(void *memory)
{
    lg_pictures_deinit(&((struct memory *)memory)->pictures);
    free(memory);
}

static bool is_over(const void *memory)
{
    return ((const struct memory *)memory)->has_ended;
}

static struct lg_error *check(const struct lg_args *args)
{
    struct lg_watch watch;
    struct lg_error *err = lg_args_expect(args, 0, 1);
    return err ? err : lg_watch_parse(args, &watch);
}

// ---- the process ----

static int64_t start_of(int pid)
{
    struct lg_process process = { 0 };
    struct lg_error *err = lg_process_read(pid, &process);
    int64_t ticks = err ? -1 : process.start_ticks;
    lg_error_free(err);
    lg_process_deinit(&process);
    return ticks;
}

static struct lg_error *find_process(struct lg_session *session, const struct lg_args *args,
                                     struct memory *memory)
{
    const struct lg_target *target = lg_session_target(session);
    struct lg_error *err = NULL;
    if (lg_args_count(args) > 0 && target)
        return lg_error_new(LG_ERR_USAGE, "at a prompt what is open is watched");
    if (lg_args_count(args) > 0)
        err = lg_target_resolve(lg_args_at(args, 0), &memory->pid);
    else if (target && target->kind == LG_TARGET_PROCESS)
        memory->pid = target->pid;
    if (err)
        return err;
    if (memory->pid <= 0)
        return lg_error_new(LG_ERR_USAGE, "expected a process: its PID or its name; only what runs can "
                                          "be watched, 'diff' compares files");
    memory->start_ticks = start_of(memory->pid);
    clock_gettime(CLOCK_MONOTONIC, &memory->start);
    return NULL;
}

static bool has_ended(const struct memory *memory)
{
    return start_of(memory->pid) != memory->start_ticks;
}

// ---- rounds ----

static double minutes_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) / 60 + (double)(now.tv_nsec - start->tv_nsec) / 60e9;
}

// Between rounds the process has no copy: that would cost it memory. At a prompt it has one anyway.
static struct lg_error *open_process(struct lg_session *session, const struct lg_args *args,
                                     const struct memory *memory)
{
    char pid[16];
    const struct lg_target_options options = lg_target_options_parse(args);
    snprintf(pid, sizeof(pid), "%d", memory->pid);
    if (lg_args_count(args) > 0)
        return lg_session_open(session, pid, &options);
    if (lg_args_has_target_option(args, "gc"))
        return lg_collect_and_refresh(session);
    return memory->rounds > 0 ? lg_session_refresh(session) : NULL;
}

static struct lg_error *take(struct lg_session *session, const struct lg_args *args,
                             struct memory *memory, bool *is_taken_ret)
{
    double at = minutes_since(&memory->start);
    *is_taken_ret = false;
    struct lg_error *err = open_process(session, args, memory);
    if (!err)
        err = lg_pictures_take(&memory->pictures, session, "try again", is_taken_ret);
    if (!err && memory->pictures.by_time)
        memory->pictures.taken.at[memory->pictures.taken.len - 1].at = at;
    return err;
}

// One round without a picture does not end a watch that has some, whatever the reason.
static struct lg_error *take_or_tell(struct lg_session *session, const struct lg_args *args,
                                     struct memory *memory, struct lg_report *report)
{
    bool is_taken;
    size_t before = memory->pictures.taken.len;
    struct lg_error *err = take(session, args, memory, &is_taken);
    if (!err || before == 0 || is_taken || lg_cancelled() || lg_error_kind(err) == LG_ERR_NO_MEMORY)
        return err;
    memory->has_ended = has_ended(memory);
    if (memory->has_ended)
        lg_report_incomplete(report, "process %d has ended: this is of the %zu round%s before",
                             memory->pid, before, before == 1 ? "" : "s");
    else
        lg_report_incomplete(report, "round %" PRIu64 " has no picture: %s", memory->rounds + 1,
                             lg_error_message(err));
    lg_error_free(err);
    return NULL;
}

// ---- the report ----

static void describe(const struct memory *memory, struct lg_report *report)
{
    const struct lg_pictures *pictures = &memory->pictures;
    const struct lg_picture_about *first = &pictures->taken.at[0],
                                  *last = &pictures->taken.at[pictures->taken.len - 1];
    char text[3][LG_COMMAS_SIZE], now[40];
    struct tm local;
    time_t seconds = time(NULL);
    strftime(now, sizeof(now), "%F %T", localtime_r(&seconds, &local));
    bool fell = last->total.size < first->total.size;
    uint64_t change = fell ? first->total.size - last->total.size : last->total.size - first->total.size;
    lg_report_line(report, "Round %" PRIu64 "%s, %s: %s %sobjects, %s bytes, %s%s since the first",
                   memory->rounds, memory->has_ended ? " was the last" : "", now,
                   lg_commas(text[0], last->total.count), last->counts_dead ? "" : "live ",
                   lg_commas(text[1], last->total.size), fell ? "-" : "+", lg_commas(text[2], change));
    if (pictures->taken.len < 3 && !memory->has_ended)
        lg_report_line(report, "What grows is told from the third round on.");
    lg_report_fact_number(report, "round", memory->rounds);
    lg_report_fact_number(report, "pictures", pictures->taken.len);
    lg_report_fact_text(report, "unit", pictures->by_time ? "minute" : "step");
    lg_report_fact_real(report, "at", last->at);
    lg_report_fact_number(report, "count", last->total.count);
    lg_report_fact_number(report, "size", last->total.size);
    lg_report_fact_bool(report, "counts_dead", last->counts_dead);
}

static struct lg_error *make_report(const struct lg_args *args, const struct memory *memory,
                                    struct lg_report *report)
{
    const struct lg_changes_query query = {
        .growing = true,
        .contains = lg_args_text(args, "type"),
        .top = lg_args_number(args, "top", TOP),
        .min = lg_args_number(args, "min", 0),
    };
    describe(memory, report);
    return lg_changes_report(&memory->pictures, &query, report);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct memory *memory = lg_session_memory(session);
    struct lg_error *err = memory->pid ? NULL : find_process(session, args, memory);
    if (err)
        return err;
    memory->pictures.is_watch = true;
    memory->pictures.graph = lg_args_has(args, "graph");
    memory->pictures.by_time = !lg_args_has(args, "steps");
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("watch");
    err = report ? take_or_tell(session, args, memory, report) : &lg_no_memory;
    if (lg_args_count(args) > 0)
        lg_session_end(session);
    memory->rounds += !memory->has_ended;
    if (!err)
        err = make_report(args, memory, report);
    if (!err)
        *ret = lg_steal(report);
    return err;
}

static const struct lg_option options[] = {
    LG_WATCH_OPTIONS,
    { "graph", LG_OPT_FLAG, NULL, "only what is alive, and what holds it; costs more" },
    { "top", LG_OPT_NUMBER, "N", "rows at most, the fastest first; 0: all (default 20)" },
    { "type", LG_OPT_TEXT, "TEXT", "only types that contain TEXT" },
    { "min", LG_OPT_SIZE, "SIZE", "only what grew by SIZE bytes at least" },
    { 0 },
};

static const char details[] =
    "Each round takes a copy of the process, counts its objects by type and lets it go; from the third\n"
    "on what grows steadily is told, with its rate and how sure that is (as 'diff' has it). -graph\n"
    "leaves out the dead and tells what holds the objects that come. Ctrl-C, or the end of the "
    "process,\n"
    "ends it with the table so far. With -steps a round is taken for each line on standard input, and\n"
    "rates are per step: do the same work between any two.\n"
    "\n"
    "  $ linger watch Shop -every 30s -for 10m -graph\n"
    "  Round 5, 2026-11-24 16:45:44: 9,831 live objects, 1,171,850 bytes, +687,994 since the first\n"
    "\n"
    "  1 holder grows steadily, the fastest first:\n"
    "  Objects    Bytes Objects/min Bytes/min Sure What, and what holds it\n"
    "   +2,000 +628,000      +1,000  +314,000  94% Order <- static OrderCache.orders -> Dictionary "
    "values";

const struct lg_command lg_cmd_watch = {
    .name = "watch",
    .usage = "[PROCESS] [OPTIONS]",
    .summary = "what of a process grows steadily: how fast, what holds it, how sure that is",
    .details = details,
    .options = options,
    .needs = LG_TAKES_TARGET,
    .check = check,
    .run = run,
    .remember = remember,
    .forget = forget,
    .watches = true,
    .is_over = is_over,
};
