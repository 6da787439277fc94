#include <errno.h>
#include <fcntl.h>

#include "cli/alloc.h"

static struct lg_error *take_event(void *data, const struct lg_event *event)
{
    struct lg_alloc_run *run = data;
    struct lg_error *err = lg_codes_event(&run->codes, event);
    if (!err && run->handles)
        return lg_handles_seen_event(run->handles, &run->samples, event);
    return err ? err : lg_allocations_event(&run->samples, event);
}

static void take_loss(void *data, const struct lg_event_loss *loss)
{
    struct lg_alloc_run *run = data;
    lg_codes_lost(&run->codes, loss);
    if (run->handles)
        lg_handles_seen_lost(run->handles, loss);
    else
        lg_allocations_lost(&run->samples, loss);
}

struct lg_error *lg_alloc_trace_new(struct lg_alloc_run *run)
{
    struct lg_event_handler handler = { run, take_event, take_loss };
    run->samples.window_start = run->samples.window_end = UINT64_MAX;
    if (run->handles)
        run->handles->window_start = run->handles->window_end = UINT64_MAX;
    lg_nettrace_free(run->trace);
    run->trace = NULL;
    return lg_nettrace_new(&handler, LG_NETTRACE_IN_ORDER, &run->trace);
}

struct lg_error *lg_alloc_take(struct lg_alloc_run *run, const void *bytes, size_t size)
{
    struct lg_error *err = run->raw ? lg_new_file_put(run->raw, bytes, size) : NULL;
    return err ? err : lg_nettrace_feed(run->trace, bytes, size);
}

// ---- files ----

// Of a file nobody can ask for names of threads: one that ends a GC in the background that another one
// began is the GC's own.
struct threads {
    struct lg_map begun_by; // number of a GC in the background -> thread
    struct lg_map of_gc;
};

static struct lg_error *find_threads(void *data, const struct lg_event *event)
{
    enum { GC_START = 1, GC_END = 2, BACKGROUND = 1 };
    struct threads *threads = data;
    struct lg_reader r = lg_event_payload(event);
    uint32_t number = lg_read_u32(&r), thread;
    bool added = true;
    if (event->kind->provider != LG_PROVIDER_RUNTIME)
        return NULL;
    if (event->kind->id == GC_START) {
        lg_read_u64(&r); // generation, reason
        if (lg_read_u32(&r) == BACKGROUND)
            added = lg_map_put(&threads->begun_by, number, (uint32_t)event->capture_thread);
    } else if (event->kind->id == GC_END && lg_map_get(&threads->begun_by, number, &thread)
               && thread != (uint32_t)event->capture_thread) {
        added = lg_map_put(&threads->of_gc, event->capture_thread, 1);
    }
    return added ? NULL : &lg_no_memory;
}

static enum lg_thread_sort thread_sort(void *data, uint64_t thread)
{
    const struct threads *threads = data;
    uint32_t found;
    return lg_map_get(&threads->of_gc, thread, &found) ? LG_THREAD_BACKGROUND_GC : LG_THREAD_OTHER;
}

static struct lg_error *check_pointers(const struct lg_nettrace *trace)
{
    const struct lg_nettrace_facts *facts = lg_nettrace_facts(trace);
    if (facts->version == 0 || facts->pointer_size == 0 || facts->pointer_size == 8)
        return NULL;
    return lg_error_new(LG_ERR_UNSUPPORTED, "the events are of a %u-bit process: only 64-bit is read",
                        facts->pointer_size * 8);
}

static struct lg_error *read_file(const char *path, struct lg_nettrace *trace)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return lg_error_os(errno, "open '%s'", path);
    bool ended = false;
    struct lg_error *err = NULL;
    while (!err && !ended) {
        err = lg_nettrace_read(trace, fd, &ended, NULL, NULL);
        if (!err)
            err = check_pointers(trace);
    }
    if (!err)
        err = lg_nettrace_finish(trace);
    return lg_error_context(err, "'%s'", path);
}

struct lg_error *lg_alloc_file(struct lg_alloc_run *run, const char *path)
{
    struct threads threads = { 0 };
    const struct lg_event_handler handler = { .self = &threads, .event = find_threads };
    _cleanup_(lg_nettrace_freep) struct lg_nettrace *first = NULL;
    struct lg_error *err = lg_nettrace_new(&handler, LG_NETTRACE_IN_ORDER, &first);
    if (!err)
        err = read_file(path, first);
    if (!err)
        err = lg_alloc_trace_new(run);
    run->samples.thread_sort = thread_sort;
    run->samples.data = &threads;
    if (!err)
        err = read_file(path, run->trace);
    lg_allocations_finish(&run->samples);
    run->samples.thread_sort = NULL;
    run->ended_by = "the end of the file";
    if (!err && !lg_nettrace_facts(run->trace)->ended)
        run->why_not = "the file is cut short";
    lg_map_free(&threads.begun_by);
    lg_map_free(&threads.of_gc);
    return err;
}

void lg_alloc_run_deinit(struct lg_alloc_run *run)
{
    lg_allocations_deinit(&run->samples);
    lg_codes_deinit(&run->codes);
    lg_nettrace_free(run->trace);
    lg_new_file_free(run->raw);
}
