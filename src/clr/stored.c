#include "clr/stored.h"

#include <elf.h>
#include <string.h>

#include "clr/types_priv.h"

// ---- gathering ----

static struct lg_error *gather_fields(struct lg_clr *clr, struct lg_stored_type *type)
{
    const struct lg_field *fields;
    size_t count;
    struct lg_error *err = lg_clr_fields(clr, &type->type, &fields, &count);
    if (err && lg_error_kind(err) == LG_ERR_NO_MEMORY)
        return err;
    type->has_fields = !err;
    for (size_t i = 0; !err && i < count; i++) {
        if (!lg_vec_push(&type->fields, fields[i]))
            return &lg_no_memory;
        // What lies within it has to be known as well.
        if (fields[i].element == LG_ELEM_VALUETYPE && !(fields[i].type_mt & 3))
            lg_clr_type(clr, fields[i].type_mt);
    }
    lg_error_free(err); // Then they are unknown again.
    return NULL;
}

// While types are looked at others become known: the list grows.
static struct lg_error *gather_types(struct lg_clr *clr, struct lg_stored *ret)
{
    for (uint32_t id = 0; id < lg_clr_type_count(clr); id++) {
        const struct lg_type *type = lg_clr_type_at(clr, id);
        struct lg_stored_type stored = {
            .type = *type,
            .loader_allocator = lg_clr_loader_allocator(clr, type),
            .loader_module = lg_clr_loader_module(clr, type),
            .loader_handle = lg_clr_loader_handle(clr, type),
        };
        lg_clr_type(clr, type->parent_mt);
        if (type->element_handle && !(type->element_handle & 2))
            lg_clr_type(clr, type->element_handle);
        struct lg_error *err = gather_fields(clr, &stored);
        if (!err && !lg_vec_push(&ret->types, stored))
            err = &lg_no_memory;
        if (err) {
            lg_vec_free(&stored.fields);
            return err;
        }
    }
    return NULL;
}

static int by_method_table(const void *a, const void *b)
{
    const struct lg_stored_type *x = a, *y = b;
    return (x->type.mt > y->type.mt) - (x->type.mt < y->type.mt);
}

// Which type was met first is chance: walks are parallel.
static struct lg_error *sort_types(struct lg_clr *clr, struct lg_stored *ret)
{
    (void)clr; // As the other parts have it.
    for (size_t i = 0; i < ret->types.len; i++) {
        if (!lg_vec_push(&ret->numbers, 0))
            return &lg_no_memory;
    }
    if (ret->types.len > 1)
        qsort(ret->types.at, ret->types.len, sizeof(*ret->types.at), by_method_table);
    for (size_t i = 0; i < ret->types.len; i++)
        ret->numbers.at[ret->types.at[i].type.id] = (uint32_t)i;
    return NULL;
}

static bool add_name(struct lg_clr *clr, struct lg_map *seen, uint64_t handle, struct lg_stored *ret)
{
    uint32_t ignored;
    if (handle == 0 || lg_map_get(seen, handle, &ignored))
        return true;
    struct lg_stored_name name = { handle, lg_clr_handle_name(clr, handle) };
    return lg_map_put(seen, handle, 1) && lg_vec_push(&ret->names, name);
}

static struct lg_error *gather_names(struct lg_clr *clr, struct lg_stored *ret)
{
    struct lg_map seen = { 0 };
    bool ok = true;
    for (size_t i = 0; i < ret->types.len && ok; i++) {
        const struct lg_stored_type *type = &ret->types.at[i];
        ok = add_name(clr, &seen, type->type.mt, ret)
             && add_name(clr, &seen, type->type.element_handle, ret);
        for (size_t f = 0; f < type->fields.len && ok; f++)
            ok = add_name(clr, &seen, type->fields.at[f].type_mt, ret)
                 && add_name(clr, &seen, type->fields.at[f].declaring_mt, ret);
    }
    lg_map_free(&seen);
    return ok ? NULL : &lg_no_memory;
}

static bool add_module(struct lg_clr *clr, struct lg_map *seen, uint64_t address, bool is_listed,
                       struct lg_stored *ret)
{
    uint32_t ignored;
    const struct lg_module *module = address ? lg_clr_module(clr, address) : NULL;
    if (!module || lg_map_get(seen, address, &ignored))
        return true;
    struct lg_stored_module stored = { .module = *module, .is_listed = is_listed };
    stored.has_context = lg_clr_load_context(clr, address, &stored.context);
    return lg_map_put(seen, address, 1) && lg_vec_push(&ret->modules, stored);
}

static struct lg_error *gather_modules(struct lg_clr *clr, struct lg_stored *ret)
{
    const struct lg_module *const *modules;
    size_t count = 0;
    struct lg_map seen = { 0 };
    struct lg_error *err = lg_clr_modules(clr, &modules, &count);
    bool ok = true;
    for (size_t i = 0; i < count && !err && ok; i++)
        ok = add_module(clr, &seen, modules[i]->address, true, ret);
    for (size_t i = 0; i < ret->types.len && !err && ok; i++)
        ok = add_module(clr, &seen, ret->types.at[i].type.module, false, ret)
             && add_module(clr, &seen, ret->types.at[i].loader_module, false, ret);
    lg_map_free(&seen);
    return err ? err : ok ? NULL : &lg_no_memory;
}

#define COPY(vec, from, count) \
    ({ \
        bool ok_ = true; \
        for (size_t i_ = 0; i_ < (count) && ok_; i_++) \
            ok_ = lg_vec_push(vec, (from)[i_]); \
        ok_; \
    })

// Why something is not known is told with the rest. Frees the error.
static struct lg_error *keep_reason(struct lg_stored *stored, struct lg_error *err, const char **ret)
{
    if (!err || lg_error_kind(err) == LG_ERR_NO_MEMORY)
        return err;
    const char *why = lg_error_message(err);
    *ret = lg_arena_copy(&stored->texts, why, strlen(why));
    lg_error_free(err);
    return *ret ? NULL : &lg_no_memory;
}

static struct lg_error *gather_heap(struct lg_clr *clr, struct lg_stored *ret)
{
    size_t segments, heaps, contexts, threads, handles;
    const struct lg_segment *segment = lg_clr_segments(clr, &segments);
    const struct lg_gc_heap *heap = lg_clr_gc_heaps(clr, &heaps);
    const struct lg_alloc_context *context = lg_clr_alloc_contexts(clr, &contexts);
    const struct lg_managed_thread *thread;
    const struct lg_handle *handle;
    struct lg_error *err = lg_clr_threads(clr, &thread, &threads);
    if (!err)
        err = lg_clr_handles(clr, &handle, &handles);
    if (err)
        return err;
    if (!COPY(&ret->segments, segment, segments) || !COPY(&ret->gc_heaps, heap, heaps)
        || !COPY(&ret->contexts, context, contexts) || !COPY(&ret->threads, thread, threads)
        || !COPY(&ret->handles, handle, handles))
        return &lg_no_memory;
    lg_clr_thread_counts(clr, &ret->counts);
    return keep_reason(ret, lg_clr_gc_committed(clr, &ret->committed), &ret->no_committed);
}

static bool leads_into_heap(const struct lg_stored *stored, uint64_t word)
{
    for (size_t i = 0; i < stored->segments.len; i++) {
        const struct lg_segment *segment = &stored->segments.at[i];
        if (word >= segment->start && word < segment->end)
            return true;
    }
    return false;
}

// Registers may hold values: only what could be a reference is kept.
static struct lg_error *gather_os_threads(struct lg_clr *clr, struct lg_stored *ret)
{
    const struct lg_target *target = lg_clr_target(clr);
    ret->machine = target->machine ? target->machine : EM_X86_64;
    for (size_t i = 0; i < target->threads.len; i++) {
        struct lg_thread thread = target->threads.at[i];
        for (unsigned r = 0; r < LG_REGISTERS; r++) {
            if (!lg_target_register_name(target, r) || !leads_into_heap(ret, thread.registers[r]))
                thread.registers[r] = 0;
        }
        if (!lg_vec_push(&ret->os_threads, thread))
            return &lg_no_memory;
    }
    for (size_t i = 0; i < ret->threads.len; i++) {
        const struct lg_thread *thread = ret->threads.at[i].thread;
        ret->threads.at[i].thread = thread ? &ret->os_threads.at[thread - target->threads.at] : NULL;
    }
    return NULL;
}

static struct lg_error *gather_finalizers(struct lg_clr *clr, struct lg_stored *ret)
{
    const struct lg_finalizer_queue *queues;
    size_t count = 0;
    struct lg_error *err = lg_clr_finalizer_queues(clr, &queues, &count);
    if (err)
        return keep_reason(ret, err, &ret->no_finalizers);
    return COPY(&ret->finalizers, queues, count) ? NULL : &lg_no_memory;
}

// The same thread, in another list.
static const struct lg_managed_thread *same(const struct lg_stored *stored,
                                            const struct lg_managed_thread *all,
                                            const struct lg_managed_thread *thread)
{
    return thread ? &stored->threads.at[thread - all] : NULL;
}

static struct lg_error *gather_statics(struct lg_clr *clr, struct lg_stored *ret)
{
    const struct lg_static *statics;
    const struct lg_thread_root *roots;
    const struct lg_managed_thread *threads;
    size_t count, root_count, thread_count;
    struct lg_error *err = lg_clr_threads(clr, &threads, &thread_count);
    if (!err)
        err = lg_clr_statics(clr, &statics, &count);
    if (!err)
        err = lg_clr_thread_roots(clr, &roots, &root_count);
    if (err)
        return err;
    ret->statics_are_whole = lg_clr_statics_are_whole(clr);
    if (!COPY(&ret->statics, statics, count) || !COPY(&ret->thread_roots, roots, root_count))
        return &lg_no_memory;
    for (size_t i = 0; i < count; i++) {
        ret->statics.at[i].thread = same(ret, threads, statics[i].thread);
        lg_clr_type(clr, statics[i].mt);
    }
    for (size_t i = 0; i < root_count; i++)
        ret->thread_roots.at[i].thread = same(ret, threads, roots[i].thread);
    return NULL;
}

static struct lg_error *gather_native(struct lg_clr *clr, struct lg_stored *ret)
{
    const struct lg_native_heap *heaps;
    size_t count;
    lg_clr_domain(clr, &ret->domain);
    ret->has_last_gc = lg_clr_last_gc(clr, &ret->last_gc);
    struct lg_error *err = lg_clr_native_heaps(clr, &heaps, &count);
    if (!err && !COPY(&ret->native_heaps, heaps, count))
        err = &lg_no_memory;
    return err;
}

struct lg_error *lg_stored_gather(struct lg_clr *clr, struct lg_stored *ret)
{
    static struct lg_error *(*const parts[])(struct lg_clr *, struct lg_stored *) = {
        gather_heap, gather_os_threads, gather_finalizers, gather_statics, gather_types,
        sort_types,  gather_names,      gather_modules,    gather_native,
    };
    struct lg_stored stored = { .info = *lg_clr_info(clr) };
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        struct lg_error *err = parts[i](clr, &stored);
        if (err) {
            lg_stored_deinit(&stored);
            return err;
        }
    }
    *ret = stored;
    return NULL;
}

void lg_stored_deinit(struct lg_stored *stored)
{
    for (size_t i = 0; i < stored->types.len; i++)
        lg_vec_free(&stored->types.at[i].fields);
    lg_arena_free(&stored->texts);
    lg_vec_free(&stored->numbers);
    lg_vec_free(&stored->os_threads);
    lg_vec_free(&stored->finalizers);
    lg_vec_free(&stored->segments);
    lg_vec_free(&stored->gc_heaps);
    lg_vec_free(&stored->contexts);
    lg_vec_free(&stored->types);
    lg_vec_free(&stored->names);
    lg_vec_free(&stored->modules);
    lg_vec_free(&stored->threads);
    lg_vec_free(&stored->statics);
    lg_vec_free(&stored->thread_roots);
    lg_vec_free(&stored->handles);
    lg_vec_free(&stored->native_heaps);
    *stored = (struct lg_stored){ 0 };
}

// ---- telling it again ----

// The list goes over to `to`, which has one of the same kind.
#define TAKE(to, from) \
    do { \
        (to)->at = lg_steal((from)->at); \
        (to)->len = (from)->len; \
        (to)->cap = (from)->cap; \
        (from)->len = (from)->cap = 0; \
    } while (0)

static struct lg_error *put_types(struct lg_clr *clr, struct lg_stored *stored)
{
    for (size_t i = 0; i < stored->types.len; i++) {
        struct lg_stored_type *type = &stored->types.at[i];
        if (!lg_clr_types_put(clr, &type->type))
            return lg_error_new(LG_ERR_CORRUPT, "method table 0x%llx is there twice",
                                (unsigned long long)type->type.mt);
        if (type->has_fields
            && !lg_clr_fields_put(clr, type->type.mt, type->fields.at, type->fields.len))
            return &lg_no_memory;
        if (type->has_fields)
            type->fields.at = NULL; // They are the cache's now.
        type->fields.len = type->fields.cap = 0;
    }
    for (size_t i = 0; i < stored->names.len; i++) {
        if (!lg_clr_names_put(clr, stored->names.at[i].handle, stored->names.at[i].name))
            return &lg_no_memory;
    }
    return NULL;
}

static struct lg_error *put_lists(struct lg_clr *clr, struct lg_stored *stored)
{
    TAKE(&clr->segments, &stored->segments);
    TAKE(&clr->gc_heaps, &stored->gc_heaps);
    TAKE(&clr->contexts, &stored->contexts);
    TAKE(&clr->threads, &stored->threads); // Where they are they stay: statics point there.
    TAKE(&clr->handles, &stored->handles);
    TAKE(&clr->finalizers, &stored->finalizers);
    TAKE(&clr->native_heaps, &stored->native_heaps);
    TAKE(&clr->target->threads, &stored->os_threads); // The same.
    clr->target->machine = stored->machine;
    clr->handles_read = clr->finalizers_read = clr->native_heaps_read = true;
    return lg_clr_statics_put(clr, stored->statics.at, stored->statics.len, stored->thread_roots.at,
                              stored->thread_roots.len, stored->statics_are_whole);
}

static bool stored_module(struct lg_clr *clr, uint64_t module, struct lg_module_facts *ret)
{
    const struct lg_stored_module *stored = lg_clr_stored_module(clr, module);
    if (stored)
        ret->module = stored->module;
    return stored != NULL;
}

static struct lg_error *stored_modules(struct lg_clr *clr, lg_add_module *add)
{
    for (size_t i = 0; i < clr->stored->modules.len; i++) {
        if (clr->stored->modules.at[i].is_listed)
            add(clr, clr->stored->modules.at[i].module.address);
    }
    return NULL;
}

static void stored_thread_counts(struct lg_clr *clr, struct lg_thread_counts *ret)
{
    *ret = clr->stored->counts;
}

struct lg_error *lg_clr_open_stored(struct lg_target *target, struct lg_stored *stored,
                                    struct lg_clr **ret)
{
    _cleanup_(lg_clr_freep) struct lg_clr *clr = calloc(1, sizeof(*clr));
    struct lg_stored *kept = clr ? malloc(sizeof(*kept)) : NULL;
    if (!kept) {
        lg_stored_deinit(stored);
        return &lg_no_memory;
    }
    *kept = *stored;
    *stored = (struct lg_stored){ 0 };
    clr->target = target;
    clr->stored = kept;
    clr->info = kept->info;
    clr->info.provider = "snapshot";
    clr->from = (struct lg_sources){ .module = stored_module,
                                     .modules = stored_modules,
                                     .thread_counts = stored_thread_counts };
    memset(&clr->off, 0xff, sizeof(clr->off)); // LG_NO_OFFSET: there is no descriptor.
    const struct lg_clr_options options = { .dac = "none" };
    struct lg_error *err = lg_clr_told_open(clr, &options);
    if (!err)
        err = lg_clr_types_open(clr);
    if (!err)
        err = lg_clr_modules_open(clr);
    if (!err)
        err = put_types(clr, kept);
    if (!err)
        err = put_lists(clr, kept);
    if (!err)
        *ret = lg_steal(clr);
    return err;
}

void lg_clr_stored_close(struct lg_clr *clr)
{
    if (clr->stored)
        lg_stored_deinit(clr->stored);
    free(clr->stored);
    clr->stored = NULL;
}

const struct lg_stored_type *lg_clr_stored_type(const struct lg_clr *clr, const struct lg_type *type)
{
    return clr->stored && type->id < clr->stored->types.len ? &clr->stored->types.at[type->id] : NULL;
}

const struct lg_stored_module *lg_clr_stored_module(const struct lg_clr *clr, uint64_t module)
{
    for (size_t i = 0; clr->stored && i < clr->stored->modules.len; i++) {
        if (clr->stored->modules.at[i].module.address == module)
            return &clr->stored->modules.at[i];
    }
    return NULL;
}
