// The native part of `eeheap`: loader heaps by loader allocator, JIT code heaps.
//
// What a heap uses of its reservation is known where the runtime's descriptor tells; where it does not,
// the cell says "unknown", the total is null, and a sentence names it. Nothing unknown is added as 0.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/eeheap.h"
#include "util/vec.h"

#define UNKNOWN UINT64_MAX
#define DIVIDER "----------------------------------------"

static const struct lg_column loader_columns[] = {
    { "owner", "OWNER", LG_CELL_TEXT },        { "loader_allocator", "ALLOCATOR", LG_CELL_ADDRESS },
    { "kind", "KIND", LG_CELL_TEXT },          { "start", "START", LG_CELL_ADDRESS },
    { "reserved", "RESERVED", LG_CELL_BYTES }, { "committed", "COMMITTED", LG_CELL_BYTES },
    { "wasted", "WASTED", LG_CELL_BYTES },
};
static const struct lg_column jit_columns[] = {
    { "kind", "KIND", LG_CELL_TEXT },
    { "start", "START", LG_CELL_ADDRESS },
    { "reserved", "RESERVED", LG_CELL_BYTES },
    { "used", "USED", LG_CELL_BYTES },
};
static const struct lg_table_spec loader_spec =
    LG_TABLE_SPEC("loader_heaps", loader_columns, LG_TABLE_HIDDEN);
static const struct lg_table_spec jit_spec = LG_TABLE_SPEC("jit_heaps", jit_columns, LG_TABLE_HIDDEN);

static bool is_jit(const struct lg_native_heap *heap)
{
    return strncmp(heap->owner, "JIT", 3) == 0;
}

static void cell_bytes(struct lg_table *table, uint64_t value)
{
    if (value == UNKNOWN)
        lg_cell_null(table);
    else
        lg_cell_number(table, value);
}

static void add_tables(struct lg_report *report, const struct lg_native_heap *heaps, size_t count)
{
    struct lg_table *loader = lg_report_table(report, &loader_spec);
    struct lg_table *jit = lg_report_table(report, &jit_spec);
    for (size_t i = 0; i < count; i++) {
        const struct lg_native_heap *heap = &heaps[i];
        struct lg_table *table = is_jit(heap) ? jit : loader;
        if (table == loader) {
            lg_cell_name(table, heap->owner);
            lg_cell_number(table, heap->owner_address);
        }
        lg_cell_name(table, heap->kind);
        lg_cell_number(table, heap->start);
        cell_bytes(table, heap->reserved);
        cell_bytes(table, heap->used);
        if (table == loader) // Which block of a heap is the active one is not known.
            lg_cell_null(table);
    }
}

// "7fdfefae0000(10000:3000)": reserved and used.
static void append_block(FILE *out, const struct lg_native_heap *heap)
{
    fprintf(out, " %012" PRIx64 "(", heap->start);
    if (heap->reserved == UNKNOWN)
        fprintf(out, "unknown:");
    else
        fprintf(out, "%" PRIx64 ":", heap->reserved);
    if (heap->used == UNKNOWN)
        fprintf(out, "unknown)");
    else
        fprintf(out, "%" PRIx64 ")", heap->used);
}

struct sum {
    uint64_t bytes;
    bool unknown;
};
static void sum_add(struct sum *sum, const struct lg_native_heap *heap)
{
    if (heap->used == UNKNOWN)
        sum->unknown = true;
    else
        sum->bytes += heap->used;
}

static void append_size(FILE *out, const struct sum *sum)
{
    if (sum->unknown)
        fprintf(out, "Size: unknown.");
    else
        fprintf(out, "Size: 0x%" PRIx64 " (%" PRIu64 ") bytes total.", sum->bytes, sum->bytes);
}

// One line: the blocks of one kind from `first` on, as many as have the same owner and kind.
static size_t write_kind(struct lg_report *report, const struct lg_native_heap *heaps, size_t count,
                         size_t first, struct sum *total)
{
    _cleanup_free_ char *text = NULL;
    size_t size, i = first;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return count;
    struct sum sum = { 0 };
    for (; i < count && heaps[i].owner_address == heaps[first].owner_address
           && strcmp(heaps[i].kind, heaps[first].kind) == 0;
         i++) {
        append_block(out, &heaps[i]);
        sum_add(&sum, &heaps[i]);
        sum_add(total, &heaps[i]);
        if (is_jit(&heaps[first])) { // One line each.
            i++;
            break;
        }
    }
    fprintf(out, " ");
    append_size(out, &sum);
    char key[64];
    snprintf(key, sizeof(key), "%s:", heaps[first].kind);
    if (fclose(out) == 0)
        lg_report_line(report, "%-21s%s", key, text);
    return i;
}

static size_t write_owner(struct lg_report *report, const struct lg_native_heap *heaps, size_t count,
                          size_t first, struct sum *total)
{
    const struct lg_native_heap *owner = &heaps[first];
    char key[64], text[80] = "";
    snprintf(key, sizeof(key), "%s:", owner->owner);
    lg_report_line(report, "%-21s %012" PRIx64, key, owner->owner_address);
    if (!is_jit(owner))
        lg_report_line(report, "%-21s %012" PRIx64, "LoaderAllocator:", owner->owner_address);
    struct sum sum = { 0 };
    size_t i = first;
    while (i < count && heaps[i].owner_address == owner->owner_address)
        i = write_kind(report, heaps, count, i, &sum);
    FILE *out = fmemopen(text, sizeof(text), "w");
    if (out) {
        append_size(out, &sum);
        fclose(out);
    }
    lg_report_line(report, "%-21s %s", "Total size:", text);
    lg_report_line(report, DIVIDER);
    total->bytes += sum.bytes;
    total->unknown |= sum.unknown;
    return i;
}

static void report_unknown(struct lg_report *report, const struct sum *sums, bool any_loader)
{
    if (!any_loader)
        lg_report_incomplete(report, "loader heaps are unknown: the runtime's descriptor does not tell "
                                     "where they are");
    else if (sums[0].unknown)
        lg_report_incomplete(report, "the size of some loader heaps is unknown");
    if (sums[1].unknown)
        lg_report_incomplete(report, "the used size of some JIT code heaps is unknown");
}

struct lg_error *lg_eeheap_native(struct lg_report *report, struct lg_clr *clr,
                                  struct lg_native_total *ret)
{
    const struct lg_native_heap *heaps;
    size_t count;
    struct lg_error *err = lg_clr_native_heaps(clr, &heaps, &count);
    if (err)
        return err;
    struct sum sums[2] = { 0 }; // Loader, JIT.
    bool any_loader = false, any_jit = false;
    lg_report_line(report, "Loader Heap:");
    lg_report_line(report, DIVIDER);
    for (size_t i = 0; i < count;) {
        bool jit = is_jit(&heaps[i]);
        any_jit |= jit;
        any_loader |= !jit;
        i = write_owner(report, heaps, count, i, &sums[jit]);
    }
    if (!any_loader) {
        lg_report_line(report, "%-21s unknown", "Loader heaps:");
        lg_report_line(report, DIVIDER);
    }
    sums[0].unknown |= !any_loader;
    sums[1].unknown |= !any_jit;
    report_unknown(report, sums, any_loader);
    add_tables(report, heaps, count);
    if (sums[0].unknown)
        lg_report_fact_null(report, "loader_total");
    else
        lg_report_fact_number(report, "loader_total", sums[0].bytes);
    *ret = (struct lg_native_total){ sums[0].bytes, sums[1].bytes, sums[0].unknown, sums[1].unknown };
    return NULL;
}

void lg_eeheap_total(struct lg_report *report, const struct lg_native_total *native,
                     uint64_t gc_committed)
{
    uint64_t total = native->loader + native->jit + gc_committed;
    lg_report_line(report, "%s", "");
    if (native->loader_unknown || native->jit_unknown) {
        lg_report_line(report,
                       "Total bytes consumed by CLR: unknown (0x%" PRIx64 " (%" PRIu64 ") are known)",
                       total, total);
        lg_report_fact_null(report, "clr_total");
    } else {
        lg_report_line(report, "Total bytes consumed by CLR: 0x%" PRIx64 " (%" PRIu64 ")", total, total);
        lg_report_fact_number(report, "clr_total", total);
    }
    lg_report_line(report, "%s", "");
}
