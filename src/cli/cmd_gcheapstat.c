// `gcheapstat`: how much of each generation of each GC heap is allocated, free, dead and committed.
//
// The layout is that of SOS (reference sos-commands.md 3.4), with its frozen column filled in, and with
// a column for the ephemeral segment of the segments GC that has a header. There generations are ranges
// of that segment: allocated is then what objects take, and committed is that of the segment.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/dumpheap.h"
#include "clr/memory.h"

enum { EPHEMERAL = LG_GENERATIONS, PARTS };

struct part {
    uint64_t allocated, free, unrooted, committed;
    bool is_split; // Its committed bytes are the ephemeral segment's.
};

struct heapstat {
    struct lg_session *session;
    struct lg_report *report;
    const struct lg_reach *reach; // NULL: what is dead was not asked for.
    size_t heaps;
    struct part (*parts)[PARTS]; // [heaps + 1]; the last is the total
    bool has_ephemeral, has_frozen;
};
static void heapstat_deinit(struct heapstat *stat)
{
    free(stat->parts);
}

// ---- sums ----

static uint64_t committed_size(struct lg_clr *clr, const struct lg_segment *segment)
{
    return segment->committed - lg_clr_segment_base(clr, segment);
}

// What lies in whole segments.
static struct lg_error *add_segments(struct heapstat *stat)
{
    struct lg_clr *clr = lg_session_clr(stat->session);
    size_t count;
    const struct lg_segment *segments = lg_clr_segments(clr, &count);
    for (size_t i = 0; i < count; i++) {
        const struct lg_segment *segment = &segments[i];
        if (segment->heap >= stat->heaps)
            return lg_error_new(LG_ERR_CORRUPT, "segment 0x%" PRIx64 " is of heap %" PRIu32 " of %zu",
                                segment->address, segment->heap, stat->heaps);
        struct part *parts = stat->parts[segment->heap];
        bool is_split = segment->gen0_start != 0;
        struct part *part = &parts[is_split ? (unsigned)EPHEMERAL : segment->generation];
        part->allocated += segment->end - segment->start;
        part->committed += committed_size(clr, segment);
        for (unsigned g = LG_GEN0; is_split && g <= LG_GEN1; g++)
            parts[g].is_split = true;
        stat->has_ephemeral |= is_split;
        stat->has_frozen |= segment->generation == LG_FOH;
    }
    return NULL;
}

static struct lg_error *count(struct heapstat *stat, const struct lg_walk_filter *filter,
                              struct lg_walk_result *ret)
{
    _cleanup_(lg_type_stats_deinit) struct lg_type_stats stats = { 0 };
    return lg_heap_stats(lg_session_heap(stat->session), filter, &stats, ret);
}

// Free bytes of every generation, and of the segment that several are in what each of them has.
static struct lg_error *add_objects(struct heapstat *stat)
{
    struct lg_error *err = NULL;
    for (uint32_t heap = 0; heap < stat->heaps && !err; heap++) {
        for (unsigned g = 0; g < LG_GENERATIONS && !err; g++) {
            struct lg_walk_filter filter = { .heap = heap + 1, .generations = UINT32_C(1) << g };
            struct lg_walk_result result;
            err = count(stat, &filter, &result);
            if (!err)
                stat->parts[heap][g].free += result.free_bytes;
        }
    }
    size_t segment_count;
    const struct lg_segment *segments = lg_clr_segments(lg_session_clr(stat->session), &segment_count);
    for (size_t i = 0; i < segment_count && !err; i++) {
        for (unsigned g = LG_GEN0; segments[i].gen0_start && g <= LG_GEN2 && !err; g++) {
            struct lg_walk_filter filter = { .segment = segments[i].address,
                                             .generations = UINT32_C(1) << g };
            struct lg_walk_result result;
            err = count(stat, &filter, &result);
            if (err)
                break;
            stat->parts[segments[i].heap][g].allocated += result.bytes;
            stat->parts[segments[i].heap][EPHEMERAL].free += result.free_bytes;
        }
    }
    return err;
}

static bool see_object(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct heapstat *stat = self;
    if (object->type->flags & LG_TYPE_FREE)
        return true;
    lg_node node = lg_index_node(stat->reach->graph->index, object->address);
    if (node != LG_NO_NODE && lg_reach_life(stat->reach, node) != LG_DEAD)
        return true;
    struct part *parts = stat->parts[segment->heap];
    parts[lg_segment_generation(segment, object->address)].unrooted += object->size;
    if (segment->gen0_start)
        parts[EPHEMERAL].unrooted += object->size;
    return true;
}

static struct lg_error *add_dead(struct heapstat *stat)
{
    const struct lg_walk_filter everything = { 0 };
    struct lg_walk_result result;
    return stat->reach
               ? lg_heap_walk(lg_session_heap(stat->session), &everything, see_object, stat, &result)
               : NULL;
}

static void add_total(struct heapstat *stat)
{
    for (size_t heap = 0; heap < stat->heaps; heap++) {
        for (unsigned p = 0; p < PARTS; p++) {
            struct part *total = &stat->parts[stat->heaps][p], *part = &stat->parts[heap][p];
            total->allocated += part->allocated;
            total->free += part->free;
            total->unrooted += part->unrooted;
            total->committed += part->committed;
            total->is_split |= part->is_split;
        }
    }
}

// ---- text ----

enum block { ALLOCATED, FREE, UNROOTED, COMMITTED };

static uint64_t value(const struct part *part, enum block block)
{
    return block == ALLOCATED  ? part->allocated
           : block == FREE     ? part->free
           : block == UNROOTED ? part->unrooted
                               : part->committed;
}

struct line {
    char text[256];
    size_t len;
};

static void add_cell(struct line *line, int width, const char *text)
{
    int n = snprintf(line->text + line->len, sizeof(line->text) - line->len, "%-*s ", width, text);
    if (n > 0 && line->len + (size_t)n < sizeof(line->text))
        line->len += (size_t)n;
}

static void write_line(const struct heapstat *stat, struct line *line)
{
    while (line->len > 0 && line->text[line->len - 1] == ' ')
        line->text[--line->len] = 0;
    lg_report_line(stat->report, "%s", line->text);
}

// In the order of SOS's columns.
static const unsigned order[] = { EPHEMERAL, LG_GEN0, LG_GEN1, LG_GEN2, LG_LOH, LG_POH, LG_FOH };

static bool has_column(const struct heapstat *stat, unsigned part)
{
    return (part != EPHEMERAL || stat->has_ephemeral) && (part != LG_FOH || stat->has_frozen);
}

static void write_header(const struct heapstat *stat)
{
    static const char *const titles[] = { "EPH", "Gen0", "Gen1", "Gen2", "LOH", "POH", "FRZ" };
    struct line line = { 0 };
    add_cell(&line, 8, "Heap");
    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
        if (has_column(stat, order[i]))
            add_cell(&line, 10, titles[i]);
    }
    write_line(stat, &line);
}

static void add_percent(struct line *line, const char *name, uint64_t part, uint64_t whole)
{
    char text[40] = "";
    if (whole)
        snprintf(text, sizeof(text), "%s:%" PRIu64 "%%", name, part * 100 / whole);
    add_cell(line, 8, text);
}

// Of what is allocated, free blocks among it.
static void add_percents(struct line *line, const struct part *parts, enum block block)
{
    uint64_t small = 0, allocated = parts[EPHEMERAL].free;
    for (unsigned g = LG_GEN0; g <= LG_GEN2; g++) {
        small += value(&parts[g], block);
        allocated += parts[g].allocated;
    }
    add_percent(line, "SOH", small, allocated);
    add_percent(line, "LOH", value(&parts[LG_LOH], block), parts[LG_LOH].allocated);
    add_percent(line, "POH", value(&parts[LG_POH], block), parts[LG_POH].allocated);
}

static void write_row(const struct heapstat *stat, size_t heap, enum block block)
{
    const struct part *parts = stat->parts[heap];
    bool is_total = heap == stat->heaps;
    struct line line = { 0 };
    char text[32];
    snprintf(text, sizeof(text), is_total ? "Total" : "Heap%zu", heap);
    add_cell(&line, 8, text);
    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
        if (!has_column(stat, order[i]))
            continue;
        snprintf(text, sizeof(text), "%" PRIu64, value(&parts[order[i]], block));
        bool is_unknown = block == COMMITTED && parts[order[i]].is_split;
        add_cell(&line, 10, is_unknown ? "-" : text);
    }
    if (!is_total && (block == FREE || block == UNROOTED)) // As SOS has it.
        add_percents(&line, parts, block);
    write_line(stat, &line);
}

static void write_block(const struct heapstat *stat, const char *title, enum block block)
{
    if (title)
        lg_report_line(stat->report, "%s", title);
    write_header(stat);
    for (size_t heap = 0; heap < stat->heaps; heap++)
        write_row(stat, heap, block);
    if (block == UNROOTED)
        lg_report_line(stat->report, "%s", "");
    write_row(stat, stat->heaps, block);
    if (block != COMMITTED)
        lg_report_line(stat->report, "%s", "");
}

// ---- JSON, and all of it ----

static const struct lg_column part_columns[] = {
    { "heap", "HEAP", LG_CELL_COUNT },           { "generation", "GENERATION", LG_CELL_TEXT },
    { "allocated", "ALLOCATED", LG_CELL_BYTES }, { "free", "FREE", LG_CELL_BYTES },
    { "unrooted", "UNROOTED", LG_CELL_BYTES },   { "committed", "COMMITTED", LG_CELL_BYTES },
};
static const struct lg_table_spec part_spec =
    LG_TABLE_SPEC("generations", part_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

static void cell_if(struct lg_table *table, bool known, uint64_t number)
{
    if (known)
        lg_cell_number(table, number);
    else
        lg_cell_null(table);
}

static void add_table(const struct heapstat *stat)
{
    struct lg_table *table = lg_report_table(stat->report, &part_spec);
    for (size_t heap = 0; heap < stat->heaps; heap++) {
        for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
            const struct part *part = &stat->parts[heap][order[i]];
            if (!has_column(stat, order[i]))
                continue;
            lg_cell_number(table, heap);
            lg_cell_name(
                table, order[i] == EPHEMERAL ? "eph" : lg_generation_name((enum lg_generation)order[i]));
            lg_cell_number(table, part->allocated);
            lg_cell_number(table, part->free);
            cell_if(table, stat->reach != NULL, part->unrooted);
            cell_if(table, !part->is_split, part->committed);
        }
    }
}

static struct lg_error *answer(struct heapstat *stat, bool dead)
{
    const struct lg_type_stats *stats;
    const struct lg_walk_result *walk;
    struct lg_error *err = dead ? lg_reach_for_dead(stat->session, &stat->reach) : NULL;
    if (!err)
        err = lg_session_stats(stat->session, &stats, &walk);
    if (err)
        return err;
    stat->heaps = lg_clr_info(lg_session_clr(stat->session))->heap_count;
    stat->parts = calloc(stat->heaps + 1, sizeof(*stat->parts));
    if (!stat->parts)
        return &lg_no_memory;
    err = add_segments(stat);
    if (!err)
        err = add_objects(stat);
    if (!err)
        err = add_dead(stat);
    if (err)
        return err;
    add_total(stat);
    write_block(stat, NULL, ALLOCATED);
    write_block(stat, "Free space:", FREE);
    if (stat->reach)
        write_block(stat, "Unrooted objects:", UNROOTED);
    write_block(stat, "Committed space:", COMMITTED);
    add_table(stat);
    lg_session_report_walk(stat->report, walk);
    if (stat->reach)
        lg_report_liveness(stat->report, stat->session, stat->reach);
    return NULL;
}

static struct lg_error *check_args(const struct lg_args *args)
{
    return lg_args_expect(args, 0, 0);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("gcheapstat");
    if (!report)
        return &lg_no_memory;
    _cleanup_(heapstat_deinit) struct heapstat stat = { .session = session, .report = report };
    bool dead =
        lg_args_has(args, "unreachable") || lg_args_has(args, "inclUnrooted") || lg_args_has(args, "iu");
    struct lg_error *err = answer(&stat, dead);
    if (err)
        return err;
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "unreachable", LG_OPT_FLAG, NULL, "what no root reaches, too" },
    { "inclUnrooted", LG_OPT_FLAG, NULL, "the same" },
    { "iu", LG_OPT_FLAG, NULL, "the same" },
    { 0 },
};

static const char details[] =
    "A row for each GC heap: bytes allocated (free blocks among them), free, and committed. With the\n"
    "segments GC the column EPH is the segment that gen0, gen1 and the end of gen2 lie in; theirs is\n"
    "then what objects take.\n"
    "\n"
    "  $ linger gcheapstat 4711\n"
    "  Heap     Gen0       Gen1       Gen2       LOH        POH        FRZ\n"
    "  Heap0    16448      294936     1741200    160056     8336       30512\n"
    "  Total    16448      294936     1741200    160056     8336       30512\n"
    "\n"
    "  Free space:\n"
    "  Heap     Gen0       Gen1       Gen2       LOH        POH        FRZ\n"
    "  Heap0    8080       135744     51240      32         0          0          SOH:9%   LOH:0%   "
    "POH:0%\n"
    "  Total    8080       135744     51240      32         0          0";

const struct lg_command lg_cmd_gcheapstat = {
    .name = "gcheapstat",
    .alias = "heapstat",
    .usage = "[-unreachable]",
    .summary = "what of each generation of each heap is allocated, free and committed",
    .details = details,
    .options = options,
    .beyond_graph = "the heaps of the runtime",
    .needs = LG_NEEDS_HEAP,
    .check = check_args,
    .run = run,
};
