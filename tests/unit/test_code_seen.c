// Which code a return address belonged to, by made-up events.
#include "test.h"

#include <string.h>

#include "collect/code_seen.h"

enum { LOAD_SHORT = 141, UNLOAD_SHORT = 142, LOAD = 143, UNLOAD = 144, PRESENT = 144, MAP = 150 };
enum { CODE = 0x1000, SIZE = 0x100 };

static void tell(struct lg_codes *codes, enum lg_event_provider provider, uint32_t id, uint64_t time,
                 const uint8_t *payload, size_t size)
{
    const struct lg_event_kind kind = { .provider = provider, .id = id };
    const struct lg_event event = {
        .kind = &kind, .time = time, .payload = payload, .payload_size = size
    };
    assert_ok(lg_codes_event(codes, &event));
}

// A method by its number: of one letter each are its name and its type.
static void tell_method(struct lg_codes *codes, enum lg_event_provider provider, uint32_t id,
                        uint64_t time, uint64_t method, uint64_t start)
{
    uint8_t bytes[48] = { 0 };
    const uint32_t code_size = SIZE;
    bool is_short = provider == LG_PROVIDER_RUNTIME && (id == LOAD_SHORT || id == UNLOAD_SHORT);
    memcpy(bytes, &method, 8);
    memcpy(bytes + 16, &start, 8);
    memcpy(bytes + 24, &code_size, 4);
    bytes[36] = 'T';
    bytes[40] = (uint8_t)('@' + method);
    tell(codes, provider, id, time, bytes, is_short ? 36 : 46);
}

static void loads(struct lg_codes *codes, uint64_t time, uint64_t method)
{
    tell_method(codes, LG_PROVIDER_RUNTIME, LOAD, time, method, CODE);
}
static void unloads(struct lg_codes *codes, uint64_t time, uint64_t method)
{
    tell_method(codes, LG_PROVIDER_RUNTIME, UNLOAD, time, method, CODE);
}
static void is_present(struct lg_codes *codes, uint64_t method)
{
    tell_method(codes, LG_PROVIDER_RUNDOWN, PRESENT, 1000, method, CODE);
}

// The number of the method there; 0: not known.
static uint64_t at(struct lg_codes *codes, uint64_t first, uint64_t last)
{
    const struct lg_code_seen *code = lg_codes_find(codes, CODE + 0x10, first, last);
    if (code)
        assert_int_equal(code->name[0], '@' + code->method_desc);
    return code ? code->method_desc : 0;
}

static void code_that_was_there_before_is_known_by_the_rundown(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    is_present(&codes, 1);
    assert_int_equal(at(&codes, 5, 900), 1);
    assert_null(lg_codes_find(&codes, CODE, 5, 900)); // A return address lies behind a call.
    assert_non_null(lg_codes_find(&codes, CODE + SIZE, 5, 900));
    assert_null(lg_codes_find(&codes, CODE + SIZE + 1, 5, 900));
}

// Another thread can run it before the one that compiled it tells of it.
static void code_runs_before_it_is_told_to_come(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    loads(&codes, 100, 1);
    assert_int_equal(at(&codes, 90, 120), 1);
    is_present(&codes, 1);
    assert_int_equal(at(&codes, 90, 120), 1);
}

static void one_place_is_that_of_several_in_turn(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    unloads(&codes, 100, 1);
    loads(&codes, 200, 2);
    unloads(&codes, 300, 2);
    loads(&codes, 400, 3);
    is_present(&codes, 3);
    assert_int_equal(at(&codes, 50, 60), 1);
    assert_int_equal(at(&codes, 150, 160), 2); // before it was told to come
    assert_int_equal(at(&codes, 250, 300), 2);
    assert_int_equal(at(&codes, 301, 500), 3);
    assert_int_equal(at(&codes, 50, 250), 0); // not one and the same
    assert_int_equal(at(&codes, 250, 350), 0);
}

static void what_contradicts_itself_is_not_known(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    loads(&codes, 100, 1); // never goes, and yet there is another
    loads(&codes, 200, 2);
    assert_int_equal(at(&codes, 150, 160), 0);
    assert_int_equal(at(&codes, 250, 260), 0);
    unloads(&codes, 300, 2);
    is_present(&codes, 3);
    assert_int_equal(at(&codes, 250, 260), 0);
}

static void where_events_are_not_there_only_what_is_sure_is_known(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    loads(&codes, 100, 1);
    lg_codes_lost(&codes, &(struct lg_event_loss){ 1, 1, 200, 300 });
    assert_int_equal(at(&codes, 110, 199), 1);
    assert_int_equal(at(&codes, 110, 250), 0); // It may have gone.
    assert_int_equal(at(&codes, 310, 320), 0);
    assert_int_equal(at(&codes, 90, 110), 0); // Something else may have been there before.
    is_present(&codes, 1);
    assert_int_equal(at(&codes, 110, 400), 1);
    is_present(&codes, 2);
    assert_int_equal(at(&codes, 310, 320), 0);
}

static void code_told_only_at_the_end_is_not_taken_for_that_before_a_loss(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    lg_codes_lost(&codes, &(struct lg_event_loss){ 1, 1, 200, 300 });
    is_present(&codes, 1);
    assert_int_equal(at(&codes, 100, 110), 0);
    assert_int_equal(at(&codes, 300, 310), 1);
}

// Below the level Verbose most events name no method; the rundown does.
static void names_come_with_the_rundown(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    tell_method(&codes, LG_PROVIDER_RUNTIME, UNLOAD_SHORT, 100, 1, CODE);
    tell_method(&codes, LG_PROVIDER_RUNTIME, LOAD_SHORT, 200, 2, CODE);
    assert_int_equal(at(&codes, 210, 220), 0);
    is_present(&codes, 2);
    assert_int_equal(at(&codes, 210, 220), 2);
    assert_int_equal(at(&codes, 90, 95), 0);
}

static void an_address_is_told_by_the_code_around_it(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    for (uint64_t i = 1; i <= 20; i++)
        tell_method(&codes, LG_PROVIDER_RUNTIME, LOAD, 10, i, CODE + (20 - i) * SIZE);
    for (uint64_t i = 1; i <= 20; i++) {
        const struct lg_code_seen *code = lg_codes_find(&codes, CODE + (20 - i) * SIZE + 1, 20, 20);
        assert_non_null(code);
        assert_int_equal(code->method_desc, i);
    }
}

static void the_map_before_a_method_is_its_own(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    uint8_t map[19 + 16] = { 1 }; // of method 1
    const uint32_t il[] = { 0, 7 }, native[] = { 0, 0x20 };
    map[17] = 2;
    memcpy(map + 19, il, 8);
    memcpy(map + 27, native, 8);
    tell(&codes, LG_PROVIDER_RUNDOWN, MAP, 1000, map, sizeof(map));
    is_present(&codes, 1);
    const struct lg_code_seen *code = lg_codes_find(&codes, CODE + 0x10, 5, 900);
    assert_non_null(code);
    assert_int_equal(lg_codes_il(&codes, code, CODE + 0x20), 0);
    assert_int_equal(lg_codes_il(&codes, code, CODE + 0x21), 7);
    tell(&codes, LG_PROVIDER_RUNDOWN, MAP, 1000, map, sizeof(map) - 1); // cut: none
    tell_method(&codes, LG_PROVIDER_RUNDOWN, PRESENT, 1000, 1, 2 * CODE);
    code = lg_codes_find(&codes, 2 * CODE + 0x21, 5, 900);
    assert_int_equal(lg_codes_il(&codes, code, 2 * CODE + 0x21), UINT32_MAX);
}

// Many that came and went at one place: what was there is not known any more, and it takes no time.
static void a_place_of_too_many_is_not_known(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    enum { MANY = 200000 };
    for (uint64_t i = 1; i <= MANY; i++) {
        loads(&codes, i * 10, 1);
        unloads(&codes, i * 10 + 5, 1);
    }
    assert_int_equal(codes.all.len, MANY);
    for (uint64_t i = 1; i <= MANY; i++)
        assert_int_equal(at(&codes, i * 10, i * 10 + 1), 0);
}

static void what_is_no_method_is_passed_over(void **state)
{
    _cleanup_(lg_codes_deinit) struct lg_codes codes = { 0 };
    uint8_t bytes[46] = { 0 };
    for (size_t size = 0; size < sizeof(bytes); size++)
        tell(&codes, LG_PROVIDER_RUNTIME, LOAD, 10, bytes, size);
    tell_method(&codes, LG_PROVIDER_RUNTIME, LOAD, 10, 1, UINT64_MAX - 5);
    assert_int_equal(codes.all.len, 0);
    assert_null(lg_codes_find(&codes, 1, 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_that_was_there_before_is_known_by_the_rundown),
        cmocka_unit_test(code_runs_before_it_is_told_to_come),
        cmocka_unit_test(one_place_is_that_of_several_in_turn),
        cmocka_unit_test(what_contradicts_itself_is_not_known),
        cmocka_unit_test(where_events_are_not_there_only_what_is_sure_is_known),
        cmocka_unit_test(code_told_only_at_the_end_is_not_taken_for_that_before_a_loss),
        cmocka_unit_test(names_come_with_the_rundown),
        cmocka_unit_test(an_address_is_told_by_the_code_around_it),
        cmocka_unit_test(the_map_before_a_method_is_its_own),
        cmocka_unit_test(a_place_of_too_many_is_not_known),
        cmocka_unit_test(what_is_no_method_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
