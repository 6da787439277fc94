#include "cli/session.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "cli/child.h"
#include "cli/collection.h"
#include "picture/picture.h"
#include "target/live.h"

struct lg_session {
    pthread_mutex_t lock; // Whoever changes `target`, or uses it from another thread, holds it.
    struct lg_target *target;
    struct lg_snapshot *snapshot; // The target, if it is one; else NULL.
    struct lg_clr *clr;
    struct lg_heap *heap;
    bool has_stats;
    struct lg_type_stats stats;
    struct lg_walk_result walk;
    struct lg_heap_graph *graph;
    struct lg_roots *roots;
    struct lg_reach *reach;
    struct lg_retention *retention;
    struct lg_made *made; // NULL: not followed, or of a snapshot not read yet
    char *dac_file;       // As lg_session_use_dac() has it.

    struct lg_gc_asked collected; // `count` 0: nobody asked for one.
    void *memory;                 // Borrowed from the runner.
    FILE *listener;               // The same; NULL: nobody.
    struct lg_sight *sight;       // Of a process that is looked at; else NULL.
    struct lg_pauses pauses;
    struct lg_child child;
    const char *_Atomic doing; // NULL: whatever the command does itself.
};

// Copies taken for one question. A GC is under way at 2 % of stops of a busy service, at 10 % of those
// of one that does nothing else (reference clr.md E): thirty in a row mean that it does not end.
enum { GC_TRIES = 30, GC_WAIT_MS = 3000, WALK_TRIES = 5 };

struct lg_session *lg_session_new(void)
{
    struct lg_session *session = calloc(1, sizeof(*session));
    if (session)
        pthread_mutex_init(&session->lock, NULL);
    return session;
}

// What the DAC had a part in.
static void forget_stacks(struct lg_session *session)
{
    lg_retention_free(session->retention);
    lg_reach_free(session->reach);
    lg_roots_free(session->roots);
    session->retention = NULL;
    session->reach = NULL;
    session->roots = NULL;
}

// All that was learnt of the picture that is open.
static void forget(struct lg_session *session)
{
    forget_stacks(session);
    lg_session_keep_made(session, NULL);
    lg_heap_graph_free(session->graph);
    if (session->has_stats)
        lg_type_stats_deinit(&session->stats);
    lg_heap_free(session->heap);
    lg_clr_free(session->clr);
    session->graph = NULL;
    session->has_stats = false;
    session->heap = NULL;
    session->clr = NULL;
}

static void add_pause(struct lg_pauses *pauses, double ms)
{
    if (ms < 0)
        return;
    pauses->count++;
    pauses->total_ms += ms;
    pauses->longest_ms = ms > pauses->longest_ms ? ms : pauses->longest_ms;
}

static void free_target(struct lg_session *session)
{
    pthread_mutex_lock(&session->lock);
    lg_target_free(session->target);
    session->target = NULL;
    session->snapshot = NULL;
    pthread_mutex_unlock(&session->lock);
}

static void close_target(struct lg_session *session)
{
    forget(session);
    session->pauses = lg_session_pauses(session);
    free_target(session);
}

struct lg_child *lg_session_child(struct lg_session *session)
{
    return &session->child;
}

void lg_session_close(struct lg_session *session)
{
    close_target(session);
}

void lg_session_free(struct lg_session *session)
{
    if (!session)
        return;
    close_target(session);
    lg_child_deinit(&session->child);
    free(session->dac_file);
    lg_sight_free(session->sight);
    pthread_mutex_destroy(&session->lock);
    free(session);
}

void lg_session_end(struct lg_session *session)
{
    pthread_mutex_lock(&session->lock);
    if (session->target)
        lg_live_end(session->target);
    pthread_mutex_unlock(&session->lock);
}

const char *lg_session_doing(const struct lg_session *session)
{
    const char *doing = session->doing;
    return doing ? doing : "working";
}

void lg_session_does(struct lg_session *session, const char *what)
{
    session->doing = what;
}

// ---- opening ----

static struct lg_error *retake(struct lg_session *session, unsigned delay_ms)
{
    session->doing = "taking another copy of the process";
    forget(session);
    session->pauses = lg_session_pauses(session);
    struct lg_error *err = lg_target_retake(session->target, delay_ms);
    if (err)
        free_target(session); // Its pauses are counted.
    return err;
}

// A copy taken while the runtime was changing a structure may not make sense; the next one will.
static bool is_passing(const struct lg_error *err)
{
    return lg_error_kind(err) == LG_ERR_CORRUPT || lg_error_kind(err) == LG_ERR_FAULT;
}

// What was given up for the target's sake is not to be taken again behind the user's back.
static bool can_retake(const struct lg_session *session)
{
    return lg_target_can_retake(session->target) && !lg_live_lost_reason(session->target)[0];
}

// Reads the runtime, of as many copies as it takes to see it between two collections.
static struct lg_error *open_clr(struct lg_session *session)
{
    unsigned waited = 0, delay = 2;
    for (unsigned tries = 1;; tries++) {
        const struct lg_clr_options options = { .dac = session->dac_file };
        struct lg_error *err = lg_clr_open(session->target, &options, &session->clr);
        bool again = can_retake(session) && tries < GC_TRIES && waited < GC_WAIT_MS;
        if (err && !(again && is_passing(err) && tries < WALK_TRIES))
            return err;
        lg_error_free(err);
        if (!err && !lg_clr_info(session->clr)->gc_in_progress)
            return NULL;
        if (!again)
            return lg_session_gc_error(session, tries, GC_WAIT_MS / 1000);
        err = retake(session, delay);
        if (err)
            return err;
        waited += delay;
        delay = delay < 200 ? delay * 2 : delay;
    }
}

static struct lg_error *open_heap(struct lg_session *session)
{
    session->doing = "reading the runtime";
    struct lg_error *err = open_clr(session);
    if (!err)
        err = lg_heap_open(session->clr, &session->heap);
    session->doing = NULL;
    return err;
}

static struct lg_error *open_heap_or_close(struct lg_session *session)
{
    struct lg_error *err = open_heap(session);
    const char *reason = lg_live_lost_reason(session->target);
    if (err && reason[0]) {
        lg_error_free(err);
        err = lg_error_new(LG_ERR_FAULT, "process %d %s", session->target->pid, reason);
    }
    if (err)
        close_target(session);
    return err;
}

static struct lg_error *begin(struct lg_session *session, const char *spec,
                              const struct lg_target_options *options)
{
    session->doing = "opening the target";
    close_target(session);
    session->pauses = (struct lg_pauses){ 0 };
    return lg_collect_first(spec, options, &session->collected);
}

struct lg_error *lg_session_collect(struct lg_session *session)
{
    bool live = session->target && session->target->kind == LG_TARGET_PROCESS;
    return live ? lg_collect(session->target->pid, &session->collected)
                : lg_error_new(LG_ERR_USAGE, "only a live process can make a collection");
}

const struct lg_gc_asked *lg_session_collected(const struct lg_session *session)
{
    return session->collected.count > 0 ? &session->collected : NULL;
}

// What a snapshot tells is all there: nothing is read of a runtime, and nothing taken again.
static struct lg_error *open_snapshot(struct lg_session *session, const char *path)
{
    struct lg_snapshot *snapshot;
    struct lg_error *err = lg_snapshot_open(path, &snapshot);
    if (err)
        return err;
    pthread_mutex_lock(&session->lock);
    session->snapshot = snapshot;
    session->target = lg_snapshot_target(snapshot);
    pthread_mutex_unlock(&session->lock);
    err = lg_snapshot_clr(snapshot, &session->clr);
    if (!err)
        err = lg_heap_open(session->clr, &session->heap);
    if (err)
        close_target(session);
    session->doing = NULL;
    return err;
}

static struct lg_error *open_live_or_core(struct lg_session *session, const char *spec,
                                          const struct lg_target_options *options,
                                          const struct lg_live_watch *watch)
{
    int pid;
    struct lg_error *err = lg_target_resolve(spec, &pid);
    if (err)
        return err;
    pthread_mutex_lock(&session->lock);
    err = pid > 0 ? lg_live_open_as(pid, options, watch, &session->target)
                  : lg_core_open_below(spec, options->sysroot, &session->target);
    pthread_mutex_unlock(&session->lock);
    return err;
}

// The look is the first thing of each copy, a retaken one too.
static struct lg_error *open_looked_at(struct lg_session *session, const char *spec,
                                       const struct lg_target_options *options)
{
    const struct lg_live_watch watch = { lg_sight_stopped, session->sight, LG_AFTER_COPY };
    return open_live_or_core(session, spec, options, &watch);
}

static struct lg_error *open_any(struct lg_session *session, const char *spec,
                                 const struct lg_target_options *options)
{
    pthread_mutex_lock(&session->lock);
    struct lg_error *err = lg_target_open(spec, options, &session->target);
    pthread_mutex_unlock(&session->lock);
    return err;
}

struct lg_error *lg_session_open(struct lg_session *session, const char *spec,
                                 const struct lg_target_options *options)
{
    struct lg_error *err = begin(session, spec, options);
    if (err)
        return err;
    if (lg_session_is_snapshot(spec))
        return open_snapshot(session, spec);
    err = session->sight ? open_looked_at(session, spec, options) : open_any(session, spec, options);
    return err ? err : open_heap_or_close(session);
}

struct lg_error *lg_session_adopt(struct lg_session *session, struct lg_target *target)
{
    lg_error_free(begin(session, NULL, NULL)); // Nothing is asked of it.
    pthread_mutex_lock(&session->lock);
    session->target = target;
    pthread_mutex_unlock(&session->lock);
    return open_heap_or_close(session);
}

struct lg_error *lg_session_refresh(struct lg_session *session)
{
    if (!session->target || !lg_target_can_retake(session->target))
        return lg_error_new(LG_ERR_USAGE, "only a live process can be looked at again");
    struct lg_error *err = retake(session, 0);
    return err ? err : open_heap_or_close(session);
}

struct lg_error *lg_session_open_watched(struct lg_session *session, const char *spec,
                                         const struct lg_target_options *options, bool managed,
                                         const struct lg_live_watch *watch, char **why_ret)
{
    *why_ret = NULL;
    struct lg_error *err = begin(session, spec, options);
    if (err)
        return err;
    if (lg_session_is_snapshot(spec))
        return open_snapshot(session, spec);
    err = open_live_or_core(session, spec, options, watch);
    if (!err && managed) {
        session->doing = "reading the runtime";
        err = open_clr(session);
    }
    session->doing = NULL;
    if (!err || !session->target || lg_error_kind(err) == LG_ERR_NO_MEMORY
        || lg_error_kind(err) == LG_ERR_CANCELLED)
        return err;
    // Whatever else is the matter with the runtime: the process has its memory all the same.
    lg_clr_free(session->clr);
    session->clr = NULL;
    *why_ret = strdup(lg_error_message(err));
    lg_error_free(err);
    return *why_ret ? NULL : &lg_no_memory;
}

struct lg_error *lg_session_refresh_watched(struct lg_session *session,
                                            const struct lg_live_watch *watch)
{
    if (session->target)
        lg_live_set_watch(session->target, watch);
    struct lg_error *err = lg_session_refresh(session);
    if (session->target)
        lg_live_set_watch(session->target, NULL);
    return err;
}

// Takes another copy if the walk of this one was not exact: true if there is a new one to walk.
static struct lg_error *walk_again(struct lg_session *session, const struct lg_walk_result *walk,
                                   unsigned tries, bool *ret)
{
    *ret = !lg_walk_is_exact(walk) && can_retake(session) && tries < WALK_TRIES;
    if (!*ret)
        return NULL;
    struct lg_error *err = retake(session, 10 * tries);
    return err ? err : open_heap_or_close(session);
}

// ---- asking ----

struct lg_target *lg_session_target(const struct lg_session *session)
{
    return session->target;
}
struct lg_clr *lg_session_clr(const struct lg_session *session)
{
    return session->clr;
}
struct lg_heap *lg_session_heap(const struct lg_session *session)
{
    return session->heap;
}
void lg_session_listen(struct lg_session *session, FILE *out)
{
    session->listener = out;
}

FILE *lg_session_listener(const struct lg_session *session)
{
    return session->listener;
}

struct lg_pauses lg_session_pauses(const struct lg_session *session)
{
    struct lg_pauses pauses = session->pauses;
    if (session->target)
        add_pause(&pauses, lg_live_pause_ms(session->target));
    return pauses;
}

static struct lg_error *make_stats(struct lg_session *session)
{
    bool again = !lg_snapshot_has_findings(session->snapshot);
    struct lg_error *err = NULL;
    if (!again)
        err = lg_snapshot_stats(session->snapshot, session->clr, &session->stats, &session->walk);
    session->has_stats = !again && !err;
    for (unsigned tries = 1; again && !err; tries++) {
        session->doing = "walking the heap";
        err =
            lg_heap_stats(session->heap, &(struct lg_walk_filter){ 0 }, &session->stats, &session->walk);
        session->doing = NULL;
        session->has_stats = !err;
        if (!err) // A graph that there is belongs to this copy, and somebody may hold it.
            err = walk_again(session, &session->walk, session->graph ? WALK_TRIES : tries, &again);
    }
    return err;
}

struct lg_error *lg_session_stats(struct lg_session *session, const struct lg_type_stats **ret,
                                  const struct lg_walk_result **result_ret)
{
    struct lg_error *err = session->has_stats ? NULL : make_stats(session);
    *ret = &session->stats;
    *result_ret = &session->walk;
    return err;
}

static struct lg_error *make_graph(struct lg_session *session, enum lg_graph_form form)
{
    struct lg_error *err = NULL;
    bool again = !session->graph;
    for (unsigned tries = 1; again && !err; tries++) {
        session->doing = "building the graph";
        err = lg_heap_graph_build(session->heap, form, &session->graph);
        session->doing = NULL;
        if (!err)
            err = walk_again(session, &session->graph->walk, tries, &again);
    }
    return err;
}

struct lg_error *lg_session_graph(struct lg_session *session, const struct lg_heap_graph **ret)
{
    struct lg_error *err = make_graph(session, LG_GRAPH_REVERSED);
    if (!err)
        err = lg_heap_graph_need(session->graph, LG_GRAPH_REVERSED);
    *ret = session->graph;
    return err;
}

struct lg_error *lg_session_index(struct lg_session *session, const struct lg_heap_graph **ret)
{
    struct lg_error *err = make_graph(session, LG_GRAPH_FORWARD);
    *ret = session->graph;
    return err;
}

struct lg_error *lg_session_dac(struct lg_session *session, struct lg_dac **ret)
{
    session->doing = "starting the DAC";
    struct lg_error *err = lg_clr_dac(session->clr, ret);
    session->doing = NULL;
    return err;
}

struct lg_error *lg_session_look(struct lg_session *session)
{
    if (!session->sight)
        session->sight = lg_sight_new();
    return session->sight ? NULL : &lg_no_memory;
}

struct lg_error *lg_session_picture(struct lg_session *session, bool nameless, struct lg_picture **ret)
{
    const struct lg_picture_options options = { .nameless = nameless, .detail = true };
    bool live = session->target->kind == LG_TARGET_PROCESS;
    if (session->snapshot)
        return lg_snapshot_picture(session->snapshot, ret);
    if (live && !session->sight)
        return lg_error_new(LG_ERR_UNSUPPORTED, "the process was not looked at before it was copied");
    session->doing = "looking at its memory";
    struct lg_error *err =
        lg_picture_make(live ? session->sight : NULL, session->target, session->clr, &options, ret);
    session->doing = NULL;
    return err;
}

struct lg_error *lg_session_use_dac(struct lg_session *session, const char *file)
{
    if (!file || (session->dac_file && strcmp(file, session->dac_file) == 0))
        return NULL;
    char *copy = strdup(file);
    if (!copy)
        return &lg_no_memory;
    free(session->dac_file);
    session->dac_file = copy;
    forget_stacks(session);
    return session->clr ? lg_clr_use_dac(session->clr, file) : NULL;
}

static struct lg_error *collect_roots(struct lg_session *session, const struct lg_heap_graph *graph)
{
    struct lg_dac *dac = NULL;
    _cleanup_(lg_roots_freep) struct lg_roots *roots = NULL;
    struct lg_error *no_dac = lg_session_dac(session, &dac);
    if (no_dac && lg_error_kind(no_dac) != LG_ERR_UNSUPPORTED)
        return no_dac;
    session->doing = "looking for roots";
    struct lg_error *err = lg_roots_collect(session->heap, graph->index, dac,
                                            no_dac ? lg_error_message(no_dac) : NULL, &roots);
    lg_error_free(no_dac);
    if (!err)
        err = lg_roots_add_gaps(roots, graph);
    if (!err)
        session->roots = lg_steal(roots);
    session->doing = NULL;
    return err;
}

struct lg_error *lg_session_roots(struct lg_session *session, const struct lg_roots **ret)
{
    const struct lg_heap_graph *graph;
    struct lg_error *err = NULL;
    if (session->snapshot && !session->roots)
        err = lg_snapshot_roots(session->snapshot, session->clr, &session->roots);
    if (!session->snapshot)
        err = lg_session_index(session, &graph);
    if (!err && !session->roots)
        err = collect_roots(session, graph);
    *ret = session->roots;
    return err;
}

struct lg_error *lg_session_reach(struct lg_session *session, const struct lg_reach **ret)
{
    const struct lg_roots *roots;
    struct lg_error *err = make_graph(session, LG_GRAPH_FORWARD);
    if (!err)
        err = lg_session_roots(session, &roots);
    session->doing = "looking for what is alive";
    if (!err && !session->reach)
        err = lg_reach_find(session->graph, roots, &session->reach);
    session->doing = NULL;
    *ret = session->reach;
    return err;
}

struct lg_error *lg_session_retention(struct lg_session *session, const struct lg_retention **ret)
{
    const struct lg_reach *reach;
    struct lg_error *err = lg_session_reach(session, &reach);
    session->doing = "computing retained sizes";
    if (!err && !session->retention)
        err = lg_retention_find(reach, session->roots, &session->retention);
    session->doing = NULL;
    *ret = session->retention;
    return err;
}

struct lg_error *lg_session_summary(struct lg_session *session, const struct lg_summary **ret)
{
    *ret = NULL;
    return session->snapshot ? lg_snapshot_summary(session->snapshot, ret) : NULL;
}

struct lg_error *lg_session_made(struct lg_session *session, const struct lg_made **ret)
{
    struct lg_error *err =
        session->snapshot && !session->made ? lg_snapshot_made(session->snapshot, &session->made) : NULL;
    *ret = session->made;
    return err;
}

void lg_session_keep_made(struct lg_session *session, struct lg_made *made)
{
    lg_made_free(session->made);
    session->made = made;
}

const struct lg_snapshot *lg_session_snapshot(const struct lg_session *session)
{
    return session->snapshot;
}

// ---- reporting ----

void lg_session_remember(struct lg_session *session, void *memory)
{
    session->memory = memory;
}

void *lg_session_memory(const struct lg_session *session)
{
    return session->memory;
}
