// What every layout of `dumpheap` ends with: the statistics, and free blocks that fragment the heap.
#include <inttypes.h>
#include <string.h>

#include "cli/dumpheap.h"

static const struct lg_column fragment_columns[] = {
    { "address", "Address", LG_CELL_ADDRESS, 16, LG_COL_RIGHT },
    { "size", "Size", LG_CELL_BYTES, 14, LG_COL_COMMAS },
    { "next", "Followed By", LG_CELL_ADDRESS, 16, LG_COL_RIGHT },
    { "next_name", "", LG_CELL_TEXT, -1, LG_COL_TEXT_ONLY },
    { "next_type", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "generation", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
};
static const struct lg_table_spec fragment_spec = LG_TABLE_SPEC("fragments", fragment_columns, 0);
static const struct lg_table_spec empty_spec =
    LG_TABLE_SPEC("fragments", fragment_columns, LG_TABLE_HIDDEN);

bool lg_fragments_see(struct lg_fragments *fragments, const struct lg_object *object,
                      const struct lg_segment *segment)
{
    struct lg_object last = fragments->last;
    bool is_free = object->type->flags & LG_TYPE_FREE;
    fragments->last = (struct lg_object){ 0 };
    if (is_free && object->size >= LG_BIG_FREE)
        fragments->last = *object;
    bool follows = last.size > 0 && !is_free && last.address >= segment->start
                   && last.address + ((last.size + 7) & ~UINT64_C(7)) == object->address;
    return !follows
           || lg_vec_push(&fragments->all,
                          (struct lg_fragment){ last.address, last.size, *object,
                                                lg_segment_generation(segment, last.address) });
}

// SOS leaves out the large object heap and reports pinned and frozen blocks by accident (reference
// sos-commands.md D7). Here every kind is reported, and named behind the type.
void lg_report_fragments(struct lg_report *report, struct lg_clr *clr,
                         const struct lg_fragments *fragments)
{
    bool any = fragments->all.len > 0;
    if (any) {
        lg_report_line(report, "%s", "");
        lg_report_line(report, "Fragmented blocks larger than 0.5 MB:");
    }
    struct lg_table *table = lg_report_table(report, any ? &fragment_spec : &empty_spec);
    for (size_t i = 0; i < fragments->all.len; i++) {
        const struct lg_fragment *fragment = &fragments->all.at[i];
        const char *name = lg_clr_type_name(clr, fragment->next.type);
        const char *generation = lg_generation_name(fragment->generation);
        _cleanup_free_ char *text = NULL;
        if (asprintf(&text, "%s (%s)", name, generation) < 0)
            text = NULL;
        lg_cell_number(table, fragment->address);
        lg_cell_number(table, fragment->size);
        lg_cell_number(table, fragment->next.address);
        lg_cell_text(table, text);
        lg_cell_name(table, name);
        lg_cell_name(table, generation);
    }
}

// A type that was met, and whose name contains the text if case does not matter.
static const char *differs_in_case(struct lg_clr *clr, const char *text)
{
    uint32_t count = lg_clr_type_count(clr);
    for (uint32_t id = 0; id < count; id++) {
        const struct lg_type *type = lg_clr_type_at(clr, id);
        const char *name = type ? lg_clr_type_name(clr, type) : NULL;
        if (name && strcasestr(name, text))
            return name;
    }
    return NULL;
}

static void report_nothing(struct lg_report *report, struct lg_clr *clr,
                           const struct lg_heap_query *query)
{
    const char *similar = query->contains ? differs_in_case(clr, query->contains) : NULL;
    if (similar && !strstr(similar, query->contains))
        lg_report_line(report, "No objects of a type whose name contains '%s'; case matters: %s.",
                       query->contains, similar);
    else if (query->contains)
        lg_report_line(report, "No objects of a type whose name contains '%s'.", query->contains);
    else
        lg_report_line(report, "No objects.");
}

struct lg_error *lg_dumpheap_types(struct lg_session *session, const struct lg_heap_query *query,
                                   const struct lg_type_stats *stats, struct lg_report *report)
{
    struct lg_stats_options options = {
        .sort = query->sort,
        .descending = query->descending,
        .hidden = query->is_short || query->strings,
        .top = query->stat ? query->top : 0,
        .contains = query->contains,
        .mt = query->mt,
    };
    struct lg_stats_total total;
    struct lg_error *err = lg_report_types(report, lg_session_clr(session), stats, &options, &total);
    if (err)
        return err;
    if (total.count == 0 && !options.hidden)
        report_nothing(report, lg_session_clr(session), query);
    lg_report_fact_number(report, "total_count", total.count);
    lg_report_fact_number(report, "total_size", total.size);
    return NULL;
}
