// Samples against the heap as it was at the end, and sums of those that have something in common.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/alloc.h"

// ---- what is alive ----

// What the frozen process says of its objects; all NULL without one.
struct witness {
    struct lg_heap *heap;
    const struct lg_retention *retention;
};

struct survivor {
    uint32_t sample; // of lg_allocations.live
    uint64_t size;
    lg_node node;
    uint32_t line; // what leads to it: of lg_routes.lines; UINT32_MAX: not known
};
struct survivors {
    LG_VEC(struct survivor) all;
};

// Sizes are told as they are allocated. AllocationTick counts what aligns a large object, too.
static bool fits(uint64_t told, uint64_t size, bool is_tick)
{
    enum { LARGE = 85000, ALIGNS = 64 };
    uint64_t rounded = (size + 7) & ~7ull, least = (told + 7) & ~7ull;
    return told == 0 || least == rounded
           || (is_tick && told >= LARGE && least > rounded && least - rounded <= ALIGNS);
}

// Is the sample an object of its type and size, and does anything hold it?
static struct lg_error *ask(const struct witness *witness, struct lg_alloc_run *run, uint32_t i,
                            struct lg_alloc_sites *sites, struct survivors *ret)
{
    struct lg_object object;
    struct lg_alloc_sample *sample = &run->samples.live.at[i];
    bool exists = lg_heap_object_at(witness->heap, sample->address, &object);
    if (!exists || object.type->mt != run->samples.origins.at[sample->origin].mt
        || !fits(sample->size, object.size, run->samples.uses_ticks))
        return NULL;
    sites->confirmed++;
    if (!sample->size)
        sample->share = lg_allocations_tick_share(object.size, sample->amount);
    lg_node node = lg_index_node(witness->retention->graph->index, sample->address);
    if (node == LG_NO_NODE || witness->retention->number[node] == 0)
        return NULL;
    sites->alive++;
    struct survivor survivor = { i, object.size, node, UINT32_MAX };
    return lg_vec_push(&ret->all, survivor) ? NULL : &lg_no_memory;
}

static struct lg_error *find_holders(struct lg_session *session, struct lg_alloc_sites *sites,
                                     struct survivors *survivors)
{
    const struct lg_reach *reach;
    const struct lg_roots *roots;
    struct lg_error *err = lg_session_reach(session, &reach);
    if (!err)
        err = lg_session_roots(session, &roots);
    if (!err)
        err = lg_routes_new(reach, roots, &sites->routes);
    for (size_t i = 0; i < survivors->all.len && !err; i++) {
        uint32_t route;
        err = lg_routes_find(sites->routes, survivors->all.at[i].node, &route);
        if (!err && route != LG_NO_ROUTE)
            err = lg_routes_line(sites->routes, route, &survivors->all.at[i].line);
    }
    return err;
}

static struct lg_error *find_survivors(struct lg_session *session, struct lg_alloc_run *run,
                                       struct lg_alloc_sites *sites, struct witness *witness,
                                       struct survivors *ret)
{
    struct lg_error *err = lg_session_retention(session, &witness->retention);
    if (err)
        return err;
    witness->heap = lg_session_heap(session);
    sites->names.clr = lg_session_clr(session);
    for (size_t i = 0; i < run->samples.live.len && !err; i++)
        err = ask(witness, run, (uint32_t)i, sites, ret);
    return err ? err : find_holders(session, sites, ret);
}

// ---- what they have in common ----

// The stack of an origin in names, and how much of it tells the site: up to the first method that is
// not of the class library.
struct stack {
    uint32_t start, count, own; // in lg_alloc_sites.stacks
    bool is_known, is_noise;
};
struct grouping {
    struct lg_alloc_sites *sites;
    struct lg_alloc_run *run;
    const struct lg_alloc_query *query;
    struct stack *stacks;      // by origin
    const char **types;        // by origin
    LG_VEC(const char *) keys; // by site
    struct lg_map by_key;
    struct lg_arena arena;
};

static bool is_tracing(const struct lg_alloc_frame *frame)
{
    return frame->method && strncmp(frame->method, "System.Diagnostics.Tracing.", 27) == 0;
}

static struct lg_error *read_stack(struct grouping *g, uint32_t i)
{
    const struct lg_alloc_origin *origin = &g->run->samples.origins.at[i];
    struct lg_alloc_sites *sites = g->sites;
    struct stack stack = { .start = (uint32_t)sites->stacks.len, .is_known = true };
    uint64_t unknown = 0;
    for (uint32_t n = 0; n < origin->stack_count; n++) {
        uint32_t name = lg_alloc_name(&sites->names, origin, n);
        if (name == UINT32_MAX || !lg_vec_push(&sites->stacks, name))
            return &lg_no_memory;
        const struct lg_alloc_frame *frame = &sites->names.frames.at[name];
        stack.is_noise |= is_tracing(frame);
        unknown += !frame->method;
        if (!stack.own && !frame->is_system)
            stack.own = n + 1;
    }
    if (!stack.is_noise) { // Reflection, which tracing itself does much, has native code among it.
        sites->frames += origin->stack_count;
        sites->unresolved += unknown;
    }
    stack.count = origin->stack_count;
    stack.own = stack.own ? stack.own : stack.count;
    g->stacks[i] = stack;
    const struct lg_type *type = sites->names.clr ? lg_clr_type(sites->names.clr, origin->mt) : NULL;
    g->types[i] = type ? lg_clr_type_name(sites->names.clr, type)
                       : lg_alloc_type_name(&sites->names, origin->type);
    return g->types[i] ? NULL : &lg_no_memory;
}

static const char *own_method(const struct grouping *g, const struct stack *stack)
{
    const struct lg_alloc_sites *sites = g->sites;
    return stack->own ? sites->names.frames.at[sites->stacks.at[stack->start + stack->own - 1]].method
                      : NULL;
}

static const char *key_of(struct grouping *g, uint32_t origin, const char *holder)
{
    const struct stack *stack = &g->stacks[origin];
    const uint32_t *frames = g->sites->stacks.at + stack->start;
    switch (g->query->by) {
    case LG_ALLOC_BY_TYPE:
        return lg_arena_format(&g->arena, "%s", g->types[origin]);
    case LG_ALLOC_BY_HOLDER:
        return lg_arena_format(&g->arena, "%s", holder ? holder : "");
    case LG_ALLOC_BY_METHOD:
        return lg_arena_format(&g->arena, "%s", own_method(g, stack) ? own_method(g, stack) : "");
    default:
        break;
    }
    uint32_t count = g->query->by == LG_ALLOC_BY_STACK ? stack->count : stack->own;
    char text[4096];
    size_t n = (size_t)snprintf(text, sizeof(text), "%.2000s", g->types[origin]);
    for (uint32_t i = 0; i < count && n + 12 < sizeof(text); i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "|%u", frames[i]);
    return lg_arena_copy(&g->arena, text, n);
}

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0;
    for (; *text; text++)
        hash = lg_hash64(hash ^ (uint8_t)*text);
    return hash;
}

// What the stacks of all its samples begin with.
static void share_stack(struct grouping *g, struct lg_alloc_site *site, const struct stack *stack)
{
    const uint32_t *all = g->sites->stacks.at;
    uint32_t n = 0;
    while (n < site->stack_count && n < stack->count && all[site->stack + n] == all[stack->start + n])
        n++;
    site->stack_count = n;
}

static struct lg_error *site_of(struct grouping *g, uint32_t origin, const char *holder, uint32_t *ret)
{
    const char *key = key_of(g, origin, holder);
    if (!key)
        return &lg_no_memory;
    const struct stack *stack = &g->stacks[origin];
    uint64_t hash = hash_text(key);
    while (lg_map_get(&g->by_key, hash, ret)) {
        if (strcmp(g->keys.at[*ret], key) != 0) {
            hash++;
            continue;
        }
        struct lg_alloc_site *site = &g->sites->all.at[*ret];
        if (site->type && strcmp(site->type, g->types[origin]) != 0)
            site->type = NULL;
        const char *method = own_method(g, stack);
        if (site->method && (!method || strcmp(site->method, method) != 0))
            site->method = NULL;
        share_stack(g, site, stack);
        return NULL;
    }
    *ret = (uint32_t)g->sites->all.len;
    struct lg_alloc_site site = { .type = g->types[origin],
                                  .method = own_method(g, stack),
                                  .stack = stack->start,
                                  .stack_count = stack->count,
                                  .holder = holder };
    return lg_vec_push(&g->sites->all, site) && lg_vec_push(&g->keys, key)
                   && lg_map_put(&g->by_key, hash, *ret)
               ? NULL
               : &lg_no_memory;
}

static bool is_wanted(const struct grouping *g, uint32_t origin)
{
    return !g->query->contains || strstr(g->types[origin], g->query->contains);
}

static struct lg_error *add_origins(struct grouping *g)
{
    struct lg_error *err = NULL;
    for (uint32_t i = 0; i < g->run->samples.origins.len && !err; i++) {
        const struct lg_alloc_origin *origin = &g->run->samples.origins.at[i];
        uint32_t at;
        err = read_stack(g, i);
        if (!err && g->stacks[i].is_noise)
            g->sites->own_noise += origin->samples;
        if (err || g->stacks[i].is_noise || !is_wanted(g, i) || g->query->by == LG_ALLOC_BY_HOLDER)
            continue;
        err = site_of(g, i, NULL, &at);
        if (err)
            return err;
        struct lg_alloc_site *site = &g->sites->all.at[at];
        site->samples += origin->samples;
        site->unsized += origin->unsized;
        site->made_count += origin->count;
        site->made_bytes += origin->bytes;
        site->made_var += origin->count_var;
    }
    return err;
}

static void count_survivor(struct lg_alloc_site *site, const struct lg_alloc_sample *sample,
                           uint64_t size)
{
    double share = sample->share, bytes = (double)size;
    site->survivors++;
    site->own += size;
    site->count += 1 / share;
    site->bytes += bytes / share;
    site->count_var += (1 - share) / (share * share);
    site->bytes_var += bytes * bytes * (1 - share) / (share * share);
}

// The holder of most of a site's survivors is the site's.
static bool vote(struct lg_map *votes, struct lg_map *best, struct lg_alloc_sites *sites, uint32_t site,
                 uint32_t line)
{
    uint32_t count = 0, most = 0;
    uint64_t key = (uint64_t)site << 32 | line;
    if (line == UINT32_MAX)
        return true;
    lg_map_get(votes, key, &count);
    lg_map_get(best, site, &most);
    if (!lg_map_put(votes, key, count + 1))
        return false;
    if (count + 1 <= most)
        return true;
    sites->all.at[site].holder = sites->routes->lines.all.at[line];
    return lg_map_put(best, site, count + 1);
}

static struct lg_error *add_survivors(struct grouping *g, const struct survivors *survivors,
                                      uint32_t *site_of_node)
{
    struct lg_map votes = { 0 }, best = { 0 };
    struct lg_error *err = NULL;
    for (size_t i = 0; i < survivors->all.len && !err; i++) {
        const struct survivor *survivor = &survivors->all.at[i];
        const struct lg_alloc_sample *sample = &g->run->samples.live.at[survivor->sample];
        const struct stack *stack = &g->stacks[sample->origin];
        const struct lg_alloc_kept kept = { sample->address, sample->share, stack->start, stack->count,
                                            stack->own };
        uint32_t at;
        if (!lg_vec_push(&g->sites->kept, kept))
            err = &lg_no_memory;
        if (err || stack->is_noise || !is_wanted(g, sample->origin))
            continue;
        const char *holder =
            survivor->line == UINT32_MAX ? NULL : g->sites->routes->lines.all.at[survivor->line];
        err = site_of(g, sample->origin, holder, &at);
        if (err)
            break;
        count_survivor(&g->sites->all.at[at], sample, survivor->size);
        site_of_node[survivor->node] = at;
        struct lg_alloc_survivor row = { sample->address, survivor->size, at };
        if (!lg_vec_push(&g->sites->survivors, row)
            || !vote(&votes, &best, g->sites, at, survivor->line))
            err = &lg_no_memory;
    }
    lg_map_free(&votes);
    lg_map_free(&best);
    return err;
}

static struct lg_error *retain(struct grouping *g, const struct witness *witness,
                               const uint32_t *site_of_node)
{
    size_t count = g->sites->all.len;
    _cleanup_free_ struct lg_retained_group *groups = calloc(count + 1, sizeof(*groups));
    if (!groups)
        return &lg_no_memory;
    struct lg_error *err =
        lg_retention_group_nodes(witness->retention, site_of_node, groups, (uint32_t)count);
    for (size_t i = 0; i < count && !err; i++)
        g->sites->all.at[i].retained = groups[i].retained;
    return err;
}

static struct lg_error *add_living(struct grouping *g, const struct witness *witness,
                                   const struct survivors *survivors)
{
    uint32_t nodes = witness->retention->node_count;
    _cleanup_free_ uint32_t *site_of_node = malloc((nodes + (size_t)1) * sizeof(*site_of_node));
    if (!site_of_node)
        return &lg_no_memory;
    memset(site_of_node, 0xff, nodes * sizeof(*site_of_node));
    struct lg_error *err = add_survivors(g, survivors, site_of_node);
    return err ? err : retain(g, witness, site_of_node);
}

// ---- order ----

// The survivors' sites move along.
static struct lg_error *order(struct lg_alloc_sites *sites, bool all)
{
    size_t count = sites->all.len, kept = 0;
    struct lg_top top = { 0 };
    _cleanup_free_ uint32_t *place = calloc(count + 1, sizeof(*place));
    _cleanup_free_ struct lg_alloc_site *sorted = calloc(count + 1, sizeof(*sorted));
    struct lg_error *err = place && sorted ? NULL : &lg_no_memory;
    for (size_t i = 0; i < count && !err; i++) {
        const struct lg_alloc_site *site = &sites->all.at[i];
        double rank = all ? site->made_bytes : site->bytes;
        if ((all || site->survivors) && !lg_top_offer(&top, (uint64_t)rank, (uint32_t)i))
            err = &lg_no_memory;
    }
    lg_top_sort(&top);
    for (size_t i = 0; i < top.kept.len && !err; i++) {
        place[top.kept.at[i].value] = (uint32_t)kept;
        sorted[kept++] = sites->all.at[top.kept.at[i].value];
    }
    for (size_t i = 0; i < sites->survivors.len && !err; i++)
        sites->survivors.at[i].site = place[sites->survivors.at[i].site];
    if (!err && kept)
        memcpy(sites->all.at, sorted, kept * sizeof(*sorted));
    sites->all.len = err ? count : kept;
    lg_top_deinit(&top);
    return err;
}

struct lg_error *lg_alloc_sites_find(struct lg_session *session, struct lg_alloc_run *run,
                                     const struct lg_alloc_query *query, struct lg_alloc_sites *ret)
{
    struct witness witness = { 0 };
    struct survivors survivors = { 0 };
    size_t origins = run->samples.origins.len;
    bool is_alive = run->is_frozen && !run->why_not;
    ret->names.run = run;
    ret->tracked = is_alive ? run->samples.live.len : 0;
    struct grouping g = { .sites = ret, .run = run, .query = query };
    g.stacks = calloc(origins + 1, sizeof(*g.stacks));
    g.types = calloc(origins + 1, sizeof(*g.types));
    struct lg_error *err = g.stacks && g.types ? NULL : &lg_no_memory;
    if (!err && is_alive)
        err = find_survivors(session, run, ret, &witness, &survivors);
    if (!err)
        err = add_origins(&g);
    if (!err && is_alive)
        err = add_living(&g, &witness, &survivors);
    if (!err)
        err = order(ret, query->all || !is_alive);
    lg_vec_free(&survivors.all);
    free(g.stacks);
    free(g.types);
    lg_vec_free(&g.keys);
    lg_map_free(&g.by_key);
    lg_arena_free(&g.arena);
    return err;
}

void lg_alloc_sites_deinit(struct lg_alloc_sites *sites)
{
    lg_alloc_names_deinit(&sites->names);
    lg_vec_free(&sites->all);
    lg_vec_free(&sites->stacks);
    lg_vec_free(&sites->survivors);
    lg_vec_free(&sites->kept);
    lg_routes_free(sites->routes);
}

// As many independent samples as have this variance are told of by Poisson's law; its bounds by the cube
// root of Wilson and Hilferty.
void lg_alloc_interval(double estimate, double variance, double *low_ret, double *high_ret)
{
    *low_ret = *high_ret = estimate;
    if (variance <= 0 || estimate <= 0)
        return;
    double n = estimate * estimate / variance, z = 1.959964;
    double low = n * pow(1 - 1 / (9 * n) - z / (3 * sqrt(n)), 3);
    double high = (n + 1) * pow(1 - 1 / (9 * (n + 1)) + z / (3 * sqrt(n + 1)), 3);
    *low_ret = estimate * (low > 0 ? low : 0) / n;
    *high_ret = estimate * high / n;
}
