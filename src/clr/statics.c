#include "clr/clr_priv.h"

struct lg_error *lg_clr_statics(struct lg_clr *clr, const struct lg_static **ret, size_t *count_ret)
{
    *count_ret = 0;
    return NULL;
}

const struct lg_static *lg_clr_static_at(struct lg_clr *clr, uint64_t address)
{
    return NULL;
}

struct lg_error *lg_clr_thread_roots(struct lg_clr *clr, const struct lg_thread_root **ret,
                                     size_t *count_ret)
{
    *count_ret = 0;
    return NULL;
}

void lg_clr_statics_close(struct lg_clr *clr) {}
