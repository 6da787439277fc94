// What a GC did to the objects that are followed.
#include <string.h>

#include "collect/allocations.h"

enum { GC_START = 1, GC_END = 2, SURVIVED = 21, MOVED = 22, GENERATION = 23 };
enum { BLOCKING, BACKGROUND, FOREGROUND }; // types of GCs: the last runs within a background one
enum { LOH = 3, FULL = 2, RANGES_MAX = 32 << 20 };

struct range {
    uint64_t start, length;
    uint64_t to; // moved: the new start; a generation: its number
    uint64_t order;
};
struct ranges {
    LG_VEC(struct range) all;
};

struct lg_alloc_gc {
    uint32_t number, generation;
    uint64_t thread;
    bool is_background;
    struct ranges before; // generations as they were when it began
    struct ranges moved, survived;
};

static void free_gc(struct lg_alloc_gc *gc)
{
    if (!gc)
        return;
    lg_vec_free(&gc->before.all);
    lg_vec_free(&gc->moved.all);
    lg_vec_free(&gc->survived.all);
    free(gc);
}

void lg_allocations_forget_gcs(struct lg_allocations *all)
{
    free_gc(all->foreground);
    free_gc(all->background);
    all->foreground = all->background = NULL;
}

static int by_start(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

// By start; of several with one start the first that was told.
static void sort(struct ranges *ranges)
{
    if (!ranges->all.len)
        return;
    qsort(ranges->all.at, ranges->all.len, sizeof(*ranges->all.at), by_start);
    size_t kept = 1;
    for (size_t i = 1; i < ranges->all.len; i++) {
        if (ranges->all.at[i].start != ranges->all.at[kept - 1].start)
            ranges->all.at[kept++] = ranges->all.at[i];
    }
    ranges->all.len = kept;
}

static const struct range *find(const struct ranges *ranges, uint64_t address)
{
    size_t low = 0, high = ranges->all.len;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (ranges->all.at[mid].start <= address)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0 || address - ranges->all.at[low - 1].start >= ranges->all.at[low - 1].length)
        return NULL;
    return &ranges->all.at[low - 1];
}

static bool add(struct ranges *ranges, struct range range)
{
    range.order = ranges->all.len;
    return ranges->all.len < RANGES_MAX && lg_vec_push(&ranges->all, range);
}

// Where a sample is after a GC of all generations up to `generation`; 0: dead.
static uint64_t follow(struct lg_allocations *all, const struct lg_alloc_gc *gc, uint32_t generation,
                       uint64_t address)
{
    const struct range *range = find(&gc->moved, address);
    if (range) {
        all->moved += range->to != range->start;
        return address - range->start + range->to;
    }
    if (find(&gc->survived, address))
        return address;
    range = find(&gc->before, address);
    if (range && range->to > generation && !(range->to >= LOH && generation == FULL))
        return address;
    all->unplaced += !range;
    return 0;
}

static void end_blocking(struct lg_allocations *all, struct lg_alloc_gc *gc, uint32_t generation)
{
    size_t kept = 0;
    for (size_t i = 0; i < all->live.len; i++) {
        struct lg_alloc_sample sample = all->live.at[i];
        sample.address = follow(all, gc, generation, sample.address);
        if (sample.address)
            all->live.at[kept++] = sample;
        else
            all->dead++;
    }
    all->live.len = kept;
}

// Objects do not move in gen2 while it runs. What lay there when it told what survived, and is not among
// that, is dead if it lay there when it began. Of what was promoted or allocated there meanwhile nothing
// is sure: alive where it does not sweep, dead where it does, and its room another object's since. In
// gen0 and gen1 what is dead becomes room for new objects at once, before the GC tells what survived
// (regions, .NET 7 on, measured). Samples in doubt are given up. `only_young`: those of gen0 and gen1.
static void judge(struct lg_allocations *all, struct lg_alloc_gc *gc, bool only_young)
{
    size_t kept = 0;
    sort(&gc->before);
    sort(&gc->survived);
    lg_allocations_sort(all);
    for (size_t i = 0; i < all->live.len; i++) {
        const struct lg_alloc_sample *sample = &all->live.at[i];
        const struct range *range = find(&gc->before, sample->address);
        bool is_old = range && range->to >= FULL, survived = find(&gc->survived, sample->address);
        bool is_dead = !only_young && is_old && !survived && sample->in_background == sample->address;
        bool is_doubtful =
            !is_dead && sample->when_told == sample->address && (!is_old || (!only_young && !survived));
        if (!is_dead && !is_doubtful)
            all->live.at[kept++] = *sample;
        all->dead += is_dead;
        all->dropped_background += is_doubtful;
    }
    all->live.len = kept;
}

void lg_allocations_judge_background(struct lg_allocations *all)
{
    if (all->background && all->background->survived.all.len)
        judge(all, all->background, false);
}

static enum lg_thread_sort sort_of(struct lg_allocations *all, uint64_t thread)
{
    uint32_t known;
    if (lg_map_get(&all->sorts, thread, &known))
        return (enum lg_thread_sort)known;
    enum lg_thread_sort sort =
        all->thread_sort ? all->thread_sort(all->data, thread) : LG_THREAD_UNKNOWN;
    if (!lg_map_put(&all->sorts, thread, sort))
        return LG_THREAD_UNKNOWN;
    return sort;
}

// A GC that is announced as one in the background can become a blocking one: it compacts then, or a
// thread ends it that is none of the background's.
static bool became_blocking(struct lg_allocations *all, const struct lg_alloc_gc *gc,
                            const struct lg_event *event)
{
    enum lg_thread_sort sort = sort_of(all, event->capture_thread);
    if (gc->moved.all.len)
        return true;
    return sort == LG_THREAD_UNKNOWN ? event->capture_thread == gc->thread : sort == LG_THREAD_OTHER;
}

static void end_gc(struct lg_allocations *all, const struct lg_event *event, uint32_t number)
{
    struct lg_alloc_gc *gc = all->foreground;
    if (!gc || gc->number != number)
        gc = all->background;
    if (!gc || gc->number != number) {
        lg_allocations_distrust(all, &all->dropped_confused);
        return;
    }
    sort(&gc->before);
    sort(&gc->moved);
    sort(&gc->survived);
    lg_allocations_sort(all);
    all->told = 0; // They are about to move.
    bool in_background = gc->is_background && !became_blocking(all, gc, event);
    all->gcs++;
    all->full_gcs += gc->generation >= FULL;
    all->background_gcs += in_background;
    all->became_blocking += gc->is_background && !in_background;
    // One that moves objects meanwhile moves what lies where they lay, too.
    if (all->background && all->background != gc)
        judge(all, all->background, true);
    if (in_background)
        judge(all, gc, false);
    else
        end_blocking(all, gc, gc->is_background ? FULL : gc->generation);
    if (gc == all->foreground)
        all->foreground = NULL;
    else
        all->background = NULL;
    free_gc(gc);
}

// They are numbered on from 1. Another tool's session that begins or ends can take events away, and
// nothing else tells of that. A number can be missing without a GC, too: of a region without GCs that
// was asked for. What was followed cannot be believed after one.
static void check_number(struct lg_allocations *all, uint32_t number)
{
    uint32_t missing = all->gc_number ? number - all->gc_number - 1 : 0;
    all->gc_number = number;
    if (!missing)
        return;
    all->missing_gcs += missing < INT32_MAX ? missing : 1;
    lg_allocations_distrust(all, &all->dropped_missing);
}

static struct lg_error *begin_gc(struct lg_allocations *all, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    struct lg_alloc_gc *gc = calloc(1, sizeof(*gc));
    if (!gc)
        return &lg_no_memory;
    gc->number = lg_read_u32(&r);
    gc->generation = lg_read_u32(&r);
    lg_read_u32(&r); // reason
    gc->is_background = lg_read_u32(&r) == BACKGROUND;
    gc->thread = event->capture_thread;
    if (!r.failed)
        check_number(all, gc->number);
    struct lg_alloc_gc **place = gc->is_background ? &all->background : &all->foreground;
    if (r.failed || *place) { // The end of the one before is not there.
        free_gc(gc);
        lg_allocations_distrust(all, &all->dropped_confused);
        return NULL;
    }
    *place = gc;
    if (!gc->is_background)
        all->foreground_since = event->time;
    if (gc->is_background)
        all->told = 0;
    for (size_t i = 0; gc->is_background && i < all->live.len; i++) {
        all->live.at[i].in_background = all->live.at[i].address;
        all->live.at[i].when_told = 0;
    }
    return NULL;
}

// Whose ranges a thread tells of; NULL: that cannot be told.
static struct lg_alloc_gc *gc_of(struct lg_allocations *all, uint64_t thread)
{
    if (!all->background || !all->foreground) {
        bool is_stray = !all->background && sort_of(all, thread) == LG_THREAD_BACKGROUND_GC;
        return is_stray ? NULL : all->foreground ? all->foreground : all->background;
    }
    switch (sort_of(all, thread)) {
    case LG_THREAD_BACKGROUND_GC:
        return all->background;
    case LG_THREAD_OTHER:
        return all->foreground;
    default:
        return NULL;
    }
}

static struct lg_error *add_ranges(struct lg_allocations *all, const struct lg_event *event)
{
    struct lg_alloc_gc *gc = gc_of(all, event->capture_thread);
    struct lg_reader r = lg_event_payload(event);
    bool is_kept = true, moved = event->kind->id == MOVED;
    if (!gc) {
        if (event->kind->id != GENERATION)
            lg_allocations_distrust(all, &all->dropped_confused);
        return NULL;
    }
    if (event->kind->id == GENERATION) { // Those behind the first survivor are of the heap afterwards.
        uint8_t generation = lg_read_u8(&r);
        struct range range = { .start = lg_read_u64(&r), .to = generation };
        range.length = lg_read_u64(&r);
        if (!gc->moved.all.len && !gc->survived.all.len)
            is_kept = add(&gc->before, range);
    } else {
        for (; gc->is_background && all->told < all->live.len; all->told++)
            all->live.at[all->told].when_told = all->live.at[all->told].address;
        lg_read_u32(&r); // index
        uint32_t count = lg_read_u32(&r);
        lg_read_u16(&r);
        for (uint32_t i = 0; i < count && !r.failed && is_kept; i++) {
            struct range range = { .start = lg_read_u64(&r) };
            range.to = moved ? lg_read_u64(&r) : 0;
            range.length = lg_read_u64(&r);
            is_kept = add(moved ? &gc->moved : &gc->survived, range);
        }
    }
    if (r.failed || !is_kept)
        lg_allocations_distrust(all, &all->dropped_confused);
    return NULL;
}

struct lg_error *lg_allocations_gc_event(struct lg_allocations *all, const struct lg_event *event)
{
    if (event->kind->id == GC_START)
        return begin_gc(all, event);
    if (event->kind->id != GC_END)
        return add_ranges(all, event);
    struct lg_reader r = lg_event_payload(event);
    end_gc(all, event, lg_read_u32(&r));
    return NULL;
}
