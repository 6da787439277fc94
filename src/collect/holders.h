// Who holds what: every live object under one route from a root (collect/routes.h), told in words that
// mean the same in another picture of the program.
//
// Routes are those of a search from the roots outwards, level by level; a step that is on its way
// already (of a list, of a tree) leads back to where it was first:
//
//     static OrderCache.s_orders -> Dictionary [_entries] -> Entry[] [[].value] -> Order [Note] ->
//     String
//                                                                                     [Blob] -> Byte[]
//
// An object is claimed once: by what is no stack before what is one, by the nearest, and among equals by
// names. Addresses decide nothing, so the same structure is claimed by the same routes wherever it lies.
#ifndef LG_COLLECT_HOLDERS_H
#define LG_COLLECT_HOLDERS_H

#include "collect/retain.h"
#include "collect/routes.h"

struct lg_holders {
    struct lg_routes *routes;
    struct lg_retained_group *sums; // [routes->all.len] what is at the end of each; some hold nothing
    uint32_t *own;                  // [node_count] the route of each object; UINT32_MAX: of none
    uint32_t node_count;
};
LG_MUST_CHECK struct lg_error *lg_holders_find(const struct lg_reach *reach,
                                               const struct lg_roots *roots,
                                               const struct lg_retention *retention,
                                               struct lg_holders **ret);
void lg_holders_free(struct lg_holders *holders); // NULL is allowed
LG_DEFINE_FREEP(lg_holders)

#endif
