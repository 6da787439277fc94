#include "util/utf16.h"

#include <stdbool.h>
#include <string.h>

#include "util/utf8.h"

enum { REPLACEMENT = 0xfffd, NUL_PICTURE = 0x2400 };

// The character at `*i`, which moves behind it.
static uint32_t next_utf16(const uint16_t *chars, size_t count, size_t *i)
{
    uint32_t c = chars[(*i)++];
    if (c == 0)
        return NUL_PICTURE;
    if (c < 0xd800 || c > 0xdfff)
        return c;
    bool has_pair = c < 0xdc00 && *i < count && chars[*i] >= 0xdc00 && chars[*i] <= 0xdfff;
    if (!has_pair)
        return REPLACEMENT;
    return 0x10000 + ((c - 0xd800) << 10) + (chars[(*i)++] - 0xdc00u);
}

size_t lg_utf8_from_utf16(char *buf, size_t size, const uint16_t *chars, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count;) {
        char encoded[4];
        size_t n = lg_utf8_put(encoded, next_utf16(chars, count, &i));
        if (len + n + 1 > size)
            break;
        memcpy(buf + len, encoded, n);
        len += n;
    }
    if (size > 0)
        buf[len] = 0;
    return len;
}
