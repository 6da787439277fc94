#include "cli/words.h"

#include <string.h>

#include "util/cleanup.h"

// Copies one word, without its quotes, from `*in` to `*out`; both end behind it. Returns the quote that
// is still open at the end of the line, or 0.
static char copy_word(const char **in, char **out)
{
    char quote = 0;
    for (; **in && (quote || !strchr(" \t\r\n", **in)); (*in)++) {
        char c = **in;
        if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? 0 : c;
            continue;
        }
        if (c == '\\' && quote != '\'' && (*in)[1])
            c = *++*in;
        *(*out)++ = c;
    }
    *(*out)++ = 0;
    return quote;
}

struct lg_error *lg_words_split(const char *line, struct lg_words *ret)
{
    *ret = (struct lg_words){ 0 };
    // A word's NUL takes the place of the blank behind it, and of the line's own NUL.
    char *out = ret->text = malloc(strlen(line) + 1);
    if (!out)
        return &lg_no_memory;
    for (;;) {
        line += strspn(line, " \t\r\n");
        if (!*line)
            return NULL;
        char *word = out;
        char quote = copy_word(&line, &out);
        if (quote)
            return lg_error_new(LG_ERR_USAGE, "a quote (%c) is not closed", quote);
        if (!lg_vec_push(&ret->at, word))
            return &lg_no_memory;
    }
}

void lg_words_deinit(struct lg_words *words)
{
    lg_vec_free(&words->at);
    free(words->text);
    words->text = NULL;
}
