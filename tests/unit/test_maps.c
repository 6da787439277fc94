#include "test.h"

#include <string.h>

#include "target/maps.h"

static const char example[] = //
    "55c1a2b3c000-55c1a2b3d000 r-xp 00001000 08:01 131074                     /opt/my app/run it\n"
    "7f0000000000-7f0000001000 rw-s 00000000 00:01 2048                       /memfd:doublemapper "
    "(deleted)\n"
    "7f0000002000-7f0000003000 ---p 00000000 00:00 0 \n"
    "7f0000004000-7f0000005000 r--p 00000000 00:00 0                          [vvar]\n"
    "7f0000006000-7f0000007000 rw-p 00000000 00:00 0                          /a\\012b\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

struct parsed {
    struct lg_target target;
    struct lg_arena paths;
};

static struct lg_error *parse(struct parsed *p, const char *text)
{
    return lg_maps_parse(text, strlen(text), &p->target, &p->paths);
}

static void release(struct parsed *p)
{
    lg_vec_free(&p->target.ranges);
    lg_arena_free(&p->paths);
}

static void a_line_becomes_a_range(void **state)
{
    _cleanup_(release) struct parsed p = { 0 };
    assert_ok(parse(&p, example));
    const struct lg_range *r = p.target.ranges.at;
    assert_int_equal(p.target.ranges.len, 6);
    assert_int_equal(r[0].start, 0x55c1a2b3c000);
    assert_int_equal(r[0].end, 0x55c1a2b3d000);
    assert_int_equal(r[0].saved, 0x1000);
    assert_int_equal(r[0].offset, 0x1000);
    assert_int_equal(r[0].access, LG_READ | LG_EXECUTE);
    assert_string_equal(r[0].path, "/opt/my app/run it");
    assert_string_equal(r[1].path, "/memfd:doublemapper (deleted)");
    assert_int_equal(r[2].access, 0);
    assert_int_equal(r[2].saved, 0x1000);
    assert_string_equal(r[2].path, "");
    assert_string_equal(r[4].path, "/a\nb");
}

static void pages_of_the_kernel_are_not_saved(void **state)
{
    _cleanup_(release) struct parsed p = { 0 };
    assert_ok(parse(&p, example));
    assert_int_equal(p.target.ranges.at[3].saved, 0);
    assert_int_equal(p.target.ranges.at[5].saved, 0);
    assert_int_equal(p.target.ranges.at[5].end, 0xffffffffff601000);
}

static void what_is_seen_twice_counts_once(void **state)
{
    _cleanup_(release) struct parsed p = { 0 };
    assert_ok(parse(&p, "1000-3000 rw-p 0 00:00 0\n2000-3000 rw-p 0 00:00 0\n3000-4000 r--p 0 00:00 0"));
    assert_int_equal(p.target.ranges.len, 2);
    assert_int_equal(p.target.ranges.at[1].start, 0x3000);
    assert_ok(parse(&p, "1000-3000 rw-p 0 00:00 0\n")); // Replaces what was there.
    assert_int_equal(p.target.ranges.len, 1);
    assert_ok(parse(&p, ""));
    assert_int_equal(p.target.ranges.len, 0);
}

static void what_is_no_line_is_an_error(void **state)
{
    static const char *const bad[] = {
        "\n",
        "hello\n",
        "1000\n",
        "1000-\n",
        "1000-2000 rw\n",
        "2000-1000 rw-p 0 00:00 0\n",
        "1000-1000 rw-p 0 00:00 0\n",
        "1000-2000 rw-p 0 00:00\n",
        "1000-20000000000000000 rw-p 0 00:00 0\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        _cleanup_(release) struct parsed p = { 0 };
        assert_error(parse(&p, bad[i]), LG_ERR_CORRUPT, "maps: line 1: not as /proc has it");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_becomes_a_range),
        cmocka_unit_test(pages_of_the_kernel_are_not_saved),
        cmocka_unit_test(what_is_seen_twice_counts_once),
        cmocka_unit_test(what_is_no_line_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
