#include "clr/gc_vars.h"

struct lg_error *lg_clr_native_heaps(struct lg_clr *clr, const struct lg_native_heap **ret,
                                     size_t *count_ret)
{
    return lg_error_new(LG_ERR_UNSUPPORTED, "the native heaps cannot be read yet");
}
