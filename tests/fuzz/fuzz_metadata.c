// Any bytes, as metadata or as an image with metadata in it, are refused, or every name and blob that
// comes of them lies within.
#include "input.h"

#include <stdlib.h>
#include <string.h>

#include "metadata/metadata.h"
#include "metadata/pe.h"
#include "metadata/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool promise)
{
    if (!promise)
        abort();
}

static void check_name(const struct input *input, const char *name)
{
    const uint8_t *at = (const uint8_t *)name;
    check(!name || (at >= input->data && at + strlen(name) < input->data + input->size));
}

static void check_blob(const struct input *input, struct lg_md_blob blob)
{
    check(blob.at >= input->data && blob.len <= (size_t)(input->data + input->size - blob.at));
    struct lg_reader r = lg_reader(blob.at, blob.len);
    while (!r.failed && lg_reader_left(&r) > 0) {
        lg_sig_element(&r);
        lg_sig_token(&r);
    }
}

static void check_row(const struct input *input, const struct lg_metadata *md, uint32_t rid)
{
    struct lg_md_type type;
    struct lg_md_type_ref ref;
    struct lg_md_member member;
    struct lg_md_blob blob;
    uint32_t chain[LG_MD_NESTING], first;
    if (lg_metadata_type(md, rid, &type))
        check_name(input, type.name_space);
    check_name(input, type.name);
    if (lg_metadata_type_ref(md, rid, &ref))
        check_name(input, ref.name);
    if (lg_metadata_field(md, rid, &member) || lg_metadata_method(md, rid, &member))
        check_blob(input, member.signature);
    check_name(input, member.name);
    if (lg_metadata_type_spec(md, rid, &blob))
        check_blob(input, blob);
    check(lg_metadata_nesting(md, rid, chain) <= LG_MD_NESTING);
    check_name(input, lg_metadata_generic_param(md, rid));
    check_name(input, lg_metadata_assembly_ref(md, rid));
    uint32_t count = lg_metadata_field_count(md, rid, &first);
    check(lg_metadata_field_rid(md, first + count / 2) <= lg_metadata_rows(md, LG_MD_FIELD));
    count = lg_metadata_method_count(md, rid, &first);
    check(lg_metadata_method_rid(md, first + count / 2) <= lg_metadata_rows(md, LG_MD_METHOD));
}

static void read_metadata(const uint8_t *data, size_t size)
{
    struct lg_metadata md;
    struct input input = { data, size };
    struct lg_error *err = lg_metadata_init(&md, data, size);
    for (uint32_t rid = 0; !err && rid < 300; rid++)
        check_row(&input, &md, rid);
    lg_error_free(err);
    lg_metadata_deinit(&md);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { data, size };
    struct lg_pe_source source = { read_input, &input };
    read_metadata(data, size);
    for (int mapped = 0; mapped < 2; mapped++) {
        struct lg_pe pe;
        struct lg_error *err = lg_pe_read(&source, mapped, &pe);
        if (!err && pe.metadata < size && pe.metadata_size <= size - pe.metadata)
            read_metadata(data + pe.metadata, pe.metadata_size);
        lg_error_free(err);
    }
    return 0;
}
