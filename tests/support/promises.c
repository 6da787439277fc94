#include "support/promises.h"

#include <string.h>

#include "clr/memory.h"

#define PROMISE(what) \
    do { \
        if (!(what)) \
            return #what; \
    } while (0)

static const char *of_segments(const struct lg_clr *clr)
{
    size_t count;
    const struct lg_segment *s = lg_clr_segments(clr, &count);
    for (size_t i = 0; i < count; i++) {
        PROMISE(s[i].start <= s[i].end && s[i].end <= s[i].committed && s[i].committed <= s[i].reserved);
        PROMISE(i == 0 || s[i - 1].end <= s[i].start);
        PROMISE(s[i].generation < LG_GENERATIONS && s[i].heap < lg_clr_info(clr)->heap_count);
    }
    const struct lg_alloc_context *c = lg_clr_alloc_contexts(clr, &count);
    for (size_t i = 0; i < count; i++)
        PROMISE(c[i].ptr && c[i].ptr <= c[i].limit && (i == 0 || c[i - 1].ptr < c[i].ptr));
    return NULL;
}

static const char *of_threads(struct lg_clr *clr)
{
    const struct lg_managed_thread *t;
    struct lg_thread_counts counts;
    size_t count;
    struct lg_error *err = lg_clr_threads(clr, &t, &count);
    for (size_t i = 0; !err && i < count; i++)
        PROMISE(t[i].stack_low <= t[i].stack_high);
    lg_error_free(err);
    lg_clr_thread_counts(clr, &counts);
    return NULL;
}

// What is read on first use may be refused then.
static const char *of_roots(struct lg_clr *clr)
{
    const struct lg_handle *h;
    size_t count;
    struct lg_error *err = lg_clr_handles(clr, &h, &count);
    for (size_t i = 0; !err && i < count; i++) {
        PROMISE(h[i].object && h[i].kind < LG_HANDLE_KINDS);
        PROMISE(i == 0 || h[i - 1].address < h[i].address);
    }
    lg_error_free(err);
    const struct lg_finalizer_queue *q;
    err = lg_clr_finalizer_queues(clr, &q, &count);
    for (size_t i = 0; !err && i < count; i++)
        PROMISE(q[i].array <= q[i].fill[0] && q[i].fill[0] <= q[i].fill[6]);
    lg_error_free(err);
    return NULL;
}

static const char *of_statics(struct lg_clr *clr)
{
    const struct lg_static *s;
    const struct lg_thread_root *roots;
    size_t count;
    struct lg_error *err = lg_clr_statics(clr, &s, &count);
    for (size_t i = 0; !err && i < count; i++) {
        PROMISE(i == 0 || s[i - 1].slot < s[i].slot);
        PROMISE(s[i].field && lg_clr_static_at(clr, s[i].slot) == &s[i]);
    }
    lg_error_free(err);
    lg_error_free(lg_clr_thread_roots(clr, &roots, &count));
    return NULL;
}

static const char *of_modules(struct lg_clr *clr)
{
    const struct lg_module *const *m;
    struct lg_load_context context;
    struct lg_domain domain;
    size_t count;
    struct lg_error *err = lg_clr_modules(clr, &m, &count);
    for (size_t i = 0; !err && i < count; i++) {
        PROMISE(m[i]->path && m[i]->name && m[i]->address);
        lg_clr_load_context(clr, m[i]->address, &context);
    }
    lg_error_free(err);
    lg_clr_domain(clr, &domain);
    return NULL;
}

static const char *of_memory(struct lg_clr *clr)
{
    const struct lg_native_heap *n;
    const struct lg_memory_range *r;
    struct lg_gc_committed committed;
    struct lg_gc_clock clock;
    size_t count;
    lg_error_free(lg_clr_native_heaps(clr, &n, &count));
    struct lg_error *err = lg_clr_memory(clr, &r, &count);
    for (size_t i = 0; !err && i < count; i++)
        PROMISE(r[i].start < r[i].end && (i == 0 || r[i - 1].end <= r[i].start));
    lg_error_free(err);
    lg_error_free(lg_clr_gc_committed(clr, &committed));
    lg_error_free(lg_clr_gc_clock(clr, &clock));
    return NULL;
}

static const char *of_types(struct lg_clr *clr)
{
    for (uint32_t id = 0; id < lg_clr_type_count(clr); id++) {
        const struct lg_type *type = lg_clr_type_at(clr, id);
        const struct lg_field *fields;
        size_t count;
        PROMISE(type && type->id == id && lg_clr_type(clr, type->mt) == type);
        PROMISE(strlen(lg_clr_type_name(clr, type)) < 1 << 16);
        lg_clr_loader_allocator(clr, type);
        struct lg_error *err = lg_clr_fields(clr, type, &fields, &count);
        for (size_t i = 0; !err && i < count; i++)
            PROMISE(fields[i].name);
        lg_error_free(err);
        lg_clr_method_from_code(clr, type->mt);
        lg_clr_method_name(clr, type->mt);
    }
    return NULL;
}

const char *broken_promise(struct lg_clr *clr)
{
    static const char *(*const parts[])(struct lg_clr *) = { of_roots, of_modules, of_statics, of_memory,
                                                             of_types };
    const char *broken = of_segments(clr);
    if (!broken)
        broken = of_threads(clr);
    for (size_t i = 0; !broken && i < sizeof(parts) / sizeof(*parts); i++)
        broken = parts[i](clr);
    return broken;
}
