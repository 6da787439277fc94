// What a step through a well-known type means: keys, places, methods.
#include <stdio.h>
#include <string.h>

#include "collect/collect_priv.h"
#include "collect/delegates.h"
#include "collect/meanings.h"
#include "collect/names.h"
#include "util/error.h"

enum { NAME_BYTES = 1024, TEXT_BYTES = 4096, KEY_BYTES = 512 };

// A step: from its owner through `taken` edges.
struct span {
    const struct lg_path_step *steps;
    size_t taken;
    const struct lg_way *way;
    const char *rest;
};

static const struct lg_path_step *last_of(const struct span *span)
{
    return &span->steps[span->taken - 1];
}

// The last label without what leads on into the element.
static void own_label(const struct span *span, char *buf, size_t size)
{
    const char *label = last_of(span)->label;
    snprintf(buf, size, "%.*s", (int)(strlen(label) - strlen(span->rest)), label);
}

static bool index_of(const char *label, uint64_t *ret)
{
    char *end;
    if (label[0] != '[' || label[1] < '0' || label[1] > '9')
        return false;
    *ret = strtoull(label + 1, &end, 10);
    return *end == ']';
}

static const char *called(const struct lg_meanings *meanings, const struct span *span, char *buf,
                          size_t size)
{
    if (span->way->called)
        return span->way->called;
    lg_name_type(lg_clr_type_name(meanings->clr, span->steps[0].object.type), buf, size);
    return buf;
}

// "HashSet items" of all, "HashSet item" of one.
static void by_name(const struct lg_meanings *meanings, const struct span *span, char *buf, size_t size)
{
    char type[NAME_BYTES], rest[NAME_BYTES];
    const char *says = span->way->says;
    size_t len = strlen(says);
    lg_name_normalise(span->rest, rest, sizeof(rest));
    int says_len = (int)(len && says[len - 1] == 's' ? len - 1 : len);
    if (strcmp(says, "priorities") == 0)
        says = "priority", says_len = 8;
    snprintf(buf, size, "%s %.*s%s", called(meanings, span, type, sizeof(type)), says_len, says, rest);
}

static void in_brackets(const struct lg_meanings *meanings, const struct span *span, const char *key,
                        char *buf, size_t size)
{
    char type[NAME_BYTES], rest[NAME_BYTES];
    lg_name_normalise(span->rest, rest, sizeof(rest));
    snprintf(buf, size, "%s[%s]%s", called(meanings, span, type, sizeof(type)), key, rest);
}

static void behind_end(const struct lg_meanings *meanings, const struct span *span, char *buf,
                       size_t size)
{
    char type[NAME_BYTES];
    snprintf(buf, size, "%s, behind its end", called(meanings, span, type, sizeof(type)));
}

// A count of the collection itself, or false: not known, or no count of so many elements.
static bool count_of(const struct lg_meanings *meanings, const struct lg_object *owner,
                     const char *field, uint64_t *ret)
{
    return owner->type && lg_object_field(meanings->clr, owner, field, ret) && *ret <= INT32_MAX;
}

static void map_meaning(const struct lg_meanings *meanings, const struct span *span, char *buf,
                        size_t size)
{
    const struct lg_path_step *last = last_of(span);
    char label[NAME_BYTES], key[KEY_BYTES];
    uint64_t index, count;
    own_label(span, label, sizeof(label));
    const char *end = strchr(label, ']');
    char index_text[32] = "";
    if (end)
        snprintf(index_text, sizeof(index_text), "%.*s", (int)(end + 1 - label), label);
    if (span->way->kind == LG_WAY_ENTRIES && index_of(index_text, &index)
        && count_of(meanings, &span->steps[0].object, "_count", &count) && index >= count)
        behind_end(meanings, span, buf, size);
    else if (lg_key_of_value(meanings->clr, &last->object, label, key, sizeof(key)))
        in_brackets(meanings, span, key, buf, size);
    else
        by_name(meanings, span, buf, size);
}

static void list_meaning(const struct lg_meanings *meanings, const struct span *span, char *buf,
                         size_t size)
{
    char label[NAME_BYTES], key[32];
    uint64_t index, count;
    own_label(span, label, sizeof(label));
    // The list itself is what holds the array: a Collection has one within.
    const struct lg_object *list = &span->steps[span->taken - 2].object;
    if (!index_of(label, &index)) {
        by_name(meanings, span, buf, size);
        return;
    }
    if (count_of(meanings, list, "_size", &count) && index >= count) {
        behind_end(meanings, span, buf, size);
        return;
    }
    snprintf(key, sizeof(key), "%llu", (unsigned long long)index);
    in_brackets(meanings, span, key, buf, size);
}

// Places count from the head, around the end of the array.
static void queue_meaning(const struct lg_meanings *meanings, const struct span *span, char *buf,
                          size_t size)
{
    const struct lg_object *queue = &span->steps[0].object;
    char label[NAME_BYTES], key[32];
    uint64_t index, head, count;
    uint32_t length;
    own_label(span, label, sizeof(label));
    if (!index_of(label, &index) || !count_of(meanings, queue, "_head", &head)
        || !count_of(meanings, queue, "_size", &count)
        || !lg_target_u32(lg_clr_target(meanings->clr), last_of(span)->object.address + 8, &length)
        || index >= length || head >= length || count > length) {
        by_name(meanings, span, buf, size);
        return;
    }
    uint64_t place = (index + length - head) % length;
    if (place >= count) {
        behind_end(meanings, span, buf, size);
        return;
    }
    snprintf(key, sizeof(key), "%llu", (unsigned long long)place);
    in_brackets(meanings, span, key, buf, size);
}

// An array that delegates share may hold more than this one calls.
static bool is_stale(const struct lg_meanings *meanings, const struct span *span)
{
    uint64_t index, count;
    return span->taken == 3 && index_of(span->steps[1].label, &index)
           && count_of(meanings, &span->steps[0].object, "_invocationCount", &count) && index >= count;
}

static bool delegate_meaning(struct lg_meanings *meanings, const struct span *span, char *buf,
                             size_t size)
{
    const char *method;
    if (!lg_meaning_of_call(meanings, &last_of(span)->object, &method))
        return false;
    if (is_stale(meanings, span))
        snprintf(buf, size, "not called any more: %s", method ? method : "a leftover");
    else if (method)
        snprintf(buf, size, "calls %s", method);
    return true;
}

static bool timer_meaning(struct lg_meanings *meanings, const struct span *span, char *buf, size_t size)
{
    const struct lg_path_step *last = last_of(span);
    bool is_state = strcmp(span->way->says, "state") == 0;
    struct lg_object callback = last->object;
    const char *method = NULL;
    uint64_t address;
    bool known = !is_state
                 || (lg_object_field(meanings->clr, &last->object, "_timerCallback", &address)
                     && lg_object_read(meanings->clr, address, &callback)
                     && lg_is_delegate(meanings->clr, callback.type));
    if (known && !lg_meaning_of_call(meanings, &callback, &method))
        return false;
    if (!method)
        by_name(meanings, span, buf, size);
    else if (is_state)
        snprintf(buf, size, "state of the timer that calls %s", method);
    else
        snprintf(buf, size, "timer calls %s", method);
    return true;
}

static bool way_meaning(struct lg_meanings *meanings, const struct span *span, char *buf, size_t size)
{
    switch (span->way->kind) {
    case LG_WAY_MAP:
    case LG_WAY_ENTRIES:
        map_meaning(meanings, span, buf, size);
        return true;
    case LG_WAY_LIST:
        list_meaning(meanings, span, buf, size);
        return true;
    case LG_WAY_QUEUE:
        queue_meaning(meanings, span, buf, size);
        return true;
    case LG_WAY_DELEGATE:
        return delegate_meaning(meanings, span, buf, size);
    case LG_WAY_TIMER:
        return timer_meaning(meanings, span, buf, size);
    case LG_WAY_OTHER:
        by_name(meanings, span, buf, size);
        return true;
    }
    return true;
}

// ---- dependent handles ----

// ConditionalWeakTable+Container: Entry[] { depHnd { _handle }, HashCode, Next } (dotnet/runtime
// src/coreclr/System.Private.CoreLib/src/System/Runtime/CompilerServices/ConditionalWeakTable.cs).
struct tables {
    struct lg_meanings *meanings;
    const struct lg_type *known; // The last type that was looked at, and whether it is one.
    bool is_known, failed;
};

static bool is_table(const char *name)
{
    static const char begins[] = "System.Runtime.CompilerServices.ConditionalWeakTable<",
                      ends[] = "+Entry[]";
    size_t len = strlen(name);
    return strncmp(name, begins, sizeof(begins) - 1) == 0 && len > sizeof(ends)
           && strcmp(name + len - (sizeof(ends) - 1), ends) == 0;
}

static bool see_table(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct tables *tables = self;
    struct lg_meanings *meanings = tables->meanings;
    (void)segment;
    if (object->type != tables->known) {
        tables->known = object->type;
        tables->is_known = object->type->flags & LG_TYPE_SZARRAY
                           && is_table(lg_clr_type_name(meanings->clr, object->type));
    }
    struct lg_place place;
    uint64_t handle;
    uint32_t length;
    if (!tables->is_known || !lg_place_find(meanings->clr, object, "[0].depHnd._handle", &place)
        || !lg_target_u32(lg_clr_target(meanings->clr), object->address + 8, &length))
        return true;
    for (uint32_t i = 0; i < length && !tables->failed; i++) {
        uint64_t at = place.address + (uint64_t)i * object->type->component_size;
        if (lg_value_read(lg_clr_target(meanings->clr), place.element, at, &handle) && handle)
            tables->failed = !lg_map_put(&meanings->weak_handles, handle & ~UINT64_C(1), 1);
    }
    return !tables->failed;
}

static bool find_weak_handles(struct lg_meanings *meanings)
{
    const struct lg_walk_filter everything = { 0 };
    struct lg_walk_result result;
    struct tables tables = { .meanings = meanings };
    if (meanings->has_weak_handles || lg_clr_target(meanings->clr)->has_no_values)
        return true;
    meanings->has_weak_handles = true;
    struct lg_error *err = lg_heap_walk(meanings->graph->heap, &everything, see_table, &tables, &result);
    lg_error_free(err); // What was not found has no name.
    return !tables.failed;
}

static bool dependent_meaning(struct lg_meanings *meanings, uint64_t primary, uint64_t secondary,
                              char *buf, size_t size)
{
    uint32_t ignored;
    if (!find_weak_handles(meanings))
        return false;
    for (size_t i = 0; i < meanings->graph->dependents.len; i++) {
        const struct lg_handle *handle = &meanings->graph->dependents.at[i];
        if (handle->object == primary && handle->secondary == secondary
            && lg_map_get(&meanings->weak_handles, handle->address, &ignored)) {
            snprintf(buf, size, "ConditionalWeakTable value");
            return true;
        }
    }
    return true;
}

// ---- paths ----

// What the step at `i` is by itself, and then, behind a semicolon, what its reference means.
static bool put_text(struct lg_meanings *meanings, const struct lg_path_step *step, const char *way,
                     bool is_delegate, const char **ret)
{
    char object[TEXT_BYTES] = "", text[2 * TEXT_BYTES + 2];
    if (!is_delegate && !lg_meaning_of_object(meanings, &step->object, object, sizeof(object)))
        return false;
    snprintf(text, sizeof(text), "%s%s%s", object, object[0] && way[0] ? "; " : "", way);
    return lg_meaning_keep(meanings, text, ret);
}

// One step of the path, of `*taken_ret` edges.
static bool put_step(struct lg_meanings *meanings, const struct lg_path_step *steps,
                     const struct lg_edge *edges, size_t count, size_t *taken_ret, const char **texts)
{
    struct span span = { .steps = steps };
    char text[TEXT_BYTES] = "";
    if (!lg_way_find(&meanings->ways, edges, count, &span.taken, &span.way, &span.rest))
        return false;
    bool is_dependent = edges[0].label[0] && steps[0].link == LG_LINK_DEPENDENT && count > 1;
    if (span.taken && !way_meaning(meanings, &span, text, sizeof(text)))
        return false;
    if (is_dependent
        && !dependent_meaning(meanings, steps[0].object.address, steps[1].object.address, text,
                              sizeof(text)))
        return false;
    *taken_ret = span.taken ? span.taken : 1;
    bool is_delegate = span.taken && span.way->kind == LG_WAY_DELEGATE;
    for (size_t i = 0; i < *taken_ret; i++) {
        bool is_last = i + 1 == *taken_ret;
        bool is_told = is_delegate || (is_last && span.taken && span.way->kind == LG_WAY_TIMER);
        if (!put_text(meanings, &steps[i], is_last ? text : "", is_told, &texts[i]))
            return false;
    }
    return true;
}

bool lg_meanings_of_path(struct lg_meanings *meanings, const struct lg_path_step *steps, size_t count,
                         const char **texts)
{
    _cleanup_free_ struct lg_edge *edges = calloc(count + 1, sizeof(*edges));
    if (!edges)
        return false;
    for (size_t i = 0; i < count; i++)
        edges[i] = (struct lg_edge){ steps[i].object.type, steps[i].label ? steps[i].label : "" };
    for (size_t i = 0, taken; i < count; i += taken) {
        if (!put_step(meanings, steps + i, edges + i, count - i, &taken, texts + i))
            return false;
    }
    return true;
}
