#include "util/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lg_arena_block {
    struct lg_arena_block *before;
    size_t used, size;
    _Alignas(16) uint8_t bytes[];
};

enum { BLOCK = 64 << 10 };

static bool add_block(struct lg_arena *arena, size_t least)
{
    size_t size = least > BLOCK ? least : BLOCK;
    struct lg_arena_block *block =
        size > SIZE_MAX - sizeof(*block) ? NULL : calloc(1, sizeof(*block) + size);
    if (!block)
        return false;
    block->before = arena->last;
    block->size = size;
    arena->last = block;
    return true;
}

void *lg_arena_alloc(struct lg_arena *arena, size_t size)
{
    if (size > SIZE_MAX - 15)
        return NULL;
    size = (size + 15) & ~(size_t)15;
    if ((!arena->last || arena->last->size - arena->last->used < size) && !add_block(arena, size))
        return NULL;
    void *p = arena->last->bytes + arena->last->used;
    arena->last->used += size;
    return p;
}

char *lg_arena_copy(struct lg_arena *arena, const char *s, size_t len)
{
    char *copy = len < SIZE_MAX ? lg_arena_alloc(arena, len + 1) : NULL;
    if (copy && len > 0)
        memcpy(copy, s, len);
    return copy;
}

char *lg_arena_format(struct lg_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *s = len < 0 ? NULL : lg_arena_alloc(arena, (size_t)len + 1);
    if (s)
        vsnprintf(s, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
    return s;
}

void lg_arena_free(struct lg_arena *arena)
{
    while (arena->last) {
        struct lg_arena_block *before = arena->last->before;
        free(arena->last);
        arena->last = before;
    }
}
