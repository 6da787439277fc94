// Prints what the runtime of a target says about its GC: clrdump PID|CORE. For development, and for
// comparing with other readers of the same core.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clr/clr.h"

static int fail(struct lg_error *err)
{
    fprintf(stderr, "clrdump: %s\n", lg_error_message(err));
    lg_error_free(err);
    return 3;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void print_info(const struct lg_clr *clr, double ms)
{
    const struct lg_clr_info *info = lg_clr_info(clr);
    printf("runtime %s, %s, %s at %#" PRIx64 "%s, opened in %.2f ms\n",
           info->version ? info->version : "?", info->provider, info->image, info->image_base,
           info->single_file ? ", single-file" : "", ms);
    printf("%s GC, %s, %u heap(s), datas %d, GC in progress %d\n",
           info->server ? "server" : "workstation", info->regions ? "regions" : "segments",
           info->heap_count, info->datas, info->gc_in_progress);
    printf("free %#" PRIx64 " string %#" PRIx64 " object %#" PRIx64 " object[] %#" PRIx64
           " mask %#" PRIx64 "\n",
           info->free_mt, info->string_mt, info->object_mt, info->object_array_mt, info->mt_mask);
}

static void print_segments(const struct lg_clr *clr)
{
    size_t count;
    const struct lg_segment *s = lg_clr_segments(clr, &count);
    for (size_t i = 0; i < count; i++, s++) {
        printf("  heap %u %s  %#" PRIx64 "..%#" PRIx64 "  %9" PRIu64 " bytes  flags %#" PRIx64 "%s",
               s->heap, lg_generation_name(s->generation), s->start, s->end, s->end - s->start, s->flags,
               s->ephemeral ? "  ephemeral" : "");
        if (s->gen0_start)
            printf("  gen1 %#" PRIx64 " gen0 %#" PRIx64, s->gen1_start, s->gen0_start);
        putchar('\n');
    }
    printf("segments %zu\n", count);
    lg_clr_alloc_contexts(clr, &count);
    printf("allocation contexts %zu\n", count);
}

static struct lg_error *print_threads(struct lg_clr *clr)
{
    const struct lg_managed_thread *t;
    size_t count;
    struct lg_error *err = lg_clr_threads(clr, &t, &count);
    if (err)
        return err;
    for (size_t i = 0; i < count; i++, t++)
        printf("  thread %u os %u (%u %s) state %#x%s  stack %#" PRIx64 "..%#" PRIx64 " (%" PRIu64
               " KiB)  exposed %#" PRIx64 " thrown %#" PRIx64 " tls %#" PRIx64 "\n",
               t->id, t->os_id, t->thread ? t->thread->tid : 0, t->thread ? t->thread->name : "",
               t->state, t->cooperative ? " cooperative" : "", t->stack_low, t->stack_high,
               (t->stack_high - t->stack_low) / 1024, t->exposed_handle, t->last_thrown_handle,
               t->tls_array);
    printf("threads %zu\n", count);
    return NULL;
}

static struct lg_error *print_handles(struct lg_clr *clr)
{
    const struct lg_handle *h;
    size_t count, kinds[LG_HANDLE_KINDS] = { 0 }, slots[64] = { 0 }, secondaries = 0;
    struct lg_error *err = lg_clr_handles(clr, &h, &count);
    if (err)
        return err;
    for (size_t i = 0; i < count; i++) {
        kinds[h[i].kind]++;
        slots[h[i].slot % 64]++;
        secondaries += h[i].kind == LG_HANDLE_DEPENDENT && h[i].secondary;
    }
    for (int i = 0; i < LG_HANDLE_KINDS; i++) {
        if (kinds[i])
            printf("  handles of kind %d: %zu\n", i, kinds[i]);
    }
    for (int i = 0; i < 64; i++) {
        if (slots[i])
            printf("  handles in slot %d: %zu\n", i, slots[i]);
    }
    printf("handles %zu, dependent secondaries %zu\n", count, secondaries);
    return NULL;
}

static struct lg_error *print_finalizers(struct lg_clr *clr)
{
    const struct lg_finalizer_queue *q;
    size_t count;
    struct lg_error *err = lg_clr_finalizer_queues(clr, &q, &count);
    if (err)
        return err;
    for (size_t i = 0; i < count; i++, q++)
        printf("finalizer queue %zu: array %#" PRIx64 ", finalizable %" PRIu64 ", f-reachable %" PRIu64
               "\n",
               i, q->array, (q->fill[4] - q->array) / 8, (q->fill[6] - q->fill[4]) / 8);
    return NULL;
}

static struct lg_error *print_native_heaps(struct lg_clr *clr)
{
    const struct lg_native_heap *h;
    size_t count;
    struct lg_error *err = lg_clr_native_heaps(clr, &h, &count);
    if (err)
        return err;
    for (size_t i = 0; i < count; i++, h++)
        printf("  %-24s %#14" PRIx64 "  %-22s %#14" PRIx64 " reserved %#" PRIx64 " used %#" PRIx64 "\n",
               h->owner, h->owner_address, h->kind, h->start, h->reserved, h->used);
    printf("native heaps %zu\n", count);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return fprintf(stderr, "usage: clrdump PID|CORE\n"), 2;
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    struct lg_error *err = lg_target_open(argv[1], &(struct lg_target_options){ 0 }, &target);
    if (err)
        return fail(err);
    double start = now_ms();
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    err = lg_clr_open(
        target, &(struct lg_clr_options){ .without_descriptor = getenv("WITHOUT_DESCRIPTOR") != NULL },
        &clr);
    if (err)
        return fail(err);
    print_info(clr, now_ms() - start);
    print_segments(clr);
    static struct lg_error *(*const parts[])(struct lg_clr *) = { print_threads, print_handles,
                                                                  print_finalizers, print_native_heaps };
    int rc = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        err = parts[i](clr);
        if (err)
            rc = fail(err);
    }
    for (size_t i = 0; i < target->notes.len; i++)
        printf("note: %s\n", target->notes.at[i]);
    return rc;
}
