// JSON from somebody else: parsed whole, behind a cap on its size and its depth.
//
// Comments and trailing commas are allowed, as the runtime's data descriptor allows them. Values are
// borrowed from their document, and a NULL value has nothing in it: so a path can be followed without
// asking at every step.
//
//     _cleanup_(lg_json_freep) struct lg_json *doc = NULL;
//     err = lg_json_parse(text, len, &doc);
//     if (lg_json_u64(lg_json_member(lg_json_member(doc, "types"), "size"), &size)) use(size);
#ifndef LG_UTIL_JSON_READ_H
#define LG_UTIL_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"

enum { LG_JSON_MAX_BYTES = 16 << 20, LG_JSON_MAX_DEPTH = 32 };

enum lg_json_kind {
    LG_JSON_NULL,
    LG_JSON_BOOL,
    LG_JSON_NUMBER,
    LG_JSON_STRING,
    LG_JSON_ARRAY,
    LG_JSON_OBJECT
};

struct lg_json;

// `text` need not end in a NUL. Errors: too big, too deep, no JSON (with its offset).
LG_MUST_CHECK struct lg_error *lg_json_parse(const char *text, size_t len, struct lg_json **ret);
void lg_json_free(struct lg_json *doc); // Of a whole document only. NULL is allowed.
LG_DEFINE_FREEP(lg_json)

enum lg_json_kind lg_json_kind(const struct lg_json *value);

// NULL where there is none, or the value is no object or array.
const struct lg_json *lg_json_member(const struct lg_json *object, const char *key);
const struct lg_json *lg_json_item(const struct lg_json *array, size_t i);
size_t lg_json_len(const struct lg_json *array); // 0 of anything else

// Calls `each` for every member; stops when it returns true. Returns whether it did.
bool lg_json_members_each(const struct lg_json *object,
                          bool (*each)(const char *key, const struct lg_json *value, void *data),
                          void *data);

const char *lg_json_string(const struct lg_json *value); // NULL of anything else
// A whole number, or a string that is one: decimal or hexadecimal, and negative ones as their two's
// complement ("-0x1"). False for anything else.
bool lg_json_u64(const struct lg_json *value, uint64_t *ret);
bool lg_json_bool(const struct lg_json *value, bool *ret); // false of anything else

#endif
