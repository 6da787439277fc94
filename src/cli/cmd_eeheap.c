// `eeheap`: what the runtime's own memory is made of: the GC heap by segment, loader heaps, JIT code.
//
// The layout is that of SOS (reference sos-commands.md 3.5). Tables of the JSON are hidden in text,
// which says the same in lines, section by section.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/eeheap.h"
#include "cli/support.h"
#include "clr/memory.h"

static const struct lg_column segment_columns[] = {
    { "heap", "HEAP", LG_CELL_COUNT },
    { "generation", "GENERATION", LG_CELL_TEXT },
    { "segment", "SEGMENT", LG_CELL_ADDRESS },
    { "begin", "BEGIN", LG_CELL_ADDRESS },
    { "allocated", "ALLOCATED", LG_CELL_ADDRESS },
    { "committed", "COMMITTED", LG_CELL_ADDRESS },
    { "reserved", "RESERVED", LG_CELL_ADDRESS },
};
static const struct lg_column generation_columns[] = {
    { "heap", "HEAP", LG_CELL_COUNT },
    { "generation", "GENERATION", LG_CELL_TEXT },
    { "size", "SIZE", LG_CELL_BYTES },
};
static const struct lg_table_spec segment_spec =
    LG_TABLE_SPEC("segments", segment_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);
static const struct lg_table_spec generation_spec =
    LG_TABLE_SPEC("generations", generation_columns, LG_TABLE_HIDDEN);

struct gc_view {
    struct lg_report *report;
    struct lg_clr *clr;
    const struct lg_clr_info *info;
    const struct lg_segment *segments;
    size_t count;
    const struct lg_gc_heap *heaps;
    size_t heap_count;
    struct lg_walk_filter filter;
    bool filtered;
    int size_width;
};

enum { SIZE_TEXT = 48 };

static const char *size_text(char buf[SIZE_TEXT], uint64_t size, const char *zero)
{
    if (size == 0)
        return zero;
    snprintf(buf, SIZE_TEXT, "0x%" PRIx64 " (%" PRIu64 ")", size, size);
    return buf;
}

static uint64_t allocated_size(const struct lg_segment *segment)
{
    return segment->end - segment->start;
}

static uint64_t committed_size(const struct gc_view *view, const struct lg_segment *segment)
{
    return segment->committed - lg_clr_segment_base(view->clr, segment);
}

static bool is_seen(const struct gc_view *view, const struct lg_segment *segment, uint32_t heap)
{
    return segment->heap == heap && lg_filter_has_segment(&view->filter, segment);
}

static void write_header(const struct gc_view *view)
{
    lg_report_line(view->report, "%16s %16s %16s %16s %-*s %-*s", "segment", "begin", "allocated",
                   "committed", view->size_width, "allocated size", view->size_width, "committed size");
}

static void write_segment(const struct gc_view *view, const struct lg_segment *segment)
{
    char allocated[SIZE_TEXT], committed[SIZE_TEXT];
    lg_report_line(view->report,
                   "    %012" PRIx64 "     %012" PRIx64 "     %012" PRIx64 "     %012" PRIx64
                   " %-*s %-*s",
                   segment->address, segment->start, segment->end, segment->committed, view->size_width,
                   size_text(allocated, allocated_size(segment), ""), view->size_width,
                   size_text(committed, committed_size(view, segment), ""));
}

// The segments of one generation; the title comes with the first.
static void write_generation(const struct gc_view *view, uint32_t heap, enum lg_generation generation,
                             const char *title)
{
    bool first = true;
    for (size_t i = 0; i < view->count; i++) {
        const struct lg_segment *segment = &view->segments[i];
        if (segment->generation != generation || !is_seen(view, segment, heap))
            continue;
        if (first && title)
            lg_report_line(view->report, "%s", title);
        first = false;
        write_segment(view, segment);
    }
}

static bool has_segments(const struct gc_view *view, uint32_t heap, enum lg_generation generation)
{
    for (size_t i = 0; i < view->count; i++) {
        if (view->segments[i].generation == generation && is_seen(view, &view->segments[i], heap))
            return true;
    }
    return false;
}

static const struct lg_gc_heap *gc_heap(const struct gc_view *view, uint32_t heap)
{
    return heap < view->heap_count ? &view->heaps[heap] : NULL;
}

// With the segments GC the generations are ranges of the one ephemeral segment.
static void write_starts(const struct gc_view *view, uint32_t heap)
{
    const struct lg_gc_heap *gc = gc_heap(view, heap);
    for (int i = 0; gc && i < 3; i++)
        lg_report_line(view->report, "generation %d starts at %" PRIx64, i, gc->allocation_start[i]);
    lg_report_line(view->report, "ephemeral segment allocation context: unknown");
}

static void write_uoh_title(const struct gc_view *view, uint32_t heap, const char *title, int generation)
{
    const struct lg_gc_heap *gc = gc_heap(view, heap);
    if (view->info->regions || !gc)
        lg_report_line(view->report, "%s", title);
    else
        lg_report_line(view->report, "%s starts at %" PRIx64, title, gc->allocation_start[generation]);
    write_header(view);
}

static void write_totals(const struct gc_view *view, const char *indent, uint64_t allocated,
                         uint64_t committed)
{
    char a[SIZE_TEXT], c[SIZE_TEXT];
    lg_report_line(view->report, "%s%s Size: %s bytes.", indent,
                   "GC Allocated Heap Size:   ", size_text(a, allocated, "0"));
    lg_report_line(view->report, "%s%s Size: %s bytes.", indent,
                   "GC Committed Heap Size:   ", size_text(c, committed, "0"));
}

static void sum(const struct gc_view *view, uint32_t heap, uint64_t *allocated_ret,
                uint64_t *committed_ret)
{
    *allocated_ret = *committed_ret = 0;
    for (size_t i = 0; i < view->count; i++) {
        if (!is_seen(view, &view->segments[i], heap))
            continue;
        *allocated_ret += allocated_size(&view->segments[i]);
        *committed_ret += committed_size(view, &view->segments[i]);
    }
}

static void write_small(const struct gc_view *view, uint32_t heap)
{
    lg_report_line(view->report, "Small object heap");
    write_header(view);
    if (view->info->regions) {
        write_generation(view, heap, LG_GEN0, "generation 0:");
        write_generation(view, heap, LG_GEN1, "generation 1:");
        write_generation(view, heap, LG_GEN2, "generation 2:");
        return;
    }
    for (enum lg_generation g = LG_GEN0; g <= LG_GEN2; g++)
        write_generation(view, heap, g, NULL);
}

static void write_heap(const struct gc_view *view, uint32_t heap)
{
    const struct lg_gc_heap *gc = gc_heap(view, heap);
    if (view->info->server)
        lg_report_line(view->report, "Heap %" PRIu32 " (%016" PRIx64 ")", heap, gc ? gc->address : 0);
    if (!view->info->regions)
        write_starts(view, heap);
    write_small(view, heap);
    if (has_segments(view, heap, LG_FOH)) {
        lg_report_line(view->report, "NonGC heap");
        write_header(view);
        write_generation(view, heap, LG_FOH, NULL);
    }
    write_uoh_title(view, heap, "Large object heap", 3);
    write_generation(view, heap, LG_LOH, NULL);
    if (has_segments(view, heap, LG_POH)) {
        write_uoh_title(view, heap, "Pinned object heap", 4);
        write_generation(view, heap, LG_POH, NULL);
    }
    if (view->filtered) {
        uint64_t allocated, committed;
        char a[SIZE_TEXT], c[SIZE_TEXT];
        sum(view, heap, &allocated, &committed);
        lg_report_line(view->report, "Partial Allocated Size:              Size: %s bytes.",
                       size_text(a, allocated, "0"));
        lg_report_line(view->report, "Partial Committed Size:              Size: %s bytes.",
                       size_text(c, committed, "0"));
    }
    lg_report_line(view->report, "------------------------------");
}

static int size_width(const struct gc_view *view)
{
    int width = (int)strlen("committed size");
    for (size_t i = 0; i < view->count; i++) {
        char buf[SIZE_TEXT];
        int len = (int)strlen(size_text(buf, committed_size(view, &view->segments[i]), ""));
        width = len > width ? len : width;
    }
    return width < 32 ? width : 32;
}

static bool heap_is_shown(const struct gc_view *view, uint32_t heap)
{
    if (!view->filtered)
        return true;
    for (enum lg_generation g = 0; g < LG_GENERATIONS; g++) {
        if (has_segments(view, heap, g))
            return true;
    }
    return false;
}

static void write_gc(const struct gc_view *view, uint64_t allocated, uint64_t committed)
{
    lg_report_line(view->report, "%s", "");
    if (view->info->datas >= 0)
        lg_report_line(view->report, "DATAS = %d", view->info->datas);
    else
        lg_report_line(view->report, "DATAS =");
    lg_report_line(view->report, "========================================");
    lg_report_line(view->report, "Number of GC Heaps: %" PRIu32, view->info->heap_count);
    lg_report_line(view->report, "----------------------------------------");
    for (uint32_t heap = 0; heap < view->info->heap_count; heap++) {
        if (heap_is_shown(view, heap))
            write_heap(view, heap);
    }
    write_totals(view, view->filtered ? "Partial " : "", allocated, committed);
}

static void add_segments(const struct gc_view *view)
{
    struct lg_table *table = lg_report_table(view->report, &segment_spec);
    for (size_t i = 0; i < view->count; i++) {
        const struct lg_segment *segment = &view->segments[i];
        if (!lg_filter_has_segment(&view->filter, segment))
            continue;
        lg_cell_number(table, segment->heap);
        lg_cell_name(table, lg_generation_name(segment->generation));
        lg_cell_number(table, segment->address);
        lg_cell_number(table, segment->start);
        lg_cell_number(table, segment->end);
        lg_cell_number(table, segment->committed);
        lg_cell_number(table, segment->reserved);
    }
}

// Bytes of one generation in a segment: with the segments GC the last one holds three.
static uint64_t generation_size(const struct lg_segment *segment, enum lg_generation generation)
{
    bool split = segment->gen0_start || segment->gen1_start;
    if (!split)
        return segment->generation == generation ? allocated_size(segment) : 0;
    uint64_t gen0 = segment->gen0_start, gen1 = segment->gen1_start ? segment->gen1_start : gen0;
    switch (generation) {
    case LG_GEN0:
        return segment->end - gen0;
    case LG_GEN1:
        return gen0 - gen1;
    case LG_GEN2:
        return gen1 - segment->start;
    default:
        return 0;
    }
}

static void add_generations(const struct gc_view *view)
{
    struct lg_table *table = lg_report_table(view->report, &generation_spec);
    for (uint32_t heap = 0; heap < view->info->heap_count; heap++) {
        for (enum lg_generation g = LG_GEN0; g < LG_GENERATIONS; g++) {
            uint64_t size = 0;
            for (size_t i = 0; i < view->count; i++) {
                if (is_seen(view, &view->segments[i], heap))
                    size += generation_size(&view->segments[i], g);
            }
            lg_cell_number(table, heap);
            lg_cell_name(table, lg_generation_name(g));
            lg_cell_number(table, size);
        }
    }
}

// What the GC says itself, GC.GetGCMemoryInfo(): free regions are in it, frozen segments are not.
static void report_own_count(const struct gc_view *view)
{
    struct lg_gc_committed own = { 0 };
    struct lg_error *err = view->filtered ? NULL : lg_clr_gc_committed(view->clr, &own);
    if (err)
        lg_report_incomplete(view->report, "what the GC has committed is unknown: %s",
                             lg_error_message(err));
    if (err || view->filtered) {
        lg_report_fact_null(view->report, "gc_committed");
        lg_error_free(err);
        return;
    }
    char text[SIZE_TEXT];
    lg_report_fact_number(view->report, "gc_committed", own.in_use + own.free);
    lg_report_line(view->report, "GC TotalCommittedBytes:    Size: %s bytes.",
                   size_text(text, own.in_use + own.free, "0"));
}

static void report_gc(struct gc_view *view, uint64_t *committed_ret)
{
    uint64_t allocated = 0, committed = 0;
    for (uint32_t heap = 0; heap < view->info->heap_count; heap++) {
        uint64_t a, c;
        sum(view, heap, &a, &c);
        allocated += a;
        committed += c;
    }
    view->size_width = size_width(view);
    struct lg_report *report = view->report;
    lg_report_fact_bool(report, "regions", view->info->regions);
    if (view->info->datas >= 0)
        lg_report_fact_number(report, "datas", (uint64_t)view->info->datas);
    else
        lg_report_fact_null(report, "datas");
    lg_report_fact_number(report, "gc_allocated", allocated);
    lg_report_fact_number(report, "gc_segments_committed", committed);
    write_gc(view, allocated, committed);
    report_own_count(view);
    add_segments(view);
    add_generations(view);
    *committed_ret = committed;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_clr *clr = lg_session_clr(session);
    struct gc_view view = { .clr = clr, .info = lg_clr_info(clr) };
    bool gc = lg_args_has(args, "gc"), loader = lg_args_has(args, "loader");
    view.segments = lg_clr_segments(clr, &view.count);
    if (view.count == 0 && view.info->heap_missing && (gc || !loader))
        return lg_error_new(LG_ERR_UNSUPPORTED, "%s", view.info->heap_missing);
    struct lg_error *err = lg_filter_parse(session, args, &view.filter);
    if (err)
        return err;
    view.filtered = lg_filter_is_set(&view.filter);
    view.heaps = lg_clr_gc_heaps(clr, &view.heap_count);

    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("eeheap");
    if (!report)
        return &lg_no_memory;
    view.report = report;
    lg_report_fact_text(report, "gc", view.info->server ? "server" : "workstation");
    lg_report_fact_number(report, "gc_heaps", view.info->heap_count);
    struct lg_native_total native = { 0 };
    if (loader || !gc)
        err = lg_eeheap_native(report, clr, &native);
    if (err)
        return err;
    uint64_t committed = 0;
    if (gc || !loader)
        report_gc(&view, &committed);
    if (gc == loader)
        lg_eeheap_total(report, &native, committed);
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "gc", LG_OPT_FLAG, NULL, "only the GC heap" },
    { "loader", LG_OPT_FLAG, NULL, "only the loader heaps and the JIT's code heaps" },
    LG_FILTER_OPTIONS,
    { 0 },
};

static const char details[] =
    "Memory that the runtime takes: the GC heap segment by segment, loader heaps (types, stubs),\n"
    "and the code that the JIT made. -gc and -loader choose a part. Filters choose segments; sums\n"
    "are then partial.\n"
    "\n"
    "  $ linger eeheap 4711 -gc\n"
    "\n"
    "  DATAS =\n"
    "  ========================================\n"
    "  Number of GC Heaps: 1\n"
    "  ----------------------------------------\n"
    "  Small object heap\n"
    "           segment            begin        allocated        committed allocated size     committed "
    "size\n"
    "  generation 0:\n"
    "      7f684333f9f8     7f685fc00028     7f685fc04068     7f685fe01000 0x4040 (16448)     0x201000 "
    "(2101248)\n"
    "  generation 1:\n"
    "      7f684333f410     7f685d800028     7f685d9c1320     7f685dc00000 0x1c12f8 (1839864) 0x400000 "
    "(4194304)\n"
    "  ...\n"
    "  ------------------------------\n"
    "  GC Allocated Heap Size:    Size: 0x96ddc8 (9887176) bytes.\n"
    "  GC Committed Heap Size:    Size: 0xde9000 (14585856) bytes.";

const struct lg_command lg_cmd_eeheap = {
    .name = "eeheap",
    .usage = "[-gc] [-loader] [OPTIONS] [START [END]]",
    .summary = "what the runtime's memory is made of: GC heap, loader heaps, JIT code",
    .details = details,
    .options = options,
    .beyond_graph = "the heaps of the runtime",
    .needs = LG_NEEDS_HEAP,
    .without_objects = true,
    .check = lg_check_filter,
    .run = run,
};
