// Every word of the types of a fake runtime, replaced by hostile values in turn: names, fields and
// statics are refused or unknown, and nothing is harmed.
#include "test.h"

#include <string.h>

#include "clr/types_priv.h"
#include "support/fake_metadata.h"
#include "support/fake_types.h"

static void use_type(struct lg_clr *clr, uint64_t mt)
{
    const struct lg_field *fields;
    size_t count;
    const struct lg_type *type = lg_clr_type(clr, mt);
    if (!type)
        return;
    assert_true(strlen(lg_clr_type_name(clr, type)) < 1 << 16);
    lg_clr_loader_allocator(clr, type);
    struct lg_error *err = lg_clr_fields(clr, type, &fields, &count);
    for (size_t i = 0; !err && i < count; i++)
        assert_non_null(fields[i].name);
    lg_error_free(err);
}

static void use_statics(struct lg_clr *clr)
{
    const struct lg_static *statics;
    const struct lg_thread_root *roots;
    size_t count;
    struct lg_error *err = lg_clr_statics(clr, &statics, &count);
    for (size_t i = 0; !err && i < count; i++) {
        assert_true(i == 0 || statics[i - 1].slot < statics[i].slot);
        assert_ptr_equal(lg_clr_static_at(clr, statics[i].slot), &statics[i]);
    }
    lg_error_free(err);
    lg_error_free(lg_clr_thread_roots(clr, &roots, &count));
}

static void use_all(struct lg_target *target)
{
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    struct lg_error *err = lg_clr_open(target, NULL, &clr);
    for (int k = 0; !err && k < FT_TYPE_COUNT; k++)
        use_type(clr, FT_MT(k));
    for (int k = 0; !err && k <= FT_VARIABLE; k++)
        assert_non_null(lg_clr_handle_name(clr, FT_DESC(k) | 2));
    if (!err) {
        use_statics(clr);
        lg_clr_method_from_code(clr, FT_MT(FT_NODE));
        lg_clr_method_name(clr, FT_MT(FT_NODE));
    }
    lg_error_free(err);
    for (size_t i = 0; i < target->notes.len; i++)
        free(target->notes.at[i]);
    target->notes.len = 0;
}

enum { VALUES = 2 }; // Of each word.

static void damaged_types_harm_nobody(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_types();
    uint64_t address, before;
    for (size_t i = 0; fake_word(t, i, &address); i++) {
        if (address < FT_START || address >= FT_END || !lg_target_u64(t, address, &before))
            continue;
        for (size_t k = 0; k < VALUES; k++) {
            fake_u64(t, address, fake_hostile[(VALUES * i + k) % fake_hostile_count]);
            use_all(t);
        }
        fake_u64(t, address, before);
    }
}

// A word that leads to where it came from: chains, trees and names without end.
static void types_that_contain_themselves_harm_nobody(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_types();
    uint64_t address, before;
    for (size_t i = 0; fake_word(t, i, &address); i++) {
        if (address < FT_MT(0) || address >= FT_END || !lg_target_u64(t, address, &before) || !before)
            continue;
        static const uint64_t selves[] = { FT_MT(FT_INNER), FT_MT(FT_OUTER_STRING_ARRAY),
                                           FT_DESC(FT_BYREF) | 2, FT_DESC(FT_FUNCTION) | 2 };
        fake_u64(t, address, selves[i % 4]);
        use_all(t);
        fake_u64(t, address, before);
    }
}

// GENERICINST CLASS TypeSpec 1 <CLASS TypeSpec 1, CLASS TypeSpec 1>, which is TypeSpec 1: what it says
// doubles with every level.
static void a_type_spec_that_names_itself_comes_to_an_end(void **state)
{
    static const uint8_t signature[] = { 0x15, 0x12, 0x06, 2, 0x12, 0x06, 0x12, 0x06 };
    struct fake_metadata fake = { 0 };
    uint8_t bytes[1024];
    fake_md_row(&fake, 0x1b, "2", fake_md_blob(&fake, signature, sizeof(signature)));
    struct lg_metadata md;
    assert_ok(lg_metadata_init(&md, bytes, fake_md_finish(&fake, bytes, sizeof(bytes))));
    struct lg_clr clr = { 0 };
    struct lg_sig_scope scope = { .clr = &clr, .md = &md };
    struct lg_reader r = lg_reader(signature, sizeof(signature));
    bool exact;
    assert_int_equal(lg_signature_mt(&scope, &r, &exact), 0);
    assert_true(r.failed);
    lg_metadata_deinit(&md);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_types_harm_nobody),
        cmocka_unit_test(types_that_contain_themselves_harm_nobody),
        cmocka_unit_test(a_type_spec_that_names_itself_comes_to_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
