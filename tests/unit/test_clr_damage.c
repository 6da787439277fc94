// Every word of a fake runtime, replaced by hostile values, in turn each of them: opening is refused, or
// what comes of it keeps the promises of clr.h.
#include "test.h"

#include "clr/memory.h"
#include "support/fake_runtime.h"

static void check_segments(const struct lg_clr *clr)
{
    size_t count;
    const struct lg_segment *s = lg_clr_segments(clr, &count);
    for (size_t i = 0; i < count; i++) {
        assert_true(s[i].start <= s[i].end && s[i].end <= s[i].committed
                    && s[i].committed <= s[i].reserved);
        assert_true(i == 0 || s[i - 1].end <= s[i].start);
        assert_true(s[i].generation < LG_GENERATIONS && s[i].heap < lg_clr_info(clr)->heap_count);
    }
    const struct lg_alloc_context *c = lg_clr_alloc_contexts(clr, &count);
    for (size_t i = 0; i < count; i++)
        assert_true(c[i].ptr && c[i].ptr <= c[i].limit && (i == 0 || c[i - 1].ptr < c[i].ptr));
}

static void check_threads(struct lg_clr *clr)
{
    const struct lg_managed_thread *t;
    size_t count;
    assert_ok(lg_clr_threads(clr, &t, &count));
    for (size_t i = 0; i < count; i++)
        assert_true(t[i].stack_low <= t[i].stack_high);
}

// What is read on first use may be refused then.
static void check_rest(struct lg_clr *clr)
{
    const struct lg_handle *h;
    size_t count;
    struct lg_error *err = lg_clr_handles(clr, &h, &count);
    for (size_t i = 0; !err && i < count; i++)
        assert_true(h[i].object && h[i].kind < LG_HANDLE_KINDS
                    && (i == 0 || h[i - 1].address < h[i].address));
    lg_error_free(err);
    const struct lg_finalizer_queue *q;
    err = lg_clr_finalizer_queues(clr, &q, &count);
    for (size_t i = 0; !err && i < count; i++)
        assert_true(q[i].array <= q[i].fill[0] && q[i].fill[0] <= q[i].fill[6]);
    lg_error_free(err);
    const struct lg_native_heap *n;
    assert_ok(lg_clr_native_heaps(clr, &n, &count));
    const struct lg_memory_range *r;
    assert_ok(lg_clr_memory(clr, &r, &count));
    for (size_t i = 0; i < count; i++)
        assert_true(r[i].start < r[i].end && (i == 0 || r[i - 1].end <= r[i].start));
    struct lg_gc_committed committed;
    lg_error_free(lg_clr_gc_committed(clr, &committed));
    struct lg_gc_clock clock;
    lg_error_free(lg_clr_gc_clock(clr, &clock));
}

static void open_and_check(struct lg_target *t)
{
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    struct lg_error *err = lg_clr_open(t, NULL, &clr);
    if (!err) {
        check_segments(clr);
        check_threads(clr);
        check_rest(clr);
    }
    lg_error_free(err);
    for (size_t i = 0; i < t->notes.len; i++)
        free(t->notes.at[i]);
    t->notes.len = 0;
}

static bool is_boring(uint64_t address)
{
    bool in_json = address >= FR_JSON && address < FR_JSON + 0x10000;
    uint64_t in_segment = address - FR_HANDLES(0);
    bool in_header = in_segment < 1560 || (in_segment >= 2016 && in_segment < 0x1000);
    bool in_stack_of_image = address >= FR_IMAGE && address < FR_IMAGE + FAKE_IMAGE_FREE;
    return in_json || in_header || in_stack_of_image;
}

enum { VALUES = 3 }; // Of each word.

static void damage_every_word(unsigned flags)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(flags);
    uint64_t address;
    for (size_t i = 0; fake_word(t, i, &address); i++) {
        uint64_t before;
        if (is_boring(address) || !lg_target_u64(t, address, &before))
            continue;
        if (!before && i % 8) // Most zeros are read by nobody.
            continue;
        for (size_t k = 0; k < VALUES; k++) {
            fake_u64(t, address, fake_hostile[(VALUES * i + k) % fake_hostile_count]);
            open_and_check(t);
        }
        fake_u64(t, address, before);
    }
    open_and_check(t);
}

static void a_damaged_workstation_heap_harms_nobody(void **state)
{
    damage_every_word(0);
}

static void a_damaged_heap_of_segments_harms_nobody(void **state)
{
    damage_every_word(FAKE_SEGMENTS_GC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_workstation_heap_harms_nobody),
        cmocka_unit_test(a_damaged_heap_of_segments_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
