// Values of a target as text: strings, and the fields of primitive types.
#ifndef LG_CLI_VALUES_H
#define LG_CLI_VALUES_H

#include "heap/objects.h"
#include "util/utf16.h"

// Why a snapshot of shapes cannot tell values.
#define LG_NO_CONTENTS \
    "values and strings are unknown: the snapshot was taken without --contents, and holds types, " \
    "lengths and references"

// For one line of text, in place: every character that is no letter, digit, punctuation or blank becomes
// '.', and what is longer than `max` characters is cut.
void lg_text_clean(char *text, size_t max);

// The last `width` - 3 characters after "...", if there are more than `width`.
void lg_text_tail(char *buf, size_t size, const char *text, size_t width);
// Characters, for padding.
size_t lg_text_length(const char *text);

// A primitive, pointer or reference of `element` kind, from its bytes (little-endian, zero-extended).
enum { LG_VALUE_SIZE = 64 };
// As SOS prints it: references and pointers in 16 digits, chars in hex, booleans 0 or 1.
void lg_value_text(unsigned element, uint64_t bits, char buf[LG_VALUE_SIZE]);
// As a reader of JSON wants it: "0x7f0f5a400028", "true", the code of a char, the shortest form of a
// real.
void lg_value_json(unsigned element, uint64_t bits, char buf[LG_VALUE_SIZE]);

#endif
