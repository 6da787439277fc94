// The objects on a path, and how each refers to the next; and what repeats in a long one.
#include <stdlib.h>
#include <string.h>

#include "cli/gcroot.h"

enum { LABEL_MAX = 512 };

void lg_path_reader_deinit(struct lg_path_reader *reader)
{
    lg_map_free(&reader->labels);
    lg_vec_free(&reader->known);
    lg_arena_free(&reader->arena);
    lg_meanings_deinit(&reader->meanings);
}

static bool read_hop(struct lg_path_reader *reader, lg_node node, struct lg_hop *ret)
{
    const struct lg_heap_graph *graph = reader->graph;
    struct lg_clr *clr = lg_heap_clr(graph->heap);
    struct lg_hop hop = { .object.address = lg_index_address(graph->index, node) };
    if (!lg_object_read(clr, hop.object.address, &hop.object))
        hop.object.type = NULL;
    lg_node next = reader->paths->next[node];
    char label[LABEL_MAX];
    if (node != reader->paths->target && hop.object.type)
        hop.has_link = lg_edge_label(graph, &hop.object, lg_index_address(graph->index, next), &hop.link,
                                     label, sizeof(label));
    if (hop.has_link) {
        hop.label = lg_arena_copy(&reader->arena, label, strlen(label));
        if (!hop.label)
            return false;
    }
    *ret = hop;
    return lg_map_put(&reader->labels, node, (uint32_t)reader->known.len)
           && lg_vec_push(&reader->known, hop);
}

static bool add_hop(struct lg_path_reader *reader, struct lg_path *path, lg_node node)
{
    uint32_t i;
    struct lg_hop hop;
    if (lg_map_get(&reader->labels, node, &i))
        hop = reader->known.at[i];
    else if (!read_hop(reader, node, &hop))
        return false;
    return lg_vec_push(&path->hops, hop);
}

// Of a path, not of its hops: what a hop means depends on those around it.
static struct lg_error *add_meanings(struct lg_path_reader *reader, struct lg_path *path)
{
    size_t count = path->hops.len;
    _cleanup_free_ struct lg_path_step *steps = calloc(count + 1, sizeof(*steps));
    _cleanup_free_ const char **texts = calloc(count + 1, sizeof(*texts));
    if (!steps || !texts)
        return &lg_no_memory;
    for (size_t i = 0; i < count; i++) {
        const struct lg_hop *hop = &path->hops.at[i];
        bool leads_on = hop->has_link && hop->skipped == 0;
        steps[i] = (struct lg_path_step){ hop->object, leads_on ? hop->label : NULL, hop->link };
    }
    if (!reader->meanings.graph)
        lg_meanings_init(&reader->meanings, reader->graph);
    if (!lg_meanings_of_path(&reader->meanings, steps, count, texts))
        return &lg_no_memory;
    for (size_t i = 0; i < count; i++)
        path->hops.at[i].meaning = texts[i];
    return NULL;
}

struct lg_error *lg_path_read(struct lg_path_reader *reader, const struct lg_chain *chain,
                              struct lg_path *ret)
{
    lg_node node = lg_index_node(reader->graph->index, chain->root->object);
    uint32_t skip_from = chain->hops, skip_to = chain->hops;
    if (chain->hops > LG_PATH_KEPT) {
        skip_from = LG_PATH_KEPT / 2;
        skip_to = chain->hops - LG_PATH_KEPT / 2;
    }
    for (uint32_t i = 0; i < chain->hops; i++, node = reader->paths->next[node]) {
        if (i >= skip_from && i < skip_to)
            continue;
        if (!add_hop(reader, ret, node))
            return &lg_no_memory;
        if (i + 1 == skip_from)
            ret->hops.at[ret->hops.len - 1].skipped = skip_to - skip_from;
    }
    return add_meanings(reader, ret);
}

// ---- compression ----

static size_t times_repeated(size_t start, size_t period, size_t count,
                             bool (*same)(const void *self, size_t a, size_t b), const void *self)
{
    size_t i = start + period;
    while (i < count && same(self, i - period, i))
        i++;
    return (i - start) / period;
}

struct lg_repeat lg_repeat_at(size_t start, size_t count,
                              bool (*same)(const void *self, size_t a, size_t b), const void *self)
{
    // The shortest period that repeats often enough: [next] [next], not [next, next] half as often.
    for (size_t period = 1; period <= LG_PERIOD_MAX && start + period * LG_REPEATS_MIN <= count;
         period++) {
        size_t times = times_repeated(start, period, count, same, self);
        if (times >= LG_REPEATS_MIN)
            return (struct lg_repeat){ start, period, times };
    }
    return (struct lg_repeat){ .start = start };
}
