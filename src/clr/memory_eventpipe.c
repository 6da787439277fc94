// Buffers of EventPipe, which somebody who traces the process has asked for. Nothing that is known leads
// to them, but what is in them has a form (dotnet/runtime src/native/eventpipe/ep-event-instance.h,
// ep-buffer-manager.c @0066e2e; measured on 10.0.12): whole pages from the first event on, of 100 KiB or
// a multiple, 1 MiB at most; in them event after event, 8-byte aligned:
//
//     0 activity | 16 related activity | 32 thread u64 | 40 time | 48 event | 56 -> data | 64 metadata
//     u32 | 68 processor u32 | 72 size of the data u32 | 80 frames u32 | 88 stack, 8 bytes a frame |
//     data
//                                                                    data == event + 88 + 8 * frames
//
// One that has no event yet, and those of runtimes that write otherwise, are not recognised.
#include <string.h>

#include "clr/memory_priv.h"
#include "target/live.h"

enum {
    HEADER = 88,
    MAX_FRAMES = 100,
    UNIT = 100 * 1024,
    MAX_BUFFER = 1 << 20,
    PAGE = 4096,
    PAGES_BEFORE = 4,    // That are looked at for the first event of a mapping,
    PAGES_BETWEEN = 256, // behind a buffer,
    PAGES = 8192,        // and in all.
};

struct event {
    uint64_t ids[4], thread, time, event, data;
    uint32_t metadata, processor, size, pad, frames, pad2;
};

static bool read_event(struct lg_target *target, uint64_t at, uint64_t end, struct event *ret)
{
    if (end - at < HEADER || !lg_target_read_all(target, at, ret, sizeof(*ret)))
        return false;
    return ret->thread > 0 && ret->thread < 1 << 22 && ret->time && ret->event && ret->event % 8 == 0
           && ret->frames <= MAX_FRAMES && ret->data == at + HEADER + 8 * (uint64_t)ret->frames
           && ret->data <= end && ret->size <= end - ret->data;
}

// Where the last event that begins in [at, end) ends; 0: there is none at `at`.
static uint64_t events_end(struct lg_target *target, uint64_t at, uint64_t end)
{
    uint64_t stop = 0;
    struct event event;
    while (at < end && read_event(target, at, end, &event)) {
        stop = event.data + event.size;
        at = (stop + 7) / 8 * 8;
    }
    return stop;
}

// How long the buffer at `start` is: as long as its events need, and so that another one follows, or the
// mapping ends; where neither tells, as short as can be.
static uint64_t buffer_size(struct lg_target *target, uint64_t start, uint64_t end)
{
    uint64_t limit = end - start < MAX_BUFFER ? end : start + MAX_BUFFER;
    uint64_t used = events_end(target, start, limit), shortest = 0;
    struct event event;
    for (uint64_t size = UNIT; used && size < MAX_BUFFER + UNIT; size += UNIT) {
        uint64_t stop = start + (size < MAX_BUFFER ? size : MAX_BUFFER);
        if (stop < used || stop > end)
            continue;
        shortest = shortest ? shortest : stop - start;
        if (stop == end || read_event(target, stop, end, &event))
            return stop - start;
    }
    // One event that is longer than a unit gets a buffer of its own, of just as many pages.
    return shortest || !used ? shortest : (used - start + PAGE - 1) / PAGE * PAGE;
}

static bool is_candidate(const struct lg_target *target, const struct lg_range *range)
{
    if (*range->path || (range->access & (LG_READ | LG_WRITE | LG_EXECUTE)) != (LG_READ | LG_WRITE)
        || range->end - range->start < UNIT)
        return false;
    for (size_t i = 0; i < target->threads.len; i++) {
        const struct lg_thread *thread = &target->threads.at[i];
        uint64_t sp = thread->has_registers ? thread->registers[LG_REG_RSP] : 0;
        if (sp >= range->start && sp < range->end)
            return false; // A stack.
    }
    return true;
}

// Buffers lie one behind the other, behind something else perhaps, or with one between that has no
// event.
static bool claim_in(struct lg_clr *clr, const struct lg_range *range, size_t *pages)
{
    unsigned misses = 0, most = PAGES_BEFORE;
    for (uint64_t at = range->start; at < range->end && misses < most && *pages != 0;) {
        uint64_t size = buffer_size(clr->target, at, range->end);
        if (size
            && !lg_memory_claim(clr->memory, at, at + size, LG_MEMORY_EVENTPIPE, "EventPipe buffers"))
            return false;
        misses = size ? 0 : misses + 1;
        most = size ? PAGES_BETWEEN : most;
        *pages -= 1;
        at += size ? size : PAGE;
    }
    return true;
}

static bool is_claimed(const struct lg_memory *memory, const struct lg_range *range)
{
    const struct lg_memory_range *claim = lg_memory_after(memory, range->start);
    return claim && claim->start < range->end;
}

struct lg_error *lg_memory_claim_eventpipe(struct lg_clr *clr)
{
    size_t pages = PAGES;
    // Reading makes pages resident that were not: of a copy that is nobody's business.
    if (lg_live_reads_process(clr->target))
        return NULL;
    for (size_t i = 0; i < clr->target->ranges.len; i++) {
        const struct lg_range *range = &clr->target->ranges.at[i];
        if (!is_candidate(clr->target, range) || is_claimed(clr->memory, range))
            continue;
        if (!claim_in(clr, range, &pages))
            return &lg_no_memory;
    }
    return NULL;
}
