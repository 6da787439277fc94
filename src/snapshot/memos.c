#include "collect/collect_priv.h"
#include "snapshot/snapshot_priv.h"
#include "util/search.h"

static void io_memo(struct lg_table_io *io, struct memo *memo, void *unused)
{
    (void)unused;
    LG_IO(io, memo->address);
    LG_IO(io, memo->length);
    if (io->is_writing)
        lg_bytes_add(&io->out, memo->bytes, memo->length);
    else
        memo->bytes = lg_read_bytes(&io->in, memo->length);
    io->failed |= !memo->bytes || memo->length == 0 || memo->address + memo->length < memo->address;
}

void io_memos(struct lg_table_io *io, void *data)
{
    struct memos *memos = data;
    LG_IO_VEC(io, &memos->all, io_memo, NULL);
    for (size_t i = 1; i < memos->all.len; i++) {
        const struct memo *before = &memos->all.at[i - 1];
        io->failed |= memos->all.at[i].address - before->address < before->length
                      || memos->all.at[i].address < before->address;
    }
}

bool memos_add(struct memos *memos, struct lg_target *target, struct lg_arena *arena, uint64_t address,
               uint64_t length)
{
    enum { LENGTH_MAX = 1 << 21 };
    if (address == 0 || length == 0 || length > LENGTH_MAX)
        return true;
    uint8_t *bytes = lg_arena_alloc(arena, length);
    if (!bytes)
        return false;
    if (!lg_target_read_all(target, address, bytes, length))
        return true;
    return lg_vec_push(&memos->all, (struct memo){ address, (uint32_t)length, bytes });
}

// The GCDesc, which lies below the method table (heap/gcdesc.h).
static uint64_t desc_length(struct lg_target *target, const struct lg_type *type)
{
    uint64_t word;
    if (!(type->flags & LG_TYPE_REFERENCES) || !lg_target_u64(target, type->mt - 8, &word))
        return 0;
    int64_t series = (int64_t)word;
    if (series > INT16_MAX || series < INT16_MIN)
        return 0;
    return series > 0 ? 8 + 16 * (uint64_t)series : series < 0 ? 16 + 8 * (uint64_t)-series : 0;
}

// LoaderAllocator.m_scout.m_nativeLoaderAllocator: which native one an object stands for
// (collect/loaders.c).
static bool add_loaders(struct lg_heap *heap, struct lg_arena *arena, struct memos *ret)
{
    struct lg_clr *clr = lg_heap_clr(heap);
    struct lg_target *target = lg_clr_target(clr);
    uint32_t count = lg_clr_type_count(clr);
    const struct lg_field *scout = NULL, *native = NULL;
    const struct lg_handle *handles;
    size_t handle_count = 0;
    uint64_t scout_mt = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct lg_type *type = lg_clr_type_at(clr, i);
        const char *name = lg_clr_type_name(clr, type);
        if (strcmp(name, "System.Reflection.LoaderAllocator") == 0)
            scout = lg_field_find(clr, type, "m_scout");
        if (strcmp(name, "System.Reflection.LoaderAllocatorScout") == 0) {
            native = lg_field_find(clr, type, "m_nativeLoaderAllocator");
            scout_mt = type->mt;
        }
    }
    struct lg_error *err = scout && native ? lg_clr_handles(clr, &handles, &handle_count) : NULL;
    bool ok = true;
    for (size_t i = 0; i < handle_count && !err && ok; i++) {
        struct lg_object object;
        uint64_t at;
        if (lg_heap_object_at(heap, handles[i].object, &object) && object.type->mt == scout->declaring_mt
            && lg_target_u64(target, object.address + 8 + scout->offset, &at)
            && lg_heap_object_at(heap, at, &object) && object.type->mt == scout_mt)
            ok = memos_add(ret, target, arena, at + 8 + native->offset, 8);
    }
    lg_error_free(err);
    return ok;
}

struct lg_error *memos_gather(struct lg_heap *heap, const struct lg_stored *stored,
                              struct lg_arena *arena, struct memos *ret)
{
    struct lg_target *target = lg_clr_target(lg_heap_clr(heap));
    for (size_t i = 0; i < stored->types.len; i++) {
        const struct lg_type *type = &stored->types.at[i].type;
        uint64_t length = desc_length(target, type);
        if (!memos_add(ret, target, arena, stored->types.at[i].loader_handle, 8)
            || !memos_add(ret, target, arena, type->mt - length, length))
            return &lg_no_memory;
    }
    for (size_t i = 0; i < stored->threads.len; i++) {
        if (!memos_add(ret, target, arena, stored->threads.at[i].exposed_handle, 8))
            return &lg_no_memory;
    }
    return add_loaders(heap, arena, ret) ? NULL : &lg_no_memory;
}

static int by_address(const void *a, const void *b)
{
    const struct memo *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

void memos_sort(struct memos *memos)
{
    size_t kept = 0;
    if (memos->all.len > 1)
        qsort(memos->all.at, memos->all.len, sizeof(*memos->all.at), by_address);
    for (size_t i = 0; i < memos->all.len; i++) {
        const struct memo *memo = &memos->all.at[i], *last = &memos->all.at[kept ? kept - 1 : 0];
        if (kept == 0 || memo->address - last->address >= last->length)
            memos->all.at[kept++] = *memo;
    }
    memos->all.len = kept;
}

// The first memo that ends behind `address`.
static size_t first_behind(const struct memos *memos, uint64_t address)
{
    return lg_first_not(memos->all.len, i,
                        memos->all.at[i].address + memos->all.at[i].length <= address);
}

const struct memo *memos_find(const struct memos *memos, uint64_t address)
{
    size_t i = first_behind(memos, address);
    return i < memos->all.len && memos->all.at[i].address <= address ? &memos->all.at[i] : NULL;
}

void memos_overlay(const struct memos *memos, uint64_t address, uint8_t *bytes, size_t len)
{
    for (size_t i = first_behind(memos, address); i < memos->all.len; i++) {
        const struct memo *memo = &memos->all.at[i];
        if (memo->address >= address && memo->address - address >= len)
            return;
        uint64_t from = memo->address > address ? memo->address : address;
        uint64_t end = memo->address + memo->length;
        end = end - address < len ? end : address + len;
        memcpy(bytes + (from - address), memo->bytes + (from - memo->address), end - from);
    }
}
