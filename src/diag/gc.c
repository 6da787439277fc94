#include "diag/gc.h"

#include <string.h>

// Events of Microsoft-Windows-DotNETRuntime (microsoft/perfview
// src/TraceEvent/Parsers/ClrTraceEventParser.cs @f3ec1b38a; dotnet/runtime
// src/coreclr/gc/diagnostics.cpp @0b7b7b5, fire_pevents).
enum {
    GC_START = 1,
    GC_END = 2,
    RESTART_END = 3,
    HEAP_STATS = 4,
    SUSPEND_BEGIN = 9,
    PER_HEAP_HISTORY = 204,
    GLOBAL_HISTORY = 205,
};
enum { SUSPEND_FOR_GC = 1, SUSPEND_FOR_GC_PREP = 6 };
enum { MECHANISM_CONCURRENT = 1, MECHANISM_COMPACTION = 2 };
enum { OPEN_MAX = 8 }; // At one time two, three of them told at the end of a pause.

struct open {
    struct lg_gc gc;
    uint64_t start, end; // ticks; 0: has not ended
    uint64_t pause;      // ticks so far
    uint64_t thread;     // whose history this is
    uint32_t histories;  // heaps that are summed up
    bool began_here;     // in the pause that is
    bool began_pause;    // and the pause was for it
    bool has_pause;      // was in one
    bool announced_background;
    bool lost; // Events of it may be.
};

struct lg_gc_follower {
    struct lg_gc_listener listener;
    const struct lg_nettrace_facts *facts;
    struct open open[OPEN_MAX];
    size_t count;
    unsigned dropped; // More than OPEN_MAX: their ends were lost.
    bool paused;
    uint64_t paused_at;
    uint32_t pause_reason;
    uint64_t last_begun; // number; 0: none
    uint64_t missing;
    uint64_t last_ended, last_ended_thread; // The number of the collection that stats are of.
    struct lg_gc_pauses pauses;
};

const char *const lg_gc_generation_names[LG_GC_GENERATIONS] = { "gen0", "gen1", "gen2", "loh", "poh" };

const char *lg_gc_kind_name(enum lg_gc_kind kind)
{
    static const char *const names[] = { "blocking", "background", "foreground" };
    return names[kind];
}

// dotnet/runtime src/coreclr/gc/gc.h, gc_reason
const char *lg_gc_reason_name(uint32_t reason)
{
    static const char *const names[] = {
        "allocation",
        "induced",
        "low memory",
        "empty",
        "large allocation",
        "out of space",
        "out of space for large objects",
        "induced, not forced",
        "stress",
        "low memory, blocking",
        "induced, compacting",
        "low memory of host",
        "provisional mode",
        "low memory of host, blocking",
        "background tuning",
        "background tuning of large objects",
        "background stepping",
        "induced, aggressive",
    };
    return reason < sizeof(names) / sizeof(*names) ? names[reason] : "unknown";
}

#define DEFINE_SUM(name, field) \
    uint64_t name(const struct lg_gc *gc) \
    { \
        uint64_t sum = 0; \
        for (int i = 0; i < LG_GC_GENERATIONS; i++) \
            sum += gc->generations[i].field; \
        return sum; \
    }
DEFINE_SUM(lg_gc_before, before)
DEFINE_SUM(lg_gc_after, after)
DEFINE_SUM(lg_gc_free_after, free_after)
DEFINE_SUM(lg_gc_promoted, promoted)

struct lg_error *lg_gc_follower_new(const struct lg_gc_listener *listener,
                                    const struct lg_nettrace *trace, struct lg_gc_follower **ret)
{
    struct lg_gc_follower *follower = calloc(1, sizeof(*follower));
    if (!follower)
        return &lg_no_memory;
    follower->listener = *listener;
    follower->facts = lg_nettrace_facts(trace);
    *ret = follower;
    return NULL;
}

void lg_gc_follower_free(struct lg_gc_follower *follower)
{
    free(follower);
}

struct lg_gc_pauses lg_gc_follower_pauses(const struct lg_gc_follower *follower)
{
    return follower->pauses;
}

uint64_t lg_gc_follower_missing(const struct lg_gc_follower *follower)
{
    return follower->missing;
}

static double to_ms(const struct lg_gc_follower *follower, uint64_t ticks)
{
    uint64_t frequency = follower->facts->frequency;
    return frequency ? (double)ticks * 1000 / (double)frequency : 0;
}

// From `a` to `b`, 0 if that is backwards.
static uint64_t between(uint64_t a, uint64_t b)
{
    return b > a ? b - a : 0;
}

// ---- telling ----

// GCHeapStats of .NET 8 to 10 has 0 for pinned objects (measured): what a full collection left of them,
// which it does not move, is what survived.
static void add_pinned_heap(struct lg_gc *gc)
{
    enum { FULL = 2, POH = 4 };
    struct lg_gc_sizes *poh = &gc->generations[POH];
    if (gc->generation == FULL && gc->has_history && gc->has_stats && poh->promoted == 0
        && poh->after > poh->free_after)
        poh->promoted = poh->after - poh->free_after;
}

static struct lg_error *tell(struct lg_gc_follower *follower, size_t i)
{
    struct open *open = &follower->open[i];
    struct lg_gc gc = open->gc;
    gc.start_ms = to_ms(follower, between(follower->facts->start_ticks, open->start));
    gc.duration_ms = to_ms(follower, between(open->start, open->end));
    gc.pause_ms = open->has_pause && !open->lost ? to_ms(follower, open->pause) : -1;
    gc.has_history = gc.heaps > 0 && open->histories == gc.heaps;
    add_pinned_heap(&gc);
    follower->count--;
    memmove(open, open + 1, (follower->count - i) * sizeof(*open));
    return follower->listener.collected(follower->listener.self, &gc);
}

// Of a background collection of Server GC the history comes behind the end, and threads run meanwhile.
static bool is_whole(const struct open *open)
{
    bool has_all = open->gc.has_stats && open->gc.heaps > 0 && open->histories == open->gc.heaps;
    return open->end && (has_all || open->gc.kind != LG_GC_BACKGROUND);
}

// All that have ended, in the order in which they began; `last`: whatever else might come of them.
static struct lg_error *tell_ended(struct lg_gc_follower *follower, bool last)
{
    struct lg_error *err = NULL;
    for (size_t i = 0; i < follower->count && !err;) {
        if (is_whole(&follower->open[i]) || (last && follower->open[i].end))
            err = tell(follower, i);
        else
            i++;
    }
    return err;
}

// ---- pauses ----

static struct lg_error *begin_pause(struct lg_gc_follower *follower, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    uint32_t reason = lg_read_u32(&r);
    // The end of the one before was lost, if there was one.
    struct lg_error *err = tell_ended(follower, false);
    for (size_t i = 0; i < follower->count; i++)
        follower->open[i].began_here = false;
    follower->paused = !r.failed;
    follower->paused_at = event->time;
    follower->pause_reason = reason;
    return err;
}

static struct lg_error *end_pause(struct lg_gc_follower *follower, const struct lg_event *event)
{
    if (!follower->paused)
        return tell_ended(follower, false);
    follower->paused = false;
    uint64_t ticks = between(follower->paused_at, event->time);
    double ms = to_ms(follower, ticks);
    bool is_gc =
        follower->pause_reason == SUSPEND_FOR_GC || follower->pause_reason == SUSPEND_FOR_GC_PREP;
    if (is_gc) {
        follower->pauses.count++;
        follower->pauses.total_ms += ms;
        follower->pauses.longest_ms =
            ms > follower->pauses.longest_ms ? ms : follower->pauses.longest_ms;
    }
    for (size_t i = 0; i < follower->count; i++) {
        struct open *open = &follower->open[i];
        bool is_its_second = !open->began_here && open->announced_background && !open->end
                             && follower->pause_reason == SUSPEND_FOR_GC_PREP;
        if (open->began_here && !open->began_pause)
            open->pause += between(open->start, open->end ? open->end : event->time);
        else if (open->began_here || is_its_second)
            open->pause += ticks;
        open->has_pause |= open->began_here || is_its_second;
        open->began_here = false;
    }
    return tell_ended(follower, false);
}

// ---- collections ----

static struct lg_error *start_gc(struct lg_gc_follower *follower, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    struct open open = { .start = event->time, .began_here = follower->paused };
    open.gc.number = lg_read_u32(&r);
    open.gc.generation = lg_read_u32(&r);
    open.gc.reason = lg_read_u32(&r);
    uint32_t kind = lg_read_u32(&r);
    if (r.failed || kind > LG_GC_FOREGROUND)
        return NULL;
    if (follower->last_begun && open.gc.number > follower->last_begun)
        follower->missing += open.gc.number - follower->last_begun - 1;
    follower->last_begun = open.gc.number;
    open.gc.kind = (enum lg_gc_kind)kind;
    open.announced_background = kind == LG_GC_BACKGROUND;
    open.began_pause = true;
    for (size_t i = 0; i < follower->count; i++)
        open.began_pause &= !follower->open[i].began_here;
    if (follower->count == OPEN_MAX) {
        follower->dropped++;
        follower->count--;
        memmove(follower->open, follower->open + 1, follower->count * sizeof(open));
    }
    follower->open[follower->count++] = open;
    return NULL;
}

static struct open *find_open(struct lg_gc_follower *follower, uint64_t number)
{
    for (size_t i = follower->count; i-- > 0;) {
        if (follower->open[i].gc.number == number)
            return &follower->open[i];
    }
    return NULL;
}

static struct lg_error *end_gc(struct lg_gc_follower *follower, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    uint32_t number = lg_read_u32(&r);
    struct open *open = r.failed ? NULL : find_open(follower, number);
    if (open)
        open->end = event->time;
    follower->last_ended = number;
    follower->last_ended_thread = event->capture_thread;
    return NULL;
}

// The youngest of that kind; a history of a blocking one comes before its end.
static struct open *find_going(struct lg_gc_follower *follower, bool concurrent)
{
    for (size_t i = follower->count; i-- > 0;) {
        struct open *open = &follower->open[i];
        if (concurrent ? open->announced_background : !open->end)
            return open;
    }
    return NULL;
}

//     u64 desired   u32 heaps   u32 generation   u32 -   u32 reason   u32 mechanisms   u16 -   u32 mode
//     u32 memory load   …
static struct lg_error *global_history(struct lg_gc_follower *follower, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    lg_read_u64(&r);
    uint32_t heaps = lg_read_u32(&r);
    lg_read_bytes(&r, 12);
    uint32_t mechanisms = lg_read_u32(&r);
    lg_read_bytes(&r, 6);
    uint32_t load = lg_read_u32(&r);
    bool concurrent = mechanisms & MECHANISM_CONCURRENT;
    struct open *open = r.failed ? NULL : find_going(follower, concurrent);
    if (!open)
        return NULL;
    open->thread = event->capture_thread;
    open->gc.heaps = heaps;
    open->gc.memory_load = load;
    open->gc.compacting = mechanisms & MECHANISM_COMPACTION;
    if (open->announced_background && !concurrent)
        open->gc.kind = LG_GC_BLOCKING;
    return NULL;
}

//     u16 -   6 × u64 -   5 × u32 -   u32 heap   u64 -   u32 generations
//     each: u64 size, free list, free objects before; the same after; in, survived pinned, not pinned, -
static struct lg_error *heap_history(struct lg_gc_follower *follower, const struct lg_event *event)
{
    enum { HEAD = 2 + 6 * 8 + 5 * 4 + 4 + 8, REST = 4 * 8 };
    struct lg_reader r = lg_event_payload(event);
    struct open *open = NULL;
    for (size_t i = follower->count; i-- > 0 && !open;) {
        if (follower->open[i].gc.heaps && follower->open[i].thread == event->capture_thread)
            open = &follower->open[i];
    }
    lg_read_bytes(&r, HEAD);
    uint32_t count = lg_read_u32(&r);
    if (!open || r.failed || count < LG_GC_GENERATIONS)
        return NULL;
    struct lg_gc_sizes sums[LG_GC_GENERATIONS];
    memcpy(sums, open->gc.generations, sizeof(sums));
    for (int i = 0; i < LG_GC_GENERATIONS; i++) {
        sums[i].before += lg_read_u64(&r);
        sums[i].free_before += lg_read_u64(&r);
        sums[i].free_before += lg_read_u64(&r);
        sums[i].after += lg_read_u64(&r);
        sums[i].free_after += lg_read_u64(&r);
        sums[i].free_after += lg_read_u64(&r);
        lg_read_bytes(&r, REST);
    }
    if (r.failed)
        return NULL;
    memcpy(open->gc.generations, sums, sizeof(sums));
    open->histories++;
    return follower->paused ? NULL : tell_ended(follower, false);
}

//     4 × { u64 size, promoted }   u64 size, count of finalized   u32 pinned, -, handles   u16 -
//     u64 size, promoted of pinned objects
static struct lg_error *heap_stats(struct lg_gc_follower *follower, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    struct open *open = event->capture_thread == follower->last_ended_thread
                            ? find_open(follower, follower->last_ended)
                            : NULL;
    uint64_t promoted[LG_GC_GENERATIONS];
    for (int i = 0; i < 4; i++) {
        lg_read_u64(&r);
        promoted[i] = lg_read_u64(&r);
    }
    lg_read_u64(&r);
    uint64_t finalized = lg_read_u64(&r);
    uint32_t pinned = lg_read_u32(&r);
    lg_read_u32(&r);
    uint32_t handles = lg_read_u32(&r);
    lg_read_bytes(&r, 2 + 8);
    promoted[4] = lg_read_u64(&r);
    if (!open || r.failed)
        return NULL;
    for (int i = 0; i < LG_GC_GENERATIONS; i++)
        open->gc.generations[i].promoted = promoted[i];
    open->gc.finalized = finalized;
    open->gc.pinned = pinned;
    open->gc.handles = handles;
    open->gc.has_stats = true;
    // A background collection ends while threads run; the others are told when they run again.
    return follower->paused ? NULL : tell_ended(follower, false);
}

struct lg_error *lg_gc_follower_event(struct lg_gc_follower *follower, const struct lg_event *event)
{
    static const struct {
        uint32_t id;
        struct lg_error *(*take)(struct lg_gc_follower *follower, const struct lg_event *event);
    } events[] = {
        { SUSPEND_BEGIN, begin_pause },
        { RESTART_END, end_pause },
        { GC_START, start_gc },
        { GC_END, end_gc },
        { GLOBAL_HISTORY, global_history },
        { PER_HEAP_HISTORY, heap_history },
        { HEAP_STATS, heap_stats },
    };
    if (event->kind->provider != LG_PROVIDER_RUNTIME)
        return NULL;
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
        if (events[i].id == event->kind->id)
            return events[i].take(follower, event);
    }
    return NULL;
}

void lg_gc_follower_lost(struct lg_gc_follower *follower)
{
    follower->paused = false;
    for (size_t i = 0; i < follower->count; i++)
        follower->open[i].lost = true;
}

struct lg_error *lg_gc_follower_finish(struct lg_gc_follower *follower, unsigned *unfinished_ret)
{
    struct lg_error *err = tell_ended(follower, true);
    *unfinished_ret = (unsigned)follower->count + follower->dropped;
    follower->count = 0;
    return err;
}
