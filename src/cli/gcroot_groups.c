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
};
static const struct lg_column group_columns[] = {
    { "count", "COUNT", LG_CELL_COUNT },       { "instances", "INSTANCES", LG_CELL_COUNT },
    { "size", "SIZE", LG_CELL_BYTES },         { "retained", "RETAINED", LG_CELL_BYTES },
    { "type", "TYPE", LG_CELL_TEXT },          { "root_kind", "ROOT_KIND", LG_CELL_TEXT },
    { "name", "NAME", LG_CELL_TEXT },          { "conservative", "CONSERVATIVE", LG_CELL_BOOL },
    { "example", "EXAMPLE", LG_CELL_ADDRESS }, { "path", "PATH", LG_CELL_TABLE },
};
static const struct lg_table_spec hop_spec = LG_TABLE_SPEC("path", hop_columns, 0);
static const struct lg_table_spec group_spec =
    LG_TABLE_SPEC("groups", group_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

struct groups {
    const struct lg_groups_query *query;
    struct lg_report *report;
    struct lg_clr *clr;
    const struct lg_reach *reach;
    const struct lg_roots *roots;
    const struct lg_retention *retention;
    struct lg_routes *routes;
    uint8_t *wanted;   // by lg_type.id: 1 is, 0 is not
    uint64_t *of_type; // by lg_type.id: instances
    uint32_t type_count;
    uint32_t *key;                  // by node: its route; UINT32_MAX: not wanted, or dead
    struct lg_retained_group *sums; // by route
    lg_node *example;               // by route
    uint64_t instances, reachable, unreachable_size;
    struct lg_error *err;
};
static void groups_deinit(struct groups *groups)
{
    lg_routes_free(groups->routes);
    free(groups->wanted);
    free(groups->of_type);
    free(groups->key);
    free(groups->sums);
    free(groups->example);
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
    if (!err)
        err = lg_heap_walk(heap, &everything, see_object, groups, &result);
    if (!err && groups->err)
        return lg_steal(groups->err);
    return err;
}

static struct lg_error *sum_up(struct groups *groups)
{
    size_t count = groups->routes->all.len;
    groups->sums = calloc(count + 1, sizeof(*groups->sums));
    groups->example = calloc(count + 1, sizeof(*groups->example));
    if (!groups->sums || !groups->example)
        return &lg_no_memory;
    for (lg_node node = groups->retention->node_count; node > 0; node--) { // The lowest is kept.
        if (groups->key[node - 1] != UINT32_MAX)
            groups->example[groups->key[node - 1]] = node - 1;
    }
    return lg_retention_group_nodes(groups->retention, groups->key, groups->sums, (uint32_t)count);
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

static void add_hops(const struct groups *groups, const struct lg_top *way, struct lg_table *table)
{
    const struct lg_routes *routes = groups->routes;
    struct lg_table *hops = lg_cell_table(table, &hop_spec);
    for (size_t i = 0; i < way->kept.len; i++) {
        const struct lg_route *step = &routes->all.at[way->kept.at[i].value];
        const struct lg_route *next =
            i + 1 < way->kept.len ? &routes->all.at[way->kept.at[i + 1].value] : NULL;
        const char *label =
            next && next->label < routes->labels.len ? routes->labels.at[next->label] : NULL;
        lg_report_line(groups->report, "          -> %s%s%s%s%s", type_name(groups, step->type),
                       label ? " [" : "", label ? label : "", label ? "]" : "",
                       step->repeats ? " (and more of them, one behind the other)" : "");
        lg_cell_text(hops, type_name(groups, step->type));
        lg_cell_text(hops, label);
        lg_cell_bool(hops, step->repeats);
    }
}

static struct lg_error *report_group(const struct groups *groups, struct lg_table *table, uint32_t route)
{
    _cleanup_(lg_top_deinit) struct lg_top way = { 0 };
    if (!unwind(groups, route, &way))
        return &lg_no_memory;
    const struct lg_route *last = &groups->routes->all.at[route];
    const struct lg_root *root = root_of(groups, &groups->routes->all.at[way.kept.at[0].value]);
    const struct lg_retained_group *sum = &groups->sums[route];
    uint64_t example = lg_index_address(groups->reach->graph->index, groups->example[route]);
    char text[4][LG_COMMAS_SIZE], held[1024];
    describe_root(root, held, sizeof(held));
    uint64_t of_type = last->type < groups->type_count ? groups->of_type[last->type] : sum->count;
    lg_report_line(groups->report, "%s of %s %s: %s bytes, retaining %s", lg_commas(text[0], sum->count),
                   lg_commas(text[1], of_type), type_name(groups, last->type),
                   lg_commas(text[2], sum->size), lg_commas(text[3], sum->retained));
    lg_report_line(groups->report, "    %s", held);
    lg_cell_number(table, sum->count);
    lg_cell_number(table, of_type);
    lg_cell_number(table, sum->size);
    lg_cell_number(table, sum->retained);
    lg_cell_text(table, type_name(groups, last->type));
    lg_cell_name(table, root ? lg_root_kind_name(root->kind) : "frozen");
    lg_cell_text(table, root && root->kind <= LG_ROOT_THREAD_STATIC ? root->name : NULL);
    lg_cell_bool(table, root && root->conservative);
    lg_cell_number(table, example);
    add_hops(groups, &way, table);
    lg_report_line(groups->report, "             for example %012" PRIx64, example);
    lg_report_line(groups->report, "%s", "");
    return NULL;
}

static struct lg_error *report_groups(struct groups *groups)
{
    _cleanup_(lg_top_deinit) struct lg_top top = { .limit = groups->query->limit };
    for (size_t i = 0; i < groups->routes->all.len; i++) {
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
