// What the GC has committed, in its own count: gc_heap::committed_size(), which the last GC records for
// GC.GetGCMemoryInfo() (dotnet/runtime src/coreclr/gc/gc.cpp @0006a91).
//
//     of each segment that is not frozen    committed - first byte of the segment
//     of each heap's free regions           size_committed_in_free_regions of its three lists
//
// Its bookkeeping is not in that count, nor are regions on the global lists (waiting to be given back,
// huge and free).
#include "clr/gc_vars.h"
#include "clr/memory.h"
#include "clr/stored.h"

enum { MAX_KINDS = 16 };

// A segment of the segments GC begins with its heap_segment. With regions heap_segments lie elsewhere,
// and the first object a few words into the region (aligned_plug_and_gap), as it does in a frozen one
// (an object header).
uint64_t lg_clr_segment_base(const struct lg_clr *clr, const struct lg_segment *segment)
{
    bool has_header = !clr->info.regions && segment->address < segment->start
                      && segment->start - segment->address <= 0x10000;
    return has_header ? segment->address : segment->start & ~UINT64_C(0xfff);
}

// region_free_list (gc_native_heaps.c): count, size, committed, ...
struct free_list {
    uint64_t count, size, committed, rest[4];
};

static struct lg_error *add_free(struct lg_clr *clr, size_t heap, struct lg_gc_committed *sum)
{
    uint32_t kinds = (uint32_t)(clr->gc->vars[LG_GC_COUNTS] >> 32);
    uint64_t at = lg_gc_field(clr, heap, LG_GC_FIELD_FREE_REGIONS);
    if (!at || kinds == 0 || kinds > MAX_KINDS)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "GcDacVars v%u.%u at %#jx: does not lead to the free regions",
                            clr->gc->major, clr->gc->minor, (uintmax_t)clr->gc->address);
    for (uint32_t i = 0; i < kinds; i++, at += sizeof(struct free_list)) {
        struct free_list list;
        if (!lg_target_read_all(clr->target, at, &list, sizeof(list)))
            return lg_error_new(LG_ERR_FAULT, "region_free_list at %#jx: not readable", (uintmax_t)at);
        if (list.committed > list.size || list.size > UINT64_C(1) << 47)
            return lg_error_new(LG_ERR_CORRUPT,
                                "region_free_list at %#jx: %#jx of %#jx bytes are committed",
                                (uintmax_t)at, (uintmax_t)list.committed, (uintmax_t)list.size);
        sum->free += list.committed;
    }
    return NULL;
}

struct lg_error *lg_clr_gc_committed(struct lg_clr *clr, struct lg_gc_committed *ret)
{
    struct lg_gc_committed sum = { 0 };
    if (clr->stored && clr->stored->no_committed)
        return lg_error_new(LG_ERR_UNSUPPORTED, "%s", clr->stored->no_committed);
    if (clr->stored) {
        *ret = clr->stored->committed;
        return NULL;
    }
    struct lg_error *missing = lg_clr_gc_needed(clr);
    if (missing)
        return missing;
    if (clr->segments.len == 0)
        return lg_error_new(LG_ERR_UNSUPPORTED, "%s",
                            clr->heap_missing ? clr->heap_missing : "there are no segments");
    for (size_t i = 0; i < clr->segments.len; i++) {
        const struct lg_segment *s = &clr->segments.at[i];
        *(s->generation == LG_FOH ? &sum.frozen : &sum.in_use) +=
            s->committed - lg_clr_segment_base(clr, s);
    }
    for (size_t heap = 0; clr->info.regions && heap < clr->gc_heaps.len; heap++) {
        struct lg_error *err = add_free(clr, heap, &sum);
        if (err)
            return err;
    }
    *ret = sum;
    return NULL;
}

// card_table_info goes on, where GcDacVars says that it has 64 bytes, with the bounds of what the card
// table covers: with regions, all the address space that was set aside for them at the start (measured
// on 10.0.12: GC.GetConfigurationVariables()["GCRegionRange"], less what whole regions leave at the
// ends).
bool lg_clr_gc_range(const struct lg_clr *clr, uint64_t *ret)
{
    enum { SIZE = 64, LOWEST = 24 };
    uint64_t at = 0, bounds[2];
    if (!clr->gc || !clr->info.regions || clr->gc->vars[LG_GC_CARD_TABLE_INFO_SIZE] != SIZE
        || !lg_target_u64(clr->target, clr->gc->vars[LG_GC_BOOKKEEPING_START], &at) || !at
        || !lg_target_read_all(clr->target, at + LOWEST, bounds, sizeof(bounds)))
        return false;
    for (size_t i = 0; i < clr->segments.len; i++) {
        const struct lg_segment *s = &clr->segments.at[i];
        if (s->generation != LG_FOH && (s->start < bounds[0] || s->reserved > bounds[1]))
            return false; // It means something else.
    }
    *ret = bounds[1] - bounds[0];
    return clr->segments.len > 0 && bounds[0] < bounds[1];
}
