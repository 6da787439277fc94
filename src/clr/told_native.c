// Loader and code heaps where the descriptor does not lead to them: as the DAC walks them.
#include <string.h>

#include "clr/native_heaps.h"
#include "clr/sources.h"
#include "clr/told.h"

struct owner {
    const char *name;
    uint64_t address;
};

static bool is_believable(const struct lg_clr *clr, const struct lg_dac_block *b)
{
    return b->size > 0 && b->size <= UINT64_C(1) << 40 && b->start <= UINT64_MAX - b->size
           && lg_target_find(clr->target, b->start);
}

static struct lg_error *add_blocks(struct lg_clr *clr, struct owner owner,
                                   const struct lg_dac_blocks *blocks)
{
    for (size_t i = 0; i < blocks->len; i++) {
        const struct lg_dac_block *b = &blocks->at[i];
        if (!is_believable(clr, b))
            return lg_error_new(LG_ERR_CORRUPT, "%s %#jx: a block of %#jx bytes at %#jx", owner.name,
                                (uintmax_t)owner.address, (uintmax_t)b->size, (uintmax_t)b->start);
        const char *kind = lg_arena_copy(lg_type_arena(clr), b->kind, strnlen(b->kind, sizeof(b->kind)));
        bool ends = b->used_end > b->start && b->used_end - b->start <= b->size;
        struct lg_native_heap heap = {
            .owner = owner.name,
            .owner_address = owner.address,
            .kind = kind,
            .start = b->start,
            .reserved = b->size,
            .used = ends ? b->used_end - b->start : lg_committed_bytes(clr->target, b->start, b->size),
        };
        if (!kind || !lg_native_heap_add(clr, heap))
            return &lg_no_memory;
    }
    return NULL;
}

static struct lg_error *no_dac(void)
{
    return lg_error_new(LG_ERR_UNSUPPORTED,
                        "the data descriptor does not tell of them, and there is no DAC");
}

static struct lg_error *read_allocator(struct lg_clr *clr, uint64_t allocator)
{
    struct lg_dac_blocks blocks = { 0 };
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_allocator_heaps_read(dac, allocator, &blocks) : no_dac();
    lg_told_end(clr);
    if (!err)
        err = add_blocks(clr, (struct owner){ "Module LoaderAllocator", allocator }, &blocks);
    lg_dac_blocks_deinit(&blocks);
    return err;
}

// Those that are not everybody's, each once. CoreLib's is the domain's.
static struct lg_error *read_modules(struct lg_clr *clr)
{
    const struct lg_module *const *modules;
    size_t count;
    struct lg_error *err = lg_clr_modules(clr, &modules, &count);
    const struct lg_module *corelib = lg_clr_module(clr, lg_module_corelib(clr));
    for (size_t i = 0; !err && i < count; i++) {
        uint64_t allocator = modules[i]->loader_allocator;
        bool seen = !allocator || (corelib && allocator == corelib->loader_allocator);
        for (size_t k = 0; k < i && !seen; k++)
            seen = modules[k]->loader_allocator == allocator;
        if (!seen)
            err = read_allocator(clr, allocator);
    }
    return err;
}

struct lg_error *lg_told_loader_heaps(struct lg_clr *clr)
{
    struct lg_domain domain;
    struct lg_dac_blocks blocks = { 0 };
    lg_told_domain(clr, &domain);
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err =
        dac && domain.address ? lg_dac_domain_heaps_read(dac, domain.address, &blocks) : no_dac();
    lg_told_end(clr);
    if (!err)
        err = add_blocks(clr, (struct owner){ "System Domain", domain.system_domain }, &blocks);
    lg_dac_blocks_deinit(&blocks);
    return err ? err : read_modules(clr);
}

struct lg_error *lg_told_code_heaps(struct lg_clr *clr)
{
    struct lg_dac_blocks blocks = { 0 };
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_code_heaps_read(dac, &blocks) : no_dac();
    lg_told_end(clr);
    if (!err)
        err = add_blocks(clr, (struct owner){ "JIT Manager", 0 }, &blocks);
    lg_dac_blocks_deinit(&blocks);
    return err;
}
