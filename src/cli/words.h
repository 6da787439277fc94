// A line, split into words as a shell would: at blanks; '…' and "…" keep them, a backslash keeps the
// next character (not inside '…').
#ifndef LG_CLI_WORDS_H
#define LG_CLI_WORDS_H

#include "util/error.h"
#include "util/vec.h"

struct lg_words {
    LG_VEC(char *) at; // Into `text`.
    char *text;
};

// Error: a quote that does not end.
LG_MUST_CHECK struct lg_error *lg_words_split(const char *line, struct lg_words *ret);
void lg_words_deinit(struct lg_words *words);

#endif
