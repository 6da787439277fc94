// A window on a target's memory that slides forwards: what a walk looks through.
//
// It is read in pieces that double from 16 KiB to 256 KiB as long as they follow on one another: small
// enough to stay in the second-level cache until they are walked, large enough that the system call does
// not count. A walk that jumps from large object to large object does not read what is in between.
// (Looking at a core where it is mapped costs five times as much: a page fault for every 4 KiB,
// docs/performance.md.)
#ifndef LG_HEAP_WINDOW_H
#define LG_HEAP_WINDOW_H

#include "target/target.h"

struct window {
    struct lg_target *target;
    const uint8_t *bytes; // of [start, end)
    uint64_t start, end;
    uint8_t *buffer; // WINDOW_MAX bytes
    size_t step;     // how much the next read asks for
};

enum { WINDOW_MIN = 16 << 10, WINDOW_MAX = 256 << 10 };

LG_MUST_CHECK struct lg_error *window_init(struct window *window, struct lg_target *target);
void window_deinit(struct window *window);

// Moves the window so that it starts at `address` and, if all is readable, reaches `limit` or as far as
// it can. False when not even `need` bytes (at most WINDOW_MAX) are there; the window is then empty.
bool window_move(struct window *window, uint64_t address, size_t need, uint64_t limit);

// At least `need` bytes at `address`, or NULL.
static inline const uint8_t *window_at(struct window *window, uint64_t address, size_t need,
                                       uint64_t limit)
{
    bool inside = address >= window->start && address < window->end && window->end - address >= need;
    if (!inside && !window_move(window, address, need, limit))
        return NULL;
    return window->bytes + (address - window->start);
}

#endif
