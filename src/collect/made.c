#include "collect/made.h"

#include <stdlib.h>

static int by_address(const void *a, const void *b)
{
    const struct lg_made_object *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

bool lg_made_sort(struct lg_made *made)
{
    if (made->objects.len)
        qsort(made->objects.at, made->objects.len, sizeof(*made->objects.at), by_address);
    for (size_t i = 1; i < made->objects.len; i++) {
        if (made->objects.at[i].address == made->objects.at[i - 1].address)
            return false;
    }
    return true;
}

const struct lg_made_object *lg_made_find(const struct lg_made *made, uint64_t address)
{
    const struct lg_made_object key = { .address = address };
    return made->objects.len
               ? bsearch(&key, made->objects.at, made->objects.len, sizeof(key), by_address)
               : NULL;
}

void lg_made_free(struct lg_made *made)
{
    if (!made)
        return;
    lg_vec_free(&made->frames);
    lg_vec_free(&made->stacks);
    lg_vec_free(&made->sites);
    lg_vec_free(&made->objects);
    lg_arena_free(&made->arena);
    free(made);
}
