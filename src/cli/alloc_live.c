// Follows a process: a session over its diagnostics socket, and at the end a copy of its memory.
//
//     session   ──────────────────────────────────────────────┐ stop ──► rundown: methods
//     read here ───────────────┤ read by a thread, kept       ├─ the rest
//                              │ copy, graph, perhaps another copy
//                              └─ the window, in which the copy was made: known when its graph is
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "cli/alloc.h"
#include "target/proc.h"
#include "target/threads.h"
#include "util/cancel.h"

enum { STEP_MS = 100, DRAIN_MS = 60000, MARGIN_NS = 1000000 };

struct follow {
    struct lg_alloc_run *run;
    struct lg_diag *diag;
    struct lg_diag_session session;
    const struct lg_target_options *options; // of the copies
    uint64_t asked_at, answered_at;          // CLOCK_MONOTONIC, around the begin of the session
};

static uint64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

// ---- threads of the GC, by the names that the runtime gives them ----

static bool read_comm(int pid, uint64_t tid, char *buf, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%" PRIu64 "/comm", pid, tid);
    FILE *f = fopen(path, "re");
    bool known = f && fgets(buf, (int)size, f);
    if (f)
        fclose(f);
    return known;
}

static bool has_own_pids(int pid)
{
    char path[64], line[4096];
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(line, 1, sizeof(line) - 1, f) : 0;
    line[n] = 0;
    if (f)
        fclose(f);
    return lg_threads_ns_pid(line, (uint32_t)pid) != (uint32_t)pid;
}

static enum lg_thread_sort thread_sort(void *data, uint64_t thread)
{
    const struct lg_alloc_run *run = data;
    char name[32];
    if (has_own_pids(run->pid) || !read_comm(run->pid, thread, name, sizeof(name)))
        return LG_THREAD_UNKNOWN;
    return strncmp(name, ".NET BGC", 8) == 0 ? LG_THREAD_BACKGROUND_GC : LG_THREAD_OTHER;
}

// ---- the session ----

// A runtime that can filter events has AllocationSampled too: both are .NET 10's.
static struct lg_diag_provider sampled(void)
{
    return (struct lg_diag_provider){ .name = LG_DIAG_RUNTIME,
                                      .keywords = LG_ALLOC_KEYWORDS | LG_ALLOC_KEYWORD_SAMPLED,
                                      .level = LG_DIAG_INFO,
                                      .events = lg_alloc_events,
                                      .event_count = lg_alloc_event_count };
}

static struct lg_diag_provider handles(void)
{
    return (struct lg_diag_provider){ .name = LG_DIAG_RUNTIME,
                                      .keywords = LG_HANDLE_KEYWORDS,
                                      .level = LG_DIAG_INFO,
                                      .events = lg_handle_events,
                                      .event_count = lg_handle_event_count };
}

static struct lg_error *begin(struct follow *follow, uint32_t buffer_mb)
{
    const struct lg_diag_provider ticks = { .name = LG_DIAG_RUNTIME,
                                            .keywords = LG_ALLOC_KEYWORDS,
                                            .level = LG_DIAG_VERBOSE };
    const struct lg_diag_provider provider = follow->run->handles ? handles() : sampled();
    const struct lg_diag_request request = { .providers = &provider,
                                             .unfiltered = follow->run->handles ? NULL : &ticks,
                                             .provider_count = 1,
                                             .buffer_mb = buffer_mb,
                                             .rundown = LG_DIAG_RUNDOWN_ALL,
                                             .stacks = true };
    follow->asked_at = now(CLOCK_MONOTONIC);
    struct lg_error *err = lg_diag_collect(follow->diag, &request, &follow->session);
    follow->answered_at = now(CLOCK_MONOTONIC);
    return err;
}

static uint64_t rss_of(int pid)
{
    char path[64];
    unsigned long long size, resident = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

// Why it is time to end; NULL: it is not.
static const char *is_enough(const struct follow *follow, const struct lg_alloc_query *query)
{
    if (follow->session.ended)
        return "the end of the session";
    if (lg_cancel_flag == SIGINT)
        return "an interrupt";
    if (query->for_ms && now(CLOCK_MONOTONIC) - follow->answered_at >= query->for_ms * 1000000)
        return "-for";
    if (query->until_rss && rss_of(follow->run->pid) >= query->until_rss)
        return "-until-rss";
    if (query->max_bytes && lg_nettrace_facts(follow->run->trace)->bytes >= query->max_bytes)
        return "-max-bytes";
    return NULL;
}

static struct lg_error *read_step(struct follow *follow)
{
    static char buf[1 << 18];
    size_t len;
    struct lg_error *err = lg_diag_read(&follow->session, buf, sizeof(buf), STEP_MS, &len);
    return err ? err : lg_alloc_take(follow->run, buf, len);
}

static struct lg_error *read_until_enough(struct follow *follow, const struct lg_alloc_query *query)
{
    struct lg_error *err = NULL;
    while (!err && !(follow->run->ended_by = is_enough(follow, query))) {
        err = read_step(follow);
        if (err == &lg_was_cancelled && lg_cancel_flag == SIGINT)
            err = NULL;
    }
    follow->run->seconds = (double)(now(CLOCK_MONOTONIC) - follow->answered_at) / 1e9;
    if (lg_cancel_flag == SIGINT)
        lg_cancel_flag = 0; // It has ended what it is for (interrupt.c).
    return err;
}

static char state_of(int pid)
{
    _cleanup_close_ int proc = lg_proc_open(pid);
    return proc >= 0 ? lg_proc_state(proc, "stat") : 0;
}

static bool is_over(int pid)
{
    char state = state_of(pid);
    return state == 0 || state == 'Z' || state == 'X';
}

// ---- while the copy is looked at ----

struct keeper {
    struct follow *follow;
    LG_VEC(uint8_t) bytes;
    struct lg_error *err;
    atomic_bool is_enough;
};

// What comes beyond that stays in the runtime's buffer, or is lost there, and counted: after the copy,
// as a rule, where it costs nothing.
static void *keep_reading(void *data)
{
    enum { PIECE = 1 << 18, KEPT_MAX = 64 << 20 };
    struct keeper *keeper = data;
    while (!keeper->err && !keeper->is_enough && !keeper->follow->session.ended
           && keeper->bytes.len < KEPT_MAX) {
        size_t len = 0, at = keeper->bytes.len;
        if (!lg_vec_reserve((void **)&keeper->bytes.at, &keeper->bytes.cap, at + PIECE, 1)) {
            keeper->err = &lg_no_memory;
            break;
        }
        keeper->err =
            lg_diag_read(&keeper->follow->session, keeper->bytes.at + at, PIECE, STEP_MS, &len);
        keeper->bytes.len += len;
    }
    return NULL;
}

// The graph of a copy, or its handles alone. Any of these may take another one.
static struct lg_error *look(struct lg_session *session, const char *spec,
                             const struct lg_target_options *options, bool is_whole)
{
    const struct lg_retention *retention;
    const struct lg_handle *all;
    size_t count;
    struct lg_error *err = lg_session_open(session, spec, options);
    if (!err && !is_whole)
        return lg_clr_handles(lg_session_clr(session), &all, &count);
    return err ? err : lg_session_retention(session, &retention);
}

// When the last copy was made, by the clock of the events. It is CLOCK_MONOTONIC, unless the process has
// a time namespace of its own: then they differ by a constant, known as exactly as the begin of the
// session is.
static struct lg_error *set_window(struct follow *follow, struct lg_session *session)
{
    const struct lg_target *target = lg_session_target(session);
    const struct lg_nettrace_facts *facts = lg_nettrace_facts(follow->run->trace);
    uint64_t at = target->stopped_at, pause = (uint64_t)(target->pause_ms * 1e6), unsure = MARGIN_NS;
    uint64_t scale = facts->frequency ? facts->frequency : 1000000000;
    uint64_t start = (uint64_t)((double)facts->start_ticks / (double)scale * 1e9);
    if (start < follow->asked_at || start > follow->answered_at) {
        at += start - follow->asked_at;
        unsure += follow->answered_at - follow->asked_at;
    }
    double ticks = (double)scale / 1e9;
    lg_allocations_set_window(&follow->run->samples, (uint64_t)((double)(at - unsure) * ticks),
                              (uint64_t)((double)(at + pause + unsure) * ticks));
    if (follow->run->handles) {
        follow->run->handles->window_start = follow->run->samples.window_start;
        follow->run->handles->window_end = follow->run->samples.window_end;
    }
    follow->run->is_frozen = true;
    return NULL;
}

// Which handles there are already. Whichever of them was made since the session began counts as one of
// them, too.
static struct lg_error *take_old_handles(struct follow *follow, struct lg_session *session)
{
    const struct lg_handle *all;
    size_t count;
    struct lg_error *err = lg_clr_handles(lg_session_clr(session), &all, &count);
    for (size_t i = 0; i < count && !err; i++)
        err = lg_handles_seen_before(follow->run->handles, all[i].address);
    return err;
}

// Looks at a copy and does `then` before the events that came meanwhile are read.
static struct lg_error *freeze(struct follow *follow, struct lg_session *session, const char *spec,
                               struct lg_error *(*then)(struct follow *, struct lg_session *))
{
    struct keeper keeper = { .follow = follow };
    pthread_t thread;
    if (pthread_create(&thread, NULL, keep_reading, &keeper) != 0)
        return lg_error_new(LG_ERR_OS, "cannot start a thread");
    struct lg_error *err = look(session, spec, follow->options, then == set_window);
    keeper.is_enough = true;
    pthread_join(thread, NULL);
    if (!err)
        err = then(follow, session);
    struct lg_error *unread =
        keeper.err ? keeper.err : lg_alloc_take(follow->run, keeper.bytes.at, keeper.bytes.len);
    lg_vec_free(&keeper.bytes);
    follow->run->is_frozen &= !err && !unread;
    if (!err)
        return unread;
    lg_error_free(unread);
    return err;
}

// A process that Ctrl-C ends as well may be gone before, or while, it is looked at.
static struct lg_error *excuse_end(struct follow *follow, struct lg_error *err)
{
    if (!err || err == &lg_no_memory || err == &lg_was_cancelled || !is_over(follow->run->pid))
        return err;
    lg_error_free(err);
    follow->run->why_not = "the process ended while it was looked at";
    return NULL;
}

// Asks for the end, and reads what the runtime tells of its code. A process that ends takes its socket
// away first, and cannot be asked any more: its stream has an end all the same, soon.
static struct lg_error *read_rest(struct follow *follow)
{
    struct lg_error *unasked =
        follow->session.ended ? NULL : lg_diag_stop(follow->diag, &follow->session);
    if (unasked == &lg_was_cancelled || (unasked && state_of(follow->run->pid) == 'T'))
        return unasked;
    struct lg_error *err = NULL;
    uint64_t last = now(CLOCK_MONOTONIC), bytes = 0;
    while (!err && !follow->session.ended && now(CLOCK_MONOTONIC) - last < DRAIN_MS * 1000000ull) {
        err = read_step(follow);
        uint64_t have = lg_nettrace_facts(follow->run->trace)->bytes;
        last = have != bytes && !unasked ? now(CLOCK_MONOTONIC) : last;
        bytes = have;
    }
    if (!err && unasked && !follow->session.ended && !is_over(follow->run->pid))
        return unasked;
    lg_error_free(unasked);
    return err;
}

// A stream that ends too early has not told what happened until the copy was made.
static struct lg_error *finish(struct follow *follow)
{
    struct lg_alloc_run *run = follow->run;
    struct lg_error *err = lg_nettrace_finish(run->trace);
    if (err)
        return err;
    if (run->is_frozen && !run->samples.is_over && !lg_nettrace_facts(run->trace)->ended)
        run->why_not = "the session broke off before the process was copied";
    lg_allocations_finish(&run->samples);
    return NULL;
}

static struct lg_error *follow_all(struct follow *follow, struct lg_session *session, const char *spec,
                                   const struct lg_alloc_query *query)
{
    struct lg_alloc_run *run = follow->run;
    struct lg_error *err = read_until_enough(follow, query);
    if (err)
        return err;
    bool is_gone = follow->session.ended;
    if (is_gone && run->port)
        run->why_not = "the process ended, and its memory with it";
    else if (is_gone)
        run->why_not = "the process, or somebody else, ended the session: what happened to the objects "
                       "since is not known";
    else
        err = excuse_end(follow, freeze(follow, session, spec, set_window));
    if (!err)
        err = read_rest(follow);
    return err ? err : finish(follow);
}

struct lg_error *lg_alloc_live(struct lg_alloc_run *run, struct lg_session *session, const char *spec,
                               const struct lg_alloc_query *query)
{
    struct follow follow = { .run = run,
                             .options = &query->target,
                             .session = { .fd = -1, .stop_fd = -1 } };
    char pid[16];
    run->samples.thread_sort = thread_sort;
    run->samples.data = run;
    struct lg_error *err = lg_target_resolve(spec, &run->pid);
    if (!err && query->looks)
        err = lg_session_look(session);
    snprintf(pid, sizeof(pid), "%d", run->pid);
    if (!err)
        err = lg_diag_open(run->pid, &follow.diag);
    if (!err)
        err = lg_alloc_trace_new(run);
    if (!err)
        err = begin(&follow, (uint32_t)query->buffer_mb);
    if (!err && run->port)
        lg_port_let_go(run->port);
    if (!err && run->handles && !run->port)
        err = freeze(&follow, session, pid, take_old_handles);
    if (!err && !run->port)
        fprintf(stderr, "following %s; %s\n", pid,
                query->for_ms ? "Ctrl-C ends it early" : "Ctrl-C ends it");
    if (!err)
        err = follow_all(&follow, session, pid, query);
    lg_diag_close(&follow.session);
    lg_diag_free(follow.diag);
    return err;
}
