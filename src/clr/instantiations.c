// Which generic instantiations and arrays exist: found by what they are made of.
//
// The runtime keeps a table of them in each module (AvailableTypeParams); instantiations that were seen
// through lg_clr_type are added. The index is a hash of (module, rid, arguments) or of an array's
// element to a chain of candidates, each compared in the target's memory before it is believed.
#include <string.h>

#include "clr/types_priv.h"

struct candidate {
    uint64_t handle;
    uint32_t next; // 1 + index of the next one of the same hash; 0: none
};

struct lg_instantiations {
    struct lg_map first; // hash -> 1 + index
    LG_VEC(struct candidate) all;
    uint32_t types_seen; // lg_clr_type ids below this are in
    bool tables_read;
};

enum { CANDIDATES_MAX = 1 << 22, CHAIN_MAX = 64 };

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return lg_hash64(hash ^ value);
}

static uint64_t hash_generic(uint64_t module, uint32_t rid, const uint64_t *args, size_t count)
{
    uint64_t hash = mix(mix(1, module), rid);
    for (size_t i = 0; i < count; i++)
        hash = mix(hash, args[i]);
    return hash;
}

static void add(struct lg_instantiations *known, uint64_t hash, uint64_t handle)
{
    uint32_t first = 0;
    lg_map_get(&known->first, hash, &first);
    if (known->all.len >= CANDIDATES_MAX
        || !lg_vec_push(&known->all, (struct candidate){ handle, first }))
        return;
    if (!lg_map_put(&known->first, hash, (uint32_t)known->all.len))
        known->all.len--;
}

static void add_mt(struct lg_clr *clr, uint64_t mt)
{
    struct lg_instantiations *known = lg_type_instantiations(clr);
    uint64_t args[LG_TYPE_ARGS];
    struct lg_mt m;
    if (!lg_mt_read(clr, mt, &m))
        return;
    if (lg_mt_is_array(&m)) {
        if (m.flags & LG_MT_SZARRAY)
            add(known, mix(2, m.per_inst_info), mt);
        // A value type may have no object of its own.
        mt = m.per_inst_info;
        if ((mt & 2) || !lg_mt_read(clr, mt, &m) || lg_mt_is_array(&m))
            return;
    }
    size_t count = lg_mt_arguments(clr, &m, args);
    if (count > 0)
        add(known, hash_generic(m.module, m.rid, args, count), mt);
}

static void each_handle(void *data, uint32_t rid, uint64_t handle)
{
    if (!(handle & 2))
        add_mt(data, handle);
}

static void refresh(struct lg_clr *clr)
{
    struct lg_instantiations *known = lg_type_instantiations(clr);
    if (!known->tables_read) {
        known->tables_read = true;
        const struct lg_module *const *modules;
        size_t count = 0;
        struct lg_error *err = lg_clr_modules(clr, &modules, &count);
        for (size_t i = 0; !err && i < count; i++)
            lg_module_instantiations(clr, modules[i]->address, each_handle, clr);
        lg_error_free(err);
    }
    for (; known->types_seen < lg_clr_type_count(clr); known->types_seen++)
        add_mt(clr, lg_clr_type_at(clr, known->types_seen)->mt);
}

static bool is_same(struct lg_clr *clr, uint64_t mt, uint64_t module, uint32_t rid, const uint64_t *args,
                    size_t count)
{
    uint64_t have[LG_TYPE_ARGS];
    struct lg_mt m;
    return lg_mt_read(clr, mt, &m) && !lg_mt_is_array(&m) && m.module == module && m.rid == rid
           && lg_mt_arguments(clr, &m, have) == count && memcmp(have, args, count * sizeof(*args)) == 0;
}

uint64_t lg_instantiation_find(struct lg_clr *clr, uint64_t module, uint32_t rid, const uint64_t *args,
                               size_t count)
{
    refresh(clr);
    struct lg_instantiations *known = lg_type_instantiations(clr);
    uint32_t i = 0;
    lg_map_get(&known->first, hash_generic(module, rid, args, count), &i);
    for (unsigned n = 0; i && n < CHAIN_MAX; n++) {
        const struct candidate *c = &known->all.at[i - 1];
        if (is_same(clr, c->handle, module, rid, args, count))
            return c->handle;
        i = c->next;
    }
    return 0;
}

uint64_t lg_array_find(struct lg_clr *clr, uint64_t element_handle)
{
    refresh(clr);
    struct lg_instantiations *known = lg_type_instantiations(clr);
    uint32_t i = 0;
    lg_map_get(&known->first, mix(2, element_handle), &i);
    for (unsigned n = 0; i && n < CHAIN_MAX; n++) {
        const struct candidate *c = &known->all.at[i - 1];
        struct lg_mt m;
        if (lg_mt_read(clr, c->handle, &m) && lg_mt_is_array(&m) && m.per_inst_info == element_handle)
            return c->handle;
        i = c->next;
    }
    return 0;
}

struct lg_instantiations *lg_instantiations_new(void)
{
    return calloc(1, sizeof(struct lg_instantiations));
}

void lg_instantiations_free(struct lg_instantiations *known)
{
    if (!known)
        return;
    lg_map_free(&known->first);
    lg_vec_free(&known->all);
    free(known);
}
