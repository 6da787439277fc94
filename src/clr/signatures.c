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

// What a signature resolves to.
struct found {
    uint64_t handle;   // TypeHandle; 0 unknown
    bool is_reference; // a class, a string, an array: one pointer, whatever it points to
    bool is_canonical; // `handle` is the shared form of the type: its layout, not its identity
};

static struct found resolve(const struct lg_sig_scope *scope, struct lg_reader *r, unsigned depth);

// A type of CoreLib's namespace System; `slot` remembers it.
static uint64_t corelib_mt(struct lg_clr *clr, const char *name, uint64_t *slot)
{
    if (*slot == 0) {
        uint64_t corelib = lg_module_corelib(clr);
        const struct lg_metadata *md = corelib ? lg_module_metadata(clr, corelib) : NULL;
        uint32_t rid = md ? lg_metadata_find_type(md, 0, "System", name) : 0;
        *slot = rid ? lg_module_type(clr, corelib, (uint32_t)LG_MD_TYPE_DEF << 24 | rid) : 0;
        *slot = *slot ? *slot : 1; // 1: asked, unknown
    }
    return *slot & ~UINT64_C(1);
}

static struct found primitive(struct lg_clr *clr, uint8_t element, const char *name)
{
    bool is_reference = element == LG_ELEM_STRING || element == LG_ELEM_OBJECT;
    uint64_t mt = corelib_mt(clr, name, &lg_type_names(clr)->primitives[element]);
    return (struct found){ mt, is_reference, false };
}

static struct found class_of_token(const struct lg_sig_scope *scope, uint32_t token, bool is_reference,
                                   unsigned depth)
{
    struct found found = { .is_reference = is_reference };
    struct lg_md_blob blob;
    if (token >> 24 == LG_MD_TYPE_DEF || token >> 24 == LG_MD_TYPE_REF) {
        found.handle = lg_module_type(scope->clr, scope->module, token);
    } else if (token && lg_metadata_type_spec(scope->md, token & 0xffffff, &blob)) {
        struct lg_reader r = lg_reader(blob.at, blob.len);
        return resolve(scope, &r, depth + 1);
    }
    return found;
}

// The form of an argument under which code and layout are shared: System.__Canon for every reference.
static uint64_t canonical_argument(struct lg_clr *clr, const struct found *arg)
{
    struct lg_mt m;
    bool is_reference = arg->is_reference;
    uint64_t handle = arg->handle;
    if (!is_reference && handle && !(handle & 2) && lg_mt_read(clr, handle, &m)) {
        is_reference = (m.flags & LG_MT_CATEGORY) != LG_MT_VALUE_TYPE;
        handle = m.canonical;
    }
    return is_reference ? corelib_mt(clr, "__Canon", &lg_type_names(clr)->canon) : handle;
}

// The instantiation itself, or of a value type that was never loaded as such its shared form.
static struct found instantiate(struct lg_clr *clr, uint64_t definition, bool is_reference,
                                const struct found *args, uint32_t count)
{
    struct found found = { .is_reference = is_reference };
    uint64_t handles[LG_TYPE_ARGS];
    struct lg_mt m;
    if (count == 0 || count > LG_TYPE_ARGS || !lg_mt_read(clr, definition, &m))
        return found;
    bool exact = true;
    for (uint32_t i = 0; i < count; i++) {
        handles[i] = args[i].handle;
        exact = exact && handles[i] && !args[i].is_canonical;
    }
    if (exact)
        found.handle = lg_instantiation_find(clr, m.module, m.rid, handles, count);
    if (found.handle || is_reference)
        return found;
    found.is_canonical = true;
    for (uint32_t i = 0; i < count; i++) {
        handles[i] = canonical_argument(clr, &args[i]);
        if (!handles[i])
            return found;
    }
    found.handle = lg_instantiation_find(clr, m.module, m.rid, handles, count);
    return found;
}

// Reads all arguments, so that the cursor ends up behind them.
static struct found generic(const struct lg_sig_scope *scope, struct lg_reader *r, unsigned depth)
{
    struct found args[LG_TYPE_ARGS];
    bool is_reference = lg_read_u8(r) == LG_ELEM_CLASS;
    struct found definition = class_of_token(scope, lg_sig_token(r), is_reference, depth);
    uint32_t count = lg_sig_number(r);
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        struct found arg = resolve(scope, r, depth + 1);
        if (i < LG_TYPE_ARGS)
            args[i] = arg;
    }
    if (!definition.handle || r->failed)
        return (struct found){ .is_reference = is_reference };
    return instantiate(scope->clr, definition.handle, is_reference, args, count);
}

static struct found array_of(const struct lg_sig_scope *scope, struct lg_reader *r, unsigned depth)
{
    struct found of = resolve(scope, r, depth + 1);
    bool known = of.handle && !of.is_canonical;
    return (struct found){ known ? lg_array_find(scope->clr, of.handle) : 0, true, false };
}

static struct found resolve_composite(const struct lg_sig_scope *scope, struct lg_reader *r,
                                      uint8_t element, unsigned depth)
{
    struct found found = { 0 };
    switch (element) {
    case LG_ELEM_VALUETYPE:
    case LG_ELEM_CLASS:
        return class_of_token(scope, lg_sig_token(r), element == LG_ELEM_CLASS, depth);
    case LG_ELEM_VAR: {
        uint32_t i = lg_sig_number(r);
        found.handle = i < scope->arg_count ? scope->args[i] : 0;
        return found;
    }
    case LG_ELEM_GENERICINST:
        return generic(scope, r, depth);
    case LG_ELEM_SZARRAY:
        return array_of(scope, r, depth);
    case LG_ELEM_ARRAY:
        resolve(scope, r, depth + 1);
        read_shape(r);
        found.is_reference = true;
        return found;
    case LG_ELEM_PTR:
    case LG_ELEM_BYREF:
        resolve(scope, r, depth + 1);
        return found;
    case ELEM_INTERNAL:
        found.handle = lg_read_u64(r);
        return found;
    default: // What cannot be read past ends the whole.
        r->failed = true;
        return found;
    }
}

static struct found resolve(const struct lg_sig_scope *scope, struct lg_reader *r, unsigned depth)
{
    enum { DEPTH_MAX = 32 };
    if (depth > DEPTH_MAX || ++*scope->steps > LG_NAME_STEPS)
        r->failed = true;
    uint8_t element = lg_sig_element(r);
    if (r->failed)
        return (struct found){ 0 };
    const char *name = primitive_name(element);
    return name ? primitive(scope->clr, element, name) : resolve_composite(scope, r, element, depth);
}

uint64_t lg_signature_mt(const struct lg_sig_scope *scope, struct lg_reader *r, bool *exact_ret)
{
    unsigned steps = 0;
    struct lg_sig_scope counted = *scope;
    counted.steps = &steps;
    struct found found = resolve(&counted, r, 0);
    *exact_ret = !found.is_canonical;
    return r->failed || found.handle & 2 ? 0 : found.handle;
}
