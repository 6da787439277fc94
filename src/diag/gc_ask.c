// A full collection on request: a session with the keyword GCHeapCollect has one made at its start. Up
// to .NET 10 the answer comes after it; .NET 11 answers first, so its events are waited for. Before .NET
// 10 the end of the session has another made (dotnet/runtime issue 99487), which is waited for as well.
#include "diag/diag_priv.h"
#include "diag/gc.h"

enum { REASON_INDUCED = 1, FULL = 2, NOTHING_MS = 5000 };

struct asked {
    struct lg_gc_follower *follower;
    struct lg_gc_asked ret;
    bool begun; // Something is going on in the runtime's GC.
};

static struct lg_error *note_collection(void *self, const struct lg_gc *gc)
{
    struct asked *asked = self;
    if (gc->generation != FULL || gc->reason != REASON_INDUCED || gc->kind == LG_GC_BACKGROUND)
        return NULL;
    if (asked->ret.count++ == 0)
        asked->ret.before = gc->has_history ? lg_gc_before(gc) : UINT64_MAX;
    asked->ret.after = gc->has_history ? lg_gc_after(gc) : UINT64_MAX;
    if (gc->pause_ms < 0)
        asked->ret.pause_ms = -1;
    else if (asked->ret.pause_ms >= 0)
        asked->ret.pause_ms += gc->pause_ms;
    return NULL;
}

static struct lg_error *take_event(void *self, const struct lg_event *event)
{
    struct asked *asked = self;
    asked->begun |= event->kind->provider == LG_PROVIDER_RUNTIME;
    return lg_gc_follower_event(asked->follower, event);
}

static void take_loss(void *self, const struct lg_event_loss *loss)
{
    (void)loss;
    lg_gc_follower_lost(((struct asked *)self)->follower);
}

static struct lg_error *timed_out(int64_t until)
{
    return lg_ipc_now_ms() < until ? NULL
                                   : lg_error_new(LG_ERR_OS, "the collection took too long; it goes on");
}

// Until there was one, or it is clear that none comes.
static struct lg_error *wait_for_it(struct lg_diag_session *session, struct lg_nettrace *trace,
                                    struct asked *asked, int64_t until)
{
    int64_t begun_until = lg_ipc_now_ms() + NOTHING_MS;
    while (asked->ret.count == 0 && !session->ended) {
        struct lg_error *err = lg_diag_feed(session, trace, LG_DIAG_QUIET_MS);
        if (!err)
            err = timed_out(until);
        if (err)
            return err;
        if (!asked->begun && lg_ipc_now_ms() > begun_until)
            return NULL;
    }
    return NULL;
}

static struct lg_error *end(const struct lg_diag *diag, struct lg_diag_session *session,
                            struct lg_nettrace *trace, int64_t until)
{
    struct lg_error *err = lg_diag_stop(diag, session);
    while (!err && !session->ended) {
        err = lg_diag_feed(session, trace, LG_DIAG_QUIET_MS);
        if (!err)
            err = timed_out(until);
    }
    return err ? err : lg_diag_stopped(diag, session);
}

static struct lg_error *none(const struct lg_diag *diag)
{
    if (lg_diag_starts_suspended(diag))
        return lg_error_new(LG_ERR_OS,
                            "the runtime made no collection: it waits at its start to be let go "
                            "(DOTNET_DefaultDiagnosticPortSuspend, DOTNET_DiagnosticPorts)");
    return lg_error_new(LG_ERR_OS, "the runtime made no collection; it may be starting, or ending");
}

static struct lg_error *ask(const struct lg_diag *diag, int timeout_ms, struct asked *asked,
                            struct lg_diag_session *session)
{
    const struct lg_diag_provider provider = { .name = LG_DIAG_RUNTIME,
                                               .keywords = LG_GC_KEYWORD | LG_GC_COLLECT_KEYWORD,
                                               .level = LG_DIAG_INFO };
    const struct lg_diag_request request = { .providers = &provider,
                                             .provider_count = 1,
                                             .reply_ms = timeout_ms };
    const struct lg_event_handler handler = { asked, take_event, take_loss };
    const struct lg_gc_listener listener = { asked, note_collection };
    int64_t start = lg_ipc_now_ms(), until = start + timeout_ms;
    _cleanup_(lg_nettrace_freep) struct lg_nettrace *trace = NULL;
    struct lg_error *err = lg_nettrace_new(&handler, LG_NETTRACE_IN_ORDER, &trace);
    if (!err)
        err = lg_gc_follower_new(&listener, trace, &asked->follower);
    if (!err)
        err = lg_diag_collect(diag, &request, session);
    if (!err)
        err = wait_for_it(session, trace, asked, until);
    if (!err)
        err = end(diag, session, trace, until);
    asked->ret.ended = lg_ipc_now_ms();
    asked->ret.ms = (double)(asked->ret.ended - start);
    return err || asked->ret.count > 0 ? err : none(diag);
}

struct lg_error *lg_gc_ask(const struct lg_diag *diag, int timeout_ms, struct lg_gc_asked *ret)
{
    struct asked asked = { .ret = { .before = UINT64_MAX, .after = UINT64_MAX } };
    struct lg_diag_session session = { .fd = -1, .stop_fd = -1 };
    struct lg_error *err = ask(diag, timeout_ms, &asked, &session);
    lg_diag_close(&session);
    lg_gc_follower_free(asked.follower);
    if (!err)
        *ret = asked.ret;
    return err;
}
