#include "collect/collect_priv.h"
#include "snapshot/snapshot_priv.h"
#include "util/search.h"

static void io_memo(struct lg_table_io *io, struct memo *memo, void *end_data)
{
    uint64_t *end = end_data, gap = memo->address - *end;
    LG_IO(io, gap);
    LG_IO(io, memo->length);
    lg_io_bytes(io, &memo->bytes, memo->length);
    memo->address = *end + gap;
    io->failed |= memo->length == 0 || memo->address < *end || memo->address + memo->length < *end;
    *end = memo->address + memo->length;
}

void io_memos(struct lg_table_io *io, void *data)
{
    struct memos *memos = data;
    uint64_t end = 0;
    LG_IO_VEC(io, &memos->all, io_memo, &end);
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

// An AssemblyLoadContext's state, and what else dumpalc tells of it that is no string.
static bool add_load_context(struct lg_heap *heap, const struct lg_object *object,
                             struct lg_arena *arena, struct memos *ret)
{
    static const char *const names[] = { "_nativeAssemblyLoadContext", "_isCollectible", "_state",
                                         "_id" };
    struct lg_clr *clr = lg_heap_clr(heap);
    bool ok = true;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && ok; i++) {
        const struct lg_field *field = lg_field_find(clr, object->type, names[i]);
        if (field)
            ok = memos_add(ret, lg_clr_target(clr), arena, object->address + 8 + field->offset,
                           lg_element_size(field->element));
    }
    return ok;
}

static bool is_derived(struct lg_clr *clr, const struct lg_type *type, uint64_t base)
{
    for (int i = 0; type && type->mt != base && i < 16; i++)
        type = lg_clr_type(clr, type->parent_mt);
    return type && type->mt == base;
}

// Each has a handle of itself.
static bool add_load_contexts(struct lg_heap *heap, struct lg_arena *arena, struct memos *ret)
{
    struct lg_clr *clr = lg_heap_clr(heap);
    const struct lg_handle *handles;
    size_t count = 0;
    uint64_t base = 0;
    for (uint32_t i = 0; i < lg_clr_type_count(clr); i++) {
        const struct lg_type *type = lg_clr_type_at(clr, i);
        if (strcmp(lg_clr_type_name(clr, type), "System.Runtime.Loader.AssemblyLoadContext") == 0)
            base = type->mt;
    }
    struct lg_error *err = base ? lg_clr_handles(clr, &handles, &count) : NULL;
    bool ok = true;
    for (size_t i = 0; i < count && !err && ok; i++) {
        struct lg_object object;
        if (lg_heap_object_at(heap, handles[i].object, &object) && is_derived(clr, object.type, base))
            ok = add_load_context(heap, &object, arena, ret);
    }
    lg_error_free(err);
    return ok;
}

static bool add_finalizer_queue(struct lg_target *target, const struct lg_finalizer_queue *queue,
                                struct lg_arena *arena, struct memos *ret)
{
    enum { PIECE = 1 << 20 };
    uint64_t end = queue->fill[6];
    bool ok = true;
    for (uint64_t at = queue->array; at < end && ok; at += PIECE)
        ok = memos_add(ret, target, arena, at, end - at < PIECE ? end - at : PIECE);
    return ok;
}

// What threads have, and the arrays of the finalization queues.
static bool add_lists(struct lg_target *target, const struct lg_stored *stored, struct lg_arena *arena,
                      struct memos *ret)
{
    bool ok = true;
    for (size_t i = 0; i < stored->threads.len && ok; i++)
        ok = memos_add(ret, target, arena, stored->threads.at[i].exposed_handle, 8)
             && memos_add(ret, target, arena, stored->threads.at[i].last_thrown_handle, 8);
    for (size_t i = 0; i < stored->finalizers.len && ok; i++)
        ok = add_finalizer_queue(target, &stored->finalizers.at[i], arena, ret);
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
    bool ok = add_lists(target, stored, arena, ret) && add_loaders(heap, arena, ret)
              && add_load_contexts(heap, arena, ret);
    return ok ? NULL : &lg_no_memory;
}

static int by_address(const void *a, const void *b)
{
    const struct memo *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

void memos_sort(struct memos *memos)
{
    size_t kept = 0;
    uint64_t end = 0; // Of what is kept.
    if (memos->all.len > 1)
        qsort(memos->all.at, memos->all.len, sizeof(*memos->all.at), by_address);
    for (size_t i = 0; i < memos->all.len; i++) {
        struct memo memo = memos->all.at[i];
        uint64_t known = end > memo.address ? end - memo.address : 0;
        if (known >= memo.length)
            continue;
        memo.address += known;
        memo.bytes += known;
        memo.length -= (uint32_t)known;
        end = memo.address + memo.length;
        memos->all.at[kept++] = memo;
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

bool memos_cover(const struct memos *memos, uint64_t address, size_t len)
{
    const struct memo *memo = memos_find(memos, address);
    return memo && len <= memo->length - (address - memo->address);
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
