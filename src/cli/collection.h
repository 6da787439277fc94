// `--gc`: a full collection before a look.
#ifndef LG_CLI_COLLECTION_H
#define LG_CLI_COLLECTION_H

#include "diag/gc.h"
#include "target/target.h"

// Has the runtime of a process make one, and waits for it.
LG_MUST_CHECK struct lg_error *lg_collect(int pid, struct lg_gc_asked *ret);
// What the options ask for, of the process that a target's name names; `*ret` has none if there was
// none.
LG_MUST_CHECK struct lg_error *
lg_collect_first(const char *spec, const struct lg_target_options *options, struct lg_gc_asked *ret);
// Has what is open make one, and looks at it again.
struct lg_session;
LG_MUST_CHECK struct lg_error *lg_collect_and_refresh(struct lg_session *session);
// "full collection first, paused 41.0 ms, …"; NULL: out of memory. Owned.
char *lg_collection_words(const struct lg_gc_asked *asked);

#endif
