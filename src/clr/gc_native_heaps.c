// What the GC has beside the objects: bookkeeping (card table, brick table, mark array ...), regions
// that are free but not given back, segments that are to be freed, and the segments of its handle
// tables.
#include "clr/gc_vars.h"
#include "clr/native_heaps.h"

enum { MAX_TABLES = 32, MAX_KINDS = 16, MAX_FREE = 1 << 20, HANDLE_SEGMENT = 0x10000 };

static struct lg_error *unreadable(const char *what, uint64_t address)
{
    return lg_error_new(LG_ERR_FAULT, "%s at %#jx: not readable", what, (uintmax_t)address);
}

static struct lg_error *add(struct lg_clr *clr, size_t heap, const char *kind, uint64_t start,
                            uint64_t reserved, uint64_t used)
{
    struct lg_native_heap native = { "GC", clr->gc_heaps.at[heap].address, kind, start, reserved, used };
    return lg_native_heap_add(clr, native) ? NULL : &lg_no_memory;
}

// card_table_info, at the start of each of the GC's tables: one in use, older ones as long as something
// still looks at them. `next` points behind the header of the next.
struct card_table_info {
    uint32_t references, pad;
    uint64_t size, next;
};

static struct lg_error *read_bookkeeping(struct lg_clr *clr)
{
    uint64_t variable = clr->gc->vars[LG_GC_BOOKKEEPING_START], at = 0;
    uint64_t header = clr->gc->vars[LG_GC_CARD_TABLE_INFO_SIZE];
    if (!clr->gc->address)
        lg_target_note(clr->target, "The GC's card tables and mark array are not listed: this runtime "
                                    "does not name them.");
    if (variable && !lg_target_u64(clr->target, variable, &at))
        return unreadable("bookkeeping_start", variable);
    for (unsigned n = 0; at; n++) {
        struct card_table_info info;
        if (n == MAX_TABLES)
            return lg_error_new(LG_ERR_CORRUPT, "card_table_info at %#jx: the list does not end",
                                (uintmax_t)at);
        if (!lg_target_read_all(clr->target, at, &info, sizeof(info)))
            return unreadable("card_table_info", at);
        if (info.size > UINT64_C(1) << 47)
            return lg_error_new(LG_ERR_CORRUPT, "card_table_info at %#jx: %#jx bytes", (uintmax_t)at,
                                (uintmax_t)info.size);
        // Committed piece by piece, as the heap grows: each of its tables begins anew.
        uint64_t used = lg_readable_bytes(clr->target, at, info.size);
        struct lg_error *err =
            info.references && info.size ? add(clr, 0, "Bookkeeping", at, info.size, used) : NULL;
        if (err)
            return err;
        at = info.next > header ? info.next - header : 0;
    }
    return NULL;
}

// ---- free regions ----

static struct lg_error *read_free_list(struct lg_clr *clr, size_t heap, const char *kind,
                                       uint64_t segment, uint64_t *count_ret)
{
    uint64_t n = 0;
    for (; segment; n++) {
        uint64_t words[7]; // As in gc.c: allocated, committed, reserved, used, mem, flags, next.
        if (n == MAX_FREE)
            return lg_error_new(LG_ERR_CORRUPT, "%s of heap %zu: the list does not end", kind, heap);
        if (!lg_target_read_all(clr->target, segment, words, sizeof(words)))
            return unreadable("heap_segment", segment);
        uint64_t committed = words[1], reserved = words[2], mem = words[4];
        if (mem > committed || committed > reserved)
            return lg_error_new(
                LG_ERR_CORRUPT, "free heap_segment at %#jx: start %#jx, committed %#jx, reserved %#jx",
                (uintmax_t)segment, (uintmax_t)mem, (uintmax_t)committed, (uintmax_t)reserved);
        struct lg_error *err = add(clr, heap, kind, mem, reserved - mem, committed - mem);
        if (err)
            return err;
        segment = words[6];
    }
    *count_ret = n;
    return NULL;
}

// region_free_list, whose own count must agree with the list.
struct region_free_list {
    uint64_t count, size, committed, added, removed, head, tail;
};

static struct lg_error *read_free_lists(struct lg_clr *clr, size_t heap, const char *kind,
                                        uint64_t lists, uint32_t list_count)
{
    for (uint32_t i = 0; lists && i < list_count; i++) {
        struct region_free_list list;
        uint64_t at = lists + i * sizeof(list), found = 0;
        if (!lg_target_read_all(clr->target, at, &list, sizeof(list)))
            return unreadable("region_free_list", at);
        struct lg_error *err = read_free_list(clr, heap, kind, list.head, &found);
        if (err)
            return err;
        if (found != list.count)
            return lg_error_new(LG_ERR_CORRUPT,
                                "region_free_list at %#jx: counts %ju regions, and has %ju",
                                (uintmax_t)at, (uintmax_t)list.count, (uintmax_t)found);
    }
    return NULL;
}

static struct lg_error *read_free(struct lg_clr *clr)
{
    const uint64_t *vars = clr->gc->vars;
    uint32_t kinds = (uint32_t)(vars[LG_GC_COUNTS] >> 32);
    if (!clr->info.regions)
        return NULL;
    if (kinds == 0 || kinds > MAX_KINDS)
        return lg_error_new(LG_ERR_UNSUPPORTED, "GcDacVars v%u.%u at %#jx: %u kinds of free regions",
                            clr->gc->major, clr->gc->minor, (uintmax_t)clr->gc->address, kinds);
    struct lg_error *err =
        read_free_lists(clr, 0, "FreeGlobalHugeRegion", vars[LG_GC_GLOBAL_FREE_HUGE_REGIONS], 1);
    if (!err)
        err = read_free_lists(clr, 0, "FreeGlobalRegion", vars[LG_GC_GLOBAL_REGIONS_TO_DECOMMIT], kinds);
    for (size_t heap = 0; !err && heap < clr->gc_heaps.len; heap++)
        err = read_free_lists(clr, heap, "FreeRegion", lg_gc_field(clr, heap, LG_GC_FIELD_FREE_REGIONS),
                              kinds);
    return err;
}

static struct lg_error *read_freeable(struct lg_clr *clr, size_t heap)
{
    static const struct {
        enum lg_gc_field field;
        const char *kind;
    } lists[] = { { LG_GC_FIELD_FREEABLE_SOH_SEGMENT, "FreeableSohSegment" },
                  { LG_GC_FIELD_FREEABLE_UOH_SEGMENT, "FreeableUohSegment" } };
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        uint64_t variable = lg_gc_field(clr, heap, lists[i].field), segment, count;
        if (!variable)
            continue;
        if (!lg_target_u64(clr->target, variable, &segment))
            return unreadable(lists[i].kind, variable);
        struct lg_error *err = read_free_list(clr, heap, lists[i].kind, segment, &count);
        if (err)
            return err;
    }
    return NULL;
}

static struct lg_error *add_handle_tables(struct lg_clr *clr)
{
    const struct lg_handle *handles;
    size_t count;
    struct lg_error *err = lg_clr_handles(clr, &handles, &count);
    for (size_t i = 0; !err && i < clr->handle_segments.len; i++) {
        uint64_t at = clr->handle_segments.at[i];
        err = add(clr, 0, "HandleTable", at, HANDLE_SEGMENT,
                  lg_committed_bytes(clr->target, at, HANDLE_SEGMENT));
    }
    return err;
}

struct lg_error *lg_gc_native_heaps_read(struct lg_clr *clr)
{
    struct lg_error *err = lg_clr_gc_needed(clr);
    if (!err)
        err = read_bookkeeping(clr);
    if (!err)
        err = read_free(clr);
    for (size_t heap = 0; !err && heap < clr->gc_heaps.len; heap++)
        err = read_freeable(clr, heap);
    return err ? err : add_handle_tables(clr);
}
