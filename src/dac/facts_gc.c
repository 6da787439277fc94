// What the DAC tells about the GC: its heaps, their generations, and the segments or regions of those.
#include <string.h>

#include "dac/facts_priv.h"
#include "util/error.h"

// Server GC has no more heaps than processors; there are machines with 2048.
enum { HEAPS_MAX = 1 << 14, SEGMENTS_MAX = 1 << 19 };

// ---- heaps ----

// What .NET 5 has added to a heap: a fifth generation, and with it a seventh fill pointer.
static struct lg_error *read_more(struct lg_dac *dac, struct lg_dac_gc_heap *heap)
{
    struct lg_dacp_generation generations[LG_DAC_GENERATIONS];
    uint64_t fill[LG_DAC_FILL_POINTERS];
    uint32_t needed[2] = { 0 };
    struct lg_dac_step steps[] = {
        { LG_DAC_SOS8,
          LG_SOS8_GENERATION_TABLE,
          3,
          { LG_VALUE(LG_DAC_GENERATIONS), LG_OUT(generations, sizeof(generations)),
            LG_OUT(&needed[0], 4) } },
        { LG_DAC_SOS8,
          LG_SOS8_FILL_POINTERS,
          3,
          { LG_VALUE(LG_DAC_FILL_POINTERS), LG_OUT(fill, sizeof(fill)), LG_OUT(&needed[1], 4) } },
    };
    for (size_t i = 0; heap->address && i < 2; i++) { // Server GC: of which heap comes first.
        memmove(&steps[i].args[1], &steps[i].args[0], 3 * sizeof(steps[i].args[0]));
        steps[i].args[0] = (struct lg_dac_arg)LG_VALUE(heap->address);
        steps[i].slot = i ? LG_SOS8_FILL_POINTERS_SVR : LG_SOS8_GENERATION_TABLE_SVR;
        steps[i].count = 4;
    }
    struct lg_error *err = lg_dac_steps(dac, steps, 2);
    if (err || steps[0].result.hresult == LG_E_NOINTERFACE)
        return err;
    if (steps[0].result.hresult < 0 || steps[1].result.hresult < 0 || needed[0] != LG_DAC_GENERATIONS
        || needed[1] != LG_DAC_FILL_POINTERS)
        return lg_error_new(LG_ERR_CORRUPT, "the DAC tells of %u generations and %u finalizer lists",
                            needed[0], needed[1]);
    heap->generation_count = needed[0];
    heap->fill_count = needed[1];
    memcpy(heap->generations, generations, sizeof(generations));
    memcpy(heap->fill, fill, sizeof(fill));
    return NULL;
}

static struct lg_error *add_heap(struct lg_dac *dac, uint64_t address, struct lg_dac_gc *gc)
{
    enum { GENERATIONS_OF_3 = 4, FILL_POINTERS_OF_3 = 6 };
    _Static_assert(sizeof(struct lg_dacp_generation) == sizeof(struct lg_dac_generation), "as it is");
    struct lg_dacp_gc_heap data;
    struct lg_dac_result result;
    struct lg_error *err = address ? LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_GC_HEAP, &result,
                                                 LG_VALUE(address), LG_OUT(&data, sizeof(data)))
                                   : LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_GC_HEAP_STATIC, &result,
                                                 LG_OUT(&data, sizeof(data)));
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the GC heap", address, result.hresult);
    if (err)
        return err;
    struct lg_dac_gc_heap heap = {
        .address = address,
        .alloc_allocated = data.alloc_allocated,
        .ephemeral_segment = data.ephemeral_segment,
        .generation_count = GENERATIONS_OF_3,
        .fill_count = FILL_POINTERS_OF_3,
    };
    memcpy(heap.generations, data.generations, sizeof(data.generations));
    memcpy(heap.fill, data.fill, FILL_POINTERS_OF_3 * sizeof(*heap.fill));
    err = read_more(dac, &heap);
    if (!err && !lg_vec_push(&gc->heaps, heap))
        err = &lg_no_memory;
    return err;
}

static struct lg_error *add_heaps(struct lg_dac *dac, uint32_t count, struct lg_dac_gc *gc)
{
    if (!gc->is_server)
        return add_heap(dac, 0, gc);
    if (count == 0 || count > HEAPS_MAX)
        return lg_error_new(LG_ERR_CORRUPT, "the DAC tells of %u GC heaps", count);
    _cleanup_free_ uint64_t *addresses = calloc(count, sizeof(*addresses));
    uint32_t needed;
    struct lg_dac_result result;
    if (!addresses)
        return &lg_no_memory;
    // Exactly as many as there are: a larger buffer stays empty (reference clr.md B.1).
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_GC_HEAPS, &result, LG_VALUE(count),
                    LG_OUT(addresses, count * sizeof(*addresses)), LG_OUT(&needed, sizeof(needed)));
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the GC heaps of", dac->image.base, result.hresult);
    for (uint32_t i = 0; !err && i < count; i++)
        err = addresses[i] ? add_heap(dac, addresses[i], gc)
                           : lg_error_new(LG_ERR_CORRUPT, "the DAC tells of a GC heap that is nowhere");
    return err;
}

struct lg_error *lg_dac_gc_read(struct lg_dac *dac, struct lg_dac_gc *ret)
{
    struct lg_dacp_gc data;
    uint64_t context[2];
    int32_t datas;
    struct lg_dac_step steps[] = {
        { LG_DAC_SOS, LG_SOS_GC, 1, { LG_OUT(&data, sizeof(data)) } },
        { LG_DAC_SOS12, LG_SOS12_ALLOC_CONTEXT, 2, { LG_OUT(&context[0], 8), LG_OUT(&context[1], 8) } },
        { LG_DAC_SOS16, LG_SOS16_DATAS, 1, { LG_OUT(&datas, sizeof(datas)) } },
    };
    struct lg_error *err = lg_dac_steps(dac, steps, 3);
    if (!err && steps[0].result.hresult < 0)
        err = lg_dac_no_fact("the GC of", dac->image.base, steps[0].result.hresult);
    if (err)
        return err;
    bool has_context = steps[1].result.hresult >= 0;
    _cleanup_(lg_dac_gc_deinit) struct lg_dac_gc gc = {
        .is_server = data.is_server,
        .is_valid = data.is_valid,
        .max_generation = data.max_generation,
        .datas = steps[2].result.hresult == LG_S_OK ? datas : -1,
        .alloc_ptr = has_context ? context[0] : 0,
        .alloc_limit = has_context ? context[1] : 0,
    };
    err = add_heaps(dac, data.heaps, &gc);
    if (err)
        return err;
    *ret = gc;
    gc.heaps = (struct lg_dac_gc_heaps){ .at = NULL };
    return NULL;
}

// ---- segments ----

struct lg_error *lg_dac_segments_read(struct lg_dac *dac, uint64_t first, struct lg_dac_segments *ret)
{
    _cleanup_(lg_dac_segments_deinit) struct lg_dac_segments segments = { .at = NULL };
    struct lg_dac_follow list = {
        .object = LG_DAC_SOS,
        .slot = LG_SOS_SEGMENT,
        .size = sizeof(struct lg_dacp_segment),
        .next_at = offsetof(struct lg_dacp_segment, next),
        .first = first,
        .max = SEGMENTS_MAX,
    };
    int32_t hresult;
    struct lg_error *err = lg_dac_follow(dac, &list, &hresult);
    size_t count = dac->parts.len / list.size;
    if (!err && (hresult < 0 || count == SEGMENTS_MAX))
        err = lg_error_new(LG_ERR_CORRUPT, "the DAC tells of segments from %#llx on %s (%#x)",
                           (unsigned long long)first,
                           hresult == LG_E_CIRCLE ? "in a circle"
                           : hresult < 0          ? "and then does not know one"
                                                  : "that do not end",
                           (unsigned)hresult);
    for (uint64_t i = 0, address = first; !err && i < count; i++) {
        struct lg_dacp_segment data;
        memcpy(&data, dac->parts.at + i * sizeof(data), sizeof(data));
        struct lg_dac_segment segment = { .address = address,
                                          .start = data.mem,
                                          .allocated = data.allocated,
                                          .used = data.used,
                                          .committed = data.committed,
                                          .reserved = data.reserved,
                                          .heap = data.heap,
                                          .flags = data.flags };
        address = data.next;
        if (!lg_vec_push(&segments, segment))
            err = &lg_no_memory;
    }
    if (err)
        return err;
    *ret = segments;
    segments = (struct lg_dac_segments){ .at = NULL };
    return NULL;
}
