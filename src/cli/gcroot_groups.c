// `gcroot -type`: all instances of some types, grouped by how they are held.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/gcroot.h"
#include "cli/retained.h"
#include "collect/routes.h"

static const struct lg_column hop_columns[] = {
    { "type", "", LG_CELL_TEXT },
    { "field", "", LG_CELL_TEXT },
    { "repeats", "", LG_CELL_BOOL },
    { "meaning", "", LG_CELL_TEXT },
};
static const struct lg_column group_columns[] = {
    { "count", "COUNT", LG_CELL_COUNT },       { "instances", "INSTANCES", LG_CELL_COUNT },
    { "size", "SIZE", LG_CELL_BYTES },         { "retained", "RETAINED", LG_CELL_BYTES },
    { "type", "TYPE", LG_CELL_TEXT },          { "root_kind", "ROOT_KIND", LG_CELL_TEXT },
    { "name", "NAME", LG_CELL_TEXT },          { "conservative", "CONSERVATIVE", LG_CELL_BOOL },
    { "example", "EXAMPLE", LG_CELL_ADDRESS }, { "holder", "HOLDER", LG_CELL_TEXT },
    { "routes", "ROUTES", LG_CELL_COUNT },     { "path", "PATH", LG_CELL_TABLE },
};
static const struct lg_table_spec hop_spec = LG_TABLE_SPEC("path", hop_columns, 0);
static const struct lg_table_spec group_spec =
    LG_TABLE_SPEC("groups", group_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

enum { MEANING_BYTES = 4096 };

struct group {
    uint32_t route;  // that of the example
    uint32_t routes; // how many, by fields
    lg_node example;
};

struct groups {
    const struct lg_groups_query *query;
    struct lg_report *report;
    struct lg_clr *clr;
    const struct lg_reach *reach;
    const struct lg_roots *roots;
    const struct lg_retention *retention;
    struct lg_routes *routes;
    struct lg_meanings meanings;
    uint8_t *wanted;   // by lg_type.id: 1 is, 0 is not
    uint64_t *of_type; // by lg_type.id: instances
    uint32_t type_count;
    uint32_t *key; // by node: its route, then its group; UINT32_MAX: not wanted, or dead
    LG_VEC(struct group) all;
    struct lg_retained_group *sums; // by group
    uint64_t instances, reachable, unreachable_size;
    struct lg_error *err;
};
static void groups_deinit(struct groups *groups)
{
    lg_routes_free(groups->routes);
    lg_meanings_deinit(&groups->meanings);
    free(groups->wanted);
    free(groups->of_type);
    free(groups->key);
    free(groups->sums);
    lg_vec_free(&groups->all);
    lg_error_free(groups->err);
}

// ---- instances ----

static bool see_object(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct groups *groups = self;
    (void)segment;
    if (object->type->id >= groups->type_count || !groups->wanted[object->type->id])
        return true;
    groups->instances++;
    groups->of_type[object->type->id]++;
    lg_node node = lg_index_node(groups->reach->graph->index, object->address);
    if (node == LG_NO_NODE || lg_reach_life(groups->reach, node) == LG_DEAD) {
        groups->unreachable_size += object->size;
        return true;
    }
    groups->reachable++;
    groups->err = lg_routes_find(groups->routes, node, &groups->key[node]);
    return !groups->err;
}

static struct lg_error *choose_types(struct groups *groups)
{
    const struct lg_groups_query *query = groups->query;
    groups->type_count = lg_clr_type_count(groups->clr);
    groups->wanted = calloc(groups->type_count + 1u, 1);
    groups->of_type = calloc(groups->type_count + 1u, sizeof(*groups->of_type));
    if (!groups->wanted || !groups->of_type)
        return &lg_no_memory;
    for (uint32_t i = 0; i < groups->type_count; i++) {
        const struct lg_type *type = lg_clr_type_at(groups->clr, i);
        groups->wanted[i] = query->mt
                                ? type->mt == query->mt
                                : strstr(lg_clr_type_name(groups->clr, type), query->contains) != NULL;
    }
    return NULL;
}

static struct lg_error *find_instances(struct groups *groups, struct lg_heap *heap)
{
    const struct lg_walk_filter everything = { 0 };
    struct lg_walk_result result;
    uint32_t count = groups->retention->node_count;
    groups->key = malloc(((size_t)count + 1) * sizeof(*groups->key));
    if (!groups->key)
        return &lg_no_memory;
    memset(groups->key, 0xff, ((size_t)count + 1) * sizeof(*groups->key));
    struct lg_error *err = choose_types(groups);
    if (!err)
        err = lg_routes_new(groups->reach, groups->roots, &groups->routes);
    lg_meanings_init(&groups->meanings, groups->reach->graph);
    if (!err)
        groups->routes->meanings = &groups->meanings;
    if (!err)
        err = lg_heap_walk(heap, &everything, see_object, groups, &result);
    if (!err && groups->err)
        return lg_steal(groups->err);
    return err;
}

// The group of a route: all routes with the same words, or of each its own.
static struct lg_error *group_of(struct groups *groups, struct lg_map *known, uint32_t route,
                                 uint32_t *ret)
{
    uint32_t line = route;
    struct lg_error *err =
        groups->query->by_fields ? NULL : lg_routes_line(groups->routes, route, &line);
    if (err)
        return err;
    uint64_t key = (uint64_t)line << 32 | groups->routes->all.at[route].type;
    if (lg_map_get(known, key, ret)) {
        groups->all.at[*ret].routes++;
        return NULL;
    }
    *ret = (uint32_t)groups->all.len;
    return lg_vec_push(&groups->all, (struct group){ .routes = 1 }) && lg_map_put(known, key, *ret)
               ? NULL
               : &lg_no_memory;
}

// From routes to groups.
static struct lg_error *form_groups(struct groups *groups)
{
    size_t count = groups->routes->all.len;
    _cleanup_free_ uint32_t *of_route = malloc((count + 1) * sizeof(*of_route));
    struct lg_map known = { 0 };
    struct lg_error *err = of_route ? NULL : &lg_no_memory;
    if (of_route)
        memset(of_route, 0xff, (count + 1) * sizeof(*of_route));
    for (lg_node node = groups->retention->node_count; node > 0 && !err; node--) { // The lowest is kept.
        uint32_t *key = &groups->key[node - 1], route = *key;
        if (route == UINT32_MAX)
            continue;
        if (of_route[route] == UINT32_MAX)
            err = group_of(groups, &known, route, &of_route[route]);
        if (err)
            break;
        *key = of_route[route];
        groups->all.at[*key].route = route;
        groups->all.at[*key].example = node - 1;
    }
    lg_map_free(&known);
    return err;
}

static struct lg_error *sum_up(struct groups *groups)
{
    struct lg_error *err = form_groups(groups);
    if (err)
        return err;
    groups->sums = calloc(groups->all.len + 1, sizeof(*groups->sums));
    if (!groups->sums)
        return &lg_no_memory;
    return lg_retention_group_nodes(groups->retention, groups->key, groups->sums,
                                    (uint32_t)groups->all.len);
}

// ---- one group ----

static const char *type_name(const struct groups *groups, uint32_t id)
{
    const struct lg_type *type = lg_clr_type_at(groups->clr, id);
    return type ? lg_clr_type_name(groups->clr, type) : "<unknown>";
}

static const struct lg_root *root_of(const struct groups *groups, const struct lg_route *first)
{
    return first->label == UINT32_MAX ? NULL : &groups->roots->all.at[first->label];
}

// "static App.Cache.s_orders", "stack, conservative, thread 1a2c"
static void describe_root(const struct lg_root *root, char *buf, size_t size)
{
    struct lg_owner owner = { .is_frozen = !root };
    char thread[32] = "";
    if (root) {
        bool is_named = root->kind == LG_ROOT_STATIC || root->kind == LG_ROOT_THREAD_STATIC;
        owner = (struct lg_owner){ .kind = root->kind,
                                   .name = is_named ? root->name : NULL,
                                   .thread = is_named ? root->thread : NULL };
        if (!is_named && root->thread)
            snprintf(thread, sizeof(thread), " of thread %" PRIx32, root->thread->os_id);
    }
    _cleanup_free_ char *label = lg_owner_label(&owner);
    snprintf(buf, size, "%s%s%s", label ? label : "", thread,
             root && root->conservative ? ", conservative" : "");
}

// Routes from the root's own object to the last.
static bool unwind(const struct groups *groups, uint32_t route, struct lg_top *ret)
{
    uint32_t length = 0;
    for (uint32_t r = route; r != LG_NO_ROUTE; r = groups->routes->all.at[r].before)
        length++;
    for (uint32_t r = route; r != LG_NO_ROUTE; r = groups->routes->all.at[r].before) {
        if (!lg_top_offer(ret, length--, r))
            return false;
    }
    lg_top_sort(ret);
    for (size_t i = 0, k = ret->kept.len; i + 1 < k; i++) { // The biggest first: turned round.
        struct lg_top_entry entry = ret->kept.at[i];
        ret->kept.at[i] = ret->kept.at[--k];
        ret->kept.at[k] = entry;
    }
    return true;
}

// What all objects of a step are, and which method delegates among them call on the next: "closure of
// App.Svc.Foo", "calls App.Basket.OnChanged".
static struct lg_error *find_meaning(struct groups *groups, const struct lg_type *type, uint32_t next,
                                     char *buf, size_t size)
{
    const struct lg_route *to = next == LG_NO_ROUTE ? NULL : &groups->routes->all.at[next];
    buf[0] = 0;
    if (to && to->calls)
        snprintf(buf, size, "calls %s", to->calls);
    else if (type && !lg_meaning_of_type(&groups->meanings, type, buf, size))
        return &lg_no_memory;
    return NULL;
}

// "Session [Last] (meaning)", "Dictionary<Int32, Order> values"
static void write_hop(const struct groups *groups, const struct lg_type *type, const char *label,
                      const char *meaning, bool repeats)
{
    lg_report_line(groups->report, "          -> %s%s%s%s%s%s",
                   type_name(groups, type ? type->id : UINT32_MAX), label, meaning[0] ? " (" : "",
                   meaning, meaning[0] ? ")" : "",
                   repeats ? " (and more of them, one behind the other)" : "");
}

static struct lg_error *add_hops(struct groups *groups, const struct lg_top *way, struct lg_table *table)
{
    const struct lg_routes *routes = groups->routes;
    struct lg_table *hops = lg_cell_table(table, &hop_spec);
    for (size_t i = 0; i < way->kept.len; i++) {
        const struct lg_route *step = &routes->all.at[way->kept.at[i].value];
        uint32_t next = i + 1 < way->kept.len ? way->kept.at[i + 1].value : LG_NO_ROUTE;
        uint32_t id = next == LG_NO_ROUTE ? UINT32_MAX : routes->all.at[next].label;
        const char *label = id < routes->labels.all.len ? routes->labels.all.at[id] : NULL;
        const struct lg_type *type = lg_clr_type_at(groups->clr, step->type);
        char meaning[MEANING_BYTES], field[MEANING_BYTES] = "";
        struct lg_error *err = find_meaning(groups, type, next, meaning, sizeof(meaning));
        if (err)
            return err;
        if (label)
            snprintf(field, sizeof(field), " [%s]", label);
        if (groups->query->by_fields)
            write_hop(groups, type, field, meaning, step->repeats);
        lg_cell_text(hops, type_name(groups, step->type));
        lg_cell_text(hops, label);
        lg_cell_bool(hops, step->repeats);
        lg_cell_text(hops, meaning[0] ? meaning : NULL);
    }
    return NULL;
}

// Well-known collections as one step.
static struct lg_error *write_steps(struct groups *groups, const struct lg_line *line, uint32_t route)
{
    char meaning[MEANING_BYTES], field[MEANING_BYTES];
    struct lg_error *err = NULL;
    for (size_t i = 0; i < line->steps.len && !err; i++) {
        const struct lg_line_step *step = &line->steps.at[i];
        if (step->way)
            snprintf(field, sizeof(field), " %s%s", step->way->says, step->rest);
        else
            snprintf(field, sizeof(field), " [%s]", step->label);
        err = find_meaning(groups, step->type, step->route, meaning, sizeof(meaning));
        if (!err)
            write_hop(groups, step->type, field, meaning, step->repeats);
    }
    const struct lg_route *last = &groups->routes->all.at[route];
    const struct lg_type *type = lg_clr_type_at(groups->clr, last->type);
    if (!err)
        err = find_meaning(groups, type, LG_NO_ROUTE, meaning, sizeof(meaning));
    if (!err)
        write_hop(groups, type, "", meaning, last->repeats);
    return err;
}

static struct lg_error *report_steps(struct groups *groups, uint32_t route)
{
    _cleanup_(lg_line_deinit) struct lg_line line = { 0 };
    struct lg_error *err = lg_routes_steps(groups->routes, route, &line);
    return err ? err : write_steps(groups, &line, route);
}

static void add_sums(const struct groups *groups, struct lg_table *table, const struct group *group,
                     const struct lg_retained_group *sum)
{
    char text[4][LG_COMMAS_SIZE];
    const struct lg_route *last = &groups->routes->all.at[group->route];
    uint64_t of_type = last->type < groups->type_count ? groups->of_type[last->type] : sum->count;
    lg_report_line(groups->report, "%s of %s %s: %s bytes, retaining %s", lg_commas(text[0], sum->count),
                   lg_commas(text[1], of_type), type_name(groups, last->type),
                   lg_commas(text[2], sum->size), lg_commas(text[3], sum->retained));
    lg_cell_number(table, sum->count);
    lg_cell_number(table, of_type);
    lg_cell_number(table, sum->size);
    lg_cell_number(table, sum->retained);
    lg_cell_text(table, type_name(groups, last->type));
}

static void add_root(const struct groups *groups, struct lg_table *table, const struct lg_root *root)
{
    char held[1024];
    describe_root(root, held, sizeof(held));
    lg_report_line(groups->report, "    %s", held);
    lg_cell_name(table, root ? lg_root_kind_name(root->kind) : "frozen");
    lg_cell_text(table, root && root->kind <= LG_ROOT_THREAD_STATIC ? root->name : NULL);
    lg_cell_bool(table, root && root->conservative);
}

static struct lg_error *report_group(struct groups *groups, struct lg_table *table, uint32_t id)
{
    _cleanup_(lg_top_deinit) struct lg_top way = { 0 };
    const struct group *group = &groups->all.at[id];
    uint32_t line;
    struct lg_error *err = lg_routes_line(groups->routes, group->route, &line);
    if (!err && !unwind(groups, group->route, &way))
        err = &lg_no_memory;
    if (err)
        return err;
    uint64_t example = lg_index_address(groups->reach->graph->index, group->example);
    add_sums(groups, table, group, &groups->sums[id]);
    add_root(groups, table, root_of(groups, &groups->routes->all.at[way.kept.at[0].value]));
    lg_cell_number(table, example);
    lg_cell_text(table, groups->routes->lines.all.at[line]);
    lg_cell_number(table, group->routes);
    err = add_hops(groups, &way, table);
    if (!err && !groups->query->by_fields)
        err = report_steps(groups, group->route);
    lg_report_line(groups->report, "             for example %012" PRIx64, example);
    lg_report_line(groups->report, "%s", "");
    return err;
}

static struct lg_error *report_groups(struct groups *groups)
{
    _cleanup_(lg_top_deinit) struct lg_top top = { .limit = groups->query->limit };
    for (size_t i = 0; i < groups->all.len; i++) {
        if (groups->sums[i].count && !lg_top_offer(&top, groups->sums[i].count, (uint32_t)i))
            return &lg_no_memory;
    }
    lg_top_sort(&top);
    struct lg_table *table = lg_report_table(groups->report, &group_spec);
    for (size_t i = 0; i < top.kept.len; i++) {
        struct lg_error *err = report_group(groups, table, top.kept.at[i].value);
        if (err)
            return err;
    }
    lg_report_truncated(groups->report, "groups", top.offered - top.kept.len);
    return NULL;
}

static void report_total(const struct groups *groups)
{
    struct lg_report *report = groups->report;
    char text[4][LG_COMMAS_SIZE];
    uint64_t dead = groups->instances - groups->reachable;
    lg_report_line(report, "%s instances, of which %s are reachable; no root reaches %s (%s bytes).",
                   lg_commas(text[0], groups->instances), lg_commas(text[1], groups->reachable),
                   lg_commas(text[2], dead), lg_commas(text[3], groups->unreachable_size));
    lg_report_fact_text(report, "type", groups->query->contains);
    lg_report_fact_number(report, "instances", groups->instances);
    lg_report_fact_number(report, "reachable", groups->reachable);
    lg_report_fact_number(report, "unreachable", dead);
    lg_session_report_walk(report, &groups->reach->graph->walk);
    for (size_t i = 0; i < groups->roots->incomplete.len; i++)
        lg_report_incomplete(report, "%s", groups->roots->incomplete.at[i]);
}

struct lg_error *lg_gcroot_groups(struct lg_session *session, const struct lg_groups_query *query,
                                  struct lg_report *report)
{
    _cleanup_(groups_deinit) struct groups groups = { .query = query, .report = report };
    struct lg_error *err = lg_session_retention(session, &groups.retention);
    if (!err)
        err = lg_session_reach(session, &groups.reach);
    if (!err)
        err = lg_session_roots(session, &groups.roots);
    if (err)
        return err;
    groups.clr = lg_session_clr(session);
    err = find_instances(&groups, lg_session_heap(session));
    if (!err && groups.instances == 0)
        err = query->mt
                  ? lg_error_new(LG_ERR_NOT_FOUND, "there is no object of method table 0x%" PRIx64,
                                 query->mt)
                  : lg_error_new(LG_ERR_NOT_FOUND,
                                 "there is no object of a type whose name contains '%s' (case matters)",
                                 query->contains);
    if (!err)
        err = sum_up(&groups);
    if (!err)
        err = report_groups(&groups);
    if (!err)
        report_total(&groups);
    return err;
}
