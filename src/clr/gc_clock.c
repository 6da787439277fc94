// When the last GC was, and how many there were: in dynamic_data, of which a heap has one per
// generation. Nothing leads to it, but nothing else looks like it: five structs in a row, whose last
// words point at consecutive entries of one table of constants (dotnet/runtime src/coreclr/gc/gcpriv.h
// @0006a91, dynamic_data, static_data; gc.cpp, static_data_table; measured on 10.0.12).
//
//     dynamic_data   ... collection_count | promoted | freach | fragmentation | gc_clock | time_clock |
//     previous_time_clock | elapsed | min_size | -> static_data
//
//     static_data    min_size | max_size | fragmentation_limit 40000, 80000, 200000 in gen0, 1, 2 | ...
//
// Server GC has them in each gc_heap, of which the first will do: all heaps collect together.
// Workstation GC has one of static storage, in the same writable memory as its generations.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clr/gc_vars.h"
#include "clr/memory.h"
#include "clr/stored.h"

enum {
    SCAN_HEAP = 0x8000, // Bytes of a gc_heap that are looked through: it had 13.5 KiB.
    SCAN_STATIC =
        0x8000, // The same of static storage, before and behind the generations: it was 1,264 before.
    STRIDE_MIN = 14 * 8, // Of a dynamic_data: it had 21 words.
    STRIDE_MAX = 32 * 8,
};

// What of a dynamic_data stands before its pointer to static_data, that one included.
struct tail {
    uint64_t collection_count, promoted, freach, fragmentation, gc_clock, time_clock,
        previous_time_clock, elapsed, min_size, static_data;
};

struct area {
    uint8_t *bytes;
    size_t len;
};

static uint64_t word(const struct area *area, size_t at)
{
    uint64_t value = 0;
    if (at + sizeof(value) <= area->len)
        memcpy(&value, area->bytes + at, sizeof(value));
    return value;
}

static bool is_limit(const struct lg_clr *clr, uint64_t static_data, uint64_t limit)
{
    uint64_t value;
    return lg_target_u64(clr->target, static_data + 16, &value) && value == limit;
}

// Does the struct that ends in the word at `at` begin a row of `stride` bytes each?
static bool is_row(const struct lg_clr *clr, const struct area *area, size_t at, size_t stride)
{
    uint64_t first = word(area, at), step = word(area, at + stride) - first;
    if (step < 32 || step > 128 || step % 8)
        return false;
    for (uint64_t i = 2; i < LG_GC_GENERATION_COUNT; i++) {
        if (word(area, at + i * stride) != first + i * step)
            return false;
    }
    return is_limit(clr, first, 40000) && is_limit(clr, first + step, 80000)
           && is_limit(clr, first + 2 * step, 200000);
}

static bool read_tail(const struct area *area, size_t at, struct tail *ret)
{
    size_t before = sizeof(*ret) - sizeof(ret->static_data);
    if (at < before || at + 8 > area->len)
        return false;
    memcpy(ret, area->bytes + at - before, sizeof(*ret));
    return ret->previous_time_clock <= ret->time_clock && ret->collection_count <= ret->gc_clock;
}

static bool find(const struct lg_clr *clr, const struct area *area, struct lg_gc_clock *ret)
{
    for (size_t at = sizeof(struct tail); at + 8 <= area->len; at += 8) {
        uint64_t value = word(area, at);
        if (value % 8 || value < 0x10000 || value >> 47)
            continue;
        for (size_t stride = STRIDE_MIN; stride <= STRIDE_MAX; stride += 8) {
            if (!is_row(clr, area, at, stride))
                continue;
            for (size_t g = 0; g < 3; g++) {
                struct tail tail;
                if (!read_tail(area, at + g * stride, &tail))
                    return false;
                ret->collections[g] = tail.collection_count;
                ret->last_us[g] = tail.collection_count ? tail.time_clock : 0;
            }
            return true;
        }
    }
    return false;
}

// Where to look: [*start, *end) is readable.
static bool bounds(const struct lg_clr *clr, uint64_t *start, uint64_t *end)
{
    uint64_t at = lg_gc_field(clr, 0, LG_GC_FIELD_GENERATION_TABLE), heap = clr->gc_heaps.at[0].address;
    uint64_t low = heap ? heap : at - (at < SCAN_STATIC ? at : SCAN_STATIC);
    uint64_t high = heap ? heap + SCAN_HEAP : at + SCAN_STATIC;
    *start = *end = heap ? heap : at;
    for (const struct lg_range *range; *start > low; *start = range->start) {
        range = lg_target_find(clr->target, *start - 1);
        if (!range || !(range->access & LG_WRITE))
            break;
    }
    *start = *start < low ? low : *start;
    for (const struct lg_range *range; *end < high; *end = range->end) {
        range = lg_target_find(clr->target, *end);
        if (!range || !(range->access & LG_WRITE))
            break;
    }
    *end = *end > high ? high : *end;
    *start += -*start % 8;
    return *end > *start;
}

struct lg_error *lg_clr_gc_clock(struct lg_clr *clr, struct lg_gc_clock *ret)
{
    uint64_t start, end;
    struct lg_error *missing = lg_clr_gc_needed(clr);
    if (missing)
        return missing;
    if (!bounds(clr, &start, &end))
        return lg_error_new(LG_ERR_UNSUPPORTED, "the GC's variables are not in writable memory");
    _cleanup_free_ uint8_t *bytes = malloc(end - start);
    if (!bytes)
        return &lg_no_memory;
    struct area area = { bytes, lg_target_read(clr->target, start, bytes, end - start) };
    struct lg_gc_clock clock = { { 0 }, { 0 } };
    if (!find(clr, &area, &clock))
        return lg_error_new(LG_ERR_UNSUPPORTED, "no dynamic_data between %#jx and %#jx",
                            (uintmax_t)start, (uintmax_t)end);
    *ret = clock;
    return NULL;
}

// ---- how long ago ----

// Its clock is ours unless it lives in a time namespace of its own.
static bool has_our_clock(int pid)
{
    char path[64], theirs[64] = "", ours[64] = "";
    snprintf(path, sizeof(path), "/proc/%d/ns/time", pid);
    if (readlink("/proc/self/ns/time", ours, sizeof(ours) - 1) <= 0)
        return true; // A kernel without them.
    return readlink(path, theirs, sizeof(theirs) - 1) > 0 && strcmp(ours, theirs) == 0;
}

static double seconds(const struct timespec *t)
{
    return (double)t->tv_sec + (double)t->tv_nsec / 1e9;
}

bool lg_clr_last_gc(struct lg_clr *clr, double *ret)
{
    struct lg_gc_clock clock;
    struct timespec monotonic, now;
    *ret = clr->stored ? clr->stored->last_gc : 0;
    if (clr->stored)
        return clr->stored->has_last_gc;
    if (clr->target->kind != LG_TARGET_PROCESS || !has_our_clock(clr->target->pid))
        return false;
    struct lg_error *err = lg_clr_gc_clock(clr, &clock);
    if (err || !clock.last_us[0] || clock_gettime(CLOCK_MONOTONIC, &monotonic) != 0
        || clock_gettime(CLOCK_REALTIME, &now) != 0) {
        lg_error_free(err);
        return false;
    }
    double since_taken = seconds(&now) - seconds(&clr->target->taken);
    double ago = seconds(&monotonic) - (double)clock.last_us[0] / 1e6 - since_taken;
    if (since_taken < 0 || ago < -1) // Somebody set the clock meanwhile, or it is none of ours.
        return false;
    *ret = ago > 0 ? ago : 0;
    return true;
}
