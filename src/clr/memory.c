// Gathers claims (GC segments, native heaps, what is left of memfd:doublemapper), then makes them one
// list without overlaps: of two claims to a page the one that begins first has it.
#include "clr/memory.h"

#include <string.h>

#include "clr/memory_priv.h"
#include "util/search.h"

#define PAGE UINT64_C(4096)

const char *lg_memory_kind_name(enum lg_memory_kind kind)
{
    static const char *const names[LG_MEMORY_KINDS] = {
        [LG_MEMORY_GEN0] = "gen0",
        [LG_MEMORY_GEN1] = "gen1",
        [LG_MEMORY_GEN2] = "gen2",
        [LG_MEMORY_LOH] = "LOH",
        [LG_MEMORY_POH] = "POH",
        [LG_MEMORY_FOH] = "frozen",
        [LG_MEMORY_GC_FREE] = "GC free",
        [LG_MEMORY_GC_BOOKKEEPING] = "GC bookkeeping",
        [LG_MEMORY_HANDLE_TABLE] = "handle table",
        [LG_MEMORY_LOADER_HEAP] = "loader heap",
        [LG_MEMORY_STUBS] = "stubs",
        [LG_MEMORY_JIT_CODE] = "JIT code",
        [LG_MEMORY_JIT_WRITABLE] = "JIT writable mapping",
        [LG_MEMORY_EXECUTABLE] = "executable allocator",
        [LG_MEMORY_EVENTPIPE] = "EventPipe buffers",
    };
    return names[kind];
}

bool lg_memory_claim(struct lg_memory *memory, uint64_t start, uint64_t end, enum lg_memory_kind kind,
                     const char *name)
{
    start -= start % PAGE;
    end = end > UINT64_MAX - PAGE ? UINT64_MAX - UINT64_MAX % PAGE : (end + PAGE - 1) / PAGE * PAGE;
    if (start >= end)
        return true;
    struct lg_memory_range range = { start, end, kind, name };
    return lg_vec_push(&memory->ranges, range);
}

// ---- the GC heap ----

// The names of each heap's generations, made once.
struct heap_names {
    uint32_t heap;
    const char *generations[LG_GENERATIONS], *tail;
};

static bool name_heap(struct lg_clr *clr, uint32_t heap, struct heap_names *names)
{
    struct lg_arena *arena = &clr->memory->names;
    if (names->tail && names->heap == heap)
        return true;
    *names = (struct heap_names){ .heap = heap };
    for (enum lg_generation g = LG_GEN0; g < LG_GENERATIONS; g++) {
        const char *name = lg_memory_kind_name((enum lg_memory_kind)g);
        names->generations[g] =
            clr->info.server && g != LG_FOH ? lg_arena_format(arena, "%s of heap %u", name, heap) : name;
        if (!names->generations[g])
            return false;
    }
    names->tail = clr->info.server ? lg_arena_format(arena, "committed, behind objects of heap %u", heap)
                                   : "committed, behind objects";
    return names->tail;
}

static bool claim_objects(struct lg_clr *clr, const struct lg_segment *s, uint64_t start, uint64_t end,
                          enum lg_generation generation, const struct heap_names *names)
{
    (void)s;
    return lg_memory_claim(clr->memory, start, end, (enum lg_memory_kind)generation,
                           names->generations[generation]);
}

// Generations that share a segment meet within a page: the younger one gets it.
static bool claim_segment(struct lg_clr *clr, const struct lg_segment *s, const struct heap_names *names)
{
    uint64_t start = lg_clr_segment_base(clr, s);
    if (s->gen0_start) {
        uint64_t gen1 = s->gen1_start - s->gen1_start % PAGE,
                 gen0 = s->gen0_start - s->gen0_start % PAGE;
        gen1 = gen1 > start ? gen1 : start;
        gen0 = gen0 > gen1 ? gen0 : gen1;
        if (!claim_objects(clr, s, start, gen1, LG_GEN2, names)
            || !claim_objects(clr, s, gen1, gen0, LG_GEN1, names)
            || !claim_objects(clr, s, gen0, s->end, LG_GEN0, names))
            return false;
    } else if (!claim_objects(clr, s, start, s->end, s->generation, names)) {
        return false;
    }
    uint64_t tail = (s->end + PAGE - 1) / PAGE * PAGE;
    return tail >= s->committed
           || lg_memory_claim(clr->memory, tail, s->committed, LG_MEMORY_GC_FREE, names->tail);
}

static struct lg_error *claim_segments(struct lg_clr *clr)
{
    struct heap_names names = { 0 };
    for (size_t i = 0; i < clr->segments.len; i++) {
        const struct lg_segment *s = &clr->segments.at[i];
        if (!name_heap(clr, s->heap, &names) || !claim_segment(clr, s, &names))
            return &lg_no_memory;
    }
    return NULL;
}

// ---- native heaps ----

static enum lg_memory_kind kind_of(const struct lg_native_heap *heap)
{
    static const struct {
        const char *kind;
        enum lg_memory_kind ret;
    } kinds[] = {
        { "Bookkeeping", LG_MEMORY_GC_BOOKKEEPING },
        { "HandleTable", LG_MEMORY_HANDLE_TABLE },
        { "StubHeap", LG_MEMORY_STUBS },
        { "ExecutableHeap", LG_MEMORY_STUBS },
        { "FixupPrecodeHeap", LG_MEMORY_STUBS },
        { "NewStubPrecodeHeap", LG_MEMORY_STUBS },
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strcmp(heap->kind, kinds[i].kind) == 0)
            return kinds[i].ret;
    }
    if (strncmp(heap->owner, "JIT", 3) == 0)
        return LG_MEMORY_JIT_CODE;
    return strcmp(heap->owner, "GC") == 0 ? LG_MEMORY_GC_FREE : LG_MEMORY_LOADER_HEAP;
}

static const char *name_of(struct lg_clr *clr, const struct lg_native_heap *heap)
{
    if (strcmp(heap->owner, "GC") == 0)
        return heap->kind;
    if (strcmp(heap->owner, "Module LoaderAllocator") == 0)
        return lg_arena_format(&clr->memory->names, "%s of LoaderAllocator %#jx", heap->kind,
                               (uintmax_t)heap->owner_address);
    return lg_arena_format(&clr->memory->names, "%s of %s", heap->kind, heap->owner);
}

static bool is_same_owner(const struct lg_native_heap *a, const struct lg_native_heap *b)
{
    return a->owner_address == b->owner_address && strcmp(a->kind, b->kind) == 0;
}

static struct lg_error *claim_native(struct lg_clr *clr)
{
    const struct lg_native_heap *heaps;
    size_t count;
    struct lg_error *err = lg_clr_native_heaps(clr, &heaps, &count);
    const char *name = NULL;
    for (size_t i = 0; !err && i < count; i++) {
        const struct lg_native_heap *heap = &heaps[i];
        enum lg_memory_kind kind = kind_of(heap);
        // Of a free region only what is committed; the rest is nobody's until it is.
        uint64_t size = kind == LG_MEMORY_GC_FREE ? heap->used : heap->reserved;
        if (size > UINT64_MAX - heap->start)
            continue;
        if (i == 0 || !is_same_owner(heap, heap - 1))
            name = name_of(clr, heap);
        if (!name || !lg_memory_claim(clr->memory, heap->start, heap->start + size, kind, name))
            return &lg_no_memory;
    }
    return err;
}

// ---- one list ----

static int by_start(const void *a, const void *b)
{
    const struct lg_memory_range *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

void lg_memory_settle(struct lg_memory *memory)
{
    struct lg_memory_range *at = memory->ranges.at;
    size_t count = memory->ranges.len, kept = 0;
    if (count > 1)
        qsort(at, count, sizeof(*at), by_start);
    for (size_t i = 0; i < count; i++) {
        struct lg_memory_range range = at[i], *last = kept > 0 ? &at[kept - 1] : NULL;
        if (last && range.start < last->end)
            range.start = last->end;
        if (range.start >= range.end)
            continue;
        if (last && last->end == range.start && last->kind == range.kind && last->name == range.name)
            last->end = range.end;
        else
            at[kept++] = range;
    }
    memory->ranges.len = memory->settled = kept;
}

const struct lg_memory_range *lg_memory_after(const struct lg_memory *memory, uint64_t address)
{
    size_t low = lg_first_not(memory->settled, i, memory->ranges.at[i].end <= address);
    return low < memory->settled ? &memory->ranges.at[low] : NULL;
}

static void memory_free(struct lg_memory *memory)
{
    if (!memory)
        return;
    lg_vec_free(&memory->ranges);
    lg_arena_free(&memory->names);
    free(memory);
}

void lg_clr_memory_close(struct lg_clr *clr)
{
    memory_free(clr->memory);
    clr->memory = NULL;
}

struct lg_error *lg_clr_memory(struct lg_clr *clr, const struct lg_memory_range **ret, size_t *count_ret)
{
    static struct lg_error *(*const steps[])(struct lg_clr *) = { claim_segments, claim_native,
                                                                  lg_memory_claim_executable,
                                                                  lg_memory_claim_eventpipe };
    if (!clr->memory) {
        clr->memory = calloc(1, sizeof(*clr->memory));
        struct lg_error *err = clr->memory ? NULL : &lg_no_memory;
        for (size_t i = 0; !err && i < sizeof(steps) / sizeof(*steps); i++) {
            err = steps[i](clr);
            lg_memory_settle(clr->memory);
        }
        if (err) {
            lg_clr_memory_close(clr);
            return err;
        }
    }
    *ret = clr->memory->ranges.at;
    *count_ret = clr->memory->ranges.len;
    return NULL;
}
