// What is allocated now, and was at most, in a test that is linked with malloc, calloc, realloc and free
// wrapped. What the C library allocates by itself is not in it.
#ifndef LG_TEST_ALLOCATED_H
#define LG_TEST_ALLOCATED_H

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

static _Atomic int64_t allocated, most_allocated;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

static void count(int64_t bytes)
{
    int64_t now = atomic_fetch_add(&allocated, bytes) + bytes, most = most_allocated;
    while (now > most && !atomic_compare_exchange_weak(&most_allocated, &most, now))
        ;
}

void *__wrap_malloc(size_t size)
{
    void *p = __real_malloc(size);
    count((int64_t)malloc_usable_size(p));
    return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
    void *p = __real_calloc(n, size);
    count((int64_t)malloc_usable_size(p));
    return p;
}

// Both are there while one is copied.
void *__wrap_realloc(void *p, size_t size)
{
    int64_t before = (int64_t)malloc_usable_size(p);
    count((int64_t)size);
    void *grown = __real_realloc(p, size);
    count((int64_t)malloc_usable_size(grown) - (int64_t)size - before);
    return grown;
}

void __wrap_free(void *p)
{
    count(-(int64_t)malloc_usable_size(p));
    __real_free(p);
}

#endif
