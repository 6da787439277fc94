#include "collect/delegates.h"

#include <string.h>

enum { ENTRIES_MAX = 1 << 20, ARRAY_DATA = 16 };

bool lg_is_delegate(struct lg_clr *clr, const struct lg_type *type)
{
    const struct lg_type *parent = lg_clr_type(clr, type->parent_mt);
    return parent && strcmp(lg_clr_type_name(clr, parent), "System.MulticastDelegate") == 0;
}

bool lg_delegate_call(struct lg_clr *clr, const struct lg_object *delegate, struct lg_call *ret)
{
    uint64_t aux, target, code;
    *ret = (struct lg_call){ 0 };
    if (!lg_object_field(clr, delegate, "_methodPtrAux", &aux)
        || !lg_object_field(clr, delegate, "_methodPtr", &code)
        || !lg_object_field(clr, delegate, "_target", &target))
        return false;
    // Without a `this` the target is the delegate itself, and says nothing.
    ret->target = aux ? 0 : target;
    ret->code = aux ? aux : code;
    return true;
}

bool lg_delegate_list(struct lg_clr *clr, const struct lg_object *delegate, struct lg_object *array_ret,
                      uint64_t *count_ret)
{
    uint64_t list;
    if (!lg_object_field(clr, delegate, "_invocationList", &list) || list == 0
        || !lg_object_field(clr, delegate, "_invocationCount", count_ret)
        || !lg_object_read(clr, list, array_ret) || !(array_ret->type->flags & LG_TYPE_SZARRAY))
        return false;
    uint32_t length;
    return lg_target_u32(lg_clr_target(clr), list + 8, &length) && *count_ret > 0 && *count_ret <= length
           && *count_ret <= ENTRIES_MAX;
}

uint64_t lg_delegate_at(struct lg_clr *clr, const struct lg_object *array, uint64_t i)
{
    uint64_t entry;
    return lg_target_u64(lg_clr_target(clr), array->address + ARRAY_DATA + i * 8, &entry) ? entry : 0;
}
