#include "target/page_cache.h"

#include <stdlib.h>
#include <string.h>

#include "util/map.h"

struct lg_page_slot {
    pthread_mutex_t lock;
    uint64_t page; // its address; ABSENT: none
    uint8_t *bytes;
};

#define ABSENT UINT64_MAX // no page starts there

void lg_page_cache_init_sized(struct lg_page_cache *cache, size_t slot_count)
{
    cache->slot_count = slot_count;
    cache->slots = calloc(slot_count, sizeof(*cache->slots));
    for (size_t i = 0; cache->slots && i < cache->slot_count; i++) {
        pthread_mutex_init(&cache->slots[i].lock, NULL);
        cache->slots[i].page = ABSENT;
    }
}

void lg_page_cache_init(struct lg_page_cache *cache)
{
    lg_page_cache_init_sized(cache, LG_CACHE_SLOTS);
}

void lg_page_cache_deinit(struct lg_page_cache *cache)
{
    for (size_t i = 0; cache->slots && i < cache->slot_count; i++) {
        pthread_mutex_destroy(&cache->slots[i].lock);
        free(cache->slots[i].bytes);
    }
    free(cache->slots);
    cache->slots = NULL;
}

void lg_page_cache_clear(struct lg_page_cache *cache)
{
    for (size_t i = 0; cache->slots && i < cache->slot_count; i++) {
        pthread_mutex_lock(&cache->slots[i].lock);
        cache->slots[i].page = ABSENT;
        pthread_mutex_unlock(&cache->slots[i].lock);
    }
}

struct fetcher {
    size_t (*fetch)(void *data, uint64_t address, void *buf, size_t len);
    void *data;
};

// Under the slot's lock.
static bool fill(struct lg_page_slot *slot, uint64_t page, const struct fetcher *f)
{
    if (slot->page == page)
        return true;
    slot->page = ABSENT;
    if (!slot->bytes && !(slot->bytes = malloc(LG_CACHE_PAGE)))
        return false;
    if (f->fetch(f->data, page, slot->bytes, LG_CACHE_PAGE) != LG_CACHE_PAGE)
        return false;
    slot->page = page;
    return true;
}

static bool read_within(struct lg_page_cache *cache, uint64_t page, size_t skip, void *buf, size_t len,
                        const struct fetcher *f)
{
    struct lg_page_slot *slot = &cache->slots[lg_hash64(page) % cache->slot_count];
    pthread_mutex_lock(&slot->lock);
    bool filled = fill(slot, page, f);
    if (filled)
        memcpy(buf, slot->bytes + skip, len);
    pthread_mutex_unlock(&slot->lock);
    return filled;
}

bool lg_page_cache_read(struct lg_page_cache *cache, uint64_t address, void *buf, size_t len,
                        size_t (*fetch)(void *data, uint64_t address, void *buf, size_t len), void *data)
{
    const struct fetcher f = { fetch, data };
    uint64_t page = address & ~(uint64_t)(LG_CACHE_PAGE - 1);
    size_t skip = (size_t)(address - page), first = LG_CACHE_PAGE - skip;
    if (!cache->slots || len > LG_CACHE_READ_MAX)
        return false;
    if (len <= first)
        return read_within(cache, page, skip, buf, len, &f);
    return read_within(cache, page, skip, buf, first, &f)
           && read_within(cache, page + LG_CACHE_PAGE, 0, (uint8_t *)buf + first, len - first, &f);
}
