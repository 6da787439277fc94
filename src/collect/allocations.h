// Sampled allocations, followed from outside through every GC: which of them are still alive, and where
// they are now.
//
//     event            what becomes of the table of samples (by address)
//     sample           one more; what was at its address before is dead
//     GC of gen g      in a moved range: goes along      in a surviving range: stays
//                      in neither: generation by the ranges before the GC; <= g (or LOH, POH of a full
//                      GC): dead, else untouched
//     background GC    dead: what was tracked at this address when it began, lies in gen2, LOH or POH,
//                      and in no range that it reports; came there meanwhile, or in gen0 and gen1:
//                      given up
//     GC is missing    all are given up
//
// Addresses of samples are reported before their thread can be stopped for a GC, and ranges while all
// threads are stopped, so the order of time is enough (reference diagnostics-ipc.md 4.4). Whatever is
// not understood, or not there (lost events), costs the samples that it may concern: they are dropped
// and counted, never kept at an address that may be another object's.
//
// The end is a window of time in which the process was copied: a sample that was not at one and the same
// address all through it is dropped too.
#ifndef LG_COLLECT_ALLOCATIONS_H
#define LG_COLLECT_ALLOCATIONS_H

#include "diag/nettrace.h"
#include "util/arena.h"
#include "util/map.h"
#include "util/vec.h"

// Keywords and events that it follows, to be asked of a runtime.
#define LG_ALLOC_KEYWORDS (UINT64_C(0x1) | 0x30 | 0x400000) // GC, code that comes and goes, ranges
#define LG_ALLOC_KEYWORD_SAMPLED (UINT64_C(1) << 43)        // .NET 10: AllocationSampled
extern const uint32_t lg_alloc_events[];
extern const size_t lg_alloc_event_count;

// All samples of one type that were made under one stack, dead or alive.
struct lg_alloc_origin {
    uint64_t mt;
    const char *type;            // as the event names it; "" if it does not
    uint32_t stack, stack_count; // in lg_allocations.ips
    uint64_t samples;
    uint64_t unsized;     // of them: samples whose size is not told, so `count` is without them
    double count, bytes;  // estimated
    double count_var;     // of `count`
    uint64_t first, last; // time of the first and last
};

struct lg_alloc_sample {
    uint64_t address;
    uint64_t size;   // 0: the event does not tell
    uint64_t amount; // what was allocated for each sample of this kind; 0: they are by chance
    double share;    // of the allocations of this size that were sampled: stands for 1 / share objects
    uint64_t time;
    uint32_t origin;
    uint64_t in_background; // its address when the background GC began that runs; 0: it was not there
    uint64_t when_told;     // its address when that GC last told what survived; 0: the same
    uint64_t in_window;     // its address when the window began; 0: it was not there
};

enum lg_thread_sort { LG_THREAD_UNKNOWN, LG_THREAD_BACKGROUND_GC, LG_THREAD_OTHER };

struct lg_alloc_gc; // a GC that has begun, in gc_follow.c

struct lg_allocations {
    // Which kind of thread a number stands for, asked once.
    enum lg_thread_sort (*thread_sort)(void *data, uint64_t thread);
    void *data;

    LG_VEC(struct lg_alloc_sample) live;
    size_t told; // so many of them, from the first, have `when_told` of the last that was told
    LG_VEC(struct lg_alloc_origin) origins;
    LG_VEC(uint64_t) ips;
    struct lg_map by_key; // hash -> origin; equal hashes are taken for equal only if they are
    struct lg_map sorts;  // thread -> enum lg_thread_sort
    struct lg_arena names;
    struct lg_alloc_gc *foreground, *background;
    uint64_t foreground_since;
    uint32_t gc_number; // of the last that began; 0: none has

    uint64_t window_start, window_end; // UINT64_MAX: not known yet
    bool in_window, is_over;
    bool uses_ticks; // AllocationTick, not AllocationSampled; of samples there are

    uint64_t samples, gcs, full_gcs, background_gcs, became_blocking;
    uint64_t dead, moved;
    uint64_t dropped_lost;       // samples dropped for events that are not there
    uint64_t dropped_missing;    // for GCs that are not told
    uint64_t dropped_confused;   // for events that do not fit together
    uint64_t dropped_background; // for a background GC that gives room away while it runs
    uint64_t dropped_window;     // for a GC while the process was copied
    uint64_t dropped_origins;    // for too many different stacks
    uint64_t unplaced;           // condemned in no generation's range: 0 if all is understood
    uint64_t lost_events;
    uint64_t missing_gcs; // by their numbers
};

LG_MUST_CHECK struct lg_error *lg_allocations_event(struct lg_allocations *all,
                                                    const struct lg_event *event);
void lg_allocations_lost(struct lg_allocations *all, const struct lg_event_loss *loss);
// When the process was copied, by the clock of the events. Events of a later time may not have been told
// yet.
void lg_allocations_set_window(struct lg_allocations *all, uint64_t start, uint64_t end);
// Of an AllocationTick of a size, of one for each `amount` bytes.
double lg_allocations_tick_share(uint64_t size, uint64_t amount);
// No more events: what is left in `live` is alive, at `address`.
void lg_allocations_finish(struct lg_allocations *all);
void lg_allocations_deinit(struct lg_allocations *all);

// The origin, found or added, of an event whose type is `mt`, and is called `name` (UTF-16); UINT32_MAX:
// out of memory, or there are too many.
uint32_t lg_allocations_origin(struct lg_allocations *all, const struct lg_event *event, uint64_t mt,
                               struct lg_reader name);

// ---- for gc_follow.c ----
LG_MUST_CHECK struct lg_error *lg_allocations_gc_event(struct lg_allocations *all,
                                                       const struct lg_event *event);
// Drops all samples, and trusts no GC that has begun.
void lg_allocations_distrust(struct lg_allocations *all, uint64_t *counter);
void lg_allocations_forget_gcs(struct lg_allocations *all);
// As at its end, of a background GC that still goes on, if it has told what survived.
void lg_allocations_judge_background(struct lg_allocations *all);
// By address; of several at one address only the last one.
void lg_allocations_sort(struct lg_allocations *all);

#endif
