// What a MethodDesc is called.
//
//     MethodDescChunk { method table, …, token range } | MethodDesc | MethodDesc | …
//
// A MethodDesc finds its chunk through its index in it, and its token in two parts: the upper bits in
// the chunk, the lower in itself (dotnet/runtime docs/design/datacontracts/RuntimeTypeSystem.md).
#include <string.h>

#include "clr/sources.h"

enum {
    CLASSIFICATION = 7, // MethodDesc.Flags
    CLASS_ARRAY = 4,    // made by the runtime: no metadata
    CLASS_INSTANTIATED = 5,
    CLASS_DYNAMIC = 7,           // DynamicMethod, or a stub in IL
    DYNAMIC_IS_IL_STUB = 0x8000, // StoredSigMethodDesc.ExtendedFlags
    INSTANTIATED_KIND = 7,       // InstantiatedMethodDesc.Flags2; 0 is the generic definition
    NAME_MAX_BYTES = 512,
};

struct method {
    uint64_t mt;
    uint32_t rid;
    unsigned classification;
};

static bool read_parts(struct lg_clr *clr, uint64_t md, uint8_t *index_ret, uint16_t *flags_ret,
                       uint16_t *remainder_ret)
{
    const struct lg_offsets *off = &clr->off;
    return off->MethodDesc_ChunkIndex != LG_NO_OFFSET && off->MethodDesc_Flags != LG_NO_OFFSET
           && off->MethodDesc_Flags3AndTokenRemainder != LG_NO_OFFSET
           && lg_target_u8(clr->target, md + off->MethodDesc_ChunkIndex, index_ret)
           && lg_target_u16(clr->target, md + off->MethodDesc_Flags, flags_ret)
           && lg_target_u16(clr->target, md + off->MethodDesc_Flags3AndTokenRemainder, remainder_ret);
}

static bool read_chunk(struct lg_clr *clr, uint64_t md, uint8_t index, uint64_t *mt_ret,
                       uint16_t *range_ret)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t alignment;
    uint32_t size = lg_clr_size(clr, "MethodDescChunk");
    if (size == 0 || off->MethodDescChunk_MethodTable == LG_NO_OFFSET
        || off->MethodDescChunk_FlagsAndTokenRange == LG_NO_OFFSET
        || !lg_descriptor_global(clr->descriptor, "MethodDescAlignment", &alignment) || alignment > 64)
        return false;
    uint64_t chunk = md - index * alignment - size;
    return lg_target_u64(clr->target, chunk + off->MethodDescChunk_MethodTable, mt_ret)
           && lg_target_u16(clr->target, chunk + off->MethodDescChunk_FlagsAndTokenRange, range_ret);
}

static bool read_method(struct lg_clr *clr, uint64_t md, struct method *ret)
{
    uint8_t index;
    uint16_t flags, remainder, range;
    uint64_t bits, mt;
    struct lg_mt m;
    if (md == 0 || (md & 7) || !read_parts(clr, md, &index, &flags, &remainder)
        || !read_chunk(clr, md, index, &mt, &range) || !lg_mt_read(clr, mt, &m)
        || !lg_descriptor_global(clr->descriptor, "MethodDescTokenRemainderBitCount", &bits)
        || bits > 16)
        return false;
    uint32_t low = (1u << bits) - 1, high = (1u << (24 - bits)) - 1;
    *ret = (struct method){ mt, (range & high) << bits | (remainder & low), flags & CLASSIFICATION };
    return true;
}

bool lg_method_exists(struct lg_clr *clr, uint64_t md)
{
    struct method method;
    return read_method(clr, md, &method);
}

static bool field_at(struct lg_clr *clr, uint64_t md, const char *type, const char *field, uint64_t *ret)
{
    uint32_t offset;
    bool known = lg_descriptor_offset(clr->descriptor, type, field, &offset);
    *ret = known ? md + offset : 0;
    return known;
}

// DynamicMethodDesc.MethodName: UTF-8. The class is one that the runtime makes up.
static const char *dynamic_name(struct lg_clr *clr, uint64_t md)
{
    char name[NAME_MAX_BYTES + 1];
    uint32_t flags = 0;
    uint64_t at, flags_at;
    if (!field_at(clr, md, "DynamicMethodDesc", "MethodName", &at)
        || !lg_target_u64(clr->target, at, &at) || at == 0)
        return NULL;
    if (field_at(clr, md, "StoredSigMethodDesc", "ExtendedFlags", &flags_at))
        lg_target_u32(clr->target, flags_at, &flags);
    size_t len = lg_target_read(clr->target, at, name, NAME_MAX_BYTES);
    name[len] = 0;
    const char *class = flags & DYNAMIC_IS_IL_STUB ? "ILStubClass" : "DynamicClass";
    return name[0] ? lg_arena_format(lg_type_arena(clr), "%s.%s", class, name) : NULL;
}

// The arguments of a generic method: "<System.String>".
static void add_arguments(struct lg_clr *clr, struct lg_text *text, uint64_t md)
{
    static const char type[] = "InstantiatedMethodDesc";
    struct lg_namer namer = { .clr = clr };
    uint64_t at, args[LG_TYPE_ARGS];
    uint16_t flags, count;
    if (!field_at(clr, md, type, "Flags2", &at) || !lg_target_u16(clr->target, at, &flags)
        || !(flags & INSTANTIATED_KIND) || !field_at(clr, md, type, "NumGenericArgs", &at)
        || !lg_target_u16(clr->target, at, &count) || count == 0 || count > LG_TYPE_ARGS
        || !field_at(clr, md, type, "PerInstInfo", &at) || !lg_target_u64(clr->target, at, &at)
        || !lg_target_read_all(clr->target, at, args, count * sizeof(*args)))
        return;
    for (uint16_t i = 0; i < count; i++) {
        lg_text_add(text, i ? ", " : "<");
        lg_name_handle(&namer, text, args[i]);
    }
    lg_text_add(text, ">");
}

static const char *metadata_name(struct lg_clr *clr, const struct method *method)
{
    struct lg_md_member member;
    struct lg_mt m;
    const struct lg_metadata *md =
        lg_mt_read(clr, method->mt, &m) ? lg_module_metadata(clr, m.module) : NULL;
    if (!md)
        return NULL;
    lg_metadata_method(md, method->rid, &member);
    return member.name; // Also where the signature is damaged.
}

const char *lg_clr_method_name(struct lg_clr *clr, uint64_t method_desc)
{
    struct method method;
    if (clr->off.MethodDescChunk_MethodTable == LG_NO_OFFSET)
        return lg_told_method_name(clr, method_desc);
    if (!read_method(clr, method_desc, &method) || method.classification == CLASS_ARRAY)
        return NULL;
    if (method.classification == CLASS_DYNAMIC)
        return dynamic_name(clr, method_desc);
    const char *name = metadata_name(clr, &method);
    if (!name)
        return NULL;
    struct lg_text text = { 0 };
    lg_text_add(&text, lg_clr_handle_name(clr, method.mt));
    lg_text_add(&text, ".");
    lg_text_add(&text, name);
    if (method.classification == CLASS_INSTANTIATED)
        add_arguments(clr, &text, method_desc);
    name = text.at ? lg_arena_copy(lg_type_arena(clr), text.at, text.len) : NULL;
    lg_text_deinit(&text);
    return name;
}

// ---- closures ----

// The first method of a TypeDef that is named like a lambda's or a local function's.
static const char *lambda_of(const struct lg_metadata *md, uint32_t type_rid)
{
    uint32_t first, count = lg_metadata_method_count(md, type_rid, &first);
    for (uint32_t i = 0; i < count; i++) {
        struct lg_md_member member;
        lg_metadata_method(md, lg_metadata_method_rid(md, first + i), &member);
        if (member.name && member.name[0] == '<' && strstr(member.name, ">b__"))
            return member.name;
    }
    return NULL;
}

// A class without a lambda of its own holds variables for those of inner scopes: "<>c__DisplayClass12_0"
// is of the same method as every other "<>c__DisplayClass12_…" of the same class.
const char *lg_clr_closure_method(struct lg_clr *clr, const struct lg_type *type)
{
    static const char begins[] = "<>c__DisplayClass";
    const struct lg_metadata *md = type->token ? lg_module_metadata(clr, type->module) : NULL;
    uint32_t rid = type->token & 0xffffff;
    struct lg_md_type own, other;
    if (!md || !lg_metadata_type(md, rid, &own) || !own.name
        || strncmp(own.name, begins, sizeof(begins) - 1) != 0)
        return NULL;
    const char *lambda = lambda_of(md, rid);
    const char *end = strchr(own.name + sizeof(begins) - 1, '_');
    uint32_t rows = lg_metadata_rows(md, LG_MD_TYPE_DEF);
    for (uint32_t i = 1; i <= rows && end && !lambda; i++) {
        if (lg_metadata_type(md, i, &other) && other.outer == own.outer && other.name
            && strncmp(other.name, own.name, (size_t)(end + 1 - own.name)) == 0)
            lambda = lambda_of(md, i);
    }
    return lambda;
}
