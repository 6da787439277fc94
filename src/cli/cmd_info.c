// `info`: what a target is, and what is in it.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/support.h"

static const struct lg_column chunk_columns[] = {
    { "chunk", "Chunk", LG_CELL_TEXT },
    { "size", "Size", LG_CELL_BYTES, 0, LG_COL_COMMAS },
};
static const struct lg_table_spec chunk_spec = LG_TABLE_SPEC("chunks", chunk_columns, LG_TABLE_MAIN);
static const struct lg_table_spec none_spec =
    LG_TABLE_SPEC("chunks", chunk_columns, LG_TABLE_MAIN | LG_TABLE_HIDDEN);

static const char *kind_name(enum lg_target_kind kind)
{
    return kind == LG_TARGET_PROCESS ? "process" : kind == LG_TARGET_CORE ? "core" : "fake";
}

static void report_gcdump(struct lg_report *report, const struct lg_snapshot *snapshot)
{
    const struct lg_snapshot_about *about = lg_snapshot_about(snapshot);
    lg_report_line(report, "Runtime:      unknown");
    lg_report_line(report, "A .gcdump of: %s%sprocess %d, by %s", about->path,
                   about->path[0] ? ", " : "", about->pid,
                   about->tool[0] ? about->tool : "an unknown tool");
    lg_report_line(report, "Contents:     shapes and names of what was alive; no fields, no values");
    if (about->log[0])
        lg_report_line(report, "It says:      %.*s", (int)strcspn(about->log, "\n"), about->log);
}

static void report_snapshot(struct lg_report *report, const struct lg_snapshot *snapshot)
{
    const struct lg_snapshot_about *about = lg_snapshot_about(snapshot);
    char text[3][LG_COMMAS_SIZE], name[5];
    if (about->is_gcdump)
        report_gcdump(report, snapshot);
    else
        lg_report_line(report, "Snapshot of:  %s %s%s%d, by %s", kind_name(about->kind),
                       about->path ? about->path : "", about->path ? ", process " : "", about->pid,
                       about->tool ? about->tool : "an unknown tool");
    if (!about->is_gcdump)
        lg_report_line(report, "Contents:     %s",
                       about->has_contents ? "values and strings too"
                                           : "shapes and names; no values, no strings");
    lg_report_line(report, "Objects:      %s, %s bytes", lg_commas(text[0], about->figures.objects),
                   lg_commas(text[1], about->figures.bytes));
    lg_report_line(report, "References:   %s", lg_commas(text[0], about->figures.references));
    lg_report_line(report, "File:         %s bytes", lg_commas(text[0], about->figures.size));
    lg_report_fact_text(report, "format", about->is_gcdump ? "gcdump" : "snapshot");
    lg_report_fact_text(report, "of", kind_name(about->kind));
    lg_report_fact_text(report, "of_path", about->path);
    lg_report_fact_number(report, "of_pid", (uint64_t)about->pid);
    lg_report_fact_text(report, "tool", about->tool);
    lg_report_fact_bool(report, "has_contents", about->has_contents);
    lg_report_fact_number(report, "objects", about->figures.objects);
    lg_report_fact_number(report, "bytes", about->figures.bytes);
    lg_report_fact_number(report, "references", about->figures.references);
    lg_report_fact_number(report, "file_size", about->figures.size);
    struct lg_table *table = lg_report_table(report, &chunk_spec);
    uint64_t size;
    for (size_t i = 0; lg_snapshot_chunk(snapshot, i, name, &size); i++) {
        lg_cell_text(table, name);
        lg_cell_number(table, size);
    }
}

static void report_runtime(struct lg_report *report, const struct lg_session *session)
{
    const struct lg_clr_info *info = lg_clr_info(lg_session_clr(session));
    size_t segments;
    lg_clr_segments(lg_session_clr(session), &segments);
    if (info->is_bare)
        return;
    lg_report_fact_bool(report, "regions", info->regions);
    lg_report_fact_number(report, "heaps", info->heap_count);
    lg_report_fact_number(report, "segments", segments);
    lg_report_fact_bool(report, "single_file", info->single_file);
    lg_report_fact_text(report, "image", info->image);
    lg_report_line(report, "Runtime:      .NET %s, %s GC, %s, %" PRIu32 " heap%s",
                   info->version ? info->version : "of an unknown version",
                   info->server ? "server" : "workstation", info->regions ? "regions" : "segments",
                   info->heap_count, info->heap_count == 1 ? "" : "s");
    lg_report_line(report, "In:           %s", info->image ? info->image : "unknown");
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_snapshot *snapshot = (struct lg_snapshot *)lg_session_snapshot(session);
    struct lg_error *err = lg_args_expect(args, 0, 0);
    if (!err && snapshot)
        err = lg_snapshot_check(snapshot);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("info");
    if (!report)
        return &lg_no_memory;
    const struct lg_target *target = lg_session_target(session);
    if (!snapshot)
        lg_report_line(report, "Target:       %s %s%s%d", kind_name(target->kind),
                       target->path ? target->path : "", target->path ? ", process " : "", target->pid);
    report_runtime(report, session);
    if (snapshot)
        report_snapshot(report, snapshot);
    else
        lg_report_table(report, &none_spec);
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const char details[] =
    "Of a snapshot every byte is read and compared with its checksum first: what is damaged is an\n"
    "error that names it.\n"
    "\n"
    "  $ linger info before.snap\n"
    "  Runtime:      .NET 10.0.12, workstation GC, regions, 1 heap\n"
    "  Snapshot of:  process 4711, by linger 0.1.0\n"
    "  Contents:     shapes and names; no values, no strings";

const struct lg_command lg_cmd_info = {
    .name = "info",
    .usage = "",
    .summary = "what a process, core or snapshot is; checks a snapshot",
    .details = details,
    .needs = LG_NEEDS_HEAP,
    .without_objects = true,
    .run = run,
};
