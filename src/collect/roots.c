#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/collect_priv.h"
#include "util/error.h"

const char *lg_root_kind_name(enum lg_root_kind kind)
{
    static const char *const names[] = {
        [LG_ROOT_STATIC] = "static",
        [LG_ROOT_THREAD_STATIC] = "thread-static",
        [LG_ROOT_STRONG] = "strong",
        [LG_ROOT_PINNED] = "pinned",
        [LG_ROOT_ASYNC_PINNED] = "async-pinned",
        [LG_ROOT_SIZED_REF] = "sized-ref",
        [LG_ROOT_REFCOUNTED] = "refcounted",
        [LG_ROOT_FINALIZER] = "finalizer",
        [LG_ROOT_FRAME] = "frame",
        [LG_ROOT_STACK] = "stack",
    };
    return names[kind];
}

struct lg_error *lg_roots_add(struct collector *c, struct lg_root root)
{
    return lg_vec_push(&c->roots->all, root) ? NULL : &lg_no_memory;
}

char *lg_roots_name(struct lg_roots *roots, const char *format, ...)
{
    char *name;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&name, format, args);
    va_end(args);
    if (len < 0)
        return NULL;
    if (lg_vec_push(&roots->names, name))
        return name;
    free(name);
    return NULL;
}

struct lg_error *lg_roots_incomplete(struct lg_roots *roots, const char *format, ...)
{
    char *sentence;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&sentence, format, args);
    va_end(args);
    if (len >= 0 && lg_vec_push(&roots->incomplete, sentence))
        return NULL;
    if (len >= 0)
        free(sentence);
    return &lg_no_memory;
}

// Slots lie close together and come in order: a window saves a system call for each.
static uint64_t word_at(struct collector *c, uint64_t address)
{
    const uint8_t *bytes = window_at(&c->window, address, 8, address + WINDOW_MIN);
    if (!bytes)
        bytes = window_at(&c->window, address, 8, address + 8);
    uint64_t value = 0;
    if (bytes)
        memcpy(&value, bytes, sizeof(value));
    return value;
}

bool lg_roots_is_object(const struct collector *c, uint64_t address)
{
    return lg_index_node(c->index, address) != LG_NO_NODE;
}

static struct lg_error *collect_statics(struct collector *c)
{
    const struct lg_static *statics;
    size_t count;
    struct lg_error *err = lg_clr_statics(c->clr, &statics, &count);
    uint64_t wild = 0;
    for (size_t i = 0; i < count && !err; i++) {
        uint64_t object = word_at(c, statics[i].slot);
        if (object == 0 || lg_static_is_collectible(c->clr, &statics[i]))
            continue;
        const struct lg_type *type = lg_clr_type(c->clr, statics[i].mt);
        wild += !type || !lg_roots_is_object(c, object);
        if (!type || !lg_roots_is_object(c, object))
            continue;
        const char *name =
            lg_roots_name(c->roots, "%s.%s", lg_clr_type_name(c->clr, type), statics[i].field);
        if (!name)
            return &lg_no_memory;
        enum lg_root_kind kind = statics[i].thread ? LG_ROOT_THREAD_STATIC : LG_ROOT_STATIC;
        struct lg_root root = { object, statics[i].slot, kind, false, name, statics[i].thread };
        err = lg_roots_add(c, root);
    }
    if (!err && wild)
        err = lg_roots_missing(c->roots, "%llu static slots hold what is no object",
                               (unsigned long long)wild);
    if (!err && !lg_clr_statics_are_whole(c->clr))
        err = lg_roots_missing(c->roots, "not all statics are known");
    return err;
}

// The arrays that hold a thread's statics, for the elements in them that have no name.
static struct lg_error *collect_thread_roots(struct collector *c)
{
    const struct lg_thread_root *thread_roots;
    size_t count, wild = 0;
    struct lg_error *err = lg_clr_thread_roots(c->clr, &thread_roots, &count);
    for (size_t i = 0; i < count && !err; i++) {
        struct lg_root root = {
            thread_roots[i].object, thread_roots[i].slot, LG_ROOT_THREAD_STATIC, false, NULL,
            thread_roots[i].thread
        };
        if (lg_roots_is_object(c, root.object))
            err = lg_roots_add(c, root);
        else
            wild++;
    }
    if (!err && wild)
        err = lg_roots_missing(c->roots, "%zu tables of thread statics are no objects", wild);
    return err;
}

// What the runtime keeps for a thread that has thrown: mostly in handles, which say nothing of that.
static struct lg_error *collect_exceptions(struct collector *c)
{
    const struct lg_exception *exceptions;
    size_t count;
    uint32_t known;
    struct lg_error *err = lg_clr_exceptions(c->clr, &exceptions, &count);
    if (err && err != &lg_no_memory) {
        struct lg_error *said = lg_roots_missing(
            c->roots, "not all exceptions on their way are known: %s", lg_error_message(err));
        lg_error_free(err);
        err = said;
    }
    for (size_t i = 0; i < count && !err; i++) {
        const struct lg_exception *e = &exceptions[i];
        struct lg_root root = { .object = e->object, .slot = e->slot, .kind = LG_ROOT_FRAME };
        root.thread = e->thread;
        root.name = e->is_on_its_way ? "in-flight exception" : "last thrown exception";
        if (!lg_roots_is_object(c, e->object) || lg_map_get(&c->exceptions, e->slot, &known))
            continue;
        err = lg_map_put(&c->exceptions, e->slot, 0) ? lg_roots_add(c, root) : &lg_no_memory;
    }
    return err;
}

static enum lg_root_kind kind_of_handle(enum lg_handle_kind kind)
{
    switch (kind) {
    case LG_HANDLE_PINNED:
        return LG_ROOT_PINNED;
    case LG_HANDLE_ASYNC_PINNED:
        return LG_ROOT_ASYNC_PINNED;
    case LG_HANDLE_SIZED_REF:
        return LG_ROOT_SIZED_REF;
    case LG_HANDLE_REFCOUNTED:
        return LG_ROOT_REFCOUNTED;
    default:
        return LG_ROOT_STRONG;
    }
}

static struct lg_error *collect_handles(struct collector *c)
{
    const struct lg_handle *handles;
    size_t count;
    struct lg_error *err = lg_clr_handles(c->clr, &handles, &count);
    uint64_t wild = 0, counted = 0;
    uint32_t unused;
    for (size_t i = 0; i < count && !err; i++) {
        if (!lg_handle_is_strong(handles[i].kind)
            || lg_map_get(&c->exceptions, handles[i].address, &unused))
            continue;
        counted += handles[i].kind == LG_HANDLE_REFCOUNTED;
        wild += !lg_roots_is_object(c, handles[i].object);
        struct lg_root root = { .object = handles[i].object,
                                .slot = handles[i].address,
                                .kind = kind_of_handle(handles[i].kind) };
        if (lg_roots_is_object(c, root.object))
            err = lg_roots_add(c, root);
    }
    if (!err && counted)
        err = lg_roots_incomplete(
            c->roots,
            "%llu ref-counted handles are taken as strong: the runtime does not tell "
            "their counts from outside",
            (unsigned long long)counted);
    if (!err && wild)
        err = lg_roots_missing(c->roots, "%llu strong handles hold what is no object",
                               (unsigned long long)wild);
    return err;
}

static struct lg_error *collect_finalizers(struct collector *c)
{
    const struct lg_finalizer_queue *queues;
    size_t count;
    struct lg_error *err = lg_clr_finalizer_queues(c->clr, &queues, &count);
    uint64_t wild = 0;
    for (size_t i = 0; i < count && !err; i++) {
        for (uint64_t slot = queues[i].fill[4]; slot < queues[i].fill[6] && !err; slot += 8) {
            struct lg_root root = { .object = word_at(c, slot),
                                    .slot = slot,
                                    .kind = LG_ROOT_FINALIZER };
            if (lg_roots_is_object(c, root.object))
                err = lg_roots_add(c, root);
            else
                wild++;
        }
    }
    if (!err && wild)
        err = lg_roots_missing(c->roots, "%llu entries of the finalizer queue hold what is no object",
                               (unsigned long long)wild);
    return err;
}

static int by_kind_and_slot(const void *a, const void *b)
{
    const struct lg_root *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return x->object < y->object ? -1 : x->object > y->object;
}

struct lg_error *lg_roots_collect(struct lg_heap *heap, const struct lg_index *index, struct lg_dac *dac,
                                  const char *no_dac, struct lg_roots **ret)
{
    _cleanup_(lg_roots_freep) struct lg_roots *roots = calloc(1, sizeof(*roots));
    if (!roots)
        return &lg_no_memory;
    struct lg_clr *clr = lg_heap_clr(heap);
    struct collector c = { .heap = heap,
                           .clr = clr,
                           .target = lg_clr_target(clr),
                           .index = index,
                           .roots = roots,
                           .dac = dac,
                           .no_dac = no_dac };
    struct lg_error *err = window_init(&c.window, c.target);
    struct lg_error *(*const parts[])(struct collector *) = {
        collect_statics, collect_thread_roots, collect_exceptions,
        collect_handles, collect_finalizers,   lg_roots_collect_stacks,
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && !err; i++)
        err = parts[i](&c);
    window_deinit(&c.window);
    lg_map_free(&c.loader_objects);
    lg_map_free(&c.exceptions);
    if (err)
        return err;
    if (roots->all.len > 1)
        qsort(roots->all.at, roots->all.len, sizeof(*roots->all.at), by_kind_and_slot);
    *ret = lg_steal(roots);
    return NULL;
}

struct lg_error *lg_roots_add_gaps(struct lg_roots *roots, const struct lg_heap_graph *graph)
{
    struct lg_error *err = NULL;
    if (graph->wild > 0)
        err =
            lg_roots_missing(roots, "%llu references lead to where no object starts: they are left out",
                             (unsigned long long)graph->wild);
    if (!err && graph->loaderless > 0)
        err = lg_roots_missing(
            roots,
            "of %u collectible types the LoaderAllocator is not known: that their objects "
            "keep it alive is left out",
            graph->loaderless);
    return err;
}

void lg_roots_free(struct lg_roots *roots)
{
    if (!roots)
        return;
    for (size_t i = 0; i < roots->names.len; i++)
        free(roots->names.at[i]);
    for (size_t i = 0; i < roots->incomplete.len; i++)
        free(roots->incomplete.at[i]);
    lg_vec_free(&roots->names);
    lg_vec_free(&roots->incomplete);
    lg_vec_free(&roots->all);
    free(roots);
}
