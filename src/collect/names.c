#include "collect/names.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 8, NAME_MAX_BYTES = 512 }; // Generated names within generated names.

struct out {
    char *at;
    size_t len, size;
    int depth;
};

static void add(struct out *out, const char *text, size_t len)
{
    if (len > out->size - 1 - out->len)
        len = out->size - 1 - out->len;
    memcpy(out->at + out->len, text, len);
    out->len += len;
    out->at[out->len] = 0;
}

static void add_text(struct out *out, const char *text)
{
    add(out, text, strlen(text));
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Of an identifier; '$' and '|' are in made up names only.
static size_t identifier(const char *at)
{
    size_t len = 0;
    while (is_letter(at[len]) || is_digit(at[len]) || at[len] == '$' || at[len] == '|')
        len++;
    return len;
}

bool lg_name_inside(const char *name, size_t *len_ret, const char **behind_ret)
{
    if (name[0] != '<')
        return false;
    int depth = 0;
    for (const char *at = name; *at; at++) {
        depth += *at == '<' ? 1 : *at == '>' ? -1 : 0;
        if (depth == 0) {
            *len_ret = (size_t)(at - name) - 1;
            *behind_ret = at + 1;
            return true;
        }
    }
    return false;
}

static bool begins(const char *text, size_t len, const char *with)
{
    size_t n = strlen(with);
    return len >= n && memcmp(text, with, n) == 0;
}

// "CS$<>8__locals1" is a field of that kind too.
static const char *of_nothing(const char *suffix, size_t len)
{
    static const struct {
        const char *begins, *says;
    } kinds[] = {
        { "c__DisplayClass", "<closure>" },
        { "9", "<static lambda>" },
        { "c__", "<static lambda>" },
        { "O", "<static lambda>" },
        { "8__", "<closure>" },
        { "1__state", "<state>" },
        { "t__builder", "<builder>" },
        { "4__this", "this" },
        { "2__current", "<current>" },
        { "f__AnonymousType", "<anonymous type>" },
    };
    if (len == 1 && suffix[0] == 'c')
        return "<static lambda>";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (begins(suffix, len, kinds[i].begins))
            return kinds[i].says;
    }
    return "<temp>";
}

static void normalise(struct out *out, const char *raw, size_t len);

// Between `open` and `close`, unless what is inside says so itself: "<<Foo>b__5>d" is "<lambda in Foo>".
static void add_inside(struct out *out, const char *open, const char *inside, size_t len,
                       const char *close)
{
    bool is_made_up = inside[0] == '<';
    add_text(out, is_made_up ? "" : open);
    normalise(out, inside, len);
    add_text(out, is_made_up ? "" : close);
}

// "<Foo>g__Local|3_1": "<Local in Foo>".
static void add_local_function(struct out *out, const char *inside, size_t inside_len,
                               const char *suffix, size_t len)
{
    const char *bar = memchr(suffix, '|', len);
    add_text(out, "<");
    add(out, suffix + 3, (bar ? (size_t)(bar - suffix) : len) - 3);
    add_text(out, " in ");
    normalise(out, inside, inside_len);
    add_text(out, ">");
}

static void add_generated(struct out *out, const char *inside, size_t inside_len, const char *suffix,
                          size_t len)
{
    if (len == 0) { // "<Module>"
        add(out, inside - 1, inside_len + 2);
        return;
    }
    if (inside_len == 0 && begins(suffix, len, "3__"))
        add(out, suffix + 3, len - 3); // a parameter as it was at the beginning
    else if (inside_len == 0)
        add_text(out, of_nothing(suffix, len));
    else if (begins(suffix, len, "d__") || (len == 1 && suffix[0] == 'd'))
        add_inside(out, "<", inside, inside_len, ">");
    else if (begins(suffix, len, "b__"))
        add_inside(out, "<lambda in ", inside, inside_len, ">");
    else if (begins(suffix, len, "g__"))
        add_local_function(out, inside, inside_len, suffix, len);
    else if (begins(suffix, len, "__")) // "<0>__Run": a method group
        add(out, suffix + 2, len - 2);
    else // k__BackingField, 5__2, i__Field, P, $
        normalise(out, inside, inside_len);
}

static bool ends(const struct out *out, const char *with)
{
    size_t len = strlen(with);
    return out->len >= len && memcmp(out->at + out->len - len, with, len) == 0;
}

// What is within a closure is so by its nature: "Svc+<closure>.<lambda in Foo>" is "Svc.<lambda in
// Foo>", and "Svc+<static lambda>.<static lambda>" is one of them.
static void fold(struct out *out, size_t start)
{
    static const char *const homes[] = { "+<closure>", "+<static lambda>" };
    char name[NAME_MAX_BYTES];
    size_t len = out->len - start;
    if (len == 0 || len >= sizeof(name) || out->at[start] != '<')
        return;
    memcpy(name, out->at + start, len);
    name[len] = 0;
    char separator = start > 0 ? out->at[start - 1] : 0;
    out->len = start - (start > 0);
    bool is_static = strcmp(name, "<static lambda>") == 0 && ends(out, homes[1]);
    for (size_t i = 0; (is_static || strstr(name, " in ")) && i < 2; i++) {
        if (ends(out, homes[i])) {
            out->len -= strlen(homes[i]);
            separator = is_static ? '+' : separator;
            break;
        }
    }
    add(out, &separator, separator != 0);
    add_text(out, name);
}

// "Proxy_1842", "_Module123": digits at the end that only count.
static size_t counted(const char *name, size_t len)
{
    size_t at = len;
    while (at > 0 && is_digit(name[at - 1]))
        at--;
    size_t digits = len - at;
    bool is_counter = digits >= 2 && at > 1 && name[at - 1] == '_';
    bool is_private = digits >= 3 && at > 2 && name[0] == '_' && name[1] >= 'A' && name[1] <= 'Z';
    return is_counter || is_private ? at : len;
}

static void add_plain(struct out *out, const char *name, size_t len)
{
    size_t kept = counted(name, len);
    add(out, name, kept);
    if (kept < len)
        add_text(out, "#");
}

// One name, or one character that is none; how long it was.
static size_t add_next(struct out *out, const char *at, bool is_first)
{
    size_t inside_len, start = out->len;
    const char *suffix;
    size_t skip = strncmp(at, "CS$<", 4) == 0 ? 3 : 0;
    if (is_first && lg_name_inside(at + skip, &inside_len, &suffix)) {
        size_t len = identifier(suffix);
        add_generated(out, at + skip + 1, inside_len, suffix, len);
        fold(out, start);
        return (size_t)(suffix + len - at);
    }
    size_t len = identifier(at);
    if (len > 0)
        add_plain(out, at, len);
    else
        add(out, at, len = 1);
    return len;
}

static void normalise(struct out *out, const char *raw, size_t len)
{
    char copy[NAME_MAX_BYTES];
    if (out->depth == DEPTH_MAX || len >= sizeof(copy)) {
        add(out, raw, len);
        return;
    }
    memcpy(copy, raw, len);
    copy[len] = 0;
    out->depth++;
    for (size_t i = 0; i < len;)
        i += add_next(out, copy + i, i == 0 || strchr("+.<, [(", copy[i - 1]));
    out->depth--;
}

void lg_name_normalise(const char *raw, char *buf, size_t size)
{
    struct out out = { .at = buf, .size = size };
    buf[0] = 0;
    for (size_t i = 0; raw[i];)
        i += add_next(&out, raw + i, i == 0 || strchr("+.<, [(", raw[i - 1]));
}

const char *lg_name_state_machine(const char *raw, size_t *len_ret)
{
    static const char box[] = "StateMachineBox<";
    const char *at = strstr(raw, box);
    size_t len = at ? strlen(at) : 0, skip = sizeof(box) - 1;
    if (len <= skip + 1 || at[len - 1] != '>')
        return NULL;
    *len_ret = len - skip - 1;
    return at + skip;
}

// The last '+' that is not within "<...>".
static char *last_nested(char *name)
{
    char *found = NULL;
    int depth = 0;
    for (char *at = name; *at; at++) {
        depth += *at == '<' ? 1 : *at == '>' ? -1 : 0;
        if (depth == 0 && *at == '+')
            found = at;
    }
    return found;
}

bool lg_name_method(const char *raw, char *buf, size_t size)
{
    char name[NAME_MAX_BYTES];
    size_t inside;
    const char *behind;
    lg_name_normalise(raw, name, sizeof(name));
    char *method = last_nested(name);
    if (!method || !lg_name_inside(method + 1, &inside, &behind) || strcmp(method + 1, "<closure>") == 0
        || strcmp(method + 1, "<static lambda>") == 0)
        return false;
    *method = 0;
    if (memmem(method + 2, inside, " in ", 4)) // "<lambda in Foo>"
        snprintf(buf, size, "%s.%s", name, method + 1);
    else
        snprintf(buf, size, "%s.%.*s%s", name, (int)inside, method + 2, behind);
    return true;
}

void lg_name_type(const char *raw, char *buf, size_t size)
{
    char machine[NAME_MAX_BYTES], name[NAME_MAX_BYTES];
    size_t len;
    const char *at = lg_name_state_machine(raw, &len);
    if (!at || len >= sizeof(machine)) {
        lg_name_normalise(raw, buf, size);
        return;
    }
    memcpy(machine, at, len);
    machine[len] = 0;
    if (!lg_name_method(machine, name, sizeof(name)))
        lg_name_normalise(machine, name, sizeof(name));
    snprintf(buf, size, "async %s", name);
}
