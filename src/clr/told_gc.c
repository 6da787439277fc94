// The GC's heaps as the DAC tells them (sources.h): of runtimes that do not say where their GcDacVars
// are (3.1). Only where lists begin: segments, objects and handles are read as on every runtime.
#include <string.h>

#include "clr/gc_vars.h"
#include "clr/sources.h"
#include "clr/told.h"

static struct lg_error *read_gc(struct lg_clr *clr, struct lg_dac_gc *ret)
{
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_gc_read(dac, ret)
                               : lg_error_new(LG_ERR_UNSUPPORTED, "the DAC is not there any more");
    lg_told_end(clr);
    return err;
}

static struct lg_error *open_nothing(struct lg_clr *clr)
{
    struct lg_gc_vars *gc = calloc(1, sizeof(*gc));
    if (!gc)
        return &lg_no_memory;
    memset(gc->field_offsets, 0xff, sizeof(gc->field_offsets)); // -1: absent
    free(clr->gc);
    clr->gc = gc;
    return NULL;
}

static struct lg_error *add_heap(struct lg_clr *clr, const struct lg_dac_gc_heap *told)
{
    struct lg_gc_heap heap = {
        .address = told->address,
        .alloc_allocated = told->alloc_allocated,
        .ephemeral_segment = told->ephemeral_segment,
    };
    clr->generation_count = told->generation_count;
    for (unsigned g = 0; g < clr->generation_count; g++) {
        const struct lg_dac_generation *t = &told->generations[g];
        struct lg_gc_generation generation = { t->first_segment, { t->alloc_ptr, t->alloc_limit } };
        heap.allocation_start[g] = t->allocation_start;
        if (!lg_vec_push(&clr->generations, generation))
            return &lg_no_memory;
    }
    return lg_vec_push(&clr->gc_heaps, heap) ? NULL : &lg_no_memory;
}

struct lg_error *lg_told_gc(struct lg_clr *clr)
{
    _cleanup_(lg_dac_gc_deinit) struct lg_dac_gc gc = { 0 };
    struct lg_error *err = read_gc(clr, &gc);
    if (!err)
        err = open_nothing(clr);
    for (size_t i = 0; !err && i < gc.heaps.len; i++)
        err = add_heap(clr, &gc.heaps.at[i]);
    if (err)
        return err;
    clr->info.server = gc.is_server;
    clr->info.regions = gc.heaps.len > 0 && gc.heaps.at[0].generations[0].allocation_start == 0;
    clr->info.gc_in_progress = !gc.is_valid;
    clr->info.datas = gc.datas;
    return NULL;
}

// Where the array begins is not told: its first run is of large objects, of which none has a finalizer
// (they are arrays), so where that one ends will do. A run that the runtime does not have is empty.
static struct lg_error *add_queue(struct lg_clr *clr, const struct lg_dac_gc_heap *heap)
{
    uint64_t words[LG_GC_FILL_WORDS];
    unsigned absent = LG_GC_FILLS - heap->fill_count;
    for (unsigned i = 0; i < LG_GC_FILLS; i++)
        words[i] = heap->fill[i < absent ? 0 : i - absent];
    words[LG_GC_FILL_ARRAY] = heap->fill[0];
    words[LG_GC_FILL_END] = words[LG_GC_FILLS - 1];
    return lg_gc_add_finalizers(clr, heap->address, words);
}

struct lg_error *lg_told_finalizers(struct lg_clr *clr)
{
    _cleanup_(lg_dac_gc_deinit) struct lg_dac_gc gc = { 0 };
    struct lg_error *err = read_gc(clr, &gc);
    for (size_t i = 0; !err && i < gc.heaps.len; i++) {
        err = add_queue(clr, &gc.heaps.at[i]);
        if (err)
            err = lg_error_context(err, "finalization queue of heap %zu", i);
    }
    return err;
}
