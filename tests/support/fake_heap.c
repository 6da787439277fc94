#include "fake_heap.h"

#include <stdlib.h>
#include <string.h>

#include "fake.h"

// Distances that real heaps have: method tables far from the regions, regions 4 MiB-aligned.
#define TABLES UINT64_C(0x7f0000010000)
#define CLASSES UINT64_C(0x7f0000020000)
#define REGIONS UINT64_C(0x7f1000000028)
enum { APART = 0x1000, REGION = 256 << 20 };

struct fake_heap {
    struct lg_target *target;
    struct lg_clr clr;
    uint64_t end;
};

static const struct {
    uint32_t flags, base_size;
} types[FAKE_TYPES] = {
    [FAKE_FREE] = { 0x80000001, 24 },    [FAKE_STRING] = { 0x80000002, 22 },
    [FAKE_NODE] = { 0x01000000, 32 },    [FAKE_PLAIN] = { 0, 24 },
    [FAKE_ARRAY] = { 0x810a0008, 24 },   [FAKE_BYTES] = { 0x800a0001, 24 },
    [FAKE_ENTRIES] = { 0x810a0018, 24 },
};

uint64_t fake_type_mt(enum fake_type type)
{
    return TABLES + APART + (uint64_t)type * 0x200;
}

static uint64_t class_of(enum fake_type type)
{
    return CLASSES + (uint64_t)type * 0x100;
}

static void add_type(struct fake_heap *fake, enum fake_type type)
{
    struct lg_offsets *off = &fake->clr.off;
    uint64_t mt = fake_type_mt(type);
    fake_zeros(fake->target, mt - 64, 128);
    fake_zeros(fake->target, class_of(type), 128);
    fake_u32(fake->target, mt + off->MethodTable_MTFlags, types[type].flags);
    fake_u32(fake->target, mt + off->MethodTable_BaseSize, types[type].base_size);
    if (type != FAKE_FREE)
        fake_u64(fake->target, mt + off->MethodTable_EEClassOrCanonMT, class_of(type));
    fake_u64(fake->target, class_of(type) + off->EEClass_MethodTable, mt);
}

static void add_series(struct fake_heap *fake, enum fake_type type, uint64_t offset, int64_t length)
{
    uint64_t mt = fake_type_mt(type);
    fake_u64(fake->target, mt - 8, 1);
    fake_u64(fake->target, mt - 16, offset);
    fake_u64(fake->target, mt - 24, (uint64_t)length);
}

static void set_offsets(struct lg_offsets *off)
{
    memset(off, 0xff, sizeof(*off)); // LG_NO_OFFSET
    off->MethodTable_MTFlags = 0;
    off->MethodTable_BaseSize = 4;
    off->MethodTable_MTFlags2 = 8;
    off->MethodTable_ParentMethodTable = 16;
    off->MethodTable_Module = 24;
    off->MethodTable_AuxiliaryData = 32;
    off->MethodTable_EEClassOrCanonMT = 40;
    off->MethodTable_PerInstInfo = 48;
    off->EEClass_MethodTable = 16;
}

struct fake_heap *fake_heap_new(void)
{
    struct fake_heap *fake = calloc(1, sizeof(*fake));
    fake->target = fake_new();
    fake->clr.target = fake->target;
    set_offsets(&fake->clr.off);
    fake->clr.info = (struct lg_clr_info){
        .free_mt = fake_type_mt(FAKE_FREE),
        .string_mt = fake_type_mt(FAKE_STRING),
        .object_array_mt = fake_type_mt(FAKE_ARRAY),
        .mt_mask = ~UINT64_C(7),
        .regions = true,
        .heap_count = 1,
    };
    for (int type = 0; type < FAKE_TYPES; type++)
        add_type(fake, type);
    add_series(fake, FAKE_NODE, 8, 16 - 32);
    add_series(fake, FAKE_ARRAY, 16, -24);
    uint64_t entries = fake_type_mt(FAKE_ENTRIES);
    fake_u64(fake->target, entries - 8, (uint64_t)-2); // 1 reference, skip 8, 1 reference, skip 0
    fake_u64(fake->target, entries - 16, 16);
    fake_u64(fake->target, entries - 24, UINT64_C(8) << 32 | 1);
    fake_u64(fake->target, entries - 32, 1);
    if (lg_clr_types_open(&fake->clr))
        abort();
    fake_segment(fake, LG_GEN0);
    return fake;
}

void fake_heap_free(struct fake_heap *fake)
{
    lg_clr_types_close(&fake->clr);
    lg_vec_free(&fake->clr.segments);
    lg_vec_free(&fake->clr.contexts);
    lg_target_free(fake->target);
    free(fake);
}

static void close_segment(struct fake_heap *fake)
{
    if (fake->clr.segments.len == 0)
        return;
    struct lg_segment *last = &fake->clr.segments.at[fake->clr.segments.len - 1];
    last->end = last->committed = fake->end;
}

void fake_segment(struct fake_heap *fake, enum lg_generation generation)
{
    close_segment(fake);
    uint64_t start = REGIONS + fake->clr.segments.len * (uint64_t)REGION;
    struct lg_segment segment = {
        .address = start - 0x28,
        .start = start,
        .end = start,
        .committed = start,
        .reserved = start + REGION - 0x28,
        .generation = generation,
    };
    if (!lg_vec_push(&fake->clr.segments, segment))
        abort();
    fake->end = start;
}

uint64_t fake_heap_end(const struct fake_heap *fake)
{
    return fake->end;
}

uint64_t fake_object(struct fake_heap *fake, enum fake_type type, uint32_t count)
{
    uint64_t size = types[type].base_size
                    + (types[type].flags >> 31 ? (uint64_t)(uint16_t)types[type].flags * count : 0);
    uint64_t object = fake->end;
    fake->end += (size + 7) & ~UINT64_C(7);
    fake_zeros(fake->target, object, fake->end - object);
    fake_u64(fake->target, object, fake_type_mt(type));
    if (types[type].flags >> 31)
        fake_u32(fake->target, object + 8, count);
    return object;
}

void fake_refer(struct fake_heap *fake, uint64_t object, uint64_t offset, uint64_t to)
{
    fake_u64(fake->target, object + offset, to);
}

void fake_context(struct fake_heap *fake, uint64_t unused)
{
    struct lg_alloc_context context = { fake->end, fake->end + unused };
    if (!lg_vec_push(&fake->clr.contexts, context))
        abort();
    fake->end = context.limit + 24;
    for (uint64_t a = context.ptr; a < fake->end; a += 8)
        fake_u64(fake->target, a, 0xbadbadbadbadbad8);
}

struct lg_target *fake_heap_target(struct fake_heap *fake)
{
    return fake->target;
}

struct lg_clr *fake_heap_clr(struct fake_heap *fake)
{
    close_segment(fake);
    return &fake->clr;
}
