// `dumpheap -stat --gc`: the statistics before a full collection and after it, and what it freed.
//
//     what is open ─ count ─┐ let go of, so that no page that the collection moves exists twice
//     full collection       ├─► table of changes
//     another copy ─ count ─┘─► statistics
#include <stdio.h>
#include <string.h>

#include "cli/collection.h"
#include "cli/dumpheap.h"
#include "cli/pictures.h"
#include "util/error.h"

static struct lg_error *count(struct lg_session *session, const struct lg_args *args,
                              struct lg_pictures *pictures, struct lg_report *report)
{
    struct lg_heap_query query;
    _cleanup_(lg_heap_counts_deinit) struct lg_heap_counts counts = { 0 };
    struct lg_error *err = lg_heap_query_parse(session, args, &query);
    if (!err)
        err = lg_dumpheap_count(session, &query, &counts);
    if (err)
        return err;
    struct lg_clr *clr = lg_session_clr(session);
    lg_comparison_begin(&pictures->types);
    for (uint32_t id = 0; id < counts.stats->type_count; id++) {
        struct lg_amount amount = { counts.stats->counts[id], counts.stats->sizes[id], 0 };
        const struct lg_type *type = amount.count ? lg_clr_type_at(clr, id) : NULL;
        if (type && lg_heap_query_has_type(&query, clr, type)
            && !lg_pictures_add_type(pictures, clr, id, amount))
            return &lg_no_memory;
    }
    if (!lg_comparison_end(&pictures->types) || !lg_pictures_add_about(pictures, session, !query.life))
        return &lg_no_memory;
    err = lg_dumpheap_report_counts(session, &query, &counts, report);
    if (!err && query.life)
        lg_report_liveness(report, session, query.reach);
    return err;
}

static void keep_target_notes(const struct lg_session *session, struct lg_report *report)
{
    const struct lg_target *target = lg_session_target(session);
    for (size_t i = 0; i < target->notes.len; i++)
        lg_report_incomplete(report, "%s", target->notes.at[i]);
}

static bool has_note(const struct lg_report *report, const struct lg_target *target, const char *note)
{
    for (size_t i = 0; i < lg_report_note_count(report); i++) {
        if (strcmp(lg_report_note(report, i), note) == 0)
            return true;
    }
    for (size_t i = 0; i < target->notes.len; i++) {
        if (strcmp(target->notes.at[i], note) == 0)
            return true;
    }
    return false;
}

// What was not known before only.
static void add_notes(const struct lg_session *session, const struct lg_report *before,
                      struct lg_report *report)
{
    const struct lg_target *target = lg_session_target(session);
    for (size_t i = 0; i < lg_report_note_count(before); i++) {
        const char *note = lg_report_note(before, i);
        if (!has_note(report, target, note))
            lg_report_incomplete(report, "before the collection: %s", note);
    }
}

static void describe(const struct lg_pictures *pictures, struct lg_report *report)
{
    static const char *const when[] = { "Before", "After" };
    lg_report_line(report, "%s", "");
    for (size_t i = 0; i < pictures->taken.len; i++) {
        const struct lg_picture_about *about = &pictures->taken.at[i];
        char objects[LG_COMMAS_SIZE], size[LG_COMMAS_SIZE];
        lg_report_line(report, "%s the collection: %s objects, %s bytes; paused %.1f ms for this look",
                       when[i], lg_commas(objects, about->total.count),
                       lg_commas(size, about->total.size), about->target.pause_ms);
    }
}

bool lg_dumpheap_compares(const struct lg_args *args)
{
    return lg_args_has_target_option(args, "gc") && lg_args_has(args, "stat")
           && !lg_args_has(args, "short") && !lg_args_has(args, "strings");
}

struct lg_error *lg_dumpheap_collected(struct lg_session *session, const struct lg_args *args,
                                       struct lg_report *report)
{
    const struct lg_changes_query query = { .by = LG_CHANGES_TYPES,
                                            .top = lg_args_number(args, "top", 0) };
    _cleanup_(lg_pictures_deinit) struct lg_pictures pictures = { .is_collection = true };
    _cleanup_(lg_report_freep) struct lg_report *before = lg_report_new("dumpheap");
    if (!before)
        return &lg_no_memory;
    struct lg_error *err =
        lg_session_judge(session, count(session, args, &pictures, before), "try again");
    if (err)
        return err;
    keep_target_notes(session, before);
    lg_session_end(session);
    err = lg_collect_and_refresh(session);
    if (!err)
        err = count(session, args, &pictures, report);
    if (err)
        return err;
    add_notes(session, before, report);
    describe(&pictures, report);
    return lg_changes_report(&pictures, &query, report);
}
