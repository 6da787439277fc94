#include "test.h"

#include <string.h>

#include "clr/clr.h"
#include "support/fake_runtime.h"

// Offsets as in the descriptor of 10.0.9: SystemDomain.GlobalLoaderAllocator 16, LoaderAllocator.
// LowFrequencyHeap 688; RangeSection: begin 0, end 8, flags 16, JIT manager 24, heap list 40;
// RangeSectionFragment: next 0, section 24; CodeHeapListNode: end 24.
#define DOMAIN UINT64_C(0x7f0f00000000)
#define ALLOCATOR (DOMAIN + 16)
#define HEAP (DOMAIN + 0x1000)
#define BLOCKS (DOMAIN + 0x2000)
#define MEMORY UINT64_C(0x7f1000000000)
#define CODE UINT64_C(0x7f1100000000)
#define TABLES UINT64_C(0x7f1200000000)
#define MAP (TABLES + 0x8000) // Variable 20 is the map itself.
#define SECTION UINT64_C(0x7f1300000000)
#define NODE (SECTION + 0x200)

static void add_loader_heap(struct lg_target *t)
{
    fake_u64(t, FR_VARIABLES + 8 * 2, DOMAIN);
    fake_zeros(t, ALLOCATOR + 688, 64);
    fake_u64(t, ALLOCATOR + 688, HEAP);
    fake_u64(t, ALLOCATOR + 696, HEAP); // as in a collectible allocator
    const uint64_t heap[6] = { FR_IMAGE + 0x800, BLOCKS, 0, 0x3000, MEMORY + 0x1800, MEMORY + 0x2000 };
    const uint64_t blocks[7] = { BLOCKS + 32, MEMORY, 0x4000, 1, 0, MEMORY + 0x10000, 0x1000 };
    fake_bytes(t, HEAP, heap, sizeof(heap));
    fake_bytes(t, BLOCKS, blocks, sizeof(blocks));
    fake_map(t, MEMORY, MEMORY + 0x2000, LG_READ | LG_WRITE, "/memfd:doublemapper", 0);
    fake_map(t, MEMORY + 0x2000, MEMORY + 0x4000, 0, "/memfd:doublemapper", 0x2000);
    fake_map(t, MEMORY + 0x10000, MEMORY + 0x11000, LG_READ, NULL, 0);
}

static unsigned bits(unsigned shift)
{
    return CODE >> shift & 0xff;
}

static void add_code_heap(struct lg_target *t)
{
    fake_u64(t, FR_POINTERS + 8 * 20, MAP);
    fake_zeros(t, MAP, 256 * 8);
    for (uint64_t i = 0; i < 4; i++)
        fake_zeros(t, TABLES + i * 0x1000, 256 * 8);
    fake_u64(t, MAP + 8 * bits(49), TABLES + 1); // May be collected.
    fake_u64(t, TABLES + 8 * bits(41), TABLES + 0x1000);
    fake_u64(t, TABLES + 0x1000 + 8 * bits(33), TABLES + 0x2000);
    fake_u64(t, TABLES + 0x2000 + 8 * bits(25), TABLES + 0x3000);
    fake_u64(t, TABLES + 0x3000 + 8 * bits(17), SECTION + 0x100);
    fake_zeros(t, SECTION, 0x300);
    fake_u64(t, SECTION + 0x100 + 24, SECTION);
    const uint64_t section[6] = { CODE, CODE + 0x10000, 2, 0x1234, 0, NODE };
    fake_bytes(t, SECTION, section, sizeof(section));
    fake_u64(t, NODE + 8, SECTION + 0x280);
    fake_u64(t, NODE + 24, CODE + 0x1800);
    const uint64_t heap[5] = { FR_IMAGE + 0x900, BLOCKS, CODE + 0x1800, CODE + 0x2000, CODE + 0x10000 };
    fake_bytes(t, SECTION + 0x280, heap, sizeof(heap));
    fake_map(t, CODE, CODE + 0x2000, LG_READ | LG_EXECUTE, NULL, 0);
}

static struct lg_target *a_target(void)
{
    struct lg_target *t = fake_runtime(0);
    add_loader_heap(t);
    add_code_heap(t);
    fake_u64(t, FR_VARIABLES + 8, DOMAIN + 0x4000); // an AppDomain without assemblies
    fake_zeros(t, DOMAIN + 0x4000, 0x800);
    return t;
}

static const struct lg_native_heap *find(const struct lg_native_heap *h, size_t count, const char *kind)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(h[i].kind, kind) == 0)
            return &h[i];
    }
    return NULL;
}

static bool has_note(const struct lg_target *t, const char *text)
{
    for (size_t i = 0; i < t->notes.len; i++) {
        if (strstr(t->notes.at[i], text))
            return true;
    }
    return false;
}

static void assert_native(struct lg_target *t, struct lg_clr **clr, const struct lg_native_heap **ret,
                          size_t *count)
{
    assert_ok(lg_clr_open(t, NULL, clr));
    assert_ok(lg_clr_native_heaps(*clr, ret, count));
}

static void loader_heaps_are_runs_of_blocks(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = a_target();
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    const struct lg_native_heap *h;
    size_t count;
    assert_native(t, &clr, &h, &count);
    assert_string_equal(h[0].owner, "System Domain");
    assert_string_equal(h[0].kind, "LowFrequencyHeap");
    assert_int_equal(h[0].start, MEMORY);
    assert_int_equal(h[0].reserved, 0x4000);
    assert_int_equal(h[0].used, 0x2000); // Only what can be read is committed.
    assert_int_equal(h[1].used, 0x1000);
    assert_null(find(h, count, "HighFrequencyHeap")); // It is the same heap, and counts once.
}

static void code_heaps_and_handle_tables_are_found(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = a_target();
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    const struct lg_native_heap *h;
    size_t count;
    assert_native(t, &clr, &h, &count);
    const struct lg_native_heap *code = find(h, count, "LoaderCodeHeap");
    assert_non_null(code);
    assert_int_equal(code->start, CODE);
    assert_int_equal(code->reserved, 0x10000);
    assert_int_equal(code->used, 0x2000);
    assert_non_null(find(h, count, "HandleTable"));
}

static void a_heap_of_dynamic_methods_points_back_at_its_node(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = a_target();
    fake_u64(t, SECTION + 0x280 + 8, NODE);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    const struct lg_native_heap *h;
    size_t count;
    assert_native(t, &clr, &h, &count);
    assert_non_null(find(h, count, "HostCodeHeap"));
}

static void loader_heaps_that_do_not_hold_together_are_unknown(void **state)
{
    static const struct {
        uint64_t address, value;
        const char *note;
    } cases[] = {
        { HEAP, 0x1234, "its vtable is not the runtime's" },
        { HEAP + 16, 3, "of unknown kind" },
        { HEAP + 24, 0x6000, "it has committed more than it has" },
        { HEAP + 32, MEMORY + 0x4001, "it does not allocate in its first block" },
        { BLOCKS + 8, MEMORY + 8, "a block is not whole pages" },
        { BLOCKS + 32 + 8, 0x1000, "a block is not mapped" },
        { BLOCKS + 32, BLOCKS, "its list does not end" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _cleanup_(lg_target_freep) struct lg_target *t = a_target();
        fake_u64(t, cases[i].address, cases[i].value);
        _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
        const struct lg_native_heap *h;
        size_t count;
        assert_native(t, &clr, &h, &count);
        assert_null(find(h, count, "LowFrequencyHeap"));
        assert_non_null(find(h, count, "LoaderCodeHeap"));
        if (!has_note(t, cases[i].note))
            fail_msg("no note with '%s'", cases[i].note);
    }
}

static void a_map_that_leads_back_into_itself_ends(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = a_target();
    fake_u64(t, SECTION + 0x100, SECTION + 0x100); // a fragment that follows itself
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    const struct lg_native_heap *h;
    size_t count;
    assert_native(t, &clr, &h, &count);
    assert_true(has_note(t, "JIT code heaps are unknown: RangeSectionFragment"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loader_heaps_are_runs_of_blocks),
        cmocka_unit_test(code_heaps_and_handle_tables_are_found),
        cmocka_unit_test(a_heap_of_dynamic_methods_points_back_at_its_node),
        cmocka_unit_test(loader_heaps_that_do_not_hold_together_are_unknown),
        cmocka_unit_test(a_map_that_leads_back_into_itself_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
