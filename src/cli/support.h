// What several commands share: ranges and filters, the statistics table, sentences about objects.
#ifndef LG_CLI_SUPPORT_H
#define LG_CLI_SUPPORT_H

#include "cli/command.h"
#include "cli/session.h"
#include "heap/objects.h"

// ---- arguments ----

// Hex, 0x optional, one backtick allowed: "7f0f5a400028", "0x7f0f`5a400028".
bool lg_address_parse(const char *text, uint64_t *ret);
// `START`, `START END` or `START L<length>`, all hex; NULL is absent.
LG_MUST_CHECK struct lg_error *lg_range_parse(const char *start, const char *end,
                                              struct lg_walk_filter *ret);
// "gen0" … "foh", "large", "pinned", "frozen": a bit per generation.
LG_MUST_CHECK struct lg_error *lg_generation_parse(const char *name, uint32_t *ret);

// Options that lg_filter_parse() reads: a command that calls it has them all, and ranges as arguments.
#define LG_FILTER_OPTIONS \
    { "gen", LG_OPT_TEXT, "GEN", "only gen0, gen1, gen2, loh (large), poh (pinned) or foh (frozen)" }, \
        { "heap", LG_OPT_NUMBER, "N", "only the GC heap of this index (Server GC)" }, \
    { \
        "segment", LG_OPT_ADDRESS, "ADDR", "only the segment or region that ADDR is in, or is" \
    }

// What of the options in lg_target_options was given.
struct lg_target_options lg_target_options_parse(const struct lg_args *args);

// For `check` of a command: exactly one address.
LG_MUST_CHECK struct lg_error *lg_check_address(const struct lg_args *args);
// For `check` of a command that calls lg_filter_parse(): what of it needs no target.
LG_MUST_CHECK struct lg_error *lg_check_filter(const struct lg_args *args);
// Errors: a heap, segment or range that is not there.
LG_MUST_CHECK struct lg_error *lg_filter_parse(const struct lg_session *session,
                                               const struct lg_args *args, struct lg_walk_filter *ret);
bool lg_filter_is_set(const struct lg_walk_filter *filter);
bool lg_filter_has_segment(const struct lg_walk_filter *filter, const struct lg_segment *segment);

// ---- text ----

enum { LG_COMMAS_SIZE = 32 };
const char *lg_commas(char buf[LG_COMMAS_SIZE], uint64_t value); // "4,194,336"

// ---- objects ----

// The object at `address`, for a command that was given it. The error says what is there instead:
// "0x1234 is no object: it lies outside the GC heap".
LG_MUST_CHECK struct lg_error *lg_object_require(struct lg_heap *heap, uint64_t address,
                                                 struct lg_object *ret);
// What the program calls a thread (Thread.Name), at most `max` chars of it, owned; NULL: it has no name.
// The kernel's name of it is cut to 15 bytes, and no core has it.
char *lg_thread_name(struct lg_clr *clr, const struct lg_managed_thread *thread, size_t max);
// Says of a snapshot without strings that the names of `what` are not known.
void lg_report_nameless(struct lg_report *report, struct lg_clr *clr, const char *what);
const char *lg_object_generation(const struct lg_heap *heap, uint64_t address); // NULL: in no segment

// ---- statistics by type ----

// Adds one object to statistics that grow with the types seen. False when out of memory.
bool lg_type_stats_add(struct lg_type_stats *stats, const struct lg_type *type, uint64_t size);

enum lg_stats_sort { LG_SORT_SIZE, LG_SORT_COUNT, LG_SORT_NAME };

struct lg_stats_options {
    enum lg_stats_sort sort;
    bool descending;
    bool native;          // The layout of SOS's native commands: fixed widths, no separators.
    bool hidden;          // Not in text.
    uint64_t top;         // 0: all; else the `top` that the order ranks highest.
    const char *contains; // Only types whose name contains this; NULL: all.
    uint64_t mt;          // Only this type; 0: all.
};
struct lg_stats_total {
    uint64_t count, size;
};
// "Statistics:", the table `types`, and the total; nothing of it in text when there is no type.
// Ascending as SOS has it, equals in the order of their method tables.
LG_MUST_CHECK struct lg_error *lg_report_types(struct lg_report *report, struct lg_clr *clr,
                                               const struct lg_type_stats *stats,
                                               const struct lg_stats_options *options,
                                               struct lg_stats_total *total_ret);

// What a command line calls a kind; NULL is -1. (cmd_gchandles.c)
LG_MUST_CHECK struct lg_error *lg_handle_kind_parse(const char *text, int *ret);

#endif
