// The closing paragraph: what stands out, in words and computed.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/vadump.h"
#include "clr/memory.h"

enum { SIZE_TEXT = 32 };

static const char *size_text(char buf[SIZE_TEXT], uint64_t bytes)
{
    double value = (double)bytes / 1024;
    const char *units[] = { "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;
    for (; value >= 1024 && unit < 3; unit++)
        value /= 1024;
    snprintf(buf, SIZE_TEXT, value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return buf;
}

static double share(const struct lg_picture *picture, uint64_t bytes)
{
    return picture->total.resident > 0 ? (double)bytes * 100 / (double)picture->total.resident : 0;
}

static uint64_t resident_of_kind(const struct lg_picture *picture, const char *kind)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < picture->parts.len; i++)
        sum +=
            strcmp(picture->parts.at[i].owner->kind, kind) == 0 ? picture->parts.at[i].sum.resident : 0;
    return sum;
}

static void say_managed(struct lg_vadump_view *view)
{
    const struct lg_picture *picture = view->picture;
    char a[SIZE_TEXT], b[SIZE_TEXT];
    uint64_t in_use = resident_of_kind(picture, "GC heap"),
             free = resident_of_kind(picture, "GC committed, free");
    const char *rss = picture->is_core ? "what the core holds" : "RSS";
    char last[48] = "";
    double seconds;
    if (lg_clr_last_gc(view->clr, &seconds)) {
        lg_report_fact_real(view->report, "last_gc_s", seconds);
        snprintf(last, sizeof(last), " (last GC %.0f s ago)", seconds);
    }
    lg_report_line(view->report,
                   "Managed heap: %s, %.0f %% of %s; %s more are committed by the GC but free%s.",
                   size_text(a, in_use), share(picture, in_use), rss, size_text(b, free), last);
    if (picture->written_twice > 0)
        lg_report_line(
            view->report,
            "Executable memory that is mapped a second time to be written: %s; RSS counts these "
            "pages twice.",
            size_text(a, picture->written_twice));
}

static void say_malloc(struct lg_vadump_view *view)
{
    const struct lg_picture *picture = view->picture;
    char a[SIZE_TEXT], b[SIZE_TEXT];
    uint64_t size = 0, free = 0, resident = resident_of_kind(picture, "malloc arena");
    size_t known = 0;
    for (size_t i = 0; i < picture->arenas.len; i++) {
        known += picture->arenas.at[i].is_known;
        size += picture->arenas.at[i].size;
        free += picture->arenas.at[i].free;
    }
    const char *s = picture->arenas.len == 1 ? "" : "s";
    if (known > 0 && known == picture->arenas.len)
        lg_report_line(view->report, "%zu malloc heap%s of %s, %s of it free; %s are resident.", known,
                       s, size_text(a, size), size_text(b, free),
                       size_text((char[SIZE_TEXT]){ 0 }, resident));
    else if (picture->arenas.len > 0)
        lg_report_line(view->report, "%zu malloc heap%s of %s; %s are resident.", picture->arenas.len, s,
                       size_text(a, size), size_text(b, resident));
}

static void say_unknown(struct lg_vadump_view *view)
{
    char a[SIZE_TEXT];
    uint64_t sum = 0;
    for (size_t i = 0; i < view->picture->parts.len; i++) {
        const struct lg_part *part = &view->picture->parts.at[i];
        sum += part->owner->is_unknown ? part->sum.resident : 0;
    }
    lg_report_fact_number(view->report, "unknown", sum);
    lg_report_line(view->report, "Anonymous memory of unknown owner: %s, %.1f %%.", size_text(a, sum),
                   share(view->picture, sum));
}

static void add_malloc_facts(const struct lg_vadump_view *view)
{
    static const struct lg_column columns[] = {
        { "address", "ADDRESS", LG_CELL_ADDRESS },
        { "size", "SIZE", LG_CELL_BYTES },
        { "free", "FREE", LG_CELL_BYTES },
    };
    static const struct lg_table_spec spec = LG_TABLE_SPEC("malloc_heaps", columns, LG_TABLE_HIDDEN);
    struct lg_table *table = lg_report_table(view->report, &spec);
    for (size_t i = 0; i < view->picture->arenas.len; i++) {
        const struct lg_arena_use *use = &view->picture->arenas.at[i];
        lg_cell_number(table, use->address);
        lg_cell_number(table, use->size);
        if (use->is_known)
            lg_cell_number(table, use->free);
        else
            lg_cell_null(table);
    }
}

void lg_vadump_words(struct lg_vadump_view *view)
{
    lg_report_line(view->report, "%s", "");
    if (view->clr)
        say_managed(view);
    say_malloc(view);
    say_unknown(view);
    if (view->detail)
        add_malloc_facts(view);
}
