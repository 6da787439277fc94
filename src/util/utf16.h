// Strings of .NET as text.
#ifndef LG_UTIL_UTF16_H
#define LG_UTIL_UTF16_H

#include <stddef.h>
#include <stdint.h>

// UTF-16 as UTF-8, with a NUL: at most `size` bytes, cut between characters. What UTF-8 has no form for
// (a lone surrogate) becomes U+FFFD, and NUL, which would end the text, U+2400. Returns the length.
size_t lg_utf8_from_utf16(char *buf, size_t size, const uint16_t *chars, size_t count);
// At most this many bytes for so many chars.
#define LG_UTF8_SIZE(chars) ((chars)*3 + 1)

#endif
