#include "support/fake_runtime.h"

#include <stdio.h>
#include <string.h>

#include "clr/gc_vars.h"

// Indices of the descriptor's pointers, as in the descriptor of 10.0.9.
enum {
    APP_DOMAIN = 1,
    SYSTEM_DOMAIN,
    THREAD_STORE,
    FREE_MT = 9,
    OBJECT_MT,
    ARRAY_MT,
    STRING_MT,
    POINTER_COUNT = 24
};

static void add_descriptor(struct lg_target *t)
{
    static char json[1 << 16];
    FILE *f = fopen(TEST_DATA "/contract-descriptor-10.0.9.json", "rb");
    size_t len = f ? fread(json, 1, sizeof(json), f) : 0;
    if (!f || len == 0 || fclose(f) != 0)
        abort();
    fake_bytes(t, FR_JSON, json, len);
    for (uint64_t i = 0; i < POINTER_COUNT; i++) {
        fake_u64(t, FR_POINTERS + 8 * i, i ? FR_VARIABLES + 8 * i : 0);
        fake_u64(t, FR_VARIABLES + 8 * i, 0);
    }
    fake_string(t, FR_DESCRIPTOR, "DNCCDAC");
    fake_u32(t, FR_DESCRIPTOR + 8, 1);
    fake_u32(t, FR_DESCRIPTOR + 12, (uint32_t)len);
    fake_u64(t, FR_DESCRIPTOR + 16, FR_JSON);
    fake_u64(t, FR_DESCRIPTOR + 24, POINTER_COUNT);
    fake_u64(t, FR_DESCRIPTOR + 32, FR_POINTERS);
}

static void add_method_table(struct lg_target *t, int variable, uint64_t mt, uint32_t flags,
                             uint32_t size)
{
    fake_u64(t, FR_VARIABLES + 8 * (uint64_t)variable, mt);
    fake_zeros(t, mt, 64);
    fake_u32(t, mt, flags);
    fake_u32(t, mt + 4, size);
}

static void add_method_tables(struct lg_target *t)
{
    add_method_table(t, OBJECT_MT, FR_METHOD_TABLES, 0, 24);
    add_method_table(t, STRING_MT, FR_METHOD_TABLES + 0x100, 0x80000002, 22);
    add_method_table(t, ARRAY_MT, FR_METHOD_TABLES + 0x200, 0x810a0008, 24);
    add_method_table(t, FREE_MT, FR_METHOD_TABLES + 0x300, 0x80000001, 24);
}

// Offsets as in the descriptor of 10.0.9: Thread.State 0, PreemptiveGCDisabled 4, Id 16,
// RuntimeThreadLocals 32, LinkNext 112, OSId 296; ThreadStore.FirstThreadLink 88, ThreadCount 112.
static void add_thread(struct lg_target *t, uint64_t i, uint32_t state, uint64_t os_id, bool last)
{
    uint64_t at = FR_THREAD(i);
    fake_zeros(t, at, 576);
    fake_u32(t, at, state);
    fake_u32(t, at + 16, (uint32_t)i);
    fake_u64(t, at + 112, last ? 0 : FR_THREAD(i + 1) + 112);
    fake_u64(t, at + 296, os_id);
    fake_u64(t, at + 304, FR_HANDLES(0) + 0x1000);
}

static void add_context(struct lg_target *t, uint64_t i, uint64_t ptr, uint64_t limit)
{
    fake_u64(t, FR_THREAD(i) + 32, FR_LOCALS(i));
    fake_u64(t, FR_LOCALS(i) + 8, ptr); // RuntimeThreadLocals.AllocContext 0, EEAllocContext 8
    fake_u64(t, FR_LOCALS(i) + 16, limit);
}

static void add_threads(struct lg_target *t)
{
    fake_u64(t, FR_VARIABLES + 8 * THREAD_STORE, FR_STORE);
    fake_u64(t, FR_STORE + 88, FR_THREAD(1) + 112);
    fake_u32(t, FR_STORE + 112, 3);
    add_thread(t, 1, 0x20, 100, false);
    add_thread(t, 2, 0x220, 101, false);
    add_thread(t, 3, 0x800, 0xbaadf00d, true);
    add_context(t, 1, FR_MEMORY(0, 0) + 0x4000, FR_MEMORY(0, 0) + 0x5000);
    add_context(t, 2, FR_MEMORY(0, 0) + 0x3000, FR_MEMORY(0, 0) + 0x3000);
    fake_map(t, FR_STACK(1), FR_STACK(1) + 0x10000, LG_READ | LG_WRITE, NULL, 0);
    fake_map(t, FR_STACK(2), FR_STACK(2) + 0x10000, LG_READ | LG_WRITE, NULL, 0);
    t->pid = 100;
    fake_thread(t, 100, 0x1000, FR_STACK(1) + 0x8000);
    fake_thread(t, 101, 0x1000, FR_STACK(2) + 0x8000);
}

// ---- the GC ----

static uint64_t variable(int i)
{
    return FR_GC_VARIABLES + 0x10 * (uint64_t)i;
}

static void set_variable(struct lg_target *t, int i, uint64_t value)
{
    fake_u64(t, FR_GC + 24 + 8 * (uint64_t)i, variable(i));
    fake_u64(t, variable(i), value);
}

static void add_segment(struct lg_target *t, uint64_t heap, uint64_t i, uint64_t next, uint64_t flags)
{
    uint64_t mem = FR_MEMORY(heap, i);
    const uint64_t words[9] = { mem + FR_USED, mem + 0xc000, mem + 0x10000, mem + FR_USED,
                                mem,           flags,        next };
    fake_bytes(t, FR_SEGMENT(heap, i), words, sizeof(words));
    fake_map(t, mem, mem + 0x10000, LG_READ | LG_WRITE, NULL, 0);
    fake_u64(t, mem, FR_METHOD_TABLES);
}

// Where generation 0 to 4 begin their lists: with segments those of gen0 and gen1 are the ephemeral one.
static void add_generations(struct lg_target *t, uint64_t heap, unsigned flags)
{
    bool segments = flags & FAKE_SEGMENTS_GC;
    for (uint64_t g = 0; g < LG_GC_GENERATION_COUNT; g++) {
        uint64_t at = FR_GENERATIONS(heap) + g * FR_GENERATION_SIZE;
        fake_zeros(t, at, FR_GENERATION_SIZE);
        uint64_t first =
            heap == 0 && g == 2 ? FR_SEGMENT(0, FR_FOH) : FR_SEGMENT(heap, segments && g < 2 ? 0 : g);
        fake_u64(t, at + 56, first);
        fake_u64(t, at + 64, FR_MEMORY(heap, 0) + (g == 0 ? 0x2000 : g == 1 ? 0x1000 : 0));
    }
    for (uint64_t i = 0; i < 5; i++) {
        uint64_t next = segments && i == 2 ? FR_SEGMENT(heap, 0) : 0;
        if (!segments || i != 1)
            add_segment(t, heap, i, next, i == 3 ? 8 : i == 4 ? 0x200 : 0);
    }
    if (heap == 0)
        add_segment(t, 0, FR_FOH, FR_SEGMENT(0, 2), 1);
}

static void add_finalize_queue(struct lg_target *t, uint64_t heap)
{
    uint64_t array = FR_FINALIZE(heap) + 0x100;
    const uint64_t fills[7] = { array, array, array + 8, array + 8, array + 16, array + 16, array + 24 };
    fake_bytes(t, FR_FINALIZE(heap), fills, sizeof(fills));
    fake_u64(t, FR_FINALIZE(heap) + 56, array);
    fake_u64(t, FR_FINALIZE(heap) + 64, array + 0x80);
    for (uint64_t i = 0; i < 3; i++)
        fake_u64(t, array + 8 * i, FR_MEMORY(0, 2) + 24 * i);
}

// The fields of a gc_heap lie behind its generations: alloc_allocated at 0x800, ephemeral_heap_segment
// at 0x808, finalize_queue at 0x810.
static void add_server_heaps(struct lg_target *t)
{
    set_variable(t, LG_GC_N_HEAPS, 2);
    set_variable(t, LG_GC_G_HEAPS, FR_GC_VARIABLES + 0x800);
    fake_u64(t, FR_GC + 24 + 8 * LG_GC_HEAP_FIELD_OFFSETS, FR_GC_VARIABLES + 0x900);
    for (uint64_t i = 0; i < LG_GC_FIELDS; i++)
        fake_u32(t, FR_GC_VARIABLES + 0x900 + 4 * i, UINT32_MAX);
    fake_u32(t, FR_GC_VARIABLES + 0x900, 0x800);
    fake_u32(t, FR_GC_VARIABLES + 0x904, 0x808);
    fake_u32(t, FR_GC_VARIABLES + 0x908, 0x810);
    fake_u32(t, FR_GC_VARIABLES + 0x900 + 4 * LG_GC_FIELD_GENERATION_TABLE, 0);
    for (uint64_t heap = 0; heap < 2; heap++) {
        fake_u64(t, FR_GC_VARIABLES + 0x800 + 8 * heap, FR_GENERATIONS(heap));
        fake_u64(t, FR_GENERATIONS(heap) + 0x800, FR_MEMORY(heap, 0) + 0x6000);
        fake_u64(t, FR_GENERATIONS(heap) + 0x808, FR_SEGMENT(heap, 0));
        fake_u64(t, FR_GENERATIONS(heap) + 0x810, FR_FINALIZE(heap));
    }
}

static void add_workstation_heap(struct lg_target *t)
{
    fake_u64(t, FR_GC + 24 + 8 * LG_GC_GENERATION_TABLE, FR_GENERATIONS(0));
    set_variable(t, LG_GC_EPHEMERAL_HEAP_SEGMENT, FR_SEGMENT(0, 0));
    set_variable(t, LG_GC_ALLOC_ALLOCATED, FR_MEMORY(0, 0) + 0x6000);
    set_variable(t, LG_GC_FINALIZE_QUEUE, FR_FINALIZE(0));
}

static void add_gc(struct lg_target *t, unsigned flags)
{
    for (uint64_t i = 0; i < 32; i++)
        fake_u64(t, FR_DAC_TABLE + 8 * i, i == 19 ? FR_VARIABLES + 0x200 : 0);
    fake_u64(t, FR_VARIABLES + 0x200, FR_GC);
    fake_zeros(t, FR_GC, 24 + 8 * LG_GC_VARS);
    fake_u8(t, FR_GC, 2);
    fake_u8(t, FR_GC + 1, 4);
    fake_u64(t, FR_GC + 8, FR_GENERATION_SIZE);
    fake_u64(t, FR_GC + 16, LG_GC_GENERATION_COUNT);
    set_variable(t, LG_GC_STRUCTURES_INVALID_CNT, 0);
    fake_u64(t, FR_GC + 24 + 8 * LG_GC_COUNTS, UINT64_C(3) << 32 | 7);
    set_variable(t, LG_GC_DYNAMIC_ADAPTATION_MODE, 1);
    uint64_t offsets = FR_GC_VARIABLES + 0xa00;
    fake_u64(t, FR_GC + 24 + 8 * LG_GC_GENERATION_FIELD_OFFSETS, offsets);
    fake_u32(t, offsets, 0);
    fake_u32(t, offsets + 4, 56);
    fake_u32(t, offsets + 8, flags & FAKE_SEGMENTS_GC ? 64 : UINT32_MAX);
    uint64_t heaps = flags & FAKE_SERVER_GC ? 2 : 1;
    for (uint64_t heap = 0; heap < heaps; heap++) {
        add_generations(t, heap, flags);
        add_finalize_queue(t, heap);
    }
    if (flags & FAKE_SERVER_GC)
        add_server_heaps(t);
    else
        add_workstation_heap(t);
}

// ---- handles ----

// Blocks: 0 strong, 1 dependent with its secondaries in 2, 3 weak. The rest of the 64 KiB is not there.
static void add_handle_table(struct lg_target *t, uint64_t slot)
{
    uint64_t segment = FR_HANDLES(slot), blocks = segment + 0x1000;
    fake_u64(t, FR_MAP + 0x200 + 8 * slot, FR_TABLE(slot));
    fake_u64(t, FR_TABLE(slot) + 56, segment);
    fake_zeros(t, segment, 0x1000 + 4 * 512);
    for (uint64_t b = 0; b < 120; b++) {
        static const uint8_t types[] = { 2, 6, 12, 0 };
        fake_u8(t, segment + 1560 + b, b < sizeof(types) ? types[b] : 0xff);
        fake_u8(t, segment + 1680 + b, b == 1 ? 2 : 0xff);
    }
    fake_u64(t, segment + 2006, FR_TABLE(slot));
    fake_u64(t, blocks, FR_MEMORY(0, 2));
    fake_u64(t, blocks + 8 * 63, FR_MEMORY(0, 2) + 24);
    fake_u64(t, blocks + 512 + 8, FR_MEMORY(0, 2) + 48);
    fake_u64(t, blocks + 1024 + 8, FR_MEMORY(0, 3));
    fake_u64(t, blocks + 1536, FR_MEMORY(0, 4));
}

static void add_handles(struct lg_target *t, unsigned flags)
{
    fake_u64(t, FR_GC + 24 + 8 * LG_GC_HANDLE_TABLE_MAP, FR_MAP);
    fake_u64(t, FR_MAP, FR_MAP + 0x100);
    fake_u64(t, FR_MAP + 8, 0);
    fake_u64(t, FR_MAP + 16, 10);
    fake_zeros(t, FR_MAP + 0x100, 80);
    fake_u64(t, FR_MAP + 0x100, FR_MAP + 0x180);
    fake_u64(t, FR_MAP + 0x180, FR_MAP + 0x200);
    for (uint64_t slot = 0; slot < (flags & FAKE_SERVER_GC ? 2 : 1); slot++)
        add_handle_table(t, slot);
}

struct lg_target *fake_runtime(unsigned flags)
{
    static const struct fake_symbol symbols[] = {
        { "DotNetRuntimeContractDescriptor", FR_DESCRIPTOR, 40 },
        { "g_dacTable", FR_DAC_TABLE, 256 },
    };
    struct lg_target *t = fake_new();
    fake_image(t, FR_IMAGE, "/usr/share/dotnet/shared/Microsoft.NETCore.App/10.0.9/libcoreclr.so",
               symbols, 2);
    add_descriptor(t);
    add_method_tables(t);
    add_threads(t);
    add_gc(t, flags);
    add_handles(t, flags);
    return t;
}
