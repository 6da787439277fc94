// The native part of `eeheap`: loader heaps by loader allocator, JIT code heaps, and what the GC keeps
// beside its heap.
//
// What a heap uses of its reservation is known where the runtime tells; where it does not, the cell says
// "unknown", the total is null, and a sentence names it. Nothing unknown is added as 0.
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
static const struct lg_column gc_columns[] = {
    { "kind", "KIND", LG_CELL_TEXT },
    { "start", "START", LG_CELL_ADDRESS },
    { "reserved", "RESERVED", LG_CELL_BYTES },
    { "committed", "COMMITTED", LG_CELL_BYTES },
};
static const struct lg_table_spec loader_spec =
    LG_TABLE_SPEC("loader_heaps", loader_columns, LG_TABLE_HIDDEN);
static const struct lg_table_spec jit_spec = LG_TABLE_SPEC("jit_heaps", jit_columns, LG_TABLE_HIDDEN);
static const struct lg_table_spec gc_spec = LG_TABLE_SPEC("gc_structures", gc_columns, LG_TABLE_HIDDEN);

enum part { LOADER, JIT, GC, PARTS };

static enum part part_of(const struct lg_native_heap *heap)
{
    if (strncmp(heap->owner, "JIT", 3) == 0)
        return JIT;
    return strcmp(heap->owner, "GC") == 0 ? GC : LOADER;
}

struct heaps {
    struct lg_report *report;
    const struct lg_native_heap *at;
    size_t count;
};

// The blocks of one heap come one after another, the one it allocates in first (clr/loader_heaps.c).
static bool is_first_block(const struct heaps *heaps, size_t i)
{
    const struct lg_native_heap *heap = &heaps->at[i], *before = i > 0 ? heap - 1 : NULL;
    return !before || before->owner_address != heap->owner_address
           || strcmp(before->kind, heap->kind) != 0;
}

// What a block that is no longer allocated in will never use.
static uint64_t wasted_in(const struct heaps *heaps, size_t i)
{
    const struct lg_native_heap *heap = &heaps->at[i];
    if (heap->used == UNKNOWN || heap->reserved == UNKNOWN)
        return UNKNOWN;
    bool is_current = part_of(heap) != LOADER || is_first_block(heaps, i);
    return is_current || heap->used > heap->reserved ? 0 : heap->reserved - heap->used;
}

// ---- JSON ----

static void cell_bytes(struct lg_table *table, uint64_t value)
{
    if (value == UNKNOWN)
        lg_cell_null(table);
    else
        lg_cell_number(table, value);
}

static void add_row(struct lg_table *table, const struct heaps *heaps, size_t i)
{
    const struct lg_native_heap *heap = &heaps->at[i];
    bool loader = part_of(heap) == LOADER;
    if (loader) {
        lg_cell_name(table, heap->owner);
        lg_cell_number(table, heap->owner_address);
    }
    lg_cell_name(table, heap->kind);
    lg_cell_number(table, heap->start);
    cell_bytes(table, heap->reserved);
    cell_bytes(table, heap->used);
    if (loader)
        cell_bytes(table, wasted_in(heaps, i));
}

static void add_tables(const struct heaps *heaps)
{
    struct lg_table *tables[PARTS] = {
        [LOADER] = lg_report_table(heaps->report, &loader_spec),
        [JIT] = lg_report_table(heaps->report, &jit_spec),
        [GC] = lg_report_table(heaps->report, &gc_spec),
    };
    for (size_t i = 0; i < heaps->count; i++)
        add_row(tables[part_of(&heaps->at[i])], heaps, i);
}

// ---- text ----

struct sum {
    uint64_t bytes, wasted;
    bool unknown;
};

static void sum_add(struct sum *sum, const struct heaps *heaps, size_t i)
{
    const struct lg_native_heap *heap = &heaps->at[i];
    uint64_t wasted = wasted_in(heaps, i);
    sum->unknown |= heap->used == UNKNOWN;
    sum->bytes += heap->used == UNKNOWN ? 0 : heap->used;
    sum->wasted += wasted == UNKNOWN ? 0 : wasted;
}

static void write_size(FILE *out, const struct sum *sum)
{
    if (sum->unknown) {
        fprintf(out, "Size: unknown.");
        return;
    }
    fprintf(out, "Size: 0x%" PRIx64 " (%" PRIu64 ") bytes total", sum->bytes, sum->bytes);
    if (sum->wasted)
        fprintf(out, ", 0x%" PRIx64 " (%" PRIu64 ") bytes wasted", sum->wasted, sum->wasted);
    fprintf(out, ".");
}

// "7fdfefae0000(10000:3000)": reserved and used.
static void write_block(FILE *out, const struct lg_native_heap *heap)
{
    fprintf(out, "%012" PRIx64 "(", heap->start);
    if (heap->reserved == UNKNOWN)
        fprintf(out, "unknown:");
    else
        fprintf(out, "%" PRIx64 ":", heap->reserved);
    if (heap->used == UNKNOWN)
        fprintf(out, "unknown) ");
    else
        fprintf(out, "%" PRIx64 ") ", heap->used);
}

static bool is_same_line(const struct lg_native_heap *a, const struct lg_native_heap *b)
{
    return part_of(a) != JIT && part_of(a) == part_of(b) && strcmp(a->kind, b->kind) == 0
           && a->owner_address == b->owner_address;
}

// One line: the blocks of one heap from `first` on, of JIT code heaps just the one. Returns what
// follows.
static size_t write_kind(const struct heaps *heaps, size_t first, struct sum *total)
{
    _cleanup_free_ char *text = NULL;
    size_t size, i = first;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return heaps->count;
    struct sum sum = { 0 };
    do {
        write_block(out, &heaps->at[i]);
        sum_add(&sum, heaps, i);
        sum_add(total, heaps, i);
        i++;
    } while (i < heaps->count && is_same_line(&heaps->at[first], &heaps->at[i]));
    write_size(out, &sum);
    char key[64];
    snprintf(key, sizeof(key), "%s:", heaps->at[first].kind);
    if (fclose(out) == 0)
        lg_report_line(heaps->report, "%-21s %s", key, text);
    return i;
}

static void write_total(const struct heaps *heaps, const struct sum *sum)
{
    char text[160] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    if (!out)
        return;
    write_size(out, sum);
    if (fclose(out) == 0)
        lg_report_line(heaps->report, "%-21s %s", "Total size:", text);
    lg_report_line(heaps->report, DIVIDER);
}

static bool is_same_owner(const struct lg_native_heap *a, const struct lg_native_heap *b)
{
    return part_of(a) == part_of(b) && (part_of(a) == GC || a->owner_address == b->owner_address);
}

static size_t write_owner(const struct heaps *heaps, size_t first, struct sum *total)
{
    const struct lg_native_heap *owner = &heaps->at[first];
    char key[64];
    snprintf(key, sizeof(key), "%s:", owner->owner);
    if (part_of(owner) == GC)
        lg_report_line(heaps->report, "GC structures:");
    else
        lg_report_line(heaps->report, "%-21s %012" PRIx64, key, owner->owner_address);
    if (part_of(owner) == LOADER)
        lg_report_line(heaps->report, "%-21s %012" PRIx64, "LoaderAllocator:", owner->owner_address);
    struct sum sum = { 0 };
    size_t i = first;
    while (i < heaps->count && is_same_owner(owner, &heaps->at[i]))
        i = write_kind(heaps, i, &sum);
    write_total(heaps, &sum);
    total->bytes += sum.bytes;
    total->unknown |= sum.unknown;
    return i;
}

static void report_unknown(struct lg_report *report, const struct sum sums[PARTS])
{
    static const char *const what[PARTS] = {
        [LOADER] = "some loader heaps",
        [JIT] = "some JIT code heaps",
        [GC] = "some structures of the GC",
    };
    for (int part = LOADER; part < PARTS; part++) {
        if (sums[part].unknown)
            lg_report_incomplete(report, "how much %s take is unknown", what[part]);
    }
}

// The parts in the order of the text: what the GC keeps is no part of SOS's, and comes last.
static bool write_part(const struct heaps *heaps, enum part part, struct sum *sum)
{
    bool any = false;
    for (size_t i = 0; i < heaps->count;) {
        if (part_of(&heaps->at[i]) == part) {
            any = true;
            i = write_owner(heaps, i, sum);
        } else {
            i++;
        }
    }
    return any;
}

struct lg_error *lg_eeheap_native(struct lg_report *report, struct lg_clr *clr,
                                  struct lg_native_total *ret)
{
    struct heaps heaps = { .report = report };
    struct lg_error *err = lg_clr_native_heaps(clr, &heaps.at, &heaps.count);
    if (err)
        return err;
    struct sum sums[PARTS] = { 0 };
    lg_report_line(report, "Loader Heap:");
    lg_report_line(report, DIVIDER);
    for (int part = LOADER; part < PARTS; part++) {
        static const char *const keys[] = { [LOADER] = "Loader heaps:", [JIT] = "JIT code heaps:" };
        if (write_part(&heaps, (enum part)part, &sums[part]) || part == GC)
            continue;
        sums[part].unknown = true;
        lg_report_line(report, "%-21s unknown", keys[part]);
        lg_report_line(report, DIVIDER);
    }
    report_unknown(report, sums);
    add_tables(&heaps);
    if (sums[LOADER].unknown)
        lg_report_fact_null(report, "loader_total");
    else
        lg_report_fact_number(report, "loader_total", sums[LOADER].bytes);
    *ret = (struct lg_native_total){ sums[LOADER].bytes, sums[JIT].bytes, sums[LOADER].unknown,
                                     sums[JIT].unknown };
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
