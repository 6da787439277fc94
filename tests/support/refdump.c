// Prints every object of a target's heap, one a line, in the format of `oracle --objects FILE --refs`:
//
//     refdump PID|CORE
//
//     address <tab> mt <tab> size <tab> references <tab> hash [<tab> loader allocator]
//
// The hash is the sum, modulo 2^64, of mix(reference) over all references that are not null, so it does
// not depend on their order (tests/e2e/oracle/Objects.cs). The loader allocator is the object that keeps
// a collectible type alive.
#include <inttypes.h>
#include <stdio.h>

#include "collect/collect_priv.h"

static int fail(struct lg_error *err)
{
    fprintf(stderr, "refdump: %s\n", lg_error_message(err));
    lg_error_free(err);
    return 3;
}

// The finaliser of splitmix64 behind its increment.
static uint64_t mix(uint64_t r)
{
    return lg_hash64(r + 0x9e3779b97f4a7c15);
}

struct sum {
    uint64_t count, hash;
};

static void add_reference(void *self, uint64_t offset, uint64_t target)
{
    struct sum *sum = self;
    (void)offset;
    sum->count++;
    sum->hash += mix(target);
}

struct dump {
    struct lg_heap *heap;
    struct lg_map loaders;
};

static bool print_object(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct dump *dump = self;
    struct sum sum = { 0 };
    (void)segment;
    lg_heap_references(dump->heap, object, add_reference, &sum);
    printf("%" PRIx64 "\t%" PRIx64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIx64, object->address,
           object->type->mt, object->size, sum.count, sum.hash);
    uint64_t loader = lg_loader_object(lg_heap_clr(dump->heap), &dump->loaders, object->type);
    if (loader)
        printf("\t%" PRIx64, loader);
    putchar('\n');
    return true;
}

static struct lg_error *print_objects(struct dump *dump)
{
    // The loader allocators are found among types that a walk has seen.
    struct lg_type_stats stats;
    struct lg_walk_result result;
    struct lg_error *err = lg_heap_stats(dump->heap, &(struct lg_walk_filter){ 0 }, &stats, &result);
    if (err)
        return err;
    lg_type_stats_deinit(&stats);
    if (!lg_walk_is_exact(&result))
        return lg_error_new(LG_ERR_CORRUPT, "%" PRIu64 " objects are bad, the first at %#" PRIx64,
                            result.bad_objects, result.first_bad);
    err = lg_loader_objects_find(dump->heap, &dump->loaders);
    if (err)
        return err;
    return lg_heap_walk(dump->heap, &(struct lg_walk_filter){ 0 }, print_object, dump, &result);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return fprintf(stderr, "usage: refdump PID|CORE\n"), 2;
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    _cleanup_(lg_heap_freep) struct lg_heap *heap = NULL;
    struct lg_error *err = lg_target_open(argv[1], &(struct lg_target_options){ 0 }, &target);
    if (!err)
        err = lg_clr_open(
            target,
            &(struct lg_clr_options){ .without_descriptor = getenv("WITHOUT_DESCRIPTOR") != NULL },
            &clr);
    if (!err)
        err = lg_heap_open(clr, &heap);
    if (err)
        return fail(err);
    struct dump dump = { .heap = heap };
    err = print_objects(&dump);
    lg_map_free(&dump.loaders);
    if (err)
        return fail(err);
    return fflush(stdout) == 0 ? 0 : 3;
}
