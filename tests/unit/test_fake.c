#include "test.h"

#include "support/fake.h"

static void only_what_was_written_is_there(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *fake = fake_new();
    fake_bytes(fake, 0x10ffc, "abcdefgh", 8);
    char buf[16] = "";
    assert_int_equal(lg_target_read(fake, 0x10ffd, buf, 16), 7);
    assert_memory_equal(buf, "bcdefgh", 7);
    assert_int_equal(lg_target_read(fake, 0x10ffb, buf, 16), 0);
    assert_int_equal(fake->ranges.len, 2);

    fake_forget(fake, 0x11000, 1);
    assert_int_equal(lg_target_read(fake, 0x10ffc, buf, 8), 4);
    assert_int_equal(lg_target_read(fake, UINT64_MAX - 2, buf, 8), 0);
}

static void ranges_are_kept_in_order(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *fake = fake_new();
    fake_map(fake, 0x50000, 0x60000, LG_READ, "/b", 0x1000);
    fake_u32(fake, 0x70004, 1);
    fake_map(fake, 0x10000, 0x20000, LG_READ, NULL, 0);
    fake_u32(fake, 0x50004, 1);
    assert_int_equal(fake->ranges.len, 3);
    assert_string_equal(lg_target_find(fake, 0x5ffff)->path, "/b");
    assert_string_equal(lg_target_find(fake, 0x10000)->path, "");
    assert_int_equal(lg_target_find(fake, 0x70fff)->access, LG_READ | LG_WRITE);
}

static void words_are_counted_for_damage(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *fake = fake_new();
    fake_zeros(fake, 0x1000, 20);
    fake_u64(fake, 0x3008, 1);
    uint64_t address = 0;
    assert_true(fake_word(fake, 1, &address) && address == 0x1008);
    assert_true(fake_word(fake, 2, &address) && address == 0x3008);
    assert_false(fake_word(fake, 3, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_was_written_is_there),
        cmocka_unit_test(ranges_are_kept_in_order),
        cmocka_unit_test(words_are_counted_for_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
