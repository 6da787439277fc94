#include "clr/clr_priv.h"

struct lg_error *lg_clr_types_open(struct lg_clr *clr)
{
    return NULL;
}

void lg_clr_types_close(struct lg_clr *clr) {}

const struct lg_type *lg_clr_type(struct lg_clr *clr, uint64_t mt)
{
    return NULL;
}

const struct lg_type *lg_clr_type_at(struct lg_clr *clr, uint32_t id)
{
    return NULL;
}

uint32_t lg_clr_type_count(struct lg_clr *clr)
{
    return 0;
}
