// `linger ps`: the .NET processes of this machine.
//
// Nothing is stopped: /proc tells most of it, and the GC's own variables, read while the process runs,
// the rest. They may change between two reads, so they are read until two readings agree.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/support.h"
#include "clr/memory.h"
#include "target/live.h"
#include "target/processes.h"

enum { READINGS_MAX = 8 };

static const struct lg_column columns[] = {
    { "pid", "PID", LG_CELL_COUNT },
    { "ns_pid", "", LG_CELL_COUNT, .flags = LG_COL_JSON_ONLY },
    { "name", "NAME", LG_CELL_TEXT },
    { "command", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY },
    { "runtime", "RUNTIME", LG_CELL_TEXT },
    { "flavour", "FLAVOUR", LG_CELL_TEXT },
    { "gc", "GC", LG_CELL_TEXT },
    { "gc_heaps", "", LG_CELL_COUNT, .flags = LG_COL_JSON_ONLY },
    { "rss", "RSS", LG_CELL_BYTES, .flags = LG_COL_HUMAN },
    { "gc_committed", "GC-COMMITTED", LG_CELL_BYTES, .flags = LG_COL_HUMAN },
    { "gc_allocated", "", LG_CELL_BYTES, .flags = LG_COL_JSON_ONLY },
    { "threads", "THREADS", LG_CELL_COUNT },
    { "uptime_s", "UPTIME", LG_CELL_REAL, .flags = LG_COL_DURATION },
    { "user", "USER", LG_CELL_TEXT },
    { "container", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY },
    { "problem", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY },
};
static const struct lg_table_spec spec = LG_TABLE_SPEC("processes", columns, LG_TABLE_WIDE);
static const struct lg_table_spec empty_spec =
    LG_TABLE_SPEC("processes", columns, LG_TABLE_MAIN | LG_TABLE_HIDDEN);

// What the GC of a running process says of itself, once.
struct reading {
    bool server, in_progress, committed_unknown;
    uint32_t heap_count;
    size_t segment_count;
    uint64_t committed, allocated;
    char version[32]; // "" if unknown
};

// Errors: what may be otherwise the next time. What this runtime does not tell is unknown.
static struct lg_error *sum_segments(struct lg_clr *clr, struct reading *reading)
{
    const struct lg_segment *segments = lg_clr_segments(clr, &reading->segment_count);
    for (size_t i = 0; i < reading->segment_count; i++)
        reading->allocated += segments[i].end - segments[i].start;
    struct lg_gc_committed committed;
    struct lg_error *err = lg_clr_gc_committed(clr, &committed);
    reading->committed = err ? 0 : committed.in_use + committed.free;
    reading->committed_unknown = err && lg_error_kind(err) == LG_ERR_UNSUPPORTED;
    if (!reading->committed_unknown)
        return err;
    lg_error_free(err);
    return NULL;
}

static struct lg_error *read_gc(struct lg_target *target, struct reading *ret)
{
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    struct lg_error *err = lg_clr_open(target, &clr);
    if (err)
        return err;
    const struct lg_clr_info *info = lg_clr_info(clr);
    *ret = (struct reading){
        .server = info->server,
        .in_progress = info->gc_in_progress,
        .heap_count = info->heap_count,
    };
    if (info->version)
        snprintf(ret->version, sizeof(ret->version), "%s", info->version);
    return sum_segments(clr, ret);
}

// `allocated` moves whenever anything is allocated; it is right as of the second reading.
static bool agree(const struct reading *a, const struct reading *b)
{
    return !a->in_progress && !b->in_progress && a->server == b->server && a->heap_count == b->heap_count
           && a->segment_count == b->segment_count && a->committed == b->committed;
}

// What does not make sense may have been in motion; what is not there will not come.
static bool is_passing(const struct lg_error *err)
{
    return lg_error_kind(err) == LG_ERR_CORRUPT || lg_error_kind(err) == LG_ERR_FAULT;
}

static struct lg_error *read_until_agreed(struct lg_target *target, struct reading *ret)
{
    struct reading before = { 0 };
    bool has_before = false;
    struct lg_error *err = NULL;
    for (int i = 0; i < READINGS_MAX; i++) {
        lg_error_free(err);
        err = read_gc(target, ret);
        if (err && !is_passing(err))
            return err;
        if (!err && has_before && agree(&before, ret))
            return NULL;
        has_before = !err;
        before = *ret;
        if (err || i > 0)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return err ? err : lg_error_new(LG_ERR_CORRUPT, "its GC heap changed while it was being read");
}

static struct lg_error *peek(const struct lg_process *process, struct reading *ret)
{
    if (process->flavour == LG_FLAVOUR_NATIVEAOT || process->flavour == LG_FLAVOUR_MONO)
        return lg_error_new(LG_ERR_UNSUPPORTED, "the GC heap of this kind of runtime cannot be read");
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    struct lg_error *err = lg_peek_open(process->pid, &target);
    return err ? err : read_until_agreed(target, ret);
}

static void number_or_null(struct lg_table *table, bool known, uint64_t value)
{
    if (known)
        lg_cell_number(table, value);
    else
        lg_cell_null(table);
}

static void add_row(struct lg_table *table, const struct lg_process *process, const struct reading *gc,
                    const char *problem)
{
    lg_cell_number(table, (uint64_t)process->pid);
    number_or_null(table, process->ns_pid > 0, (uint64_t)process->ns_pid);
    lg_cell_text(table, process->name);
    lg_cell_text(table, process->command);
    lg_cell_text(table, process->version ? process->version : gc && *gc->version ? gc->version : NULL);
    bool known = process->flavour != LG_FLAVOUR_NONE;
    lg_cell_name(table, known ? lg_flavour_name(process->flavour) : NULL);
    lg_cell_name(table, !gc ? NULL : gc->server ? "server" : "workstation");
    number_or_null(table, gc, gc ? gc->heap_count : 0);
    number_or_null(table, process->rss >= 0, (uint64_t)process->rss);
    number_or_null(table, gc && !gc->committed_unknown, gc ? gc->committed : 0);
    number_or_null(table, gc, gc ? gc->allocated : 0);
    number_or_null(table, process->threads >= 0, (uint64_t)process->threads);
    if (process->uptime_s >= 0)
        lg_cell_real(table, (double)(uint64_t)(process->uptime_s * 100) / 100); // As /proc has it.
    else
        lg_cell_null(table);
    lg_cell_text(table, process->user);
    lg_cell_text(table, process->container);
    lg_cell_text(table, problem);
}

static void add_process(struct lg_report *report, struct lg_table *table,
                        const struct lg_process *process)
{
    struct reading gc = { 0 };
    struct lg_error *err = peek(process, &gc);
    // One that has ended since it was listed is not listed.
    bool is_there = !err || kill(process->pid, 0) == 0 || errno != ESRCH;
    const char *problem = err ? lg_error_message(err) : process->problem;
    if (is_there)
        add_row(table, process, err ? NULL : &gc, problem);
    if (is_there && problem && strncmp(problem, "process ", 8) == 0)
        lg_report_incomplete(report, "%s", problem);
    else if (is_there && problem)
        lg_report_incomplete(report, "process %d: %s", process->pid, problem);
    lg_error_free(err);
}

static struct lg_report *make_report(const struct lg_processes *processes, const char *name)
{
    struct lg_report *report = lg_report_new("ps");
    if (!report)
        return NULL;
    size_t count = 0;
    for (size_t i = 0; i < processes->all.len; i++)
        count += !name || (processes->all.at[i].name && strstr(processes->all.at[i].name, name));
    struct lg_table *table = lg_report_table(report, count > 0 ? &spec : &empty_spec);
    if (count == 0)
        lg_report_line(report, "No .NET process%s%s is running, or none that this user may see.",
                       name ? " named like " : "", name ? name : "");
    for (size_t i = 0; i < processes->all.len; i++) {
        const struct lg_process *process = &processes->all.at[i];
        if (!name || (process->name && strstr(process->name, name)))
            add_process(report, table, process);
    }
    return report;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_error *err = lg_args_expect(args, 0, 1);
    if (err)
        return err;
    struct lg_processes processes = { 0 };
    err = lg_processes_list(&processes);
    if (!err) {
        *ret = make_report(&processes, lg_args_count(args) > 0 ? lg_args_at(args, 0) : NULL);
        err = *ret ? NULL : &lg_no_memory;
    }
    lg_processes_free(&processes);
    return err;
}

const struct lg_command lg_cmd_ps = {
    .name = "ps",
    .usage = "[NAME]",
    .summary = "list the .NET processes of this machine",
    .details = "The biggest first. Nothing is stopped or attached to. RSS is what the kernel counts as\n"
               "resident; GC-COMMITTED is what the GC has taken of the system, in its own\n"
               "count (GC.GetGCMemoryInfo().TotalCommittedBytes). With NAME only the\n"
               "processes whose names contain it. What could not be read, and why, is a note, and\n"
               "\"problem\" in JSON.\n"
               "\n"
               "    $ linger ps\n"
               "     PID  NAME  RUNTIME  FLAVOUR              GC           RSS  GC-COMMITTED  THREADS\n"
               "    4714  Shop  10.0.12  framework-dependent  server       80M          9.6M       17\n"
               "    4715  Leak  10.0.12  framework-dependent  workstation  47M           14M        6\n"
               "\n"
               "and UPTIME and USER. JSON has more: the command line, the container, the PID inside it.",
    .run = run,
};
