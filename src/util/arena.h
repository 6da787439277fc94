// Strings and small structs that live as long as their owner: allocated one by one, freed together.
// Zeroed is empty. Pointers stay valid until lg_arena_free().
#ifndef LG_UTIL_ARENA_H
#define LG_UTIL_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct lg_arena {
    struct lg_arena_block *last;
};

// 16-byte aligned, zeroed; NULL when out of memory.
void *lg_arena_alloc(struct lg_arena *arena, size_t size);
// Copies of `len` bytes and a NUL.
char *lg_arena_copy(struct lg_arena *arena, const char *s, size_t len);
char *lg_arena_format(struct lg_arena *arena, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));
void lg_arena_free(struct lg_arena *arena);

#endif
