// Snapshots of the target of a session, for other commands that write them.
#ifndef LG_CLI_TAKE_H
#define LG_CLI_TAKE_H

#include "cli/session.h"

// With where its sampled objects were made; an error if the session does not know.
LG_MUST_CHECK struct lg_error *lg_take_snapshot(struct lg_session *session, const char *path,
                                                struct lg_snapshot_figures *ret);

#endif
