// Pages of a target whose memory does not change: structures of the runtime are small, lie together, and
// each read of a process is a system call.
//
// Direct-mapped; a page is fetched whole on its first use. Thread-safe but for deinit. Bulk reads should
// pass it by.
#ifndef LG_TARGET_PAGE_CACHE_H
#define LG_TARGET_PAGE_CACHE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LG_CACHE_PAGE = 4096, LG_CACHE_SLOTS = 2048, LG_CACHE_READ_MAX = 512 };

struct lg_page_cache {
    struct lg_page_slot *slots; // NULL: out of memory, nothing is cached
    size_t slot_count;
};

void lg_page_cache_init(struct lg_page_cache *cache); // with LG_CACHE_SLOTS
void lg_page_cache_init_sized(struct lg_page_cache *cache, size_t slot_count);
void lg_page_cache_deinit(struct lg_page_cache *cache); // Zeroed is allowed.
void lg_page_cache_clear(struct lg_page_cache *cache);  // What was fetched is void.

// Reads at most LG_CACHE_READ_MAX bytes, fetching pages with `fetch`, which returns how many bytes it
// got. False: not all of it could be had this way; the caller reads it itself.
bool lg_page_cache_read(struct lg_page_cache *cache, uint64_t address, void *buf, size_t len,
                        size_t (*fetch)(void *data, uint64_t address, void *buf, size_t len),
                        void *data);

#endif
