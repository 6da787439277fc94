// Handles that were seen to be made and not to go, against the handle table of the frozen process: what
// is in both, by the place that made it.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/alloc.h"

static const struct lg_column site_columns[] = {
    { "kind", "", LG_CELL_TEXT },   { "type", "", LG_CELL_TEXT },   { "count", "", LG_CELL_COUNT },
    { "size", "", LG_CELL_BYTES },  { "keeper", "", LG_CELL_TEXT }, { "holder", "", LG_CELL_TEXT },
    { "stack", "", LG_CELL_TABLE },
};
static const struct lg_table_spec site_spec =
    LG_TABLE_SPEC("sites", site_columns, LG_TABLE_MAIN | LG_TABLE_HIDDEN);
static const struct lg_column handle_columns[] = {
    { "handle", "", LG_CELL_ADDRESS },
    { "object", "", LG_CELL_ADDRESS },
    { "site", "", LG_CELL_COUNT },
};
static const struct lg_table_spec handle_spec =
    LG_TABLE_SPEC("handles", handle_columns, LG_TABLE_HIDDEN);

struct row {
    uint64_t handle, object;
    uint32_t site;
};
struct about {
    enum lg_handle_kind kind;
    const char *keeper; // type of the object that has its number; NULL: none is known
    uint32_t line;      // what leads to that: of lg_routes.lines; UINT32_MAX: not known
};
struct join {
    struct lg_alloc_run *run;
    struct lg_heap *heap;
    struct lg_clr *clr;
    const struct lg_index *index;
    int kind; // Only these; -1: all.
    struct lg_alloc_sites sites;
    LG_VEC(struct about) about; // by site
    LG_VEC(struct row) rows;
    const struct lg_handle *handles;
    size_t count;
    lg_node *keepers; // by handle
    struct lg_map by_key;
    struct lg_map stacks;            // origin -> the site whose stack is its
    LG_VEC(struct lg_alloc_site) of; // by number in `stacks`
    uint64_t bare;                   // without a stack
    uint64_t gone;                   // seen to be made and not to go, and not in the table
};

static void join_deinit(struct join *join)
{
    lg_alloc_sites_deinit(&join->sites);
    lg_vec_free(&join->about);
    free(join->keepers);
    lg_vec_free(&join->rows);
    lg_map_free(&join->by_key);
    lg_map_free(&join->stacks);
    lg_vec_free(&join->of);
}

// The stack of an origin in names. Its site is as much of it as leads to the first method that is not of
// the class library: `own`.
static struct lg_error *read_stack(struct join *join, uint32_t i, struct lg_alloc_site *ret)
{
    const struct lg_alloc_origin *origin = &join->run->samples.origins.at[i];
    struct lg_alloc_sites *sites = &join->sites;
    uint32_t known;
    if (lg_map_get(&join->stacks, i, &known)) {
        *ret = join->of.at[known];
        return NULL;
    }
    *ret = (struct lg_alloc_site){ .stack = (uint32_t)sites->stacks.len,
                                   .stack_count = origin->stack_count };
    for (uint32_t n = 0; n < origin->stack_count; n++) {
        uint32_t name = lg_alloc_name(&sites->names, origin, n);
        if (name == UINT32_MAX || !lg_vec_push(&sites->stacks, name))
            return &lg_no_memory;
        const struct lg_alloc_frame *frame = &sites->names.frames.at[name];
        sites->frames++;
        sites->unresolved += !frame->method;
        if (!ret->own && !frame->is_system)
            ret->own = n + 1;
    }
    ret->own = ret->own ? ret->own : ret->stack_count;
    bool kept = lg_map_put(&join->stacks, i, (uint32_t)join->of.len) && lg_vec_push(&join->of, *ret);
    return kept ? NULL : &lg_no_memory;
}

static bool same_site(const struct join *join, uint32_t i, const struct lg_alloc_site *site,
                      const struct about *about)
{
    const struct lg_alloc_site *have = &join->sites.all.at[i];
    const struct about *other = &join->about.at[i];
    const uint32_t *all = join->sites.stacks.at;
    return other->kind == about->kind && other->keeper == about->keeper && other->line == about->line
           && have->type == site->type && have->own == site->own
           && memcmp(all + have->stack, all + site->stack, site->own * sizeof(*all)) == 0;
}

static struct lg_error *find_site(struct join *join, const struct lg_alloc_site *site,
                                  const struct about *about, uint32_t *ret)
{
    uint64_t key = lg_hash64((uint64_t)(uintptr_t)site->type + (uint64_t)about->kind);
    key = lg_hash64(key ^ (uint64_t)(uintptr_t)about->keeper ^ about->line);
    for (uint64_t n = 0; n < site->own; n++)
        key = lg_hash64(key ^ join->sites.stacks.at[site->stack + n]);
    for (; lg_map_get(&join->by_key, key, ret); key++) {
        if (!same_site(join, *ret, site, about))
            continue;
        struct lg_alloc_site *have = &join->sites.all.at[*ret];
        uint32_t n = 0,
                 most = have->stack_count < site->stack_count ? have->stack_count : site->stack_count;
        while (n < most
               && join->sites.stacks.at[have->stack + n] == join->sites.stacks.at[site->stack + n])
            n++;
        have->stack_count = n; // What all its stacks begin with.
        return NULL;
    }
    *ret = (uint32_t)join->sites.all.len;
    bool kept = lg_vec_push(&join->sites.all, *site) && lg_vec_push(&join->about, *about)
                && lg_map_put(&join->by_key, key, *ret);
    return kept ? NULL : &lg_no_memory;
}

// Its place in the table; the number of them if it is not there.
static size_t find_handle(const struct join *join, uint64_t address)
{
    size_t low = 0, high = join->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (join->handles[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < join->count && join->handles[low].address == address ? low : join->count;
}

static struct lg_error *find_keeper(struct join *join, lg_node node, struct about *ret)
{
    struct lg_object object;
    uint32_t route;
    ret->line = UINT32_MAX;
    if (node == LG_NO_NODE)
        return NULL;
    uint64_t address = lg_index_address(join->index, node);
    if (lg_heap_object_at(join->heap, address, &object))
        ret->keeper = lg_clr_type_name(join->clr, object.type);
    struct lg_error *err = lg_routes_find(join->sites.routes, node, &route);
    if (!err && route != LG_NO_ROUTE)
        err = lg_routes_line(join->sites.routes, route, &ret->line);
    return err;
}

static struct lg_error *add(struct join *join, const struct lg_handle_seen *seen, size_t i)
{
    const struct lg_handle *handle = &join->handles[i];
    struct lg_object object = { 0 };
    struct lg_alloc_site site;
    struct about about = { .kind = handle->kind };
    struct row row = { .handle = handle->address, .object = handle->object };
    bool is_object = lg_heap_object_at(join->heap, handle->object, &object);
    struct lg_error *err = read_stack(join, seen->origin, &site);
    if (!err)
        err = find_keeper(join, join->keepers[i], &about);
    if (err)
        return err;
    site.type = is_object ? lg_clr_type_name(join->clr, object.type) : NULL;
    err = find_site(join, &site, &about, &row.site);
    if (err)
        return err;
    join->bare += site.stack_count == 0;
    join->sites.all.at[row.site].survivors++;
    join->sites.all.at[row.site].bytes += is_object ? (double)object.size : 0;
    return lg_vec_push(&join->rows, row) ? NULL : &lg_no_memory;
}

static struct lg_error *add_all(struct join *join)
{
    const struct lg_handles_seen *seen = join->run->handles;
    struct lg_error *err = NULL;
    for (size_t i = 0; i < seen->all.len && !err; i++) {
        const struct lg_handle_seen *made = &seen->all.at[i];
        if (made->state != LG_HANDLE_MADE || made->time >= seen->window_start
            || (join->kind >= 0 && (int)made->kind != join->kind))
            continue;
        size_t at = find_handle(join, made->address);
        if (at < join->count && join->handles[at].kind == (enum lg_handle_kind)made->kind)
            err = add(join, made, at);
        else
            join->gone++;
    }
    return err;
}

static struct lg_error *join_all(struct lg_session *session, struct join *join)
{
    const struct lg_reach *reach;
    const struct lg_roots *roots;
    const struct lg_retention *retention;
    struct lg_error *err = lg_session_retention(session, &retention);
    if (err)
        return err;
    join->index = retention->graph->index;
    join->heap = lg_session_heap(session);
    join->clr = join->sites.names.clr = lg_session_clr(session);
    err = lg_clr_handles(join->clr, &join->handles, &join->count);
    if (!err && !(join->keepers = calloc(join->count + 1, sizeof(*join->keepers))))
        err = &lg_no_memory;
    if (!err)
        err = lg_handles_keepers(session, join->handles, join->count, join->keepers);
    if (!err)
        err = lg_session_reach(session, &reach);
    if (!err)
        err = lg_session_roots(session, &roots);
    if (!err)
        err = lg_routes_new(reach, roots, &join->sites.routes);
    return err ? err : add_all(join);
}

// ---- report ----

static void add_site(struct lg_report *report, const struct join *join, uint32_t i,
                     struct lg_table *table)
{
    char count[LG_COMMAS_SIZE], bytes[LG_COMMAS_SIZE];
    const struct lg_alloc_site *site = &join->sites.all.at[i];
    const struct about *about = &join->about.at[i];
    const char *kind = lg_handle_kind_name(about->kind);
    const char *holder =
        about->line != UINT32_MAX ? join->sites.routes->lines.all.at[about->line] : NULL;
    lg_report_line(report, "%s %s handle%s to %s, %s bytes", lg_commas(count, site->survivors), kind,
                   site->survivors == 1 ? "" : "s", site->type ? site->type : "(no object)",
                   lg_commas(bytes, (uint64_t)site->bytes));
    if (about->keeper)
        lg_report_line(report, "    kept in %s%s%s", about->keeper, holder ? " of " : "",
                       holder ? holder : "");
    if (site->stack_count)
        lg_alloc_add_frames(report, &join->sites, site);
    lg_report_line(report, "%s", "");
    lg_cell_name(table, kind);
    lg_cell_text(table, site->type);
    lg_cell_number(table, site->survivors);
    lg_cell_number(table, (uint64_t)site->bytes);
    lg_cell_text(table, about->keeper);
    lg_cell_text(table, holder);
    lg_alloc_cell_frames(table, &join->sites, site);
}

// The most handles first.
static struct lg_error *add_sites(struct lg_report *report, const struct join *join, uint64_t wanted)
{
    size_t count = join->sites.all.len, shown = wanted && wanted < count ? wanted : count;
    struct lg_top top = { 0 };
    _cleanup_free_ uint32_t *place = calloc(count + 1, sizeof(*place));
    struct lg_error *err = place ? NULL : &lg_no_memory;
    for (size_t i = 0; i < count && !err; i++) {
        if (!lg_top_offer(&top, join->sites.all.at[i].survivors, (uint32_t)i))
            err = &lg_no_memory;
    }
    lg_top_sort(&top);
    struct lg_table *table = lg_report_table(report, &site_spec);
    for (size_t i = 0; i < top.kept.len && !err; i++) {
        place[top.kept.at[i].value] = (uint32_t)i;
        if (i < shown)
            add_site(report, join, top.kept.at[i].value, table);
    }
    lg_report_truncated(report, "sites", count - shown);
    table = lg_report_table(report, &handle_spec);
    for (size_t i = 0; i < join->rows.len && !err; i++) {
        const struct row *row = &join->rows.at[i];
        if (place[row->site] >= shown)
            continue;
        lg_cell_number(table, row->handle);
        lg_cell_number(table, row->object);
        lg_cell_number(table, place[row->site]);
    }
    lg_top_deinit(&top);
    return err;
}

static void add_facts(struct lg_report *report, const struct join *join)
{
    const struct lg_handles_seen *seen = join->run->handles;
    const struct lg_nettrace_facts *facts = lg_nettrace_facts(join->run->trace);
    lg_report_fact_text(report, "ended_by", join->run->ended_by);
    lg_report_fact_real(report, "seconds", join->run->seconds);
    lg_report_fact_number(report, "made", seen->made);
    lg_report_fact_number(report, "freed", seen->freed);
    lg_report_fact_number(report, "assigned", seen->assigned);
    lg_report_fact_number(report, "left", join->rows.len);
    lg_report_fact_number(report, "without_stack", join->bare);
    lg_report_fact_number(report, "gone", join->gone);
    lg_report_fact_number(report, "events", facts->events);
    lg_report_fact_number(report, "event_bytes", facts->bytes);
    lg_report_fact_number(report, "lost_events", facts->lost);
    lg_report_fact_number(report, "dropped_lost", seen->dropped_lost);
    lg_report_fact_number(report, "dropped_origins", seen->dropped_origins);
    lg_report_fact_number(report, "frames", join->sites.frames);
    lg_report_fact_number(report, "unknown_frames", join->sites.unresolved);
}

static void add_notes(struct lg_report *report, const struct join *join)
{
    const struct lg_handles_seen *seen = join->run->handles;
    if (join->run->why_not)
        lg_report_incomplete(report, "which handles are left is unknown: %s", join->run->why_not);
    if (seen->lost_events)
        lg_report_incomplete(report,
                             "%" PRIu64 " events were lost: %" PRIu64
                             " handles are not told, as others may have taken their places unseen",
                             seen->lost_events, seen->dropped_lost);
    if (join->bare)
        lg_report_incomplete(report,
                             "where %" PRIu64
                             " handles were made is unknown: the runtime tells no stack "
                             "where managed code calls it directly, as GCHandle.Alloc does",
                             join->bare);
    if (join->gone)
        lg_report_incomplete(report,
                             "%" PRIu64 " handles that were made hold nothing any more: whether they "
                             "are there is unknown",
                             join->gone);
    if (seen->dropped_origins)
        lg_report_incomplete(report, "%" PRIu64 " handles were not kept: too many different stacks",
                             seen->dropped_origins);
    if (join->sites.unresolved)
        lg_report_incomplete(report, "%" PRIu64 " of %" PRIu64 " frames are of code that is not known",
                             join->sites.unresolved, join->sites.frames);
}

static struct lg_error *fill(struct lg_session *session, struct join *join, const struct lg_args *args,
                             struct lg_report *report)
{
    char made[LG_COMMAS_SIZE], left[LG_COMMAS_SIZE];
    struct lg_error *err = NULL;
    if (join->run->is_frozen && !join->run->why_not)
        err = join_all(session, join);
    if (!err)
        err = add_sites(report, join, lg_args_number(args, "top", 10));
    if (err)
        return err;
    add_facts(report, join);
    lg_report_line(report, "%s of %s handles that were made are left after %.1f s",
                   lg_commas(left, join->rows.len), lg_commas(made, join->run->handles->made),
                   join->run->seconds);
    add_notes(report, join);
    return NULL;
}

struct lg_error *lg_handles_report(struct lg_session *session, struct lg_alloc_run *run,
                                   const struct lg_args *args, struct lg_report **ret)
{
    struct join join = { .run = run, .sites.names.run = run };
    struct lg_report *report = lg_report_new("handles-alloc");
    struct lg_error *err =
        report ? lg_handle_kind_parse(lg_args_text(args, "kind"), &join.kind) : &lg_no_memory;
    if (!err)
        err = fill(session, &join, args, report);
    join_deinit(&join);
    if (!err && lg_report_failed(report))
        err = &lg_no_memory;
    if (err)
        lg_report_free(report);
    else
        *ret = report;
    return err;
}
