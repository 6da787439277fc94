// Pages of memory that holds still.
#include "test.h"

#include <string.h>

#include "target/page_cache.h"

// Memory from 0x1000 to 0x3000, whose bytes are their address, and how often it was asked.
struct memory {
    unsigned fetches;
};

static size_t fetch(void *data, uint64_t address, void *buf, size_t len)
{
    struct memory *memory = data;
    memory->fetches++;
    uint8_t *out = buf;
    size_t n = 0;
    for (; n < len && address + n >= 0x1000 && address + n < 0x3000; n++)
        out[n] = (uint8_t)(address + n + (address + n) / 0x1000);
    return n;
}

static void a_page_is_fetched_once(void **state)
{
    struct lg_page_cache cache;
    struct memory memory = { 0 };
    uint8_t buf[16];
    lg_page_cache_init(&cache);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(lg_page_cache_read(&cache, 0x1000 + i, buf, 8, fetch, &memory));
        assert_int_equal(buf[7], (uint8_t)(0x1000 + i + 7 + 1));
    }
    assert_int_equal(memory.fetches, 1);
    assert_true(lg_page_cache_read(&cache, 0x1ff8, buf, 16, fetch, &memory));
    assert_int_equal(buf[7], (uint8_t)(0xff + 1));
    assert_int_equal(buf[8], (uint8_t)(0x00 + 2));
    assert_int_equal(memory.fetches, 2);
    lg_page_cache_clear(&cache);
    assert_true(lg_page_cache_read(&cache, 0x1000, buf, 8, fetch, &memory));
    assert_int_equal(memory.fetches, 3);
    lg_page_cache_deinit(&cache);
}

static void what_is_not_whole_is_the_callers(void **state)
{
    struct lg_page_cache cache;
    struct memory memory = { 0 };
    uint8_t buf[LG_CACHE_READ_MAX + 1];
    lg_page_cache_init(&cache);
    assert_false(lg_page_cache_read(&cache, 0x2ff8, buf, 16, fetch, &memory));
    assert_false(lg_page_cache_read(&cache, 0xff8, buf, 4, fetch, &memory));
    assert_false(lg_page_cache_read(&cache, UINT64_MAX, buf, 4, fetch, &memory));
    assert_false(lg_page_cache_read(&cache, 0x1000, buf, sizeof(buf), fetch, &memory));
    lg_page_cache_deinit(&cache);
    assert_false(lg_page_cache_read(&cache, 0x1000, buf, 8, fetch, &memory));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_fetched_once),
        cmocka_unit_test(what_is_not_whole_is_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
