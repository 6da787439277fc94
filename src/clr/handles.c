#include "clr/gc_vars.h"

bool lg_handle_is_strong(enum lg_handle_kind kind)
{
    switch (kind) {
    case LG_HANDLE_WEAK_SHORT:
    case LG_HANDLE_WEAK_LONG:
    case LG_HANDLE_DEPENDENT:
    case LG_HANDLE_WEAK_NATIVE_COM:
    case LG_HANDLE_WEAK_INTERIOR_POINTER:
        return false;
    default:
        return true;
    }
}

struct lg_error *lg_clr_handles(struct lg_clr *clr, const struct lg_handle **ret, size_t *count_ret)
{
    return lg_error_new(LG_ERR_UNSUPPORTED, "the handle table cannot be read yet");
}
