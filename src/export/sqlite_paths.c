// How objects are held, as `diff` and `gcroot -type` tell it (collect/holders.h).
#include "export/sqlite_priv.h"

// ---- routes of the same words ----

static bool add_group(struct lite_writing *w, struct lg_map *known, uint32_t line, uint32_t type,
                      uint32_t *ret)
{
    uint64_t key = (uint64_t)line << 32 | type;
    if (lg_map_get(known, key, ret))
        return true;
    *ret = (uint32_t)w->groups.len;
    return lg_vec_push(&w->groups, (struct lite_group){ line, type }) && lg_map_put(known, key, *ret);
}

static struct lg_error *find_groups(struct lite_writing *w, struct lg_map *known)
{
    struct lg_routes *routes = w->holders->routes;
    struct lg_error *err = NULL;
    w->group_of = calloc(routes->all.len + 1, sizeof(*w->group_of));
    if (!w->group_of)
        return &lg_no_memory;
    for (uint32_t i = 0, line; i < routes->all.len && !err; i++) {
        w->group_of[i] = UINT32_MAX;
        if (!w->holders->sums[i].count)
            continue;
        err = lg_routes_line(routes, i, &line);
        if (!err && !add_group(w, known, line, routes->all.at[i].type, &w->group_of[i]))
            err = &lg_no_memory;
    }
    return err;
}

struct lg_error *sqlite_find_paths(struct lite_writing *w)
{
    const struct lg_export_source *source = w->source;
    struct lg_map known = { 0 };
    struct lg_error *err = lg_holders_find(source->reach, source->roots, source->retention, &w->holders);
    if (!err)
        err = find_groups(w, &known);
    lg_map_free(&known);
    return err;
}

// ---- tables ----

// What each group holds at once: of objects within each other's reach only the topmost counts, so it is
// less than the sum over its routes.
static struct lg_error *sum_up(const struct lite_writing *w, struct lg_retained_group *sums)
{
    uint32_t count = w->holders->node_count;
    uint32_t *key = lg_pages_alloc(count, sizeof(*key));
    if (!key)
        return &lg_no_memory;
    for (lg_node node = 0; node < count; node++) {
        uint32_t route = w->holders->own[node];
        key[node] = route == UINT32_MAX ? UINT32_MAX : w->group_of[route];
    }
    struct lg_error *err =
        lg_retention_group_nodes(w->source->retention, key, sums, (uint32_t)w->groups.len);
    lg_pages_free(key, count, sizeof(*key));
    return err;
}

static uint64_t type_number(const struct lite_writing *w, uint32_t type)
{
    return type < lg_clr_type_count(w->clr) ? w->type_id[type] : 0;
}

static void put_holders(struct lite_writing *w)
{
    struct lite_table table;
    _cleanup_free_ struct lg_retained_group *sums = calloc(w->groups.len + 1, sizeof(*sums));
    lite_fail(w->lite, sums ? sum_up(w, sums) : &lg_no_memory);
    lite_begin(w->lite, &table, "holder", 6);
    for (size_t i = 0; i < w->groups.len && !w->lite->err; i++) {
        lite_number(&table, i + 1);
        lite_text(&table, w->holders->routes->lines.all.at[w->groups.at[i].line]);
        lite_known(&table, type_number(w, w->groups.at[i].type));
        lite_number(&table, sums[i].count);
        lite_number(&table, sums[i].size);
        lite_number(&table, sums[i].retained);
        lite_end_row(&table);
    }
    lite_end(&table);
}

// "static", "App.Cache.s_orders"; then fields.
static void put_step(struct lite_writing *w, struct lite_table *table, const struct lg_route *route)
{
    const struct lg_routes *routes = w->holders->routes;
    bool is_first = route->before == LG_NO_ROUTE;
    const struct lg_root *root =
        is_first && route->label != UINT32_MAX ? &w->source->roots->all.at[route->label] : NULL;
    if (is_first)
        lite_null(table);
    else
        lite_number(table, route->before + UINT64_C(1));
    lite_text(table, !is_first ? NULL : root ? lg_root_kind_name(root->kind) : "frozen");
    lite_text(table, root && root->kind <= LG_ROOT_THREAD_STATIC ? root->name : NULL);
    lite_text(table, is_first ? NULL : routes->labels.all.at[route->label]);
    lite_known(table, type_number(w, route->type));
    lite_number(table, route->repeats);
}

void sqlite_put_paths(struct lite_writing *w)
{
    const struct lg_routes *routes = w->holders->routes;
    struct lite_table table;
    put_holders(w);
    lite_begin(w->lite, &table, "path", 11);
    for (size_t i = 0; i < routes->all.len && !w->lite->err; i++) {
        const struct lg_retained_group *sum = &w->holders->sums[i];
        lite_number(&table, i + 1);
        put_step(w, &table, &routes->all.at[i]);
        lite_known(&table, w->group_of[i] + UINT32_C(1));
        lite_number(&table, sum->count);
        lite_number(&table, sum->size);
        lite_number(&table, sum->retained);
        lite_end_row(&table);
    }
    lite_end(&table);
}
