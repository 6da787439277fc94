// Rows with names: types, members, assemblies.
#include <string.h>

#include "metadata/metadata.h"
#include "metadata/metadata_priv.h"
#include "metadata/signature.h"

static bool in_range(const struct lg_metadata *md, unsigned table, uint32_t rid)
{
    return rid > 0 && rid <= md->tables[table].rows;
}

static const char *string_at(const struct lg_metadata *md, uint32_t offset)
{
    if (offset >= md->strings.len || !memchr(md->strings.at + offset, 0, md->strings.len - offset))
        return NULL;
    return (const char *)md->strings.at + offset;
}

static const char *string_column(const struct lg_metadata *md, unsigned table, uint32_t rid,
                                 unsigned column)
{
    return in_range(md, table, rid) ? string_at(md, lg_md_column(md, table, rid, column)) : NULL;
}

static bool blob_at(const struct lg_metadata *md, uint32_t offset, struct lg_md_blob *ret)
{
    if (offset >= md->blobs.len)
        return false;
    struct lg_reader r = lg_reader(md->blobs.at + offset, md->blobs.len - offset);
    uint32_t len = lg_sig_number(&r);
    const uint8_t *at = lg_read_bytes(&r, len);
    *ret = (struct lg_md_blob){ at, at ? len : 0 };
    return at != NULL;
}

bool lg_metadata_type(const struct lg_metadata *md, uint32_t rid, struct lg_md_type *ret)
{
    *ret = (struct lg_md_type){
        .name = string_column(md, LG_MD_TYPE_DEF, rid, 1),
        .name_space = string_column(md, LG_MD_TYPE_DEF, rid, 2),
        .flags = lg_md_column(md, LG_MD_TYPE_DEF, rid, 0),
        .extends = lg_md_coded_token(md, LG_MD_TYPE_DEF, rid, 3),
        .first_field = lg_md_column(md, LG_MD_TYPE_DEF, rid, 4),
        .first_method = lg_md_column(md, LG_MD_TYPE_DEF, rid, 5),
        .outer = in_range(md, LG_MD_TYPE_DEF, rid) ? md->outer[rid] : 0,
    };
    return ret->name && ret->name_space;
}

size_t lg_metadata_nesting(const struct lg_metadata *md, uint32_t rid, uint32_t chain[LG_MD_NESTING])
{
    size_t n = 0;
    while (in_range(md, LG_MD_TYPE_DEF, rid) && n < LG_MD_NESTING) {
        for (size_t i = 0; i < n; i++) {
            if (chain[i] == rid)
                return n;
        }
        chain[n++] = rid;
        rid = md->outer[rid];
    }
    return n;
}

bool lg_metadata_type_ref(const struct lg_metadata *md, uint32_t rid, struct lg_md_type_ref *ret)
{
    *ret = (struct lg_md_type_ref){
        .name = string_column(md, LG_MD_TYPE_REF, rid, 1),
        .name_space = string_column(md, LG_MD_TYPE_REF, rid, 2),
        .scope = in_range(md, LG_MD_TYPE_REF, rid) ? lg_md_coded_token(md, LG_MD_TYPE_REF, rid, 0) : 0,
    };
    return ret->name && ret->name_space;
}

uint32_t lg_metadata_find_type(const struct lg_metadata *md, uint32_t outer, const char *name_space,
                               const char *name)
{
    for (uint32_t rid = 1; rid <= md->tables[LG_MD_TYPE_DEF].rows; rid++) {
        const char *have = md->outer[rid] == outer ? string_column(md, LG_MD_TYPE_DEF, rid, 1) : NULL;
        if (!have || strcmp(have, name) != 0)
            continue;
        have = string_column(md, LG_MD_TYPE_DEF, rid, 2);
        if (have && strcmp(have, name_space) == 0)
            return rid;
    }
    return 0;
}

bool lg_metadata_field(const struct lg_metadata *md, uint32_t rid, struct lg_md_member *ret)
{
    *ret = (struct lg_md_member){
        .name = string_column(md, LG_MD_FIELD, rid, 1),
        .flags = lg_md_column(md, LG_MD_FIELD, rid, 0),
    };
    return ret->name && blob_at(md, lg_md_column(md, LG_MD_FIELD, rid, 2), &ret->signature);
}

bool lg_metadata_method(const struct lg_metadata *md, uint32_t rid, struct lg_md_member *ret)
{
    *ret = (struct lg_md_member){
        .name = string_column(md, LG_MD_METHOD, rid, 3),
        .flags = lg_md_column(md, LG_MD_METHOD, rid, 2),
    };
    return ret->name && blob_at(md, lg_md_column(md, LG_MD_METHOD, rid, 4), &ret->signature);
}

// A list runs up to where the next type's begins, the last one to the end of the table.
static uint32_t list_count(const struct lg_metadata *md, uint32_t type_rid, unsigned column,
                           unsigned direct, unsigned indirect, uint32_t *first_ret)
{
    uint32_t types = md->tables[LG_MD_TYPE_DEF].rows;
    uint32_t rows = md->tables[indirect].rows ? md->tables[indirect].rows : md->tables[direct].rows;
    uint32_t first = lg_md_column(md, LG_MD_TYPE_DEF, type_rid, column);
    uint32_t end = type_rid < types ? lg_md_column(md, LG_MD_TYPE_DEF, type_rid + 1, column) : rows + 1;
    *first_ret = first;
    return first > 0 && first < end && end <= rows + 1 ? end - first : 0;
}

static uint32_t list_rid(const struct lg_metadata *md, uint32_t index, unsigned direct,
                         unsigned indirect)
{
    uint32_t rid = md->tables[indirect].rows ? lg_md_column(md, indirect, index, 0) : index;
    return in_range(md, direct, rid) ? rid : 0;
}

uint32_t lg_metadata_field_count(const struct lg_metadata *md, uint32_t type_rid, uint32_t *first_ret)
{
    return list_count(md, type_rid, 4, LG_MD_FIELD, LG_MD_FIELD_PTR, first_ret);
}

uint32_t lg_metadata_field_rid(const struct lg_metadata *md, uint32_t index)
{
    return list_rid(md, index, LG_MD_FIELD, LG_MD_FIELD_PTR);
}

uint32_t lg_metadata_method_count(const struct lg_metadata *md, uint32_t type_rid, uint32_t *first_ret)
{
    return list_count(md, type_rid, 5, LG_MD_METHOD, LG_MD_METHOD_PTR, first_ret);
}

uint32_t lg_metadata_method_rid(const struct lg_metadata *md, uint32_t index)
{
    return list_rid(md, index, LG_MD_METHOD, LG_MD_METHOD_PTR);
}

bool lg_metadata_type_spec(const struct lg_metadata *md, uint32_t rid, struct lg_md_blob *signature_ret)
{
    return in_range(md, LG_MD_TYPE_SPEC, rid)
           && blob_at(md, lg_md_column(md, LG_MD_TYPE_SPEC, rid, 0), signature_ret);
}

const char *lg_metadata_generic_param(const struct lg_metadata *md, uint32_t rid)
{
    return string_column(md, LG_MD_GENERIC_PARAM, rid, 3);
}

const char *lg_metadata_assembly_ref(const struct lg_metadata *md, uint32_t rid)
{
    return string_column(md, LG_MD_ASSEMBLY_REF, rid, 6);
}

const char *lg_metadata_assembly_name(const struct lg_metadata *md)
{
    return string_column(md, LG_MD_ASSEMBLY, 1, 7);
}

const char *lg_metadata_module_name(const struct lg_metadata *md)
{
    return string_column(md, LG_MD_MODULE, 1, 1);
}
