// /proc/PID/smaps as text, and what it means: fake input, odd input, and one page more or less.
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "picture/picture.h"

#define LINE "7f0000000000-7f0000010000 rw-p 00001000 08:01 131                        /lib/a b.so\n"
#define ENTRY(line, rss, sc, sd, pc, pd, anon) \
    line "Size:  64 kB\nRss:   " rss " kB\nPss:  1 kB\nShared_Clean:  " sc " kB\nShared_Dirty: " sd \
         " kB\nPrivate_Clean:  " pc " kB\nPrivate_Dirty: " pd " kB\nAnonymous:  " anon \
         " kB\nVmFlags: rd wr mr mw me ac \n"

static void parse(const char *text, struct lg_mappings *ret)
{
    assert_ok(lg_smaps_parse(text, strlen(text), ret));
}

static void a_mapping_is_split_into_private_shareable_and_shared(void **state)
{
    struct lg_mappings m = { 0 };
    parse(ENTRY(LINE, "32", "0", "0", "20", "12", "12"), &m);
    assert_int_equal(m.all.len, 1);
    const struct lg_mapping *mapping = &m.all.at[0];
    assert_int_equal(mapping->start, 0x7f0000000000);
    assert_int_equal(mapping->end, 0x7f0000010000);
    assert_int_equal(mapping->offset, 0x1000);
    assert_int_equal(mapping->access, LG_READ | LG_WRITE);
    assert_true(mapping->has_file);
    assert_false(mapping->is_shared);
    assert_string_equal(mapping->path, "/lib/a b.so");
    assert_int_equal(mapping->sum.resident, 32 << 10);
    assert_int_equal(mapping->sum.own, 12 << 10);
    assert_int_equal(mapping->sum.shareable, 20 << 10);
    assert_int_equal(mapping->sum.shared, 0);
    assert_false(mapping->sum.split_unknown);
    lg_mappings_deinit(&m);
}

static void anonymous_pages_that_are_mapped_twice_are_shared(void **state)
{
    struct lg_mappings m = { 0 };
    parse(ENTRY("1000-9000 rw-p 00000000 00:00 0 \n", "32", "0", "24", "0", "8", "32"), &m);
    assert_false(m.all.at[0].has_file);
    assert_int_equal(m.all.at[0].sum.shared, 24 << 10);
    assert_int_equal(m.all.at[0].sum.own, 8 << 10);
    assert_false(m.all.at[0].sum.split_unknown);
    lg_mappings_deinit(&m);
}

static void shared_memory_of_this_process_alone_is_shareable(void **state)
{
    struct lg_mappings m = { 0 };
    parse(ENTRY("1000-9000 rw-s 00000000 00:01 77 /memfd:doublemapper (deleted)\n", "32", "0", "0", "0",
                "32", "0"),
          &m);
    assert_true(m.all.at[0].is_shared);
    assert_int_equal(m.all.at[0].sum.shareable, 32 << 10);
    lg_mappings_deinit(&m);
}

static void where_copies_may_be_among_the_shared_pages_the_split_is_unknown(void **state)
{
    struct lg_mappings m = { 0 };
    parse(ENTRY(LINE, "32", "8", "8", "8", "8", "12"), &m);
    assert_true(m.all.at[0].sum.split_unknown);
    assert_int_equal(m.all.at[0].sum.shared, 16 << 10);
    lg_mappings_deinit(&m);
}

static void huge_pages_of_hugetlb_are_counted_though_rss_is_without_them(void **state)
{
    struct lg_mappings m = { 0 };
    parse("200000-600000 rw-p 00000000 00:0f 9 /anon_hugepage (deleted)\nRss: 0 kB\nAnonymous: 0 kB\n"
          "Shared_Hugetlb: 0 kB\nPrivate_Hugetlb: 4096 kB\nSwap: 0 kB\n",
          &m);
    assert_int_equal(m.all.at[0].hugetlb, 4 << 20);
    assert_int_equal(m.all.at[0].sum.resident, 4 << 20);
    assert_int_equal(m.all.at[0].sum.own, 4 << 20);
    lg_mappings_deinit(&m);
}

static void swapped_and_locked_pages_are_told(void **state)
{
    struct lg_mappings m = { 0 };
    parse("1000-9000 rw-p 00000000 00:00 0 \nRss: 8 kB\nPrivate_Dirty: 8 kB\nAnonymous: 8 kB\n"
          "Swap: 12 kB\nLocked: 4 kB\n2000000-2001000 ---p 00000000 00:00 0 \nRss: 0 kB\n",
          &m);
    assert_int_equal(m.all.len, 2);
    assert_int_equal(m.all.at[0].sum.swapped, 12 << 10);
    assert_int_equal(m.all.at[0].sum.locked, 8 << 10);
    assert_int_equal(m.all.at[1].sum.resident, 0);
    lg_mappings_deinit(&m);
}

static void expect(const char *text, const char *message)
{
    struct lg_mappings m = { 0 };
    struct lg_error *err = lg_smaps_parse(text, strlen(text), &m);
    assert_non_null(err);
    if (!strstr(lg_error_message(err), message))
        fail_msg("%s", lg_error_message(err));
    lg_error_free(err);
    lg_mappings_deinit(&m);
}

static void what_is_not_as_proc_has_it_is_an_error_with_its_line(void **state)
{
    expect("Rss: 4 kB\n", "smaps: line 1");
    expect("1000-2000 rw-p 00000000 00:00 0\nRss: many kB\n", "smaps: line 2");
    expect("1000-2000 rw-p 00000000 00:00 0\nRss: 99999999999999999999 kB\n", "smaps: line 2");
    expect("2000-1000 rw-p 00000000 00:00 0\n", "smaps: line 1");
    expect("1000-3000 rw-p 00000000 00:00 0\nRss: 4 kB\n2000-4000 rw-p 00000000 00:00 0\n", "line 3");
    expect("1000-\n", "smaps: line 1");
}

static void seventy_thousand_mappings_are_as_good_as_one(void **state)
{
    enum { COUNT = 70000 };
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (unsigned i = 0; i < COUNT; i++)
        fprintf(out, "%x-%x %s 00000000 00:00 0 \nRss: 4 kB\nPrivate_Dirty: 4 kB\nAnonymous: 4 kB\n",
                (i + 1) * 4096, (i + 2) * 4096, i % 2 ? "rw-p" : "r--p");
    fclose(out);
    struct lg_mappings m = { 0 };
    assert_ok(lg_smaps_parse(text, len, &m));
    assert_int_equal(m.all.len, COUNT);
    uint64_t sum = 0;
    for (size_t i = 0; i < m.all.len; i++)
        sum += m.all.at[i].sum.own;
    assert_int_equal(sum, COUNT * 4096);
    lg_mappings_deinit(&m);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mapping_is_split_into_private_shareable_and_shared),
        cmocka_unit_test(anonymous_pages_that_are_mapped_twice_are_shared),
        cmocka_unit_test(shared_memory_of_this_process_alone_is_shareable),
        cmocka_unit_test(where_copies_may_be_among_the_shared_pages_the_split_is_unknown),
        cmocka_unit_test(huge_pages_of_hugetlb_are_counted_though_rss_is_without_them),
        cmocka_unit_test(swapped_and_locked_pages_are_told),
        cmocka_unit_test(what_is_not_as_proc_has_it_is_an_error_with_its_line),
        cmocka_unit_test(seventy_thousand_mappings_are_as_good_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
