// A portable PDB, laid by hand, in a file and in an image; and broken at every byte.
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "pdb/pdb.h"
#include "support/fake_metadata.h"

static const uint8_t id[LG_PDB_ID] = "sixteen byte id.STMP";
static uint8_t bytes[1 << 16], image[1 << 16];
static size_t len, image_len;

// Three methods of two files: "/src/A.cs", "B.cs".
//
//     1   0 12:5   3 hidden   9 13:1   200 11:70      backwards, and by two and four bytes
//     2   no points
//     3   0 1000:1 of B.cs, then of A.cs 8 1001:1
static void build(void)
{
    static const uint8_t one[] = { 0,                                    // locals
                                   0,    0,   8, 12, 5,                  // 12:5
                                   3,    0,   0,                         // hidden
                                   6,    0,   9, 2,  0x79,               // +1, -4
                                   0x80, 191, 1, 2,  0x7d, 0x80, 0x8a }; // -2, +69
    static const uint8_t three[] = { 0, 2,                               // locals, document
                                     0, 0, 1, 0x83, 0xe8, 1,             // 1000:1
                                     0, 1,                               // document
                                     8, 0, 1, 2,    0 };                 // 1001:1
    static struct fake_metadata md;
    md = (struct fake_metadata){ .pdb = id };
    uint8_t folder = (uint8_t)fake_md_blob(&md, "/src", 4), a = (uint8_t)fake_md_blob(&md, "A.cs", 4);
    uint8_t b = (uint8_t)fake_md_blob(&md, "B.cs", 4);
    fake_md_row(&md, 0x30, "2222", fake_md_blob(&md, (uint8_t[]){ '/', folder, a }, 3), 0, 0, 0);
    fake_md_row(&md, 0x30, "2222", fake_md_blob(&md, (uint8_t[]){ 0, b }, 2), 0, 0, 0);
    fake_md_row(&md, 0x31, "22", 1, fake_md_blob(&md, one, sizeof(one)));
    fake_md_row(&md, 0x31, "22", 0, 0);
    fake_md_row(&md, 0x31, "22", 0, fake_md_blob(&md, three, sizeof(three)));
    len = fake_md_finish(&md, bytes, sizeof(bytes));
}

static struct lg_error *open_copy(const void *from, size_t size, struct lg_pdb **ret)
{
    uint8_t *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, from, size);
    return lg_pdb_new(copy, size, ret);
}

static struct lg_pdb *open_built(void)
{
    struct lg_pdb *pdb;
    build();
    assert_ok(open_copy(bytes, len, &pdb));
    return pdb;
}

static void assert_point(const struct lg_pdb *pdb, uint32_t method, uint32_t il, uint32_t line,
                         uint32_t column, const char *file)
{
    struct lg_pdb_point point;
    char buf[64];
    assert_true(lg_pdb_find(pdb, method, il, &point));
    assert_int_equal(point.line, line);
    assert_int_equal(point.column, column);
    assert_string_equal(lg_pdb_file(pdb, point.document, buf, sizeof(buf)), file);
}

static void an_offset_is_of_the_last_line_that_began(void **state)
{
    _cleanup_(lg_pdb_freep) struct lg_pdb *pdb = open_built();
    assert_memory_equal(lg_pdb_id(pdb), id, LG_PDB_ID);
    assert_int_equal(lg_pdb_methods(pdb), 3);
    assert_point(pdb, 0x06000001, 0, 12, 5, "/src/A.cs");
    assert_point(pdb, 0x06000001, 2, 12, 5, "/src/A.cs");
    assert_point(pdb, 0x06000001, 5, 12, 5, "/src/A.cs"); // hidden
    assert_point(pdb, 0x06000001, 9, 13, 1, "/src/A.cs");
    assert_point(pdb, 0x06000001, 199, 13, 1, "/src/A.cs");
    assert_point(pdb, 0x06000001, UINT32_MAX, 11, 70, "/src/A.cs");
    assert_point(pdb, 3, 7, 1000, 1, "B.cs");
    assert_point(pdb, 3, 8, 1001, 1, "/src/A.cs");
}

static void what_has_no_lines_is_not_found(void **state)
{
    _cleanup_(lg_pdb_freep) struct lg_pdb *pdb = open_built();
    struct lg_pdb_point point;
    char buf[64];
    assert_false(lg_pdb_find(pdb, 0x06000002, 0, &point));
    assert_false(lg_pdb_find(pdb, 0x06000000, 0, &point));
    assert_false(lg_pdb_find(pdb, 0x06000004, 0, &point));
    assert_false(lg_pdb_find(pdb, 0x0a000001, 0, &point));
    assert_null(lg_pdb_file(pdb, 0, buf, sizeof(buf)));
    assert_null(lg_pdb_file(pdb, 3, buf, sizeof(buf)));
    assert_null(lg_pdb_file(pdb, 1, buf, 9)); // does not fit
    assert_non_null(lg_pdb_file(pdb, 1, buf, 10 + 1));
}

static void other_files_are_none(void **state)
{
    struct lg_pdb *pdb;
    assert_error(open_copy("Microsoft C/C++ MSF 7.00", 24, &pdb), LG_ERR_CORRUPT,
                 "PDB: metadata: does not start with BSJB");
    static struct fake_metadata md;
    md = (struct fake_metadata){ .pdb = NULL };
    len = fake_md_finish(&md, bytes, sizeof(bytes));
    assert_error(open_copy(bytes, len, &pdb), LG_ERR_UNSUPPORTED, "PDB: no portable one");
    md.pdb = id;
    fake_md_row(&md, 0x06, "422222", 0, 0, 0, 0, 0, 1);
    len = fake_md_finish(&md, bytes, sizeof(bytes));
    assert_error(open_copy(bytes, len, &pdb), LG_ERR_UNSUPPORTED, "PDB: has tables of an assembly");
}

// ---- damage ----

static void take_point(void *data, const struct lg_pdb_point *point)
{
    unsigned *n = data;
    assert_true(++*n < 4096);
}

static void ask_everything(const uint8_t *from, size_t size)
{
    _cleanup_(lg_pdb_freep) struct lg_pdb *pdb = NULL;
    struct lg_error *err = open_copy(from, size, &pdb);
    for (uint32_t rid = 0; !err && rid < 5; rid++) {
        struct lg_pdb_point point;
        unsigned n = 0;
        char buf[64];
        lg_pdb_points(pdb, rid, take_point, &n);
        if (lg_pdb_find(pdb, rid, 100, &point))
            assert_int_not_equal(point.line, LG_PDB_HIDDEN);
        lg_pdb_file(pdb, rid, buf, sizeof(buf));
    }
    lg_error_free(err);
}

static void any_damage_is_an_error_or_other_lines(void **state)
{
    build();
    for (size_t cut = 0; cut < len; cut++)
        ask_everything(bytes, cut);
    for (size_t i = 0; i < len * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        ask_everything(bytes, len);
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

// Points that end in the middle of one: none of that method is believed.
static void points_that_break_off_are_no_lines(void **state)
{
    static const uint8_t cut[] = { 0, 0, 0, 1, 9, 1, 5, 0, 1, 2 };
    static struct fake_metadata md;
    md = (struct fake_metadata){ .pdb = id };
    fake_md_row(&md, 0x31, "22", 1, fake_md_blob(&md, cut, sizeof(cut)));
    len = fake_md_finish(&md, bytes, sizeof(bytes));
    _cleanup_(lg_pdb_freep) struct lg_pdb *pdb = NULL;
    struct lg_pdb_point point;
    unsigned n = 0;
    assert_ok(open_copy(bytes, len, &pdb));
    assert_false(lg_pdb_points(pdb, 1, take_point, &n));
    assert_int_equal(n, 1);
    assert_false(lg_pdb_find(pdb, 1, 100, &point));
}

// ---- images ----

static bool read_image(void *data, uint64_t offset, void *buf, size_t size)
{
    if (offset > image_len || size > image_len - offset)
        return false;
    memcpy(buf, image + offset, size);
    return true;
}
static const struct lg_pe_source source = { read_image, NULL };

static size_t put(size_t at, const void *what, size_t size)
{
    memcpy(image + at, what, size);
    return at + size;
}

static size_t put_u32(size_t at, uint32_t value)
{
    return put(at, &value, 4);
}

static size_t put_entry(size_t at, uint32_t stamp, uint32_t type, uint32_t size, size_t data)
{
    const uint32_t rva = (uint32_t)(data - FAKE_PE_SECTION + FAKE_PE_RVA);
    const uint32_t words[] = { 0, stamp, 0, type, size, rva, (uint32_t)data };
    return put(at, words, sizeof(words));
}

// An image with two entries behind its metadata: the id and path of its PDB, and the PDB, stored.
static void build_image(const void *pdb, uint16_t pdb_len, uint32_t claimed)
{
    enum {
        OPTIONAL = 0x98,
        SECTIONS = OPTIONAL + 240,
        DIRECTORY = OPTIONAL + 112 + 8 * 6,
        ENTRIES = 56
    };
    static const char path[] = "/build/obj/App.pdb";
    uint32_t stamp;
    memset(image, 0, sizeof(image));
    size_t directory = fake_pe((const uint8_t *)"metadata", 8, image, sizeof(image));
    size_t codeview = directory + ENTRIES, embedded = codeview + 24 + sizeof(path);
    memcpy(&stamp, id + 16, 4);
    size_t at = put_entry(directory, stamp, 2, 24 + sizeof(path), codeview);
    put_entry(at, 0, 17, 8u + 5u + pdb_len, embedded);
    at = put(codeview, "RSDS", 4);
    at = put(at, id, 16);
    at = put_u32(at, 1);
    put(at, path, sizeof(path));
    at = put(embedded, "MPDB", 4);
    at = put_u32(at, claimed);
    at = put(at,
             (uint8_t[]){ 1, (uint8_t)pdb_len, (uint8_t)(pdb_len >> 8), (uint8_t)~pdb_len,
                          (uint8_t)(~pdb_len >> 8) },
             5);
    image_len = put(at, pdb, pdb_len);
    put_u32(DIRECTORY, (uint32_t)(directory - FAKE_PE_SECTION + FAKE_PE_RVA));
    put_u32(DIRECTORY + 4, ENTRIES);
    put_u32(SECTIONS + 8, (uint32_t)image_len - FAKE_PE_SECTION);
    put_u32(SECTIONS + 16, (uint32_t)image_len - FAKE_PE_SECTION);
}

static void an_image_says_its_pdb_and_may_have_it(void **state)
{
    struct lg_pe_debug debug;
    _cleanup_(lg_pdb_freep) struct lg_pdb *pdb = NULL;
    build();
    build_image(bytes, (uint16_t)len, (uint32_t)len);
    assert_true(lg_pe_debug(&source, false, &debug));
    assert_true(debug.has_id);
    assert_memory_equal(debug.id, id, LG_PDB_ID);
    assert_string_equal(debug.path, "/build/obj/App.pdb");
    assert_ok(lg_pdb_embedded(&source, &debug, &pdb));
    assert_point(pdb, 1, 9, 13, 1, "/src/A.cs");
}

// As it lies there once it is loaded.
static void a_mapped_image_says_the_same(void **state)
{
    static uint8_t file[sizeof(image)];
    struct lg_pe_debug debug;
    _cleanup_(lg_pdb_freep) struct lg_pdb *pdb = NULL;
    build();
    build_image(bytes, (uint16_t)len, (uint32_t)len);
    memcpy(file, image, image_len);
    memcpy(image + FAKE_PE_RVA, file + FAKE_PE_SECTION, image_len - FAKE_PE_SECTION);
    image_len += FAKE_PE_RVA - FAKE_PE_SECTION;
    assert_true(lg_pe_debug(&source, true, &debug));
    assert_memory_equal(debug.id, id, LG_PDB_ID);
    assert_ok(lg_pdb_embedded(&source, &debug, &pdb));
    assert_int_equal(lg_pdb_methods(pdb), 3);
}

static void assert_not_embedded(const char *message)
{
    struct lg_pe_debug debug;
    struct lg_pdb *pdb;
    assert_true(lg_pe_debug(&source, false, &debug));
    assert_error(lg_pdb_embedded(&source, &debug, &pdb), LG_ERR_CORRUPT, message);
}

static void what_does_not_unpack_is_refused(void **state)
{
    build();
    build_image(bytes, (uint16_t)len, (uint32_t)len + 1);
    assert_not_embedded("embedded PDB: does not unpack to what it says");
    build_image(bytes, (uint16_t)len, (uint32_t)len - 1);
    assert_not_embedded("embedded PDB: does not unpack to what it says");
    build_image(bytes, (uint16_t)len, 200 << 20); // Memory that the file does not pay for.
    assert_not_embedded("embedded PDB: its header makes no sense");
    build_image(bytes, (uint16_t)len, (uint32_t)len);
    image_len--;
    assert_not_embedded("embedded PDB: is not all there");
    build_image("nonsense", 8, 8);
    assert_not_embedded("PDB: metadata: does not start with BSJB");
}

static void damaged_images_are_none_or_others(void **state)
{
    build();
    build_image(bytes, (uint16_t)len, (uint32_t)len);
    for (size_t i = 0; i < image_len * 8; i++) {
        struct lg_pe_debug debug;
        struct lg_pdb *pdb = NULL;
        image[i / 8] ^= (uint8_t)(1u << i % 8);
        if (lg_pe_debug(&source, i & 1, &debug) && debug.embedded_size)
            lg_error_free(lg_pdb_embedded(&source, &debug, &pdb));
        lg_pdb_free(pdb);
        image[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offset_is_of_the_last_line_that_began),
        cmocka_unit_test(what_has_no_lines_is_not_found),
        cmocka_unit_test(other_files_are_none),
        cmocka_unit_test(any_damage_is_an_error_or_other_lines),
        cmocka_unit_test(points_that_break_off_are_no_lines),
        cmocka_unit_test(an_image_says_its_pdb_and_may_have_it),
        cmocka_unit_test(a_mapped_image_says_the_same),
        cmocka_unit_test(what_does_not_unpack_is_refused),
        cmocka_unit_test(damaged_images_are_none_or_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
