#include "collect/meanings.h"

#include <stdio.h>
#include <string.h>

#include "collect/collect_priv.h"
#include "collect/delegates.h"
#include "collect/names.h"
#include "util/error.h"

enum { NAME_BYTES = 1024, TEXT_BYTES = 4096 };

void lg_meanings_init(struct lg_meanings *meanings, const struct lg_heap_graph *graph)
{
    struct lg_clr *clr = lg_heap_clr(graph->heap);
    *meanings = (struct lg_meanings){ .graph = graph, .clr = clr, .ways.clr = clr };
}

void lg_meanings_deinit(struct lg_meanings *meanings)
{
    lg_ways_deinit(&meanings->ways);
    lg_map_free(&meanings->by_code);
    lg_map_free(&meanings->by_closure);
    lg_map_free(&meanings->weak_handles);
    lg_vec_free(&meanings->methods);
    lg_arena_free(&meanings->arena);
}

bool lg_meaning_keep(struct lg_meanings *meanings, const char *text, const char **ret)
{
    *ret = text[0] ? lg_arena_copy(&meanings->arena, text, strlen(text)) : NULL;
    return *ret || !text[0];
}

// ---- methods ----

// Remembers a method by a key; a name that is not known, too.
static bool put_method(struct lg_meanings *meanings, struct lg_map *map, uint64_t key, const char *name)
{
    const char *kept;
    return lg_meaning_keep(meanings, name, &kept)
           && lg_map_put(map, key, (uint32_t)meanings->methods.len)
           && lg_vec_push(&meanings->methods, kept);
}

bool lg_meaning_of_call(struct lg_meanings *meanings, const struct lg_object *delegate, const char **ret)
{
    struct lg_call call;
    uint32_t i;
    *ret = NULL;
    if (!lg_delegate_call(meanings->clr, delegate, &call) || !call.code)
        return true;
    if (!lg_map_get(&meanings->by_code, call.code, &i)) {
        char name[NAME_BYTES] = "";
        uint64_t method = lg_clr_method_from_code(meanings->clr, call.code);
        const char *raw = method ? lg_clr_method_name(meanings->clr, method) : NULL;
        if (raw)
            lg_name_normalise(raw, name, sizeof(name));
        i = (uint32_t)meanings->methods.len;
        if (!put_method(meanings, &meanings->by_code, call.code, name))
            return false;
    }
    *ret = meanings->methods.at[i];
    return true;
}

// ---- what an object is ----

static bool delegate_meaning(struct lg_meanings *meanings, const struct lg_object *delegate, char *buf,
                             size_t size)
{
    struct lg_object list, first = *delegate;
    uint64_t count = 1;
    const char *name;
    if (lg_delegate_list(meanings->clr, delegate, &list, &count)) {
        if (!lg_object_read(meanings->clr, lg_delegate_at(meanings->clr, &list, 0), &first)
            || !lg_is_delegate(meanings->clr, first.type))
            return true;
    } else
        count = 1;
    if (!lg_meaning_of_call(meanings, &first, &name))
        return false;
    if (name && count > 1)
        snprintf(buf, size, "calls %s and %llu more", name, (unsigned long long)count - 1);
    else if (name)
        snprintf(buf, size, "calls %s", name);
    return true;
}

// States as the C# compiler numbers them: an await by its place in the method, from 0 on; of async
// iterators the yields from -4 downwards.
static void append_state(struct lg_clr *clr, const struct lg_object *object, const char *prefix,
                         char *buf, size_t size)
{
    char label[64];
    struct lg_place place;
    struct lg_object machine = *object;
    uint64_t bits;
    if (prefix[0] && lg_place_find(clr, object, prefix, &place)
        && lg_element_is_reference(place.element)) {
        if (!lg_value_read(lg_clr_target(clr), place.element, place.address, &bits)
            || !lg_object_read(clr, bits, &machine))
            return;
        prefix = ""; // A class, as debug builds have it.
    }
    snprintf(label, sizeof(label), "%s%s<>1__state", prefix, prefix[0] ? "." : "");
    if (!lg_place_find(clr, &machine, label, &place) || place.element != LG_ELEM_I4
        || !lg_value_read(lg_clr_target(clr), place.element, place.address, &bits))
        return;
    int32_t state = (int32_t)bits;
    size_t len = strlen(buf);
    if (state >= 0)
        snprintf(buf + len, size - len, ", at await %d", state + 1);
    else if (state == -2)
        snprintf(buf + len, size - len, ", ended");
    else if (state <= -4)
        snprintf(buf + len, size - len, ", at a yield");
}

// Of a state machine that is an object: "async App.Svc.Foo", "iterator App.Svc.Foo".
static void machine_meaning(struct lg_clr *clr, const struct lg_type *type, char *buf, size_t size)
{
    char method[NAME_BYTES];
    const struct lg_object any = { .type = type };
    struct lg_place place;
    const char *raw = lg_clr_type_name(clr, type);
    if (strchr(raw, '+') && lg_place_find(clr, &any, "<>1__state", &place)
        && lg_name_method(raw, method, sizeof(method)))
        snprintf(buf, size, "%s %s",
                 lg_place_find(clr, &any, "<>t__builder", &place) ? "async" : "iterator", method);
}

// "App.Svc+<>c__DisplayClass12_3": where its last part begins, or NULL.
static const char *closure_in(const char *type)
{
    const char *found = NULL;
    for (const char *at = type; (at = strstr(at, "<>c__DisplayClass")); at++)
        found = at;
    return found && found > type && found[-1] == '+' && !strchr(found, '+') ? found - 1 : NULL;
}

static void name_closure(struct lg_clr *clr, const struct lg_type *type, const char *closure, char *buf,
                         size_t size)
{
    const char *raw = lg_clr_type_name(clr, type), *lambda = lg_clr_closure_method(clr, type), *behind;
    char home[NAME_BYTES], around[NAME_BYTES], inside[NAME_BYTES], method[NAME_BYTES];
    size_t len;
    snprintf(around, sizeof(around), "%.*s", (int)(closure - raw), raw);
    lg_name_normalise(around, home, sizeof(home));
    if (!lambda || !lg_name_inside(lambda, &len, &behind)) {
        snprintf(buf, size, "closure in %s", home);
        return;
    }
    snprintf(inside, sizeof(inside), "%.*s", (int)len, lambda + 1);
    lg_name_normalise(inside, method, sizeof(method));
    snprintf(buf, size, "closure of %s.%s", home, method);
}

static bool closure_meaning(struct lg_meanings *meanings, const struct lg_type *type,
                            const char *closure, char *buf, size_t size)
{
    uint32_t i;
    if (!lg_map_get(&meanings->by_closure, type->id, &i)) {
        char text[TEXT_BYTES];
        name_closure(meanings->clr, type, closure, text, sizeof(text));
        i = (uint32_t)meanings->methods.len;
        if (!put_method(meanings, &meanings->by_closure, type->id, text))
            return false;
    }
    snprintf(buf, size, "%s", meanings->methods.at[i]);
    return true;
}

bool lg_meaning_of_type(struct lg_meanings *meanings, const struct lg_type *type, char *buf, size_t size)
{
    buf[0] = 0;
    if (type->flags & (LG_TYPE_ARRAY | LG_TYPE_STRING))
        return true;
    const char *raw = lg_clr_type_name(meanings->clr, type), *closure = closure_in(raw);
    size_t ignored;
    if (closure)
        return closure_meaning(meanings, type, closure, buf, size);
    if (lg_name_state_machine(raw, &ignored))
        lg_name_type(raw, buf, size);
    else
        machine_meaning(meanings->clr, type, buf, size);
    return true;
}

bool lg_meaning_of_object(struct lg_meanings *meanings, const struct lg_object *object, char *buf,
                          size_t size)
{
    buf[0] = 0;
    const struct lg_type *type = object->type;
    if (!type)
        return true;
    if (lg_is_delegate(meanings->clr, type))
        return delegate_meaning(meanings, object, buf, size);
    if (!lg_meaning_of_type(meanings, type, buf, size))
        return false;
    size_t ignored;
    bool is_box = lg_name_state_machine(lg_clr_type_name(meanings->clr, type), &ignored);
    if (strncmp(buf, "async ", 6) == 0)
        append_state(meanings->clr, object, is_box ? "StateMachine" : "", buf, size);
    return true;
}
