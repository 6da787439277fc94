#include "clr/gc_vars.h"

struct lg_error *lg_clr_finalizer_queues(struct lg_clr *clr, const struct lg_finalizer_queue **ret,
                                         size_t *count_ret)
{
    return lg_error_new(LG_ERR_UNSUPPORTED, "the finalizer queues cannot be read yet");
}
