#include "heap/window.h"

#include <stdlib.h>
#include <string.h>

#include "util/error.h"

struct lg_error *window_init(struct window *window, struct lg_target *target)
{
    *window = (struct window){ .target = target, .buffer = malloc(WINDOW_MAX), .step = WINDOW_MIN };
    return window->buffer ? NULL : &lg_no_memory;
}

void window_deinit(struct window *window)
{
    free(window->buffer);
    window->buffer = NULL;
}

static size_t next_step(const struct window *window, uint64_t address, size_t need)
{
    // The object in which the window ends may reach a little beyond it.
    bool follows =
        window->end > window->start && address >= window->start && address < window->end + WINDOW_MIN;
    size_t step = !follows ? WINDOW_MIN : window->step < WINDOW_MAX ? window->step * 2 : WINDOW_MAX;
    return step < need ? need : step;
}

bool window_move(struct window *window, uint64_t address, size_t need, uint64_t limit)
{
    uint64_t left = limit > address ? limit - address : 0;
    size_t step = next_step(window, address, need);
    window->start = window->end = address;
    window->step = step;
    if (left < need || need > WINDOW_MAX)
        return false;
    size_t want = left < step ? (size_t)left : step;
    window->bytes = window->buffer;
    window->end = address + lg_target_read(window->target, address, window->buffer, want);
    return window->end - address >= need;
}
