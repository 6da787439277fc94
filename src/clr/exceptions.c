// Exceptions that are on their way, or that a thread has thrown last: what the runtime keeps of each for
// itself, whether a frame of managed code refers to it or not.
//
//     Thread.ExceptionTracker -> ExceptionInfo -> PreviousNestedInfo -> …     the newest first
//     ExceptionInfo.ThrownObject     a handle; the object itself from .NET 11 on
//     Thread.LastThrownObject        a handle
#include "clr/clr_priv.h"

enum { NESTED_MAX = 4096 }; // Each has several KB of its thread's stack.

static const struct lg_segment *segment_of(const struct lg_clr *clr, uint64_t address)
{
    for (size_t i = 0; i < clr->segments.len; i++) {
        const struct lg_segment *segment = &clr->segments.at[i];
        if (address >= segment->start && address < segment->reserved)
            return segment;
    }
    return NULL;
}

// `slot` holds the object, or a handle whose slot does.
static struct lg_error *add(struct lg_clr *clr, const struct lg_managed_thread *thread, uint64_t slot,
                            bool is_on_its_way)
{
    struct lg_exception exception = { .slot = slot, .thread = thread, .is_on_its_way = is_on_its_way };
    if (!lg_target_u64(clr->target, slot, &exception.object))
        return lg_error_new(LG_ERR_FAULT, "exception at %#jx: not readable", (uintmax_t)slot);
    if (exception.object && !segment_of(clr, exception.object)) {
        exception.slot = exception.object;
        if (!lg_target_u64(clr->target, exception.slot, &exception.object))
            return lg_error_new(LG_ERR_FAULT, "exception at %#jx: not readable",
                                (uintmax_t)exception.slot);
    }
    if (exception.object == 0) // It is being set up.
        return NULL;
    return lg_vec_push(&clr->exceptions, exception) ? NULL : &lg_no_memory;
}

static struct lg_error *add_nested(struct lg_clr *clr, const struct lg_managed_thread *thread)
{
    uint64_t info = thread->exception_tracker;
    for (size_t i = 0; info; i++) {
        uint64_t at = info;
        if (i == NESTED_MAX)
            return lg_error_new(LG_ERR_CORRUPT, "more than %zu exceptions of one thread", i);
        struct lg_error *err = add(clr, thread, at + clr->off.ExceptionInfo_ThrownObject, true);
        if (err)
            return err;
        if (!lg_target_u64(clr->target, at + clr->off.ExceptionInfo_PreviousNestedInfo, &info))
            return lg_error_new(LG_ERR_FAULT, "exception at %#jx: not readable", (uintmax_t)at);
    }
    return NULL;
}

static struct lg_error *add_thread(struct lg_clr *clr, const struct lg_managed_thread *thread)
{
    struct lg_error *err = NULL;
    if (clr->off.ExceptionInfo_ThrownObject != LG_NO_OFFSET
        && clr->off.ExceptionInfo_PreviousNestedInfo != LG_NO_OFFSET)
        err = add_nested(clr, thread);
    uint64_t handle = thread->last_thrown_handle, object;
    if (!err && handle && lg_target_u64(clr->target, handle, &object) && object) {
        struct lg_exception last = { .slot = handle, .object = object, .thread = thread };
        err = lg_vec_push(&clr->exceptions, last) ? NULL : &lg_no_memory;
    }
    return lg_error_context(err, "thread 0x%x", thread->os_id);
}

struct lg_error *lg_clr_exceptions(struct lg_clr *clr, const struct lg_exception **ret,
                                   size_t *count_ret)
{
    struct lg_error *err = NULL;
    clr->exceptions.len = 0;
    for (size_t i = 0; i < clr->threads.len && !err; i++)
        err = add_thread(clr, &clr->threads.at[i]);
    *ret = clr->exceptions.at;
    *count_ret = clr->exceptions.len;
    return err;
}
