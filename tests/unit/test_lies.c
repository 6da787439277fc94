// Structures that lie: cycles, counts of 2^32, bounds that lead away. Whole commands run on them; each
// tells what is true and what was lost, and none takes much memory, which is counted.
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "support/fake_objects.h"
#include "support/line.h"
#include "support/promises.h"

// ---- memory ----

static uint64_t taken; // All that was ever asked for: what is freed and asked for anew counts twice.

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_mmap(void *p, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_mmap(void *p, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t size)
{
    taken += size;
    return __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size)
{
    taken += count * size;
    return __real_calloc(count, size);
}
void *__wrap_realloc(void *p, size_t size)
{
    taken += size;
    return __real_realloc(p, size);
}
void *__wrap_mmap(void *p, size_t size, int protection, int flags, int fd, off_t offset)
{
    taken += size;
    return __real_mmap(p, size, protection, flags, fd, offset);
}

// ---- what is told ----

static const char *const lines[] = {
    "dumpheap -stat",
    "dumpobj 7e0000020030",
    "dumpobj 7e0000020060",
    "dumparray 7e0000020000",
    "gcroot 7e0000020308",
    "eeheap",
    "modules",
    "dumpdomain",
    "gchandles",
    "finalizequeue",
    "clrthreads",
    "dumpheap -strings -stat",
    "retained -top 3",
};
enum { LINES = sizeof(lines) / sizeof(*lines), TOLD_MAX = 1 << 18 };

static char told[TOLD_MAX]; // Answers, errors and notes of all commands.

static void tell(struct lg_target *target)
{
    uint64_t before = taken;
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    FILE *out = fmemopen(told, sizeof(told), "w");
    struct lg_error *err = lg_session_use_dac(session, "none");
    if (!err)
        err = lg_session_adopt(session, target);
    if (err)
        fprintf(out, "error: %s\n", lg_error_message(err));
    for (size_t i = 0; !err && i < LINES; i++) {
        fprintf(out, "> %s\n", lines[i]);
        _cleanup_(lg_report_freep) struct lg_report *report = NULL;
        struct lg_error *refused = run_line(session, lines[i], &report);
        if (refused)
            fprintf(out, "error: %s\n", lg_error_message(refused));
        else {
            lg_report_write_text(report, out);
            lg_report_write_notes(report, out);
        }
        lg_error_free(refused);
    }
    const char *broken = err ? NULL : broken_promise(lg_session_clr(session));
    fclose(out);
    lg_error_free(err);
    if (broken)
        fail_msg("broken: %s", broken);
    assert_in_range(taken - before, 1, 32 << 20);
}

static void assert_told(const char *part)
{
    if (!strstr(told, part))
        fail_msg("'%s' is not in: %s", part, told);
}

static void assert_not_told(const char *part)
{
    if (strstr(told, part))
        fail_msg("'%s' is in: %s", part, told);
}

static void the_truth_is_told(void **state)
{
    tell(fake_runtime_with_objects(0));
    assert_not_told("error:");
    assert_told("Total 370 objects, 184,272 bytes");
    assert_told("static App.Node.s_root");
}

// ---- segments ----

static void a_segment_that_claims_eight_terabytes(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    uint64_t end = FR_MEMORY(0, FR_FOH) + (UINT64_C(8) << 40);
    for (uint64_t word = 0; word < 4; word++) // allocated, committed, reserved, used
        fake_u64(t, FR_SEGMENT(0, FR_FOH) + 8 * word, end);
    tell(t);
    assert_told("Total 370 objects, 184,272 bytes");
    assert_told("8796092989440 bytes of the heap could not be walked and were passed over");
    assert_told("static App.Node.s_root");
}

// ---- types ----

static void a_type_that_is_its_own_base_class(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    fake_u64(t, FT_MT(FT_NODE) + 16, FT_MT(FT_NODE));
    tell(t);
    assert_told("Total 370 objects, 184,272 bytes");
    assert_told("error: fields of App.Node: method table 0x7d3000001100: more than 128 base classes");
    // Its statics cannot be told from its fields any more.
    assert_told(
        "error: statics: FieldDesc 0 of method table 0x7d3000001100: is no static, and the class "
        "says otherwise");
}

static void an_eeclass_or_canonical_method_table_that_leads_to_itself(void **state)
{
    for (uint64_t bit = 0; bit < 2; bit++) {
        struct lg_target *t = fake_runtime_with_objects(0);
        fake_u64(t, FT_MT(FT_NODE) + 40, FT_MT(FT_NODE) | bit);
        tell(t);
        assert_told("Total 22 objects, 168,480 bytes");
        assert_told("at 6 places in the heap there was no object where one should be, first at "
                    "7e0000000030; counts and sizes are too low");
        assert_told("15792 bytes of the heap could not be walked and were passed over");
        assert_told("error: 0x7e0000020030 is no object");
        assert_told("2 handles lead to what is no object");
    }
}

static void an_array_of_itself(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    fake_u64(t, FT_OBJECT_ARRAY + 48, FT_OBJECT_ARRAY);
    tell(t);
    assert_told("5,760 <unknown_type>[]");
    assert_told("Element Methodtable: 00007f0300000200");
    assert_told("Total 370 objects, 184,272 bytes");
}

static void assert_name(struct lg_target *t, uint64_t mt, const char *name)
{
    _cleanup_(lg_target_freep) struct lg_target *view = fake_view(t, NULL, NULL);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    const struct lg_clr_options options = { .dac = "none" };
    assert_ok(lg_clr_open(view, &options, &clr));
    assert_string_equal(lg_clr_handle_name(clr, mt), name);
}

static void generic_arguments_without_end(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime_with_objects(0);
    assert_name(t, FT_MT(FT_OUTER_STRING), "App.Outer<System.String>");
    fake_u16(t, FT_MT(FT_OUTER_STRING) + 0x506, UINT16_MAX);
    assert_name(t, FT_MT(FT_OUTER_STRING), "App.Outer<T1>");
    fake_u16(t, FT_MT(FT_OUTER_STRING) + 0x506, 1);
    fake_u16(t, FT_MT(FT_OUTER_STRING) + 0x504, UINT16_MAX); // dictionaries
    assert_name(t, FT_MT(FT_OUTER_STRING), "App.Outer<T1>");
    fake_u16(t, FT_MT(FT_OUTER_STRING) + 0x504, 1);
    fake_u64(t, FT_MT(FT_OUTER_STRING) + 0x540, FT_MT(FT_OUTER_STRING)); // an argument that is itself
    assert_name(t, FT_MT(FT_OUTER_STRING), "App.Outer<<unknown_type>>");
}

// A descriptor that tells of fields and not of statics: their places are unknown, and no more.
static void a_descriptor_without_statics(void **state)
{
    static char json[1 << 16];
    struct lg_target *t = fake_runtime_with_objects(0);
    size_t len = lg_target_read(t, FR_JSON, json, sizeof(json) - 1);
    char *name = strstr(json, "\"DynamicStaticsInfo\"");
    assert_true(len > 0 && name);
    fake_u8(t, FR_JSON + (uint64_t)(name - json) + 1, 'X');
    tell(t);
    assert_told("note: Fields and statics are unknown");
    assert_told("Total 370 objects, 184,272 bytes");
}

// ---- counts ----

static void an_array_of_four_billion_elements(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    fake_u32(t, FR_MEMORY(0, 2) + 8, UINT32_MAX);
    tell(t);
    assert_told("Total 369 objects, 184,224 bytes");
    assert_told("48 bytes of the heap could not be walked and were passed over");
    assert_told("error: 0x7e0000020000 is no object");
    assert_told("1 static slots hold what is no object");
}

static void a_string_that_reaches_beyond_its_segment(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    fake_u32(t, FR_MEMORY(0, 2) + FO_STRING + 8, INT32_MAX);
    tell(t);
    assert_told("Total 369 objects, 184,232 bytes");
    assert_told("40 bytes of the heap could not be walked and were passed over");
    assert_told("1 references lead to where no object starts: they are left out");
    assert_told("119          4,760 fake text");
}

static void a_class_of_all_fields_that_there_can_be(void **state)
{
    for (int readable = 0; readable < 2; readable++) {
        struct lg_target *t = fake_runtime_with_objects(0);
        uint64_t class;
        lg_target_u64(t, FT_MT(FT_NODE) + 40, &class);
        fake_u16(t, class + 50, UINT16_MAX);
        fake_u16(t, class + 54, UINT16_MAX);
        if (readable) {
            fake_u64(t, class + 24, UINT64_C(0x7c0000000000));
            fake_zeros(t, UINT64_C(0x7c0000000000), 2 * 0x100000);
        }
        tell(t);
        assert_told(readable
                        ? "fields of App.Node: FieldDesc 0 of method table 0x7d3000001100: belongs to 0;"
                        : "fields of App.Node: FieldDescs of method table 0x7d3000001100: not readable");
        assert_told("Total 370 objects, 184,272 bytes");
    }
}

static void fill_pointers_that_run_backwards(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    fake_u64(t, FR_FINALIZE(0) + 24, FR_FINALIZE(0));
    tell(t);
    assert_told(
        "error: finalization queue of heap 0: CFinalize at 0x7f0900000000: array 0x7f0900000100 to");
    assert_told("Total 370 objects, 184,272 bytes");
}

// ---- lists ----

static void a_list_of_assemblies_that_bites_its_tail(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    uint64_t list = FT_APP_DOMAIN + 576;
    fake_u32(t, list, 1 << 16);
    fake_u64(t, list + 8, list + 8); // next
    fake_u32(t, list + 16, 2);       // size
    tell(t);
    assert_told(
        "65534 of the 65536 assemblies that the runtime lists cannot be read, or are told twice");
    assert_told("static App.Node.s_root");
}

static void tables_of_types_that_bite_their_tails(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    fake_u64(t, FT_MODULE(0) + 416, FT_MODULE(0) + 416);               // TypeDef map: next
    fake_u64(t, FT_MODULE(1) + 0x3200 + 8, FT_MODULE(1) + 0x3200 + 8); // instantiation: next
    tell(t);
    assert_told("The types of 2 modules could not all be listed: statics may be missing");
    assert_told("static App.Node.s_root");
}

static void thread_statics_in_flight_without_end(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    uint64_t node = UINT64_C(0x7c0000000000);
    fake_zeros(t, node, 64);
    for (uint64_t i = 0; i < 8; i++)
        fake_u64(t, node + 8 * i, node);
    fake_u64(t, FT_TLS + 32, node); // InFlightData
    tell(t);
    assert_told("static App.Node.s_root");
}

// ---- names ----

static void names_without_end(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    for (uint64_t i = 0; i < 0x8000; i++)
        fake_u16(t, UINT64_C(0x7c0000000000) + 2 * i, 'x');
    fake_u64(t, FT_MODULE(1) + 200, UINT64_C(0x7c0000000000));
    tell(t);
    char *path = strstr(told, "xxx");
    assert_non_null(path);
    assert_in_range(strspn(path, "x"), 3, 4096);
    assert_told("Total 370 objects, 184,272 bytes");
}

// ---- what a core lacks ----

// A core without the GC's variables has no handles, queues and native heaps to tell of: unknown, not
// none.
static void a_core_without_the_gcs_variables(void **state)
{
    struct lg_target *t = fake_runtime_with_objects(0);
    t->kind = LG_TARGET_CORE;
    fake_forget(t, FR_DAC_TABLE, 256);
    tell(t);
    assert_told("> gchandles\nerror: GC handles: ");
    assert_told("> finalizequeue\nerror: finalization queues: ");
    assert_told("g_dacTable of");
    assert_not_told("Total 0 objects");
}

int main(void)
{
    // One worker: what each takes for itself is the same everywhere.
    use_one_processor();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_truth_is_told),
        cmocka_unit_test(a_segment_that_claims_eight_terabytes),
        cmocka_unit_test(a_type_that_is_its_own_base_class),
        cmocka_unit_test(an_eeclass_or_canonical_method_table_that_leads_to_itself),
        cmocka_unit_test(an_array_of_itself),
        cmocka_unit_test(generic_arguments_without_end),
        cmocka_unit_test(a_descriptor_without_statics),
        cmocka_unit_test(an_array_of_four_billion_elements),
        cmocka_unit_test(a_string_that_reaches_beyond_its_segment),
        cmocka_unit_test(a_class_of_all_fields_that_there_can_be),
        cmocka_unit_test(fill_pointers_that_run_backwards),
        cmocka_unit_test(a_list_of_assemblies_that_bites_its_tail),
        cmocka_unit_test(tables_of_types_that_bite_their_tails),
        cmocka_unit_test(thread_statics_in_flight_without_end),
        cmocka_unit_test(names_without_end),
        cmocka_unit_test(a_core_without_the_gcs_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
