// Well-known types whose inner objects are no steps of a path: what leads through them is one.
//
//     Dictionary [_entries] -> Entry[] [[3].value] -> Order         "Dictionary values"
//     EventHandler [_invocationList] -> Object[] [[1]] -> EventHandler [_target] -> Basket
//                                                                   "EventHandler targets"
//
// The table is in ways.c. A way is taken by the names of fields, which are those of the runtimes 8 to 10
// (some of 3.1); where they differ in a version there is no way, and the path is told field by field.
#ifndef LG_COLLECT_WAYS_H
#define LG_COLLECT_WAYS_H

#include "clr/clr.h"
#include "util/map.h"

enum lg_way_kind {
    LG_WAY_OTHER,
    LG_WAY_MAP,      // Dictionary and its like: what it holds has a key
    LG_WAY_ENTRIES,  // the same, of which the first _count elements of an array are in use
    LG_WAY_LIST,     // by index
    LG_WAY_QUEUE,    // by place
    LG_WAY_DELEGATE, // from delegate to target
    LG_WAY_TIMER,
};

struct lg_way {
    const char *owner;  // full name, without arguments; of the type or of one that it derives from
    const char *called; // NULL: as the type itself
    enum lg_way_kind kind;
    const char *steps; // see ways.c
    const char *says;
};

// An object on a path, and how it refers to the next: a label of lg_label_at(), any index erased or not.
struct lg_edge {
    const struct lg_type *type; // NULL: not known
    const char *label;
};

struct lg_ways {
    struct lg_clr *clr;
    struct lg_map of_type; // lg_type.id -> first row of the table + 1; 0: none
};

// How many of the edges are one step, and which; 0: the first is just a field. `*rest_ret`: what follows
// in the last label (".Ref", of an element that is a struct). False when out of memory.
bool lg_way_find(struct lg_ways *ways, const struct lg_edge *edges, size_t count, size_t *taken_ret,
                 const struct lg_way **ret, const char **rest_ret);
void lg_ways_deinit(struct lg_ways *ways);

#endif
