// `linger ps`: the .NET processes of this machine.
//
// Nothing is stopped: /proc tells most of it, and the GC's own variables, read while the process runs,
// the rest (clr/gc_look.h).
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/growth.h"
#include "cli/ps.h"
#include "cli/session.h"
#include "cli/watch.h"
#include "clr/gc_look.h"
#include "target/live.h"
#include "target/processes.h"
#include "util/parallel.h"

#define COLUMNS(growth) \
    { "pid", "PID", LG_CELL_COUNT }, { "ns_pid", "", LG_CELL_COUNT, .flags = LG_COL_JSON_ONLY }, \
        { "ppid", "", LG_CELL_COUNT, .flags = LG_COL_JSON_ONLY }, \
        { "parent", "", LG_CELL_COUNT, .flags = LG_COL_JSON_ONLY }, \
        { "", "NAME", LG_CELL_TEXT, .flags = LG_COL_TEXT_ONLY }, \
        { "name", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY }, \
        { "command", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY }, \
        { "runtime", "RUNTIME", LG_CELL_TEXT }, { "flavour", "FLAVOUR", LG_CELL_TEXT }, \
        { "gc", "GC", LG_CELL_TEXT }, { "gc_heaps", "", LG_CELL_COUNT, .flags = LG_COL_JSON_ONLY }, \
        { "rss", "RSS", LG_CELL_BYTES, .flags = LG_COL_HUMAN }, \
        { "rss_per_min", "RSS/MIN", LG_CELL_REAL, .flags = LG_COL_HUMAN | (growth) }, \
        { "gc_committed", "GC-COMMITTED", LG_CELL_BYTES, .flags = LG_COL_HUMAN }, \
        { "gc_committed_per_min", "GC/MIN", LG_CELL_REAL, .flags = LG_COL_HUMAN | (growth) }, \
        { "gc_allocated", "", LG_CELL_BYTES, .flags = LG_COL_JSON_ONLY }, \
        { "threads", "THREADS", LG_CELL_COUNT }, \
        { "uptime_s", "UPTIME", LG_CELL_REAL, .flags = LG_COL_DURATION }, \
        { "user", "USER", LG_CELL_TEXT }, \
        { "container", "CONTAINER", LG_CELL_TEXT, .flags = LG_COL_IF_KNOWN }, \
    { \
        "problem", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY \
    }
static const struct lg_column columns[] = { COLUMNS(LG_COL_JSON_ONLY) }, watched[] = { COLUMNS(0) };
static const struct lg_table_spec spec = LG_TABLE_SPEC("processes", columns, LG_TABLE_WIDE);
static const struct lg_table_spec watched_spec = LG_TABLE_SPEC("processes", watched, LG_TABLE_WIDE);
static const struct lg_table_spec empty_spec =
    LG_TABLE_SPEC("processes", columns, LG_TABLE_MAIN | LG_TABLE_HIDDEN);

// ---- looking ----

struct row {
    const struct lg_process *process;
    size_t parent;
    const char *prefix; // of the name, in text
    bool is_there;      // One that has ended since it was listed is not listed.
    bool has_gc;
    struct lg_gc_look gc;
    double growth[LG_GROWTH_VALUES]; // RSS, GC; NAN: unknown
    char *problem;                   // Owned; NULL: none.
};
struct view {
    struct lg_processes processes;
    bool *wanted;
    struct lg_ps_lines lines;
    LG_VEC(struct row) rows;
};

static void view_deinit(struct view *view)
{
    for (size_t i = 0; i < view->rows.len; i++)
        free(view->rows.at[i].problem);
    lg_vec_free(&view->rows);
    lg_vec_free(&view->lines.at);
    free(view->wanted);
    lg_processes_free(&view->processes);
}

static struct lg_error *peek(const struct lg_process *process, struct lg_gc_look *ret)
{
    if (process->flavour == LG_FLAVOUR_NATIVEAOT || process->flavour == LG_FLAVOUR_MONO)
        return lg_error_new(LG_ERR_UNSUPPORTED, "the GC heap of this kind of runtime cannot be read");
    if (process->runtime_base == 0)
        return lg_error_new(LG_ERR_UNSUPPORTED, "where its runtime lies in memory is not known");
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    struct lg_error *err = lg_peek_open(process->pid, &target);
    return err ? err : lg_gc_look(target, process->runtime_path, process->runtime_base, ret);
}

// What is unknown of it, and why; the process itself is named elsewhere.
static char *join_problems(const struct lg_process *process, const struct lg_error *err)
{
    char prefix[32], *joined;
    const char *second = err ? lg_error_message(err) : NULL;
    snprintf(prefix, sizeof(prefix), "process %d: ", process->pid);
    if (second && strncmp(second, prefix, strlen(prefix)) == 0)
        second += strlen(prefix);
    if (process->problem && second)
        return asprintf(&joined, "%s; %s", process->problem, second) < 0 ? NULL : joined;
    return process->problem || second ? strdup(second ? second : process->problem) : NULL;
}

static void look_at_row(void *data, size_t i, size_t worker)
{
    struct row *row = &((struct view *)data)->rows.at[i];
    const struct lg_process *process = row->process;
    bool is_hidden = process->flavour == LG_FLAVOUR_NONE; // Then its problem is said already.
    struct lg_error *err = is_hidden ? NULL : peek(process, &row->gc);
    row->has_gc = !err && !is_hidden;
    row->is_there = row->has_gc || kill(process->pid, 0) == 0 || errno != ESRCH;
    row->problem = join_problems(process, err);
    lg_error_free(err);
}

static bool is_wanted(const struct lg_process *process, const struct lg_args *args)
{
    size_t count = lg_args_count(args);
    for (size_t i = 0; i < count; i++) {
        if (lg_ps_matches(process, lg_args_at(args, i)))
            return true;
    }
    return count == 0;
}

static struct lg_error *look(const struct lg_args *args, struct view *view)
{
    struct lg_error *err = lg_processes_list(&view->processes);
    if (err)
        return err;
    size_t count = view->processes.all.len;
    view->wanted = calloc(count + 1, sizeof(*view->wanted));
    if (!view->wanted)
        return &lg_no_memory;
    for (size_t i = 0; i < count; i++)
        view->wanted[i] = is_wanted(&view->processes.all.at[i], args);
    bool tree = lg_args_has(args, "tree");
    if (!(tree ? lg_ps_tree : lg_ps_list)(&view->processes, view->wanted, &view->lines))
        return &lg_no_memory;
    for (size_t i = 0; i < view->lines.at.len; i++) {
        const struct lg_ps_line *line = &view->lines.at.at[i];
        struct row row = { .process = &view->processes.all.at[line->process],
                           .parent = line->parent,
                           .prefix = line->prefix,
                           .growth = { NAN, NAN } };
        if (!lg_vec_push(&view->rows, row))
            return &lg_no_memory;
    }
    lg_parallel(view->rows.len, look_at_row, view);
    return NULL;
}

// ---- growth ----

static void add_growth(struct lg_growth *growth, struct view *view)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    for (size_t i = 0; i < view->rows.len; i++) {
        struct row *row = &view->rows.at[i];
        const struct lg_growth_reading reading = {
            .seconds = seconds,
            .values = { row->process->rss,
                        row->has_gc && row->gc.committed_known ? (int64_t)row->gc.committed : -1 },
        };
        lg_growth_add(growth, row->process->pid, row->process->start_ticks, &reading, row->growth);
    }
    lg_growth_forget(growth, seconds);
}

// ---- the report ----

static void add_label(struct lg_table *table, const struct row *row)
{
    char *label = NULL;
    const char *name = row->process->name;
    if (row->prefix[0] && asprintf(&label, "%s%s", row->prefix, name ? name : "-") < 0)
        label = NULL;
    lg_cell_text(table, label ? label : name);
    lg_cell_text(table, name);
    free(label);
}

static void add_row(const struct view *view, struct lg_table *table, const struct row *row)
{
    const struct lg_process *process = row->process;
    const struct lg_gc_look *gc = row->has_gc ? &row->gc : NULL;
    bool has_parent = row->parent != SIZE_MAX;
    lg_cell_number(table, (uint64_t)process->pid);
    lg_cell_number_if(table, process->ns_pid > 0, (uint64_t)process->ns_pid);
    lg_cell_number_if(table, process->ppid > 0, (uint64_t)process->ppid);
    lg_cell_number_if(table, has_parent,
                      has_parent ? (uint64_t)view->processes.all.at[row->parent].pid : 0);
    add_label(table, row);
    lg_cell_text(table, process->command);
    lg_cell_text(table, process->version ? process->version : gc && *gc->version ? gc->version : NULL);
    bool known = process->flavour != LG_FLAVOUR_NONE;
    lg_cell_name(table, known ? lg_flavour_name(process->flavour) : NULL);
    lg_cell_name(table, !gc ? NULL : gc->server ? "server" : "workstation");
    lg_cell_number_if(table, gc, gc ? gc->heap_count : 0);
    lg_cell_number_if(table, process->rss >= 0, (uint64_t)process->rss);
    lg_cell_real_if(table, !isnan(row->growth[0]), row->growth[0]);
    lg_cell_number_if(table, gc && gc->committed_known, gc ? gc->committed : 0);
    lg_cell_real_if(table, !isnan(row->growth[1]), row->growth[1]);
    lg_cell_number_if(table, gc, gc ? gc->allocated : 0);
    lg_cell_number_if(table, process->threads >= 0, (uint64_t)process->threads);
    // As /proc has it: in hundredths.
    lg_cell_real_if(table, process->uptime_s >= 0, (double)(int64_t)(process->uptime_s * 100) / 100);
    lg_cell_text(table, process->user);
    lg_cell_text(table, process->container);
    lg_cell_text(table, row->problem);
}

// "process 12: …", "3 processes (12, 13, 14): …": one sentence for all that share a problem.
static void add_note(struct lg_report *report, const struct view *view, size_t first)
{
    enum { NAMED_MAX = 20 };
    char list[NAMED_MAX * 16] = "";
    size_t len = 0, count = 0;
    const char *problem = view->rows.at[first].problem;
    for (size_t i = first; i < view->rows.len; i++) {
        const struct row *row = &view->rows.at[i];
        if (!row->is_there || !row->problem || strcmp(row->problem, problem) != 0)
            continue;
        if (count++ < NAMED_MAX)
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%d", len ? ", " : "",
                                    row->process->pid);
    }
    if (count == 1)
        lg_report_incomplete(report, "process %s: %s", list, problem);
    else
        lg_report_incomplete(report, "%zu processes (%s%s): %s", count, list,
                             count > NAMED_MAX ? ", ..." : "", problem);
}

static bool was_noted(const struct view *view, size_t i)
{
    for (size_t before = 0; before < i; before++) {
        const struct row *row = &view->rows.at[before];
        if (row->is_there && row->problem && strcmp(row->problem, view->rows.at[i].problem) == 0)
            return true;
    }
    return false;
}

// When it was: a watch goes on for hours.
static void add_time(struct lg_report *report, bool is_watched)
{
    char text[40];
    time_t now = time(NULL);
    struct tm utc, local;
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    lg_report_fact_text(report, "taken", text);
    strftime(text, sizeof(text), "%F %T", localtime_r(&now, &local));
    if (is_watched)
        lg_report_line(report, "%s", text);
}

static struct lg_report *make_report(const struct view *view, bool is_filtered, bool is_watched)
{
    struct lg_report *report = lg_report_new("ps");
    if (!report)
        return NULL;
    add_time(report, is_watched);
    size_t count = 0;
    for (size_t i = 0; i < view->rows.len; i++)
        count += view->rows.at[i].is_there;
    struct lg_table *table = lg_report_table(report, count == 0   ? &empty_spec
                                                     : is_watched ? &watched_spec
                                                                  : &spec);
    if (count == 0)
        lg_report_line(report, "No .NET process%s is running, or none that this user may see.",
                       is_filtered ? " of that name or PID" : "");
    for (size_t i = 0; i < view->rows.len; i++) {
        const struct row *row = &view->rows.at[i];
        if (!row->is_there)
            continue;
        add_row(view, table, row);
        if (row->problem && !was_noted(view, i))
            add_note(report, view, i);
    }
    return report;
}

static struct lg_error *check(const struct lg_args *args)
{
    unsigned seconds;
    return lg_args_has(args, "watch") ? lg_watch_seconds(args, &seconds) : NULL;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    _cleanup_(view_deinit) struct view view = { 0 };
    struct lg_growth *growth = lg_session_memory(session);
    struct lg_error *err = look(args, &view);
    if (err)
        return err;
    if (growth)
        add_growth(growth, &view);
    *ret = make_report(&view, lg_args_count(args) > 0, growth != NULL);
    return *ret ? NULL : &lg_no_memory;
}

static void *remember(void)
{
    return lg_growth_new();
}

static void forget(void *memory)
{
    lg_growth_free(memory);
}

static const struct lg_option options[] = {
    { "watch", LG_OPT_NUMBER, "[SECONDS]", "again every SECONDS (2), with the growth per minute" },
    { "tree", LG_OPT_FLAG, NULL, "children below their parents" },
    { 0 },
};

const struct lg_command lg_cmd_ps = {
    .name = "ps",
    .usage = "[OPTIONS] [PATTERN...]",
    .summary = "list the .NET processes of this machine",
    .details = "The biggest first. Nothing is stopped or attached to. RSS is what the kernel counts as\n"
               "resident; GC-COMMITTED is what the GC has taken of the system, in its own\n"
               "count (GC.GetGCMemoryInfo().TotalCommittedBytes). With PATTERNs only processes of that\n"
               "PID, or with that in their names; *, ? and [ make it a pattern for all of the name or\n"
               "PID. What could not be read, and why, is a note, and \"problem\" in JSON.\n"
               "\n"
               "    $ linger ps\n"
               "     PID  NAME  RUNTIME  FLAVOUR              GC           RSS  GC-COMMITTED  THREADS\n"
               "    4714  Shop  10.0.12  framework-dependent  server       80M          9.6M       17\n"
               "    4715  Leak  10.0.12  framework-dependent  workstation  47M           14M        6\n"
               "\n"
               "and UPTIME and USER. JSON has more: the command line, the container, the PID inside it.",
    .options = options,
    .check = check,
    .run = run,
    .remember = remember,
    .forget = forget,
};
