// For the files of src/export.
#ifndef LG_EXPORT_EXPORT_PRIV_H
#define LG_EXPORT_EXPORT_PRIV_H

#include <string.h>

#include "export/export.h"
#include "util/arena.h"
#include "util/pages.h"

static inline bool is_live(const struct lg_export_source *source, lg_node node)
{
    return source->retention->number[node] != 0;
}

// "App.Program.Main", "thread 1a2c": whose a root on a stack is; NULL: not known. In the arena.
const char *stack_owner(struct lg_arena *arena, const struct lg_root *root);

// Every pair of a root and the live object that it holds, frozen ones included: sorted by group, name
// and object, each once.
struct holding {
    uint32_t group;   // of lg_gcdump_groups
    const char *name; // Its own, or NULL.
    lg_node node;
};
struct holdings {
    LG_VEC(struct holding) all;
};
LG_MUST_CHECK struct lg_error *find_holdings(const struct lg_export_source *source,
                                             struct lg_arena *arena, struct holdings *ret);

// What a writer counts; `ret->references` too.
// Makes sure that forward edges are there: retained sizes used them up.
LG_MUST_CHECK struct lg_error *count_live(const struct lg_export_source *source,
                                          struct lg_export_figures *ret);

#endif
