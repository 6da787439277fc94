// How many objects are held, told in few words: shortest paths from roots with what tells one object
// from another left out.
//
// A route is a path of types and fields: "static OrderCache.s_orders -> Dictionary [_entries] -> Entry[]
// [[].value] -> Order". All elements of an array are one step, and steps that repeat themselves (a
// linked list, a tree, a chain of continuations) are those steps once. Routes are a tree: each knows the
// one it continues.
//
// A line is the same in normalised words, without the inner objects of collections (ways.h) and without
// what differs between builds and runs (names.h): "static OrderCache.s_orders -> Dictionary values".
#ifndef LG_COLLECT_ROUTES_H
#define LG_COLLECT_ROUTES_H

#include "collect/collect.h"
#include "collect/meanings.h"
#include "collect/ways.h"
#include "util/arena.h"

#define LG_NO_ROUTE UINT32_MAX

struct lg_route {
    uint32_t before; // LG_NO_ROUTE: the object is a root's own
    uint32_t type;   // lg_type.id; UINT32_MAX: unknown
    uint32_t label;  // How the object before refers to it: of `labels`. A root's own: index of the root,
                     // or UINT32_MAX: an object of the frozen heap.
    bool repeats;    // It leads to more of its own kind in the same way.
    bool is_called;  // Delegates lead to it, and `calls` is the method that all of them call; NULL: they
                     // call
    const char *calls; // several, or it is not known. Only with lg_routes.meanings.
};

// Each text once.
struct lg_texts {
    LG_VEC(const char *) all;
    struct lg_map ids; // hash of the text -> index; equal hashes: see routes.c
};

struct lg_routes {
    const struct lg_reach *reach; // borrowed
    const struct lg_roots *roots; // borrowed
    struct lg_meanings
        *meanings; // borrowed; NULL, as it is after lg_routes_new(): nobody asks what delegates call
    struct lg_paths *paths; // lg_reach_paths()
    LG_VEC(struct lg_route) all;
    struct lg_texts labels, lines;
    struct lg_map of_node; // node -> route
    struct lg_map by_step; // hash of (before, type, label) -> route; equal hashes: see routes.c
    struct lg_map line_of; // route -> line
    struct lg_ways ways;
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

// What leads to the objects of a route, as one line, without their own type: the index of its text in
// `lines`. Routes that differ in inner objects of collections only have the same line. Nothing in it
// depends on addresses, on counts, or on contents of objects: it says the same of another run, and of a
// snapshot.
//
//     "static OrderCache.s_orders -> Dictionary values"
//     "static Bus.Tick -> System.EventHandler targets -> Session.Last"
//     "stack -> async App.Svc.Foo.order"
LG_MUST_CHECK struct lg_error *lg_routes_line(struct lg_routes *routes, uint32_t route, uint32_t *ret);

// The steps of a line, from the root's own object on.
struct lg_line_step {
    const struct lg_type *type; // NULL: not known
    const struct lg_way *way;   // NULL: just a field or element
    const char *label;          // of the last edge it takes
    const char *rest;           // behind the way: ".Ref"
    uint32_t route;             // behind the last edge
    bool repeats;
};
struct lg_line {
    const struct lg_root *root; // NULL: an object of the frozen heap
    bool is_cut;                // Steps behind the root are left out: too many.
    LG_VEC(struct lg_line_step) steps;
};
LG_MUST_CHECK struct lg_error *lg_routes_steps(struct lg_routes *routes, uint32_t route,
                                               struct lg_line *ret);
void lg_line_deinit(struct lg_line *line);
// "Dictionary values", "App.Cart.lines", "App.Order[] items", "App.Key (dependent handle)".
void lg_line_step_text(const struct lg_routes *routes, const struct lg_line_step *step, char *buf,
                       size_t size);

// ---- for routes.c and lines.c ----

// False when out of memory.
bool lg_text_id(struct lg_routes *routes, struct lg_texts *texts, const char *text, uint32_t *ret);

void lg_routes_free(struct lg_routes *routes); // NULL is allowed
LG_DEFINE_FREEP(lg_routes)

#endif
