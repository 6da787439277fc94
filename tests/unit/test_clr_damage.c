// Every word of a fake runtime, replaced by hostile values, in turn each of them: opening is refused, or
// what comes of it keeps the promises of clr.h.
#include "test.h"

#include "support/fake_runtime.h"
#include "support/promises.h"

static void open_and_check(struct lg_target *t)
{
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    struct lg_error *err = lg_clr_open(t, NULL, &clr);
    if (!err) {
        const char *broken = broken_promise(clr);
        if (broken)
            fail_msg("broken: %s", broken);
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
