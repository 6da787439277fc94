// Fields of types: FieldDescs for where, metadata for what.
#include <string.h>

#include "clr/types_priv.h"
#include "metadata/signature.h"

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

uint32_t lg_clr_size(const struct lg_clr *clr, const char *type)
{
    uint32_t size = 0;
    return lg_descriptor_size(clr->descriptor, type, &size) ? size : 0;
}

// ---- FieldDescs ----

static struct lg_field_desc decode(const uint8_t bytes[LG_FIELD_DESC])
{
    uint64_t enclosing;
    uint32_t a, b;
    memcpy(&enclosing, bytes, 8);
    memcpy(&a, bytes + 8, 4);
    memcpy(&b, bytes + 12, 4);
    return (struct lg_field_desc){
        .enclosing = enclosing,
        .rid = a & 0xffffff,
        .is_static = a >> 24 & 1,
        .is_thread_static = a >> 25 & 1,
        .is_rva = a >> 26 & 1,
        .offset = b & 0x7ffffff,
        .element = b >> 27,
    };
}

// The first `instance` are instance fields, the others statics: so the numbers can be told to fit.
static struct lg_error *decode_all(const struct lg_mt *m, const uint8_t *bytes, size_t instance,
                                   size_t count, struct lg_own_fields *ret)
{
    _cleanup_free_ struct lg_field_desc *at = calloc(count, sizeof(*at));
    if (!at)
        return &lg_no_memory;
    for (size_t i = 0; i < count; i++) {
        at[i] = decode(bytes + i * LG_FIELD_DESC);
        if (at[i].enclosing != m->canonical)
            return lg_error_new(LG_ERR_CORRUPT,
                                "FieldDesc %zu of method table %#jx: belongs to %#jx; its layout is not "
                                "the one known of .NET 10",
                                i, (uintmax_t)m->canonical, (uintmax_t)at[i].enclosing);
        if (at[i].is_static != (i >= instance))
            return lg_error_new(
                LG_ERR_CORRUPT, "FieldDesc %zu of method table %#jx: %s, and the class says otherwise",
                i, (uintmax_t)m->canonical, at[i].is_static ? "is static" : "is no static");
    }
    *ret = (struct lg_own_fields){ lg_steal(at), count };
    return NULL;
}

struct lg_error *lg_field_descs_read(struct lg_clr *clr, const struct lg_mt *m, const struct lg_class *c,
                                     uint16_t base_instance, bool skip_instance,
                                     struct lg_own_fields *ret)
{
    size_t instance = c->instance > base_instance ? (size_t)(c->instance - base_instance) : 0;
    size_t skip = skip_instance ? instance : 0, count = instance - skip + c->statics;
    *ret = (struct lg_own_fields){ 0 };
    if (count == 0)
        return NULL;
    _cleanup_free_ uint8_t *bytes = malloc(count * LG_FIELD_DESC);
    if (!bytes)
        return &lg_no_memory;
    if (!lg_target_read_all(clr->target, c->list + skip * LG_FIELD_DESC, bytes, count * LG_FIELD_DESC))
        return lg_error_new(LG_ERR_FAULT, "FieldDescs of method table %#jx: not readable",
                            (uintmax_t)m->canonical);
    return decode_all(m, bytes, instance - skip, count, ret);
}

struct lg_error *lg_own_fields_read(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m,
                                    struct lg_own_fields *ret)
{
    struct lg_class own, base = { 0 };
    struct lg_mt parent;
    *ret = (struct lg_own_fields){ 0 };
    if (lg_mt_is_array(m) || m->ee_class == 0)
        return NULL;
    if (!clr->from.class)
        return lg_error_new(LG_ERR_UNSUPPORTED, "the runtime's data descriptor does not tell of fields, "
                                                "and there is no DAC that does");
    if (!lg_class_read(clr, mt, m, &own))
        return lg_error_new(LG_ERR_FAULT, "EEClass %#jx: not readable", (uintmax_t)m->ee_class);
    if (m->parent
        && (!lg_mt_read(clr, m->parent, &parent) || !lg_class_read(clr, m->parent, &parent, &base)))
        return lg_error_new(LG_ERR_FAULT, "base class %#jx: not readable", (uintmax_t)m->parent);
    return lg_field_descs_read(clr, m, &own, base.instance, false, ret);
}

struct lg_static_bases lg_static_bases_read(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m)
{
    struct lg_static_bases bases;
    bool known = clr->from.static_bases && clr->from.may_have_statics(m)
                 && clr->from.static_bases(clr, mt, m, &bases);
    return known ? bases : (struct lg_static_bases){ 0 };
}

const char *lg_field_name(struct lg_clr *clr, const struct lg_metadata *md, uint32_t rid)
{
    struct lg_md_member member;
    if (md && (lg_metadata_field(md, rid, &member) || member.name))
        return member.name;
    const char *s = lg_arena_format(lg_type_arena(clr), "<field_%08x>", 0x04000000 | rid);
    return s ? s : "<field>";
}

// ---- fields of a type ----

struct entry {
    struct lg_field *at;
    size_t count;
};
struct lg_field_cache {
    struct lg_map by_mt; // -> index in `all`
    LG_VEC(struct entry) all;
};

typedef LG_VEC(struct lg_field) field_list;

// What the fields of one class have in common.
struct class
{
    uint64_t mt;
    struct lg_mt head;
    struct lg_static_bases bases;
    uint64_t args[LG_TYPE_ARGS];
    struct lg_sig_scope scope;
};

static void read_class(struct lg_clr *clr, uint64_t mt, const struct lg_mt *head, struct class *ret)
{
    ret->mt = mt;
    ret->head = *head;
    ret->bases = lg_static_bases_read(clr, mt, head);
    ret->scope = (struct lg_sig_scope){
        .clr = clr,
        .module = head->module,
        .md = lg_module_metadata(clr, head->module),
        .args = ret->args,
        .arg_count = lg_mt_arguments(clr, head, ret->args),
    };
}

static void describe_type(const struct class *class, const struct lg_field_desc *desc,
                          struct lg_field *field)
{
    struct lg_clr *clr = class->scope.clr;
    struct lg_md_member member;
    if (!class->scope.md || !lg_metadata_field(class->scope.md, desc->rid, &member))
        return;
    struct lg_reader r = lg_reader(member.signature.at, member.signature.len);
    if (lg_read_u8(&r) != 0x06) // FIELD (ECMA-335 II.23.2.4)
        return;
    struct lg_reader again = r;
    bool exact;
    field->type_mt = lg_signature_mt(&class->scope, &again, &exact);
    if (field->type_mt && exact) {
        field->type_name = lg_clr_handle_name(clr, field->type_mt);
        return;
    }
    struct lg_namer namer = { .clr = clr };
    struct lg_text text = { 0 };
    lg_name_signature(&namer, &text, &class->scope, &r);
    if (!r.failed && text.len > 0)
        field->type_name = lg_arena_copy(lg_type_arena(clr), text.at, text.len);
    lg_text_deinit(&text);
}

static uint64_t static_address(const struct class *class, const struct lg_field_desc *desc)
{
    uint64_t base = lg_field_is_gc(desc) ? class->bases.gc : class->bases.non_gc;
    if (!desc->is_static || desc->is_thread_static || desc->offset > LG_FIELD_OFFSET_LAST)
        return 0;
    if (desc->is_rva)
        return lg_module_rva(class->scope.clr, class->head.module, desc->offset);
    return base ? base + desc->offset : 0;
}

static struct lg_field describe(const struct class *class, const struct lg_field_desc *desc)
{
    struct lg_field field = {
        .name = lg_field_name(class->scope.clr, class->scope.md, desc->rid),
        .declaring_mt = class->mt,
        .token = 0x04000000 | desc->rid,
        .offset = desc->offset,
        .element = desc->element,
        .is_static = desc->is_static,
        .is_thread_static = desc->is_thread_static,
        .is_rva = desc->is_rva,
        .initialized = desc->is_static && (desc->is_rva || class->bases.initialized),
        .address = static_address(class, desc),
    };
    describe_type(class, desc, &field);
    return field;
}

static void free_own(struct lg_own_fields *own)
{
    free(own->at);
}

static struct lg_error *add_class(struct lg_clr *clr, uint64_t mt, field_list *fields)
{
    struct lg_mt head;
    if (!lg_mt_read(clr, mt, &head))
        return lg_error_new(LG_ERR_FAULT, "method table %#jx: not readable", (uintmax_t)mt);
    _cleanup_(free_own) struct lg_own_fields own = { 0 };
    struct lg_error *err = lg_own_fields_read(clr, mt, &head, &own);
    if (err || own.count == 0)
        return err;
    struct class class;
    read_class(clr, mt, &head, &class);
    for (size_t i = 0; i < own.count; i++) {
        if (!lg_vec_push(fields, describe(&class, &own.at[i])))
            return &lg_no_memory;
    }
    return NULL;
}

enum { BASES_MAX = 128 };

static struct lg_error *read_fields(struct lg_clr *clr, uint64_t mt, field_list *fields)
{
    uint64_t chain[BASES_MAX];
    size_t n = 0;
    struct lg_mt m;
    for (; mt && n < BASES_MAX && lg_mt_read(clr, mt, &m); mt = m.parent)
        chain[n++] = mt;
    if (n == BASES_MAX)
        return lg_error_new(LG_ERR_CORRUPT, "method table %#jx: more than %d base classes",
                            (uintmax_t)chain[0], BASES_MAX);
    for (size_t i = n; i-- > 0;) {
        struct lg_error *err = add_class(clr, chain[i], fields);
        if (err)
            return err;
    }
    return NULL;
}

static struct lg_error *remember(struct lg_clr *clr, uint64_t mt, field_list *fields,
                                 const struct entry **ret)
{
    struct lg_field_cache *cache = clr->fields;
    if (!lg_vec_push(&cache->all, (struct entry){ fields->at, fields->len }))
        return &lg_no_memory;
    *fields = (field_list){ 0 };
    if (!lg_map_put(&cache->by_mt, mt, (uint32_t)cache->all.len - 1))
        return &lg_no_memory;
    *ret = &cache->all.at[cache->all.len - 1];
    return NULL;
}

bool lg_clr_fields_put(struct lg_clr *clr, uint64_t mt, struct lg_field *fields, size_t count)
{
    if (!clr->fields && !(clr->fields = calloc(1, sizeof(*clr->fields))))
        return false;
    if (!lg_map_put(&clr->fields->by_mt, mt, (uint32_t)clr->fields->all.len))
        return false;
    return lg_vec_push(&clr->fields->all, (struct entry){ fields, count });
}

static void free_list(field_list *fields)
{
    lg_vec_free(fields);
}

struct lg_error *lg_clr_fields(struct lg_clr *clr, const struct lg_type *type,
                               const struct lg_field **ret, size_t *count_ret)
{
    const struct entry *entry;
    uint32_t i;
    if (!clr->fields && !(clr->fields = calloc(1, sizeof(*clr->fields))))
        return &lg_no_memory;
    if (lg_map_get(&clr->fields->by_mt, type->mt, &i)) {
        entry = &clr->fields->all.at[i];
    } else if (clr->stored) {
        return lg_error_new(LG_ERR_UNSUPPORTED, "the snapshot does not hold the fields of %s",
                            lg_clr_type_name(clr, type));
    } else {
        _cleanup_(free_list) field_list fields = { 0 };
        struct lg_error *err = read_fields(clr, type->mt, &fields);
        if (!err)
            err = remember(clr, type->mt, &fields, &entry);
        if (err)
            return lg_error_context(err, "fields of %s", lg_clr_type_name(clr, type));
    }
    *ret = entry->at;
    *count_ret = entry->count;
    return NULL;
}

void lg_clr_fields_close(struct lg_clr *clr)
{
    if (!clr->fields)
        return;
    for (size_t i = 0; i < clr->fields->all.len; i++)
        free(clr->fields->all.at[i].at);
    lg_vec_free(&clr->fields->all);
    lg_map_free(&clr->fields->by_mt);
    free(clr->fields);
    clr->fields = NULL;
}
