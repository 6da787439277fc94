// What the DAC tells about threads, and about what of statics is theirs.
#include <string.h>

#include "dac/facts_priv.h"
#include "util/error.h"

// Dead ones count until their objects are finalized; the kernel's limit is 2^22.
enum { THREADS_MAX = 1 << 18 };

static struct lg_dac_thread thread_from(uint64_t address, const struct lg_dacp_thread *data)
{
    return (struct lg_dac_thread){
        .address = address,
        .id = data->id,
        .os_id = data->os_id,
        .state = data->state,
        .is_cooperative = data->preemptive_disabled,
        .alloc_ptr = data->alloc_ptr,
        .alloc_limit = data->alloc_limit,
        .domain = data->domain,
        .frame = data->frame,
        .last_thrown_handle = data->last_thrown,
        .nested_exception = data->nested_exception,
        .teb = data->teb,
    };
}

static struct lg_error *read_list(struct lg_dac *dac, uint64_t first, struct lg_dac_threads *threads)
{
    struct lg_dac_follow list = {
        .object = LG_DAC_SOS,
        .slot = LG_SOS_THREAD,
        .size = sizeof(struct lg_dacp_thread),
        .next_at = offsetof(struct lg_dacp_thread, next),
        .first = first,
        .max = (uint64_t)threads->all + 1,
    };
    int32_t hresult;
    struct lg_error *err = lg_dac_follow(dac, &list, &hresult);
    if (err)
        return err;
    size_t count = dac->parts.len / list.size;
    if (hresult == LG_CORDBG_E_NOT_READABLE)
        return lg_error_new(LG_ERR_FAULT, "%zu of %u threads are readable", count, threads->all);
    if (hresult < 0 || count != threads->all)
        return lg_error_new(LG_ERR_CORRUPT, "the DAC tells of %s%zu of %u threads (%#x)",
                            hresult == LG_E_CIRCLE ? "a circle of " : "", count, threads->all,
                            (unsigned)hresult);
    for (uint64_t i = 0, address = first; i < count; i++) {
        struct lg_dacp_thread data;
        memcpy(&data, dac->parts.at + i * sizeof(data), sizeof(data));
        if (!lg_vec_push(&threads->list, thread_from(address, &data)))
            return &lg_no_memory;
        address = data.next;
    }
    return NULL;
}

struct lg_error *lg_dac_threads_read(struct lg_dac *dac, struct lg_dac_threads *ret)
{
    struct lg_dacp_thread_store store;
    struct lg_dac_result result;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_THREAD_STORE, &result, LG_OUT(&store, sizeof(store)));
    if (err)
        return err;
    if (result.hresult < 0)
        return lg_dac_no_fact("the threads of", dac->image.base, result.hresult);
    if (store.all > THREADS_MAX)
        return lg_error_new(LG_ERR_CORRUPT, "the DAC tells of %u threads", store.all);
    _cleanup_(lg_dac_threads_deinit) struct lg_dac_threads threads = {
        .all = store.all,
        .unstarted = store.unstarted,
        .background = store.background,
        .pending = store.pending,
        .dead = store.dead,
        .finalizer = store.finalizer,
    };
    err = read_list(dac, store.first, &threads);
    if (err)
        return err;
    *ret = threads;
    threads.list = (struct lg_dac_thread_list){ .at = NULL };
    return NULL;
}

// ---- thread statics ----

// Before .NET 9: by module, as the module counts them.
static struct lg_error *module_thread_statics(struct lg_dac *dac, const struct lg_dac_type *type,
                                              uint64_t thread, struct lg_dac_statics *ret)
{
    struct lg_dacp_module module;
    struct lg_dacp_local_module data;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_MODULE_DATA, &result,
                                       LG_VALUE(type->module), LG_OUT(&module, sizeof(module)));
    if (!err && result.hresult >= 0)
        err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_THREAD_MODULE, &result, LG_VALUE(thread),
                          LG_VALUE(module.index), LG_OUT(&data, sizeof(data)));
    if (err)
        return err;
    if (result.hresult < 0)
        return lg_dac_no_fact("the thread statics of type", type->mt, result.hresult);
    return lg_dac_module_statics(dac, type, &data, ret);
}

struct lg_error *lg_dac_thread_statics_read(struct lg_dac *dac, const struct lg_dac_type *type,
                                            uint64_t thread, struct lg_dac_statics *ret)
{
    uint64_t gc, non_gc;
    struct lg_dac_result result;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS14, LG_SOS14_THREAD_STATICS, &result, LG_VALUE(type->mt),
                    LG_VALUE(thread), LG_OUT(&non_gc, sizeof(non_gc)), LG_OUT(&gc, sizeof(gc)));
    if (err)
        return err;
    if (result.hresult == LG_E_NOINTERFACE)
        return module_thread_statics(dac, type, thread, ret);
    if (result.hresult < 0 || (!gc && !non_gc))
        return lg_dac_no_fact("the thread statics of type", type->mt, result.hresult);
    *ret = (struct lg_dac_statics){ gc, non_gc, true };
    return NULL;
}
