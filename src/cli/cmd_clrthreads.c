// `clrthreads`: the managed threads, as the runtime's thread store lists them.
#include <inttypes.h>
#include <stdio.h>

#include "cli/cmd.h"
#include "cli/support.h"

enum { NAME_KEPT = 1024, DEAD = 0x800, UNSTARTED = 0x400, BACKGROUND = 0x200 };

static const struct lg_column columns[] = {
    { "managed_id", "ID", LG_CELL_COUNT },      { "os_id", "OSID", LG_CELL_COUNT },
    { "thread", "THREAD", LG_CELL_ADDRESS },    { "name", "NAME", LG_CELL_TEXT },
    { "state", "STATE", LG_CELL_COUNT },        { "gc_mode", "GC_MODE", LG_CELL_TEXT },
    { "alloc_ptr", "PTR", LG_CELL_ADDRESS },    { "alloc_limit", "LIMIT", LG_CELL_ADDRESS },
    { "background", "BG", LG_CELL_BOOL },       { "dead", "DEAD", LG_CELL_BOOL },
    { "finalizer", "FINALIZER", LG_CELL_BOOL }, { "exception", "EXCEPTION", LG_CELL_ADDRESS },
    { "exception_type", "TYPE", LG_CELL_TEXT },
};
static const struct lg_table_spec spec =
    LG_TABLE_SPEC("threads", columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

static void write_count(struct lg_report *report, const char *title, const char *key, uint32_t count)
{
    if (count == UINT32_MAX) {
        lg_report_line(report, "%-18sunknown", title);
        lg_report_fact_null(report, key);
        return;
    }
    lg_report_line(report, "%-18s%" PRIu32, title, count);
    lg_report_fact_number(report, key, count);
}

static void write_head(struct lg_report *report, struct lg_clr *clr)
{
    struct lg_thread_counts counts;
    lg_clr_thread_counts(clr, &counts);
    write_count(report, "ThreadCount:", "thread_count", counts.all);
    write_count(report, "UnstartedThread:", "unstarted", counts.unstarted);
    write_count(report, "BackgroundThread:", "background", counts.background);
    write_count(report, "PendingThread:", "pending", counts.pending);
    write_count(report, "DeadThread:", "dead", counts.dead);
    lg_report_line(report, "Hosted Runtime:   no");
    lg_report_line(report, "%108sLock  ", "");
    lg_report_line(
        report,
        " DBG   ID     OSID ThreadOBJ           State GC Mode     GC Alloc Context               "
        "   Domain           Count Apt Exception");
}

// The exception that a thread has thrown last, through its handle; its method table is enough here.
static bool last_exception(struct lg_clr *clr, const struct lg_managed_thread *thread,
                           struct lg_report *report, struct lg_object *ret)
{
    uint64_t object = 0;
    if (!thread->last_thrown_handle)
        return false;
    bool known = lg_target_u64(lg_clr_target(clr), thread->last_thrown_handle, &object);
    if (known && !object)
        return false;
    if (known && lg_object_read(clr, object, ret))
        return true;
    lg_report_incomplete(report, "the last exception of thread 0x%" PRIx32 " cannot be read",
                         thread->os_id);
    return false;
}

// The place of its thread among those of the process; "XXXX": it has none.
static void describe_number(struct lg_clr *clr, const struct lg_managed_thread *thread, char buf[16])
{
    if (thread->thread)
        snprintf(buf, 16, "%zu", (size_t)(thread->thread - lg_clr_target(clr)->threads.at));
    else
        snprintf(buf, 16, "XXXX");
}

static void write_thread(struct lg_report *report, struct lg_clr *clr,
                         const struct lg_managed_thread *thread, const struct lg_object *exception)
{
    struct lg_domain domain;
    char number[16], what[600] = "";
    lg_clr_domain(clr, &domain);
    describe_number(clr, thread, number);
    if (exception)
        snprintf(what, sizeof(what), "%s %016" PRIx64, lg_clr_type_name(clr, exception->type),
                 exception->address);
    lg_report_line(report,
                   "%4s %4" PRIu32 " %8" PRIx32 " %016" PRIX64 " %8" PRIx32 " %s %016" PRIX64
                   ":%016" PRIX64 " %016" PRIX64 " -00001 Ukn%s%s%s",
                   number, thread->id, thread->os_id, thread->address, thread->state,
                   thread->cooperative ? "Cooperative" : "Preemptive ", thread->alloc_ptr,
                   thread->alloc_limit, domain.address, thread->is_finalizer ? " (Finalizer)" : "",
                   exception ? " " : "", what);
}

static void add_thread(struct lg_table *table, struct lg_clr *clr,
                       const struct lg_managed_thread *thread, const struct lg_object *exception)
{
    _cleanup_free_ char *name = lg_thread_name(clr, thread, NAME_KEPT);
    lg_cell_number(table, thread->id);
    lg_cell_number(table, thread->os_id);
    lg_cell_number(table, thread->address);
    lg_cell_text(table, name);
    lg_cell_number(table, thread->state);
    lg_cell_name(table, thread->cooperative ? "cooperative" : "preemptive");
    lg_cell_number(table, thread->alloc_ptr);
    lg_cell_number(table, thread->alloc_limit);
    lg_cell_bool(table, thread->state & BACKGROUND);
    lg_cell_bool(table, thread->state & (DEAD | UNSTARTED));
    lg_cell_bool(table, thread->is_finalizer);
    if (exception)
        lg_cell_number(table, exception->address);
    else
        lg_cell_null(table);
    lg_cell_name(table, exception ? lg_clr_type_name(clr, exception->type) : NULL);
}

static struct lg_error *check_args(const struct lg_args *args)
{
    return lg_args_expect(args, 0, 0);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_clr *clr = lg_session_clr(session);
    const struct lg_managed_thread *threads;
    size_t count;
    struct lg_error *err = lg_clr_threads(clr, &threads, &count);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("clrthreads");
    if (!report)
        return &lg_no_memory;
    write_head(report, clr);
    lg_report_nameless(report, clr, "threads");
    struct lg_table *table = lg_report_table(report, &spec);
    for (size_t i = 0; i < count; i++) {
        struct lg_object object;
        bool has_exception = last_exception(clr, &threads[i], report, &object);
        write_thread(report, clr, &threads[i], has_exception ? &object : NULL);
        add_thread(table, clr, &threads[i], has_exception ? &object : NULL);
    }
    *ret = lg_steal(report);
    return NULL;
}

static const char details[] =
    "OSID is the thread's number as the runtime has it; in a container not the one outside. A thread\n"
    "whose GC mode is cooperative was running managed code. Exception is the one thrown last.\n"
    "\n"
    "  $ linger clrthreads 3370\n"
    "  ThreadCount:      5\n"
    "  UnstartedThread:  0\n"
    "  ...";

const struct lg_command lg_cmd_clrthreads = {
    .name = "clrthreads",
    .usage = "",
    .summary = "the managed threads: state, GC mode, allocation context, last exception",
    .details = details,
    .beyond_graph = "threads",
    .needs = LG_NEEDS_HEAP,
    .without_objects = true,
    .check = check_args,
    .run = run,
};
