// The parts of `dumpheap`: one query, and what each layout makes of it.
#ifndef LG_CLI_DUMPHEAP_H
#define LG_CLI_DUMPHEAP_H

#include "cli/support.h"

struct lg_heap_query {
    struct lg_walk_filter filter;
    uint64_t min, max;    // Sizes of objects, inclusive; max 0: no bound.
    const char *contains; // Part of a type's name, or NULL.
    uint64_t mt;          // 0: every type.
    bool stat, is_short, strings;
    uint64_t top; // 0: all.
    enum lg_stats_sort sort;
    bool sort_given, by_address; // -sort address
    bool descending;
    enum lg_liveness { LG_LIFE_ANY, LG_LIFE_LIVE, LG_LIFE_DEAD } life;
    const struct lg_reach *reach; // Of -live and -dead; borrowed from the session.
    const struct lg_index *index; // Of `within`.
    const uint64_t *within;       // A bit per node: only those. NULL: all.
};

// What of it needs no target.
LG_MUST_CHECK struct lg_error *lg_heap_query_check(const struct lg_args *args);
LG_MUST_CHECK struct lg_error *
lg_heap_query_parse(struct lg_session *session, const struct lg_args *args, struct lg_heap_query *ret);
// Does it look at each object, or only at where objects lie?
bool lg_heap_query_is_per_object(const struct lg_heap_query *query);

// What roots reach, for a command that calls the rest dead: an error if some root may be missing.
LG_MUST_CHECK struct lg_error *lg_reach_for_dead(struct lg_session *session,
                                                 const struct lg_reach **ret);
// What else is to be said of how it is known what is alive.
void lg_report_liveness(struct lg_report *report, struct lg_session *session,
                        const struct lg_reach *reach);

// Which types are wanted, asked once per type.
struct lg_type_filter {
    struct lg_clr *clr;
    const struct lg_heap_query *query;
    uint8_t *verdicts; // By type id: 0 not asked, 1 wanted, 2 not
    uint32_t count;
};
bool lg_type_filter_wants(struct lg_type_filter *filter, const struct lg_type *type);
bool lg_heap_query_wants(const struct lg_heap_query *query, struct lg_type_filter *types,
                         const struct lg_object *object);
static inline void lg_type_filter_deinit(struct lg_type_filter *filter)
{
    free(filter->verdicts);
}

// Free blocks of LG_BIG_FREE bytes or more that an object follows directly.
struct lg_fragment {
    uint64_t address, size;
    struct lg_object next;
    enum lg_generation generation;
};
struct lg_fragments {
    LG_VEC(struct lg_fragment) all;
    struct lg_object last; // The free block before, to be followed; size 0: none.
};
// For a visitor: tells of every object in address order. False when out of memory.
bool lg_fragments_see(struct lg_fragments *fragments, const struct lg_object *object,
                      const struct lg_segment *segment);
void lg_report_fragments(struct lg_report *report, struct lg_clr *clr,
                         const struct lg_fragments *fragments);
static inline void lg_fragments_deinit(struct lg_fragments *fragments)
{
    lg_vec_free(&fragments->all);
}

// Statistics by type of what a query wants, but for the name or method table that it may ask for.
struct lg_heap_counts {
    const struct lg_type_stats *stats;
    struct lg_walk_result walk;
    struct lg_type_stats own; // `stats`, or that is the session's
};
LG_MUST_CHECK struct lg_error *lg_dumpheap_count(struct lg_session *session,
                                                 const struct lg_heap_query *query,
                                                 struct lg_heap_counts *ret);
static inline void lg_heap_counts_deinit(struct lg_heap_counts *counts)
{
    lg_type_stats_deinit(&counts->own);
}
bool lg_heap_query_has_type(const struct lg_heap_query *query, struct lg_clr *clr,
                            const struct lg_type *type);
LG_MUST_CHECK struct lg_error *lg_dumpheap_report_counts(struct lg_session *session,
                                                         const struct lg_heap_query *query,
                                                         const struct lg_heap_counts *counts,
                                                         struct lg_report *report);

// Is it asked for the statistics before a collection as well? Then what is open was not collected.
bool lg_dumpheap_compares(const struct lg_args *args);
LG_MUST_CHECK struct lg_error *
lg_dumpheap_collected(struct lg_session *session, const struct lg_args *args, struct lg_report *report);

// What each layout adds to the report.
LG_MUST_CHECK struct lg_error *lg_dumpheap_stat(struct lg_session *session,
                                                const struct lg_heap_query *query,
                                                struct lg_report *report);
LG_MUST_CHECK struct lg_error *lg_dumpheap_objects(struct lg_session *session,
                                                   const struct lg_heap_query *query,
                                                   struct lg_report *report);
LG_MUST_CHECK struct lg_error *lg_dumpheap_strings(struct lg_session *session,
                                                   const struct lg_heap_query *query,
                                                   struct lg_report *report);

// The statistics that end a report, with totals, and a sentence if nothing matched.
LG_MUST_CHECK struct lg_error *lg_dumpheap_types(struct lg_session *session,
                                                 const struct lg_heap_query *query,
                                                 const struct lg_type_stats *stats,
                                                 struct lg_report *report);

#endif
