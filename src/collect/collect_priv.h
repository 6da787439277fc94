// For the files of src/collect.
#ifndef LG_COLLECT_COLLECT_PRIV_H
#define LG_COLLECT_COLLECT_PRIV_H

#include "collect/collect.h"
#include "heap/window.h"
#include "util/error.h"

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

// A static of a collectible type is no root: its LoaderAllocator keeps the Object[] it lies in, by its
// field m_slots (dotnet/runtime src/coreclr/vm/threadstatics.cpp, GetThreadLocalStaticBase, has it so of
// thread statics too).
bool lg_static_is_collectible(struct lg_clr *clr, const struct lg_static *field);

// The field of that name of a type, or NULL.
const struct lg_field *lg_field_find(struct lg_clr *clr, const struct lg_type *type, const char *name);

// ---- roots.c and stack_roots.c ----

struct collector {
    struct lg_heap *heap;
    struct lg_clr *clr;
    struct lg_target *target;
    const struct lg_index *index;
    struct lg_roots *roots;
    struct window window;
    struct lg_dac *dac; // NULL: none, and `no_dac` says why.
    const char *no_dac;
    struct lg_map loader_objects; // lg_loader_objects_find()
    struct lg_map exceptions;     // Slots whose roots are exceptions of threads.
};
LG_MUST_CHECK struct lg_error *lg_roots_add(struct collector *c, struct lg_root root);
// Kept by the roots; NULL: out of memory.
char *lg_roots_name(struct lg_roots *roots, const char *format, ...) LG_PRINTF(2, 3);
LG_MUST_CHECK struct lg_error *lg_roots_incomplete(struct lg_roots *roots, const char *format, ...)
    LG_PRINTF(2, 3);
// The same of roots that there may be beside those found.
#define lg_roots_missing(roots, ...) \
    ((roots)->is_missing_some = true, lg_roots_incomplete(roots, __VA_ARGS__))
bool lg_roots_is_object(const struct collector *c, uint64_t address);

LG_MUST_CHECK struct lg_error *lg_roots_collect_stacks(struct collector *c);

#endif
