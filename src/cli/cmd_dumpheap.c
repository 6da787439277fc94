// `dumpheap`: the objects on the heap, and statistics by type.
#include <inttypes.h>

#include "cli/cmd.h"
#include "cli/dumpheap.h"

void lg_report_liveness(struct lg_report *report, struct lg_session *session,
                        const struct lg_reach *reach)
{
    const struct lg_roots *roots;
    struct lg_error *err = lg_session_roots(session, &roots); // They are known.
    lg_error_free(err);
    if (err)
        return;
    uint64_t guessed = reach->live_count - reach->certain_count;
    lg_report_fact_number(report, "live_count", reach->live_count);
    lg_report_fact_number(report, "guessed_count", guessed);
    for (size_t i = 0; i < roots->incomplete.len; i++)
        lg_report_incomplete(report, "%s", roots->incomplete.at[i]);
    if (guessed)
        lg_report_incomplete(report,
                             "of %" PRIu64 " live objects %" PRIu64
                             " are held by words on stacks only, which may be no references: they are "
                             "not called dead",
                             reach->live_count, guessed);
}

static struct lg_error *report_once(struct lg_session *session, const struct lg_args *args,
                                    struct lg_report *report)
{
    struct lg_heap_query query;
    struct lg_error *err = lg_heap_query_parse(session, args, &query);
    if (err)
        return err;
    if (query.strings)
        err = lg_dumpheap_strings(session, &query, report);
    else if (query.stat && !query.is_short)
        err = lg_dumpheap_stat(session, &query, report);
    else
        err = lg_dumpheap_objects(session, &query, report);
    if (!err && query.life)
        lg_report_liveness(report, session, query.reach);
    return err;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("dumpheap");
    if (!report)
        return &lg_no_memory;
    struct lg_error *err = lg_dumpheap_compares(args) ? lg_dumpheap_collected(session, args, report)
                                                      : report_once(session, args, report);
    if (err)
        return err;
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "stat", LG_OPT_FLAG, NULL, "only statistics by type" },
    { "type", LG_OPT_TEXT, "TEXT", "only types whose name contains TEXT (case matters)" },
    { "mt", LG_OPT_ADDRESS, "MT", "only objects of this method table" },
    { "min", LG_OPT_SIZE, "SIZE", "only objects of at least SIZE bytes" },
    { "max", LG_OPT_SIZE, "SIZE", "only objects of at most SIZE bytes" },
    LG_FILTER_OPTIONS,
    { "short", LG_OPT_FLAG, NULL, "only addresses" },
    { "strings", LG_OPT_FLAG, NULL, "statistics of strings by their value" },
    { "bycount", LG_OPT_FLAG, NULL, "statistics sorted by count: -sort count" },
    { "sort", LG_OPT_TEXT, "KEY", "statistics: size, count or name; objects: address or size" },
    { "desc", LG_OPT_FLAG, NULL, "the biggest first" },
    { "top", LG_OPT_NUMBER, "N", "only the N biggest (of addresses and names: the first N)" },
    { "noprogress", LG_OPT_FLAG, NULL, NULL }, // For scripts that say it to SOS.
    { "live", LG_OPT_FLAG, NULL, "only objects that a root reaches" },
    { "dead", LG_OPT_FLAG, NULL, "only objects that no root reaches, and free blocks" },
    { 0 },
};

static const char details[] =
    "Without -stat: a row per object, then the statistics. Types are ascending by total size, so\n"
    "that the biggest are at the end of the screen; -top N keeps the biggest N. Sizes are those of\n"
    "SOS, not rounded up to 8. A range is two addresses, or one and L<length>, in hex. The\n"
    "statistics end with blocks of free memory of 512 KiB or more that something in use follows.\n"
    "-stat --gc looks at a process twice, before and after a full collection, and also tells by type\n"
    "what that freed.\n"
    "\n"
    "  $ linger dumpheap 4711 -stat -top 5\n"
    "  Statistics:\n"
    "            MT  Count TotalSize Class Name\n"
    "  7f7438947af8 20,100   804,000 Order\n"
    "  7f7439097ca0      1   872,496 System.Collections.Generic.Dictionary<System.Int32, "
    "Order>+Entry[]\n"
    "  7f743887dd58 20,312 1,045,368 System.String\n"
    "  55c62cf4eb40  3,618 2,301,032 Free\n"
    "  7f7438944d50 20,110 4,503,949 System.Byte[]\n"
    "  Total 64,886 objects, 9,750,983 bytes\n"
    "\n"
    "  $ linger dumpheap 4711 -mt 7f7438947af8 -top 2\n"
    "           Address               MT           Size\n"
    "      7f685d0151d8     7f7438947af8             40\n"
    "      7f685d015338     7f7438947af8             40\n"
    "\n"
    "  Statistics:\n"
    "            MT  Count TotalSize Class Name\n"
    "  7f7438947af8 20,100   804,000 Order\n"
    "  Total 20,100 objects, 804,000 bytes";

const struct lg_command lg_cmd_dumpheap = {
    .name = "dumpheap",
    .usage = "[OPTIONS] [START [END | L<length>]]",
    .summary = "the objects on the GC heap, and statistics by type",
    .details = details,
    .options = options,
    .needs = LG_NEEDS_HEAP,
    .check = lg_heap_query_check,
    .collects = lg_dumpheap_compares,
    .run = run,
};
