#include "cli/allocated.h"

#include <inttypes.h>

#include "cli/alloc.h"

static const struct lg_column frame_columns[] = {
    { "method", "Method", LG_CELL_TEXT, -1 }, { "il", "IL", LG_CELL_COUNT, 0 },
    { "module", "Module", LG_CELL_TEXT, -1 }, { "file", "File", LG_CELL_TEXT, -1 },
    { "line", "Line", LG_CELL_COUNT, 0 },
};
const struct lg_table_spec lg_made_frames = LG_TABLE_SPEC("stack", frame_columns, LG_TABLE_HIDDEN);
static const struct lg_table_spec at_spec =
    LG_TABLE_SPEC("allocated_at", frame_columns, LG_TABLE_HIDDEN);

static struct lg_alloc_frame in_words(const struct lg_made_frame *frame)
{
    return (struct lg_alloc_frame){ .method = frame->method,
                                    .module = frame->module,
                                    .il = frame->il,
                                    .source = { .file = frame->file, .line = frame->line } };
}

void lg_made_cells(struct lg_table *frames, const struct lg_made_frame *frame)
{
    const struct lg_alloc_frame told = in_words(frame);
    lg_alloc_frame_cells(frames, &told);
}

void lg_made_line(struct lg_report *report, const struct lg_made_frame *frame)
{
    const struct lg_alloc_frame told = in_words(frame);
    lg_alloc_frame_line(report, &told);
}

struct lg_error *lg_report_allocated(struct lg_session *session, struct lg_report *report,
                                     uint64_t address)
{
    const struct lg_made *made;
    struct lg_error *err = lg_session_made(session, &made);
    if (err || !made)
        return err;
    const struct lg_made_object *object = lg_made_find(made, address);
    if (!object) {
        lg_report_fact_null(report, "allocated_at");
        lg_report_line(report,
                       "Allocated at: not known; it is none of the %zu objects that were sampled",
                       made->objects.len);
        return NULL;
    }
    const struct lg_made_site *site = &made->sites.at[object->site];
    struct lg_table *table = lg_report_table(report, &at_spec);
    lg_report_line(report, "Allocated at:");
    for (uint32_t i = 0; i < site->count; i++) {
        const struct lg_made_frame *frame = &made->frames.at[made->stacks.at[site->stack + i]];
        lg_made_cells(table, frame);
        lg_made_line(report, frame);
    }
    if (site->count == 0)
        lg_report_line(report, "    at (no managed code)");
    return NULL;
}
