// What kind of character is it?
#ifndef LG_REPORT_CHARS_H
#define LG_REPORT_CHARS_H

#include <stdbool.h>

// Is the UTF-8 character at `s` a letter (with its marks), a digit or punctuation? False for what is no
// UTF-8, and for symbols, blanks and controls.
bool lg_text_is_word(const char *s);

#endif
