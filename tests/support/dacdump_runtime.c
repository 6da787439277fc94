// What dacdump prints of all that is not a type.
#include <inttypes.h>
#include <stdio.h>

#include "clr/types_priv.h"
#include "support/dacdump.h"
#include "util/error.h"

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

// ---- all of it ----

void print_runtime(struct dump *d)
{
    print_gc(d);
    print_threads(d);
    if (d->clr) {
        print_clr_gc(d);
        print_clr_threads(d);
    }
    print_modules(d);
}

void print_native_memory(struct dump *d)
{
    print_native(d);
    if (d->clr)
        print_clr_native(d);
}
