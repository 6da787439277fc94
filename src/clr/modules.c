#include "clr/clr_priv.h"

struct lg_error *lg_clr_modules_open(struct lg_clr *clr)
{
    return NULL;
}

void lg_clr_modules_close(struct lg_clr *clr) {}

const struct lg_module *lg_clr_module(struct lg_clr *clr, uint64_t module)
{
    return NULL;
}

struct lg_error *lg_clr_modules(struct lg_clr *clr, const struct lg_module *const **ret,
                                size_t *count_ret)
{
    *count_ret = 0;
    return NULL;
}

uint64_t lg_clr_loader_allocator(struct lg_clr *clr, const struct lg_type *type)
{
    return 0;
}
