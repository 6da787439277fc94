#include "clr/clr_priv.h"

const char *lg_clr_type_name(struct lg_clr *clr, const struct lg_type *type)
{
    return "<unknown_type>";
}

const char *lg_clr_handle_name(struct lg_clr *clr, uint64_t type_handle)
{
    return "<unknown_type>";
}
