// The parts of `retained`: objects, and sums by type, namespace, assembly, static and thread.
#ifndef LG_CLI_RETAINED_H
#define LG_CLI_RETAINED_H

#include "cli/support.h"
#include "collect/meanings.h"
#include "util/arena.h"
#include "util/top.h"

enum lg_retained_by {
    LG_BY_OBJECT,
    LG_BY_TYPE,
    LG_BY_NAMESPACE,
    LG_BY_ASSEMBLY,
    LG_BY_STATIC,
    LG_BY_THREAD,
    LG_BY_ROOT, // every owner
    LG_BY_SITE, // where sampled objects were made
};

struct lg_retained_query {
    enum lg_retained_by by;
    const char *contains; // Part of a type's name, or NULL.
    const char *set;      // The same: all instances as one set. NULL: no set.
    uint64_t tree;        // An object whose children are wanted; 0: none.
    uint64_t top;         // Rows at most; 0: all.
    uint64_t min;         // Bytes retained at least.
};

struct lg_retained {
    struct lg_session *session;
    struct lg_report *report;
    struct lg_clr *clr;
    struct lg_heap *heap;
    const struct lg_retention *retention;
    const struct lg_retained_query *query;
};

// How an object refers to what it alone holds.
enum { LG_TREE_ABOVE = 8 };
struct lg_tree_labels {
    const struct lg_retention *retention;
    struct lg_object object;
    struct lg_meanings meanings;
    struct lg_map offset_of; // object -> index into `offsets`
    LG_VEC(uint64_t) offsets;
    bool failed;
    // The last `above` of the first LG_TREE_ABOVE steps are what is above the object; behind them it,
    // and a child.
    struct lg_path_step steps[LG_TREE_ABOVE + 2];
    char *above_labels[LG_TREE_ABOVE];
    size_t above;
};
LG_MUST_CHECK struct lg_error *lg_tree_labels_init(struct lg_tree_labels *labels,
                                                   const struct lg_retention *retention,
                                                   const struct lg_object *object, uint32_t number);
// "" and NULL: it does not refer to it itself.
LG_MUST_CHECK struct lg_error *lg_tree_label(struct lg_tree_labels *labels, uint64_t child, char *field,
                                             size_t size, const char **meaning_ret);
void lg_tree_labels_deinit(struct lg_tree_labels *labels);

// What retains most, as `retained` without options has it, for a snapshot to hold.
LG_MUST_CHECK struct lg_error *lg_retained_summarise(struct lg_session *session, struct lg_arena *arena,
                                                     struct lg_summary *ret);
// Does a summary answer a query?
bool lg_retained_is_in(const struct lg_summary *summary, const struct lg_retained_query *query);
void lg_retained_from_summary(const struct lg_retained *retained, const struct lg_summary *summary);

LG_MUST_CHECK struct lg_error *lg_retained_objects(const struct lg_retained *retained);
LG_MUST_CHECK struct lg_error *lg_retained_tree(const struct lg_retained *retained);
LG_MUST_CHECK struct lg_error *lg_retained_types(const struct lg_retained *retained);
LG_MUST_CHECK struct lg_error *lg_retained_owners(const struct lg_retained *retained);
LG_MUST_CHECK struct lg_error *lg_retained_sites(const struct lg_retained *retained);
LG_MUST_CHECK struct lg_error *lg_retained_of_set(const struct lg_retained *retained);

#endif
