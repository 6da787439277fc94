#include "collect/allocations.h"

#include <math.h>
#include <string.h>

enum {
    GC_START = 1,
    GC_END = 2,
    TICK = 10,
    SURVIVED = 21,
    MOVED = 22,
    GENERATION = 23,
    METHOD_LOAD_SHORT = 141,
    METHOD_UNLOAD_SHORT = 142,
    METHOD_LOAD = 143,
    METHOD_UNLOAD = 144,
    SAMPLED = 303,
    STACK_MAX = 200,
    IPS_MAX = 16 << 20,
    LIVE_MAX = 16 << 20,
};

const uint32_t lg_alloc_events[] = {
    GC_START,    GC_END,        SURVIVED, MOVED, GENERATION, METHOD_LOAD_SHORT, METHOD_UNLOAD_SHORT,
    METHOD_LOAD, METHOD_UNLOAD, SAMPLED,
};
const size_t lg_alloc_event_count = sizeof(lg_alloc_events) / sizeof(*lg_alloc_events);

static uint64_t hash_of(const struct lg_event *event, uint64_t mt)
{
    uint64_t hash = lg_hash64(mt + 1);
    for (size_t i = 0; i < event->stack_count && i < STACK_MAX; i++)
        hash = ((hash ^ event->stack[i]) * 0x9e3779b97f4a7c15) ^ hash >> 32;
    return lg_hash64(hash);
}

static bool is_origin(const struct lg_allocations *all, const struct lg_alloc_origin *origin,
                      const struct lg_event *event, uint64_t mt)
{
    size_t count = event->stack_count < STACK_MAX ? event->stack_count : STACK_MAX;
    return origin->mt == mt && origin->stack_count == count
           && (count == 0 || memcmp(all->ips.at + origin->stack, event->stack, count * 8) == 0);
}

static const char *keep_name(struct lg_allocations *all, struct lg_reader name)
{
    char text[1024];
    lg_read_wide_text(&name, text, sizeof(text));
    return lg_arena_copy(&all->names, text, strlen(text));
}

uint32_t lg_allocations_origin(struct lg_allocations *all, const struct lg_event *event, uint64_t mt,
                               struct lg_reader name)
{
    uint32_t i;
    uint64_t key = hash_of(event, mt);
    while (lg_map_get(&all->by_key, key, &i)) {
        if (is_origin(all, &all->origins.at[i], event, mt)) {
            all->origins.at[i].last = event->time;
            return i;
        }
        key++;
    }
    struct lg_alloc_origin origin = {
        .mt = mt,
        .stack = (uint32_t)all->ips.len,
        .stack_count = (uint32_t)(event->stack_count < STACK_MAX ? event->stack_count : STACK_MAX),
        .first = event->time,
        .last = event->time,
        .type = keep_name(all, name),
    };
    if (!origin.type || all->ips.len + origin.stack_count > IPS_MAX)
        return UINT32_MAX;
    for (uint32_t n = 0; n < origin.stack_count; n++) {
        if (!lg_vec_push(&all->ips, event->stack[n]))
            return UINT32_MAX;
    }
    i = (uint32_t)all->origins.len;
    return lg_vec_push(&all->origins, origin) && lg_map_put(&all->by_key, key, i) ? i : UINT32_MAX;
}

static struct lg_error *add_sample(struct lg_allocations *all, const struct lg_event *event,
                                   struct lg_alloc_sample sample, uint64_t mt, struct lg_reader name)
{
    all->samples++;
    sample.time = event->time;
    sample.origin = lg_allocations_origin(all, event, mt, name);
    if (sample.origin == UINT32_MAX || all->live.len >= LIVE_MAX) {
        all->dropped_origins++;
        return NULL;
    }
    struct lg_alloc_origin *origin = &all->origins.at[sample.origin];
    origin->samples++;
    if (sample.size) {
        origin->count += 1 / sample.share;
        origin->bytes += (double)sample.size / sample.share;
        origin->count_var += (1 - sample.share) / (sample.share * sample.share);
    } else {
        origin->unsized++;
        origin->bytes += (double)sample.amount;
    }
    if (all->foreground) { // Threads stand still then: it is out of place.
        all->dropped_confused++;
        return NULL;
    }
    return lg_vec_push(&all->live, sample) ? NULL : &lg_no_memory;
}

// Each byte is the start of a sample with a chance of 1 in 102,400 (dotnet/runtime
// docs/design/features/RandomizedAllocationSampling.md).
static struct lg_error *add_sampled(struct lg_allocations *all, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    size_t chars;
    lg_read_bytes(&r, 6); // kind, instance
    uint64_t mt = lg_read_u64(&r);
    struct lg_reader name = r;
    lg_read_wide(&r, &chars);
    struct lg_alloc_sample sample = { .address = lg_read_u64(&r) };
    sample.size = lg_read_u64(&r);
    if (r.failed || sample.size == 0)
        return NULL;
    sample.share = -expm1((double)sample.size * log1p(-1.0 / 102400));
    return add_sample(all, event, sample, mt, name);
}

double lg_allocations_tick_share(uint64_t size, uint64_t amount)
{
    return amount > size ? (double)size / (double)amount : 1;
}

// One for some 100 KiB of each heap: the object that filled them up.
static struct lg_error *add_tick(struct lg_allocations *all, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    size_t chars;
    lg_read_bytes(&r, 10);
    uint64_t amount = lg_read_u64(&r), mt = lg_read_u64(&r);
    struct lg_reader name = r;
    lg_read_wide(&r, &chars);
    lg_read_u32(&r); // heap
    struct lg_alloc_sample sample = {
        .address = event->kind->version >= 3 ? lg_read_u64(&r) : 0,
        .amount = amount,
    };
    if (event->kind->version >= 4)
        sample.size = lg_read_u64(&r);
    if (r.failed || sample.address == 0)
        return NULL;
    all->uses_ticks = true;
    sample.share = lg_allocations_tick_share(sample.size, amount);
    return add_sample(all, event, sample, mt, name);
}

static void begin_window(struct lg_allocations *all)
{
    all->in_window = true;
    for (size_t i = 0; i < all->live.len; i++)
        all->live.at[i].in_window = all->live.at[i].address;
}

// What was not there, and at the same place, from the begin of the window to its end.
static void end_window(struct lg_allocations *all)
{
    size_t kept = 0;
    if (!all->in_window)
        begin_window(all);
    if (all->foreground && all->foreground_since <= all->window_start)
        lg_allocations_distrust(all, &all->dropped_confused);
    lg_allocations_judge_background(all);
    lg_allocations_sort(all);
    for (size_t i = 0; i < all->live.len; i++) {
        const struct lg_alloc_sample *sample = &all->live.at[i];
        if (sample->in_window == sample->address)
            all->live.at[kept++] = *sample;
        else if (sample->time <= all->window_start)
            all->dropped_window++;
    }
    all->live.len = kept;
    all->is_over = true;
}

struct lg_error *lg_allocations_event(struct lg_allocations *all, const struct lg_event *event)
{
    if (all->is_over || event->kind->provider != LG_PROVIDER_RUNTIME)
        return NULL;
    if (event->time > all->window_end) {
        end_window(all);
        return NULL;
    }
    if (event->time > all->window_start && !all->in_window)
        begin_window(all);
    switch (event->kind->id) {
    case SAMPLED:
        return add_sampled(all, event);
    case TICK:
        return add_tick(all, event);
    case GC_START:
    case GC_END:
    case SURVIVED:
    case MOVED:
    case GENERATION:
        return lg_allocations_gc_event(all, event);
    default:
        return NULL;
    }
}

void lg_allocations_lost(struct lg_allocations *all, const struct lg_event_loss *loss)
{
    if (all->is_over || loss->since >= all->window_end)
        return;
    lg_map_free(&all->by_key); // What is made from now on has stacks of its own: code may be another.
    all->by_key = (struct lg_map){ 0 };
    all->lost_events += loss->count;
    lg_allocations_distrust(all, &all->dropped_lost);
}

void lg_allocations_set_window(struct lg_allocations *all, uint64_t start, uint64_t end)
{
    all->window_start = start;
    all->window_end = end;
}

void lg_allocations_finish(struct lg_allocations *all)
{
    if (!all->is_over)
        end_window(all);
}

void lg_allocations_distrust(struct lg_allocations *all, uint64_t *counter)
{
    *counter += all->live.len;
    all->live.len = all->told = 0;
    lg_allocations_forget_gcs(all);
}

// Equal addresses: the last allocated first.
static int by_address(const void *a, const void *b)
{
    const struct lg_alloc_sample *x = a, *y = b;
    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    return x->time > y->time ? -1 : x->time < y->time;
}

void lg_allocations_sort(struct lg_allocations *all)
{
    bool is_sorted = true;
    for (size_t i = 1; i < all->live.len && is_sorted; i++)
        is_sorted = all->live.at[i - 1].address < all->live.at[i].address;
    if (is_sorted)
        return;
    qsort(all->live.at, all->live.len, sizeof(*all->live.at), by_address);
    size_t kept = 1;
    for (size_t i = 1; i < all->live.len; i++) {
        if (all->live.at[i].address == all->live.at[kept - 1].address)
            all->dead++;
        else
            all->live.at[kept++] = all->live.at[i];
    }
    all->live.len = kept;
}

void lg_allocations_deinit(struct lg_allocations *all)
{
    lg_allocations_forget_gcs(all);
    lg_vec_free(&all->live);
    lg_vec_free(&all->origins);
    lg_vec_free(&all->ips);
    lg_map_free(&all->by_key);
    lg_map_free(&all->sorts);
    lg_arena_free(&all->names);
}
