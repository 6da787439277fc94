// Buffered output, numbers, and characters.
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "report/report_priv.h"

void lg_out_init(struct lg_out *out, FILE *file)
{
    out->file = file;
    out->len = out->blanks = 0;
    out->failed = ferror(file) != 0;
}

void lg_out_flush(struct lg_out *out)
{
    if (!out->failed && fwrite(out->buf, 1, out->len, out->file) != out->len)
        out->failed = true;
    out->len = 0;
}

static void put(struct lg_out *out, const char *bytes, size_t len)
{
    if (len > LG_OUT_SIZE - out->len) {
        lg_out_flush(out);
        if (len > LG_OUT_SIZE) {
            out->failed = out->failed || fwrite(bytes, 1, len, out->file) != len;
            return;
        }
    }
    memcpy(out->buf + out->len, bytes, len);
    out->len += len;
}

static void put_blanks(struct lg_out *out)
{
    static const char blanks[64] = "                                                                ";
    for (; out->blanks > sizeof(blanks); out->blanks -= sizeof(blanks))
        put(out, blanks, sizeof(blanks));
    put(out, blanks, out->blanks);
    out->blanks = 0;
}

void lg_out_bytes(struct lg_out *out, const char *bytes, size_t len)
{
    if (len == 0)
        return;
    if (out->blanks > 0)
        put_blanks(out);
    put(out, bytes, len);
}

void lg_out_string(struct lg_out *out, const char *s)
{
    lg_out_bytes(out, s, strlen(s));
}

void lg_out_newline(struct lg_out *out)
{
    out->blanks = 0;
    put(out, "\n", 1);
}

// ---- numbers ----

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
                                  "34353637383940414243444546474849505152535455565758596061626364656667"
                                  "6869707172737475767778798081828384858687888990919293949596979899";

size_t lg_format_decimal(char buf[LG_NUMBER_MAX], uint64_t value)
{
    size_t width = lg_decimal_width(value), at = width;
    for (; value >= 100; value /= 100) {
        at -= 2;
        memcpy(buf + at, digit_pairs + value % 100 * 2, 2);
    }
    if (value >= 10)
        memcpy(buf, digit_pairs + value * 2, 2);
    else
        buf[0] = (char)('0' + value);
    return width;
}

size_t lg_format_commas(char buf[LG_NUMBER_MAX], uint64_t value)
{
    char digits[LG_NUMBER_MAX];
    size_t count = lg_format_decimal(digits, value), len = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            buf[len++] = ',';
        buf[len++] = digits[i];
    }
    return len;
}

size_t lg_format_hex(char buf[LG_NUMBER_MAX], uint64_t value, unsigned min_digits, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    unsigned len = value ? (67 - (unsigned)__builtin_clzll(value)) / 4 : 1;
    len = len < min_digits ? min_digits : len;
    for (unsigned i = len; i-- > 0; value >>= 4)
        buf[i] = digits[value & 15];
    return len;
}

size_t lg_format_size(char buf[LG_NUMBER_MAX], uint64_t bytes)
{
    double value = (double)bytes;
    const char *unit = "BKMGTPE";
    for (; value >= 1024; value /= 1024)
        unit++;
    // 1023.6 would round to "1024".
    if (value >= 1023.5 && unit[1]) {
        value = 1;
        unit++;
    }
    int precision = *unit != 'B' && value < 9.95 ? 1 : 0;
    return (size_t)snprintf(buf, LG_NUMBER_MAX, "%.*f%c", precision, value, *unit);
}

size_t lg_format_duration(char buf[LG_NUMBER_MAX], double seconds)
{
    if (!(seconds < 1e12)) // Nor a NaN.
        return (size_t)snprintf(buf, LG_NUMBER_MAX, "-");
    uint64_t s = seconds > 0 ? (uint64_t)seconds : 0;
    if (s < 60)
        return (size_t)snprintf(buf, LG_NUMBER_MAX, "%ds", (int)s);
    if (s < 3600)
        return (size_t)snprintf(buf, LG_NUMBER_MAX, "%dm%02ds", (int)(s / 60), (int)(s % 60));
    if (s < 86400)
        return (size_t)snprintf(buf, LG_NUMBER_MAX, "%dh%02dm", (int)(s / 3600), (int)(s / 60 % 60));
    return (size_t)snprintf(buf, LG_NUMBER_MAX, "%llud%02dh", (unsigned long long)(s / 86400),
                            (int)(s / 3600 % 24));
}

size_t lg_format_real(char buf[LG_NUMBER_MAX], double value)
{
    int len = snprintf(buf, LG_NUMBER_MAX, "%.15g", value);
    if (strtod(buf, NULL) != value)
        len = snprintf(buf, LG_NUMBER_MAX, "%.17g", value);
    return (size_t)len;
}

// ---- characters ----

// One entry per byte: the classes in which it stands for itself.
static const uint8_t classes[256] = {
    [0x20 ... '"' - 1] = LG_PLAIN_TEXT | LG_PLAIN_JSON | LG_PLAIN_TSV,
    ['"'] = LG_PLAIN_TEXT | LG_PLAIN_TSV,
    ['"' + 1 ... '\\' - 1] = LG_PLAIN_TEXT | LG_PLAIN_JSON | LG_PLAIN_TSV,
    ['\\'] = LG_PLAIN_TEXT,
    ['\\' + 1 ... 0x7e] = LG_PLAIN_TEXT | LG_PLAIN_JSON | LG_PLAIN_TSV,
};

#define BYTES(b) (UINT64_C(0x0101010101010101) * (b))

// Nonzero if any of eight bytes is `b`; they are all below 0x80.
static uint64_t any_is(uint64_t bytes, uint8_t b)
{
    uint64_t x = bytes ^ BYTES(b);
    return (x - BYTES(1)) & ~x & BYTES(0x80);
}

// Are eight bytes printable ASCII, and neither '"' nor '\\'?
static bool are_plain(const char *s)
{
    uint64_t bytes;
    memcpy(&bytes, s, sizeof(bytes));
    if (bytes & BYTES(0x80) || (bytes - BYTES(0x20)) & BYTES(0x80))
        return false;
    return !(any_is(bytes, '"') | any_is(bytes, '\\') | any_is(bytes, 0x7f));
}

size_t lg_plain_prefix(const char *s, enum lg_text_class class)
{
    size_t len = 0, max = strnlen(s, LG_PREFIX_MAX);
    while (len + 8 <= max && are_plain(s + len))
        len += 8;
    while (len < max && classes[(uint8_t)s[len]] & class)
        len++;
    return len;
}

int32_t lg_next_char(const char **s)
{
    int32_t c;
    utf8proc_ssize_t len = utf8proc_iterate((const utf8proc_uint8_t *)*s, -1, &c);
    *s += len > 0 ? len : 1;
    return len > 0 ? c : 0xfffd;
}

bool lg_is_unsafe(int32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return true;
    // Line and paragraph separators, and what embeds, overrides or isolates a direction of writing
    // (Unicode UAX #9): they would show a name as another.
    return (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t lg_encode_char(char buf[4], int32_t c)
{
    return (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)buf);
}

int lg_char_width(int32_t c)
{
    return utf8proc_charwidth(c);
}
