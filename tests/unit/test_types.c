// Names, fields and statics of types laid by hand in a fake runtime.
#include "test.h"

#include <string.h>

#include "clr/clr.h"
#include "support/fake_types.h"
#include "util/parallel.h"

static struct lg_target *target;
static struct lg_clr *clr;

static int open_runtime(void **state)
{
    target = fake_types();
    assert_ok(lg_clr_open(target, NULL, &clr));
    return 0;
}

static int close_runtime(void **state)
{
    lg_clr_free(clr);
    lg_target_free(target);
    return 0;
}

static const char *name_of(uint64_t mt)
{
    const struct lg_type *type = lg_clr_type(clr, mt);
    assert_non_null(type);
    return lg_clr_type_name(clr, type);
}

static void names_are_those_of_the_debugger(void **state)
{
    assert_string_equal(name_of(FT_OBJECT), "System.Object");
    assert_string_equal(name_of(FT_STRING), "System.String");
    assert_string_equal(name_of(FT_OBJECT_ARRAY), "System.Object[]");
    assert_string_equal(name_of(FR_METHOD_TABLES + 0x300), "Free");
    assert_string_equal(name_of(FT_MT(FT_NODE)), "App.Node");
    assert_string_equal(name_of(FT_MT(FT_OUTER_STRING)), "App.Outer<System.String>");
    assert_string_equal(name_of(FT_MT(FT_INNER)), "App.Outer<System.Int32>+Inner<System.String>");
    assert_string_equal(name_of(FT_MT(FT_PAIR_CANON)), "App.Pair<System.__Canon, System.Int32>");
    assert_string_equal(name_of(FT_MT(FT_OUTER_STRING_ARRAY)), "App.Outer<System.String>[]");
    assert_string_equal(name_of(FT_MT(FT_NODE_MATRIX)), "App.Node[,]");
}

static void type_descs_have_names_too(void **state)
{
    assert_string_equal(lg_clr_handle_name(clr, FT_DESC(FT_POINTER) | 2), "System.Int32*");
    assert_string_equal(lg_clr_handle_name(clr, FT_DESC(FT_BYREF) | 2), "System.Int32*&");
    assert_string_equal(lg_clr_handle_name(clr, FT_DESC(FT_FUNCTION) | 2),
                        "System.Int32(System.String, System.Int32*)");
    assert_string_equal(lg_clr_handle_name(clr, FT_DESC(FT_VARIABLE) | 2), "T");
    assert_string_equal(lg_clr_handle_name(clr, 0x1230), "<unknown_type_1230>");
    assert_string_equal(lg_clr_handle_name(clr, 0x1232), "<unknown_type_1232>");
}

static void types_are_read_once_and_numbered(void **state)
{
    const struct lg_type *node = lg_clr_type(clr, FT_MT(FT_NODE));
    const struct lg_type *matrix = lg_clr_type(clr, FT_MT(FT_NODE_MATRIX));
    assert_ptr_equal(node, lg_clr_type(clr, FT_MT(FT_NODE)));
    assert_int_equal(node->id, 0);
    assert_int_equal(matrix->id, 1);
    assert_int_equal(lg_clr_type_count(clr), 2);
    assert_ptr_equal(lg_clr_type_at(clr, 1), matrix);
    assert_null(lg_clr_type_at(clr, 2));
    assert_int_equal(node->base_size, 48);
    assert_int_equal(node->token, 0x02000002);
    assert_int_equal(node->flags, LG_TYPE_REFERENCES);
    assert_int_equal(matrix->flags, LG_TYPE_REFERENCES | LG_TYPE_ARRAY);
    assert_int_equal(matrix->rank, 2);
    assert_int_equal(matrix->component_size, 8);
    assert_int_equal(matrix->token, 0);
    assert_int_equal(lg_clr_type(clr, FT_MT(FT_INT32))->flags, LG_TYPE_VALUE);
}

enum { CROWD = 3000, ROUNDS = 4 };
#define CROWD_MT(i) (UINT64_C(0x7e9000000000) + 0x100 * (uint64_t)(i))

static void ask(void *data, size_t i, size_t worker)
{
    const struct lg_type **types = data;
    types[i] = lg_clr_type(clr, CROWD_MT(i % CROWD));
}

static void several_threads_may_ask_at_once(void **state)
{
    static const struct lg_type *types[CROWD * ROUNDS];
    static bool seen[CROWD];
    for (uint64_t i = 0; i < CROWD; i++) {
        fake_zeros(target, CROWD_MT(i), 0x100);
        fake_u64(target, CROWD_MT(i) + 40, CROWD_MT(i) + 0x80);
        fake_u64(target, CROWD_MT(i) + 0x80 + 16, CROWD_MT(i));
    }
    lg_parallel(CROWD * ROUNDS, ask, types);
    assert_int_equal(lg_clr_type_count(clr), CROWD);
    for (size_t i = 0; i < CROWD * ROUNDS; i++) {
        assert_int_equal(types[i]->mt, CROWD_MT(i % CROWD));
        assert_ptr_equal(types[i], types[i % CROWD]);
        assert_ptr_equal(types[i], lg_clr_type_at(clr, types[i]->id));
        assert_true(i >= CROWD || !seen[types[i]->id]);
        seen[types[i]->id] = true;
    }
}

static void what_is_no_method_table_is_no_type(void **state)
{
    assert_null(lg_clr_type(clr, 0));
    assert_null(lg_clr_type(clr, FT_MT(FT_NODE) + 4));
    assert_null(lg_clr_type(clr, FT_MT(FT_NODE) + 8));
    assert_null(lg_clr_type(clr, 0x1000));
    fake_u64(target, FT_MT(FT_NODE) + 0x100 + 16, FT_MT(FT_INT32)); // EEClass.MethodTable
    assert_null(lg_clr_type(clr, FT_MT(FT_NODE)));
}

static void modules_have_paths_and_images(void **state)
{
    const struct lg_module *const *modules;
    size_t count;
    assert_ok(lg_clr_modules(clr, &modules, &count));
    assert_int_equal(count, 2);
    assert_string_equal(modules[1]->path, "/app/App.dll");
    assert_string_equal(modules[1]->name, "App.dll");
    assert_int_equal(modules[1]->image_base, FT_IMAGE(1));
    assert_int_equal(modules[1]->image_size, 0x4000);
    assert_false(modules[1]->is_dynamic);
    assert_ptr_equal(lg_clr_module(clr, FT_MODULE(1)), modules[1]);
    assert_null(lg_clr_module(clr, FT_MODULE(2)));
}

static void without_metadata_there_are_tokens(void **state)
{
    fake_forget(target, FT_IMAGE(1), 64);
    assert_string_equal(name_of(FT_MT(FT_NODE)), "App.dll!0x02000002");
    assert_string_equal(name_of(FT_MT(FT_OUTER_STRING)), "App.dll!0x02000003<System.String>");
    const struct lg_field *fields;
    size_t count;
    assert_ok(lg_clr_fields(clr, lg_clr_type(clr, FT_MT(FT_NODE)), &fields, &count));
    assert_int_equal(count, 6);
    assert_string_equal(fields[0].name, "<field_04000001>");
    assert_null(fields[0].type_name);
    assert_int_equal(fields[2].offset, 8);
}

// ---- fields ----

static const struct lg_field *fields_of(uint64_t mt, size_t expected)
{
    const struct lg_field *fields;
    size_t count;
    assert_ok(lg_clr_fields(clr, lg_clr_type(clr, mt), &fields, &count));
    assert_int_equal(count, expected);
    return fields;
}

static void fields_have_names_places_and_types(void **state)
{
    const struct lg_field *f = fields_of(FT_MT(FT_NODE), 6);
    assert_string_equal(f[0].name, "next");
    assert_string_equal(f[0].type_name, "App.Node");
    assert_int_equal(f[0].type_mt, FT_MT(FT_NODE));
    assert_int_equal(f[0].token, 0x04000001);
    assert_int_equal(f[0].element, LG_ELEM_CLASS);
    assert_string_equal(f[1].name, "count");
    assert_int_equal(f[1].offset, 24);
    assert_int_equal(f[1].type_mt, FT_MT(FT_INT32));
    assert_string_equal(f[2].name, "pair");
    assert_int_equal(f[2].declaring_mt, FT_MT(FT_NODE));
    assert_false(f[2].is_static);
}

static void a_struct_never_loaded_as_such_has_its_shared_form(void **state)
{
    const struct lg_field *f = fields_of(FT_MT(FT_NODE), 6);
    assert_string_equal(f[2].type_name, "App.Pair<System.String, System.Int32>");
    assert_int_equal(f[2].type_mt, FT_MT(FT_PAIR_CANON));
}

static void type_variables_are_replaced(void **state)
{
    const struct lg_field *f = fields_of(FT_MT(FT_OUTER_STRING), 2);
    assert_string_equal(f[0].type_name, "System.String");
    assert_int_equal(f[0].type_mt, FT_STRING);
    assert_string_equal(f[1].type_name, "System.String[]");
    f = fields_of(FT_MT(FT_INNER), 1);
    assert_string_equal(f[0].type_name, "App.Pair<System.Int32, System.String>");
    f = fields_of(FT_MT(FT_PAIR_CANON), 2);
    assert_string_equal(f[0].type_name, "System.__Canon");
}

static void a_field_desc_of_another_class_is_an_error(void **state)
{
    const struct lg_field *fields;
    size_t count;
    fake_u64(target, FT_MT(FT_NODE) + 0x180 + 16, FT_OBJECT);
    assert_error(lg_clr_fields(clr, lg_clr_type(clr, FT_MT(FT_NODE)), &fields, &count), LG_ERR_CORRUPT,
                 "fields of App.Node: FieldDesc 1 of method table 0x7d3000001100: belongs to "
                 "0x7f0300000000; its layout is not the one known of .NET 10");
}

// ---- statics ----

static void statics_have_slots_and_owners(void **state)
{
    const struct lg_field *f = fields_of(FT_MT(FT_NODE), 6);
    assert_true(f[3].is_static && !f[3].is_thread_static && !f[3].initialized);
    assert_int_equal(f[3].address, FT_STATICS + 16);
    assert_int_equal(f[4].address, FT_NON_GC + 4);
    assert_true(f[5].is_thread_static);
    assert_int_equal(f[5].address, 0);

    const struct lg_static *statics;
    size_t count;
    assert_ok(lg_clr_statics(clr, &statics, &count));
    assert_int_equal(count, 2);
    assert_int_equal(statics[0].slot, FT_STATICS + 16);
    assert_int_equal(statics[0].mt, FT_MT(FT_NODE));
    assert_string_equal(statics[0].field, "s_root");
    assert_null(statics[0].thread);
    assert_string_equal(statics[1].field, "t_local");
    assert_int_equal(statics[1].slot, FT_TLS + 0x200 + 24);
    assert_int_equal(statics[1].thread->id, 1);
    assert_true(lg_clr_statics_are_whole(clr));
    assert_ptr_equal(lg_clr_static_at(clr, FT_STATICS + 16), &statics[0]);
    assert_null(lg_clr_static_at(clr, FT_STATICS + 8));
}

// As instantiations are that only their objects tell of.
static void statics_of_types_that_become_known_later_are_told_when_asked_anew(void **state)
{
    const struct lg_static *statics;
    size_t count;
    for (int rid = 0; rid < 8; rid++)
        fake_u64(target, FT_MODULE(1) + 0x1000 + 8 * rid, 0);
    assert_ok(lg_clr_statics(clr, &statics, &count));
    assert_int_equal(count, 0);
    assert_non_null(lg_clr_type(clr, FT_MT(FT_NODE)));
    assert_ok(lg_clr_statics(clr, &statics, &count));
    assert_int_equal(count, 0); // Nobody's list is taken away under him.
    lg_clr_statics_renew(clr);
    assert_ok(lg_clr_statics(clr, &statics, &count));
    assert_int_equal(count, 2);
}

// The one that says so, or NULL.
static const char *note_of(const char *part)
{
    for (size_t i = 0; i < target->notes.len; i++) {
        if (strstr(target->notes.at[i], part))
            return target->notes.at[i];
    }
    return NULL;
}

static void types_that_cannot_be_listed_are_said(void **state)
{
    const struct lg_static *statics;
    size_t count;
    fake_u64(target, FT_MODULE(1) + 416 + 16, 900); // entries of its TypeDef map, most of them not there
    assert_ok(lg_clr_statics(clr, &statics, &count));
    assert_string_equal(note_of("modules"),
                        "The types of 1 modules could not all be listed: statics may be missing.");
    assert_false(lg_clr_statics_are_whole(clr));
}

static void instantiations_that_cannot_be_listed_are_said(void **state)
{
    const struct lg_static *statics;
    size_t count;
    fake_u64(target, FT_MODULE(1) + 0x3118, UINT64_C(0x7fff00000000)); // head of a chain
    assert_ok(lg_clr_statics(clr, &statics, &count));
    assert_non_null(note_of("The types of 1 modules"));
    assert_int_equal(count, 2);
}

static void thread_statics_that_cannot_be_read_are_said(void **state)
{
    const struct lg_static *statics;
    size_t count;
    fake_u32(target, FT_TLS, 60000);
    assert_ok(lg_clr_statics(clr, &statics, &count));
    assert_string_equal(note_of("thread statics"), "The thread statics of 1 threads could not be read.");
    assert_false(lg_clr_statics_are_whole(clr));
}

static void arrays_of_thread_statics_are_roots(void **state)
{
    const struct lg_thread_root *roots;
    size_t count;
    assert_ok(lg_clr_thread_roots(clr, &roots, &count));
    assert_int_equal(count, 1);
    assert_int_equal(roots[0].slot, FT_TLS + 8);
    assert_int_equal(roots[0].object, FT_TLS + 0x100);
    assert_int_equal(roots[0].thread->id, 1);
    assert_ok(lg_clr_thread_roots(clr, &roots, &count));
    assert_int_equal(count, 1);
}

// An index that only looks as if it were in the array (reference clr.md D.6): its count counts the first
// two, for which there is no element.
static void a_thread_static_past_the_array_is_not_followed(void **state)
{
    const struct lg_static *statics;
    size_t count;
    fake_u32(target, FT_TLS, 3);
    assert_ok(lg_clr_statics(clr, &statics, &count));
    assert_int_equal(count, 1);
}

static void a_thread_static_in_flight_is_found_by_its_handle(void **state)
{
    const struct lg_static *statics;
    size_t count;
    fake_u64(target, FT_TLS + 0x118, 0); // no entry in the array
    fake_u64(target, FT_TLS + 32, FT_TLS + 0x300);
    fake_u64(target, FT_TLS + 0x300, FT_TLS + 0x300); // the list bites its tail
    fake_u64(target, FT_TLS + 0x308, 3);
    fake_u64(target, FT_TLS + 0x310, FT_TLS + 0x400);
    fake_u64(target, FT_TLS + 0x400, FT_TLS + 0x200);
    assert_ok(lg_clr_statics(clr, &statics, &count));
    assert_int_equal(count, 2);
    assert_int_equal(statics[1].slot, FT_TLS + 0x200 + 24);
}

static void collectible_types_tell_their_loader(void **state)
{
    struct lg_type node = *lg_clr_type(clr, FT_MT(FT_NODE));
    assert_int_equal(lg_clr_loader_allocator(clr, &node), 0);
    node.flags |= LG_TYPE_COLLECTIBLE;
    assert_int_equal(lg_clr_loader_allocator(clr, &node), FT_MODULE(2));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_runtime, close_runtime)
    const struct CMUnitTest tests[] = {
        TEST(names_are_those_of_the_debugger),
        TEST(type_descs_have_names_too),
        TEST(types_are_read_once_and_numbered),
        TEST(several_threads_may_ask_at_once),
        TEST(what_is_no_method_table_is_no_type),
        TEST(modules_have_paths_and_images),
        TEST(without_metadata_there_are_tokens),
        TEST(fields_have_names_places_and_types),
        TEST(a_struct_never_loaded_as_such_has_its_shared_form),
        TEST(type_variables_are_replaced),
        TEST(a_field_desc_of_another_class_is_an_error),
        TEST(statics_have_slots_and_owners),
        TEST(statics_of_types_that_become_known_later_are_told_when_asked_anew),
        TEST(types_that_cannot_be_listed_are_said),
        TEST(instantiations_that_cannot_be_listed_are_said),
        TEST(thread_statics_that_cannot_be_read_are_said),
        TEST(arrays_of_thread_statics_are_roots),
        TEST(a_thread_static_past_the_array_is_not_followed),
        TEST(a_thread_static_in_flight_is_found_by_its_handle),
        TEST(collectible_types_tell_their_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
