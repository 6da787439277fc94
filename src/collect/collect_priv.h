// For the files of src/collect.
#ifndef LG_COLLECT_COLLECT_PRIV_H
#define LG_COLLECT_COLLECT_PRIV_H

#include "collect/collect.h"

// The managed LoaderAllocator objects, by the native one that they stand for: `objects` maps the native
// address to an index into the handle list (lg_clr_handles), whose object it is. Every LoaderAllocator
// has a handle.
LG_MUST_CHECK struct lg_error *lg_loader_objects_find(struct lg_heap *heap, struct lg_map *objects);
// The LoaderAllocator object that keeps a collectible type alive; 0: the type is not collectible, or
// none is known.
uint64_t lg_loader_object(struct lg_clr *clr, const struct lg_map *objects, const struct lg_type *type);

// Adds the nodes of all roots, of those that are certain or of the others, to `ret`. False when out of
// memory.
typedef LG_VEC(lg_node) lg_nodes;
bool lg_root_nodes_add(const struct lg_heap_graph *graph, const struct lg_roots *roots,
                       bool conservative, lg_nodes *ret);
// The same of the objects of the frozen heap.
bool lg_frozen_nodes_add(const struct lg_heap_graph *graph, lg_nodes *ret);

// The field of that name of a type, or NULL.
const struct lg_field *lg_field_find(struct lg_clr *clr, const struct lg_type *type, const char *name);

#endif
