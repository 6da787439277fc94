// Prints what a target's DAC says about its runtime, one record a line, tab-separated:
//
//     dacdump TARGET [DAC]
//
// Each record starts with who says it, `dac` or `clr`: where both can read the target, what they say of
// the same thing are two lines that differ in the first column only (tests/e2e/test_dac_facts.py).
//
//     known    free string object object[]
//     domain   address name
//     gc       server|workstation valid|- heaps datas
//     heap     address alloc-allocated ephemeral-segment fill-pointers...
//     segment  start address end committed reserved flags
//     context  pointer limit
//     counts   threads unstarted background pending dead
//     thread   address id os-id state cooperative|- pointer limit last-thrown
//     module   address assembly loader-allocator image-base image-size dynamic|- path
//     loaded   module token mt
//     type     mt module ee-class parent base-size component-size token references|- collectible|-
//     name     mt name
//     field    mt token offset element instance|static|thread type-mt address type-of-what-is-there
//     mine     mt token thread address type-of-what-is-there                    thread statics
//     native   start size kind                                             blocks of loader and code
//     heaps time     what count milliseconds
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clr/clr.h"
#include "clr/runtime_image.h"
#include "clr/types_priv.h"
#include "dac/facts.h"
#include "heap/heap.h"
#include "util/error.h"
#include "util/map.h"

struct dump {
    struct lg_target *target;
    struct lg_clr *clr; // NULL: it cannot read this runtime.
    struct lg_dac *dac;
    LG_VEC(uint64_t) types; // Method tables, each once.
    struct lg_map seen;
    struct lg_dac_threads threads;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int fail(struct lg_error *err)
{
    fprintf(stderr, "dacdump: %s\n", lg_error_message(err));
    lg_error_free(err);
    return 3;
}

// What the DAC does not tell is no record; what ended its helper ends us.
static bool told(struct lg_error *err)
{
    if (!err)
        return true;
    if (lg_error_kind(err) != LG_ERR_NOT_FOUND)
        exit(fail(err));
    if (getenv("DACDUMP_WHY"))
        fprintf(stderr, "dacdump: %s\n", lg_error_message(err));
    lg_error_free(err);
    return false;
}

static void add_type(struct dump *d, uint64_t mt)
{
    uint32_t index;
    if (lg_map_get(&d->seen, mt, &index))
        return;
    if (!lg_map_put(&d->seen, mt, 0) || !lg_vec_push(&d->types, mt))
        exit(fail(&lg_no_memory));
}

static const char *yes(bool is_so, const char *name)
{
    return is_so ? name : "-";
}

static void print_known(struct dump *d)
{
    struct lg_dac_well_known known;
    if (told(lg_dac_well_known_read(d->dac, &known)))
        printf("dac\tknown\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\n", known.free_mt,
               known.string_mt, known.object_mt, known.array_mt);
    if (!d->clr)
        return;
    const struct lg_clr_info *info = lg_clr_info(d->clr);
    printf("clr\tknown\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\n", info->free_mt,
           info->string_mt, info->object_mt, info->object_array_mt);
}

// ---- types ----

static void print_type(const char *who, const struct lg_dac_type *t)
{
    printf("%s\ttype\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%u\t%u\t%08x\t%s\t%s\n", who,
           t->mt, t->module, t->ee_class, t->parent_mt, t->base_size, t->component_size, t->token,
           yes(t->has_references, "references"), yes(t->is_collectible, "collectible"));
}

static void print_types(struct dump *d)
{
    for (size_t i = 0; i < d->types.len; i++) {
        struct lg_dac_type type;
        if (told(lg_dac_type_read(d->dac, d->types.at[i], &type)))
            print_type("dac", &type);
        const struct lg_type *t = d->clr ? lg_clr_type(d->clr, d->types.at[i]) : NULL;
        if (!t)
            continue;
        struct lg_dac_type same = { .mt = t->mt,
                                    .module = t->module,
                                    .ee_class = t->ee_class,
                                    .parent_mt = t->parent_mt,
                                    .base_size = t->base_size,
                                    .component_size = t->component_size,
                                    .token = t->token,
                                    .has_references = t->flags & LG_TYPE_REFERENCES,
                                    .is_collectible = t->flags & LG_TYPE_COLLECTIBLE };
        print_type("clr", &same);
    }
}

static void print_names(struct dump *d)
{
    for (size_t i = 0; i < d->types.len; i++) {
        _cleanup_free_ char *name = NULL;
        if (told(lg_dac_type_name(d->dac, d->types.at[i], &name)))
            printf("dac\tname\t%" PRIx64 "\t%s\n", d->types.at[i], name);
        const struct lg_type *t = d->clr ? lg_clr_type(d->clr, d->types.at[i]) : NULL;
        if (t)
            printf("clr\tname\t%" PRIx64 "\t%s\n", t->mt, lg_clr_type_name(d->clr, t));
    }
}

// ---- fields ----

static bool is_boxed(unsigned element)
{
    return element == LG_ELEM_VALUETYPE || lg_element_is_reference(element);
}

// Of the object that the word at `address` refers to; 0: it refers to none.
static uint64_t type_there(struct dump *d, unsigned element, uint64_t address)
{
    uint64_t object, mt = 0;
    if (address && is_boxed(element) && lg_target_u64(d->target, address, &object) && object)
        lg_target_u64(d->target, object, &mt);
    return mt;
}

static void print_field(struct dump *d, const char *who, uint64_t mt, const struct lg_dac_field *f,
                        const char *kind, uint64_t address)
{
    printf("%s\tfield\t%" PRIx64 "\t%08x\t%x\t%u\t%s\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\n", who, mt,
           f->token, f->offset, f->element, kind, f->type_mt, address,
           type_there(d, f->element, address));
}

static void print_mine(struct dump *d, const char *who, uint64_t mt, uint32_t token, unsigned element,
                       uint64_t thread, uint64_t address)
{
    printf("%s\tmine\t%" PRIx64 "\t%08x\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\n", who, mt, token,
           thread, address, type_there(d, element, address));
}

static uint64_t address_of(const struct lg_dac_field *f, const struct lg_dac_statics *statics)
{
    uint64_t base = is_boxed(f->element) ? statics->gc : statics->non_gc;
    return base ? base + f->offset : 0;
}

static void print_thread_statics(struct dump *d, const struct lg_dac_type *type,
                                 const struct lg_dac_fields *fields)
{
    for (size_t t = 0; t < d->threads.list.len; t++) {
        uint64_t thread = d->threads.list.at[t].address;
        struct lg_dac_statics statics;
        if (!told(lg_dac_thread_statics_read(d->dac, type, thread, &statics)))
            continue;
        for (size_t i = 0; i < fields->len; i++) {
            const struct lg_dac_field *f = &fields->at[i];
            if (f->is_thread_static && address_of(f, &statics) && is_boxed(f->element))
                print_mine(d, "dac", type->mt, f->token, f->element, thread, address_of(f, &statics));
        }
    }
}

static void print_dac_fields(struct dump *d, uint64_t mt)
{
    _cleanup_(lg_dac_fields_deinit) struct lg_dac_fields fields = { .at = NULL };
    struct lg_dac_type type;
    if (!told(lg_dac_type_read(d->dac, mt, &type)) || !told(lg_dac_fields_read(d->dac, &type, &fields)))
        return;
    struct lg_dac_statics statics = { 0 };
    bool has = type.static_fields > 0 && told(lg_dac_statics_read(d->dac, &type, &statics));
    for (size_t i = 0; i < fields.len; i++) {
        const struct lg_dac_field *f = &fields.at[i];
        const char *kind = f->is_thread_static ? "thread" : f->is_static ? "static" : "instance";
        bool is_there = has && f->is_static && !f->is_thread_static;
        print_field(d, "dac", mt, f, kind, is_there ? address_of(f, &statics) : 0);
    }
    if (type.thread_static_fields > 0)
        print_thread_statics(d, &type, &fields);
}

static void print_clr_fields(struct dump *d, uint64_t mt)
{
    const struct lg_type *type = lg_clr_type(d->clr, mt);
    const struct lg_field *f;
    size_t count = 0;
    struct lg_error *err = type ? lg_clr_fields(d->clr, type, &f, &count) : NULL;
    for (size_t i = 0; !err && i < count; i++) {
        struct lg_dac_field same = {
            .token = f[i].token, .offset = f[i].offset, .element = f[i].element, .type_mt = f[i].type_mt
        };
        const char *kind = f[i].is_thread_static ? "thread"
                           : f[i].is_rva         ? "rva"
                           : f[i].is_static      ? "static"
                                                 : "instance";
        if (f[i].declaring_mt == mt)
            print_field(d, "clr", mt, &same, kind, f[i].address);
    }
    lg_error_free(err);
}

static void print_clr_thread_statics(struct dump *d)
{
    const struct lg_static *s;
    size_t count;
    if (!told(lg_clr_statics(d->clr, &s, &count)))
        return;
    for (size_t i = 0; i < count; i++) {
        if (s[i].thread)
            print_mine(d, "clr", s[i].mt, s[i].token, s[i].element, s[i].thread->address, s[i].slot);
    }
}

static void print_fields(struct dump *d)
{
    for (size_t i = 0; i < d->types.len; i++) {
        print_dac_fields(d, d->types.at[i]);
        if (d->clr)
            print_clr_fields(d, d->types.at[i]);
    }
    if (d->clr)
        print_clr_thread_statics(d);
}

// ---- the GC ----

static void print_gc_line(const char *who, bool server, bool valid, size_t heaps, int datas)
{
    printf("%s\tgc\t%s\t%s\t%zu\t%d\n", who, server ? "server" : "workstation", yes(valid, "valid"),
           heaps, datas);
}

static void print_context(const char *who, uint64_t ptr, uint64_t limit)
{
    if (ptr && ptr <= limit)
        printf("%s\tcontext\t%" PRIx64 "\t%" PRIx64 "\n", who, ptr, limit);
}

static void print_heap(struct dump *d, const struct lg_dac_gc_heap *h)
{
    printf("dac\theap\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64, h->address, h->alloc_allocated,
           h->ephemeral_segment);
    for (uint32_t i = 0; i < h->fill_count; i++)
        printf("\t%" PRIx64, h->fill[i]);
    putchar('\n');
    print_context("dac", h->generations[0].alloc_ptr, h->generations[0].alloc_limit);
    for (uint32_t g = 0; g < h->generation_count; g++) {
        _cleanup_(lg_dac_segments_deinit) struct lg_dac_segments s = { .at = NULL };
        if (!told(lg_dac_segments_read(d->dac, h->generations[g].first_segment, &s)))
            continue;
        for (size_t i = 0; i < s.len; i++) {
            bool is_ephemeral = s.at[i].address == h->ephemeral_segment;
            printf("dac\tsegment\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64
                   "\t%" PRIx64 "\n",
                   s.at[i].start, s.at[i].address, is_ephemeral ? h->alloc_allocated : s.at[i].allocated,
                   s.at[i].committed, s.at[i].reserved, s.at[i].flags);
        }
    }
}

static void print_gc(struct dump *d)
{
    _cleanup_(lg_dac_gc_deinit) struct lg_dac_gc gc = { .heaps = { .at = NULL } };
    if (!told(lg_dac_gc_read(d->dac, &gc)))
        return;
    print_gc_line("dac", gc.is_server, gc.is_valid, gc.heaps.len, gc.datas);
    print_context("dac", gc.alloc_ptr, gc.alloc_limit);
    for (size_t i = 0; i < gc.heaps.len; i++)
        print_heap(d, &gc.heaps.at[i]);
}

static void print_clr_gc(struct dump *d)
{
    const struct lg_clr_info *info = lg_clr_info(d->clr);
    size_t count, queues;
    const struct lg_gc_heap *h = lg_clr_gc_heaps(d->clr, &count);
    const struct lg_finalizer_queue *q;
    print_gc_line("clr", info->server, !info->gc_in_progress, count, info->datas);
    if (!told(lg_clr_finalizer_queues(d->clr, &q, &queues)))
        queues = 0;
    for (size_t i = 0; i < count; i++) {
        printf("clr\theap\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64, h[i].address, h[i].alloc_allocated,
               h[i].ephemeral_segment);
        for (size_t f = 0; i < queues && f < 7; f++)
            printf("\t%" PRIx64, q[i].fill[f]);
        putchar('\n');
    }
    const struct lg_segment *s = lg_clr_segments(d->clr, &count);
    for (size_t i = 0; i < count; i++)
        printf("clr\tsegment\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64
               "\n",
               s[i].start, s[i].address, s[i].end, s[i].committed, s[i].reserved, s[i].flags);
    const struct lg_alloc_context *c = lg_clr_alloc_contexts(d->clr, &count);
    for (size_t i = 0; i < count; i++)
        print_context("clr", c[i].ptr, c[i].limit);
}

// ---- threads ----

static void print_thread(const char *who, const struct lg_dac_thread *t)
{
    printf("%s\tthread\t%" PRIx64 "\t%u\t%u\t%x\t%s\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\n", who,
           t->address, t->id, t->os_id, t->state, yes(t->is_cooperative, "cooperative"), t->alloc_ptr,
           t->alloc_limit, t->last_thrown_handle);
}

static void print_counts(const char *who, const uint32_t counts[5])
{
    printf("%s\tcounts\t%u\t%u\t%u\t%u\t%u\n", who, counts[0], counts[1], counts[2], counts[3],
           counts[4]);
}

static void print_threads(struct dump *d)
{
    struct lg_dac_threads *threads = &d->threads;
    if (!told(lg_dac_threads_read(d->dac, threads)))
        return;
    const uint32_t counts[] = { threads->all, threads->unstarted, threads->background, threads->pending,
                                threads->dead };
    print_counts("dac", counts);
    for (size_t i = 0; i < threads->list.len; i++) {
        print_thread("dac", &threads->list.at[i]);
        print_context("dac", threads->list.at[i].alloc_ptr, threads->list.at[i].alloc_limit);
    }
}

static void print_clr_threads(struct dump *d)
{
    const struct lg_managed_thread *t;
    struct lg_thread_counts c;
    size_t count;
    if (!told(lg_clr_threads(d->clr, &t, &count)))
        return;
    lg_clr_thread_counts(d->clr, &c);
    const uint32_t counts[] = { c.all, c.unstarted, c.background, c.pending, c.dead };
    print_counts("clr", counts);
    for (size_t i = 0; i < count; i++) {
        struct lg_dac_thread same = { .address = t[i].address,
                                      .id = t[i].id,
                                      .os_id = t[i].os_id,
                                      .state = t[i].state,
                                      .is_cooperative = t[i].cooperative,
                                      .alloc_ptr = t[i].alloc_ptr,
                                      .alloc_limit = t[i].alloc_limit,
                                      .last_thrown_handle = t[i].last_thrown_handle };
        print_thread("clr", &same);
    }
}

// ---- modules ----

static void print_module(const char *who, const struct lg_dac_module *m)
{
    printf("%s\tmodule\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%s\t%s\n", who,
           m->address, m->assembly, m->loader_allocator, m->image_base, m->image_size,
           yes(m->is_dynamic, "dynamic"), m->path ? m->path : "");
}

static void print_dac_module(struct dump *d, uint64_t address)
{
    _cleanup_(lg_dac_module_deinit) struct lg_dac_module module = { .path = NULL };
    _cleanup_(lg_dac_module_types_deinit) struct lg_dac_module_types types = { .at = NULL };
    if (told(lg_dac_module_read(d->dac, address, &module)))
        print_module("dac", &module);
    if (!told(lg_dac_module_types_read(d->dac, address, &types)))
        return;
    for (size_t i = 0; i < types.len; i++)
        printf("dac\tloaded\t%" PRIx64 "\t%08x\t%" PRIx64 "\n", address, types.at[i].token,
               types.at[i].mt);
    for (size_t i = 0; i < types.len; i++)
        add_type(d, types.at[i].mt);
}

static void print_loaded(void *self, uint32_t rid, uint64_t mt)
{
    printf("clr\tloaded\t%" PRIx64 "\t%08x\t%" PRIx64 "\n", *(const uint64_t *)self, 0x02000000 | rid,
           mt);
}

static void print_clr_module(struct dump *d, const struct lg_module *m)
{
    uint64_t address = m->address;
    struct lg_dac_module same = { .address = m->address,
                                  .assembly = m->assembly,
                                  .loader_allocator = m->loader_allocator,
                                  .image_base = m->image_base,
                                  .image_size = m->image_size,
                                  .is_dynamic = m->is_dynamic };
    same.path = (char *)(uintptr_t)m->path;
    print_module("clr", &same);
    lg_module_types(d->clr, address, print_loaded, &address);
}

static void print_modules(struct dump *d)
{
    _cleanup_(lg_dac_addresses_deinit) struct lg_dac_addresses modules = { .at = NULL };
    const struct lg_module *const *clr_modules;
    size_t count = 0;
    double start = now_ms();
    if (told(lg_dac_modules_read(d->dac, &modules)))
        printf("dac\ttime\tmodule list\t%zu\t%.2f\n", modules.len, now_ms() - start);
    for (size_t i = 0; i < modules.len; i++)
        print_dac_module(d, modules.at[i]);
    if (d->clr && !told(lg_clr_modules(d->clr, &clr_modules, &count)))
        count = 0;
    for (size_t i = 0; i < count; i++)
        print_clr_module(d, clr_modules[i]);
}

// ---- native memory ----

static void print_blocks(const struct lg_dac_blocks *blocks)
{
    for (size_t i = 0; i < blocks->len; i++)
        printf("dac\tnative\t%" PRIx64 "\t%" PRIx64 "\t%s\n", blocks->at[i].start, blocks->at[i].size,
               blocks->at[i].kind);
}

static void print_allocators(struct dump *d)
{
    _cleanup_(lg_dac_addresses_deinit) struct lg_dac_addresses modules = { .at = NULL };
    struct lg_map seen = { .slots = NULL };
    uint32_t index;
    if (!told(lg_dac_modules_read(d->dac, &modules)))
        return;
    for (size_t i = 0; i < modules.len; i++) {
        _cleanup_(lg_dac_module_deinit) struct lg_dac_module m = { .path = NULL };
        _cleanup_(lg_dac_blocks_deinit) struct lg_dac_blocks blocks = { .at = NULL };
        if (!told(lg_dac_module_read(d->dac, modules.at[i], &m)) || !m.loader_allocator
            || lg_map_get(&seen, m.loader_allocator, &index))
            continue;
        if (!lg_map_put(&seen, m.loader_allocator, 0))
            exit(fail(&lg_no_memory));
        if (told(lg_dac_allocator_heaps_read(d->dac, m.loader_allocator, &blocks)))
            print_blocks(&blocks);
    }
    lg_map_free(&seen);
}

static void print_native(struct dump *d)
{
    _cleanup_(lg_dac_domain_deinit) struct lg_dac_domain domain = { .name = NULL };
    _cleanup_(lg_dac_blocks_deinit) struct lg_dac_blocks code = { .at = NULL }, own = { .at = NULL };
    if (told(lg_dac_domain_read(d->dac, &domain))) {
        printf("dac\tdomain\t%" PRIx64 "\t%s\n", domain.address, domain.name ? domain.name : "");
        if (told(lg_dac_domain_heaps_read(d->dac, domain.address, &own)))
            print_blocks(&own);
    }
    if (told(lg_dac_code_heaps_read(d->dac, &code)))
        print_blocks(&code);
    print_allocators(d);
}

static void print_clr_native(struct dump *d)
{
    const struct lg_native_heap *h;
    size_t count;
    struct lg_domain domain;
    lg_clr_domain(d->clr, &domain);
    printf("clr\tdomain\t%" PRIx64 "\t%s\n", domain.address, domain.name ? domain.name : "");
    if (!told(lg_clr_native_heaps(d->clr, &h, &count)))
        return;
    for (size_t i = 0; i < count; i++)
        printf("clr\tnative\t%" PRIx64 "\t%" PRIx64 "\t%s\n", h[i].start, h[i].reserved, h[i].kind);
}

// ---- how long it takes ----

static void time_types(struct dump *d)
{
    double start = now_ms();
    size_t fields_told = 0;
    for (size_t i = 0; i < d->types.len; i++) {
        struct lg_dac_type type;
        told(lg_dac_type_read(d->dac, d->types.at[i], &type));
    }
    double types = now_ms();
    printf("dac\ttime\ttypes\t%zu\t%.2f\n", d->types.len, types - start);
    for (size_t i = 0; i < d->types.len; i++) {
        _cleanup_free_ char *name = NULL;
        told(lg_dac_type_name(d->dac, d->types.at[i], &name));
    }
    double names = now_ms();
    printf("dac\ttime\tnames\t%zu\t%.2f\n", d->types.len, names - types);
    for (size_t i = 0; i < d->types.len; i++) {
        _cleanup_(lg_dac_fields_deinit) struct lg_dac_fields fields = { .at = NULL };
        struct lg_dac_type type;
        if (told(lg_dac_type_read(d->dac, d->types.at[i], &type))
            && told(lg_dac_fields_read(d->dac, &type, &fields)))
            fields_told += fields.len;
    }
    printf("dac\ttime\tfields (types again)\t%zu\t%.2f\n", fields_told, now_ms() - names);
}

// ---- all of it ----

static struct lg_error *collect_types(struct dump *d)
{
    _cleanup_(lg_heap_freep) struct lg_heap *heap = NULL;
    struct lg_type_stats stats = { .counts = NULL };
    struct lg_walk_result walked;
    struct lg_error *err = d->clr ? lg_heap_open(d->clr, &heap) : NULL;
    if (!err && d->clr)
        err = lg_heap_stats(heap, &(struct lg_walk_filter){ 0 }, &stats, &walked);
    lg_type_stats_deinit(&stats);
    const struct lg_static *statics; // Finds instantiations without an object.
    size_t static_count;
    if (!err && d->clr)
        err = lg_clr_statics(d->clr, &statics, &static_count);
    for (size_t i = 0; !err && d->clr && i < static_count; i++)
        add_type(d, statics[i].mt);
    uint32_t count = d->clr ? lg_clr_type_count(d->clr) : 0;
    for (uint32_t i = 0; i < count && !err; i++)
        add_type(d, lg_clr_type_at(d->clr, i)->mt);
    return err;
}

// Where linger itself refuses a runtime, libcoreclr.so is found by its name.
static struct lg_error *find_runtime(struct lg_target *target, struct lg_image *ret)
{
    struct lg_error *err = lg_runtime_image_find(target, ret);
    for (size_t i = 0; err && i < target->ranges.len; i++) {
        const struct lg_range *range = &target->ranges.at[i];
        const char *name = strrchr(range->path, '/');
        if (!name || strcmp(name, "/libcoreclr.so") != 0 || range->offset != 0)
            continue;
        lg_error_free(err);
        return lg_image_open(target, range->path, range->start, ret);
    }
    return err;
}

static struct lg_error *open_all(struct dump *d, const char *target, const char *file)
{
    struct lg_image image;
    char version[64] = "";
    struct lg_error *err = lg_target_open(target, &(struct lg_target_options){ 0 }, &d->target);
    if (!err)
        err = find_runtime(d->target, &image);
    if (err)
        return err;
    bool known = lg_runtime_image_version(&image, version, sizeof(version));
    struct lg_dac_options options = { .file = file, .version = known ? version : NULL };
    struct lg_error *clr_err = lg_clr_open(d->target, NULL, &d->clr);
    if (clr_err)
        fprintf(stderr, "dacdump: only the DAC: %s\n", lg_error_message(clr_err));
    lg_error_free(clr_err);
    return lg_dac_open(d->target, image.path, image.base, &options, &d->dac);
}

static void print_all(struct dump *d)
{
    print_known(d);
    print_gc(d);
    print_threads(d);
    if (d->clr) {
        print_clr_gc(d);
        print_clr_threads(d);
    }
    print_modules(d);
    print_types(d);
    print_names(d);
    print_fields(d);
    print_native(d);
    if (d->clr)
        print_clr_native(d);
    time_types(d);
}

int main(int argc, char **argv)
{
    struct dump d = { .target = NULL };
    if (argc != 2 && argc != 3)
        return fprintf(stderr, "usage: dacdump TARGET [DAC]\n"), 2;
    struct lg_error *err = open_all(&d, argv[1], argv[2]);
    if (!err)
        err = collect_types(&d);
    if (!err)
        print_all(&d);
    int status = err ? fail(err) : 0;
    lg_vec_free(&d.types);
    lg_map_free(&d.seen);
    lg_dac_threads_deinit(&d.threads);
    lg_dac_free(d.dac);
    lg_clr_free(d.clr);
    lg_target_free(d.target);
    return status;
}
