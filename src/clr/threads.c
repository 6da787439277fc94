#include <string.h>

#include "clr/sources.h"
#include "util/map.h"

// Managed threads, and what each has of the GC heap and of its stack.
//
// The thread store's list links the threads at their LinkNext fields. Its length must be ThreadCount: a
// list that is cut or cyclic says so.

enum {
    MAX_THREADS =
        1 << 18, // Dead ones count until their objects are finalized; the kernel's limit is 2^22.
    MAX_THREAD_BYTES = 4096,
    MAX_TID = 1 << 22, // PID_MAX_LIMIT, linux/threads.h.
    RED_ZONE = 128,
};
#define MAX_STACK (UINT64_C(64) << 20)

static int by_ptr(const void *a, const void *b)
{
    const struct lg_alloc_context *x = a, *y = b;
    return x->ptr != y->ptr ? (x->ptr > y->ptr) - (x->ptr < y->ptr)
                            : (x->limit > y->limit) - (x->limit < y->limit);
}

static void sort_contexts(struct lg_clr *clr)
{
    struct lg_alloc_context *c = clr->contexts.at;
    size_t kept = 0;
    if (clr->contexts.len > 0)
        qsort(c, clr->contexts.len, sizeof(*c), by_ptr);
    for (size_t i = 0; i < clr->contexts.len; i++) {
        if (kept == 0 || c[kept - 1].ptr != c[i].ptr)
            c[kept++] = c[i];
        else
            c[kept - 1].limit = c[i].limit;
    }
    clr->contexts.len = kept;
}

// RuntimeThreadLocals -> AllocContext -> EEAllocContext.GCAllocationContext (none on .NET 9) -> Pointer,
// Limit. Null for a thread that has not started, or has ended.
static struct lg_error *read_context(struct lg_clr *clr, uint64_t locals,
                                     struct lg_managed_thread *thread)
{
    if (!locals)
        return NULL;
    const struct lg_offsets *off = &clr->off;
    uint64_t at = locals + off->RuntimeThreadLocals_AllocContext;
    if (off->EEAllocContext_GCAllocationContext != LG_NO_OFFSET)
        at += off->EEAllocContext_GCAllocationContext;
    struct lg_alloc_context context;
    if (!lg_target_u64(clr->target, at + off->GCAllocContext_Pointer, &context.ptr)
        || !lg_target_u64(clr->target, at + off->GCAllocContext_Limit, &context.limit))
        return lg_error_new(LG_ERR_FAULT, "allocation context at %#jx: not readable", (uintmax_t)at);
    thread->alloc_ptr = context.ptr;
    thread->alloc_limit = context.limit;
    return NULL;
}

// ---- stacks ----

// glibc and musl put a thread's control block, where fs points, at the top of the mapping that is its
// stack; frames lie below it. A stack pointer in another mapping is on an alternate signal stack: the
// frames below the signal are elsewhere, so nothing is known. The main thread's stack is the kernel's.
static void find_stack(const struct lg_clr *clr, struct lg_managed_thread *t)
{
    if (!t->thread || !t->thread->has_registers)
        return;
    uint64_t sp = t->thread->registers[LG_REG_RSP], fs = t->thread->registers[LG_REG_FS_BASE];
    const struct lg_range *range = lg_target_find(clr->target, sp);
    if (!range)
        return;
    bool is_main = t->thread->tid == (uint32_t)clr->target->pid;
    bool fs_inside = fs > sp && fs < range->end;
    if (!is_main && !fs_inside && fs && lg_target_find(clr->target, fs))
        return;
    uint64_t end = !is_main && fs_inside ? fs & ~UINT64_C(7) : range->end;
    t->stack_low = sp - range->start < RED_ZONE ? range->start : sp - RED_ZONE;
    t->stack_is_cut = end - sp > MAX_STACK;
    t->stack_high = t->stack_is_cut ? sp + MAX_STACK : end;
}

static bool index_os_threads(const struct lg_target *target, struct lg_map *ret)
{
    for (size_t i = 0; i < target->threads.len; i++) {
        if (!lg_map_put(ret, target->threads.at[i].ns_tid, (uint32_t)i))
            return false;
    }
    return true;
}

// ---- the list ----

// Reads a Thread in one piece: as far as the last field that we want of it.
struct thread_bytes {
    uint8_t bytes[MAX_THREAD_BYTES];
    size_t len;
};

static uint64_t u64_of(const struct thread_bytes *t, uint32_t offset)
{
    uint64_t value = 0;
    if (offset <= MAX_THREAD_BYTES - sizeof(value) && offset + sizeof(value) <= t->len)
        memcpy(&value, t->bytes + offset, sizeof(value));
    return value;
}

static size_t bytes_wanted(const struct lg_offsets *off)
{
    const uint32_t fields[] = { off->Thread_Id,
                                off->Thread_OSId,
                                off->Thread_State,
                                off->Thread_PreemptiveGCDisabled,
                                off->Thread_RuntimeThreadLocals,
                                off->Thread_LinkNext,
                                off->Thread_GCHandle,
                                off->Thread_LastThrownObject,
                                off->Thread_ExceptionTracker,
                                off->Thread_ThreadLocalDataPtr };
    size_t len = 0;
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        if (fields[i] <= MAX_THREAD_BYTES - 8 && fields[i] + (size_t)8 > len)
            len = fields[i] + (size_t)8;
    }
    return len;
}

static uint64_t tls_array_of(const struct lg_clr *clr, uint64_t thread_local_data)
{
    uint64_t array = 0;
    if (thread_local_data && clr->off.ThreadLocalData_NonCollectibleTlsArrayData != LG_NO_OFFSET)
        lg_target_u64(clr->target,
                      thread_local_data + clr->off.ThreadLocalData_NonCollectibleTlsArrayData, &array);
    return array;
}

static struct lg_managed_thread decode(const struct lg_clr *clr, uint64_t address,
                                       const struct thread_bytes *t)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t os_id = u64_of(t, off->Thread_OSId);
    return (struct lg_managed_thread){
        .address = address,
        .id = (uint32_t)u64_of(t, off->Thread_Id),
        .os_id = os_id <= MAX_TID ? (uint32_t)os_id : 0, // 0xbaadf00d and the like: gone
        .state = (uint32_t)u64_of(t, off->Thread_State),
        .cooperative = (uint32_t)u64_of(t, off->Thread_PreemptiveGCDisabled) != 0,
        .exposed_handle = u64_of(t, off->Thread_GCHandle),
        .last_thrown_handle = u64_of(t, off->Thread_LastThrownObject),
        .exception_tracker = u64_of(t, off->Thread_ExceptionTracker),
        .tls_array = tls_array_of(clr, u64_of(t, off->Thread_ThreadLocalDataPtr)),
    };
}

static struct lg_error *add_thread(struct lg_clr *clr, uint64_t address, uint64_t *next_ret)
{
    struct thread_bytes bytes = { .len = bytes_wanted(&clr->off) };
    if (!lg_target_read_all(clr->target, address, bytes.bytes, bytes.len))
        return lg_error_new(LG_ERR_FAULT, "Thread at %#jx: not readable", (uintmax_t)address);
    struct lg_managed_thread thread = decode(clr, address, &bytes);
    *next_ret = u64_of(&bytes, clr->off.Thread_LinkNext);
    struct lg_error *err =
        read_context(clr, u64_of(&bytes, clr->off.Thread_RuntimeThreadLocals), &thread);
    if (err)
        return err;
    return lg_vec_push(&clr->threads, thread) ? NULL : &lg_no_memory;
}

static struct lg_error *read_list(struct lg_clr *clr, uint64_t store)
{
    uint32_t count;
    uint64_t link;
    if (!lg_target_u64(clr->target, store + clr->off.ThreadStore_FirstThreadLink, &link)
        || !lg_target_u32(clr->target, store + clr->off.ThreadStore_ThreadCount, &count))
        return lg_error_new(LG_ERR_FAULT, "ThreadStore at %#jx: not readable", (uintmax_t)store);
    if (count > MAX_THREADS)
        return lg_error_new(LG_ERR_CORRUPT, "ThreadStore at %#jx: %u threads", (uintmax_t)store, count);
    while (link && clr->threads.len <= count) {
        struct lg_error *err = add_thread(clr, link - clr->off.Thread_LinkNext, &link);
        if (err)
            return err;
    }
    if (link || clr->threads.len != count)
        return lg_error_new(
            LG_ERR_CORRUPT, "ThreadStore at %#jx: counts %u threads, and its list has %s%zu",
            (uintmax_t)store, count, link ? "more than " : "", link ? (size_t)count : clr->threads.len);
    return NULL;
}

struct lg_error *lg_contracts_threads(struct lg_clr *clr)
{
    uint64_t variable, store, finalizer;
    if (lg_descriptor_global(clr->descriptor, "ThreadStore", &variable)
        && !lg_target_u64(clr->target, variable, &store))
        return lg_error_new(LG_ERR_FAULT, "ThreadStore at %#jx: not readable", (uintmax_t)variable);
    if (!lg_clr_global_pointer(clr, "ThreadStore", &store) || !store)
        return lg_error_new(LG_ERR_NOT_FOUND,
                            "no thread store: the runtime is still starting; try again in a moment");
    struct lg_error *err = read_list(clr, store);
    bool known = lg_clr_global_pointer(clr, "FinalizerThread", &finalizer);
    for (size_t i = 0; known && i < clr->threads.len; i++)
        clr->threads.at[i].is_finalizer = clr->threads.at[i].address == finalizer;
    return err;
}

static uint32_t count_at(struct lg_clr *clr, uint64_t store, uint32_t offset)
{
    uint32_t count;
    return offset != LG_NO_OFFSET && lg_target_u32(clr->target, store + offset, &count) ? count
                                                                                        : UINT32_MAX;
}

void lg_contracts_thread_counts(struct lg_clr *clr, struct lg_thread_counts *ret)
{
    uint64_t store;
    if (!lg_clr_global_pointer(clr, "ThreadStore", &store) || !store)
        return;
    const struct lg_offsets *off = &clr->off;
    ret->all = count_at(clr, store, off->ThreadStore_ThreadCount);
    ret->unstarted = count_at(clr, store, off->ThreadStore_UnstartedCount);
    ret->background = count_at(clr, store, off->ThreadStore_BackgroundCount);
    ret->pending = count_at(clr, store, off->ThreadStore_PendingCount);
    ret->dead = count_at(clr, store, off->ThreadStore_DeadCount);
}

// ---- all of them ----

static void map_deinit(struct lg_map *map)
{
    lg_map_free(map);
}

struct lg_error *lg_clr_threads_open(struct lg_clr *clr)
{
    _cleanup_(map_deinit) struct lg_map os_threads = { 0 };
    if (!index_os_threads(clr->target, &os_threads))
        return &lg_no_memory;
    struct lg_error *err = clr->from.threads(clr);
    for (size_t i = 0; i < clr->threads.len; i++) {
        struct lg_managed_thread *t = &clr->threads.at[i];
        uint32_t os_thread;
        if (t->os_id && lg_map_get(&os_threads, t->os_id, &os_thread))
            t->thread = &clr->target->threads.at[os_thread];
        find_stack(clr, t);
        // An exactly full one counts: the 24 bytes behind it are unformatted all the same (clr.md C.5).
        struct lg_alloc_context context = { t->alloc_ptr, t->alloc_limit };
        if (context.ptr && context.ptr <= context.limit && !lg_vec_push(&clr->contexts, context))
            err = err ? err : &lg_no_memory;
    }
    sort_contexts(clr);
    if (err)
        clr->threads.len = 0;
    else if (clr->off.Thread_ThreadLocalDataPtr == LG_NO_OFFSET)
        lg_thread_data_measure(clr);
    return err;
}

void lg_clr_thread_counts(struct lg_clr *clr, struct lg_thread_counts *ret)
{
    *ret = (struct lg_thread_counts){ UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
    clr->from.thread_counts(clr, ret);
}

struct lg_error *lg_clr_threads(struct lg_clr *clr, const struct lg_managed_thread **ret,
                                size_t *count_ret)
{
    *ret = clr->threads.at;
    *count_ret = clr->threads.len;
    if (clr->threads.len == 0 && clr->heap_missing) // A runtime that has begun has threads.
        return lg_error_new(LG_ERR_UNSUPPORTED, "%s", clr->heap_missing);
    return NULL;
}
