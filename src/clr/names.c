// Names of types, as SOS and ClrMD print them.
//
//     Namespace.Outer<A>+Inner<B, C>    each part takes as many arguments as its arity ("Outer`1") says
//     T[]  T[,]  T[*]  T*  T&  R(A, B)  array, of rank 2, of rank 1 that need not start at 0, pointer,
//                                       by-ref, function pointer
//
// Every name is made once and kept, keyed by TypeHandle. A name that is being made while it is asked for
// is of a type that contains itself: damage, named as unknown.
#include <inttypes.h>
#include <string.h>

#include "clr/types_priv.h"

enum { NAMES_BYTES_MAX = 256 << 20 };

bool lg_namer_enter(struct lg_namer *namer, struct lg_text *text)
{
    if (namer->depth >= LG_NAME_DEPTH || namer->steps >= LG_NAME_STEPS || text->full) {
        lg_text_add(text, "…");
        return false;
    }
    namer->depth++;
    namer->steps++;
    return true;
}

void lg_namer_leave(struct lg_namer *namer)
{
    namer->depth--;
}

static void add_unknown(struct lg_text *text, uint64_t handle)
{
    lg_text_format(text, "<unknown_type_%" PRIx64 ">", handle);
}

// ---- names in metadata ----

// Adds "List" of "List`1"; returns its arity, 0 if it says none.
static size_t add_simple(struct lg_text *text, const char *name)
{
    const char *tick = strrchr(name, '`');
    size_t arity = 0, digits = tick ? strspn(tick + 1, "0123456789") : 0;
    if (digits == 0 || digits > 2 || tick[1 + digits] != 0) {
        lg_text_add(text, name);
        return 0;
    }
    for (size_t i = 1; i <= digits; i++)
        arity = arity * 10 + (size_t)(tick[i] - '0');
    lg_text_add_len(text, name, (size_t)(tick - name));
    return arity;
}

struct arguments {
    size_t next, count;
    void (*add)(void *data, size_t i);
    void *data;
};

static void add_arguments(struct lg_text *text, struct arguments *args, size_t n)
{
    if (n == 0)
        return;
    lg_text_add(text, "<");
    for (size_t i = 0; i < n; i++) {
        lg_text_add(text, i ? ", " : "");
        if (args->next < args->count)
            args->add(args->data, args->next++);
        else // An open type, of which nobody told the arguments: as ClrMD's DacNameParser.
            lg_text_format(text, "T%zu", i + 1);
    }
    lg_text_add(text, ">");
}

void lg_name_nested(struct lg_text *text, const char *name_space, const char *const *names, size_t n,
                    size_t count, void (*argument)(void *data, size_t i), void *data)
{
    struct arguments args = { 0, count, argument, data };
    if (name_space[0]) {
        lg_text_add(text, name_space);
        lg_text_add(text, ".");
    }
    for (size_t i = n; i-- > 0;) {
        size_t arity = add_simple(text, names[i]);
        // F# and obfuscators leave the arity out: what is left over belongs to the innermost.
        if (i == 0 && args.count - args.next > arity)
            arity = args.count - args.next;
        add_arguments(text, &args, arity);
        lg_text_add(text, i > 0 ? "+" : "");
    }
}

void lg_name_type_def(struct lg_text *text, const struct lg_metadata *md, uint32_t rid, size_t count,
                      void (*argument)(void *data, size_t i), void *data)
{
    uint32_t chain[LG_MD_NESTING];
    const char *names[LG_MD_NESTING], *name_space = "";
    size_t n = lg_metadata_nesting(md, rid, chain);
    for (size_t i = 0; i < n; i++) {
        struct lg_md_type type;
        bool known = lg_metadata_type(md, chain[i], &type);
        names[i] = known ? type.name : "?";
        name_space = known ? type.name_space : "";
    }
    lg_name_nested(text, name_space, names, n, count, argument, data);
}

// ---- names of handles ----

struct handle_arguments {
    struct lg_namer *namer;
    struct lg_text *text;
    const uint64_t *handles;
};

static void add_handle_argument(void *data, size_t i)
{
    struct handle_arguments *args = data;
    lg_name_handle(args->namer, args->text, args->handles[i]);
}

static void add_token(struct lg_text *text, struct lg_clr *clr, const struct lg_mt *m,
                      struct handle_arguments *args, size_t count)
{
    lg_text_add(text, lg_module_label(clr, m->module));
    lg_text_format(text, "!0x%08x", 0x02000000 | m->rid);
    struct arguments all = { 0, count, add_handle_argument, args };
    add_arguments(text, &all, count);
}

static void add_class(struct lg_namer *namer, struct lg_text *text, const struct lg_mt *m)
{
    uint64_t handles[LG_TYPE_ARGS];
    size_t count = lg_mt_arguments(namer->clr, m, handles);
    struct handle_arguments args = { namer, text, handles };
    const struct lg_metadata *md = lg_module_metadata(namer->clr, m->module);
    if (md && m->rid > 0 && m->rid <= lg_metadata_rows(md, LG_MD_TYPE_DEF))
        lg_name_type_def(text, md, m->rid, count, add_handle_argument, &args);
    else
        add_token(text, namer->clr, m, &args, count);
}

static void add_array(struct lg_namer *namer, struct lg_text *text, const struct lg_mt *m)
{
    lg_name_handle(namer, text, m->per_inst_info);
    if (m->flags & LG_MT_SZARRAY) {
        lg_text_add(text, "[]");
        return;
    }
    uint32_t rank = lg_mt_rank(namer->clr, m);
    lg_text_add(text, rank == 1 ? "[*" : "[");
    for (uint32_t i = 1; i < rank; i++)
        lg_text_add(text, ",");
    lg_text_add(text, "]");
}

static void add_mt(struct lg_namer *namer, struct lg_text *text, uint64_t mt)
{
    struct lg_mt m;
    if (!lg_mt_read(namer->clr, mt, &m))
        add_unknown(text, mt);
    else if (mt == namer->clr->info.free_mt)
        lg_text_add(text, "Free");
    else if (lg_mt_is_array(&m))
        add_array(namer, text, &m);
    else
        add_class(namer, text, &m);
}

static void add_variable(struct lg_namer *namer, struct lg_text *text, uint64_t desc)
{
    const struct lg_offsets *off = &namer->clr->off;
    uint64_t module = 0;
    uint32_t token = 0;
    if (off->TypeVarTypeDesc_Module != LG_NO_OFFSET && off->TypeVarTypeDesc_Token != LG_NO_OFFSET) {
        lg_target_u64(namer->clr->target, desc + off->TypeVarTypeDesc_Module, &module);
        lg_target_u32(namer->clr->target, desc + off->TypeVarTypeDesc_Token, &token);
    }
    const struct lg_metadata *md = module ? lg_module_metadata(namer->clr, module) : NULL;
    const char *name = md && token >> 24 == LG_MD_GENERIC_PARAM
                           ? lg_metadata_generic_param(md, token & 0xffffff)
                           : NULL;
    if (name)
        lg_text_add(text, name);
    else
        add_unknown(text, desc | 2);
}

// Return type, then arguments, as dotnet/runtime src/coreclr/vm/typestring.cpp AppendType has them.
static void add_function_pointer(struct lg_namer *namer, struct lg_text *text, uint64_t desc)
{
    const struct lg_offsets *off = &namer->clr->off;
    struct lg_target *target = namer->clr->target;
    uint64_t handles[LG_TYPE_ARGS];
    uint32_t count;
    if (off->FnPtrTypeDesc_NumArgs == LG_NO_OFFSET || off->FnPtrTypeDesc_RetAndArgTypes == LG_NO_OFFSET
        || !lg_target_u32(target, desc + off->FnPtrTypeDesc_NumArgs, &count) || count >= LG_TYPE_ARGS
        || !lg_target_read_all(target, desc + off->FnPtrTypeDesc_RetAndArgTypes, handles,
                               (count + 1) * sizeof(*handles))) {
        add_unknown(text, desc | 2);
        return;
    }
    lg_name_handle(namer, text, handles[0]);
    lg_text_add(text, "(");
    for (uint32_t i = 1; i <= count; i++) {
        lg_text_add(text, i > 1 ? ", " : "");
        lg_name_handle(namer, text, handles[i]);
    }
    lg_text_add(text, ")");
}

// What a pointer or by-ref is of. Where it is not told: behind the kind, or one word further on,
// whichever is a type.
static bool type_argument(struct lg_clr *clr, uint64_t desc, uint64_t *ret)
{
    uint32_t told = clr->off.ParamTypeDesc_TypeArg;
    if (told != LG_NO_OFFSET)
        return lg_target_u64(clr->target, desc + told, ret);
    for (uint32_t at = 8; at <= 16; at += 8) {
        struct lg_mt m;
        uint32_t kind;
        if (!lg_target_u64(clr->target, desc + at, ret))
            continue;
        if (*ret & 2
                ? lg_target_u32(clr->target, *ret & ~UINT64_C(3), &kind) && (kind & 0xff) <= LG_ELEM_MVAR
                : lg_mt_read(clr, *ret, &m))
            return true;
    }
    return false;
}

static void add_type_desc(struct lg_namer *namer, struct lg_text *text, uint64_t desc)
{
    const struct lg_offsets *off = &namer->clr->off;
    uint32_t kind = 0;
    uint64_t element = 0;
    lg_target_u32(namer->clr->target, desc + off->TypeDesc_TypeAndFlags, &kind);
    switch (kind & 0xff) {
    case LG_ELEM_VAR:
    case LG_ELEM_MVAR:
        add_variable(namer, text, desc);
        return;
    case LG_ELEM_FNPTR:
        add_function_pointer(namer, text, desc);
        return;
    case LG_ELEM_PTR:
    case LG_ELEM_BYREF:
    case LG_ELEM_VALUETYPE: // A struct as it is marshalled: its element names it.
        if (!type_argument(namer->clr, desc, &element))
            break;
        lg_name_handle(namer, text, element);
        lg_text_add(text, (kind & 0xff) == LG_ELEM_PTR     ? "*"
                          : (kind & 0xff) == LG_ELEM_BYREF ? "&"
                                                           : "");
        return;
    }
    add_unknown(text, desc | 2);
}

// ---- the cache ----

// The name that was made, or NULL when it is not to be kept.
static const char *keep(struct lg_clr *clr, const struct lg_text *text)
{
    struct lg_name_cache *names = lg_type_names(clr);
    if (!text->at || text->len > NAMES_BYTES_MAX - names->bytes)
        return NULL;
    names->bytes += text->len;
    return lg_arena_copy(lg_type_arena(clr), text->at, text->len);
}

static const char *cached(struct lg_namer *namer, uint64_t handle)
{
    static const char unknown[] = "<unknown_type>";
    struct lg_name_cache *names = lg_type_names(namer->clr);
    uint32_t i;
    if (lg_map_get(&names->by_handle, handle, &i))
        return names->at.at[i] ? names->at.at[i] : unknown;
    i = (uint32_t)names->at.len;
    if (!lg_vec_push(&names->at, NULL) || !lg_map_put(&names->by_handle, handle, i))
        return unknown;

    struct lg_text text = { 0 };
    if (handle & 2)
        add_type_desc(namer, &text, handle & ~UINT64_C(3));
    else
        add_mt(namer, &text, handle);
    const char *name = keep(namer->clr, &text);
    names->at.at[i] = name ? name : unknown;
    lg_text_deinit(&text);
    return names->at.at[i];
}

void lg_name_handle(struct lg_namer *namer, struct lg_text *text, uint64_t handle)
{
    if (!lg_namer_enter(namer, text))
        return;
    lg_text_add(text, cached(namer, handle));
    lg_namer_leave(namer);
}

bool lg_clr_names_put(struct lg_clr *clr, uint64_t handle, const char *name)
{
    struct lg_name_cache *names = lg_type_names(clr);
    return lg_vec_push(&names->at, name)
           && lg_map_put(&names->by_handle, handle, (uint32_t)names->at.len - 1);
}

const char *lg_clr_handle_name(struct lg_clr *clr, uint64_t type_handle)
{
    struct lg_namer namer = { .clr = clr };
    return cached(&namer, type_handle);
}

const char *lg_clr_type_name(struct lg_clr *clr, const struct lg_type *type)
{
    return lg_clr_handle_name(clr, type->mt);
}
