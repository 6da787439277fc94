#include "export/paths.h"

#include "util/cancel.h"
#include "util/map.h"

struct finding {
    const struct lg_export_source *source;
    struct paths *paths;
    struct lg_map children; // path << 32 | label -> path
    uint32_t *of;           // [tree->count] path by number
};

static bool child(struct finding *f, uint32_t parent, uint32_t label, uint32_t *ret)
{
    const struct path *above = &f->paths->all.at[parent];
    if (above->label == label && parent != 0) {
        *ret = parent;
        return true;
    }
    if (above->depth >= PATH_DEPTH)
        parent = above->parent;
    uint64_t key = (uint64_t)parent << 32 | label;
    if (lg_map_get(&f->children, key, ret))
        return true;
    struct path path = { .parent = parent, .label = label, .depth = f->paths->all.at[parent].depth + 1 };
    *ret = (uint32_t)f->paths->all.len;
    return lg_map_put(&f->children, key, *ret) && lg_vec_push(&f->paths->all, path);
}

static bool place(struct finding *f, uint32_t number, const uint64_t *own)
{
    const struct lg_retention *retention = f->source->retention;
    uint32_t parent = f->of[retention->tree->idom[number]], *here = &f->of[number];
    lg_node node = retention->tree->node[number];
    if (node >= retention->node_count)
        return child(f, 0, label_of_owner(f->paths, node - retention->node_count), here);
    if (retention->tree->idom[number] == 0
        && !child(f, 0, label_of_owner(f->paths, (uint32_t)retention->owners.len), &parent))
        return false;
    if (!child(f, parent, retention->own_type[node], here))
        return false;
    f->paths->all.at[*here].count++;
    f->paths->all.at[*here].size += own[number];
    return true;
}

struct lg_error *paths_find(const struct lg_export_source *source, struct paths *ret)
{
    const struct lg_retention *retention = source->retention;
    uint32_t count = retention->tree->count;
    struct finding f = { .source = source, .paths = ret };
    ret->type_count = lg_clr_type_count(lg_heap_clr(source->reach->graph->heap));
    ret->label_count = ret->type_count + (uint32_t)retention->owners.len + 1;
    f.of = lg_pages_alloc(count, sizeof(*f.of));
    uint64_t *own = lg_retention_own_sizes(retention);
    bool ok = f.of && own && lg_vec_push(&ret->all, ((struct path){ .label = UINT32_MAX }));
    bool cancelled = false;
    for (uint32_t i = 1; i < count && ok && !cancelled; i++) { // What dominates comes first.
        ok = place(&f, i, own);
        cancelled = i % (1 << 20) == 0 && lg_cancelled();
    }
    if (f.of)
        lg_pages_free(f.of, count, sizeof(*f.of));
    if (own)
        lg_pages_free(own, count, sizeof(*own));
    lg_map_free(&f.children);
    return !ok ? &lg_no_memory : cancelled ? &lg_was_cancelled : NULL;
}

const char *path_label(const struct lg_export_source *source, const struct paths *paths,
                       struct lg_arena *arena, uint32_t label)
{
    struct lg_clr *clr = lg_heap_clr(source->reach->graph->heap);
    const struct lg_retention *retention = source->retention;
    if (label < paths->type_count)
        return lg_clr_type_name(clr, lg_clr_type_at(clr, label));
    if (label - paths->type_count >= retention->owners.len)
        return "several roots";
    char *text = lg_owner_label(&retention->owners.at[label - paths->type_count]);
    const char *copy = text ? lg_arena_copy(arena, text, strlen(text)) : NULL;
    free(text);
    return copy;
}
