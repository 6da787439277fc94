// Live objects by dominator path: root, then the types of the objects from the one that the root holds
// down to this one.
//
//     static App.Cache.s_orders          3 objects here, of Dictionary's child Entry[]: one path
//       Dictionary                       each time
//         Entry[]
//           Order  × 48,201
//
// Objects of one type that dominate each other, as in a linked list, are one step, and so is whatever
// lies below DEPTH: the tree of paths stays small, however deep the heap is.
#ifndef LG_EXPORT_PATHS_H
#define LG_EXPORT_PATHS_H

#include "export/export_priv.h"

enum { PATH_DEPTH = 60 };
struct path {
    uint32_t parent; // Lower than its own number; path 0 stands for everything.
    uint32_t label;
    uint32_t depth;
    uint64_t count, size; // of the objects at its end alone
};
struct paths {
    LG_VEC(struct path) all;
    uint32_t type_count; // Labels below it are lg_type.id; then come owners, and what several hold.
    uint32_t label_count;
};
static inline uint32_t label_of_owner(const struct paths *paths, uint32_t owner)
{
    return paths->type_count + owner;
}
LG_MUST_CHECK struct lg_error *paths_find(const struct lg_export_source *source, struct paths *ret);
// "static App.Cache.s_orders", "App.Order", "several roots". In the arena; NULL when out of memory.
const char *path_label(const struct lg_export_source *source, const struct paths *paths,
                       struct lg_arena *arena, uint32_t label);
static inline void paths_deinit(struct paths *paths)
{
    lg_vec_free(&paths->all);
}

#endif
