#include "clr/clr_priv.h"

const char *lg_clr_method_name(struct lg_clr *clr, uint64_t method_desc)
{
    return NULL;
}

uint64_t lg_clr_method_from_code(struct lg_clr *clr, uint64_t code)
{
    return 0;
}
