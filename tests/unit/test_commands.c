// Whole commands on a fake runtime: they answer, in every format, and no damage to the runtime's own
// words makes them do worse than say so.
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clr/gc_vars.h"
#include "support/fake_objects.h"
#include "support/line.h"

static const char *const lines[] = {
    "limits",
    "eeheap",
    "eeheap -gc",
    "dumpheap",
    "dumpheap -stat",
    "dumpheap -short",
    "dumpheap -strings -stat",
    "dumpheap -gen gen2 -min 30 -top 3",
    "dumpobj 7e0000020000",
    "dumpobj 7e0000020030",
    "dumpobj 7e0000020060",
    "dumparray 7e0000020000",
    "gcroot 7e0000020308",
    "gcroot 7e0000030060",
    "gcroot 7e0000020308 -all",
    "pathto 7e0000020000 7e0000020308",
    "objsize 7e0000020308",
    "gcheapstat",
    "dumpheap -type Node",
    "clrthreads",
    "dumpstackobjects",
    "gchandles",
    "gchandles -stat",
    "finalizequeue",
    "finalizequeue -stat",
};
enum { LINES = sizeof(lines) / sizeof(*lines) };

static void render_all(const struct lg_report *report)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    lg_report_write_text(report, out);
    lg_report_write_json(report, false, out);
    lg_report_write_json(report, true, out);
    lg_report_write_tsv(report, out);
    lg_report_write_notes(report, out);
    fclose(out);
    assert_true(len > 0);
}

static void answer_all(unsigned flags)
{
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    assert_ok(lg_session_adopt(session, fake_runtime_with_objects(flags)));
    for (size_t i = 0; i < LINES; i++) {
        _cleanup_(lg_report_freep) struct lg_report *report = NULL;
        struct lg_error *err = run_line(session, lines[i], &report);
        if (err)
            fail_msg("%s: %s", lines[i], lg_error_message(err));
        assert_false(lg_report_failed(report));
        render_all(report);
    }
}

static void every_command_answers_under_workstation_gc(void **state)
{
    answer_all(0);
}
static void every_command_answers_under_server_gc(void **state)
{
    answer_all(FAKE_SERVER_GC);
}
static void every_command_answers_with_segments(void **state)
{
    answer_all(FAKE_SEGMENTS_GC);
}

static void the_walk_of_the_fake_heap_is_exact(void **state)
{
    const struct lg_type_stats *stats;
    const struct lg_walk_result *walk;
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    assert_ok(lg_session_adopt(session, fake_runtime_with_objects(0)));
    assert_ok(lg_session_stats(session, &stats, &walk));
    if (!lg_walk_is_exact(walk))
        fail_msg("%" PRIu64 " bad, first at %" PRIx64 ", %" PRIu64 " bytes skipped", walk->bad_objects,
                 walk->first_bad, walk->skipped_bytes);
    assert_int_equal(walk->objects, 6 * 3 * FO_TURNS);
}

static void gcroot_names_the_static_that_holds_the_chain(void **state)
{
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    _cleanup_(lg_report_freep) struct lg_report *report = NULL;
    _cleanup_free_ char *text = NULL;
    size_t len;
    assert_ok(lg_session_adopt(session, fake_runtime_with_objects(0)));
    assert_ok(run_line(session, "gcroot 7e0000020308", &report));
    FILE *out = open_memstream(&text, &len);
    lg_report_write_text(report, out);
    fclose(out);
    assert_non_null(strstr(text, "App.Node.s_root"));
}

// The same walk, and a sentence with every answer.
static void a_core_taken_during_a_gc_is_walked_and_says_so(void **state)
{
    struct lg_target *target = fake_runtime_with_objects(0);
    target->kind = LG_TARGET_CORE;
    fake_u32(target, FR_GC_VARIABLES + 0x10 * LG_GC_STRUCTURES_INVALID_CNT, 1);
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    assert_ok(lg_session_adopt(session, target));
    _cleanup_(lg_report_freep) struct lg_report *report = NULL;
    assert_ok(run_line(session, "dumpheap -stat", &report));
    lg_session_describe(session, report);
    bool said = false;
    for (size_t i = 0; i < lg_report_note_count(report); i++)
        said |= strstr(lg_report_note(report, i), "while a garbage collection was under way") != NULL;
    assert_true(said);
    const struct lg_type_stats *stats;
    const struct lg_walk_result *walk;
    assert_ok(lg_session_stats(session, &stats, &walk));
    assert_int_equal(walk->objects, 6 * 3 * FO_TURNS);
}

static bool find_free(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    uint64_t *free_at = self;
    if (object->type->flags & LG_TYPE_FREE && object->size >= 0x100)
        *free_at = object->address;
    return *free_at == 0;
}

static void what_was_collected_is_no_object(void **state)
{
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    struct lg_target *target = fake_runtime_with_objects(0);
    assert_ok(lg_session_adopt(session, target));
    struct lg_walk_filter all = { 0 };
    struct lg_walk_result walk;
    uint64_t free_at = 0, mt;
    assert_ok(lg_heap_walk(lg_session_heap(session), &all, find_free, &free_at, &walk));
    assert_true(free_at != 0);
    assert_true(lg_target_read_all(target, 0x7e0000020308, &mt, sizeof(mt)));
    fake_u64(target, free_at + 0x40, mt);
    char line[64], expected[64];
    snprintf(line, sizeof(line), "dumpobj %" PRIx64, free_at + 0x40);
    snprintf(expected, sizeof(expected), "bytes from 0x%" PRIx64 " on are free", free_at);
    _cleanup_(lg_report_freep) struct lg_report *report = NULL;
    struct lg_error *err = run_line(session, line, &report);
    assert_non_null(err);
    assert_non_null(strstr(lg_error_message(err), expected));
    lg_error_free(err);
}

// ---- damage ----

enum { VALUES = 3 }; // Of each word.

static void run_all_on(struct lg_target *target)
{
    static const char *const few[] = { "dumpheap -stat", "gcroot 7e0000020308",
                                       "gchandles",      "finalizequeue",
                                       "eeheap",         "dumpobj 7e0000020000" };
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    struct lg_error *err = lg_session_adopt(session, target);
    for (size_t i = 0; !err && i < sizeof(few) / sizeof(*few); i++) {
        _cleanup_(lg_report_freep) struct lg_report *report = NULL;
        struct lg_error *refused = run_line(session, few[i], &report);
        if (!refused)
            render_all(report);
        lg_error_free(refused);
    }
    lg_error_free(err);
}

// The words of the runtime's structures; those of images, descriptor and objects are damaged elsewhere.
static bool is_tried(uint64_t address)
{
    return address >= FR_METHOD_TABLES - 64 && address < FR_HANDLES(0) + 0x1c00
           && (address < FR_HANDLES(0) || address >= FR_HANDLES(0) + 1560);
}

static void damage_every_word(unsigned flags)
{
    _cleanup_(lg_target_freep) struct lg_target *pattern = fake_runtime_with_objects(flags);
    uint64_t address, before;
    for (size_t i = 0; fake_word(pattern, i, &address); i++) {
        if (!is_tried(address) || !lg_target_u64(pattern, address, &before) || before == 0)
            continue;
        for (size_t k = 0; k < VALUES; k++) {
            struct lg_target *target = fake_runtime_with_objects(flags); // The session's.
            fake_u64(target, address, fake_hostile[(VALUES * i + k) % fake_hostile_count]);
            run_all_on(target);
        }
    }
}

static void damage_does_no_harm(void **state)
{
    damage_every_word(0);
}
static void damage_does_no_harm_with_segments(void **state)
{
    damage_every_word(FAKE_SEGMENTS_GC);
}

int main(void)
{
    // One worker: what goes wrong goes wrong again, and starting threads takes most of the time.
    use_one_processor();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_answers_under_workstation_gc),
        cmocka_unit_test(every_command_answers_under_server_gc),
        cmocka_unit_test(every_command_answers_with_segments),
        cmocka_unit_test(the_walk_of_the_fake_heap_is_exact),
        cmocka_unit_test(a_core_taken_during_a_gc_is_walked_and_says_so),
        cmocka_unit_test(what_was_collected_is_no_object),
        cmocka_unit_test(gcroot_names_the_static_that_holds_the_chain),
        cmocka_unit_test(damage_does_no_harm),
        cmocka_unit_test(damage_does_no_harm_with_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
