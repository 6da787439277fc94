// Which pages of a mapping are resident, page by page, from /proc/PID/pagemap.
#ifndef LG_PICTURE_PAGES_H
#define LG_PICTURE_PAGES_H

#include "picture/picture.h"

// One entry of pagemap (torvalds/linux Documentation/admin-guide/mm/pagemap.rst @00c65c8).
enum { LG_PAGE_ONCE = 56, LG_PAGE_FILE = 61, LG_PAGE_SWAPPED = 62, LG_PAGE_PRESENT = 63 };

// Entries of [start, start + count pages). False: not readable.
bool lg_pages_read(int pagemap, uint64_t start, uint64_t page_size, size_t count, uint64_t *words);

// What one entry adds: of a page that is mapped once, its file bit tells own from shareable.
void lg_pages_add(struct lg_amounts *sum, uint64_t word, uint64_t page_size);

// Calls `each` for every run of pages of [start, end) that are resident, or swapped out. Pages of the
// zero page are neither, as the kernel counts them, where it lets us know them. False: not readable, or
// `each` said so.
bool lg_pages_scan(int pagemap, uint64_t start, uint64_t end,
                   bool (*each)(void *data, uint64_t start, uint64_t end, bool swapped), void *data);
// The same on kernels before 6.7, entry by entry.
bool lg_pages_each(int pagemap, uint64_t start, uint64_t end, uint64_t page_size,
                   bool (*each)(void *data, uint64_t start, uint64_t end, bool swapped), void *data);

#endif
