// How many objects are held, told in few words: shortest paths from roots with what tells one object
// from another left out.
//
// A route is a path of types and fields: "static OrderCache.s_orders -> Dictionary [_entries] -> Entry[]
// [[].value] -> Order". All elements of an array are one step, and a step that repeats itself (a linked
// list) is one step that does. Routes are a tree: each knows the one it continues.
#ifndef LG_COLLECT_ROUTES_H
#define LG_COLLECT_ROUTES_H

#include "collect/collect.h"
#include "util/arena.h"

#define LG_NO_ROUTE UINT32_MAX

struct lg_route {
    uint32_t before; // LG_NO_ROUTE: the object is a root's own
    uint32_t type;   // lg_type.id; UINT32_MAX: unknown
    uint32_t label;  // How the object before refers to it: of `labels`. A root's own: index of the root,
                     // or UINT32_MAX: an object of the frozen heap.
    bool repeats;    // It refers to more of its own kind in the same way.
};

struct lg_routes {
    const struct lg_reach *reach; // borrowed
    const struct lg_roots *roots; // borrowed
    LG_VEC(struct lg_route) all;
    LG_VEC(const char *) labels;
    struct lg_map of_node;     // node -> route
    struct lg_map by_step;     // hash of (before, type, label) -> route; equal hashes: see routes.c
    struct lg_map label_ids;   // hash of the text -> label
    struct lg_map edge_labels; // holder << 32 | held -> label
    struct lg_map enumerated;  // holders whose edges are in edge_labels
    struct lg_map root_of;     // node -> index of its first root
    LG_VEC(lg_node) way;
    struct lg_arena arena;
};
LG_MUST_CHECK struct lg_error *lg_routes_new(const struct lg_reach *reach, const struct lg_roots *roots,
                                             struct lg_routes **ret);
// The route to a node that is alive.
LG_MUST_CHECK struct lg_error *lg_routes_find(struct lg_routes *routes, lg_node node, uint32_t *ret);
void lg_routes_free(struct lg_routes *routes); // NULL is allowed
LG_DEFINE_FREEP(lg_routes)

#endif
