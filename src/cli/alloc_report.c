#include <inttypes.h>
#include <string.h>

#include "cli/alloc.h"

static const struct lg_column frame_columns[] = {
    { "method", "Method", LG_CELL_TEXT, -1 }, { "il", "IL", LG_CELL_COUNT, 0 },
    { "module", "Module", LG_CELL_TEXT, -1 }, { "file", "File", LG_CELL_TEXT, -1 },
    { "line", "Line", LG_CELL_COUNT, 0 },     { "no_line", "", LG_CELL_TEXT, -1 },
};
static const struct lg_table_spec frame_spec = LG_TABLE_SPEC("stack", frame_columns, 0);

static const struct lg_column site_columns[] = {
    { "bytes", "Bytes", LG_CELL_BYTES, 0, LG_COL_COMMAS | LG_COL_IF_KNOWN },
    { "bytes_low", "(at least", LG_CELL_BYTES, 0, LG_COL_JSON_ONLY },
    { "bytes_high", "at most)", LG_CELL_BYTES, 0, LG_COL_JSON_ONLY },
    { "count", "Count", LG_CELL_COUNT, 0, LG_COL_COMMAS | LG_COL_IF_KNOWN },
    { "count_low", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "count_high", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "survivors", "Alive", LG_CELL_COUNT, 0, LG_COL_COMMAS | LG_COL_IF_KNOWN },
    { "samples", "Samples", LG_CELL_COUNT, 0, LG_COL_COMMAS | LG_COL_IF_KNOWN },
    { "made_count", "Made", LG_CELL_COUNT, 0, LG_COL_COMMAS | LG_COL_IF_KNOWN },
    { "made_bytes", "Made Bytes", LG_CELL_BYTES, 0, LG_COL_COMMAS | LG_COL_IF_KNOWN },
    { "retained", "Retained", LG_CELL_BYTES, 0, LG_COL_COMMAS | LG_COL_IF_KNOWN },
    { "survival", "Survival", LG_CELL_TEXT, 0, LG_COL_RIGHT | LG_COL_TEXT_ONLY | LG_COL_IF_KNOWN },
    { "type", "", LG_CELL_TEXT, -1, LG_COL_JSON_ONLY },
    { "method", "", LG_CELL_TEXT, -1, LG_COL_JSON_ONLY },
    { "holder", "", LG_CELL_TEXT, -1, LG_COL_JSON_ONLY },
    { "stack", "", LG_CELL_TABLE, 0, LG_COL_JSON_ONLY },
    { "text", "What", LG_CELL_TEXT, -1, LG_COL_TEXT_ONLY },
};
static const struct lg_table_spec hidden_spec =
    LG_TABLE_SPEC("sites", site_columns, LG_TABLE_MAIN | LG_TABLE_HIDDEN);
static const struct lg_table_spec site_spec =
    LG_TABLE_SPEC("sites", site_columns, LG_TABLE_MAIN | LG_TABLE_WIDE);

static const struct lg_column survivor_columns[] = {
    { "address", "", LG_CELL_ADDRESS, 0 },
    { "size", "", LG_CELL_BYTES, 0 },
    { "site", "", LG_CELL_COUNT, 0 },
};
static const struct lg_table_spec survivor_spec =
    LG_TABLE_SPEC("survivors", survivor_columns, LG_TABLE_HIDDEN);

// `made`: estimate for all `samples` of the row, dead or alive; less than 0: unknown.
static void cell_estimate(struct lg_table *table, double estimate, double variance, double made,
                          uint64_t samples)
{
    double low, high;
    lg_alloc_interval(estimate, variance, &low, &high);
    if (estimate == 0 && samples)
        high = LG_ALLOC_NONE_MAX * made / (double)samples;
    lg_cell_number(table, (uint64_t)(estimate + 0.5));
    lg_cell_number(table, (uint64_t)low);
    if (high >= 0)
        lg_cell_number(table, (uint64_t)(high + 0.5));
    else
        lg_cell_null(table);
}

void lg_alloc_frame_cells(struct lg_table *frames, const struct lg_alloc_frame *frame)
{
    lg_cell_text(frames, frame->method);
    if (frame->il != UINT32_MAX)
        lg_cell_number(frames, frame->il);
    else
        lg_cell_null(frames);
    lg_cell_text(frames, frame->module);
    lg_cell_text(frames, frame->source.file);
    if (frame->source.file)
        lg_cell_number(frames, frame->source.line);
    else
        lg_cell_null(frames);
}

void lg_alloc_cell_frames(struct lg_table *table, const struct lg_alloc_sites *sites,
                          const struct lg_alloc_site *site)
{
    struct lg_table *frames = lg_cell_table(table, &frame_spec);
    for (uint32_t i = 0; i < site->stack_count; i++) {
        const struct lg_alloc_frame *frame = &sites->names.frames.at[sites->stacks.at[site->stack + i]];
        lg_alloc_frame_cells(frames, frame);
        lg_cell_text(frames, frame->method ? frame->source.why_not : "its code is not known");
    }
}

// Of the samples, in percent.
static double survival(const struct lg_alloc_site *site)
{
    return site->samples ? 100.0 * (double)site->survivors / (double)site->samples : 0;
}

static const char *what(const struct lg_alloc_site *site, enum lg_alloc_by by)
{
    switch (by) {
    case LG_ALLOC_BY_METHOD:
        return site->method ? site->method : "(unknown code)";
    case LG_ALLOC_BY_HOLDER:
        return site->holder ? site->holder : "(not known)";
    default:
        return site->type;
    }
}

void lg_alloc_cell_living(struct lg_table *table, const struct lg_alloc_site *sums, bool is_known)
{
    if (is_known) {
        double made_count = sums->unsized ? -1 : sums->made_count;
        cell_estimate(table, sums->bytes, sums->bytes_var, sums->made_bytes, sums->samples);
        cell_estimate(table, sums->count, sums->count_var, made_count, sums->samples);
        lg_cell_number(table, sums->survivors);
    }
    for (int i = 0; i < 7 && !is_known; i++)
        lg_cell_null(table);
}

void lg_alloc_cell_made(struct lg_table *table, const struct lg_alloc_site *sums)
{
    lg_cell_number(table, sums->samples);
    if (sums->unsized)
        lg_cell_null(table);
    else
        lg_cell_number(table, (uint64_t)(sums->made_count + 0.5));
    lg_cell_number(table, (uint64_t)(sums->made_bytes + 0.5));
}

static void cell_survival(struct lg_table *table, const struct lg_alloc_site *site, bool is_known)
{
    char text[16];
    snprintf(text, sizeof(text), "%.1f%%", survival(site));
    lg_cell_text(table, is_known ? text : NULL);
}

static void add_row(struct lg_table *table, const struct lg_alloc_run *run,
                    const struct lg_alloc_query *query, const struct lg_alloc_sites *sites,
                    const struct lg_alloc_site *site)
{
    bool knows = lg_alloc_knows(run), is_made = query->by != LG_ALLOC_BY_HOLDER;
    lg_alloc_cell_living(table, site, knows);
    if (is_made)
        lg_alloc_cell_made(table, site);
    for (int i = 0; i < 3 && !is_made; i++) // What died is held by nobody.
        lg_cell_null(table);
    if (knows)
        lg_cell_number(table, site->retained);
    else
        lg_cell_null(table);
    cell_survival(table, site, knows && is_made);
    lg_cell_text(table, site->type);
    lg_cell_text(table, site->method);
    lg_cell_text(table, site->holder);
    lg_alloc_cell_frames(table, sites, site);
    lg_cell_text(table, what(site, query->by));
}

void lg_alloc_frame_line(struct lg_report *report, const struct lg_alloc_frame *frame)
{
    char place[512];
    const char *where = lg_alloc_place(frame, place, sizeof(place));
    lg_report_line(report, "    at %s%s%s%s%s%s%s", frame->method ? frame->method : "(unknown code)",
                   frame->source.file ? "" : where, frame->module ? " (" : "",
                   frame->module ? frame->module : "", frame->module ? ")" : "",
                   frame->source.file ? " in " : "", frame->source.file ? where : "");
}

void lg_alloc_add_frames(struct lg_report *report, const struct lg_alloc_sites *sites,
                         const struct lg_alloc_site *site)
{
    enum { SHOWN = 12 };
    for (uint32_t i = 0; i < site->stack_count && i < SHOWN; i++) {
        const struct lg_alloc_frame *frame = &sites->names.frames.at[sites->stacks.at[site->stack + i]];
        lg_alloc_frame_line(report, frame);
    }
    if (site->stack_count > SHOWN)
        lg_report_line(report, "    and %u more", site->stack_count - SHOWN);
    if (site->stack_count == 0)
        lg_report_line(report, "    at (no managed code)");
}

// Its figures; those of what was made first if that is what it is about.
static void add_figures(struct lg_report *report, const struct lg_alloc_site *site, bool all, bool knows)
{
    char bytes[LG_COMMAS_SIZE], least[LG_COMMAS_SIZE], most[LG_COMMAS_SIZE], count[LG_COMMAS_SIZE];
    double low, high;
    lg_alloc_interval(site->bytes, site->bytes_var, &low, &high);
    if (all || !knows)
        lg_report_line(report, "%s: %s bytes made in %s objects; %" PRIu64 " samples", site->type,
                       lg_commas(bytes, (uint64_t)(site->made_bytes + 0.5)),
                       site->unsized ? "an unknown number of"
                                     : lg_commas(count, (uint64_t)(site->made_count + 0.5)),
                       site->samples);
    if (!knows)
        return;
    if (site->survivors == 0) {
        lg_report_line(report, "    none of them is alive");
        return;
    }
    lg_report_line(report, "%s%s %s bytes alive (%s to %s) in %s objects", all ? "   " : site->type,
                   all ? "" : ":", lg_commas(bytes, (uint64_t)(site->bytes + 0.5)),
                   lg_commas(least, (uint64_t)low), lg_commas(most, (uint64_t)(high + 0.5)),
                   lg_commas(count, (uint64_t)(site->count + 0.5)));
    lg_report_line(report,
                   "    %" PRIu64 " of %" PRIu64 " samples (%.1f %%) are alive and retain %s bytes",
                   site->survivors, site->samples, survival(site), lg_commas(bytes, site->retained));
}

// A site in words: its figures, its stack, its holder.
static void add_site(struct lg_report *report, const struct lg_alloc_run *run,
                     const struct lg_alloc_query *query, const struct lg_alloc_sites *sites,
                     const struct lg_alloc_site *site)
{
    add_figures(report, site, query->all, lg_alloc_knows(run));
    lg_alloc_add_frames(report, sites, site);
    if (site->holder)
        lg_report_line(report, "    held by %s", site->holder);
    lg_report_line(report, "%s", "");
}

static void add_rows(const struct lg_alloc_run *run, const struct lg_alloc_query *query,
                     const struct lg_alloc_sites *sites, struct lg_report *report)
{
    bool as_table = query->by != LG_ALLOC_BY_SITE;
    size_t shown = query->top && query->top < sites->all.len ? query->top : sites->all.len;
    for (size_t i = 0; i < shown && !as_table; i++)
        add_site(report, run, query, sites, &sites->all.at[i]);
    struct lg_table *table = lg_report_table(report, as_table ? &site_spec : &hidden_spec);
    for (size_t i = 0; i < shown; i++)
        add_row(table, run, query, sites, &sites->all.at[i]);
    lg_report_truncated(report, "sites", sites->all.len - shown);
    struct lg_table *survivors = lg_report_table(report, &survivor_spec);
    for (size_t i = 0; i < sites->survivors.len; i++) {
        if (sites->survivors.at[i].site >= shown)
            continue;
        lg_cell_number(survivors, sites->survivors.at[i].address);
        lg_cell_number(survivors, sites->survivors.at[i].size);
        lg_cell_number(survivors, sites->survivors.at[i].site);
    }
}

static void add_facts(const struct lg_alloc_run *run, const struct lg_alloc_sites *sites,
                      struct lg_report *report)
{
    const struct lg_allocations *s = &run->samples;
    const struct lg_nettrace_facts *facts = lg_nettrace_facts(run->trace);
    if (s->samples)
        lg_report_fact_text(report, "sampling", s->uses_ticks ? "AllocationTick" : "AllocationSampled");
    else
        lg_report_fact_null(report, "sampling");
    lg_report_fact_text(report, "ended_by", run->ended_by);
    if (run->pid)
        lg_report_fact_real(report, "seconds", run->seconds);
    else
        lg_report_fact_null(report, "seconds");
    lg_report_fact_number(report, "samples", s->samples);
    lg_report_fact_number(report, "tracked", sites->tracked);
    lg_report_fact_number(report, "confirmed", sites->confirmed);
    lg_report_fact_number(report, "alive", sites->alive);
    lg_report_fact_number(report, "gcs", s->gcs);
    lg_report_fact_number(report, "background_gcs", s->background_gcs);
    lg_report_fact_number(report, "became_blocking", s->became_blocking);
    lg_report_fact_number(report, "moved", s->moved);
    lg_report_fact_number(report, "events", facts->events);
    lg_report_fact_number(report, "event_bytes", facts->bytes);
    lg_report_fact_number(report, "lost_events", facts->lost);
    lg_report_fact_number(report, "dropped_lost", s->dropped_lost);
    lg_report_fact_number(report, "missing_gcs", s->missing_gcs);
    lg_report_fact_number(report, "dropped_missing", s->dropped_missing);
    lg_report_fact_number(report, "dropped_confused", s->dropped_confused);
    lg_report_fact_number(report, "dropped_background", s->dropped_background);
    lg_report_fact_number(report, "dropped_window", s->dropped_window);
    lg_report_fact_number(report, "dropped_origins", s->dropped_origins);
    lg_report_fact_number(report, "unplaced", s->unplaced);
    lg_report_fact_number(report, "own_samples", sites->own_noise);
    lg_report_fact_number(report, "frames", sites->frames);
    lg_report_fact_number(report, "unknown_frames", sites->unresolved);
}

// Nobody has the PDBs of the class library.
static void add_line_notes(const struct lg_source_lines *lines, struct lg_report *report)
{
    enum { SHOWN = 5 };
    unsigned n = 0;
    for (size_t i = 0; i < lines->modules.len; i++) {
        const struct lg_source_pdb *pdb = &lines->modules.at[i];
        if (pdb->why_not && !lg_alloc_is_system(pdb->name) && n++ < SHOWN)
            lg_report_incomplete(report, "no lines of %s: %s", pdb->name[0] ? pdb->name : "a module",
                                 pdb->why_not);
    }
    if (n > SHOWN)
        lg_report_incomplete(report, "no lines of %u more modules", n - SHOWN);
}

static void add_notes(const struct lg_alloc_run *run, const struct lg_alloc_sites *sites,
                      struct lg_report *report)
{
    const struct lg_allocations *s = &run->samples;
    if (run->why_not)
        lg_report_incomplete(report, "which objects are alive is unknown: %s", run->why_not);
    else if (!run->is_frozen)
        lg_report_incomplete(report, "which objects are alive is unknown: a file has no memory to ask");
    if (s->lost_events)
        lg_report_incomplete(report,
                             "%" PRIu64 " events were lost: %" PRIu64
                             " samples made before are not followed any further",
                             s->lost_events, s->dropped_lost);
    if (s->missing_gcs)
        lg_report_incomplete(report,
                             "%" PRIu64 " GCs are not told (another tool's session can take them away, "
                             "and a region without GCs has a number, too): %" PRIu64
                             " samples made before were given up",
                             s->missing_gcs, s->dropped_missing);
    if (s->dropped_confused)
        lg_report_incomplete(report, "%" PRIu64 " samples were given up: events did not fit together",
                             s->dropped_confused);
    if (s->dropped_background)
        lg_report_incomplete(report,
                             "%" PRIu64 " samples were given up: they were young when a background GC "
                             "swept, and their room may have been used again",
                             s->dropped_background);
    if (s->dropped_window)
        lg_report_incomplete(report,
                             "%" PRIu64 " samples were given up: a GC ran when the process was copied",
                             s->dropped_window);
    if (s->dropped_origins)
        lg_report_incomplete(report, "%" PRIu64 " samples were not kept: too many different stacks",
                             s->dropped_origins);
    if (s->dropped_lost + s->dropped_missing + s->dropped_confused + s->dropped_background
        + s->dropped_window + s->dropped_origins)
        lg_report_incomplete(report, "what was given up is in no estimate of what is alive: "
                                     "these, and their bounds, may be too low");
    if (s->uses_ticks)
        lg_report_incomplete(report,
                             "this runtime samples every 100 KiB that a heap hands out, not by "
                             "chance: intervals are right if allocations are in no step with that");
    add_line_notes(&sites->names.lines, report);
    if (sites->unresolved)
        lg_report_incomplete(report, "%" PRIu64 " of %" PRIu64 " frames are of code that is not known",
                             sites->unresolved, sites->frames);
}

struct lg_error *lg_alloc_report(const struct lg_alloc_run *run, const struct lg_alloc_query *query,
                                 const struct lg_alloc_sites *sites, struct lg_report *report)
{
    char samples[LG_COMMAS_SIZE], gcs[LG_COMMAS_SIZE], alive[LG_COMMAS_SIZE];
    struct lg_error *err = NULL;
    add_facts(run, sites, report);
    if (query->tree)
        err = lg_alloc_tree(query, sites, lg_alloc_knows(run), report);
    else
        add_rows(run, query, sites, report);
    if (lg_alloc_knows(run))
        lg_report_line(report, "%s of %s samples are alive after %.1f s and %s GCs",
                       lg_commas(alive, sites->alive), lg_commas(samples, run->samples.samples),
                       run->seconds, lg_commas(gcs, run->samples.gcs));
    else
        lg_report_line(report, "%s samples, %s GCs", lg_commas(samples, run->samples.samples),
                       lg_commas(gcs, run->samples.gcs));
    add_notes(run, sites, report);
    return err;
}
