// Types as signatures spell them (ECMA-335 II.23.2.12): their names, and their method tables where the
// runtime has loaded them.
#include <string.h>

#include "clr/types_priv.h"
#include "metadata/signature.h"

enum { ELEM_VOID = 1, ELEM_INTERNAL = 0x21 };

static const struct {
    uint8_t element;
    const char *name; // in System
} primitives[] = {
    { ELEM_VOID, "Void" },        { LG_ELEM_BOOLEAN, "Boolean" },
    { LG_ELEM_CHAR, "Char" },     { LG_ELEM_I1, "SByte" },
    { LG_ELEM_U1, "Byte" },       { LG_ELEM_I2, "Int16" },
    { LG_ELEM_U2, "UInt16" },     { LG_ELEM_I4, "Int32" },
    { LG_ELEM_U4, "UInt32" },     { LG_ELEM_I8, "Int64" },
    { LG_ELEM_U8, "UInt64" },     { LG_ELEM_R4, "Single" },
    { LG_ELEM_R8, "Double" },     { LG_ELEM_I, "IntPtr" },
    { LG_ELEM_U, "UIntPtr" },     { LG_ELEM_STRING, "String" },
    { LG_ELEM_OBJECT, "Object" }, { LG_ELEM_TYPEDBYREF, "TypedReference" },
};

static const char *primitive_name(uint8_t element)
{
    for (size_t i = 0; i < sizeof(primitives) / sizeof(*primitives); i++) {
        if (primitives[i].element == element)
            return primitives[i].name;
    }
    return NULL;
}

// ---- names ----

struct signature {
    struct lg_namer *namer;
    struct lg_text *text;
    const struct lg_sig_scope *scope;
    struct lg_reader *r;
};

static void add_next(void *data, size_t i)
{
    struct signature *sig = data;
    lg_name_signature(sig->namer, sig->text, sig->scope, sig->r);
}

static void add_type_ref(struct lg_text *text, const struct lg_metadata *md, uint32_t rid, size_t count,
                         struct signature *sig)
{
    const char *names[LG_MD_NESTING], *name_space = "";
    struct lg_md_type_ref ref;
    size_t n = 0;
    while (n < LG_MD_NESTING && lg_metadata_type_ref(md, rid, &ref)) {
        names[n++] = ref.name;
        name_space = ref.name_space;
        if (ref.scope >> 24 != LG_MD_TYPE_REF)
            break;
        rid = ref.scope & 0xffffff;
    }
    lg_name_nested(text, name_space, names, n, count, add_next, sig);
}

// A TypeSpec is a signature of its own.
static void add_type_spec(struct signature *sig, uint32_t rid)
{
    struct lg_md_blob blob;
    if (!lg_metadata_type_spec(sig->scope->md, rid, &blob))
        return;
    struct lg_reader r = lg_reader(blob.at, blob.len);
    lg_name_signature(sig->namer, sig->text, sig->scope, &r);
}

static void add_class(struct signature *sig, uint32_t token, size_t count)
{
    if (token >> 24 == LG_MD_TYPE_DEF)
        lg_name_type_def(sig->text, sig->scope->md, token & 0xffffff, count, add_next, sig);
    else if (token >> 24 == LG_MD_TYPE_REF)
        add_type_ref(sig->text, sig->scope->md, token & 0xffffff, count, sig);
    else
        add_type_spec(sig, token & 0xffffff);
}

static void add_variable(struct signature *sig, bool of_method)
{
    uint32_t i = lg_sig_number(sig->r);
    if (!of_method && i < sig->scope->arg_count)
        lg_name_handle(sig->namer, sig->text, sig->scope->args[i]);
    else
        lg_text_format(sig->text, of_method ? "!!%u" : "!%u", i);
}

// rank, sizes, lower bounds: returns the rank.
static uint32_t read_shape(struct lg_reader *r)
{
    uint32_t rank = lg_sig_number(r);
    for (unsigned list = 0; list < 2; list++) {
        uint32_t n = lg_sig_number(r);
        for (uint32_t i = 0; i < n && !r->failed; i++)
            lg_sig_number(r);
    }
    return rank;
}

static void add_array(struct signature *sig)
{
    add_next(sig, 0);
    uint32_t rank = read_shape(sig->r);
    lg_text_add(sig->text, rank == 1 ? "[*" : "[");
    for (uint32_t i = 1; i < rank && i < 32; i++)
        lg_text_add(sig->text, ",");
    lg_text_add(sig->text, "]");
}

static void add_function_pointer(struct signature *sig)
{
    if (lg_read_u8(sig->r) & 0x10) // GENERIC: how many parameters
        lg_sig_number(sig->r);
    uint32_t count = lg_sig_number(sig->r);
    add_next(sig, 0);
    lg_text_add(sig->text, "(");
    for (uint32_t i = 0; i < count && !sig->r->failed && !sig->text->full; i++) {
        lg_text_add(sig->text, i ? ", " : "");
        add_next(sig, 0);
    }
    lg_text_add(sig->text, ")");
}

static void add_generic(struct signature *sig)
{
    lg_read_u8(sig->r); // CLASS or VALUETYPE
    uint32_t token = lg_sig_token(sig->r), count = lg_sig_number(sig->r);
    add_class(sig, token, count < LG_TYPE_ARGS ? count : 0);
}

static void add_composite(struct signature *sig, uint8_t element)
{
    switch (element) {
    case LG_ELEM_PTR:
    case LG_ELEM_BYREF:
    case LG_ELEM_SZARRAY:
        add_next(sig, 0);
        lg_text_add(sig->text, element == LG_ELEM_PTR ? "*" : element == LG_ELEM_BYREF ? "&" : "[]");
        return;
    case LG_ELEM_VALUETYPE:
    case LG_ELEM_CLASS:
        add_class(sig, lg_sig_token(sig->r), 0);
        return;
    case LG_ELEM_VAR:
    case LG_ELEM_MVAR:
        add_variable(sig, element == LG_ELEM_MVAR);
        return;
    case LG_ELEM_ARRAY:
        add_array(sig);
        return;
    case LG_ELEM_GENERICINST:
        add_generic(sig);
        return;
    case LG_ELEM_FNPTR:
        add_function_pointer(sig);
        return;
    case ELEM_INTERNAL: // In signatures that the runtime made itself.
        lg_name_handle(sig->namer, sig->text, lg_read_u64(sig->r));
        return;
    default:
        sig->r->failed = true;
    }
}

void lg_name_signature(struct lg_namer *namer, struct lg_text *text, const struct lg_sig_scope *scope,
                       struct lg_reader *r)
{
    if (r->failed || !lg_namer_enter(namer, text)) {
        r->failed = true;
        return;
    }
    uint8_t element = lg_sig_element(r);
    const char *primitive = primitive_name(element);
    if (primitive) {
        lg_text_add(text, "System.");
        lg_text_add(text, primitive);
    } else {
        struct signature sig = { namer, text, scope, r };
        add_composite(&sig, element);
    }
    lg_namer_leave(namer);
}

// ---- method tables ----

static uint64_t resolve(const struct lg_sig_scope *scope, struct lg_reader *r, unsigned depth);

static uint64_t primitive_mt(struct lg_clr *clr, uint8_t element, const char *name)
{
    if (element == LG_ELEM_STRING)
        return clr->info.string_mt;
    if (element == LG_ELEM_OBJECT)
        return clr->info.object_mt;
    uint64_t *known = &lg_type_names(clr)->primitives[element];
    if (*known == 0) {
        uint64_t corelib = lg_module_corelib(clr);
        const struct lg_metadata *md = corelib ? lg_module_metadata(clr, corelib) : NULL;
        uint32_t rid = md ? lg_metadata_find_type(md, 0, "System", name) : 0;
        *known = rid ? lg_module_lookup(clr, corelib, clr->off.Module_TypeDefToMethodTableMap, rid) : 0;
        *known = *known ? *known : 1; // 1: asked, unknown
    }
    return *known & ~UINT64_C(1);
}

static uint64_t class_mt(const struct lg_sig_scope *scope, uint32_t token, unsigned depth)
{
    const struct lg_offsets *off = &scope->clr->off;
    uint32_t rid = token & 0xffffff;
    struct lg_md_blob blob;
    switch (token >> 24) {
    case LG_MD_TYPE_DEF:
        return lg_module_lookup(scope->clr, scope->module, off->Module_TypeDefToMethodTableMap, rid);
    case LG_MD_TYPE_REF:
        return lg_module_lookup(scope->clr, scope->module, off->Module_TypeRefToMethodTableMap, rid);
    }
    if (token == 0 || !lg_metadata_type_spec(scope->md, rid, &blob))
        return 0;
    struct lg_reader r = lg_reader(blob.at, blob.len);
    return resolve(scope, &r, depth + 1);
}

// Reads all arguments, so that the cursor ends up behind them.
static uint64_t generic_mt(const struct lg_sig_scope *scope, struct lg_reader *r, unsigned depth)
{
    uint64_t args[LG_TYPE_ARGS];
    struct lg_mt definition;
    lg_read_u8(r);
    uint64_t mt = class_mt(scope, lg_sig_token(r), depth);
    uint32_t count = lg_sig_number(r);
    bool known = mt && count > 0 && count <= LG_TYPE_ARGS;
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        uint64_t arg = resolve(scope, r, depth + 1);
        if (i < LG_TYPE_ARGS)
            args[i] = arg;
        known = known && arg;
    }
    if (!known || r->failed || !lg_mt_read(scope->clr, mt, &definition))
        return 0;
    return lg_instantiation_find(scope->clr, definition.module, lg_mt_rid(&definition), args, count);
}

static uint64_t resolve_composite(const struct lg_sig_scope *scope, struct lg_reader *r, uint8_t element,
                                  unsigned depth)
{
    uint64_t of;
    switch (element) {
    case LG_ELEM_VALUETYPE:
    case LG_ELEM_CLASS:
        return class_mt(scope, lg_sig_token(r), depth);
    case LG_ELEM_VAR: {
        uint32_t i = lg_sig_number(r);
        return i < scope->arg_count ? scope->args[i] : 0;
    }
    case LG_ELEM_GENERICINST:
        return generic_mt(scope, r, depth);
    case LG_ELEM_SZARRAY:
        of = resolve(scope, r, depth + 1);
        return of ? lg_array_find(scope->clr, of) : 0;
    case LG_ELEM_PTR:
    case LG_ELEM_BYREF:
        resolve(scope, r, depth + 1);
        return 0;
    case LG_ELEM_ARRAY:
        resolve(scope, r, depth + 1);
        read_shape(r);
        return 0;
    case ELEM_INTERNAL:
        return lg_read_u64(r);
    default: // What cannot be read past ends the whole.
        r->failed = true;
        return 0;
    }
}

// A TypeHandle; 0 unknown.
static uint64_t resolve(const struct lg_sig_scope *scope, struct lg_reader *r, unsigned depth)
{
    enum { DEPTH_MAX = 32 };
    if (depth > DEPTH_MAX)
        r->failed = true;
    uint8_t element = lg_sig_element(r);
    if (r->failed)
        return 0;
    const char *primitive = primitive_name(element);
    return primitive ? primitive_mt(scope->clr, element, primitive)
                     : resolve_composite(scope, r, element, depth);
}

uint64_t lg_signature_mt(const struct lg_sig_scope *scope, struct lg_reader *r)
{
    uint64_t handle = resolve(scope, r, 0);
    return r->failed || handle & 2 ? 0 : handle;
}
