// Each kind of fact, asked of a DAC that crashes, hangs, eats memory, ends, hangs up, reads without end,
// refuses, or answers nothing but zeros: an error with a name or what such an answer means, and the next
// question has a new helper. What else it could answer: tests/fuzz/fuzz_dac.c.
#include "dac_fixture.h"

#include "dac/facts.h"

enum { SOME = 0x7000 };

// ---- the questions ----

static struct lg_error *known(struct lg_dac *dac)
{
    struct lg_dac_well_known ret;
    return lg_dac_well_known_read(dac, &ret);
}
static struct lg_error *type(struct lg_dac *dac)
{
    struct lg_dac_type ret;
    return lg_dac_type_read(dac, SOME, &ret);
}
static struct lg_error *type_name(struct lg_dac *dac)
{
    _cleanup_free_ char *ret = NULL;
    return lg_dac_type_name(dac, SOME, &ret);
}
static struct lg_error *array(struct lg_dac *dac)
{
    struct lg_dac_array ret;
    return lg_dac_array_type(dac, SOME, &ret);
}
static struct lg_error *fields(struct lg_dac *dac)
{
    const struct lg_dac_type of = { .mt = SOME, .static_fields = 2, .first_field = SOME };
    _cleanup_(lg_dac_fields_deinit) struct lg_dac_fields ret = { .at = NULL };
    return lg_dac_fields_read(dac, &of, &ret);
}
static struct lg_error *statics(struct lg_dac *dac)
{
    const struct lg_dac_type of = { .mt = SOME, .static_fields = 2 };
    struct lg_dac_statics ret;
    return lg_dac_statics_read(dac, &of, &ret);
}
static struct lg_error *thread_statics(struct lg_dac *dac)
{
    const struct lg_dac_type of = { .mt = SOME, .static_fields = 2, .thread_static_fields = 1 };
    struct lg_dac_statics ret;
    return lg_dac_thread_statics_read(dac, &of, SOME, &ret);
}
static struct lg_error *threads(struct lg_dac *dac)
{
    _cleanup_(lg_dac_threads_deinit) struct lg_dac_threads ret = { .all = 0 };
    return lg_dac_threads_read(dac, &ret);
}
static struct lg_error *domain(struct lg_dac *dac)
{
    _cleanup_(lg_dac_domain_deinit) struct lg_dac_domain ret = { .name = NULL };
    return lg_dac_domain_read(dac, &ret);
}
static struct lg_error *modules(struct lg_dac *dac)
{
    _cleanup_(lg_dac_addresses_deinit) struct lg_dac_addresses ret = { .at = NULL };
    return lg_dac_modules_read(dac, &ret);
}
static struct lg_error *module(struct lg_dac *dac)
{
    _cleanup_(lg_dac_module_deinit) struct lg_dac_module ret = { .path = NULL };
    return lg_dac_module_read(dac, SOME, &ret);
}
static struct lg_error *module_types(struct lg_dac *dac)
{
    _cleanup_(lg_dac_module_types_deinit) struct lg_dac_module_types ret = { .at = NULL };
    return lg_dac_module_types_read(dac, SOME, &ret);
}
static struct lg_error *gc(struct lg_dac *dac)
{
    _cleanup_(lg_dac_gc_deinit) struct lg_dac_gc ret = { .datas = 0 };
    return lg_dac_gc_read(dac, &ret);
}
static struct lg_error *segments(struct lg_dac *dac)
{
    _cleanup_(lg_dac_segments_deinit) struct lg_dac_segments ret = { .at = NULL };
    return lg_dac_segments_read(dac, SOME, &ret);
}

static const struct {
    const char *name;
    struct lg_error *(*ask)(struct lg_dac *dac);
} questions[] = {
    { "well-known types", known },
    { "type", type },
    { "type name", type_name },
    { "array", array },
    { "fields", fields },
    { "statics", statics },
    { "thread statics", thread_statics },
    { "threads", threads },
    { "domain", domain },
    { "modules", modules },
    { "module", module },
    { "types of a module", module_types },
    { "GC", gc },
    { "segments", segments },
};
enum { TYPE = 1, MODULE_TYPES = 11, SEGMENTS = 13 }; // Of them.
enum { QUESTIONS = sizeof(questions) / sizeof(*questions) };

// ---- the answers ----

static void ask(struct fixture *f, size_t i, uint64_t mode, struct lg_dac_options options,
                const char *message)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = NULL;
    fake_u64(f->target, FAKE_DAC_MODE, mode);
    assert_ok(open_with(f, options, &dac));
    struct lg_error *err = questions[i].ask(dac);
    if (!err || strcmp(lg_error_message(err), message) != 0)
        fail_msg("%s: %s", questions[i].name, err ? lg_error_message(err) : "no error");
    lg_error_free(err);
    // The next is asked of a new helper, and of a DAC that has thought better of it.
    fake_u64(f->target, FAKE_DAC_MODE, FAKE_DAC_REFUSES);
    err = questions[i].ask(dac);
    if (!err || (lg_error_kind(err) != LG_ERR_NOT_FOUND && lg_error_kind(err) != LG_ERR_CORRUPT)
        || strcmp(lg_error_message(err), message) == 0)
        fail_msg("%s, again: %s", questions[i].name, err ? lg_error_message(err) : "no error");
    lg_error_free(err);
}

static void ask_each(struct fixture *f, uint64_t mode, struct lg_dac_options options,
                     const char *message)
{
    for (size_t i = 0; i < QUESTIONS; i++)
        ask(f, i, mode, options, message);
}

static void a_dac_that_crashes(void **state)
{
    ask_each(*state, FAKE_DAC_CRASHES, (struct lg_dac_options){ 0 },
             "the DAC crashed: Illegal instruction");
}
static void a_dac_that_ends_its_process(void **state)
{
    ask_each(*state, FAKE_DAC_EXITS, (struct lg_dac_options){ 0 },
             "the DAC ended its process, with status 3");
}
// Each takes as long as it is let: a list, one that comes by callback, and a single answer.
static void a_dac_that_hangs(void **state)
{
    ask(*state, SEGMENTS, FAKE_DAC_HANGS, (struct lg_dac_options){ .timeout_ms = 5000 },
        "the DAC did not answer within 5 seconds");
    ask(*state, MODULE_TYPES, FAKE_DAC_HANGS, (struct lg_dac_options){ .timeout_ms = 5000 },
        "the DAC did not answer within 5 seconds");
}
static void a_dac_that_reads_without_end(void **state)
{
    ask(*state, TYPE, FAKE_DAC_READS, (struct lg_dac_options){ .timeout_ms = 5000 },
        "the DAC did not answer within 5 seconds");
}
static void a_dac_that_eats_memory(void **state)
{
#ifdef TEST_HAS_ASAN
    print_message("skipped: AddressSanitizer's malloc ends the process before the limit is used up\n");
#else
    ask_each(*state, FAKE_DAC_EATS, (struct lg_dac_options){ .memory = 128 << 20 },
             "the DAC used up the 128 MB that it may have");
#endif
}

// Zeros are no runtime, but some may be an answer: no crash, no endless list, no memory taken.
static void a_dac_that_answers_zeros(void **state)
{
    struct fixture *f = *state;
    _cleanup_(lg_dac_freep) struct lg_dac *dac = NULL;
    fake_u64(f->target, FAKE_DAC_MODE, FAKE_DAC_SAYS_NOTHING);
    assert_ok(open_with(f, (struct lg_dac_options){ 0 }, &dac));
    for (size_t i = 0; i < QUESTIONS; i++) {
        struct lg_error *err = questions[i].ask(dac);
        if (err && lg_error_kind(err) != LG_ERR_NOT_FOUND && lg_error_kind(err) != LG_ERR_CORRUPT)
            fail_msg("%s: %s", questions[i].name, lg_error_message(err));
        lg_error_free(err);
    }
    assert_error(known(dac), LG_ERR_NOT_FOUND,
                 "the DAC does not tell the well-known types of 0x10000000 (0)");
}

static void a_list_that_does_not_end(void **state)
{
    struct fixture *f = *state;
    _cleanup_(lg_dac_freep) struct lg_dac *dac = NULL;
    fake_u64(f->target, FAKE_DAC_MODE, FAKE_DAC_CALLS_BACK);
    assert_ok(open_with(f, (struct lg_dac_options){ 0 }, &dac));
    assert_error(module_types(dac), LG_ERR_CORRUPT, "the DAC tells of a list that does not end");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_dac_that_crashes),       TEST(a_dac_that_ends_its_process),
        TEST(a_dac_that_hangs),         TEST(a_dac_that_reads_without_end),
        TEST(a_dac_that_eats_memory),   TEST(a_dac_that_answers_zeros),
        TEST(a_list_that_does_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
