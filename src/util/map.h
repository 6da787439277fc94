// A map from u64 keys to u32 values: open addressing, linear probing, at most half full.
//
//     struct lg_map map = {0};
//     if (!lg_map_put(&map, address, id))
//         return &lg_no_memory;
//     uint32_t id;
//     if (lg_map_get(&map, address, &id)) use(id);
//     lg_map_free(&map);
//
// Zeroed is empty. Key 0 is a key like any other. No removal.
#ifndef LG_UTIL_MAP_H
#define LG_UTIL_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct lg_map_slot {
    uint64_t key;
    uint32_t value;
    uint32_t used;
};
struct lg_map {
    struct lg_map_slot *slots;
    uint32_t count;
    unsigned bits; // 1 << bits slots
};

static inline uint64_t lg_hash64(uint64_t x)
{
    // The finaliser of splitmix64: every input bit reaches every output bit.
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static inline struct lg_map_slot *lg_map_slot(const struct lg_map *map, uint64_t key)
{
    uint64_t mask = (UINT64_C(1) << map->bits) - 1;
    uint64_t i = lg_hash64(key) & mask;
    while (map->slots[i].used && map->slots[i].key != key)
        i = (i + 1) & mask;
    return &map->slots[i];
}

static inline bool lg_map_get(const struct lg_map *map, uint64_t key, uint32_t *ret)
{
    if (!map->slots)
        return false;
    const struct lg_map_slot *slot = lg_map_slot(map, key);
    if (slot->used)
        *ret = slot->value;
    return slot->used;
}

static inline bool lg_map_grow(struct lg_map *map)
{
    struct lg_map grown = { .bits = map->slots ? map->bits + 1 : 6, .count = map->count };
    if (grown.bits > 31 || !(grown.slots = calloc((size_t)1 << grown.bits, sizeof(*grown.slots))))
        return false;
    for (size_t i = 0; map->slots && i < (size_t)1 << map->bits; i++) {
        if (map->slots[i].used)
            *lg_map_slot(&grown, map->slots[i].key) = map->slots[i];
    }
    free(map->slots);
    *map = grown;
    return true;
}

// False when out of memory. Replaces the value of a key that is there.
static inline bool lg_map_put(struct lg_map *map, uint64_t key, uint32_t value)
{
    if ((!map->slots || map->count >= UINT32_C(1) << map->bits >> 1) && !lg_map_grow(map))
        return false;
    struct lg_map_slot *slot = lg_map_slot(map, key);
    map->count += !slot->used;
    *slot = (struct lg_map_slot){ key, value, 1 };
    return true;
}

static inline void lg_map_free(struct lg_map *map)
{
    free(map->slots);
    *map = (struct lg_map){ 0 };
}

#endif
