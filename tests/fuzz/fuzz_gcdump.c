// Any bytes as a .gcdump: opening is refused, or what was opened is a whole heap that can be asked.
//
// The last word, which a cut file lacks, is made right, so that what lies before it is reached.
#include <stdlib.h>
#include <string.h>

#include "snapshot/gcdump.h"
#include "snapshot/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void count_reference(void *self, uint64_t offset, uint64_t target)
{
    ++*(uint64_t *)self;
}

struct walked {
    struct lg_heap *heap;
    uint64_t references, end;
};

static bool see(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct walked *walked = self;
    must(object->address >= segment->start && object->address < segment->end);
    must(object->address >= walked->end);
    must(lg_clr_type_name(lg_heap_clr(walked->heap), object->type) != NULL);
    walked->end = object->address + object->size;
    if (object->size < 1 << 20) // Longer ones are only slow.
        lg_heap_references(walked->heap, object, count_reference, &walked->references);
    return true;
}

static struct lg_error *ask(struct lg_snapshot *snapshot)
{
    struct lg_clr *clr = NULL;
    struct lg_heap *heap = NULL;
    struct lg_roots *roots = NULL;
    struct lg_walk_result walk;
    struct lg_error *err = lg_snapshot_clr(snapshot, &clr);
    if (!err)
        err = lg_heap_open(clr, &heap);
    struct walked walked = { .heap = heap };
    if (!err)
        err = lg_heap_walk(heap, NULL, see, &walked, &walk);
    if (!err)
        must(lg_walk_is_exact(&walk) && walk.objects == lg_snapshot_about(snapshot)->figures.objects);
    if (!err)
        err = lg_snapshot_roots(snapshot, clr, &roots);
    lg_roots_free(roots);
    lg_heap_free(heap);
    lg_clr_free(clr);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = sizeof(LG_GCDUMP_MAGIC) - 1;
    uint32_t last = (uint32_t)(size - 8);
    struct lg_snapshot *snapshot;
    uint8_t *file = malloc(size + 1);
    must(file != NULL);
    if (size > 0)
        memcpy(file, data, size);
    if (size >= 64) {
        memcpy(file, LG_GCDUMP_MAGIC, len);
        memcpy(file + size - 4, &last, sizeof(last));
    }
    struct lg_error *err = lg_snapshot_of("x", file, size, &snapshot);
    if (!err) {
        err = ask(snapshot);
        lg_target_free(lg_snapshot_target(snapshot));
    }
    lg_error_free(err);
    free(file);
    return 0;
}
