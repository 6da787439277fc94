#include "cli/values.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

static char text[4096];

static const char *from_utf16(size_t size, const uint16_t *chars, size_t count)
{
    size_t len = lg_utf8_from_utf16(text, size, chars, count);
    assert_int_equal(len, strlen(text));
    return text;
}
#define UTF8(...) \
    from_utf16(sizeof(text), (const uint16_t[]){ __VA_ARGS__ }, \
               sizeof((const uint16_t[]){ __VA_ARGS__ }) / 2)

static void utf_16_becomes_utf_8(void **state)
{
    assert_string_equal(UTF8('a', 0xe9, 0x65e5), "aé日");
    assert_string_equal(UTF8(0xd83d, 0xde00), "😀");
}

static void a_lone_surrogate_becomes_the_replacement_character(void **state)
{
    assert_string_equal(UTF8('a', 0xd83d, 'b'), "a\ufffdb");
    assert_string_equal(UTF8(0xde00, 'b'), "\ufffdb");
    assert_string_equal(UTF8('a', 0xd83d), "a\ufffd");
    assert_string_equal(UTF8(0xd83d, 0xd83d, 0xde00), "\ufffd😀");
}

static void nul_does_not_end_the_text(void **state)
{
    assert_string_equal(UTF8('a', 0, 'b'), "a\u2400b");
}

static void text_is_cut_between_characters(void **state)
{
    const uint16_t chars[] = { 'a', 0x65e5, 'b' };
    assert_string_equal(from_utf16(4, chars, 3), "a");
    assert_string_equal(from_utf16(5, chars, 3), "a日");
    assert_string_equal(from_utf16(1, chars, 3), "");
    assert_int_equal(lg_utf8_from_utf16(text, 0, chars, 3), 0);
}

static const char *clean(const char *s, size_t max)
{
    snprintf(text, sizeof(text), "%s", s);
    lg_text_clean(text, max);
    return text;
}

static void cleaning_keeps_letters_digits_punctuation_and_blanks(void **state)
{
    assert_string_equal(clean("a1, b-c_(d)!", 100), "a1, b-c_(d)!");
    assert_string_equal(clean("Größe 日本 é", 100), "Größe 日本 é");
}

static void cleaning_replaces_symbols_and_controls_by_a_dot_each(void **state)
{
    assert_string_equal(clean("a<b>$c+d\te\n", 100), "a.b..c.d.e.");
    assert_string_equal(clean("😀x€y", 100), ".x.y");
    assert_string_equal(clean("\x1b[31m", 100), ".[31m");
    assert_string_equal(clean("a\xff\xc3", 100), "a..");
}

static void cleaning_cuts_by_characters(void **state)
{
    assert_string_equal(clean("äöü", 2), "äö");
    assert_string_equal(clean("abc", 0), "");
    assert_string_equal(clean("abc", 3), "abc");
}

static const char *tail(const char *s)
{
    lg_text_tail(text, sizeof(text), s, 20);
    return text;
}

static void long_names_keep_their_end(void **state)
{
    assert_string_equal(tail("System.Int32"), "System.Int32");
    assert_string_equal(tail("12345678901234567890"), "12345678901234567890");
    assert_string_equal(tail("System.Collections.Generic.List<App.Order>"), "...c.List<App.Order>");
    assert_int_equal(lg_text_length(tail("System.Collections.Generic.List<App.Größe>")), 20);
}

static const char *sos(unsigned element, uint64_t bits)
{
    lg_value_text(element, bits, text);
    return text;
}
static const char *json(unsigned element, uint64_t bits)
{
    lg_value_json(element, bits, text);
    return text;
}

static void sos_prints_values_in_its_own_way(void **state)
{
    assert_string_equal(sos(LG_ELEM_I1, 0x80), "-128");
    assert_string_equal(sos(LG_ELEM_I2, 0xfffb), "-5");
    assert_string_equal(sos(LG_ELEM_I4, 0xffffffff), "-1");
    assert_string_equal(sos(LG_ELEM_I8, UINT64_C(1) << 63), "-9223372036854775808");
    assert_string_equal(sos(LG_ELEM_U8, UINT64_MAX), "18446744073709551615");
    assert_string_equal(sos(LG_ELEM_CHAR, 'x'), "78");
    assert_string_equal(sos(LG_ELEM_BOOLEAN, 1), "1");
    assert_string_equal(sos(LG_ELEM_R4, 0x3fc00000), "1.500000");
    assert_string_equal(sos(LG_ELEM_R8, UINT64_C(0x4002000000000000)), "2.250000");
    assert_string_equal(sos(LG_ELEM_I, 0x1000), "0000000000001000");
    assert_string_equal(sos(LG_ELEM_CLASS, 0x7f0f5a400028), "00007f0f5a400028");
}

static void json_values_read_back_as_they_are(void **state)
{
    assert_string_equal(json(LG_ELEM_R4, 0x3dcccccd), "0.1");
    assert_string_equal(json(LG_ELEM_R8, UINT64_C(0x3fb999999999999a)), "0.1");
    assert_string_equal(json(LG_ELEM_R4, 1), "1e-45");
    assert_string_equal(json(LG_ELEM_R8, UINT64_C(0x7ff8000000000000)), "NaN");
    assert_string_equal(json(LG_ELEM_R8, UINT64_C(0xfff0000000000000)), "-Infinity");
    assert_string_equal(json(LG_ELEM_R8, UINT64_C(0x8000000000000000)), "-0");
    assert_string_equal(json(LG_ELEM_R8, UINT64_C(0x7fefffffffffffff)), "1.7976931348623157e+308");
    assert_string_equal(json(LG_ELEM_CHAR, 0xd83d), "55357");
    assert_string_equal(json(LG_ELEM_BOOLEAN, 0), "false");
    assert_string_equal(json(LG_ELEM_CLASS, 0x7f0f5a400028), "0x7f0f5a400028");
    assert_string_equal(json(LG_ELEM_CLASS, 0), "0x0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf_16_becomes_utf_8),
        cmocka_unit_test(a_lone_surrogate_becomes_the_replacement_character),
        cmocka_unit_test(nul_does_not_end_the_text),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(cleaning_keeps_letters_digits_punctuation_and_blanks),
        cmocka_unit_test(cleaning_replaces_symbols_and_controls_by_a_dot_each),
        cmocka_unit_test(cleaning_cuts_by_characters),
        cmocka_unit_test(long_names_keep_their_end),
        cmocka_unit_test(sos_prints_values_in_its_own_way),
        cmocka_unit_test(json_values_read_back_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
