#include "cli/collection.h"

#include <stdio.h>

#include "cli/support.h"
#include "target/live.h"

// An hour: whoever does not want to wait for a collection that has begun presses Ctrl-C; it goes on.
enum { COLLECTION_MS = 3600 * 1000 };

struct lg_error *lg_collect(int pid, struct lg_gc_asked *ret)
{
    _cleanup_(lg_diag_freep) struct lg_diag *diag = NULL;
    struct lg_error *err = lg_diag_open(pid, &diag);
    if (!err)
        err = lg_gc_ask(diag, COLLECTION_MS, ret);
    return lg_error_context(err, "--gc");
}

// It has a runtime, which has a socket.
static struct lg_error *check(int pid)
{
    _cleanup_(lg_diag_freep) struct lg_diag *diag = NULL;
    return lg_error_context(lg_diag_open(pid, &diag), "--gc");
}

struct lg_error *lg_collect_first(const char *spec, const struct lg_target_options *options,
                                  struct lg_gc_asked *ret)
{
    int pid;
    *ret = (struct lg_gc_asked){ 0 };
    if (!options || options->collect == LG_COLLECT_NOT)
        return NULL;
    struct lg_error *err = lg_target_resolve(spec, &pid);
    if (err)
        return err;
    if (pid == 0)
        return lg_error_new(LG_ERR_USAGE, "--gc: '%s' is no running process", spec);
    return options->collect == LG_COLLECT_LATER ? check(pid) : lg_collect(pid, ret);
}

struct lg_error *lg_collect_and_refresh(struct lg_session *session)
{
    // One that was not copied stands still for us, and could not answer.
    bool waits = lg_session_target(session) && lg_live_reads_process(lg_session_target(session));
    if (waits)
        lg_session_end(session);
    struct lg_error *err = lg_session_collect(session);
    if (err && !waits)
        return err;
    struct lg_error *unseen = lg_session_refresh(session);
    if (!err)
        return unseen;
    lg_error_free(unseen);
    return err;
}

char *lg_collection_words(const struct lg_gc_asked *asked)
{
    char before[LG_COMMAS_SIZE], after[LG_COMMAS_SIZE], made[48] = "", sizes[128] = "";
    char pause[48] = "for an unknown time", *words;
    if (asked->pause_ms >= 0)
        snprintf(pause, sizeof(pause), "%.1f ms", asked->pause_ms);
    if (asked->count > 1)
        snprintf(made, sizeof(made), " (the runtime made %u)", asked->count);
    if (asked->before != UINT64_MAX && asked->after != UINT64_MAX)
        snprintf(sizes, sizeof(sizes), ": the heap had %s bytes, then %s",
                 lg_commas(before, asked->before), lg_commas(after, asked->after));
    return asprintf(&words, "full collection first, paused %s, %.0f ms in all%s%s", pause, asked->ms,
                    made, sizes)
                   < 0
               ? NULL
               : words;
}
