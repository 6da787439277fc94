// What the GC was told: environment, runtimeconfig.json, and what comes of them.
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "limits/limits_priv.h"
#include "support/fake.h"
#include "util/cleanup.h"

static const struct lg_setting *setting(const struct lg_limits *limits, const char *name)
{
    for (size_t i = 0; i < limits->settings.len; i++) {
        if (strcmp(limits->settings.at[i].name, name) == 0)
            return &limits->settings.at[i];
    }
    fail_msg("no setting '%s'", name);
    return NULL;
}

#define assert_amount(amount_, expected) \
    do { \
        struct lg_amount a_ = (amount_); \
        assert_int_equal(a_.kind, LG_KNOWN); \
        assert_int_equal(a_.value, (expected)); \
    } while (0)

// ---- environment ----

static void a_variable_is_found_by_its_whole_name(void **state)
{
    char block[] = "AB=1\0B=2\0EMPTY=\0B=3\0CUT=4";
    struct lg_environment environment = { block, sizeof(block) - 1 };
    assert_string_equal(lg_environment_get(&environment, "B"), "2");
    assert_string_equal(lg_environment_get(&environment, "AB"), "1");
    assert_null(lg_environment_get(&environment, "EMPTY"));
    assert_null(lg_environment_get(&environment, "CUT"));
    assert_null(lg_environment_get(&environment, "A"));
    environment = (struct lg_environment){ NULL, 0 };
    assert_null(lg_environment_get(&environment, "A"));
}

enum { STACK = 0x7f0000000000, STACK_SIZE = 0x4000, STRINGS = STACK + 0x3000, VECTOR = STACK + 0x2000 };

// argv, envp and the auxiliary vector as the kernel leaves them; a thread whose stack it is.
static struct lg_target *fake_stack(void)
{
    static const uint64_t words[] = { 1,          STRINGS, 0,    STRINGS + 8, STRINGS + 24, 0, 33,
                                      0x7fff0000, 6,       4096, 4,           56,           0, 0 };
    struct lg_target *target = fake_new();
    fake_map(target, STACK, STACK + STACK_SIZE, LG_READ | LG_WRITE, "", 0);
    fake_zeros(target, STACK, STACK_SIZE);
    fake_string(target, STRINGS, "shop");
    fake_string(target, STRINGS + 8, "DOTNET_X=1");
    fake_string(target, STRINGS + 24, "Y=2");
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        fake_u64(target, VECTOR + 8 * i, words[i]);
    fake_thread(target, 7, 0, STACK + 0x1000);
    return target;
}

static void the_environment_is_found_on_the_stack(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *target = fake_stack();
    struct lg_environment environment = { NULL, 0 };
    assert_ok(lg_environment_from_stack(target, &environment));
    assert_string_equal(lg_environment_get(&environment, "DOTNET_X"), "1");
    assert_string_equal(lg_environment_get(&environment, "Y"), "2");
    assert_null(lg_environment_get(&environment, "shop"));
    free(environment.block);
}

static void a_stack_that_was_written_over_has_none(void **state)
{
    for (size_t i = 0; i < 14; i++) {
        for (size_t h = 0; h < fake_hostile_count; h++) {
            _cleanup_(lg_target_freep) struct lg_target *target = fake_stack();
            struct lg_environment environment = { NULL, 0 };
            fake_u64(target, VECTOR + 8 * i, fake_hostile[h]);
            assert_ok(lg_environment_from_stack(target, &environment));
            free(environment.block);
        }
    }
    _cleanup_(lg_target_freep) struct lg_target *target = fake_stack();
    struct lg_environment environment = { NULL, 0 };
    fake_u64(target, VECTOR + 8 * 9, 8192); // No page is that big.
    assert_ok(lg_environment_from_stack(target, &environment));
    assert_null(environment.block);
}

// ---- runtimeconfig.json ----

static void properties_are_text_as_the_host_makes_it(void **state)
{
    struct lg_arena arena = { NULL };
    struct lg_properties properties = { .known = false };
    const char *text =
        "\xef\xbb\xbf{ \"runtimeOptions\": { \"configProperties\": { \"a\": true, \"b\": \"0xC8\", "
        "\"c\": 209715200, \"d\": null, \"e\": [1], \"f\": false } } }";
    assert_ok(lg_runtime_config_parse(text, strlen(text), &arena, &properties));
    assert_true(properties.known);
    assert_string_equal(lg_property_get(&properties, "a"), "true");
    assert_string_equal(lg_property_get(&properties, "b"), "0xC8");
    assert_string_equal(lg_property_get(&properties, "c"), "209715200");
    assert_string_equal(lg_property_get(&properties, "f"), "false");
    assert_null(lg_property_get(&properties, "d"));
    assert_null(lg_property_get(&properties, "e"));
    lg_vec_free(&properties.all);
    lg_arena_free(&arena);
}

static void other_json_has_no_properties_and_what_is_none_is_an_error(void **state)
{
    struct lg_arena arena = { NULL };
    static const char *const empty[] = { "{}", "[]", "1", "{\"runtimeOptions\": 3}",
                                         "{\"runtimeOptions\": {\"configProperties\": []}}" };
    for (size_t i = 0; i < sizeof(empty) / sizeof(*empty); i++) {
        struct lg_properties properties = { .known = false };
        assert_ok(lg_runtime_config_parse(empty[i], strlen(empty[i]), &arena, &properties));
        assert_int_equal(properties.all.len, 0);
    }
    struct lg_properties properties = { .known = false };
    struct lg_error *err = lg_runtime_config_parse("{", 1, &arena, &properties);
    assert_non_null(err);
    assert_false(properties.known);
    lg_error_free(err);
    lg_arena_free(&arena);
}

#define WORDS(text) text, sizeof(text)
static void the_file_lies_beside_the_app(void **state)
{
    static const struct {
        const char *args;
        size_t len;
        const char *exe, *expected;
    } cases[] = {
        { WORDS("dotnet\0/app/Shop.dll\0x"), "/usr/bin/dotnet", "/app/Shop.runtimeconfig.json" },
        { WORDS("dotnet\0exec\0--runtimeconfig\0/etc/c.json\0Shop.dll"), "/usr/bin/dotnet",
          "/etc/c.json" },
        { WORDS("dotnet\0exec\0--depsfile\0x.dll\0Shop.dll"), "/usr/bin/dotnet",
          "Shop.runtimeconfig.json" },
        { WORDS("dotnet\0Shop.dll\0--runtimeconfig\0x"), "/usr/bin/dotnet", "Shop.runtimeconfig.json" },
        { WORDS("dotnet\0build\0x.dll"), "/usr/bin/dotnet", NULL },
        { WORDS("dotnet\0--runtimeconfig"), "/usr/bin/dotnet", NULL },
        { WORDS("dotnet"), "/usr/bin/dotnet", NULL },
        { WORDS("whatever"), "/app/Shop", "/app/Shop.runtimeconfig.json" },
        { "", 0, "/app/Shop", "/app/Shop.runtimeconfig.json" },
        { WORDS("x"), NULL, NULL },
    };
    struct lg_arena arena = { NULL };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *path = lg_runtime_config_path(cases[i].args, cases[i].len, cases[i].exe, &arena);
        if (cases[i].expected)
            assert_string_equal(path, cases[i].expected);
        else
            assert_null(path);
    }
    lg_arena_free(&arena);
}

// ---- settings ----

static struct lg_properties list;

static void free_properties(void)
{
    lg_vec_free(&list.all);
}

// Settings of a process with this environment (whose end is the literal's), and these properties in
// AppContext, on a machine of 16 GiB.
static struct lg_limits evaluate(const char *block, size_t len, const char *const (*properties)[2],
                                 struct lg_settings_input *input)
{
    struct lg_limits limits = { .arena = { NULL } };
    free_properties();
    list.known = true;
    for (size_t i = 0; properties && properties[i][0]; i++)
        assert_true(lg_vec_push(&list.all, (struct lg_property){ properties[i][0], properties[i][1] }));
    input->environment = (struct lg_environment){ (char *)block, len };
    input->app_context = list;
    input->facts.datas = -1;
    if (input->resources.physical.kind == LG_UNKNOWN)
        input->resources.physical = lg_amount(UINT64_C(16) << 30);
    if (input->resources.cgroup_memory.kind == LG_UNKNOWN)
        input->resources.cgroup_memory.kind = LG_UNLIMITED;
    input->resources.address_space.kind = LG_UNLIMITED;
    input->resources.quota.kind =
        input->resources.quota.kind ? input->resources.quota.kind : LG_UNLIMITED;
    input->resources.affinity = lg_amount(8);
    assert_ok(lg_settings_evaluate(input, &limits));
    return limits;
}

#define evaluate_text(block, properties, input) evaluate(block, sizeof(block), properties, input)

static void assert_setting(const struct lg_limits *limits, const char *name, const char *value,
                           enum lg_source source)
{
    const struct lg_setting *found = setting(limits, name);
    if (!found->value || strcmp(found->value, value) != 0)
        fail_msg("%s is %s, not %s", name, found->value, value);
    assert_int_equal(found->source, source);
}

static void the_environment_is_hexadecimal_and_properties_are_not(void **state)
{
    static const char *const properties[][2] = { { "System.GC.HighMemoryPercent", "60" },
                                                 { "System.GC.ConserveMemory", "0x5" },
                                                 { "System.GC.LOHThreshold", "0310000" },
                                                 { NULL, NULL } };
    struct lg_settings_input input = { .is_core = false };
    struct lg_limits limits =
        evaluate_text("DOTNET_GCHeapHardLimit=C800000\0COMPlus_GCHighMemPercent=0x32\0"
                      "DOTNET_GCHighMemPercent=",
                      properties, &input);
    assert_setting(&limits, "GCHeapHardLimit", "209715200", LG_SOURCE_ENVIRONMENT);
    assert_setting(&limits, "GCHighMemPercent", "50", LG_SOURCE_ENVIRONMENT);
    assert_setting(&limits, "GCConserveMemory", "5", LG_SOURCE_APP_CONTEXT);
    assert_setting(&limits, "GCLOHThreshold", "102400", LG_SOURCE_APP_CONTEXT);
    assert_non_null(strstr(setting(&limits, "GCHighMemPercent")->differs, "the environment wins"));
    assert_amount(limits.total_available, 209715200);
    lg_limits_deinit(&limits);
    free_properties();
}

static void a_variable_that_is_no_number_hides_some_properties(void **state)
{
    static const char *const properties[][2] = { { "System.GC.ConserveMemory", "5" },
                                                 { "System.GC.RetainVM", "true" },
                                                 { "System.GC.NoAffinitize", "true" },
                                                 { "System.GC.Concurrent", "true" },
                                                 { NULL, NULL } };
    struct lg_settings_input input = { .is_core = false };
    struct lg_limits limits =
        evaluate_text("DOTNET_GCConserveMemory=zz\0DOTNET_GCRetainVM=zz\0DOTNET_GCNoAffinitize=zz\0"
                      "DOTNET_gcConcurrent=0\0DOTNET_GCHeapHardLimit=fffffffffffffffff",
                      properties, &input);
    assert_setting(&limits, "GCConserveMemory", "0", LG_SOURCE_DEFAULT);
    assert_setting(&limits, "GCRetainVM", "true", LG_SOURCE_APP_CONTEXT);
    assert_setting(&limits, "GCNoAffinitize", "false", LG_SOURCE_ENVIRONMENT);
    assert_setting(&limits, "gcConcurrent", "true", LG_SOURCE_APP_CONTEXT);
    assert_setting(&limits, "GCHeapHardLimit", "0", LG_SOURCE_DEFAULT);
    assert_int_equal(limits.hard_limit.kind, LG_UNLIMITED);
    lg_limits_deinit(&limits);
    free_properties();
}

static void a_container_leaves_three_quarters_to_the_heap(void **state)
{
    static const uint64_t cases[][2] = { { UINT64_C(512) << 20, UINT64_C(384) << 20 },
                                         { UINT64_C(20) << 20, UINT64_C(20) << 20 },
                                         { UINT64_C(100) << 30, UINT64_C(12) << 30 } };
    for (size_t i = 0; i < 3; i++) {
        struct lg_settings_input input = { .resources.cgroup_memory = lg_amount(cases[i][0]) };
        struct lg_limits limits = evaluate_text("", NULL, &input);
        assert_amount(limits.hard_limit, cases[i][1]);
        assert_int_equal(setting(&limits, "GCHeapHardLimit")->source, LG_SOURCE_DEFAULT);
        lg_limits_deinit(&limits);
    }
}

static void big_machines_have_a_higher_memory_load(void **state)
{
    struct lg_settings_input input = { .resources.physical = lg_amount(UINT64_C(100) << 30) };
    struct lg_limits limits = evaluate_text("DOTNET_PROCESSOR_COUNT=32", NULL, &input);
    assert_string_equal(setting(&limits, "GCHighMemPercent")->value, "96"); // 100 - (3 + 47/32)
    assert_setting(&limits, "PROCESSOR_COUNT", "32", LG_SOURCE_ENVIRONMENT);
    lg_limits_deinit(&limits);
}

static void a_quota_counts_in_whole_processors(void **state)
{
    struct lg_settings_input input = { .resources.quota = lg_amount(1500) };
    struct lg_limits limits = evaluate_text("", NULL, &input);
    assert_setting(&limits, "PROCESSOR_COUNT", "2", LG_SOURCE_DEFAULT);
    lg_limits_deinit(&limits);
}

static void a_range_that_does_not_fit_makes_the_limit_unknown(void **state)
{
    struct lg_settings_input input = { .resources.cgroup_memory = lg_amount(UINT64_C(512) << 20) };
    input.facts = (struct lg_gc_facts){ .known = true,
                                        .regions = true,
                                        .heap_count = 1,
                                        .range = lg_amount(UINT64_C(5 * 384) << 20),
                                        .region_size = lg_amount(4 << 20) };
    struct lg_limits limits = evaluate_text("", NULL, &input);
    assert_amount(limits.hard_limit, UINT64_C(384) << 20);
    assert_non_null(strstr(setting(&limits, "GCHeapHardLimit")->effect, "bears it out"));
    lg_limits_deinit(&limits);
    input.resources.cgroup_memory = lg_amount(UINT64_C(1) << 30);
    limits = evaluate_text("", NULL, &input);
    assert_int_equal(limits.hard_limit.kind, LG_UNKNOWN);
    assert_int_equal(limits.total_available.kind, LG_UNKNOWN);
    assert_null(setting(&limits, "GCHeapHardLimit")->value);
    lg_limits_deinit(&limits);
}

static void the_runtimes_memory_wins(void **state)
{
    struct lg_settings_input input = { .facts = { .known = true, .heap_count = 1 } };
    struct lg_limits limits = evaluate_text("DOTNET_gcServer=1", NULL, &input);
    assert_setting(&limits, "gcServer", "false", LG_SOURCE_MEMORY);
    assert_non_null(strstr(setting(&limits, "gcServer")->differs, "asks for true"));
    assert_setting(&limits, "GCHeapCount", "1", LG_SOURCE_MEMORY);
    lg_limits_deinit(&limits);
}

static void without_environment_only_what_memory_tells_is_known(void **state)
{
    struct lg_settings_input input = { .environment_problem = "not there",
                                       .facts = { .known = true, .heap_count = 1 } };
    struct lg_limits limits = evaluate(NULL, 0, NULL, &input);
    for (size_t i = 0; i < limits.settings.len; i++) {
        const struct lg_setting *row = &limits.settings.at[i];
        assert_true(row->source == LG_SOURCE_MEMORY || !row->value);
    }
    assert_string_equal(setting(&limits, "GCConserveMemory")->effect, "not there");
    assert_int_equal(limits.hard_limit.kind, LG_UNKNOWN);
    lg_limits_deinit(&limits);
}

static void hostile_numbers_neither_overflow_nor_crash(void **state)
{
    static const char *const properties[][2] = { { "System.GC.HeapHardLimitSOHPercent",
                                                   "18446744073709551615" },
                                                 { "System.GC.HeapHardLimitLOHPercent", "-1" },
                                                 { "System.GC.ConserveMemory", "-9223372036854775808" },
                                                 { "System.GC.RegionRange", "99999999999999999999999" },
                                                 { "System.GC.LOHThreshold", "" },
                                                 { NULL, NULL } };
    struct lg_settings_input input = { .resources.physical = lg_amount(UINT64_MAX),
                                       .resources.cgroup_memory = lg_amount(UINT64_MAX),
                                       .resources.quota = lg_amount(UINT64_MAX),
                                       .facts = { .known = true,
                                                  .heap_count = UINT32_MAX,
                                                  .range = { LG_KNOWN, UINT64_MAX },
                                                  .region_size = { LG_KNOWN, UINT64_C(1) << 63 } } };
    struct lg_limits limits =
        evaluate_text("DOTNET_GCHeapHardLimitPercent=ffffffffffffffff\0DOTNET_GCgen0size=-1\0"
                      "DOTNET_GCHighMemPercent=ffffffff00000001",
                      properties, &input);
    assert_string_equal(setting(&limits, "GCHighMemPercent")->value, "1");
    lg_limits_deinit(&limits);
    free_properties();
}

static void sizes_are_short(void **state)
{
    char buf[LG_SIZE_TEXT];
    assert_string_equal(lg_size_text(buf, 0), "0 bytes");
    assert_string_equal(lg_size_text(buf, 1023), "1023 bytes");
    assert_string_equal(lg_size_text(buf, 1536), "1.5 KiB");
    assert_string_equal(lg_size_text(buf, 512 << 20), "512 MiB");
    assert_string_equal(lg_size_text(buf, UINT64_MAX), "16 EiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_variable_is_found_by_its_whole_name),
        cmocka_unit_test(the_environment_is_found_on_the_stack),
        cmocka_unit_test(a_stack_that_was_written_over_has_none),
        cmocka_unit_test(properties_are_text_as_the_host_makes_it),
        cmocka_unit_test(other_json_has_no_properties_and_what_is_none_is_an_error),
        cmocka_unit_test(the_file_lies_beside_the_app),
        cmocka_unit_test(the_environment_is_hexadecimal_and_properties_are_not),
        cmocka_unit_test(a_variable_that_is_no_number_hides_some_properties),
        cmocka_unit_test(a_container_leaves_three_quarters_to_the_heap),
        cmocka_unit_test(big_machines_have_a_higher_memory_load),
        cmocka_unit_test(a_quota_counts_in_whole_processors),
        cmocka_unit_test(a_range_that_does_not_fit_makes_the_limit_unknown),
        cmocka_unit_test(the_runtimes_memory_wins),
        cmocka_unit_test(without_environment_only_what_memory_tells_is_known),
        cmocka_unit_test(hostile_numbers_neither_overflow_nor_crash),
        cmocka_unit_test(sizes_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
