// How one object refers to another, in words: fields, elements, what is inside structs.
#include <stdio.h>
#include <string.h>

#include "collect/collect_priv.h"
#include "util/error.h"

const char *lg_link_name(enum lg_link link)
{
    static const char *const names[] = { "field", "element", "dependent", "loader" };
    return names[link];
}

enum { NESTED = 8 }; // Structs within structs that a label goes into.

// Appends the name of the field at `offset` of a type's instance data (".value._lock"), `first` without
// the dot.
static void append_field(struct lg_clr *clr, const struct lg_type *type, uint64_t offset, bool first,
                         char *buf, size_t size)
{
    for (int depth = 0; type && depth < NESTED; depth++) {
        const struct lg_field *fields, *best = NULL;
        size_t count;
        struct lg_error *err = lg_clr_fields(clr, type, &fields, &count);
        lg_error_free(err);
        for (size_t i = 0; !err && i < count; i++) {
            if (!fields[i].is_static && fields[i].offset <= offset
                && (!best || fields[i].offset >= best->offset))
                best = &fields[i];
        }
        size_t len = strlen(buf);
        if (!best) {
            snprintf(buf + len, size - len, "%s+%llu", first ? "" : ".", (unsigned long long)offset);
            return;
        }
        snprintf(buf + len, size - len, "%s%s", first ? "" : ".", best->name);
        if (lg_element_is_reference(best->element))
            return;
        first = false;
        offset -= best->offset;
        type = best->type_mt ? lg_clr_type(clr, best->type_mt) : NULL;
    }
}

// "[3,1]": arrays of rank 2 and more lay their bounds before the data: lengths, then lower bounds, int32
// each.
static void append_indices(struct lg_target *target, const struct lg_object *array, uint64_t index,
                           char *buf, size_t size)
{
    enum { RANK_MAX = 32 };
    uint32_t rank = array->type->rank, lengths[RANK_MAX] = { 0 }, indices[RANK_MAX],
             lower[RANK_MAX] = { 0 };
    bool flat = rank < 2 || rank > RANK_MAX
                || !lg_target_read_all(target, array->address + 16, lengths, rank * 4)
                || !lg_target_read_all(target, array->address + 16 + rank * 4, lower, rank * 4);
    for (uint32_t i = rank; !flat && i > 0; i--) {
        flat = lengths[i - 1] == 0;
        if (flat)
            break;
        indices[i - 1] = (uint32_t)(index % lengths[i - 1]) + lower[i - 1];
        index /= lengths[i - 1];
    }
    size_t len = strlen(buf);
    if (flat) {
        snprintf(buf + len, size - len, "[%llu]", (unsigned long long)index);
        return;
    }
    for (uint32_t i = 0; i < rank; i++) {
        len = strlen(buf);
        snprintf(buf + len, size - len, "%s%d%s", i ? "," : "[", (int)indices[i],
                 i + 1 == rank ? "]" : "");
    }
}

static void element_label(struct lg_clr *clr, const struct lg_object *from, uint64_t offset, bool any,
                          char *buf, size_t size)
{
    const struct lg_type *type = from->type;
    // Data begin behind method table and count, and bounds where the rank is not 1 (base_size covers
    // header too).
    uint64_t data = type->base_size >= 8 ? type->base_size - 8 : 0;
    if (data > offset || type->component_size == 0) {
        snprintf(buf, size, "+%llu", (unsigned long long)offset);
        return;
    }
    if (any)
        snprintf(buf, size, "[]");
    else
        append_indices(lg_clr_target(clr), from, (offset - data) / type->component_size, buf, size);
    const struct lg_type *element =
        type->element_handle & 2 ? NULL : lg_clr_type(clr, type->element_handle);
    if (element && element->flags & LG_TYPE_VALUE)
        append_field(clr, element, (offset - data) % type->component_size, false, buf, size);
}

enum lg_link lg_label_at(const struct lg_heap_graph *graph, const struct lg_object *from,
                         uint64_t offset, bool any, char *buf, size_t size)
{
    struct lg_clr *clr = lg_heap_clr(graph->heap);
    if (lg_clr_info(clr)->is_bare) { // Where in the object it lay was not told.
        bool is_element = from->type->flags & LG_TYPE_ARRAY;
        snprintf(buf, size, "%s", is_element ? "[]" : "?");
        return is_element ? LG_LINK_ELEMENT : LG_LINK_FIELD;
    }
    const struct lg_static *slot = lg_clr_static_at(clr, from->address + offset);
    buf[0] = 0;
    if (slot && lg_static_is_collectible(clr, slot)) { // What an array of statics holds has names.
        snprintf(buf, size, "%s.%s", lg_clr_type_name(clr, lg_clr_type(clr, slot->mt)), slot->field);
        return LG_LINK_FIELD;
    }
    if (from->type->flags & LG_TYPE_ARRAY) {
        element_label(clr, from, offset, any, buf, size);
        return LG_LINK_ELEMENT;
    }
    append_field(clr, from->type, offset - 8, true, buf, size);
    return LG_LINK_FIELD;
}

struct hunt {
    uint64_t to, offset;
    bool found;
};

static void hunt_reference(void *self, uint64_t offset, uint64_t target)
{
    struct hunt *hunt = self;
    if (target == hunt->to && !hunt->found) {
        hunt->found = true;
        hunt->offset = offset;
    }
}

bool lg_edge_label(const struct lg_heap_graph *graph, const struct lg_object *from, uint64_t to,
                   enum lg_link *link_ret, char *buf, size_t size)
{
    struct lg_clr *clr = lg_heap_clr(graph->heap);
    struct hunt hunt = { .to = to };
    buf[0] = 0;
    lg_heap_references(graph->heap, from, hunt_reference, &hunt);
    if (hunt.found) {
        *link_ret = lg_label_at(graph, from, hunt.offset, false, buf, size);
        return true;
    }
    for (size_t i = 0; i < graph->dependents.len; i++) {
        const struct lg_handle *handle = &graph->dependents.at[i];
        if (handle->object == from->address && handle->secondary == to) {
            bool is_bare = lg_clr_info(clr)->is_bare;
            *link_ret = is_bare ? LG_LINK_FIELD : LG_LINK_DEPENDENT;
            snprintf(buf, size, "%s", is_bare ? "?" : "dependent handle");
            return true;
        }
    }
    if (lg_loader_object(clr, &graph->loader_objects, from->type) == to) {
        *link_ret = LG_LINK_LOADER;
        snprintf(buf, size, "loader allocator");
        return true;
    }
    return false;
}
