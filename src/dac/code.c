// What a code address was compiled from, as the DAC tells it.
#include "dac/host.h"
#include "util/error.h"

enum { OFFSETS = 8 }; // Negative ones: none, prolog, epilog.

// The method's instance that has code there, as often compiled as it may be.
static struct lg_error *find_instance(struct lg_dac *dac, uint64_t ip, uint32_t *ret)
{
    uint64_t handle = 0;
    struct lg_dac_result begun, found = { .object = UINT32_MAX }, ended;
    *ret = UINT32_MAX;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_PROCESS, LG_PROCESS_METHODS_AT, &begun, LG_VALUE(ip),
                                       LG_VALUE(0), LG_OUT(&handle, sizeof(handle)));
    if (err || begun.hresult != LG_S_OK)
        return err;
    err = LG_DAC_CALL(dac, LG_DAC_PROCESS, LG_PROCESS_NEXT_METHOD_AT, &found,
                      LG_IN(&handle, sizeof(handle)), LG_OBJECT);
    if (!err)
        err = LG_DAC_CALL(dac, LG_DAC_PROCESS, LG_PROCESS_END_METHODS_AT, &ended, LG_VALUE(handle));
    if (!err && found.hresult == LG_S_OK)
        *ret = found.object;
    else
        lg_dac_release(dac, found.object);
    return err;
}

// Several ranges may cover an instruction: the last one that is an offset.
static struct lg_error *read_offset(struct lg_dac *dac, uint32_t instance, uint64_t ip, uint32_t *ret)
{
    uint32_t needed = 0;
    int32_t offsets[OFFSETS];
    struct lg_dac_result result;
    struct lg_error *err =
        LG_DAC_CALL(dac, instance, LG_METHOD_OFFSETS, &result, LG_VALUE(ip), LG_VALUE(OFFSETS),
                    LG_OUT(&needed, sizeof(needed)), LG_OUT(offsets, sizeof(offsets)));
    for (uint32_t i = 0; !err && result.hresult >= 0 && i < needed && i < OFFSETS; i++) {
        if (offsets[i] >= 0)
            *ret = (uint32_t)offsets[i];
    }
    return err;
}

static struct lg_error *ask(struct lg_dac *dac, uint64_t method, uint64_t ip,
                            struct lg_dac_origin *origin)
{
    struct lg_dacp_method data;
    uint32_t instance;
    *origin = (struct lg_dac_origin){ .il = UINT32_MAX };
    struct lg_error *err = lg_dac_method_data(dac, method, &data);
    if (err || data.method != method || data.is_dynamic)
        return err;
    origin->module = data.module;
    origin->token = data.token;
    err = find_instance(dac, ip, &instance);
    if (!err && instance != UINT32_MAX)
        err = read_offset(dac, instance, ip, &origin->il);
    lg_dac_release(dac, instance);
    return err;
}

struct lg_error *lg_dac_origin(struct lg_dac *dac, uint64_t method, uint64_t ip,
                               struct lg_dac_origin *ret)
{
    uint32_t index;
    if (!lg_map_get(&dac->origin_of_code, ip, &index)) {
        struct lg_dac_origin origin;
        struct lg_error *err = ask(dac, method, ip, &origin);
        if (err)
            return err;
        index = (uint32_t)dac->origins.len;
        if (!lg_vec_push(&dac->origins, origin) || !lg_map_put(&dac->origin_of_code, ip, index))
            return &lg_no_memory;
    }
    *ret = dac->origins.at[index];
    return NULL;
}
