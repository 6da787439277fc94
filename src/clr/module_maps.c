// A module's maps from tokens to method tables, and its table of instantiations.
#include "clr/sources.h"

enum { BLOCKS_MAX = 1 << 12 }; // of any list

struct map_block {
    uint64_t next, table, mask;
    uint32_t count;
};

static bool read_block(struct lg_clr *clr, uint64_t address, struct map_block *ret)
{
    const struct lg_offsets *off = &clr->off;
    return lg_target_u64(clr->target, address + off->ModuleLookupMap_Next, &ret->next)
           && lg_target_u64(clr->target, address + off->ModuleLookupMap_TableData, &ret->table)
           && lg_target_u64(clr->target, address + off->ModuleLookupMap_SupportedFlagsMask, &ret->mask)
           && lg_target_u32(clr->target, address + off->ModuleLookupMap_Count, &ret->count);
}

// Entry `rid` of a map whose head lies at module + `map`; 0 if there is none.
static uint64_t look_up(struct lg_clr *clr, uint64_t module, uint32_t map, uint32_t rid)
{
    if (map == LG_NO_OFFSET)
        return 0;
    uint64_t address = module + map, mask = 0, value;
    struct map_block block;
    for (unsigned i = 0; address && i < BLOCKS_MAX && read_block(clr, address, &block); i++) {
        mask = i == 0 ? block.mask : mask; // The first block's holds for all.
        if (rid < block.count) {
            bool known = lg_target_u64(clr->target, block.table + 8 * (uint64_t)rid, &value);
            return known ? value & ~mask : 0;
        }
        rid -= block.count;
        address = block.next;
    }
    return 0;
}

uint64_t lg_contracts_module_type(struct lg_clr *clr, uint64_t module, uint32_t token)
{
    bool is_ref = token >> 24 == LG_MD_TYPE_REF;
    return look_up(clr, module,
                   is_ref ? clr->off.Module_TypeRefToMethodTableMap
                          : clr->off.Module_TypeDefToMethodTableMap,
                   token & 0xffffff);
}

enum { PIECE = 512 };

// The entries of one block, whose first is of `rid`.
static bool walk_block(struct lg_clr *clr, const struct map_block *block, uint32_t rid,
                       void (*each)(void *data, uint32_t rid, uint64_t handle), void *data)
{
    uint64_t values[PIECE];
    for (uint32_t at = 0; at < block->count;) {
        uint32_t n = block->count - at < PIECE ? block->count - at : PIECE;
        if (!lg_target_read_all(clr->target, block->table + 8 * (uint64_t)at, values, 8 * n))
            return false;
        for (uint32_t k = 0; k < n; k++, at++) {
            if (values[k] & ~block->mask)
                each(data, rid + at, values[k] & ~block->mask);
        }
    }
    return true;
}

bool lg_contracts_module_types(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data)
{
    enum { RIDS = 1 << 24 };
    uint64_t address = module + clr->off.Module_TypeDefToMethodTableMap, mask = 0;
    uint32_t rid = 0;
    for (unsigned i = 0; address; i++) {
        struct map_block block;
        if (i == BLOCKS_MAX || !read_block(clr, address, &block) || block.count > RIDS - rid)
            return false;
        mask = i == 0 ? block.mask : mask;
        block.mask = mask;
        if (!walk_block(clr, &block, rid, each, data))
            return false;
        rid += block.count;
        address = block.next;
    }
    return true;
}

// One chain of entries; adds to `seen`. False if it cannot be followed to its end: one that comes back
// to an entry that was met 1, 2, 4, 8, … entries ago goes in circles.
static bool walk_chain(struct lg_clr *clr, uint64_t entry, uint32_t *seen,
                       void (*each)(void *data, uint32_t rid, uint64_t handle), void *data)
{
    enum { ENTRIES_MAX = 1 << 22 };
    const struct lg_offsets *off = &clr->off;
    uint64_t value, met = 0;
    for (uint32_t n = 1; entry && !(entry & 1); n++) {
        if (entry == met)
            return false;
        met = n & (n - 1) ? met : entry;
        if ((*seen)++ >= ENTRIES_MAX
            || !lg_target_u64(clr->target, entry + off->EETypeHashTable_VolatileEntryValue, &value))
            return false;
        if (value & ~UINT64_C(1))
            each(data, 0, value & ~UINT64_C(1));
        if (!lg_target_u64(clr->target, entry + off->EETypeHashTable_VolatileEntryNextEntry, &entry))
            return false;
    }
    return true;
}

// dotnet/runtime src/coreclr/vm/dacenumerablehash.h: an array of bucket heads behind three words
// (length, next table, end sentinel); a chain ends at a word whose bit 0 is set. The handle's own bit 0
// is a flag.
bool lg_contracts_instantiations(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data)
{
    enum { SLOT_LENGTH = 0, BUCKETS_MAX = 1 << 22 };
    const struct lg_offsets *off = &clr->off;
    uint64_t table, buckets, length, heads[PIECE];
    uint32_t seen = 0;
    bool whole = true;
    if (off->EETypeHashTable_Buckets == LG_NO_OFFSET
        || off->EETypeHashTable_VolatileEntryValue == LG_NO_OFFSET
        || off->EETypeHashTable_VolatileEntryNextEntry == LG_NO_OFFSET
        || off->Module_AvailableTypeParams == LG_NO_OFFSET
        || !lg_target_u64(clr->target, module + off->Module_AvailableTypeParams, &table))
        return false;
    if (!table)
        return true; // None yet.
    if (!lg_clr_pointer(clr, table, off->EETypeHashTable_Buckets, &buckets)
        || !lg_target_u64(clr->target, buckets + 8 * SLOT_LENGTH, &length) || length > BUCKETS_MAX)
        return false;
    for (uint64_t i = 0; i < length; i += PIECE) {
        size_t n = length - i < PIECE ? (size_t)(length - i) : PIECE;
        if (!lg_target_read_all(clr->target, buckets + 8 * (clr->bucket_words + i), heads, 8 * n))
            return false;
        for (size_t k = 0; k < n; k++)
            whole &= walk_chain(clr, heads[k], &seen, each, data);
    }
    return whole;
}
