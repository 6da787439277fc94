// Text that may be any bytes, one character after the other.
#ifndef LG_UTIL_UTF8_H
#define LG_UTIL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The next character of a text; U+FFFD for bytes that are none.
static inline uint32_t lg_utf8_next(const uint8_t **at)
{
    const uint8_t *p = *at;
    int more = *p < 0x80 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc2 ? 1 : -1;
    uint32_t rune = more <= 0 ? *p : *p & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            more = -1;
        rune = rune << 6 | (p[i] & 0x3fu);
    }
    *at += more > 0 ? 1 + more : 1;
    bool is_longer_than_needed = (more == 2 && rune < 0x800) || (more == 3 && rune < 0x10000);
    bool is_none = rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000);
    return more < 0 || is_longer_than_needed || is_none ? 0xfffd : rune;
}

// Returns the length.
static inline size_t lg_utf8_put(char buf[4], uint32_t rune)
{
    if (rune < 0x80) {
        buf[0] = (char)rune;
        return 1;
    }
    unsigned more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
    buf[0] = (char)(0xff << (7 - more) | rune >> 6 * more);
    for (unsigned i = 1; i <= more; i++)
        buf[i] = (char)(0x80 | (rune >> 6 * (more - i) & 0x3f));
    return 1 + more;
}

#endif
