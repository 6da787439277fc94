#include "test.h"

#include <stdio.h>
#include <string.h>

#include "clr/descriptor.h"
#include "support/fake.h"

static const uint64_t pointers[] = { 0, 0x7000, 0x8000 };

static struct lg_error *parse(const char *json, struct lg_descriptor **ret)
{
    return lg_descriptor_parse(json, strlen(json), pointers, 3, ret);
}

static size_t read_file(const char *name, char *buf, size_t size)
{
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    size_t len = fread(buf, 1, size, f);
    fclose(f);
    return len;
}

static void values_have_four_spellings(void **state)
{
    _cleanup_(lg_descriptor_freep) struct lg_descriptor *d = NULL;
    assert_ok(parse(
        "{\"globals\": {\"Direct\": 7, \"Typed\": [\"0x7\", \"uint8\"], \"Indirect\": [1],"
        " \"TypedIndirect\": [[2], \"pointer\"], \"Negative\": \"-0x1\", \"Past\": [[3], \"pointer\"],"
        " \"Text\": [\"x64\", \"string\"], \"Nothing\": [], \"Real\": 1.5}}",
        &d));
    static const struct {
        const char *name;
        uint64_t value;
    } known[] = { { "Direct", 7 },
                  { "Typed", 7 },
                  { "Indirect", 0x7000 },
                  { "TypedIndirect", 0x8000 },
                  { "Negative", UINT64_MAX } };
    uint64_t value;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        assert_true(lg_descriptor_global(d, known[i].name, &value));
        assert_int_equal(value, known[i].value);
    }
    static const char *const unknown[] = { "Past", "Text", "Nothing", "Real", "Absent" };
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
        assert_false(lg_descriptor_global(d, unknown[i], &value));
}

static void offsets_may_have_types_and_sizes(void **state)
{
    _cleanup_(lg_descriptor_freep) struct lg_descriptor *d = NULL;
    assert_ok(parse("{ // comments, and trailing commas\n"
                    "\"types\": {\"T\": {\"!\": 16, \"a\": 4, \"b\": [\"0x8\", \"pointer\"], \"c\": -1, "
                    "\"d\": 4294967295,},},"
                    " /* of both kinds */ \"contracts\": {\"Old\": 2, \"New\": \"c3\", \"Native\": "
                    "\"n1\", \"Odd\": \"cx\"}}",
                    &d));
    uint32_t n;
    assert_true(lg_descriptor_size(d, "T", &n) && n == 16);
    assert_true(lg_descriptor_offset(d, "T", "a", &n) && n == 4);
    assert_true(lg_descriptor_offset(d, "T", "b", &n) && n == 8);
    assert_false(lg_descriptor_offset(d, "T", "c", &n));
    assert_false(lg_descriptor_offset(d, "T", "d", &n));
    assert_false(lg_descriptor_offset(d, "U", "a", &n));
    assert_true(lg_descriptor_contract(d, "Old", &n) && n == 2);
    assert_true(lg_descriptor_contract(d, "New", &n) && n == 3);
    assert_false(lg_descriptor_contract(d, "Native", &n));
    assert_false(lg_descriptor_contract(d, "Odd", &n));
}

static void real_descriptors_are_read(void **state)
{
    static const struct {
        const char *path;
        uint32_t first_link, type_size;
        uint64_t thread_store;
    } files[] = { { TEST_DATA "/contract-descriptor-10.0.9.json", 88, 64, 3 },
                  { TEST_DATA "/contract-descriptor-9.0.22.json", 160, 0, 2 } };
    for (size_t i = 0; i < 2; i++) {
        static char json[1 << 16];
        size_t len = read_file(files[i].path, json, sizeof(json));
        uint64_t indices[24];
        for (uint64_t k = 0; k < 24; k++)
            indices[k] = k;
        _cleanup_(lg_descriptor_freep) struct lg_descriptor *d = NULL;
        assert_ok(lg_descriptor_parse(json, len, indices, 24, &d));
        uint32_t n = 0;
        uint64_t value;
        assert_true(lg_descriptor_offset(d, "ThreadStore", "FirstThreadLink", &n)
                    && n == files[i].first_link);
        assert_true(lg_descriptor_offset(d, "RuntimeThreadLocals", "AllocContext", &n) && n == 0);
        assert_int_equal(lg_descriptor_size(d, "MethodTable", &n), files[i].type_size != 0);
        assert_int_equal(n, files[i].type_size);
        assert_true(lg_descriptor_global(d, "ThreadStore", &value) && value == files[i].thread_store);
        assert_true(lg_descriptor_global(d, "ObjectToMethodTableUnmask", &value) && value == 7);
        assert_true(lg_descriptor_contract(d, "Thread", &n) && n == 1);
    }
}

static void what_is_no_descriptor_is_refused(void **state)
{
    struct lg_descriptor *d = NULL;
    assert_error(parse("{}", &d), LG_ERR_CORRUPT, "data descriptor: neither types nor globals in it");
    assert_error(parse("[1]", &d), LG_ERR_CORRUPT, "data descriptor: neither types nor globals in it");
    assert_error(parse("{\"types\": {}} 1", &d), LG_ERR_CORRUPT,
                 "data descriptor: no JSON at offset 14: more follows");
    struct lg_error *err = parse("{\"types\": {", &d);
    assert_non_null(err);
    assert_int_equal(lg_error_kind(err), LG_ERR_CORRUPT);
    lg_error_free(err);

    char deep[2000];
    memset(deep, '[', sizeof(deep));
    deep[sizeof(deep) - 1] = 0;
    err = parse(deep, &d);
    assert_non_null(err);
    lg_error_free(err);
    assert_null(d);
}

// ---- in memory ----

enum {
    HEADER = 0x10000,
    JSON = 0x20000,
    POINTERS = 0x30000,
    SUB = 0x40000,
    SUB_JSON = 0x50000,
    SUB_POINTERS = 0x60000
};

static void write_part(struct lg_target *t, uint64_t header, uint64_t json_at, const char *json,
                       uint64_t pointers_at, uint32_t count)
{
    fake_string(t, header, "DNCCDAC");
    fake_u32(t, header + 8, 1);
    fake_u32(t, header + 12, (uint32_t)strlen(json));
    fake_u64(t, header + 16, json_at);
    fake_u64(t, header + 24, count);
    fake_u64(t, header + 32, pointers_at);
    fake_bytes(t, json_at, json, strlen(json));
}

static struct lg_target *a_target(void)
{
    struct lg_target *t = fake_new();
    write_part(t, HEADER, JSON,
               "{\"types\": {\"A\": {\"x\": 8}}, \"globals\": {\"G\": [1]},"
               " \"subDescriptors\": {\"GC\": [[2], \"pointer\"]}}",
               POINTERS, 3);
    fake_u64(t, POINTERS, 0);
    fake_u64(t, POINTERS + 8, 0x123);
    fake_u64(t, POINTERS + 16, 0x70000);
    fake_u64(t, 0x70000, SUB);
    write_part(t, SUB, SUB_JSON, "{\"types\": {\"B\": {\"y\": 16}}, \"globals\": {\"H\": [1]}}",
               SUB_POINTERS, 2);
    fake_u64(t, SUB_POINTERS, 0);
    fake_u64(t, SUB_POINTERS + 8, 0x456);
    return t;
}

static void sub_descriptors_have_their_own_pointers(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = a_target();
    _cleanup_(lg_descriptor_freep) struct lg_descriptor *d = NULL;
    assert_ok(lg_descriptor_read(t, HEADER, &d));
    uint64_t value;
    uint32_t offset;
    assert_true(lg_descriptor_global(d, "G", &value) && value == 0x123);
    assert_true(lg_descriptor_global(d, "H", &value) && value == 0x456);
    assert_true(lg_descriptor_offset(d, "B", "y", &offset) && offset == 16);
}

static void a_sub_descriptor_is_null_until_the_gc_is_initialised(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = a_target();
    fake_u64(t, 0x70000, 0);
    _cleanup_(lg_descriptor_freep) struct lg_descriptor *d = NULL;
    assert_ok(lg_descriptor_read(t, HEADER, &d));
    uint64_t value;
    assert_false(lg_descriptor_global(d, "H", &value));
}

static void a_descriptor_that_is_its_own_part_ends(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = a_target();
    fake_u64(t, 0x70000, HEADER);
    _cleanup_(lg_descriptor_freep) struct lg_descriptor *d = NULL;
    assert_ok(lg_descriptor_read(t, HEADER, &d));
}

static void broken_headers_are_named(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = a_target();
    struct lg_descriptor *d = NULL;
    fake_u32(t, HEADER + 8, 3);
    assert_error(lg_descriptor_read(t, HEADER, &d), LG_ERR_UNSUPPORTED,
                 "data descriptor at 0x10000: flags 0x3 are not a 64-bit runtime's");
    fake_u32(t, HEADER + 12, 0x7fffffff);
    fake_u32(t, HEADER + 8, 1);
    assert_error(lg_descriptor_read(t, HEADER, &d), LG_ERR_CORRUPT,
                 "data descriptor at 0x10000: 2147483647 bytes of JSON, 3 pointers");
    fake_u64(t, HEADER, 0);
    assert_error(lg_descriptor_read(t, HEADER, &d), LG_ERR_CORRUPT,
                 "data descriptor at 0x10000: its magic number is 0");
    assert_error(lg_descriptor_read(t, 0x1000, &d), LG_ERR_FAULT,
                 "data descriptor at 0x1000: not readable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_four_spellings),
        cmocka_unit_test(offsets_may_have_types_and_sizes),
        cmocka_unit_test(real_descriptors_are_read),
        cmocka_unit_test(what_is_no_descriptor_is_refused),
        cmocka_unit_test(sub_descriptors_have_their_own_pointers),
        cmocka_unit_test(a_sub_descriptor_is_null_until_the_gc_is_initialised),
        cmocka_unit_test(a_descriptor_that_is_its_own_part_ends),
        cmocka_unit_test(broken_headers_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
