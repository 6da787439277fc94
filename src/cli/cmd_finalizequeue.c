// `finalizequeue`: objects that are registered for finalization, and those that wait for it.
#include <inttypes.h>

#include "cli/cmd.h"
#include "cli/support.h"
#include "util/cancel.h"

static const struct lg_column object_columns[] = {
    { "address", "Address", LG_CELL_ADDRESS, 16, LG_COL_RIGHT },
    { "mt", "MT", LG_CELL_ADDRESS, 16, LG_COL_RIGHT },
    { "size", "Size", LG_CELL_BYTES, 14, LG_COL_COMMAS },
    { "type", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "generation", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "ready", "", LG_CELL_BOOL, 0, LG_COL_JSON_ONLY },
};
static const struct lg_column short_columns[] = {
    { "address", "", LG_CELL_ADDRESS, -1 },
    { "mt", "", LG_CELL_ADDRESS, 0, LG_COL_JSON_ONLY },
    { "size", "", LG_CELL_BYTES, 0, LG_COL_JSON_ONLY },
    { "type", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "generation", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "ready", "", LG_CELL_BOOL, 0, LG_COL_JSON_ONLY },
};
static const struct lg_table_spec object_spec = LG_TABLE_SPEC("objects", object_columns, LG_TABLE_MAIN);
static const struct lg_table_spec short_spec =
    LG_TABLE_SPEC("objects", short_columns, LG_TABLE_MAIN | LG_TABLE_NO_HEADER);
static const struct lg_table_spec hidden_spec =
    LG_TABLE_SPEC("objects", object_columns, LG_TABLE_MAIN | LG_TABLE_HIDDEN);

enum {
    OBJECTS_MAX = 64 << 20, // of one queue: 512 MiB of it, more than any process has
    PIECE = 4096,
};

struct listing {
    struct lg_session *session;
    struct lg_heap *heap;
    struct lg_clr *clr;
    struct lg_report *report;
    struct lg_table *table;
    struct lg_type_stats stats;
    uint64_t mt; // 0: every type
    uint64_t unreadable, broken, ready;
    bool failed;
};
static void listing_deinit(struct listing *listing)
{
    lg_type_stats_deinit(&listing->stats);
}

// The runs of a queue in the order of SOS's text; `from` and `to` are indices of `fill`, -1 the array.
static const struct {
    int from, to;
    const char *what;
    bool is_extra; // No line of SOS: only if there is something to tell.
} runs[] = {
    { 3, 4, "generation 0 has", false },
    { 2, 3, "generation 1 has", false },
    { 1, 2, "generation 2 has", false },
    { 0, 1, "large object heap has", true },
    { -1, 0, "pinned object heap has", true },
    { 5, 6, "Ready for finalization", false },
    { 4, 5, "Ready for critical finalization", true },
};

static uint64_t fill_at(const struct lg_finalizer_queue *queue, int i)
{
    return i < 0 ? queue->array : queue->fill[i];
}

static void write_queue(struct lg_report *report, const struct lg_finalizer_queue *queue, size_t heap)
{
    lg_report_line(report, "Heap %zu", heap);
    for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
        uint64_t start = fill_at(queue, runs[i].from), end = fill_at(queue, runs[i].to);
        uint64_t count = end > start ? (end - start) / 8 : 0;
        char text[LG_COMMAS_SIZE];
        if (count > 0 || !runs[i].is_extra)
            lg_report_line(report, "%s %s objects (%" PRIx64 "->%" PRIx64 ")", runs[i].what,
                           lg_commas(text, count), start, end);
    }
    lg_report_line(report, "------------------------------");
}

// There are no COM objects on Linux, so nothing of theirs waits to be released.
static void write_head(struct lg_report *report)
{
    lg_report_line(report, "SyncBlocks to be cleaned up: unknown");
    lg_report_line(report, "Free-Threaded Interfaces to be released: 0");
    lg_report_line(report, "MTA Interfaces to be released: 0");
    lg_report_line(report, "STA Interfaces to be released: 0");
    lg_report_line(report, "----------------------------------");
    lg_report_line(report, "%s", "");
}

static void add_object(struct listing *listing, uint64_t address, bool ready)
{
    struct lg_object object;
    if (!lg_heap_object_at(listing->heap, address, &object)) {
        listing->broken++;
        return;
    }
    if (listing->mt && object.type->mt != listing->mt)
        return;
    listing->ready += ready;
    listing->failed |= !lg_type_stats_add(&listing->stats, object.type, object.size);
    struct lg_table *table = listing->table;
    lg_cell_number(table, address);
    lg_cell_number(table, object.type->mt);
    lg_cell_number(table, object.size);
    lg_cell_name(table, lg_clr_type_name(listing->clr, object.type));
    lg_cell_name(table, lg_object_generation(listing->heap, address));
    lg_cell_bool(table, ready);
}

static void add_range(struct listing *listing, uint64_t start, uint64_t end, bool ready)
{
    uint64_t count = end > start ? (end - start) / 8 : 0;
    if (count > OBJECTS_MAX) {
        listing->unreadable += count;
        return;
    }
    uint64_t piece[PIECE];
    for (uint64_t done = 0; done < count && !listing->failed && !lg_cancelled();) {
        size_t n = count - done < PIECE ? (size_t)(count - done) : PIECE;
        size_t got =
            lg_target_read(lg_session_target(listing->session), start + done * 8, piece, n * 8) / 8;
        for (size_t i = 0; i < got; i++) {
            if (piece[i])
                add_object(listing, piece[i], ready);
        }
        done += got;
        if (got < n) {
            listing->unreadable += count - done;
            return;
        }
    }
}

static struct lg_error *fill(struct listing *listing, const struct lg_finalizer_queue *queues,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_range(listing, queues[i].array, queues[i].fill[4], false);
        add_range(listing, queues[i].fill[4], queues[i].fill[6], true);
    }
    if (listing->failed)
        return &lg_no_memory;
    if (lg_cancelled())
        return &lg_was_cancelled;
    if (listing->unreadable)
        lg_report_incomplete(listing->report, "%" PRIu64 " entries of the queue could not be read",
                             listing->unreadable);
    if (listing->broken)
        lg_report_incomplete(listing->report,
                             "%" PRIu64 " entries of the queue lead to what is no object",
                             listing->broken);
    lg_report_incomplete(listing->report,
                         "sync blocks to be cleaned up are unknown: the runtime's descriptor does not "
                         "tell them");
    return NULL;
}

static bool wants_stat(const struct lg_args *args)
{
    return lg_args_has(args, "stat") || lg_args_has(args, "summary");
}

static struct lg_error *check_args(const struct lg_args *args)
{
    struct lg_error *err = lg_args_expect(args, 0, 0);
    if (err)
        return err;
    if (lg_args_has(args, "allReady"))
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "-allReady needs to know exactly what is reachable, which this version does "
                            "not: without it, what waits already is marked \"ready\" in --json");
    if (lg_args_has(args, "short") && wants_stat(args))
        return lg_error_new(LG_ERR_USAGE, "cannot specify both -short and -stat");
    return NULL;
}

static struct lg_error *report_all(struct listing *listing, const struct lg_args *args)
{
    struct lg_report *report = listing->report;
    bool is_short = lg_args_has(args, "short"), stat = wants_stat(args);
    const struct lg_finalizer_queue *queues;
    size_t count;
    struct lg_error *err = lg_clr_finalizer_queues(listing->clr, &queues, &count);
    if (err)
        return err;
    if (!is_short) {
        write_head(report);
        for (size_t i = 0; i < count; i++)
            write_queue(report, &queues[i], i);
        lg_report_line(report, "Statistics for all finalizable objects (including all objects ready for "
                               "finalization):");
    }
    listing->table = lg_report_table(report, is_short ? &short_spec
                                             : stat   ? &hidden_spec
                                                      : &object_spec);
    err = fill(listing, queues, count);
    if (err)
        return err;
    lg_report_fact_number(report, "ready", listing->ready);
    lg_report_fact_null(report, "sync_blocks");
    if (!is_short && !stat && lg_table_rows(listing->table) > 0)
        lg_report_line(report, "%s", "");
    struct lg_stats_options options = { .hidden = is_short };
    return lg_report_types(report, listing->clr, &listing->stats, &options, NULL);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_error *err = check_args(args);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("finalizequeue");
    if (!report)
        return &lg_no_memory;
    _cleanup_(listing_deinit) struct listing listing = {
        .session = session,
        .heap = lg_session_heap(session),
        .clr = lg_session_clr(session),
        .report = report,
        .mt = lg_args_number(args, "mt", 0),
    };
    err = report_all(&listing, args);
    if (err)
        return err;
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "short", LG_OPT_FLAG, NULL, "only addresses" },
    { "stat", LG_OPT_FLAG, NULL, "only statistics" },
    { "mt", LG_OPT_ADDRESS, "MT", "only objects of this method table" },
    { "detail", LG_OPT_FLAG, NULL, "accepted for habit's sake: changes nothing" },
    { "summary", LG_OPT_FLAG, NULL, NULL }, // SOS's other word for -stat.
    { "allReady", LG_OPT_FLAG, NULL, NULL },
    { 0 },
};

static const char details[] =
    "Registered objects have a finalizer that will run when nothing refers to them any more; ready\n"
    "ones wait for the finalizer thread, and are kept alive meanwhile with all that they refer to.\n"
    "A number of ready objects that grows means that a finalizer blocks: dumpobj the first of them.\n"
    "\n"
    "  $ linger finalizequeue 4711 -stat\n"
    "  SyncBlocks to be cleaned up: unknown\n"
    "  Free-Threaded Interfaces to be released: 0\n"
    "  MTA Interfaces to be released: 0\n"
    "  STA Interfaces to be released: 0\n"
    "  ----------------------------------\n"
    "\n"
    "  Heap 0\n"
    "  generation 0 has 6 objects (55c62cf7f388->55c62cf7f3b8)\n"
    "  generation 1 has 0 objects (55c62cf7f388->55c62cf7f388)\n"
    "  generation 2 has 27 objects (55c62cf7f2b0->55c62cf7f388)\n"
    "  Ready for finalization 0 objects (55c62cf7f3b8->55c62cf7f3b8)\n"
    "  ------------------------------\n"
    "  Statistics for all finalizable objects (including all objects ready for finalization):\n"
    "  ...";

const struct lg_command lg_cmd_finalizequeue = {
    .name = "finalizequeue",
    .alias = "fq",
    .usage = "[OPTIONS]",
    .summary = "objects that have a finalizer to run, and those that wait for it",
    .details = details,
    .options = options,
    .beyond_graph = "finalization queues",
    .needs = LG_NEEDS_HEAP,
    .check = check_args,
    .run = run,
};
