#include "util/pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE = 2 << 20 };

// Small arrays are malloc's; both ends have to agree on which are.
static size_t mapped_size(size_t count, size_t size)
{
    size_t bytes = count * size;
    return bytes >= HUGE ? (bytes + HUGE - 1) & ~(size_t)(HUGE - 1) : 0;
}

void *lg_pages_alloc(size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - 2 * (size_t)HUGE) / size)
        return NULL;
    size_t bytes = mapped_size(count, size);
    if (bytes == 0)
        return calloc(count ? count : 1, size ? size : 1);
    // Aligned by hand: map more, and give back what lies before and behind.
    uint8_t *p = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    uint8_t *aligned = (uint8_t *)(((uintptr_t)p + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
    if (aligned > p)
        munmap(p, (size_t)(aligned - p));
    munmap(aligned + bytes, (size_t)(p + HUGE - aligned));
    madvise(aligned, bytes, MADV_HUGEPAGE);
    return aligned;
}

void lg_pages_free(void *pages, size_t count, size_t size)
{
    size_t bytes = mapped_size(count, size);
    if (bytes == 0)
        free(pages);
    else if (pages)
        munmap(pages, bytes);
}
