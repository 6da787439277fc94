// How an object refers to those that it alone holds, for `retained -tree`.
#include <string.h>

#include "cli/retained.h"

enum { LABEL_BYTES = 512 };

void lg_tree_labels_deinit(struct lg_tree_labels *labels)
{
    lg_meanings_deinit(&labels->meanings);
    lg_map_free(&labels->offset_of);
    lg_vec_free(&labels->offsets);
    for (size_t i = 0; i < LG_TREE_ABOVE; i++)
        free(labels->above_labels[i]);
}

// The first of several references to the same object explains it.
static void see_reference(void *self, uint64_t offset, uint64_t target)
{
    struct lg_tree_labels *labels = self;
    uint32_t known;
    if (!lg_map_get(&labels->offset_of, target, &known)
        && (!lg_map_put(&labels->offset_of, target, (uint32_t)labels->offsets.len)
            || !lg_vec_push(&labels->offsets, offset)))
        labels->failed = true;
}

// What is above the object, as long as one refers to the next: a way begins there ("Dictionary
// [_entries]").
static bool find_above(struct lg_tree_labels *labels, uint32_t number)
{
    const struct lg_retention *retention = labels->retention;
    uint64_t below = labels->object.address;
    uint32_t above = retention->tree->idom[number];
    while (labels->above < LG_TREE_ABOVE && above && !lg_retention_owner(retention, above)) {
        struct lg_path_step step;
        char label[LABEL_BYTES];
        if (!lg_object_read(labels->meanings.clr, lg_retention_address(retention, above), &step.object)
            || !lg_edge_label(retention->graph, &step.object, below, &step.link, label, sizeof(label)))
            return true;
        char *kept = strdup(label);
        if (!kept)
            return false;
        step.label = labels->above_labels[labels->above] = kept;
        labels->steps[LG_TREE_ABOVE - ++labels->above] = step;
        below = step.object.address;
        above = retention->tree->idom[above];
    }
    return true;
}

struct lg_error *lg_tree_labels_init(struct lg_tree_labels *labels, const struct lg_retention *retention,
                                     const struct lg_object *object, uint32_t number)
{
    *labels = (struct lg_tree_labels){ .retention = retention, .object = *object };
    lg_meanings_init(&labels->meanings, retention->graph);
    lg_heap_references(retention->graph->heap, object, see_reference, labels);
    return labels->failed || !find_above(labels, number) ? &lg_no_memory : NULL;
}

struct lg_error *lg_tree_label(struct lg_tree_labels *labels, uint64_t child, char *field, size_t size,
                               const char **meaning_ret)
{
    const struct lg_heap_graph *graph = labels->retention->graph;
    struct lg_path_step *own = &labels->steps[LG_TREE_ABOVE], *first = own - labels->above;
    const char *texts[LG_TREE_ABOVE + 2];
    uint32_t i;
    field[0] = 0;
    *meaning_ret = NULL;
    *own = (struct lg_path_step){ .object = labels->object, .label = field };
    if (!lg_map_get(&labels->offset_of, child, &i))
        return NULL; // Through others, which hold it together, or by a handle.
    own->link = lg_label_at(graph, &labels->object, labels->offsets.at[i], false, field, size);
    if (!lg_object_read(labels->meanings.clr, child, &own[1].object))
        own[1].object.type = NULL;
    if (!lg_meanings_of_path(&labels->meanings, first, labels->above + 2, texts))
        return &lg_no_memory;
    *meaning_ret = texts[labels->above];
    return NULL;
}
