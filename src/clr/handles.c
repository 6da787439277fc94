// The raw GC handle table: no contract of .NET 10 describes it.
//
//     handle_table_map   {buckets*, next map*, u32}     10 buckets each
//     bucket             {tables*, u32 index}           one table per slot: 1, or one per processor
//     (Server GC) table              {u32 type flags[N] ... first segment*} segment, 64 KiB    | header,
//     4 KiB | block 0 | block 1 | ... | block 119 |    a block: 64 handles
//
// N is the number of handle types with the internal last one, the type of blocks that hold the
// secondaries of other blocks; it shifts what follows the arrays that have one element per type. N = 13
// on .NET 10, 12 before; on 3.1 the lock comes before the segment list. The back-pointer from segment to
// table decides which it is, and whether a slot is one at all (reference clr.md D.5, measured
// on 3.1.3, 8.0.30, 9.0.22, 10.0.9, 10.0.12; dotnet/runtime src/coreclr/gc/handletablepriv.h).
#include <string.h>

#include "clr/gc_vars.h"
#include "util/map.h"
#include "util/search.h"

enum {
    BUCKETS = 10,
    MAX_MAPS = 64,
    MAX_SLOTS = 1024, // The most processors that the GC knows.
    HEADER = 0x1000,
    BLOCKS = 120,
    PER_BLOCK = 64,
    BLOCK_TYPE = 1560, // u8[BLOCKS]: the type of a block, 0xff is free.
    USER_DATA = 1680,  // u8[BLOCKS]: the block with its secondaries, 0xff is none.
    NO_BLOCK = 0xff,
    SEGMENT_ALIGN = 0x10000,
};

struct layout {
    unsigned types;
    uint32_t segment_list;       // In the table.
    uint32_t next, back_pointer; // In the header of a segment; unaligned with 13 types.
};
static const struct layout layouts[] = { { 13, 56, 1998, 2006 },
                                         { 12, 48, 1992, 2000 },
                                         { 12, 208, 1992, 2000 } };

bool lg_handle_is_strong(enum lg_handle_kind kind)
{
    switch (kind) {
    case LG_HANDLE_WEAK_SHORT:
    case LG_HANDLE_WEAK_LONG:
    case LG_HANDLE_DEPENDENT:
    case LG_HANDLE_WEAK_NATIVE_COM:
    case LG_HANDLE_WEAK_INTERIOR_POINTER:
        return false;
    default:
        return true;
    }
}

const char *lg_handle_kind_name(enum lg_handle_kind kind)
{
    static const char *const names[LG_HANDLE_KINDS] = {
        [LG_HANDLE_WEAK_SHORT] = "weak-short",
        [LG_HANDLE_WEAK_LONG] = "weak-long",
        [LG_HANDLE_STRONG] = "strong",
        [LG_HANDLE_PINNED] = "pinned",
        [LG_HANDLE_VARIABLE] = "variable",
        [LG_HANDLE_REFCOUNTED] = "refcounted",
        [LG_HANDLE_DEPENDENT] = "dependent",
        [LG_HANDLE_ASYNC_PINNED] = "async-pinned",
        [LG_HANDLE_SIZED_REF] = "sized-ref",
        [LG_HANDLE_WEAK_NATIVE_COM] = "weak-native-com",
        [LG_HANDLE_WEAK_INTERIOR_POINTER] = "weak-interior-pointer",
        [LG_HANDLE_CROSS_REFERENCE] = "cross-reference",
    };
    return (unsigned)kind < LG_HANDLE_KINDS ? names[kind] : "unknown";
}

// ---- one segment ----

struct reading {
    struct lg_clr *clr;
    struct lg_map seen; // segments
    const struct layout *layout;
    uint64_t table;
    uint32_t slot;
    uint8_t header[HEADER];
};

static uint64_t u64_at(const uint8_t *bytes, uint32_t offset)
{
    uint64_t value;
    memcpy(&value, bytes + offset, sizeof(value));
    return value;
}

// The 64 KiB are committed little by little: only blocks that have a type can be read.
static struct lg_error *read_block(const struct reading *r, uint64_t segment, unsigned block,
                                   uint64_t ret[PER_BLOCK])
{
    uint64_t address = segment + HEADER + (uint64_t)block * PER_BLOCK * 8;
    if (lg_target_read_all(r->clr->target, address, ret, PER_BLOCK * 8))
        return NULL;
    return lg_error_new(LG_ERR_FAULT, "handle segment at %#jx: block %u is not readable",
                        (uintmax_t)segment, block);
}

// Has this kind of handle a second word that we want?
static bool has_secondary(unsigned type)
{
    return type == LG_HANDLE_DEPENDENT || type == LG_HANDLE_WEAK_INTERIOR_POINTER;
}

static struct lg_error *read_secondaries(const struct reading *r, uint64_t segment, unsigned block,
                                         uint64_t ret[PER_BLOCK])
{
    unsigned data = r->header[USER_DATA + block];
    memset(ret, 0, PER_BLOCK * 8);
    if (!has_secondary(r->header[BLOCK_TYPE + block]) || data == NO_BLOCK)
        return NULL;
    if (data >= BLOCKS || r->header[BLOCK_TYPE + data] != r->layout->types - 1)
        return lg_error_new(
            LG_ERR_CORRUPT,
            "handle segment at %#jx: block %u has its secondaries in block %u, which is none for them",
            (uintmax_t)segment, block, data);
    return read_block(r, segment, data, ret);
}

static struct lg_error *add_handles(const struct reading *r, uint64_t segment, unsigned block)
{
    uint64_t objects[PER_BLOCK], secondaries[PER_BLOCK];
    struct lg_error *err = read_block(r, segment, block, objects);
    if (!err)
        err = read_secondaries(r, segment, block, secondaries);
    for (unsigned i = 0; !err && i < PER_BLOCK; i++) {
        if (!objects[i])
            continue;
        struct lg_handle handle = {
            .address = segment + HEADER + ((uint64_t)block * PER_BLOCK + i) * 8,
            .object = objects[i],
            .secondary = secondaries[i],
            .kind = (enum lg_handle_kind)r->header[BLOCK_TYPE + block],
            .slot = r->slot,
        };
        if (!lg_vec_push(&r->clr->handles, handle))
            return &lg_no_memory;
    }
    return err;
}

static struct lg_error *read_segment(struct reading *r, uint64_t segment, uint64_t *next_ret)
{
    uint32_t before;
    if (segment % SEGMENT_ALIGN || lg_map_get(&r->seen, segment, &before))
        return lg_error_new(LG_ERR_CORRUPT, "handle segment at %#jx of table %#jx: %s",
                            (uintmax_t)segment, (uintmax_t)r->table,
                            segment % SEGMENT_ALIGN ? "not aligned" : "met twice");
    if (!lg_map_put(&r->seen, segment, 1) || !lg_vec_push(&r->clr->handle_segments, segment))
        return &lg_no_memory;
    if (!lg_target_read_all(r->clr->target, segment, r->header, HEADER))
        return lg_error_new(LG_ERR_FAULT, "handle segment at %#jx: not readable", (uintmax_t)segment);
    uint64_t back = u64_at(r->header, r->layout->back_pointer);
    if (back != r->table)
        return lg_error_new(LG_ERR_CORRUPT, "handle segment at %#jx of table %#jx: points back at %#jx",
                            (uintmax_t)segment, (uintmax_t)r->table, (uintmax_t)back);
    for (unsigned block = 0; block < BLOCKS; block++) {
        unsigned type = r->header[BLOCK_TYPE + block];
        if (type == NO_BLOCK || type == r->layout->types - 1)
            continue;
        if (type >= r->layout->types)
            return lg_error_new(LG_ERR_CORRUPT, "handle segment at %#jx: block %u is of type %u",
                                (uintmax_t)segment, block, type);
        struct lg_error *err = add_handles(r, segment, block);
        if (err)
            return err;
    }
    *next_ret = u64_at(r->header, r->layout->next);
    return NULL;
}

// ---- tables, buckets, maps ----

// Which layout makes the table's first segment point back at it? NULL: it is no table.
static const struct layout *layout_of(struct lg_target *target, uint64_t table)
{
    for (size_t i = 0; table && table % 8 == 0 && i < sizeof(layouts) / sizeof(*layouts); i++) {
        uint64_t segment, back;
        if (lg_target_u64(target, table + layouts[i].segment_list, &segment) && segment
            && segment % SEGMENT_ALIGN == 0
            && lg_target_u64(target, segment + layouts[i].back_pointer, &back) && back == table)
            return &layouts[i];
    }
    return NULL;
}

static struct lg_error *read_table(struct reading *r)
{
    uint64_t segment;
    if (!lg_target_u64(r->clr->target, r->table + r->layout->segment_list, &segment))
        segment = 0;
    while (segment) {
        struct lg_error *err = read_segment(r, segment, &segment);
        if (err)
            return err;
    }
    return NULL;
}

// The number of slots is that of the target's processors, whatever the number of GC heaps (who takes
// that loses most handles with DATAS: peers.md, fault 1), and is written nowhere we could read it: the
// first slot that holds no table ends them.
static struct lg_error *read_bucket(struct reading *r, uint64_t bucket)
{
    uint64_t tables;
    if (!lg_target_u64(r->clr->target, bucket, &tables))
        return lg_error_new(LG_ERR_FAULT, "handle table bucket at %#jx: not readable",
                            (uintmax_t)bucket);
    for (r->slot = 0; r->slot < MAX_SLOTS; r->slot++) {
        if (!lg_target_u64(r->clr->target, tables + 8 * (uint64_t)r->slot, &r->table))
            break;
        r->layout = layout_of(r->clr->target, r->table);
        if (!r->layout)
            break;
        struct lg_error *err = read_table(r);
        if (err)
            return err;
    }
    if (r->slot == 0)
        return lg_error_new(
            LG_ERR_UNSUPPORTED,
            "handle table bucket at %#jx: its first table, %#jx, has no segment that points back at it",
            (uintmax_t)bucket, (uintmax_t)r->table);
    return NULL;
}

struct table_map {
    uint64_t buckets, next;
    uint32_t max_index, pad;
};

// Without GcDacVars (3.1): the one place in the runtime's own variables that is such a map, with a first
// bucket whose first table has a segment that points back at it.
static bool is_map(struct lg_clr *clr, const struct table_map *map)
{
    uint64_t buckets[BUCKETS], tables, table;
    return map->max_index == BUCKETS && map->buckets && map->buckets % 8 == 0 && map->next % 8 == 0
           && lg_target_read_all(clr->target, map->buckets, buckets, sizeof(buckets)) && buckets[0]
           && buckets[0] % 8 == 0 && lg_target_u64(clr->target, buckets[0], &tables)
           && lg_target_u64(clr->target, tables, &table) && layout_of(clr->target, table);
}

static unsigned find_in(struct lg_clr *clr, uint64_t start, uint64_t end, uint64_t *ret)
{
    struct table_map maps[128];
    unsigned found = 0;
    enum { STEP = sizeof(maps) - sizeof(*maps) }; // Each chunk begins with what the last one ended with.
    for (uint64_t at = start; at < end; at += STEP) {
        size_t got = lg_target_read(clr->target, at, maps, sizeof(maps));
        for (size_t i = 0; i < STEP && i + sizeof(*maps) <= got; i += 8) {
            struct table_map map;
            memcpy(&map, (const uint8_t *)maps + i, sizeof(map));
            if (!is_map(clr, &map))
                continue;
            *ret = at + i;
            found++;
        }
    }
    return found;
}

static struct lg_error *find_map(struct lg_clr *clr, uint64_t *ret)
{
    unsigned found = 0;
    for (size_t i = 0; i < clr->target->ranges.len; i++) {
        const struct lg_range *range = &clr->target->ranges.at[i];
        if (range->start >= clr->image.base && range->start < clr->image.end
            && (range->access & LG_WRITE))
            found += find_in(clr, range->start, range->end, ret);
    }
    if (found == 1)
        return NULL;
    return lg_error_new(LG_ERR_UNSUPPORTED,
                        "%u places in the variables of '%s' could be the table of handle tables, which "
                        "this runtime does not name: handles are unknown",
                        found, clr->image.path);
}

static struct lg_error *read_maps(struct reading *r)
{
    uint64_t at = r->clr->gc->vars[LG_GC_HANDLE_TABLE_MAP];
    struct lg_error *missing = at ? NULL : find_map(r->clr, &at);
    if (missing)
        return missing;
    for (unsigned n = 0; at; n++) {
        struct table_map map;
        uint64_t buckets[BUCKETS];
        if (n == MAX_MAPS)
            return lg_error_new(LG_ERR_CORRUPT, "handle_table_map at %#jx: its list does not end",
                                (uintmax_t)at);
        if (!lg_target_read_all(r->clr->target, at, &map, sizeof(map))
            || !lg_target_read_all(r->clr->target, map.buckets, buckets, sizeof(buckets)))
            return lg_error_new(LG_ERR_FAULT, "handle_table_map at %#jx: not readable", (uintmax_t)at);
        for (unsigned i = 0; i < BUCKETS; i++) {
            struct lg_error *err = buckets[i] ? read_bucket(r, buckets[i]) : NULL;
            if (err)
                return err;
        }
        at = map.next;
    }
    return NULL;
}

// ---- what is read must be handles ----

static bool is_in_segment(const struct lg_clr *clr, uint64_t object)
{
    size_t low = lg_first_not(clr->segments.len, i, clr->segments.at[i].start <= object);
    return low > 0 && object % 8 == 0 && object < clr->segments.at[low - 1].end;
}

static struct lg_error *check_objects(const struct lg_clr *clr)
{
    size_t outside = 0;
    const struct lg_handle *first = NULL;
    for (size_t i = 0; i < clr->handles.len; i++) {
        const struct lg_handle *handle = &clr->handles.at[i];
        bool in = is_in_segment(clr, handle->object)
                  && (handle->kind != LG_HANDLE_DEPENDENT || !handle->secondary
                      || is_in_segment(clr, handle->secondary));
        outside += !in;
        if (!in && !first)
            first = handle;
    }
    if (!first)
        return NULL;
    if (clr->info.gc_in_progress) { // Objects have moved, and not every handle knows yet.
        lg_target_note(clr->target,
                       "A GC was in progress: %zu of %zu handles hold what is no object now.", outside,
                       clr->handles.len);
        return NULL;
    }
    return lg_error_new(
        LG_ERR_CORRUPT,
        "%zu of %zu handles hold what lies in no heap segment: the one at %#jx holds %#jx, %#jx",
        outside, clr->handles.len, (uintmax_t)first->address, (uintmax_t)first->object,
        (uintmax_t)first->secondary);
}

static int by_address(const void *a, const void *b)
{
    const struct lg_handle *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

struct lg_error *lg_clr_handles(struct lg_clr *clr, const struct lg_handle **ret, size_t *count_ret)
{
    if (!clr->handles_read) {
        clr->handles.len = clr->handle_segments.len = 0;
        struct reading r = { .clr = clr };
        struct lg_error *err = lg_clr_gc_needed(clr);
        if (!err)
            err = read_maps(&r);
        lg_map_free(&r.seen);
        if (!err)
            err = check_objects(clr);
        if (err)
            return lg_error_context(err, "GC handles");
        if (clr->handles.len > 0)
            qsort(clr->handles.at, clr->handles.len, sizeof(*clr->handles.at), by_address);
        clr->handles_read = true;
    }
    *ret = clr->handles.at;
    *count_ret = clr->handles.len;
    return NULL;
}
