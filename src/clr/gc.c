#include <string.h>

#include "clr/gc_vars.h"
#include "util/map.h"

// Caps on what a target may make us read. Server GC has at most 1,024 heaps (MAX_SUPPORTED_CPUS); a
// region is 4 MiB at least, so a million of them are 4 TiB of heap.
enum { MAX_HEAPS = 1024, MAX_SEGMENTS = 1 << 20 };
enum { SEGMENT_READONLY = 1 };

const char *lg_generation_name(enum lg_generation generation)
{
    static const char *const names[LG_GENERATIONS] = { "gen0", "gen1", "gen2", "loh", "poh", "foh" };
    return names[generation];
}

enum lg_generation lg_segment_generation(const struct lg_segment *segment, uint64_t address)
{
    if (segment->gen0_start && address >= segment->gen0_start)
        return LG_GEN0;
    if (segment->gen1_start && address >= segment->gen1_start)
        return LG_GEN1;
    return segment->generation;
}

// ---- heaps ----

static struct lg_error *unreadable(const char *what, uint64_t address)
{
    return lg_error_new(LG_ERR_FAULT, "%s at %#jx: not readable", what, (uintmax_t)address);
}

static struct lg_error *add_heap(struct lg_clr *clr, uint64_t address)
{
    return lg_vec_push(&clr->gc_heaps, (struct lg_gc_heap){ .address = address }) ? NULL : &lg_no_memory;
}

// Workstation GC counts as one heap without an address. With Server GC `g_heaps` is allocated before the
// heaps are made, and `n_heaps` says how many are in use (with DATAS fewer than the table has).
static struct lg_error *read_heaps(struct lg_clr *clr)
{
    const uint64_t *vars = clr->gc->vars;
    uint64_t table = 0;
    uint32_t count = 0;
    lg_target_u64(clr->target, vars[LG_GC_G_HEAPS], &table);
    lg_target_u32(clr->target, vars[LG_GC_N_HEAPS], &count);
    clr->info.server = vars[LG_GC_G_HEAPS] && table && count;
    if (!clr->info.server)
        return add_heap(clr, 0);
    if (count > MAX_HEAPS)
        return lg_error_new(LG_ERR_CORRUPT, "n_heaps at %#jx: %u heaps", (uintmax_t)vars[LG_GC_N_HEAPS],
                            count);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t heap;
        if (!lg_target_u64(clr->target, table + 8 * (uint64_t)i, &heap) || !heap || heap % 8)
            return lg_error_new(LG_ERR_CORRUPT, "g_heaps[%u] at %#jx: no gc_heap (%#jx)", i,
                                (uintmax_t)(table + 8 * (uint64_t)i), (uintmax_t)heap);
        struct lg_error *err = add_heap(clr, heap);
        if (err)
            return err;
    }
    return NULL;
}

static uint64_t generation_address(const struct lg_clr *clr, size_t heap, unsigned generation)
{
    return lg_gc_field(clr, heap, LG_GC_FIELD_GENERATION_TABLE) + generation * clr->gc->generation_size;
}

static struct lg_error *read_generations(struct lg_clr *clr, size_t heap)
{
    for (unsigned g = 0; g < LG_GC_GENERATION_COUNT; g++) {
        struct lg_gc_generation generation;
        uint64_t at = generation_address(clr, heap, g), segment = at + (uint32_t)clr->gc->start_segment,
                 context = at + (uint32_t)clr->gc->allocation_context;
        if (!lg_target_u64(clr->target, segment, &generation.first_segment))
            return unreadable("generation.start_segment", segment);
        if (!lg_target_read_all(clr->target, context, &generation.context, sizeof(generation.context)))
            return unreadable("generation.allocation_context", context);
        if (!lg_vec_push(&clr->generations, generation))
            return &lg_no_memory;
    }
    clr->generation_count = LG_GC_GENERATION_COUNT;
    return NULL;
}

static struct lg_error *read_heap(struct lg_clr *clr, size_t i)
{
    struct lg_gc_heap *heap = &clr->gc_heaps.at[i];
    uint64_t allocated = lg_gc_field(clr, i, LG_GC_FIELD_ALLOC_ALLOCATED);
    uint64_t ephemeral = lg_gc_field(clr, i, LG_GC_FIELD_EPHEMERAL_HEAP_SEGMENT);
    if (!allocated || !ephemeral || !lg_gc_field(clr, i, LG_GC_FIELD_GENERATION_TABLE))
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "GcDacVars v%u.%u at %#jx: does not say where heap %zu has its generations",
                            clr->gc->major, clr->gc->minor, (uintmax_t)clr->gc->address, i);
    if (!lg_target_u64(clr->target, allocated, &heap->alloc_allocated))
        return unreadable("alloc_allocated", allocated);
    if (!lg_target_u64(clr->target, ephemeral, &heap->ephemeral_segment))
        return unreadable("ephemeral_heap_segment", ephemeral);
    for (unsigned g = 0; g < LG_GC_GENERATION_COUNT && clr->gc->allocation_start >= 0; g++) {
        uint64_t at = generation_address(clr, i, g) + (uint32_t)clr->gc->allocation_start;
        if (!lg_target_u64(clr->target, at, &heap->allocation_start[g]))
            return unreadable("generation.allocation_start", at);
    }
    return read_generations(clr, i);
}

// ---- segments ----

// heap_segment of gcpriv.h, whose first words are dac_heap_segment (reference clr.md C.4, measured).
struct heap_segment {
    uint64_t allocated, committed, reserved, used, mem, flags, next, background_allocated;
};

static struct lg_error *check_segment(const struct lg_segment *s)
{
    if (s->start <= s->end && s->end <= s->committed && s->committed <= s->reserved && s->start % 8 == 0)
        return NULL;
    return lg_error_new(
        LG_ERR_CORRUPT,
        "heap_segment at %#jx (heap %u, %s): start %#jx, end %#jx, committed %#jx, reserved %#jx",
        (uintmax_t)s->address, s->heap, lg_generation_name(s->generation), (uintmax_t)s->start,
        (uintmax_t)s->end, (uintmax_t)s->committed, (uintmax_t)s->reserved);
}

// With the segments GC the ephemeral segment is the last of gen2's list, and gen1 and gen0 begin inside
// it, at their allocation_start.
static struct lg_error *split_ephemeral(const struct lg_gc_heap *heap, struct lg_segment *s)
{
    s->gen1_start = heap->allocation_start[1];
    s->gen0_start = heap->allocation_start[0];
    if (s->start <= s->gen1_start && s->gen1_start <= s->gen0_start && s->gen0_start <= s->end)
        return NULL;
    return lg_error_new(
        LG_ERR_CORRUPT,
        "ephemeral heap_segment at %#jx, %#jx to %#jx: gen1 starts at %#jx, gen0 at %#jx",
        (uintmax_t)s->address, (uintmax_t)s->start, (uintmax_t)s->end, (uintmax_t)s->gen1_start,
        (uintmax_t)s->gen0_start);
}

static struct lg_error *add_segment(struct lg_clr *clr, size_t heap_index, unsigned generation,
                                    uint64_t address, uint64_t *next_ret)
{
    struct heap_segment raw;
    if (!lg_target_read_all(clr->target, address, &raw, sizeof(raw)))
        return unreadable("heap_segment", address);
    const struct lg_gc_heap *heap = &clr->gc_heaps.at[heap_index];
    bool frozen = raw.flags & SEGMENT_READONLY, ephemeral = address == heap->ephemeral_segment;
    struct lg_segment s = {
        .address = address,
        .start = raw.mem,
        .end = ephemeral ? heap->alloc_allocated : raw.allocated,
        .committed = raw.committed,
        .reserved = raw.reserved,
        .flags = raw.flags,
        .heap = (uint32_t)heap_index,
        .generation = frozen ? LG_FOH : (enum lg_generation)generation,
        .ephemeral = ephemeral,
    };
    struct lg_error *err = check_segment(&s);
    if (!err && ephemeral && !clr->info.regions)
        err = split_ephemeral(heap, &s);
    if (err)
        return err;
    *next_ret = raw.next;
    return lg_vec_push(&clr->segments, s) ? NULL : &lg_no_memory;
}

// `seen` has every segment of every list: one that comes again is a cycle, or a list that runs into
// another.
static struct lg_error *read_list(struct lg_clr *clr, size_t heap, unsigned generation,
                                  struct lg_map *seen)
{
    uint64_t address = clr->generations.at[heap * clr->generation_count + generation].first_segment;
    if (!address)
        return lg_error_new(LG_ERR_NOT_FOUND,
                            "generation %u of heap %zu has no segment: the runtime is still starting; "
                            "try again in a moment",
                            generation, heap);
    while (address) {
        uint32_t before;
        if (lg_map_get(seen, address, &before) || seen->count >= MAX_SEGMENTS)
            return lg_error_new(LG_ERR_CORRUPT, "heap_segment at %#jx (heap %zu, %s): %s",
                                (uintmax_t)address, heap,
                                lg_generation_name((enum lg_generation)generation),
                                seen->count >= MAX_SEGMENTS ? "too many of them" : "met twice");
        if (!lg_map_put(seen, address, 1))
            return &lg_no_memory;
        struct lg_error *err = add_segment(clr, heap, generation, address, &address);
        if (err)
            return err;
    }
    return NULL;
}

static void map_deinit(struct lg_map *map)
{
    lg_map_free(map);
}

// In the middle of a GC the lists are being taken apart: what of them holds together is kept, and the
// rest is a sentence, not an error.
static struct lg_error *forgive(struct lg_clr *clr, struct lg_error *err)
{
    if (!err || !clr->info.gc_in_progress || lg_error_kind(err) == LG_ERR_NO_MEMORY)
        return err;
    lg_target_note(clr->target, "A GC was in progress and its segments do not hold together: %s.",
                   lg_error_message(err));
    lg_error_free(err);
    return NULL;
}

static struct lg_error *read_lists(struct lg_clr *clr)
{
    _cleanup_(map_deinit) struct lg_map seen = { 0 };
    for (size_t heap = 0; heap < clr->gc_heaps.len; heap++) {
        // With the segments GC the lists of gen0 and gen1 are the tail of gen2's.
        for (unsigned g = clr->info.regions ? 0 : 2; g < clr->generation_count; g++) {
            struct lg_error *err = forgive(clr, read_list(clr, heap, g, &seen));
            if (err)
                return err;
        }
        uint32_t found;
        uint64_t ephemeral = clr->gc_heaps.at[heap].ephemeral_segment;
        struct lg_error *err =
            lg_map_get(&seen, ephemeral, &found)
                ? NULL
                : lg_error_new(LG_ERR_CORRUPT,
                               "ephemeral_heap_segment %#jx of heap %zu is in no generation's list",
                               (uintmax_t)ephemeral, heap);
        err = forgive(clr, err);
        if (err)
            return err;
    }
    return NULL;
}

static int by_start(const void *a, const void *b)
{
    const struct lg_segment *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static struct lg_error *check_apart(const struct lg_segment *a, const struct lg_segment *b)
{
    if (a->committed <= b->start)
        return NULL;
    return lg_error_new(LG_ERR_CORRUPT,
                        "heap_segments at %#jx and %#jx overlap: %#jx to %#jx, %#jx to %#jx",
                        (uintmax_t)a->address, (uintmax_t)b->address, (uintmax_t)a->start,
                        (uintmax_t)a->committed, (uintmax_t)b->start, (uintmax_t)b->committed);
}

static struct lg_error *read_segments(struct lg_clr *clr)
{
    struct lg_error *err = read_lists(clr);
    if (err)
        return err;
    struct lg_segment *s = clr->segments.at;
    if (clr->segments.len > 1)
        qsort(s, clr->segments.len, sizeof(*s), by_start);
    size_t kept = 0;
    for (size_t i = 0; i < clr->segments.len; i++) {
        err = kept > 0 ? check_apart(&s[kept - 1], &s[i]) : NULL;
        if (!err)
            s[kept++] = s[i];
        err = forgive(clr, err);
        if (err)
            return err;
    }
    clr->segments.len = kept;
    return NULL;
}

// A generation's own context: of gen0 what the GC keeps for threads without one (reference clr.md C.5).
static struct lg_error *read_contexts(struct lg_clr *clr)
{
    for (size_t i = 0; i < clr->generations.len; i++) {
        struct lg_alloc_context context = clr->generations.at[i].context;
        if (!context.ptr || context.ptr > context.limit)
            continue;
        if (!lg_vec_push(&clr->contexts, context))
            return &lg_no_memory;
    }
    return NULL;
}

// ---- what of it a core holds ----

static uint64_t saved_bytes(const struct lg_target *target, uint64_t start, uint64_t end)
{
    uint64_t saved = 0;
    while (start < end) {
        const struct lg_range *range = lg_target_find(target, start);
        if (!range)
            break;
        uint64_t stop = range->start + range->saved < end ? range->start + range->saved : end;
        saved += stop > start ? stop - start : 0;
        start = range->end;
    }
    return saved;
}

// createdump's --normal and --triage keep the runtime's structures and leave the heap out (reference
// clr.md F.1); readers that do not look report an empty heap (peers.md, fault 13).
static struct lg_error *check_core(struct lg_clr *clr)
{
    uint64_t size = 0, saved = 0;
    for (size_t i = 0; i < clr->segments.len; i++) {
        const struct lg_segment *s = &clr->segments.at[i];
        size += s->end - s->start;
        saved += saved_bytes(clr->target, s->start, s->end);
    }
    bool is_cut = clr->target->lost > 0;
    if (saved < size / 4 && (saved == 0 || !is_cut))
        return lg_error_new(LG_ERR_FAULT, "%ju of the %ju bytes of the GC heap: not there",
                            (uintmax_t)(size - saved), (uintmax_t)size);
    if (saved < size)
        lg_target_note(clr->target, "The core holds %ju of the %ju bytes of the GC heap%s.",
                       (uintmax_t)saved, (uintmax_t)size, is_cut ? ": it is cut short" : "");
    return NULL;
}

// ---- opening ----

static void read_modes(struct lg_clr *clr)
{
    const struct lg_gc_vars *gc = clr->gc;
    uint32_t value;
    clr->info.regions = gc->allocation_start < 0;
    clr->info.gc_in_progress =
        lg_target_u32(clr->target, gc->vars[LG_GC_STRUCTURES_INVALID_CNT], &value) && value;
    clr->info.datas = -1;
    uint64_t mode = gc->vars[LG_GC_DYNAMIC_ADAPTATION_MODE];
    if (mode && lg_target_u32(clr->target, mode, &value) && value < 16)
        clr->info.datas = (int)value;
}

static struct lg_error *read_vars(struct lg_clr *clr)
{
    struct lg_error *err = lg_gc_vars_read(clr, &clr->gc);
    if (err)
        return err;
    read_modes(clr);
    err = read_heaps(clr);
    for (size_t i = 0; !err && i < clr->gc_heaps.len; i++)
        err = read_heap(clr, i);
    return err;
}

struct lg_error *lg_clr_gc_open(struct lg_clr *clr)
{
    struct lg_error *err = clr->from.gc ? clr->from.gc(clr) : read_vars(clr);
    clr->info.heap_count = (uint32_t)clr->gc_heaps.len;
    if (!err)
        err = read_segments(clr);
    if (err)
        clr->segments.len = 0; // All or none.
    if (!err && clr->target->kind == LG_TARGET_CORE)
        err = check_core(clr);
    return err ? err : read_contexts(clr);
}

struct lg_error *lg_clr_gc_needed(const struct lg_clr *clr)
{
    if (clr->gc && clr->gc_heaps.len > 0)
        return NULL;
    return lg_error_new(LG_ERR_UNSUPPORTED, "%s",
                        clr->heap_missing ? clr->heap_missing : "the GC's variables are unknown");
}

void lg_clr_gc_close(struct lg_clr *clr)
{
    free(clr->gc);
    lg_vec_free(&clr->gc_heaps);
    lg_vec_free(&clr->generations);
    lg_vec_free(&clr->segments);
    lg_vec_free(&clr->contexts);
}

const struct lg_segment *lg_clr_segments(const struct lg_clr *clr, size_t *count_ret)
{
    *count_ret = clr->segments.len;
    return clr->segments.at;
}

const struct lg_gc_heap *lg_clr_gc_heaps(const struct lg_clr *clr, size_t *count_ret)
{
    *count_ret = clr->gc_heaps.len;
    return clr->gc_heaps.at;
}

const struct lg_alloc_context *lg_clr_alloc_contexts(const struct lg_clr *clr, size_t *count_ret)
{
    *count_ret = clr->contexts.len;
    return clr->contexts.at;
}
