// What the data descriptor tells that is not about one thing only: offsets, well-known method tables,
// statics.
#include <string.h>

#include "clr/sources.h"

bool lg_clr_global_pointer(const struct lg_clr *clr, const char *name, uint64_t *ret)
{
    uint64_t variable;
    return lg_descriptor_global(clr->descriptor, name, &variable)
           && lg_target_u64(clr->target, variable, ret);
}

// ---- offsets ----

struct field {
    const char *type, *name;
    size_t at; // In struct lg_offsets.
    bool required;
};
#define REQUIRED(type, field) { #type, #field, offsetof(struct lg_offsets, type##_##field), true },
#define OPTIONAL(type, field) { #type, #field, offsetof(struct lg_offsets, type##_##field), false },
static const struct field fields[] = { LG_OFFSETS(REQUIRED, OPTIONAL) };

static struct lg_error *read_offsets(struct lg_clr *clr)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        uint32_t offset = LG_NO_OFFSET;
        bool there = lg_descriptor_offset(clr->descriptor, fields[i].type, fields[i].name, &offset);
        if (!there && fields[i].required)
            return lg_error_new(LG_ERR_UNSUPPORTED, "the data descriptor of runtime %s has no %s.%s",
                                clr->info.version ? clr->info.version : "(of unknown version)",
                                fields[i].type, fields[i].name);
        memcpy((char *)&clr->off + fields[i].at, &offset, sizeof(offset));
    }
    return NULL;
}

// The algorithms that we follow are fixed per contract version; another one is not to be guessed at.
static struct lg_error *check_contracts(const struct lg_clr *clr)
{
    static const struct {
        const char *name;
        uint32_t version;
    } known[] = { { "Object", 1 }, { "Loader", 1 }, { "RuntimeTypeSystem", 1 }, { "Thread", 1 } };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        uint32_t version;
        if (!lg_descriptor_contract(clr->descriptor, known[i].name, &version))
            return lg_error_new(LG_ERR_UNSUPPORTED, "the data descriptor has no contract %s",
                                known[i].name);
        if (version != known[i].version)
            return lg_error_new(LG_ERR_UNSUPPORTED,
                                "contract %s has version %u, of which only %u is known", known[i].name,
                                version, known[i].version);
    }
    return NULL;
}

// ---- well-known method tables ----

struct lg_error *lg_contracts_well_known(struct lg_clr *clr)
{
    const struct {
        const char *name;
        uint64_t *ret;
    } known[] = {
        { "FreeObjectMethodTable", &clr->info.free_mt },
        { "ObjectMethodTable", &clr->info.object_mt },
        { "StringMethodTable", &clr->info.string_mt },
        { "ObjectArrayMethodTable", &clr->info.object_array_mt },
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        uint64_t variable;
        if (!lg_descriptor_global(clr->descriptor, known[i].name, &variable))
            return lg_error_new(LG_ERR_UNSUPPORTED, "the data descriptor has no %s", known[i].name);
        if (variable < clr->image.base || variable >= clr->image.end)
            return lg_error_new(LG_ERR_CORRUPT, "%s: its variable at %#jx is not in '%s'", known[i].name,
                                (uintmax_t)variable, clr->image.path);
        if (!lg_target_u64(clr->target, variable, known[i].ret))
            return lg_error_new(LG_ERR_FAULT, "%s at %#jx: not readable", known[i].name,
                                (uintmax_t)variable);
        if (!*known[i].ret)
            return lg_error_new(LG_ERR_NOT_FOUND,
                                "no %s: the runtime is still starting; try again in a moment",
                                known[i].name);
    }
    return NULL;
}

// ---- statics ----

bool lg_contracts_may_have_statics(const struct lg_mt *m)
{
    return m->flags2 & LG_MT2_DYNAMIC_STATICS;
}

// DynamicStaticsInfo lies in front of the auxiliary data. Bit 0 of a base: the class constructor has not
// run, or has not finished; the slots are there all the same, and can hold values (dotnet/runtime
// src/coreclr/vm/methodtable.h; reference clr.md B.4).
bool lg_contracts_static_bases(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m,
                               struct lg_static_bases *ret)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t info = m->auxiliary - lg_clr_size(clr, "DynamicStaticsInfo");
    *ret = (struct lg_static_bases){ 0 };
    if (!lg_target_u64(clr->target, info + off->DynamicStaticsInfo_GCStatics, &ret->gc)
        || !lg_target_u64(clr->target, info + off->DynamicStaticsInfo_NonGCStatics, &ret->non_gc))
        return false;
    ret->initialized = !((ret->gc | ret->non_gc) & 1);
    ret->gc &= ~UINT64_C(1);
    ret->non_gc &= ~UINT64_C(1);
    return true;
}

// ---- the descriptor ----

#define EMPTY "{\"types\":{},\"globals\":{}}"

struct lg_error *lg_clr_descriptor_open(struct lg_clr *clr)
{
    uint64_t address, size;
    clr->info.mt_mask = ~UINT64_C(7);
    clr->rid_shift = 8;
    clr->bucket_words = 3;
    if (clr->without_descriptor
        || !lg_image_symbol(&clr->image, "DotNetRuntimeContractDescriptor", &address, &size)) {
        memset(&clr->off, 0xff, sizeof(clr->off)); // LG_NO_OFFSET
        return lg_descriptor_parse(EMPTY, sizeof(EMPTY) - 1, NULL, 0, &clr->descriptor);
    }
    struct lg_error *err = lg_descriptor_read(clr->target, address, &clr->descriptor);
    if (!err)
        err = read_offsets(clr);
    if (!err)
        err = check_contracts(clr);
    if (err)
        return err;
    uint64_t unmask;
    if (!lg_descriptor_global(clr->descriptor, "ObjectToMethodTableUnmask", &unmask) || unmask > 7)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "the data descriptor has no ObjectToMethodTableUnmask that fits");
    clr->info.mt_mask = ~unmask;
    return NULL;
}
