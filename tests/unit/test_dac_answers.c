// Facts of a DAC that tells right, and of one that tells what cannot be
// (tests/support/fake_dac_facts.c): each is a fact, or an error with a name, within bounds. One that
// crashes or hangs: test_dac_facts.c.
#include "dac_fixture.h"

#include "dac/facts.h"

static struct lg_dac *a_dac(void **state, enum fake_dac_mode mode)
{
    struct fixture *f = *state;
    struct lg_dac *dac = NULL;
    fake_u64(f->target, FAKE_DAC_MODE, mode);
    assert_ok(open_with(f, (struct lg_dac_options){ 0 }, &dac));
    return dac;
}

static void assert_kind(struct lg_error *err, enum lg_error_kind kind, const char *part)
{
    assert_non_null(err);
    if (lg_error_kind(err) != kind || !strstr(lg_error_message(err), part))
        fail_msg("kind %d: %s", lg_error_kind(err), lg_error_message(err));
    lg_error_free(err);
}

// ---- types ----

static void types_are_told(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, FAKE_DAC_RIGHT);
    struct lg_dac_type type;
    struct lg_dac_well_known known;
    _cleanup_free_ char *name = NULL;
    assert_ok(lg_dac_well_known_read(dac, &known));
    assert_int_equal(known.free_mt, FAKE_DAC_FREE);
    assert_int_equal(known.string_mt, FAKE_DAC_STRING);
    assert_ok(lg_dac_type_read(dac, FAKE_DAC_MT, &type));
    assert_int_equal(type.base_size, 32);
    assert_int_equal(type.token, 0x02000003);
    assert_int_equal(type.module, FAKE_DAC_MODULE);
    assert_true(type.has_references && !type.is_collectible);
    assert_ok(lg_dac_type_read(dac, FAKE_DAC_STRING, &type));
    assert_int_equal(type.base_size, 22);                   // The DAC says 20.
    assert_ok(lg_dac_type_read(dac, FAKE_DAC_FREE, &type)); // Without a question that it crashes of.
    assert_true(type.is_free);
    assert_int_equal(type.instance_fields, 0);
    assert_ok(lg_dac_type_name(dac, FAKE_DAC_MT, &name));
    assert_string_equal(name, "A.B");
    assert_kind(lg_dac_type_read(dac, 0x123400, &type), LG_ERR_NOT_FOUND, "the type 0x123400");
}

static void an_unloaded_type_has_no_name(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, FAKE_DAC_RIGHT);
    char *name = NULL;
    assert_kind(lg_dac_type_name(dac, FAKE_DAC_STRING, &name), LG_ERR_NOT_FOUND, "a name for 0x20000");
    assert_null(name);
}

static void names_are_bounded(void **state)
{
    static const enum fake_dac_mode modes[] = { FAKE_DAC_HUGE, FAKE_DAC_FOREVER, FAKE_DAC_SILENT };
    for (size_t i = 0; i < 3; i++) {
        _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, modes[i]);
        char *name = NULL;
        assert_kind(lg_dac_type_name(dac, FAKE_DAC_MT, &name), LG_ERR_NOT_FOUND, "a name for 0x10000");
        assert_null(name);
    }
}

static void an_array_has_a_rank(void **state)
{
    struct lg_dac_array array;
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, FAKE_DAC_RIGHT);
    assert_ok(lg_dac_array_type(dac, 0x7000, &array));
    assert_int_equal(array.rank, 2);
    assert_int_equal(array.element_handle, FAKE_DAC_MT);
    _cleanup_(lg_dac_freep) struct lg_dac *huge = a_dac(state, FAKE_DAC_HUGE);
    assert_kind(lg_dac_array_type(huge, 0x7000, &array), LG_ERR_NOT_FOUND, "the array 0x7000");
}

// ---- fields and statics ----

static struct lg_error *fields_of(void **state, enum fake_dac_mode mode, struct lg_dac_fields *ret)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, mode);
    struct lg_dac_type type;
    assert_ok(lg_dac_type_read(dac, FAKE_DAC_MT, &type));
    return lg_dac_fields_read(dac, &type, ret);
}

static void fields_are_told(void **state)
{
    _cleanup_(lg_dac_fields_deinit) struct lg_dac_fields fields = { .at = NULL };
    assert_ok(fields_of(state, FAKE_DAC_RIGHT, &fields));
    assert_int_equal(fields.len, 2); // One of two is the base type's.
    assert_int_equal(fields.at[0].address, FAKE_DAC_FIELDS);
    assert_false(fields.at[0].is_static);
    assert_int_equal(fields.at[1].address, FAKE_DAC_FIELDS + 16);
    assert_int_equal(fields.at[1].token, 0x04000002);
    assert_int_equal(fields.at[1].offset, 8);
    assert_true(fields.at[1].is_static);
}

static void fields_that_cannot_be_are_errors(void **state)
{
    struct lg_dac_fields fields = { .at = NULL };
    assert_kind(fields_of(state, FAKE_DAC_CIRCLE, &fields), LG_ERR_CORRUPT, "of 0x10000 in circles");
    assert_kind(fields_of(state, FAKE_DAC_SHORT, &fields), LG_ERR_NOT_FOUND,
                "all fields of type 0x10000");
    assert_null(fields.at);
    assert_ok(fields_of(state, FAKE_DAC_HUGE, &fields)); // As many as 16 bits can say.
    assert_int_equal(fields.len, UINT16_MAX);
    lg_dac_fields_deinit(&fields);
}

static void statics_of_old_runtimes_lie_by_module(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, FAKE_DAC_OLD);
    struct lg_dac_type type;
    struct lg_dac_statics statics;
    assert_ok(lg_dac_type_read(dac, FAKE_DAC_MT, &type));
    assert_ok(lg_dac_statics_read(dac, &type, &statics));
    assert_int_equal(statics.gc, 0x1000);
    assert_int_equal(statics.non_gc, 0x2000);
    assert_false(statics.is_initialized);
    type.is_dynamic = true;
    assert_kind(lg_dac_statics_read(dac, &type, &statics), LG_ERR_NOT_FOUND, "statics of type 0x10000");
    type.is_dynamic = false;
    type.token = 0x02ffffff; // Its byte is not there to be read.
    assert_kind(lg_dac_statics_read(dac, &type, &statics), LG_ERR_NOT_FOUND, "statics of type 0x10000");
}

// ---- threads ----

static struct lg_error *threads_of(void **state, enum fake_dac_mode mode, struct lg_dac_threads *ret)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, mode);
    return lg_dac_threads_read(dac, ret);
}

static void threads_are_told(void **state)
{
    _cleanup_(lg_dac_threads_deinit) struct lg_dac_threads threads = { .all = 0 };
    assert_ok(threads_of(state, FAKE_DAC_RIGHT, &threads));
    assert_int_equal(threads.list.len, 3);
    assert_int_equal(threads.list.at[2].address, FAKE_DAC_THREAD + 0x200);
    assert_int_equal(threads.list.at[2].id, 3);
}

static void threads_that_cannot_be_are_errors(void **state)
{
    struct lg_dac_threads threads = { .all = 0 };
    assert_kind(threads_of(state, FAKE_DAC_HUGE, &threads), LG_ERR_CORRUPT, "of 4294967295 threads");
    assert_kind(threads_of(state, FAKE_DAC_CIRCLE, &threads), LG_ERR_CORRUPT, " of 3 threads");
    assert_kind(threads_of(state, FAKE_DAC_FOREVER, &threads), LG_ERR_CORRUPT, "4 of 3 threads");
    assert_kind(threads_of(state, FAKE_DAC_SHORT, &threads), LG_ERR_CORRUPT, "1 of 3 threads");
    assert_kind(threads_of(state, FAKE_DAC_SILENT, &threads), LG_ERR_NOT_FOUND, "the threads of");
    assert_null(threads.list.at);
}

// ---- modules ----

static void modules_are_told_once_each(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, FAKE_DAC_RIGHT);
    _cleanup_(lg_dac_addresses_deinit) struct lg_dac_addresses modules = { .at = NULL };
    _cleanup_(lg_dac_module_deinit) struct lg_dac_module module = { .path = NULL };
    _cleanup_(lg_dac_module_types_deinit) struct lg_dac_module_types types = { .at = NULL };
    assert_ok(lg_dac_modules_read(dac, &modules));
    assert_int_equal(modules.len, 1);
    assert_ok(lg_dac_module_read(dac, modules.at[0], &module));
    assert_string_equal(module.path, "A.B");
    assert_ok(lg_dac_module_types_read(dac, FAKE_DAC_MODULE, &types));
    assert_int_equal(types.len, 2);
    assert_int_equal(types.at[1].token, 0x02000002);
    assert_int_equal(types.at[1].mt, FAKE_DAC_STRING);
}

static struct lg_error *modules_of(void **state, enum fake_dac_mode mode)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, mode);
    _cleanup_(lg_dac_addresses_deinit) struct lg_dac_addresses modules = { .at = NULL };
    return lg_dac_modules_read(dac, &modules);
}

static void modules_that_cannot_be_are_errors(void **state)
{
    assert_kind(modules_of(state, FAKE_DAC_HUGE), LG_ERR_CORRUPT, "tells of 4294967295 domains");
    assert_kind(modules_of(state, FAKE_DAC_FOREVER), LG_ERR_CORRUPT, "tells of 4294967295 assemblies");
    assert_kind(modules_of(state, FAKE_DAC_SILENT), LG_ERR_NOT_FOUND, "the domains of");
    assert_ok(modules_of(state, FAKE_DAC_SHORT)); // More modules than an assembly has: those that came.
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, FAKE_DAC_SHORT);
    struct lg_dac_module module; // Of another than the one asked for.
    assert_kind(lg_dac_module_read(dac, FAKE_DAC_MODULE, &module), LG_ERR_NOT_FOUND,
                "the module 0x40000");
}

static void a_map_without_an_end_is_cut_off(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, FAKE_DAC_FOREVER);
    struct lg_dac_module_types types = { .at = NULL };
    struct lg_dac_type type;
    assert_error(lg_dac_module_types_read(dac, FAKE_DAC_MODULE, &types), LG_ERR_CORRUPT,
                 "the DAC tells of a list that does not end");
    assert_null(types.at);
    assert_ok(lg_dac_type_read(dac, FAKE_DAC_MT, &type)); // A new helper does it.
}

// ---- the GC ----

static void the_gc_is_told_with_its_segments(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, FAKE_DAC_OLD);
    _cleanup_(lg_dac_gc_deinit) struct lg_dac_gc gc = { .is_server = true };
    _cleanup_(lg_dac_segments_deinit) struct lg_dac_segments segments = { .at = NULL };
    assert_ok(lg_dac_gc_read(dac, &gc));
    assert_false(gc.is_server);
    assert_int_equal(gc.datas, -1);
    assert_int_equal(gc.heaps.len, 1);
    assert_int_equal(gc.heaps.at[0].generation_count, 4); // Without ISOSDacInterface8
    assert_int_equal(gc.heaps.at[0].fill_count, 6);
    assert_int_equal(gc.heaps.at[0].alloc_allocated, 0x7777);
    assert_ok(lg_dac_segments_read(dac, gc.heaps.at[0].generations[0].first_segment, &segments));
    assert_int_equal(segments.len, 3);
    assert_int_equal(segments.at[2].address, FAKE_DAC_SEGMENT + 0x200);
    assert_int_equal(segments.at[2].start, (FAKE_DAC_SEGMENT + 0x200) * 16);
}

static struct lg_error *segments_of(void **state, enum fake_dac_mode mode)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, mode);
    _cleanup_(lg_dac_segments_deinit) struct lg_dac_segments segments = { .at = NULL };
    return lg_dac_segments_read(dac, FAKE_DAC_SEGMENT, &segments);
}

static void heaps_and_segments_that_cannot_be_are_errors(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, FAKE_DAC_HUGE);
    struct lg_dac_gc gc;
    assert_kind(lg_dac_gc_read(dac, &gc), LG_ERR_CORRUPT, "tells of 4294967295 GC heaps");
    assert_kind(segments_of(state, FAKE_DAC_CIRCLE), LG_ERR_CORRUPT, "from 0x70000 on in a circle");
    assert_kind(segments_of(state, FAKE_DAC_FOREVER), LG_ERR_CORRUPT, "from 0x70000 on that do not end");
    assert_kind(segments_of(state, FAKE_DAC_SHORT), LG_ERR_CORRUPT, "and then does not know one");
}

// ---- loader heaps ----

static struct lg_error *blocks_of(void **state, enum fake_dac_mode mode, struct lg_dac_blocks *ret)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = a_dac(state, mode);
    return lg_dac_domain_heaps_read(dac, FAKE_DAC_DOMAIN, ret);
}

static void loader_heaps_are_told_once_each(void **state)
{
    _cleanup_(lg_dac_blocks_deinit) struct lg_dac_blocks blocks = { .at = NULL };
    assert_ok(blocks_of(state, FAKE_DAC_RIGHT, &blocks));
    assert_int_equal(blocks.len, 4);
    assert_string_equal(blocks.at[0].kind, "LowFrequencyHeap");
    assert_int_equal(blocks.at[1].start, FAKE_DAC_HEAP + 0x1000);
    assert_int_equal(blocks.at[1].size, 0x2000);
    assert_true(blocks.at[1].is_current && !blocks.at[0].is_current);
    assert_string_equal(blocks.at[2].kind, "");
    lg_dac_blocks_deinit(&blocks);
    assert_ok(blocks_of(state, FAKE_DAC_CIRCLE, &blocks));
    assert_string_equal(blocks.at[0].kind, "a name that is longer than any ");
}

static void loader_heaps_that_cannot_be_are_errors(void **state)
{
    struct lg_dac_blocks blocks = { .at = NULL };
    assert_kind(blocks_of(state, FAKE_DAC_HUGE, &blocks), LG_ERR_CORRUPT, "a heap block at 0x90000");
    assert_kind(blocks_of(state, FAKE_DAC_FOREVER, &blocks), LG_ERR_CORRUPT, "a list that does not end");
    assert_kind(blocks_of(state, FAKE_DAC_SHORT, &blocks), LG_ERR_NOT_FOUND,
                "the heaps of LoaderAllocator");
    assert_kind(blocks_of(state, FAKE_DAC_SILENT, &blocks), LG_ERR_NOT_FOUND, "the heaps of domain");
    assert_null(blocks.at);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(types_are_told),
        TEST(an_unloaded_type_has_no_name),
        TEST(names_are_bounded),
        TEST(an_array_has_a_rank),
        TEST(fields_are_told),
        TEST(fields_that_cannot_be_are_errors),
        TEST(statics_of_old_runtimes_lie_by_module),
        TEST(threads_are_told),
        TEST(threads_that_cannot_be_are_errors),
        TEST(modules_are_told_once_each),
        TEST(modules_that_cannot_be_are_errors),
        TEST(a_map_without_an_end_is_cut_off),
        TEST(the_gc_is_told_with_its_segments),
        TEST(heaps_and_segments_that_cannot_be_are_errors),
        TEST(loader_heaps_are_told_once_each),
        TEST(loader_heaps_that_cannot_be_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
