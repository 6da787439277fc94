// What takes longer than a second says so: "building the graph: 3 s", on one line of a terminal's
// standard error, gone when it is done. Elsewhere nothing is said.
#ifndef LG_CLI_PROGRESS_H
#define LG_CLI_PROGRESS_H

#include "cli/session.h"

struct lg_progress;

// NULL if there is no terminal, or nothing to do it with: then there is no progress to see.
struct lg_progress *lg_progress_begin(const struct lg_session *session);
void lg_progress_end(struct lg_progress *progress); // NULL is allowed

#endif
