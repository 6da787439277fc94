// Loader heaps: where method tables, stubs and the like are allocated, never to be freed one by one.
//
// The descriptor gives three of a LoaderAllocator's heap pointers. Around them lie the others, and what
// they point at is private (dotnet/runtime src/coreclr/vm/loaderallocator.hpp @053bbc6, inc/loaderheap.h
// @0262fca; measured on 10.0.12):
//
//     LoaderAllocator  ... Low | High | Statics | Stub | Executable | dynamic helpers | FixupPrecode |
//     NewStubPrecode loader heap      vtable | first block | kind u32 | total committed | alloc ptr |
//     end of commit | ... block            next | start | size | u32
//
// So a heap is believed only when all of this holds:
//   its vtable lies in the runtime's image, and its kind is 0, 1 or 2
//   the list of blocks ends, and each block is whole pages, of which the first is mapped (a core may
//   leave out what is only reserved)
//   start <= alloc ptr <= end of commit <= start + size, of the first block, which is the current one
//   total committed <= sum of the sizes
#include "clr/native_heaps.h"
#include "util/map.h"

enum { MAX_BLOCKS = 1 << 16, MAX_KIND = 2, PAGE = 4096 };

struct heap {
    uint64_t vtable, first_block, kind, total, alloc_ptr, commit_end;
};
struct block {
    uint64_t next, start, size;
};

static struct lg_error *broken(uint64_t address, const char *why, uint64_t value)
{
    return lg_error_new(LG_ERR_UNSUPPORTED, "loader heap at %#jx: %s (%#jx)", (uintmax_t)address, why,
                        (uintmax_t)value);
}

static struct lg_error *read_block(const struct lg_clr *clr, uint64_t heap, uint64_t address,
                                   struct block *ret)
{
    if (!lg_target_read_all(clr->target, address, ret, sizeof(*ret)))
        return broken(heap, "a block is not readable", address);
    if (ret->start % PAGE || ret->size == 0 || ret->size % PAGE || ret->size > UINT64_C(1) << 40
        || ret->start > UINT64_MAX - ret->size)
        return broken(heap, "a block is not whole pages", ret->start);
    if (!lg_target_find(clr->target, ret->start))
        return broken(heap, "a block is not mapped", ret->start);
    return NULL;
}

static struct lg_error *check_first(const struct heap *heap, uint64_t address, const struct block *b)
{
    if (b->start <= heap->alloc_ptr && heap->alloc_ptr <= heap->commit_end
        && heap->commit_end <= b->start + b->size)
        return NULL;
    return broken(address, "it does not allocate in its first block", heap->alloc_ptr);
}

struct owner {
    const char *name;
    uint64_t address;
};

static struct lg_error *read_heap(struct lg_clr *clr, struct owner owner, const char *kind,
                                  uint64_t address)
{
    struct heap heap;
    if (!lg_target_read_all(clr->target, address, &heap, sizeof(heap)))
        return broken(address, "not readable", 0);
    if (heap.vtable < clr->image.base || heap.vtable >= clr->image.end)
        return broken(address, "its vtable is not the runtime's", heap.vtable);
    if ((uint32_t)heap.kind > MAX_KIND)
        return broken(address, "of unknown kind", heap.kind);
    uint64_t at = heap.first_block, sum = 0;
    for (unsigned n = 0; at; n++) {
        struct block b;
        struct lg_error *err = n < MAX_BLOCKS ? read_block(clr, address, at, &b)
                                              : broken(address, "its list does not end", at);
        if (!err && n == 0)
            err = check_first(&heap, address, &b);
        if (err)
            return err;
        struct lg_native_heap native = { .owner = owner.name,
                                         .owner_address = owner.address,
                                         .kind = kind,
                                         .start = b.start,
                                         .reserved = b.size,
                                         .used = lg_committed_bytes(clr->target, b.start, b.size) };
        if (!lg_native_heap_add(clr, native))
            return &lg_no_memory;
        sum += b.size;
        at = b.next;
    }
    return heap.total <= sum ? NULL : broken(address, "it has committed more than it has", heap.total);
}

// The pointers of a LoaderAllocator from LowFrequencyHeap on. The descriptor names three of them: the
// rest is where it is as long as those three are where they were.
static const char *const kinds[] = { "LowFrequencyHeap", "HighFrequencyHeap", "StaticsHeap",
                                     "StubHeap",         "ExecutableHeap",    NULL,
                                     "FixupPrecodeHeap", "NewStubPrecodeHeap" };
enum { POINTERS = sizeof(kinds) / sizeof(*kinds) };

static struct lg_error *check_pointers(const struct lg_offsets *off)
{
    uint32_t low = off->LoaderAllocator_LowFrequencyHeap;
    if (low == LG_NO_OFFSET)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "the data descriptor has no LoaderAllocator.LowFrequencyHeap");
    if (off->LoaderAllocator_HighFrequencyHeap != low + 8 || off->LoaderAllocator_StubHeap != low + 24)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "LoaderAllocator has its heaps at other places: %u, %u, %u", low,
                            off->LoaderAllocator_HighFrequencyHeap, off->LoaderAllocator_StubHeap);
    return NULL;
}

// A collectible allocator has one heap for low frequency, high frequency and statics.
static bool is_repeated(const uint64_t pointers[POINTERS], size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (pointers[k] == pointers[i])
            return true;
    }
    return false;
}

static struct lg_error *read_allocator(struct lg_clr *clr, struct owner owner, uint64_t allocator)
{
    uint64_t pointers[POINTERS];
    if (!lg_target_read_all(clr->target, allocator + clr->off.LoaderAllocator_LowFrequencyHeap, pointers,
                            sizeof(pointers)))
        return lg_error_new(LG_ERR_FAULT, "LoaderAllocator at %#jx: not readable", (uintmax_t)allocator);
    for (size_t i = 0; i < POINTERS; i++) {
        if (!kinds[i] || !pointers[i] || is_repeated(pointers, i))
            continue;
        struct lg_error *err = read_heap(clr, owner, kinds[i], pointers[i]);
        if (err)
            return lg_error_context(err, "%s of LoaderAllocator %#jx", kinds[i], (uintmax_t)allocator);
    }
    return NULL;
}

// One each: most modules share the global one.
static struct lg_error *read_modules(struct lg_clr *clr, struct lg_map *seen)
{
    const struct lg_module *const *modules;
    size_t count;
    struct lg_error *err = lg_clr_modules(clr, &modules, &count);
    for (size_t i = 0; !err && i < count; i++) {
        uint64_t allocator = modules[i]->loader_allocator;
        uint32_t before;
        if (!allocator || lg_map_get(seen, allocator, &before))
            continue;
        if (!lg_map_put(seen, allocator, 1))
            return &lg_no_memory;
        err = read_allocator(clr, (struct owner){ "Module LoaderAllocator", allocator }, allocator);
    }
    return err;
}

struct lg_error *lg_loader_heaps_read(struct lg_clr *clr)
{
    if (clr->from.thread_base) // The DAC tells what this descriptor leaves out.
        return lg_told_loader_heaps(clr);
    struct lg_error *err = check_pointers(&clr->off);
    uint64_t domain;
    if (err)
        return err;
    if (clr->off.SystemDomain_GlobalLoaderAllocator == LG_NO_OFFSET
        || !lg_clr_global_pointer(clr, "SystemDomain", &domain) || !domain)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "the data descriptor does not lead to the global LoaderAllocator");
    uint64_t allocator = domain + clr->off.SystemDomain_GlobalLoaderAllocator;
    struct lg_map seen = { 0 };
    err = lg_map_put(&seen, allocator, 1) ? NULL : &lg_no_memory;
    if (!err)
        err = read_allocator(clr, (struct owner){ "System Domain", domain }, allocator);
    if (!err)
        err = read_modules(clr, &seen);
    lg_map_free(&seen);
    return err;
}
