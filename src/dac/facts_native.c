// What the DAC tells about methods, and about the runtime's own memory: loader heaps and code heaps.
#include <stdio.h>
#include <string.h>

#include "dac/facts_priv.h"
#include "util/error.h"

// ---- methods ----

struct lg_error *lg_dac_method_name(struct lg_dac *dac, uint64_t method, char **ret)
{
    return lg_dac_name_read(dac, LG_SOS_METHOD_NAME, method, ret);
}

struct lg_error *lg_dac_method_from_ip(struct lg_dac *dac, uint64_t ip, uint64_t *ret)
{
    uint64_t method;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_METHOD_FROM_IP, &result, LG_VALUE(ip),
                                       LG_OUT(&method, sizeof(method)));
    if (!err && (result.hresult < 0 || !method))
        err = lg_dac_no_fact("a method at", ip, result.hresult);
    if (!err)
        *ret = method;
    return err;
}

struct lg_error *lg_dac_code_name(struct lg_dac *dac, uint64_t ip, char **ret)
{
    enum { UNITS = 2048 };
    uint16_t units[UNITS];
    uint32_t len;
    uint64_t displacement;
    struct lg_dac_result result;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_PROCESS, LG_PROCESS_CODE_NAME, &result, LG_VALUE(ip), LG_VALUE(0),
                    LG_VALUE(UNITS), LG_OUT(&len, sizeof(len)), LG_OUT(units, sizeof(units)),
                    LG_OUT(&displacement, sizeof(displacement)));
    if (err)
        return err;
    _cleanup_free_ char *name = NULL;
    if (result.hresult < 0)
        return lg_dac_no_fact("a name of the code at", ip, result.hresult);
    err = lg_dac_text(units, UNITS, ip, &name);
    // "CLRStub[StubLinkStub]@0x7f…": a stub that leads to no method.
    if (!err && strncmp(name, "CLRStub[", 8) == 0)
        err = lg_dac_no_fact("a method for the stub at", ip, result.hresult);
    if (!err)
        *ret = lg_steal(name);
    return err;
}

// ---- loader heaps ----

enum { HEAPS_MAX = 64, STUB_KINDS = 6, KIND_NORMAL = 0, KIND_EXPLICIT = 1 };

// The blocks that the callback of the last call was called with.
static struct lg_error *add_blocks(struct lg_dac *dac, const char *kind, struct lg_dac_blocks *ret)
{
    for (size_t at = 0; at + sizeof(struct lg_dac_item) <= dac->parts.len;
         at += sizeof(struct lg_dac_item)) {
        struct lg_dac_item item;
        memcpy(&item, dac->parts.at + at, sizeof(item));
        struct lg_dac_block block = { .start = item.a,
                                      .size = item.b,
                                      .is_current = (uint32_t)item.c != 0 };
        if (block.size == 0) // A heap that is still empty.
            continue;
        if (block.size > UINT64_MAX - block.start)
            return lg_error_new(LG_ERR_CORRUPT, "the DAC tells of a heap block at %#llx of %#llx bytes",
                                (unsigned long long)block.start, (unsigned long long)block.size);
        snprintf(block.kind, sizeof(block.kind), "%s", kind);
        if (!lg_vec_push(ret, block))
            return &lg_no_memory;
    }
    return NULL;
}

// Before ISOSDacInterface13 the DAC takes all heaps for one of the two kinds, up to .NET 6 (which has no
// ISOSDacInterface12) for normal ones: the pointer makes up for it (reference clr.md A.9).
static struct lg_error *traverse_old(struct lg_dac *dac, uint64_t heap, int kind,
                                     struct lg_dac_result *ret)
{
    uint64_t context[2];
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS12, LG_SOS12_ALLOC_CONTEXT, ret,
                                       LG_OUT(&context[0], 8), LG_OUT(&context[1], 8));
    if (err)
        return err;
    bool takes_explicit = ret->hresult != LG_E_NOINTERFACE;
    if (takes_explicit && kind == KIND_NORMAL)
        heap += 8;
    if (!takes_explicit && kind == KIND_EXPLICIT)
        heap -= 8;
    return LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_LOADER_HEAP, ret, LG_VALUE(heap), LG_CALLBACK);
}

static struct lg_error *traverse(struct lg_dac *dac, uint64_t heap, int kind, const char *name,
                                 struct lg_dac_blocks *ret)
{
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS13, LG_SOS13_LOADER_HEAP, &result, LG_VALUE(heap),
                                       LG_VALUE(kind), LG_CALLBACK);
    if (!err && result.hresult == LG_E_NOINTERFACE)
        err = traverse_old(dac, heap, kind, &result);
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the blocks of heap", heap, result.hresult);
    return err ? err : add_blocks(dac, name, ret);
}

struct allocator_heaps {
    uint64_t heaps[HEAPS_MAX];
    int32_t kinds[HEAPS_MAX];
    struct lg_dac_string names[HEAPS_MAX];
    size_t count;
};

static struct lg_error *read_heaps(struct lg_dac *dac, uint64_t allocator, struct allocator_heaps *ret)
{
    uint64_t pointers[HEAPS_MAX]; // Of the helper: they mean nothing here.
    uint32_t names = 0, heaps = 0;
    struct lg_dac_step steps[] = {
        { LG_DAC_SOS13,
          LG_SOS13_HEAPS,
          5,
          { LG_VALUE(allocator), LG_VALUE(HEAPS_MAX), LG_OUT(ret->heaps, sizeof(ret->heaps)),
            LG_OUT(ret->kinds, sizeof(ret->kinds)), LG_OUT(&heaps, sizeof(heaps)) } },
        { LG_DAC_SOS13,
          LG_SOS13_HEAP_NAMES,
          3,
          { LG_VALUE(HEAPS_MAX), LG_STRINGS(pointers, sizeof(pointers)),
            LG_OUT(&names, sizeof(names)) } },
    };
    struct lg_error *err = lg_dac_steps(dac, steps, 2);
    if (!err && (steps[0].result.hresult < 0 || heaps > HEAPS_MAX))
        err = lg_dac_no_fact("the heaps of LoaderAllocator", allocator, steps[0].result.hresult);
    if (err)
        return err;
    ret->count = heaps;
    for (size_t i = 0; i < heaps; i++) {
        bool has_name = (i + 1) * sizeof(*ret->names) <= dac->parts.len;
        memset(&ret->names[i], 0, sizeof(*ret->names));
        if (has_name)
            memcpy(&ret->names[i], dac->parts.at + i * sizeof(*ret->names), sizeof(*ret->names) - 1);
    }
    return NULL;
}

static struct lg_error *add_allocator(struct lg_dac *dac, uint64_t allocator, struct lg_dac_blocks *ret)
{
    struct allocator_heaps h;
    struct lg_error *err = read_heaps(dac, allocator, &h);
    for (size_t i = 0; !err && i < h.count; i++) {
        bool is_new = h.heaps[i] != 0; // What this runtime does not have is 0.
        for (size_t before = 0; before < i; before++)
            is_new = is_new && h.heaps[before] != h.heaps[i]; // Collectible: one heap for two purposes.
        if (is_new)
            err = lg_dac_may_lack(traverse(dac, h.heaps[i], h.kinds[i], h.names[i].text, ret));
    }
    return err;
}

static struct lg_error *give(struct lg_error *err, struct lg_dac_blocks *blocks,
                             struct lg_dac_blocks *ret)
{
    if (err)
        return err;
    *ret = *blocks;
    *blocks = (struct lg_dac_blocks){ .at = NULL };
    return NULL;
}

struct lg_error *lg_dac_allocator_heaps_read(struct lg_dac *dac, uint64_t allocator,
                                             struct lg_dac_blocks *ret)
{
    _cleanup_(lg_dac_blocks_deinit) struct lg_dac_blocks blocks = { .at = NULL };
    return give(add_allocator(dac, allocator, &blocks), &blocks, ret);
}

// Before .NET 8.
static struct lg_error *add_old_domain(struct lg_dac *dac, uint64_t domain, struct lg_dac_blocks *ret)
{
    static const char *const stubs[STUB_KINDS] = { "IndcellHeap",  "LookupHeap",     "ResolveHeap",
                                                   "DispatchHeap", "CacheEntryHeap", "VtableHeap" };
    struct lg_dacp_domain data;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_DOMAIN, &result, LG_VALUE(domain),
                                       LG_OUT(&data, sizeof(data)));
    if (!err && data.address != domain)
        err = lg_dac_no_fact("the heaps of domain", domain, result.hresult);
    if (err)
        return err;
    const struct {
        uint64_t heap;
        const char *name;
    } own[] = { { data.low_frequency, "LowFrequencyHeap" },
                { data.high_frequency, "HighFrequencyHeap" },
                { data.stubs, "StubHeap" } };
    for (size_t i = 0; !err && i < sizeof(own) / sizeof(*own); i++) {
        if (own[i].heap)
            err = lg_dac_may_lack(traverse(dac, own[i].heap, KIND_NORMAL, own[i].name, ret));
    }
    for (uint32_t i = 0; !err && i < STUB_KINDS; i++) {
        err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_STUB_HEAP, &result, LG_VALUE(domain), LG_VALUE(i),
                          LG_CALLBACK);
        if (!err && result.hresult >= 0)
            err = add_blocks(dac, stubs[i], ret);
    }
    return err;
}

struct lg_error *lg_dac_domain_heaps_read(struct lg_dac *dac, uint64_t domain, struct lg_dac_blocks *ret)
{
    _cleanup_(lg_dac_blocks_deinit) struct lg_dac_blocks blocks = { .at = NULL };
    uint64_t allocator;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS13, LG_SOS13_DOMAIN_ALLOCATOR, &result,
                                       LG_VALUE(domain), LG_OUT(&allocator, sizeof(allocator)));
    if (err)
        return err;
    if (result.hresult == LG_E_NOINTERFACE)
        return give(add_old_domain(dac, domain, &blocks), &blocks, ret);
    if (result.hresult < 0 || !allocator)
        return lg_dac_no_fact("the heaps of domain", domain, result.hresult);
    return give(add_allocator(dac, allocator, &blocks), &blocks, ret);
}

// ---- code heaps ----

static struct lg_error *add_code_heap(struct lg_dac *dac, const struct lg_dacp_code_heap *heap,
                                      struct lg_dac_blocks *ret)
{
    if (heap->type == LG_CODE_HEAP_LOADER)
        return lg_dac_may_lack(traverse(dac, heap->heap, KIND_EXPLICIT, "LoaderCodeHeap", ret));
    struct lg_dac_block block = { .kind = "HostCodeHeap",
                                  .start = heap->heap,
                                  .size = heap->current - heap->heap,
                                  .used_end = heap->current };
    if (heap->type != LG_CODE_HEAP_HOST || heap->current < heap->heap)
        return lg_error_new(LG_ERR_CORRUPT, "the DAC tells of a code heap of kind %u", heap->type);
    return lg_vec_push(ret, block) ? NULL : &lg_no_memory;
}

static struct lg_error *add_jit_manager(struct lg_dac *dac, uint64_t manager, struct lg_dac_blocks *ret)
{
    enum { CODE_HEAPS_MAX = LG_DAC_RESULTS_MAX / sizeof(struct lg_dacp_code_heap) - 16 };
    uint32_t count = 0, needed = 0;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_CODE_HEAPS, &result, LG_VALUE(manager),
                                       LG_VALUE(0), LG_VALUE(0), LG_OUT(&count, sizeof(count)));
    if (!err && (result.hresult < 0 || count > CODE_HEAPS_MAX))
        err = lg_dac_no_fact("the code heaps of", manager, result.hresult);
    if (err || count == 0)
        return err;
    _cleanup_free_ struct lg_dacp_code_heap *heaps = calloc(count, sizeof(*heaps));
    if (!heaps)
        return &lg_no_memory;
    err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_CODE_HEAPS, &result, LG_VALUE(manager), LG_VALUE(count),
                      LG_OUT(heaps, count * sizeof(*heaps)), LG_OUT(&needed, sizeof(needed)));
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the code heaps of", manager, result.hresult);
    for (uint32_t i = 0; !err && i < count && heaps[i].heap; i++)
        err = add_code_heap(dac, &heaps[i], ret);
    return err;
}

struct lg_error *lg_dac_code_heaps_read(struct lg_dac *dac, struct lg_dac_blocks *ret)
{
    enum { MANAGERS_MAX = 16 }; // .NET: one, and one of the interpreter.
    _cleanup_(lg_dac_blocks_deinit) struct lg_dac_blocks blocks = { .at = NULL };
    struct lg_dacp_jit_manager managers[MANAGERS_MAX];
    uint32_t needed = 0;
    struct lg_dac_result result;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_JIT_MANAGERS, &result, LG_VALUE(MANAGERS_MAX),
                    LG_OUT(managers, sizeof(managers)), LG_OUT(&needed, sizeof(needed)));
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the JIT of", dac->image.base, result.hresult);
    // How many there are, it tells only when it is not asked which.
    for (uint32_t i = 0; !err && i < MANAGERS_MAX && managers[i].address; i++)
        err = add_jit_manager(dac, managers[i].address, &blocks);
    return give(err, &blocks, ret);
}
