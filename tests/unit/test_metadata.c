// ECMA-335 metadata, laid by hand, read back; and broken at every byte.
#include "test.h"

#include <string.h>

#include "metadata/metadata.h"
#include "metadata/pe.h"
#include "metadata/signature.h"
#include "support/fake_metadata.h"

static uint8_t bytes[1 << 16];
static size_t len;

// App.Node { next, name }, App.Outer`1 { +Inner`1 { x } }, a TypeRef System.Object, a TypeSpec int[].
static void build(bool uncompressed)
{
    static struct fake_metadata md;
    md = (struct fake_metadata){ .uncompressed = uncompressed };
    uint32_t app = fake_md_string(&md, "App"), field = fake_md_blob(&md, "\x06\x12\x08", 3);
    uint32_t method = fake_md_blob(&md, "\x20\x00\x01", 3), spec = fake_md_blob(&md, "\x1d\x08", 2);
    fake_md_row(&md, 0x00, "22222", 0, fake_md_string(&md, "App.dll"), 0, 0, 0);
    fake_md_row(&md, 0x01, "222", 1 << 2 | 2, fake_md_string(&md, "Object"),
                fake_md_string(&md, "System"));
    fake_md_row(&md, 0x02, "422222", 0, fake_md_string(&md, "<Module>"), 0, 0, 1, 1);
    fake_md_row(&md, 0x02, "422222", 1, fake_md_string(&md, "Node"), app, 1 << 2 | 1, 1, 1);
    fake_md_row(&md, 0x02, "422222", 1, fake_md_string(&md, "Outer`1"), app, 0, 3, 2);
    fake_md_row(&md, 0x02, "422222", 2, fake_md_string(&md, "Inner`1"), 0, 0, 3, 2);
    fake_md_row(&md, 0x04, "222", 1, fake_md_string(&md, "next"), field);
    fake_md_row(&md, 0x04, "222", 0x11, fake_md_string(&md, "name"), field);
    fake_md_row(&md, 0x04, "222", 1, fake_md_string(&md, "x"), field);
    fake_md_row(&md, 0x06, "422222", 0, 0, 0, fake_md_string(&md, "Run"), method, 1);
    fake_md_row(&md, 0x1b, "2", spec);
    fake_md_row(&md, 0x20,
                "4222242"
                "22",
                0, 0, 0, 0, 0, 0, 0, fake_md_string(&md, "App"), 0);
    fake_md_row(&md, 0x23,
                "22224"
                "2222",
                0, 0, 0, 0, 0, 0, fake_md_string(&md, "System.Runtime"), 0, 0);
    fake_md_row(&md, 0x29, "22", 4, 3);
    fake_md_row(&md, 0x2a, "2222", 0, 0, 3 << 1, fake_md_string(&md, "T"));
    if (uncompressed) { // The lists say field 1, then 3, then 2.
        fake_md_row(&md, 0x03, "2", 1);
        fake_md_row(&md, 0x03, "2", 3);
        fake_md_row(&md, 0x03, "2", 2);
    }
    len = fake_md_finish(&md, bytes, sizeof(bytes));
}

static void types_fields_and_methods_have_their_names(void **state)
{
    struct lg_metadata md;
    struct lg_md_type type;
    struct lg_md_member member;
    build(false);
    assert_ok(lg_metadata_init(&md, bytes, len));
    assert_int_equal(lg_metadata_rows(&md, LG_MD_TYPE_DEF), 4);
    assert_true(lg_metadata_type(&md, 2, &type));
    assert_string_equal(type.name, "Node");
    assert_string_equal(type.name_space, "App");
    assert_int_equal(type.extends, 0x01000001);
    assert_int_equal(type.outer, 0);
    assert_true(lg_metadata_type(&md, 4, &type));
    assert_string_equal(type.name_space, "");
    assert_int_equal(type.outer, 3);
    assert_true(lg_metadata_field(&md, 2, &member));
    assert_string_equal(member.name, "name");
    assert_int_equal(member.flags, 0x11);
    assert_int_equal(member.signature.len, 3);
    assert_int_equal(member.signature.at[1], 0x12);
    assert_true(lg_metadata_method(&md, 1, &member));
    assert_string_equal(member.name, "Run");
    lg_metadata_deinit(&md);
}

static void references_and_parameters_have_their_names(void **state)
{
    struct lg_metadata md;
    struct lg_md_type_ref ref;
    struct lg_md_blob spec;
    build(false);
    assert_ok(lg_metadata_init(&md, bytes, len));
    assert_true(lg_metadata_type_ref(&md, 1, &ref));
    assert_string_equal(ref.name_space, "System");
    assert_int_equal(ref.scope, 0x23000001);
    assert_string_equal(lg_metadata_assembly_ref(&md, 1), "System.Runtime");
    assert_string_equal(lg_metadata_assembly_name(&md), "App");
    assert_string_equal(lg_metadata_module_name(&md), "App.dll");
    assert_string_equal(lg_metadata_generic_param(&md, 1), "T");
    assert_true(lg_metadata_type_spec(&md, 1, &spec));
    assert_memory_equal(spec.at, "\x1d\x08", 2);
    lg_metadata_deinit(&md);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct lg_metadata md;
    struct lg_md_type type;
    struct lg_md_member member;
    build(false);
    assert_ok(lg_metadata_init(&md, bytes, len));
    assert_false(lg_metadata_type(&md, 0, &type));
    assert_false(lg_metadata_type(&md, 5, &type));
    assert_false(lg_metadata_field(&md, UINT32_MAX, &member));
    assert_null(lg_metadata_generic_param(&md, 2));
    assert_int_equal(lg_metadata_find_type(&md, 0, "App", "Node"), 2);
    assert_int_equal(lg_metadata_find_type(&md, 3, "", "Inner`1"), 4);
    assert_int_equal(lg_metadata_find_type(&md, 0, "", "Inner`1"), 0);
    lg_metadata_deinit(&md);
}

static void nesting_goes_outwards_and_ends(void **state)
{
    struct lg_metadata md;
    uint32_t chain[LG_MD_NESTING];
    build(false);
    assert_ok(lg_metadata_init(&md, bytes, len));
    assert_int_equal(lg_metadata_nesting(&md, 4, chain), 2);
    assert_int_equal(chain[0], 4);
    assert_int_equal(chain[1], 3);
    md.outer[3] = 4; // bites its tail
    assert_int_equal(lg_metadata_nesting(&md, 4, chain), 2);
    assert_int_equal(lg_metadata_nesting(&md, 99, chain), 0);
    lg_metadata_deinit(&md);
}

static void lists_go_through_pointer_tables(void **state)
{
    struct lg_metadata md;
    uint32_t first;
    build(false);
    assert_ok(lg_metadata_init(&md, bytes, len));
    assert_int_equal(lg_metadata_field_count(&md, 2, &first), 2);
    assert_int_equal(first, 1);
    assert_int_equal(lg_metadata_field_rid(&md, 2), 2);
    assert_int_equal(lg_metadata_field_count(&md, 3, &first), 0);
    assert_int_equal(lg_metadata_field_count(&md, 4, &first), 1);
    assert_int_equal(lg_metadata_method_count(&md, 2, &first), 1);
    assert_int_equal(lg_metadata_method_rid(&md, 1), 1);
    lg_metadata_deinit(&md);

    build(true);
    assert_ok(lg_metadata_init(&md, bytes, len));
    assert_int_equal(lg_metadata_field_rid(&md, 2), 3);
    assert_int_equal(lg_metadata_field_rid(&md, 3), 2);
    assert_int_equal(lg_metadata_field_rid(&md, 4), 0);
    lg_metadata_deinit(&md);
}

static void numbers_in_signatures_have_three_lengths(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint32_t value;
    } cases[] = { { "\x03", 1, 3 },
                  { "\x7f", 1, 0x7f },
                  { "\x80\x80", 2, 0x80 },
                  { "\xae\x57", 2, 0x2e57 },
                  { "\xc0\x00\x40\x00", 4, 0x4000 },
                  { "\xdf\xff\xff\xff", 4, 0x1fffffff } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct lg_reader r = lg_reader(cases[i].bytes, cases[i].len);
        assert_int_equal(lg_sig_number(&r), cases[i].value);
        assert_false(r.failed);
        r = lg_reader(cases[i].bytes, cases[i].len - 1);
        assert_int_equal(lg_sig_number(&r), 0);
        assert_true(r.failed);
    }
    struct lg_reader r = lg_reader("\x1f\x05\x20\x09\x08", 5); // modopt, modreq, int
    assert_int_equal(lg_sig_element(&r), 8);
}

// ---- damage ----

static bool read_bytes(void *data, uint64_t offset, void *buf, size_t n)
{
    size_t size = *(size_t *)data;
    if (offset > size || n > size - offset)
        return false;
    memcpy(buf, bytes + offset, n);
    return true;
}

static void a_flat_image_leads_to_its_metadata(void **state)
{
    static uint8_t metadata[1 << 15];
    build(false);
    memcpy(metadata, bytes, len);
    size_t size = fake_pe(metadata, len, bytes, sizeof(bytes));
    struct lg_pe_source source = { read_bytes, &size };
    struct lg_pe pe;
    assert_ok(lg_pe_read(&source, false, &pe));
    assert_int_equal(pe.metadata, FAKE_PE_SECTION + FAKE_PE_METADATA);
    assert_int_equal(pe.metadata_size, len);
    assert_int_equal(pe.timestamp, 0x5eed);
    assert_int_equal(pe.image_size, 0x4000);
    assert_error(lg_pe_read(&source, true, &pe), LG_ERR_CORRUPT, "PE image: COR header is not there");
    size = 0x80;
    assert_error(lg_pe_read(&source, false, &pe), LG_ERR_CORRUPT, "no PE image");
}

static void damage(size_t offset, uint32_t value, const char *message)
{
    struct lg_metadata md;
    build(false);
    memcpy(bytes + offset, &value, 4);
    assert_error(lg_metadata_init(&md, bytes, len), LG_ERR_CORRUPT, message);
}

static void damaged_roots_are_reported(void **state)
{
    enum { STREAM = 32, TABLES = 80 };
    damage(0, 0, "metadata: does not start with BSJB");
    damage(STREAM, 1 << 30, "metadata: stream 0 ends past the end");
    damage(STREAM + 4, 28, "metadata: table 0x0 ends past its stream");
    damage(STREAM + 8, 0x58585823, "metadata: stream 1 ends past the end");
    damage(TABLES + 24, UINT32_MAX, "metadata: table 0x0 has 4294967295 rows");
    damage(TABLES + 24, 0xffffff, "metadata: table 0x0 ends past its stream");
    struct lg_metadata md;
    assert_error(lg_metadata_init(&md, "BSJB", 4), LG_ERR_CORRUPT, "metadata: no stream of tables");
}

static void use_everything(const struct lg_metadata *md)
{
    struct lg_md_type type;
    struct lg_md_type_ref ref;
    struct lg_md_member member;
    struct lg_md_blob blob;
    uint32_t chain[LG_MD_NESTING], first;
    for (uint32_t rid = 0; rid < 8; rid++) {
        if (lg_metadata_type(md, rid, &type))
            assert_true(strlen(type.name) + strlen(type.name_space) < len);
        if (lg_metadata_type_ref(md, rid, &ref))
            assert_true(strlen(ref.name) < len);
        if (lg_metadata_field(md, rid, &member) || lg_metadata_method(md, rid, &member))
            assert_true(member.signature.len < len);
        if (lg_metadata_type_spec(md, rid, &blob))
            assert_true(blob.len < len);
        assert_true(lg_metadata_nesting(md, rid, chain) <= LG_MD_NESTING);
        assert_true(lg_metadata_field_count(md, rid, &first) < 1 << 24);
    }
}

static void any_damaged_byte_harms_nobody(void **state)
{
    static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
    build(true);
    for (size_t i = 0; i < len; i++) {
        uint8_t before = bytes[i];
        for (size_t k = 0; k < sizeof(values); k++) {
            struct lg_metadata md;
            bytes[i] = values[k];
            struct lg_error *err = lg_metadata_init(&md, bytes, len);
            if (!err)
                use_everything(&md);
            lg_error_free(err);
            lg_metadata_deinit(&md);
        }
        bytes[i] = before;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_fields_and_methods_have_their_names),
        cmocka_unit_test(references_and_parameters_have_their_names),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(nesting_goes_outwards_and_ends),
        cmocka_unit_test(lists_go_through_pointer_tables),
        cmocka_unit_test(numbers_in_signatures_have_three_lengths),
        cmocka_unit_test(a_flat_image_leads_to_its_metadata),
        cmocka_unit_test(damaged_roots_are_reported),
        cmocka_unit_test(any_damaged_byte_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
