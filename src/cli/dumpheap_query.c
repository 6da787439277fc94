// What `dumpheap` was asked for: its options, and which objects they want.
#include <inttypes.h>
#include <string.h>

#include "cli/dumpheap.h"

static struct lg_error *parse_sort(const struct lg_args *args, struct lg_heap_query *query)
{
    const char *sort = lg_args_text(args, "sort");
    bool objects = !query->stat && !query->strings;
    if (lg_args_has(args, "bycount"))
        query->sort = LG_SORT_COUNT;
    if (!sort)
        return NULL;
    query->sort_given = true;
    if (strcmp(sort, "size") == 0)
        query->sort = LG_SORT_SIZE;
    else if (strcmp(sort, "count") == 0 && !objects)
        query->sort = LG_SORT_COUNT;
    else if (strcmp(sort, "name") == 0 && !objects && !query->strings)
        query->sort = LG_SORT_NAME;
    else if (strcmp(sort, "address") == 0 && objects)
        query->by_address = true;
    else
        return lg_error_new(LG_ERR_USAGE, "cannot sort by '%s': expected %s", sort,
                            objects          ? "address or size"
                            : query->strings ? "size or count"
                                             : "size, count or name");
    return NULL;
}

static struct lg_error *parse_mt(struct lg_clr *clr, const struct lg_args *args,
                                 struct lg_heap_query *query)
{
    if (!lg_args_has(args, "mt"))
        return NULL;
    query->mt = lg_args_number(args, "mt", 0);
    if (lg_clr_type(clr, query->mt))
        return NULL;
    return lg_error_new(LG_ERR_NOT_FOUND,
                        "0x%" PRIx64 " is no method table: 'dumpheap -stat' lists them", query->mt);
}

// Everything but what only a target can tell.
static struct lg_error *parse_options(const struct lg_args *args, struct lg_heap_query *ret)
{
    struct lg_heap_query query = {
        .stat = lg_args_has(args, "stat"),
        .is_short = lg_args_has(args, "short"),
        .strings = lg_args_has(args, "strings"),
        .contains = lg_args_text(args, "type"),
        .min = lg_args_number(args, "min", 0),
        .max = lg_args_number(args, "max", 0),
        .top = lg_args_number(args, "top", 0),
        .descending = lg_args_has(args, "desc"),
    };
    bool live = lg_args_has(args, "live"), dead = lg_args_has(args, "dead");
    query.life = live == dead ? LG_LIFE_ANY : live ? LG_LIFE_LIVE : LG_LIFE_DEAD; // Both: as SOS.
    if (query.max && query.min > query.max)
        return lg_error_new(LG_ERR_USAGE, "-min %" PRIu64 " is more than -max %" PRIu64, query.min,
                            query.max);
    *ret = query;
    return parse_sort(args, ret);
}

struct lg_error *lg_heap_query_check(const struct lg_args *args)
{
    struct lg_heap_query query;
    struct lg_error *err = parse_options(args, &query);
    return err ? err : lg_check_filter(args);
}

struct lg_error *lg_reach_for_dead(struct lg_session *session, const struct lg_reach **ret)
{
    const struct lg_roots *roots;
    struct lg_error *err = lg_session_reach(session, ret);
    if (!err)
        err = lg_session_roots(session, &roots);
    if (err || !roots->is_missing_some)
        return err;
    return lg_error_new(LG_ERR_UNSUPPORTED, "nothing can be called dead: %s; -live is what is found",
                        roots->incomplete.at[0]);
}

// Before anything else of the target is looked at: the walk may take another copy of it.
static struct lg_error *find_life(struct lg_session *session, struct lg_heap_query *query)
{
    return query->life == LG_LIFE_ANY    ? NULL
           : query->life == LG_LIFE_DEAD ? lg_reach_for_dead(session, &query->reach)
                                         : lg_session_reach(session, &query->reach);
}

struct lg_error *lg_heap_query_parse(struct lg_session *session, const struct lg_args *args,
                                     struct lg_heap_query *ret)
{
    struct lg_heap_query query;
    struct lg_error *err = parse_options(args, &query);
    if (!err)
        err = find_life(session, &query);
    if (!err)
        err = parse_mt(lg_session_clr(session), args, &query);
    if (!err)
        err = lg_filter_parse(session, args, &query.filter);
    if (!err)
        *ret = query;
    return err;
}

bool lg_heap_query_is_per_object(const struct lg_heap_query *query)
{
    return query->min || query->max || query->contains || query->mt || query->life || query->within;
}

static bool grow_verdicts(struct lg_type_filter *filter, uint32_t id)
{
    uint32_t count = id < UINT32_MAX / 2 ? (id + 256) * 2 : UINT32_MAX;
    uint8_t *grown = realloc(filter->verdicts, count);
    if (!grown)
        return false;
    memset(grown + filter->count, 0, count - filter->count);
    filter->verdicts = grown;
    filter->count = count;
    return true;
}

bool lg_heap_query_has_type(const struct lg_heap_query *query, struct lg_clr *clr,
                            const struct lg_type *type)
{
    if (query->mt && query->mt != type->mt)
        return false;
    return !query->contains || strstr(lg_clr_type_name(clr, type), query->contains);
}

bool lg_type_filter_wants(struct lg_type_filter *filter, const struct lg_type *type)
{
    if (!filter->query->mt && !filter->query->contains)
        return true;
    if (type->id >= filter->count && !grow_verdicts(filter, type->id))
        return lg_heap_query_has_type(filter->query, filter->clr, type);
    uint8_t *verdict = &filter->verdicts[type->id];
    if (!*verdict)
        *verdict = lg_heap_query_has_type(filter->query, filter->clr, type) ? 1 : 2;
    return *verdict == 1;
}

// Free blocks are among the dead, as in SOS.
static bool is_wanted_life(const struct lg_heap_query *query, const struct lg_object *object)
{
    bool dead = object->type->flags & LG_TYPE_FREE;
    if (!dead) {
        lg_node node = lg_index_node(query->reach->graph->index, object->address);
        dead = node == LG_NO_NODE || lg_reach_life(query->reach, node) == LG_DEAD;
    }
    return dead == (query->life == LG_LIFE_DEAD);
}

static bool is_within(const struct lg_heap_query *query, const struct lg_object *object)
{
    lg_node node =
        object->type->flags & LG_TYPE_FREE ? LG_NO_NODE : lg_index_node(query->index, object->address);
    return node != LG_NO_NODE && query->within[node >> 6] >> (node & 63) & 1;
}

bool lg_heap_query_wants(const struct lg_heap_query *query, struct lg_type_filter *types,
                         const struct lg_object *object)
{
    if (object->size < query->min || (query->max && object->size > query->max))
        return false;
    return lg_type_filter_wants(types, object->type) && (!query->life || is_wanted_life(query, object))
           && (!query->within || is_within(query, object));
}
