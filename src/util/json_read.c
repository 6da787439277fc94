#include "util/json_read.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

// Our `struct lg_json` is their `struct json_object`. Reading a value changes nothing in it as long as
// it is asked only for what it is: lg_json_string() does not ask a number for its text.
static struct json_object *theirs(const struct lg_json *value)
{
    return (struct json_object *)value;
}

static void tokener_freep(struct json_tokener **tokener)
{
    if (*tokener)
        json_tokener_free(*tokener);
}

// Where the text goes on after `at`: the tokener stops behind the value, and takes no notice of the
// rest.
static bool only_space_follows(const char *text, size_t at, size_t len)
{
    while (at < len && isspace((unsigned char)text[at]))
        at++;
    return at >= len;
}

struct lg_error *lg_json_parse(const char *text, size_t len, struct lg_json **ret)
{
    if (len > LG_JSON_MAX_BYTES)
        return lg_error_new(LG_ERR_CORRUPT, "%zu bytes of JSON are more than %d", len,
                            LG_JSON_MAX_BYTES);
    _cleanup_(tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(LG_JSON_MAX_DEPTH);
    if (!tokener)
        return &lg_no_memory;
    struct json_object *doc = json_tokener_parse_ex(tokener, text, (int)len);
    size_t end = json_tokener_get_parse_end(tokener);
    enum json_tokener_error code = json_tokener_get_error(tokener);
    // A number is complete only when something follows it.
    if (code == json_tokener_continue && !doc) {
        doc = json_tokener_parse_ex(tokener, "", 1);
        code = json_tokener_get_error(tokener);
        end = len;
    }
    if (code == json_tokener_success && only_space_follows(text, end, len)) {
        *ret = (struct lg_json *)doc;
        return NULL;
    }
    json_object_put(doc);
    const char *why = code == json_tokener_success ? "more follows" : json_tokener_error_desc(code);
    return lg_error_new(LG_ERR_CORRUPT, "no JSON at offset %zu: %s", end, why);
}

void lg_json_free(struct lg_json *doc)
{
    json_object_put((struct json_object *)doc);
}

enum lg_json_kind lg_json_kind(const struct lg_json *value)
{
    switch (json_object_get_type(theirs(value))) {
    case json_type_boolean:
        return LG_JSON_BOOL;
    case json_type_double:
    case json_type_int:
        return LG_JSON_NUMBER;
    case json_type_string:
        return LG_JSON_STRING;
    case json_type_array:
        return LG_JSON_ARRAY;
    case json_type_object:
        return LG_JSON_OBJECT;
    default:
        return LG_JSON_NULL;
    }
}

const struct lg_json *lg_json_member(const struct lg_json *object, const char *key)
{
    struct json_object *value = NULL;
    if (lg_json_kind(object) == LG_JSON_OBJECT)
        json_object_object_get_ex(theirs(object), key, &value);
    return (const struct lg_json *)value;
}

size_t lg_json_len(const struct lg_json *array)
{
    return lg_json_kind(array) == LG_JSON_ARRAY ? json_object_array_length(theirs(array)) : 0;
}

const struct lg_json *lg_json_item(const struct lg_json *array, size_t i)
{
    return i < lg_json_len(array) ? (const struct lg_json *)json_object_array_get_idx(theirs(array), i)
                                  : NULL;
}

bool lg_json_members_each(const struct lg_json *object,
                          bool (*each)(const char *key, const struct lg_json *value, void *data),
                          void *data)
{
    if (lg_json_kind(object) != LG_JSON_OBJECT)
        return false;
    json_object_object_foreach(theirs(object), key, value)
    {
        if (each(key, (const struct lg_json *)value, data))
            return true;
    }
    return false;
}

const char *lg_json_string(const struct lg_json *value)
{
    return lg_json_kind(value) == LG_JSON_STRING ? json_object_get_string(theirs(value)) : NULL;
}

static bool parse_u64(const char *s, uint64_t *ret)
{
    bool negative = *s == '-';
    s += negative;
    bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
    s += hex ? 2 : 0;
    if (!(hex ? isxdigit((unsigned char)*s) : isdigit((unsigned char)*s)))
        return false;
    char *end;
    errno = 0;
    uint64_t magnitude = strtoull(s, &end, hex ? 16 : 10);
    if (*end || errno)
        return false;
    *ret = negative ? 0 - magnitude : magnitude;
    return true;
}

bool lg_json_u64(const struct lg_json *value, uint64_t *ret)
{
    struct json_object *object = theirs(value);
    if (lg_json_kind(value) == LG_JSON_STRING)
        return parse_u64(json_object_get_string(object), ret);
    if (json_object_get_type(object) != json_type_int)
        return false;
    int64_t i = json_object_get_int64(object); // Saturates; a number above INT64_MAX is asked for again.
    *ret = i < 0 ? (uint64_t)i : json_object_get_uint64(object);
    return true;
}

bool lg_json_bool(const struct lg_json *value, bool *ret)
{
    if (lg_json_kind(value) != LG_JSON_BOOL)
        return false;
    *ret = json_object_get_boolean(theirs(value));
    return true;
}
