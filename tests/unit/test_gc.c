#include "test.h"

#include <string.h>

#include "clr/gc_vars.h"
#include "support/fake_runtime.h"

static struct lg_error *open_and_close(struct lg_target *t)
{
    struct lg_clr *clr = NULL;
    struct lg_error *err = lg_clr_open(t, NULL, &clr);
    lg_clr_free(clr);
    return err;
}

// Opening fails, with a message that has `text` in it.
static void assert_refused(struct lg_target *t, enum lg_error_kind kind, const char *text)
{
    struct lg_error *err = open_and_close(t);
    if (!err)
        fail_msg("opened, but: %s", text);
    if (lg_error_kind(err) != kind || !strstr(lg_error_message(err), text))
        fail_msg("not '%s': %s", text, lg_error_message(err));
    lg_error_free(err);
}

static void a_workstation_heap_of_regions_is_read(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    const struct lg_clr_info *info = lg_clr_info(clr);
    assert_string_equal(info->version, "10.0.9");
    assert_false(info->server);
    assert_true(info->regions);
    assert_false(info->single_file);
    assert_int_equal(info->mt_mask, ~UINT64_C(7));
    assert_int_equal(info->string_mt, FR_METHOD_TABLES + 0x100);

    size_t count;
    const struct lg_segment *s = lg_clr_segments(clr, &count);
    assert_int_equal(count, 6);
    static const enum lg_generation generations[] = {
        LG_GEN0, LG_GEN1, LG_GEN2, LG_LOH, LG_POH, LG_FOH
    };
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(s[i].start, FR_MEMORY(0, i));
        assert_int_equal(s[i].end - s[i].start, i == 0 ? 0x6000 : FR_USED);
        assert_int_equal(s[i].generation, generations[i]);
        assert_int_equal(lg_segment_generation(&s[i], s[i].start + 0x5000), generations[i]);
    }
    assert_true(s[0].ephemeral);
}

static void each_server_heap_has_its_own_regions(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(FAKE_SERVER_GC);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    assert_true(lg_clr_info(clr)->server);
    assert_int_equal(lg_clr_info(clr)->heap_count, 2);
    assert_int_equal(lg_clr_info(clr)->datas, 1);
    size_t count;
    const struct lg_segment *s = lg_clr_segments(clr, &count);
    assert_int_equal(count, 11);
    assert_int_equal(s[10].heap, 1);
    const struct lg_gc_heap *heaps = lg_clr_gc_heaps(clr, &count);
    assert_int_equal(count, 2);
    assert_int_equal(heaps[1].ephemeral_segment, FR_SEGMENT(1, 0));

    const struct lg_finalizer_queue *q;
    assert_ok(lg_clr_finalizer_queues(clr, &q, &count));
    assert_int_equal(count, 2);
    assert_int_equal(q[1].fill[6] - q[1].array, 24);
}

static void the_segments_gc_has_three_generations_in_one_segment(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(FAKE_SEGMENTS_GC);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    assert_false(lg_clr_info(clr)->regions);
    size_t count;
    const struct lg_segment *s = lg_clr_segments(clr, &count);
    assert_int_equal(count, 5); // Each once.
    assert_true(s[0].ephemeral);
    assert_int_equal(lg_segment_generation(&s[0], s[0].start), LG_GEN2);
    assert_int_equal(lg_segment_generation(&s[0], s[0].start + 0x1fff), LG_GEN1);
    assert_int_equal(lg_segment_generation(&s[0], s[0].start + 0x2000), LG_GEN0);
    assert_int_equal(s[1].gen0_start, 0);
}

static void lists_that_do_not_end_are_named(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u64(t, FR_SEGMENT(0, 3) + 48, FR_SEGMENT(0, 3));
    assert_refused(t, LG_ERR_CORRUPT, "heap_segment at 0x7f0800000300 (heap 0, loh): met twice");
    fake_u64(t, FR_SEGMENT(0, 3) + 48, FR_SEGMENT(0, 1));
    assert_refused(t, LG_ERR_CORRUPT, "heap_segment at 0x7f0800000100 (heap 0, loh): met twice");
    fake_u64(t, FR_SEGMENT(0, 3) + 48, 0x1234560);
    assert_refused(t, LG_ERR_FAULT, "heap_segment at 0x1234560: not readable");
}

static void segments_must_hold_together(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u64(t, FR_SEGMENT(0, 2) + 8, FR_MEMORY(0, 2) + 0x7000); // committed < allocated
    assert_refused(t, LG_ERR_CORRUPT, "heap_segment at 0x7f0800000200 (heap 0, gen2): start");
    fake_u64(t, FR_SEGMENT(0, 2) + 8, FR_MEMORY(0, 3) + 8); // committed into the next one
    fake_u64(t, FR_SEGMENT(0, 2) + 16, FR_MEMORY(0, 3) + 8);
    assert_refused(t, LG_ERR_CORRUPT, "heap_segments at 0x7f0800000200 and 0x7f0800000300 overlap");
}

static void an_ephemeral_segment_must_be_in_a_list(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u64(t, FR_GC_VARIABLES + 0x10 * LG_GC_EPHEMERAL_HEAP_SEGMENT, FR_SEGMENT(0, 0) + 8);
    assert_refused(t, LG_ERR_CORRUPT, "is in no generation's list");
}

static void absurd_counts_of_heaps_are_refused(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(FAKE_SERVER_GC);
    fake_u32(t, FR_GC_VARIABLES + 0x10 * LG_GC_N_HEAPS, 0x7fffffff);
    assert_refused(t, LG_ERR_CORRUPT, "2147483647 heaps");
    fake_u32(t, FR_GC_VARIABLES + 0x10 * LG_GC_N_HEAPS, 3);
    assert_refused(t, LG_ERR_CORRUPT, "g_heaps[2]");
}

static void a_gc_in_progress_is_told_and_its_lists_need_not_hold(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u32(t, FR_GC_VARIABLES + 0x10 * LG_GC_STRUCTURES_INVALID_CNT, 1);
    fake_u64(t, FR_SEGMENT(0, 3) + 48, FR_SEGMENT(0, 3));
    fake_u64(t, FR_SEGMENT(0, 1), 0x1000); // Ends before it starts.
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    assert_true(lg_clr_info(clr)->gc_in_progress);
    assert_int_equal(t->notes.len, 2);
    size_t count;
    lg_clr_segments(clr, &count);
    assert_int_equal(count, FR_SEGMENT_COUNT - 1); // The others are there.
}

static void other_versions_of_the_gc_are_refused(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u8(t, FR_GC, 9);
    assert_refused(t, LG_ERR_UNSUPPORTED, "GcDacVars at 0x7f0700000000: version 9.4");
    fake_u64(t, FR_GC + 16, 6); // generations
    assert_refused(t, LG_ERR_NOT_FOUND, "no GcDacVars behind g_dacTable");
}

static void a_starting_runtime_is_worth_another_try(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u64(t, FR_GENERATIONS(0) + 56, 0);
    assert_refused(t, LG_ERR_NOT_FOUND, "the runtime is still starting; try again");
    fake_u64(t, FR_VARIABLES + 8 * 12, 0);
    assert_refused(t, LG_ERR_NOT_FOUND, "no StringMethodTable: the runtime is still starting");
}

static void a_method_table_of_another_kind_is_refused(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u32(t, FR_METHOD_TABLES + 0x100, 0x80000004);
    assert_refused(t, LG_ERR_CORRUPT, "StringMethodTable at 0x7f0300000100: flags 0x80000004");
}

static void a_core_without_the_heap_is_named(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    t->kind = LG_TARGET_CORE;
    assert_ok(open_and_close(t));
    for (uint64_t i = 0; i < FR_SEGMENT_COUNT; i++)
        lg_target_find(t, FR_MEMORY(0, i))->saved = 0;
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    assert_non_null(strstr(lg_clr_info(clr)->heap_missing,
                           "188416 of the 188416 bytes of the GC heap: not there: the core lacks memory "
                           "(createdump --normal"));
    size_t count;
    lg_clr_segments(clr, &count);
    assert_int_equal(count, FR_SEGMENT_COUNT); // Where it was is known.
}

static void a_core_without_one_kind_of_memory_says_what_would_have_kept_it(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    t->kind = LG_TARGET_CORE;
    t->lacks = strdup("shared anonymous memory (bit 1)");
    for (uint64_t i = 0; i < FR_SEGMENT_COUNT; i++)
        lg_target_find(t, FR_MEMORY(0, i))->saved = 0;
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    assert_non_null(strstr(lg_clr_info(clr)->heap_missing,
                           "not there: the core was written without shared anonymous memory (bit 1)"));
}

// ---- which runtime it is ----

static struct lg_target *a_process_with(const char *path, const char *symbol)
{
    struct lg_target *t = fake_new();
    const struct fake_symbol symbols[] = { { symbol, FR_IMAGE + FAKE_IMAGE_FREE, 8 } };
    fake_image(t, FR_IMAGE, path, symbols, 1);
    return t;
}

static void what_is_there_instead_is_named(void **state)
{
    static const struct {
        const char *path, *symbol, *message;
        enum lg_error_kind kind;
    } cases[] = {
        { "/usr/bin/cat", "main", "no .NET runtime is loaded in it", LG_ERR_UNSUPPORTED },
        { "/srv/app", "DotNetRuntimeDebugHeader", "'/srv/app' is a NativeAOT program",
          LG_ERR_UNSUPPORTED },
        { "/usr/lib/libmonosgen-2.0.so.1", "mono_jit_init", "it runs on Mono", LG_ERR_UNSUPPORTED },
        { "/app/libcoreclr.so", "mono_jit_init", "is the Mono runtime", LG_ERR_UNSUPPORTED },
        { "/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.30/libcoreclr.so", "g_dacTable",
          "runtime 8.0.30 has no data descriptor, so what it is made of has to be asked of its "
          "libmscordaccore.so: --dac none",
          LG_ERR_UNSUPPORTED },
        { "/usr/share/dotnet/host/fxr/10.0.12/libhostfxr.so", "hostfxr_main",
          "the .NET host has not loaded the runtime yet", LG_ERR_NOT_FOUND },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _cleanup_(lg_target_freep) struct lg_target *t = a_process_with(cases[i].path, cases[i].symbol);
        assert_refused(t, cases[i].kind, cases[i].message);
    }
}

static void what_runs_under_wine_is_named(void **state)
{
    static const struct {
        const char *path, *message;
    } cases[] = {
        { "/wine/drive_c/windows/Microsoft.NET/Framework64/v4.0.30319/clr.dll",
          "it runs .NET Framework (clr.dll) under Wine" },
        { "/srv/app/CoreCLR.dll", "it runs the Windows build of .NET (coreclr.dll) under Wine" },
        { "/srv/app/app.exe", "no .NET runtime is loaded in it" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _cleanup_(lg_target_freep) struct lg_target *t = fake_new();
        fake_map(t, 0x10000, 0x20000, LG_READ, "/usr/lib/wine/x86_64-windows/ntdll.dll", 0);
        fake_map(t, 0x30000, 0x40000, LG_READ, cases[i].path, 0);
        assert_refused(t, LG_ERR_UNSUPPORTED, cases[i].message);
    }
}

static void a_core_is_not_told_to_try_again(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_new();
    t->kind = LG_TARGET_CORE;
    fake_map(t, 0x10000, 0x20000, LG_READ, "/usr/lib/dotnet/host/fxr/10.0.0/libhostfxr.so", 0);
    assert_refused(t, LG_ERR_NOT_FOUND, "has not loaded the runtime yet: the core was taken too early");
    _cleanup_(lg_target_freep) struct lg_target *nameless = fake_new();
    nameless->kind = LG_TARGET_CORE;
    fake_map(nameless, 0x10000, 0x20000, LG_READ, "", 0);
    assert_refused(nameless, LG_ERR_UNSUPPORTED, "does not tell which files were mapped");
}

static void a_descriptor_that_lacks_fields_names_the_first(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_string(t, FR_JSON, "{\"types\": {\"Object\": {\"m_pMethTab\": 0}}}");
    fake_u32(t, FR_DESCRIPTOR + 12, (uint32_t)strlen("{\"types\": {\"Object\": {\"m_pMethTab\": 0}}}"));
    assert_refused(t, LG_ERR_UNSUPPORTED,
                   "the data descriptor of runtime 10.0.9 has no Array.m_NumComponents");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_workstation_heap_of_regions_is_read),
        cmocka_unit_test(each_server_heap_has_its_own_regions),
        cmocka_unit_test(the_segments_gc_has_three_generations_in_one_segment),
        cmocka_unit_test(lists_that_do_not_end_are_named),
        cmocka_unit_test(segments_must_hold_together),
        cmocka_unit_test(an_ephemeral_segment_must_be_in_a_list),
        cmocka_unit_test(absurd_counts_of_heaps_are_refused),
        cmocka_unit_test(a_gc_in_progress_is_told_and_its_lists_need_not_hold),
        cmocka_unit_test(other_versions_of_the_gc_are_refused),
        cmocka_unit_test(a_starting_runtime_is_worth_another_try),
        cmocka_unit_test(a_method_table_of_another_kind_is_refused),
        cmocka_unit_test(a_core_without_the_heap_is_named),
        cmocka_unit_test(a_core_without_one_kind_of_memory_says_what_would_have_kept_it),
        cmocka_unit_test(what_is_there_instead_is_named),
        cmocka_unit_test(what_runs_under_wine_is_named),
        cmocka_unit_test(a_core_is_not_told_to_try_again),
        cmocka_unit_test(a_descriptor_that_lacks_fields_names_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
