// `dumpheap -stat`: counts by type, and big free blocks.
//
// Filters by place and by type need no look at single objects: the counts come from the heap's own fast
// walk. Only a filter by size, by life or of single objects walks object by object.
#include "cli/dumpheap.h"

struct tally {
    const struct lg_heap_query *query;
    struct lg_type_filter types;
    struct lg_type_stats stats;
    bool failed;
};
static void tally_deinit(struct tally *tally)
{
    lg_type_filter_deinit(&tally->types);
    lg_type_stats_deinit(&tally->stats);
}

static bool count_object(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct tally *tally = self;
    if (lg_heap_query_wants(tally->query, &tally->types, object))
        tally->failed = !lg_type_stats_add(&tally->stats, object->type, object->size);
    return !tally->failed;
}

// What follows each big free block, if it is an object in the same segment.
static struct lg_error *report_fragments(struct lg_session *session, const struct lg_type_stats *stats,
                                         struct lg_report *report)
{
    _cleanup_(lg_fragments_deinit) struct lg_fragments fragments = { 0 };
    struct lg_heap *heap = lg_session_heap(session);
    for (size_t i = 0; i < stats->big_free.len; i++) {
        const struct lg_object *block = &stats->big_free.at[i];
        const struct lg_segment *segment = lg_heap_segment_at(heap, block->address);
        uint64_t behind = block->address + ((block->size + 7) & ~UINT64_C(7));
        struct lg_object next;
        if (!segment || behind >= segment->end || !lg_heap_object_at(heap, behind, &next))
            continue;
        if (!lg_fragments_see(&fragments, block, segment)
            || !lg_fragments_see(&fragments, &next, segment))
            return &lg_no_memory;
    }
    lg_report_fragments(report, lg_session_clr(session), &fragments);
    return NULL;
}

static struct lg_error *count_by_object(struct lg_session *session, const struct lg_heap_query *query,
                                        struct lg_heap_counts *ret)
{
    _cleanup_(tally_deinit) struct tally tally = { .query = query };
    tally.types = (struct lg_type_filter){ .clr = lg_session_clr(session), .query = query };
    struct lg_error *err =
        lg_heap_walk(lg_session_heap(session), &query->filter, count_object, &tally, &ret->walk);
    if (err)
        return err;
    if (tally.failed)
        return &lg_no_memory;
    ret->own = tally.stats;
    tally.stats = (struct lg_type_stats){ 0 };
    return NULL;
}

struct lg_error *lg_dumpheap_count(struct lg_session *session, const struct lg_heap_query *query,
                                   struct lg_heap_counts *ret)
{
    const struct lg_walk_result *walk;
    ret->stats = &ret->own;
    if (query->min || query->max || query->life || query->within)
        return count_by_object(session, query, ret);
    if (lg_filter_is_set(&query->filter))
        return lg_heap_stats(lg_session_heap(session), &query->filter, &ret->own, &ret->walk);
    struct lg_error *err = lg_session_stats(session, &ret->stats, &walk);
    if (!err)
        ret->walk = *walk;
    return err;
}

struct lg_error *lg_dumpheap_report_counts(struct lg_session *session, const struct lg_heap_query *query,
                                           const struct lg_heap_counts *counts, struct lg_report *report)
{
    lg_session_report_walk(report, &counts->walk);
    struct lg_error *err = lg_dumpheap_types(session, query, counts->stats, report);
    if (!err && !lg_heap_query_is_per_object(query))
        err = report_fragments(session, counts->stats, report);
    return err;
}

struct lg_error *lg_dumpheap_stat(struct lg_session *session, const struct lg_heap_query *query,
                                  struct lg_report *report)
{
    _cleanup_(lg_heap_counts_deinit) struct lg_heap_counts counts = { 0 };
    struct lg_error *err = lg_dumpheap_count(session, query, &counts);
    return err ? err : lg_dumpheap_report_counts(session, query, &counts, report);
}
