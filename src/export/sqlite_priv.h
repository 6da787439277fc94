// For the files that write SQLite databases.
#ifndef LG_EXPORT_SQLITE_PRIV_H
#define LG_EXPORT_SQLITE_PRIV_H

#include "collect/holders.h"
#include "export/export_priv.h"
#include "export/lite.h"

// Statements: tables, what makes asking them fast once they are full, and views. NULL ends each list.
extern const char *const sqlite_tables[], *const sqlite_all_tables[];
extern const char *const sqlite_views[], *const sqlite_all_views[];

// What one (words, type) holds: routes that differ in inner objects of collections only are one.
struct lite_group {
    uint32_t line, type;
};

struct lite_writing {
    const struct lg_export_source *source;
    struct lg_clr *clr;
    struct lg_heap *heap;
    struct lite *lite;
    uint32_t *type_id;                    // [type_count] by lg_type.id: its number in the file; 0: none
    LG_VEC(const struct lg_type *) types; // in the order of the file, from 1
    struct lg_holders *holders;
    uint32_t *group_of; // [routes] index into `groups`
    LG_VEC(struct lite_group) groups;
    uint64_t *listed; // a bit per number: objects that have a row; NULL: all have
    uint64_t rows;    // of those
};

static inline uint64_t type_of_node(const struct lite_writing *w, lg_node node)
{
    uint32_t id = w->source->retention->own_type[node];
    return id < lg_clr_type_count(w->clr) ? w->type_id[id] : 0;
}

// ---- sqlite_objects.c ----

// Chooses those that have a row.
LG_MUST_CHECK struct lg_error *sqlite_choose_objects(struct lite_writing *w);
void sqlite_put_objects(struct lite_writing *w);
void sqlite_put_edges(struct lite_writing *w);

// ---- sqlite_paths.c ----

LG_MUST_CHECK struct lg_error *sqlite_find_paths(struct lite_writing *w);
void sqlite_put_paths(struct lite_writing *w);

#endif
