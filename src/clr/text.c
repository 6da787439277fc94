#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clr/types_priv.h"

void lg_text_add_len(struct lg_text *text, const char *s, size_t len)
{
    static const char cut[] = "…";
    if (text->full)
        return;
    if (len > LG_TEXT_MAX - text->len) {
        text->full = true;
        s = cut;
        len = sizeof(cut) - 1;
    }
    if (!lg_vec_reserve((void **)&text->at, &text->cap, text->len + len + 1, 1)) {
        text->full = true;
        return;
    }
    memcpy(text->at + text->len, s, len);
    text->len += len;
    text->at[text->len] = 0;
}

void lg_text_add(struct lg_text *text, const char *s)
{
    lg_text_add_len(text, s, strlen(s));
}

void lg_text_format(struct lg_text *text, const char *format, ...)
{
    char buf[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(buf, sizeof(buf), format, args);
    va_end(args);
    if (len > 0)
        lg_text_add_len(text, buf, (size_t)len < sizeof(buf) ? (size_t)len : sizeof(buf) - 1);
}

void lg_text_deinit(struct lg_text *text)
{
    free(text->at);
}
