// `gchandles`: the GC handles of a process, by kind and by the type of what they hold.
#include <inttypes.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/support.h"
#include "util/cancel.h"

// In the order of SOS's summary; `label` is its row there.
static const struct {
    enum lg_handle_kind kind;
    const char *sos, *label;
} kinds[] = {
    { LG_HANDLE_STRONG, "Strong", "Strong Handles:" },
    { LG_HANDLE_PINNED, "Pinned", "Pinned Handles:" },
    { LG_HANDLE_ASYNC_PINNED, "AsyncPinned", "Async Pinned Handles:" },
    { LG_HANDLE_REFCOUNTED, "RefCounted", "Ref Count Handles:" },
    { LG_HANDLE_WEAK_LONG, "WeakLong", "Weak Long Handles:" },
    { LG_HANDLE_WEAK_SHORT, "WeakShort", "Weak Short Handles:" },
    { LG_HANDLE_WEAK_NATIVE_COM, "WeakWinRT", "Weak WinRT Handles:" },
    { LG_HANDLE_WEAK_INTERIOR_POINTER, "WeakInteriorPointer", "Weak Interior Pointer Handles:" },
    { LG_HANDLE_VARIABLE, "Variable", "Variable Handles:" },
    { LG_HANDLE_SIZED_REF, "SizedRef", "SizedRef Handles:" },
    { LG_HANDLE_DEPENDENT, "Dependent", "Dependent Handles:" },
    { LG_HANDLE_CROSS_REFERENCE, "CrossReference", "Other Handles:" },
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static const struct lg_column handle_columns[] = {
    { "handle", "Handle", LG_CELL_ADDRESS, 16, LG_COL_UPPER },
    { "sos_kind", "Type", LG_CELL_TEXT, 11, LG_COL_LEFT | LG_COL_TEXT_ONLY },
    { "kind", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "object", "Object", LG_CELL_ADDRESS, 16, LG_COL_UPPER },
    { "mt", "", LG_CELL_ADDRESS, 0, LG_COL_JSON_ONLY },
    { "size", "Size", LG_CELL_BYTES, 8 },
    { "secondary", "Data", LG_CELL_ADDRESS, 16, LG_COL_UPPER | LG_COL_BLANK },
    { "ref_count", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "type", "Type", LG_CELL_TEXT, -1 },
};
static const struct lg_column kind_columns[] = {
    { "kind", "KIND", LG_CELL_TEXT },
    { "count", "COUNT", LG_CELL_COUNT },
};
static const struct lg_table_spec handle_spec = LG_TABLE_SPEC("handles", handle_columns, LG_TABLE_MAIN);
static const struct lg_table_spec hidden_spec =
    LG_TABLE_SPEC("handles", handle_columns, LG_TABLE_MAIN | LG_TABLE_HIDDEN);
static const struct lg_table_spec kind_spec = LG_TABLE_SPEC("kinds", kind_columns, LG_TABLE_HIDDEN);

struct listing {
    struct lg_heap *heap;
    struct lg_clr *clr;
    struct lg_report *report;
    struct lg_table *table; // NULL: no list.
    struct lg_type_stats stats;
    uint64_t counts[LG_HANDLE_KINDS];
    uint64_t broken; // Handles to what is no object.
    bool failed;
};
static void listing_deinit(struct listing *listing)
{
    lg_type_stats_deinit(&listing->stats);
}

static size_t kind_index(enum lg_handle_kind kind)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].kind == kind)
            return i;
    }
    return KINDS - 1;
}

static void add_row(struct listing *listing, const struct lg_handle *handle,
                    const struct lg_object *object)
{
    struct lg_table *table = listing->table;
    size_t kind = kind_index(handle->kind);
    lg_cell_number(table, handle->address);
    lg_cell_name(table, kinds[kind].sos);
    lg_cell_name(table, lg_handle_kind_name(handle->kind));
    lg_cell_number(table, handle->object);
    if (object) {
        lg_cell_number(table, object->type->mt);
        lg_cell_number(table, object->size);
    } else {
        lg_cell_null(table);
        lg_cell_null(table);
    }
    if (handle->secondary)
        lg_cell_number(table, handle->secondary);
    else
        lg_cell_null(table);
    lg_cell_null(table); // No count is told from outside.
    lg_cell_name(table, object ? lg_clr_type_name(listing->clr, object->type) : "<error>");
}

static void add_handle(struct listing *listing, const struct lg_handle *handle)
{
    struct lg_object object;
    bool is_object = lg_heap_object_at(listing->heap, handle->object, &object);
    listing->counts[handle->kind]++;
    if (is_object)
        listing->failed |= !lg_type_stats_add(&listing->stats, object.type, object.size);
    else
        listing->broken++;
    if (listing->table)
        add_row(listing, handle, is_object ? &object : NULL);
}

static void add_kinds(const struct listing *listing, bool shown)
{
    struct lg_table *table = lg_report_table(listing->report, &kind_spec);
    if (shown) {
        lg_report_line(listing->report, "%s", "");
        lg_report_line(listing->report, "Handles:");
    }
    for (size_t i = 0; i < KINDS; i++) {
        uint64_t count = listing->counts[kinds[i].kind];
        if (count == 0)
            continue;
        if (shown)
            lg_report_line(listing->report, "    %-21s %" PRIu64, kinds[i].label, count);
        lg_cell_name(table, lg_handle_kind_name(kinds[i].kind));
        lg_cell_number(table, count);
    }
}

// "weakshort", "WeakShort" and "weak-short" are the same.
static bool is_kind_name(const char *text, const char *name)
{
    for (; *text && *name; text++, name++) {
        if ((*text | 0x20) != (*name | 0x20))
            return false;
    }
    return !*text && !*name;
}

struct lg_error *lg_handle_kind_parse(const char *text, int *ret)
{
    *ret = -1;
    for (size_t i = 0; text && i < KINDS; i++) {
        if (is_kind_name(text, kinds[i].sos) || is_kind_name(text, lg_handle_kind_name(kinds[i].kind)))
            *ret = (int)kinds[i].kind;
    }
    if (!text || *ret >= 0)
        return NULL;
    return lg_error_new(LG_ERR_USAGE,
                        "unknown handle type '%s': expected Pinned, RefCounted, WeakShort, WeakLong, "
                        "Strong, Variable, AsyncPinned, SizedRef, Dependent, WeakWinRT, "
                        "WeakInteriorPointer or CrossReference",
                        text);
}

static struct lg_error *fill(struct listing *listing, const struct lg_handle *handles, size_t count,
                             int kind)
{
    for (size_t i = 0; i < count && !listing->failed && !lg_cancelled(); i++) {
        if (kind < 0 || (int)handles[i].kind == kind)
            add_handle(listing, &handles[i]);
    }
    if (listing->failed)
        return &lg_no_memory;
    if (lg_cancelled())
        return &lg_was_cancelled;
    if (listing->broken)
        lg_report_incomplete(listing->report,
                             "%" PRIu64
                             " handles lead to what is no object: the target was changing, or "
                             "is damaged",
                             listing->broken);
    if (listing->counts[LG_HANDLE_REFCOUNTED])
        lg_report_incomplete(listing->report,
                             "the counts of %" PRIu64
                             " ref-counted handles are unknown: the runtime does "
                             "not tell them from outside",
                             listing->counts[LG_HANDLE_REFCOUNTED]);
    return NULL;
}

static struct lg_error *check_args(const struct lg_args *args)
{
    int kind;
    struct lg_error *err = lg_args_expect(args, 0, 0);
    return err ? err : lg_handle_kind_parse(lg_args_text(args, "type"), &kind);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    int kind;
    const char *wanted = lg_args_text(args, "type");
    struct lg_error *err = lg_args_expect(args, 0, 0);
    if (!err)
        err = lg_handle_kind_parse(wanted, &kind);
    const struct lg_handle *handles;
    size_t count;
    struct lg_clr *clr = lg_session_clr(session);
    if (!err)
        err = lg_clr_handles(clr, &handles, &count);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("gchandles");
    if (!report)
        return &lg_no_memory;
    bool stat = lg_args_has(args, "stat");
    _cleanup_(listing_deinit) struct listing listing = { .heap = lg_session_heap(session),
                                                         .clr = clr,
                                                         .report = report };
    listing.table = lg_report_table(report, stat ? &hidden_spec : &handle_spec);
    err = fill(&listing, handles, count, kind);
    if (err)
        return err;
    if (!stat)
        lg_report_line(report, "%s", "");
    struct lg_stats_options options = { .native = true };
    err = lg_report_types(report, clr, &listing.stats, &options, NULL);
    if (err)
        return err;
    add_kinds(&listing, !wanted);
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "type", LG_OPT_TEXT, "KIND", "only handles of this kind: Strong, Pinned, WeakShort, Dependent …" },
    { "stat", LG_OPT_FLAG, NULL, "only statistics" },
    { 0 },
};

static const char details[] =
    "A handle keeps its object alive if it is strong, pinned or ref-counted; a dependent one keeps\n"
    "Data alive as long as Object is. Each handle counts once, so an object with two handles counts\n"
    "twice.\n"
    "\n"
    "  $ linger gchandles 4711 -type dependent\n"
    "            Handle Type                  Object     Size             Data Type\n"
    "  00007FA32BC21BE8 Dependent   00007F96D199F648       24 00007F96D199F690 B1_DependentKey\n"
    "  00007FA32BC21BF0 Dependent   00007F96D199F630       24 00007F96D199F678 A8_CwtRefKey\n"
    "  00007FA32BC21BF8 Dependent   00007F96D199F5E0       24 00007F96D199F660 A8_CwtKey\n"
    "\n"
    "  Statistics:\n"
    "                MT    Count    TotalSize Class Name\n"
    "  00007fa2ad09c748        1           24 A8_CwtKey\n"
    "  00007fa2ad09c808        1           24 A8_CwtRefKey\n"
    "  00007fa2ad09c8a0        1           24 B1_DependentKey\n"
    "  Total 3 objects";

const struct lg_command lg_cmd_gchandles = {
    .name = "gchandles",
    .usage = "[-type KIND] [-stat]",
    .summary = "the GC handles: what each kind holds",
    .details = details,
    .options = options,
    .beyond_graph = "handles",
    .needs = LG_NEEDS_HEAP,
    .check = check_args,
    .run = run,
};
