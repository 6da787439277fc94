// The finalization queues: one per GC heap, each one array of object pointers that fill pointers cut
// into runs (clr.h has the picture).
//
//     CFinalize   m_FillPointers[7] | m_Array | m_EndArray | ...
//
// Only the fill pointers are the DAC's to read; the words behind them are the runtime's own, and
// checked: array <= fill[0] <= ... <= fill[6] <= end, and of a believable size (reference clr.md B.2,
// D.4, measured; dotnet/runtime src/coreclr/gc/gcpriv.h, CFinalize).
#include "clr/gc_vars.h"
#include "clr/stored.h"

enum { FILLS = LG_GC_FILLS, ARRAY = LG_GC_FILL_ARRAY, END = LG_GC_FILL_END, WORDS = LG_GC_FILL_WORDS };
enum { BYTES_MAX = 512 << 20 }; // Of one queue: 64 Mi objects, more than any process has.

static bool is_in_order(const uint64_t words[WORDS])
{
    uint64_t before = words[ARRAY];
    for (int i = 0; i < FILLS; i++) {
        if (words[i] < before || words[i] % 8)
            return false;
        before = words[i];
    }
    return words[ARRAY] && words[ARRAY] % 8 == 0 && before <= words[END]
           && before - words[ARRAY] <= BYTES_MAX;
}

struct lg_error *lg_gc_add_finalizers(struct lg_clr *clr, uint64_t at, const uint64_t words[WORDS])
{
    uint64_t last;
    if (!is_in_order(words))
        return lg_error_new(LG_ERR_CORRUPT,
                            "CFinalize at %#jx: array %#jx to %#jx, fill pointers from %#jx to %#jx",
                            (uintmax_t)at, (uintmax_t)words[ARRAY], (uintmax_t)words[END],
                            (uintmax_t)words[0], (uintmax_t)words[FILLS - 1]);
    if (words[FILLS - 1] > words[ARRAY] && !lg_target_u64(clr->target, words[FILLS - 1] - 8, &last))
        return lg_error_new(LG_ERR_FAULT, "CFinalize at %#jx: its array is not readable up to %#jx",
                            (uintmax_t)at, (uintmax_t)words[FILLS - 1]);
    struct lg_finalizer_queue queue = { .array = words[ARRAY] };
    for (int i = 0; i < FILLS; i++)
        queue.fill[i] = words[i];
    return lg_vec_push(&clr->finalizers, queue) ? NULL : &lg_no_memory;
}

static struct lg_error *read_queue(struct lg_clr *clr, size_t heap)
{
    uint64_t variable = lg_gc_field(clr, heap, LG_GC_FIELD_FINALIZE_QUEUE), at, words[WORDS];
    if (!variable)
        return lg_error_new(LG_ERR_UNSUPPORTED, "GcDacVars v%u.%u does not say where it is",
                            clr->gc->major, clr->gc->minor);
    if (!lg_target_u64(clr->target, variable, &at)
        || !lg_target_read_all(clr->target, at, words, sizeof(words)))
        return lg_error_new(LG_ERR_FAULT, "finalize_queue at %#jx: not readable", (uintmax_t)variable);
    return lg_gc_add_finalizers(clr, at, words);
}

static struct lg_error *read_queues(struct lg_clr *clr)
{
    for (size_t heap = 0; heap < clr->gc_heaps.len; heap++) {
        struct lg_error *err = read_queue(clr, heap);
        if (err)
            return lg_error_context(err, "finalization queue of heap %zu", heap);
    }
    return NULL;
}

struct lg_error *lg_clr_finalizer_queues(struct lg_clr *clr, const struct lg_finalizer_queue **ret,
                                         size_t *count_ret)
{
    if (clr->stored && clr->stored->no_finalizers)
        return lg_error_new(LG_ERR_UNSUPPORTED, "%s", clr->stored->no_finalizers);
    if (!clr->finalizers_read) {
        clr->finalizers.len = 0;
        struct lg_error *missing = lg_clr_gc_needed(clr);
        if (missing)
            return lg_error_context(missing, "finalization queues");
        struct lg_error *err = clr->from.finalizers ? clr->from.finalizers(clr) : read_queues(clr);
        if (err)
            return err;
        clr->finalizers_read = true;
    }
    *ret = clr->finalizers.at;
    *count_ret = clr->finalizers.len;
    return NULL;
}
