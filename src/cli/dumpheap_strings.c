// `dumpheap -strings`: strings by value.
//
// Strings are equal here if their size and their first 1,024 chars are, as in SOS. A group is found by a
// hash of both and settled by comparing chars: those of the group's first string are kept while they
// fit in a budget, and read again from the target beyond it. The number of groups is bounded too;
// strings that would need more are counted and named.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/dumpheap.h"
#include "cli/values.h"
#include "util/arena.h"
#include "util/cancel.h"
#include "util/map.h"

enum {
    COMPARED = 1024, // chars
    SHOWN = 128,     // characters of text
    GROUPS_MAX = 4 << 20,
    WINDOW = 1 << 20,
    CHARS_OFFSET = 12, // of a string object: method table 8, length 4
};
static const size_t kept_max = 256 << 20;

static const struct lg_column string_columns[] = {
    { "count", "Count", LG_CELL_COUNT, 14, LG_COL_COMMAS },
    { "size", "TotalSize", LG_CELL_BYTES, 14, LG_COL_COMMAS },
    { "shown", "", LG_CELL_TEXT, -1, LG_COL_TEXT_ONLY },
    { "text", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "example", "", LG_CELL_ADDRESS, 0, LG_COL_JSON_ONLY },
};
static const struct lg_table_spec string_spec =
    LG_TABLE_SPEC("strings", string_columns, LG_TABLE_NO_HEADER | LG_TABLE_MAIN);
static const struct lg_table_spec empty_spec =
    LG_TABLE_SPEC("strings", string_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

struct group {
    uint64_t example, count, size; // Size of all.
    const char *chars;             // UTF-16, or NULL: read them from the example.
    uint32_t length;               // In chars.
    uint32_t next;                 // Group with the same hash, or UINT32_MAX.
};

struct strings {
    const struct lg_heap_query *query;
    struct lg_target *target;
    struct lg_type_filter types;
    struct lg_type_stats stats;
    LG_VEC(struct group) groups;
    struct lg_map by_hash; // first group
    struct lg_arena arena; // kept chars
    size_t kept;
    uint64_t left_out, unreadable;
    uint64_t window_start, window_end;
    uint8_t *window;
    bool failed;
};
static void strings_deinit(struct strings *strings)
{
    lg_type_filter_deinit(&strings->types);
    lg_type_stats_deinit(&strings->stats);
    lg_vec_free(&strings->groups);
    lg_map_free(&strings->by_hash);
    lg_arena_free(&strings->arena);
    free(strings->window);
}

// `len` bytes at `address`, valid until the next call. Objects come in address order, so one big read
// serves thousands of strings.
static const void *bytes_at(struct strings *strings, uint64_t address, size_t len)
{
    if (address < strings->window_start || address + len > strings->window_end) {
        strings->window_start = address;
        strings->window_end =
            address + lg_target_read(strings->target, address, strings->window, WINDOW);
    }
    return address + len <= strings->window_end ? strings->window + (address - strings->window_start)
                                                : NULL;
}

static uint64_t hash_chars(const uint8_t *bytes, size_t len, uint32_t length)
{
    uint64_t hash = lg_hash64(length);
    for (; len >= 8; bytes += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof(word));
        hash = lg_hash64(hash ^ word) + word;
    }
    uint64_t rest = 0;
    memcpy(&rest, bytes, len);
    return lg_hash64(hash ^ rest);
}

static size_t compared_bytes(uint32_t length)
{
    return (length < COMPARED ? length : COMPARED) * sizeof(uint16_t);
}

static bool has_chars(struct strings *strings, const struct group *group, const void *chars, size_t len)
{
    if (group->chars)
        return memcmp(group->chars, chars, len) == 0;
    uint8_t again[COMPARED * sizeof(uint16_t)];
    return lg_target_read_all(strings->target, group->example + CHARS_OFFSET, again, len)
           && memcmp(again, chars, len) == 0;
}

static void add_group(struct strings *strings, const struct lg_object *object, uint64_t hash,
                      const void *chars, uint32_t length)
{
    if (strings->groups.len == GROUPS_MAX) {
        strings->left_out++;
        return;
    }
    struct group group = { object->address, 1, object->size, NULL, length, UINT32_MAX };
    size_t len = compared_bytes(length);
    if (strings->kept + len <= kept_max) {
        group.chars = lg_arena_copy(&strings->arena, chars, len);
        strings->kept += len;
    }
    lg_map_get(&strings->by_hash, hash, &group.next);
    if (!lg_map_put(&strings->by_hash, hash, (uint32_t)strings->groups.len)
        || !lg_vec_push(&strings->groups, group))
        strings->failed = true;
}

static void add_string(struct strings *strings, const struct lg_object *object)
{
    const uint32_t *length_at = bytes_at(strings, object->address + 8, sizeof(uint32_t));
    uint32_t length = 0;
    if (length_at)
        memcpy(&length, length_at, sizeof(length));
    size_t len = compared_bytes(length);
    const void *chars = length_at ? bytes_at(strings, object->address + CHARS_OFFSET, len) : NULL;
    if (!chars) {
        strings->unreadable++;
        return;
    }
    uint64_t hash = hash_chars(chars, len, length);
    uint32_t i = UINT32_MAX;
    lg_map_get(&strings->by_hash, hash, &i);
    for (; i != UINT32_MAX; i = strings->groups.at[i].next) {
        struct group *group = &strings->groups.at[i];
        if (group->length == length && has_chars(strings, group, chars, len)) {
            group->count++;
            group->size += object->size;
            return;
        }
    }
    add_group(strings, object, hash, chars, length);
}

static bool see_object(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct strings *strings = self;
    if (!(object->type->flags & LG_TYPE_STRING)
        || !lg_heap_query_wants(strings->query, &strings->types, object))
        return true;
    strings->failed |= !lg_type_stats_add(&strings->stats, object->type, object->size);
    add_string(strings, object);
    return !strings->failed;
}

static int compare(const void *a, const void *b, void *query_arg)
{
    const struct group *x = a, *y = b;
    const struct lg_heap_query *query = query_arg;
    bool by_count = query->sort == LG_SORT_COUNT;
    uint64_t p = by_count ? x->count : x->size, q = by_count ? y->count : y->size;
    int result = (p > q) - (p < q);
    if (!result)
        result = (x->example > y->example) - (x->example < y->example);
    return query->descending ? -result : result;
}

static void add_row(struct lg_table *table, struct lg_target *target, const struct group *group)
{
    _cleanup_free_ char *text = lg_string_text(target, group->example, COMPARED);
    _cleanup_free_ char *shown = text ? strdup(text) : NULL;
    if (shown)
        lg_text_clean(shown, SHOWN);
    lg_cell_number(table, group->count);
    lg_cell_number(table, group->size);
    lg_cell_text(table, shown);
    lg_cell_text(table, text);
    lg_cell_number(table, group->example);
}

static void report_groups(struct strings *strings, struct lg_report *report)
{
    const struct lg_heap_query *query = strings->query;
    size_t len = strings->groups.len, shown = query->top && query->top < len ? query->top : len;
    if (len > 1)
        qsort_r(strings->groups.at, len, sizeof(*strings->groups.at), compare, (void *)query);
    if (len > 0)
        lg_report_line(report, "Statistics:");
    struct lg_table *table = lg_report_table(report, len > 0 ? &string_spec : &empty_spec);
    size_t from = query->descending ? 0 : len - shown; // The biggest are kept.
    for (size_t i = from; i < from + shown && !lg_cancelled(); i++)
        add_row(table, strings->target, &strings->groups.at[i]);
    lg_report_truncated(report, "strings", len - shown);
    if (strings->left_out)
        lg_report_incomplete(report, "%" PRIu64 " strings are in no group: more than %d different ones",
                             strings->left_out, GROUPS_MAX);
    if (strings->unreadable)
        lg_report_incomplete(report, "%" PRIu64 " strings could not be read", strings->unreadable);
}

struct lg_error *lg_dumpheap_strings(struct lg_session *session, const struct lg_heap_query *query,
                                     struct lg_report *report)
{
    _cleanup_(strings_deinit) struct strings strings = { .query = query };
    strings.types = (struct lg_type_filter){ .clr = lg_session_clr(session), .query = query };
    strings.target = lg_session_target(session);
    if (strings.target->has_no_values)
        return lg_error_new(LG_ERR_UNSUPPORTED, "%s", LG_NO_CONTENTS);
    strings.window = malloc(WINDOW);
    if (!strings.window)
        return &lg_no_memory;
    struct lg_walk_result result;
    struct lg_error *err =
        lg_heap_walk(lg_session_heap(session), &query->filter, see_object, &strings, &result);
    if (err)
        return err;
    if (strings.failed)
        return &lg_no_memory;
    lg_session_report_walk(report, &result);
    report_groups(&strings, report);
    if (lg_cancelled())
        return &lg_was_cancelled;
    return lg_dumpheap_types(session, query, &strings.stats, report);
}
