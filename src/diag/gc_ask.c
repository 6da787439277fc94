// A full collection on request: a session with the keyword GCHeapCollect has one made at its start. The
// thread that takes commands makes it: up to .NET 10 before it answers, .NET 11 after (dotnet/runtime
// pull request 129457). So whatever the events tell, or fail to, the session's end, which is asked for
// at once, comes after the collection. Before .NET 10 that end has another made (dotnet/runtime issue
// 99487).
#include "diag/diag_priv.h"
#include "diag/gc.h"

enum { GC_START = 1, REASON_INDUCED = 1, FULL = 2 };

struct asked {
    struct lg_gc_follower *follower;
    struct lg_gc_asked ret;
    unsigned whole;       // How many of them were seen to their end.
    uint64_t first, last; // their numbers
};

static bool is_asked_for(uint32_t generation, uint32_t reason, enum lg_gc_kind kind)
{
    return generation == FULL && reason == REASON_INDUCED && kind != LG_GC_BACKGROUND;
}

static struct lg_error *note_collection(void *self, const struct lg_gc *gc)
{
    struct asked *asked = self;
    if (!is_asked_for(gc->generation, gc->reason, gc->kind))
        return NULL;
    asked->whole++;
    if (gc->number == asked->first && gc->has_history)
        asked->ret.before = lg_gc_before(gc);
    if (gc->number == asked->last && gc->has_history)
        asked->ret.after = lg_gc_after(gc);
    if (gc->pause_ms < 0)
        asked->ret.pause_ms = -1;
    else if (asked->ret.pause_ms >= 0)
        asked->ret.pause_ms += gc->pause_ms;
    return NULL;
}

// What of it is seen later may be less than all.
static void note_start(struct asked *asked, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    uint64_t number = lg_read_u32(&r);
    uint32_t generation = lg_read_u32(&r), reason = lg_read_u32(&r), kind = lg_read_u32(&r);
    if (r.failed || kind > LG_GC_FOREGROUND || !is_asked_for(generation, reason, (enum lg_gc_kind)kind))
        return;
    if (asked->ret.count++ == 0)
        asked->first = number;
    asked->last = number;
    asked->ret.after = UINT64_MAX;
}

static struct lg_error *take_event(void *self, const struct lg_event *event)
{
    struct asked *asked = self;
    if (event->kind->provider == LG_PROVIDER_RUNTIME && event->kind->id == GC_START)
        note_start(asked, event);
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
    return lg_error_new(LG_ERR_OS,
                        "the runtime told of no collection; it may be starting, or ending, or "
                        "its events were lost (a session of another tool that ends can take "
                        "them away)");
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
        err = end(diag, session, trace, until);
    unsigned unfinished;
    if (!err)
        err = lg_gc_follower_finish(asked->follower, &unfinished);
    if (asked->whole < asked->ret.count)
        asked->ret.pause_ms = -1;
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
