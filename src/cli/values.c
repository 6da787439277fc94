#include "cli/values.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/chars.h"

// Bytes of the UTF-8 character that begins with `c`; 1 of what begins none.
static size_t sequence_length(unsigned char c)
{
    return c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
}

static size_t next_length(const char *s)
{
    size_t n = sequence_length((unsigned char)*s);
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return i;
    }
    return n;
}

// What SOS keeps of ASCII: .NET's IsLetterOrDigit, IsPunctuation, and the blank. "$+<=>^`|~" are
// symbols.
static bool is_plain_ascii(char c)
{
    return c >= ' ' && c < 0x7f && !strchr("$+<=>^`|~", c);
}

void lg_text_clean(char *text, size_t max)
{
    char *out = text;
    for (const char *s = text; *s && max > 0; max--) {
        size_t n = next_length(s);
        bool plain = n == 1 ? is_plain_ascii(*s) : lg_text_is_word(s);
        if (plain)
            memmove(out, s, n);
        else
            *out = '.';
        out += plain ? n : 1;
        s += n;
    }
    *out = 0;
}

size_t lg_text_length(const char *text)
{
    size_t length = 0;
    for (; *text; text += next_length(text))
        length++;
    return length;
}

void lg_text_tail(char *buf, size_t size, const char *text, size_t width)
{
    size_t length = lg_text_length(text);
    if (length <= width) {
        snprintf(buf, size, "%s", text);
        return;
    }
    for (size_t skip = length - (width - 3); skip > 0; skip--)
        text += next_length(text);
    snprintf(buf, size, "...%s", text);
}

// ---- primitives ----

static double real_of(unsigned element, uint64_t bits)
{
    if (element == LG_ELEM_R4) {
        float single;
        uint32_t low = (uint32_t)bits;
        memcpy(&single, &low, sizeof(single));
        return single;
    }
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static int64_t signed_of(unsigned element, uint64_t bits)
{
    switch (element) {
    case LG_ELEM_I1:
        return (int8_t)bits;
    case LG_ELEM_I2:
        return (int16_t)bits;
    case LG_ELEM_I4:
        return (int32_t)bits;
    default:
        return (int64_t)bits;
    }
}

static bool is_signed(unsigned element)
{
    return element == LG_ELEM_I1 || element == LG_ELEM_I2 || element == LG_ELEM_I4
           || element == LG_ELEM_I8;
}

static bool is_unsigned(unsigned element)
{
    return element == LG_ELEM_U1 || element == LG_ELEM_U2 || element == LG_ELEM_U4
           || element == LG_ELEM_U8;
}

void lg_value_text(unsigned element, uint64_t bits, char buf[LG_VALUE_SIZE])
{
    if (element == LG_ELEM_BOOLEAN || is_unsigned(element))
        snprintf(buf, LG_VALUE_SIZE, "%" PRIu64, bits);
    else if (element == LG_ELEM_CHAR)
        snprintf(buf, LG_VALUE_SIZE, "%" PRIx64, bits);
    else if (is_signed(element))
        snprintf(buf, LG_VALUE_SIZE, "%" PRId64, signed_of(element, bits));
    else if (element == LG_ELEM_R4 || element == LG_ELEM_R8) {
        double value = real_of(element, bits);
        bool is_plain = value > -1e15 && value < 1e15;
        snprintf(buf, LG_VALUE_SIZE, is_plain ? "%f" : "%g", value);
    } else
        snprintf(buf, LG_VALUE_SIZE, "%016" PRIx64, bits);
}

// The fewest digits that read back as the same number.
static void shortest_real(unsigned element, double value, char buf[LG_VALUE_SIZE])
{
    bool single = element == LG_ELEM_R4;
    if (isnan(value) || isinf(value)) {
        snprintf(buf, LG_VALUE_SIZE, "%s", isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, LG_VALUE_SIZE, "%.*g", digits, value);
        double again = strtod(buf, NULL);
        if (single ? (float)again == (float)value : again == value)
            return;
    }
}

void lg_value_json(unsigned element, uint64_t bits, char buf[LG_VALUE_SIZE])
{
    if (element == LG_ELEM_BOOLEAN)
        snprintf(buf, LG_VALUE_SIZE, "%s", bits ? "true" : "false");
    else if (element == LG_ELEM_CHAR)
        snprintf(buf, LG_VALUE_SIZE, "%" PRIu64, bits);
    else if (element == LG_ELEM_R4 || element == LG_ELEM_R8)
        shortest_real(element, real_of(element, bits), buf);
    else if (is_signed(element) || is_unsigned(element))
        lg_value_text(element, bits, buf);
    else
        snprintf(buf, LG_VALUE_SIZE, "0x%" PRIx64, bits);
}
