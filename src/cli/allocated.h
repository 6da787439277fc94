// "Allocated at": where an object was made, of a target that was followed.
#ifndef LG_CLI_ALLOCATED_H
#define LG_CLI_ALLOCATED_H

#include "cli/session.h"

// Nothing of a target that was not followed.
LG_MUST_CHECK struct lg_error *lg_report_allocated(struct lg_session *session, struct lg_report *report,
                                                   uint64_t address);
// A line for a frame, and the cells of a table of frames.
void lg_made_line(struct lg_report *report, const struct lg_made_frame *frame);
extern const struct lg_table_spec lg_made_frames;
void lg_made_cells(struct lg_table *frames, const struct lg_made_frame *frame);

#endif
