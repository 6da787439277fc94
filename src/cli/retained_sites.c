// `retained -by site`: what the sampled objects of a site keep alive together. How many objects there
// are for each that was sampled is an estimate, and what they retain is not known of the others.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/alloc.h"
#include "cli/allocated.h"
#include "cli/retained.h"

static const struct lg_column columns[] = {
    { "retained", "Retained", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "sampled", "Sampled", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "count", "Est. Count", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "count_low", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "count_high", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "bytes", "Est. Bytes", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "bytes_low", "", LG_CELL_BYTES, 0, LG_COL_JSON_ONLY },
    { "bytes_high", "", LG_CELL_BYTES, 0, LG_COL_JSON_ONLY },
    { "type", "", LG_CELL_TEXT, -1, LG_COL_JSON_ONLY },
    { "stack", "", LG_CELL_TABLE, 0, LG_COL_JSON_ONLY },
    { "text", "Allocated at", LG_CELL_TEXT, -1, LG_COL_TEXT_ONLY },
};
static const struct lg_table_spec spec = LG_TABLE_SPEC("sites", columns, LG_TABLE_MAIN | LG_TABLE_WIDE);

// Objects of one type that were made in one place: by the frames up to the first that is not of the
// class library.
struct group {
    const char *type;
    uint32_t site; // one of those that have it
    uint64_t sampled;
    double count, bytes, count_var, bytes_var; // estimated
};
struct grouping {
    const struct lg_retained *retained;
    const struct lg_made *made;
    struct lg_map by_key; // hash -> group
    LG_VEC(struct group) groups;
    uint32_t *group_of; // [nodes]
    struct lg_retained_group *sums;
    uint64_t sampled;
};

static bool same_place(const struct lg_made *made, uint32_t a, uint32_t b)
{
    const struct lg_made_site *x = &made->sites.at[a], *y = &made->sites.at[b];
    return x->own == y->own
           && (x->own == 0
               || memcmp(&made->stacks.at[x->stack], &made->stacks.at[y->stack],
                         x->own * sizeof(*made->stacks.at))
                      == 0);
}

static bool find_group(struct grouping *g, const char *type, uint32_t site, uint32_t *ret)
{
    const struct lg_made_site *made = &g->made->sites.at[site];
    uint64_t hash = lg_hash64(made->own);
    for (const char *c = type; *c; c++)
        hash = lg_hash64(hash ^ (uint8_t)*c);
    for (uint32_t i = 0; i < made->own; i++)
        hash = lg_hash64(hash ^ g->made->stacks.at[made->stack + i]);
    for (; lg_map_get(&g->by_key, hash, ret); hash++) {
        if (strcmp(g->groups.at[*ret].type, type) == 0
            && same_place(g->made, g->groups.at[*ret].site, site))
            return true;
    }
    const struct group group = { .type = type, .site = site };
    *ret = (uint32_t)g->groups.len;
    return lg_vec_push(&g->groups, group) && lg_map_put(&g->by_key, hash, *ret);
}

static bool add_object(struct grouping *g, const struct lg_made_object *made)
{
    const struct lg_retention *retention = g->retained->retention;
    struct lg_object object;
    lg_node node = lg_index_node(retention->graph->index, made->address);
    uint32_t at;
    if (node == LG_NO_NODE || retention->number[node] == 0
        || !lg_heap_object_at(g->retained->heap, made->address, &object))
        return true;
    if (!find_group(g, lg_clr_type_name(g->retained->clr, object.type), made->site, &at))
        return false;
    struct group *group = &g->groups.at[at];
    double share = made->share, bytes = (double)object.size;
    g->group_of[node] = at;
    g->sampled++;
    group->sampled++;
    group->count += 1 / share;
    group->bytes += bytes / share;
    group->count_var += (1 - share) / (share * share);
    group->bytes_var += bytes * bytes * (1 - share) / (share * share);
    return true;
}

static void cell_estimate(struct lg_table *table, double estimate, double variance)
{
    double low, high;
    lg_alloc_interval(estimate, variance, &low, &high);
    lg_cell_number(table, (uint64_t)(estimate + 0.5));
    lg_cell_number(table, (uint64_t)low);
    lg_cell_number(table, (uint64_t)(high + 0.5));
}

// "Order at Shop.Submit (Shop.cs:17)"
static const char *place(const struct grouping *g, const struct group *group, char *buf, size_t size)
{
    const struct lg_made_site *site = &g->made->sites.at[group->site];
    const struct lg_made_frame *frame =
        site->own ? &g->made->frames.at[g->made->stacks.at[site->stack + site->own - 1]] : NULL;
    char where[512] = "";
    if (frame && frame->file)
        snprintf(where, sizeof(where), " (%s:%u)", lg_source_file_name(frame->file), frame->line);
    snprintf(buf, size, "%s at %s%s", group->type,
             !frame          ? "(no managed code)"
             : frame->method ? frame->method
                             : "(unknown code)",
             where);
    return buf;
}

static void add_row(const struct grouping *g, struct lg_table *table, uint32_t at)
{
    const struct group *group = &g->groups.at[at];
    const struct lg_made_site *site = &g->made->sites.at[group->site];
    char text[2048];
    lg_cell_number(table, g->sums[at].retained);
    lg_cell_number(table, group->sampled);
    cell_estimate(table, group->count, group->count_var);
    cell_estimate(table, group->bytes, group->bytes_var);
    lg_cell_text(table, group->type);
    struct lg_table *stack = lg_cell_table(table, &lg_made_frames);
    for (uint32_t i = 0; i < site->own; i++)
        lg_made_cells(stack, &g->made->frames.at[g->made->stacks.at[site->stack + i]]);
    lg_cell_text(table, place(g, group, text, sizeof(text)));
}

static struct lg_error *add_rows(const struct grouping *g)
{
    const struct lg_retained_query *query = g->retained->query;
    _cleanup_(lg_top_deinit) struct lg_top top = { .limit = query->top };
    char text[2048];
    for (uint32_t i = 0; i < g->groups.len; i++) {
        const char *label = place(g, &g->groups.at[i], text, sizeof(text));
        if (g->sums[i].retained >= query->min && (!query->contains || strstr(label, query->contains))
            && !lg_top_offer(&top, g->sums[i].retained, i))
            return &lg_no_memory;
    }
    lg_top_sort(&top);
    struct lg_table *table = lg_report_table(g->retained->report, &spec);
    for (size_t i = 0; i < top.kept.len; i++)
        add_row(g, table, top.kept.at[i].value);
    lg_report_truncated(g->retained->report, "sites", top.offered - top.kept.len);
    return NULL;
}

static struct lg_error *group_all(struct grouping *g)
{
    const struct lg_retention *retention = g->retained->retention;
    bool ok = true;
    g->group_of = malloc((retention->node_count + (size_t)1) * sizeof(*g->group_of));
    if (!g->group_of)
        return &lg_no_memory;
    memset(g->group_of, 0xff, retention->node_count * sizeof(*g->group_of));
    for (size_t i = 0; i < g->made->objects.len && ok; i++)
        ok = add_object(g, &g->made->objects.at[i]);
    g->sums = calloc(g->groups.len + 1, sizeof(*g->sums));
    if (!ok || !g->sums)
        return &lg_no_memory;
    return lg_retention_group_nodes(retention, g->group_of, g->sums, (uint32_t)g->groups.len);
}

struct lg_error *lg_retained_sites(const struct lg_retained *retained)
{
    struct grouping g = { .retained = retained };
    char sampled[LG_COMMAS_SIZE], live[LG_COMMAS_SIZE];
    struct lg_error *err = lg_session_made(retained->session, &g.made);
    if (!err && !g.made)
        err = lg_error_new(LG_ERR_UNSUPPORTED, "where objects were made is not known: 'alloc PID -o "
                                               "x.snap' follows a process, and writes a snapshot that "
                                               "tells");
    if (!err)
        err = group_all(&g);
    if (!err)
        err = add_rows(&g);
    if (!err) {
        lg_report_fact_number(retained->report, "sampled_count", g.sampled);
        lg_report_line(retained->report,
                       "%s of %s live objects were sampled: Retained is what these keep alive together, "
                       "counts and bytes are estimates.",
                       lg_commas(sampled, g.sampled), lg_commas(live, retained->retention->live_count));
    }
    lg_map_free(&g.by_key);
    lg_vec_free(&g.groups);
    free(g.group_of);
    free(g.sums);
    return err;
}
