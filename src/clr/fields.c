#include "clr/clr_priv.h"

bool lg_element_is_reference(unsigned element)
{
    switch (element) {
    case LG_ELEM_STRING:
    case LG_ELEM_CLASS:
    case LG_ELEM_ARRAY:
    case LG_ELEM_OBJECT:
    case LG_ELEM_SZARRAY:
        return true;
    default:
        return false;
    }
}

uint32_t lg_element_size(unsigned element)
{
    switch (element) {
    case LG_ELEM_BOOLEAN:
    case LG_ELEM_I1:
    case LG_ELEM_U1:
        return 1;
    case LG_ELEM_CHAR:
    case LG_ELEM_I2:
    case LG_ELEM_U2:
        return 2;
    case LG_ELEM_I4:
    case LG_ELEM_U4:
    case LG_ELEM_R4:
        return 4;
    case LG_ELEM_I8:
    case LG_ELEM_U8:
    case LG_ELEM_R8:
    case LG_ELEM_I:
    case LG_ELEM_U:
    case LG_ELEM_PTR:
    case LG_ELEM_BYREF:
    case LG_ELEM_FNPTR:
        return 8;
    default:
        return lg_element_is_reference(element) ? 8 : 0;
    }
}

struct lg_error *lg_clr_fields(struct lg_clr *clr, const struct lg_type *type,
                               const struct lg_field **ret, size_t *count_ret)
{
    *count_ret = 0;
    return NULL;
}

void lg_clr_fields_close(struct lg_clr *clr) {}
