// The root, the streams and the layout of the tables.
#include <stdlib.h>
#include <string.h>

#include "metadata/metadata.h"
#include "metadata/metadata_priv.h"
#include "util/error.h"
#include "util/reader.h"

// A column is a fixed width, an index into a heap, an index into a table (TABLE | table), or a coded
// index (CODED | kind): the table in the low bits, the rid above (ECMA-335 II.24.2.6).
enum {
    U2 = 1,
    U4,
    STRING,
    GUID,
    BLOB,
    CODED = 0x40,
    TABLE = 0x80,
};
enum {
    TYPE_DEF_OR_REF,
    HAS_CONSTANT,
    HAS_CUSTOM_ATTRIBUTE,
    HAS_FIELD_MARSHAL,
    HAS_DECL_SECURITY,
    MEMBER_REF_PARENT,
    HAS_SEMANTICS,
    METHOD_DEF_OR_REF,
    MEMBER_FORWARDED,
    IMPLEMENTATION,
    CUSTOM_ATTRIBUTE_TYPE,
    RESOLUTION_SCOPE,
    TYPE_OR_METHOD_DEF,
};

// NONE is a tag that stands for no table.
enum { NONE = 0xff };
static const struct coded {
    uint8_t bits, count, tables[22];
} coded[] = {
    [TYPE_DEF_OR_REF] = { 2, 3, { 0x02, 0x01, 0x1b } },
    [HAS_CONSTANT] = { 2, 3, { 0x04, 0x08, 0x17 } },
    [HAS_CUSTOM_ATTRIBUTE] = { 5,
                               22,
                               { 0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x00, 0x0e, 0x17, 0x14,
                                 0x11, 0x1a, 0x1b, 0x20, 0x23, 0x26, 0x27, 0x28, 0x2a, 0x2c, 0x2b } },
    [HAS_FIELD_MARSHAL] = { 1, 2, { 0x04, 0x08 } },
    [HAS_DECL_SECURITY] = { 2, 3, { 0x02, 0x06, 0x20 } },
    [MEMBER_REF_PARENT] = { 3, 5, { 0x02, 0x01, 0x1a, 0x06, 0x1b } },
    [HAS_SEMANTICS] = { 1, 2, { 0x14, 0x17 } },
    [METHOD_DEF_OR_REF] = { 1, 2, { 0x06, 0x0a } },
    [MEMBER_FORWARDED] = { 1, 2, { 0x04, 0x06 } },
    [IMPLEMENTATION] = { 2, 3, { 0x26, 0x23, 0x27 } },
    [CUSTOM_ATTRIBUTE_TYPE] = { 3, 5, { NONE, NONE, 0x06, 0x0a, NONE } },
    [RESOLUTION_SCOPE] = { 2, 4, { 0x00, 0x1a, 0x23, 0x01 } },
    [TYPE_OR_METHOD_DEF] = { 1, 2, { 0x02, 0x06 } },
};

// ECMA-335 II.22, in the order of the columns; 0 ends a row.
static const uint8_t schema[LG_MD_TABLES][LG_MD_COLUMNS + 1] = {
    [0x00] = { U2, STRING, GUID, GUID, GUID },
    [0x01] = { CODED | RESOLUTION_SCOPE, STRING, STRING },
    [0x02] = { U4, STRING, STRING, CODED | TYPE_DEF_OR_REF, TABLE | 0x04, TABLE | 0x06 },
    [0x03] = { TABLE | 0x04 },
    [0x04] = { U2, STRING, BLOB },
    [0x05] = { TABLE | 0x06 },
    [0x06] = { U4, U2, U2, STRING, BLOB, TABLE | 0x08 },
    [0x07] = { TABLE | 0x08 },
    [0x08] = { U2, U2, STRING },
    [0x09] = { TABLE | 0x02, CODED | TYPE_DEF_OR_REF },
    [0x0a] = { CODED | MEMBER_REF_PARENT, STRING, BLOB },
    [0x0b] = { U2, CODED | HAS_CONSTANT, BLOB },
    [0x0c] = { CODED | HAS_CUSTOM_ATTRIBUTE, CODED | CUSTOM_ATTRIBUTE_TYPE, BLOB },
    [0x0d] = { CODED | HAS_FIELD_MARSHAL, BLOB },
    [0x0e] = { U2, CODED | HAS_DECL_SECURITY, BLOB },
    [0x0f] = { U2, U4, TABLE | 0x02 },
    [0x10] = { U4, TABLE | 0x04 },
    [0x11] = { BLOB },
    [0x12] = { TABLE | 0x02, TABLE | 0x14 },
    [0x13] = { TABLE | 0x14 },
    [0x14] = { U2, STRING, CODED | TYPE_DEF_OR_REF },
    [0x15] = { TABLE | 0x02, TABLE | 0x17 },
    [0x16] = { TABLE | 0x17 },
    [0x17] = { U2, STRING, BLOB },
    [0x18] = { U2, TABLE | 0x06, CODED | HAS_SEMANTICS },
    [0x19] = { TABLE | 0x02, CODED | METHOD_DEF_OR_REF, CODED | METHOD_DEF_OR_REF },
    [0x1a] = { STRING },
    [0x1b] = { BLOB },
    [0x1c] = { U2, CODED | MEMBER_FORWARDED, STRING, TABLE | 0x1a },
    [0x1d] = { U4, TABLE | 0x04 },
    [0x1e] = { U4, U4 },
    [0x1f] = { U4 },
    [0x20] = { U4, U2, U2, U2, U2, U4, BLOB, STRING, STRING },
    [0x21] = { U4 },
    [0x22] = { U4, U4, U4 },
    [0x23] = { U2, U2, U2, U2, U4, BLOB, STRING, STRING, BLOB },
    [0x24] = { U4, TABLE | 0x23 },
    [0x25] = { U4, U4, U4, TABLE | 0x23 },
    [0x26] = { U4, STRING, BLOB },
    [0x27] = { U4, U4, STRING, STRING, CODED | IMPLEMENTATION },
    [0x28] = { U4, U4, STRING, CODED | IMPLEMENTATION },
    [0x29] = { TABLE | 0x02, TABLE | 0x02 },
    [0x2a] = { U2, U2, CODED | TYPE_OR_METHOD_DEF, STRING },
    [0x2b] = { CODED | METHOD_DEF_OR_REF, BLOB },
    [0x2c] = { TABLE | 0x2a, CODED | TYPE_DEF_OR_REF },
};

static uint8_t coded_width(const struct lg_metadata *md, const struct coded *c)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < c->count; i++) {
        uint32_t rows = c->tables[i] == NONE ? 0 : md->tables[c->tables[i]].rows;
        most = rows > most ? rows : most;
    }
    return most >> (16 - c->bits) ? 4 : 2;
}

static uint8_t column_width(const struct lg_metadata *md, uint8_t column, uint8_t heap_sizes)
{
    if (column & TABLE)
        return md->tables[column & ~TABLE].rows > 0xffff ? 4 : 2;
    if (column & CODED)
        return coded_width(md, &coded[column & ~CODED]);
    switch (column) {
    case U2:
        return 2;
    case U4:
        return 4;
    case STRING:
        return heap_sizes & 1 ? 4 : 2;
    case GUID:
        return heap_sizes & 2 ? 4 : 2;
    default:
        return heap_sizes & 4 ? 4 : 2;
    }
}

static void lay_out(struct lg_metadata *md, unsigned table, uint8_t heap_sizes)
{
    struct lg_md_table *t = &md->tables[table];
    for (unsigned i = 0; i < LG_MD_COLUMNS && schema[table][i]; i++) {
        t->offset[i] = (uint8_t)t->row_size;
        t->width[i] = column_width(md, schema[table][i], heap_sizes);
        t->row_size += t->width[i];
    }
}

// reserved u32 | major, minor, heap sizes, reserved u8 | valid u64 | sorted u64 | rows u32 … | tables
static struct lg_error *read_tables(struct lg_metadata *md, struct lg_md_blob stream)
{
    struct lg_reader r = lg_reader(stream.at, stream.len);
    lg_read_bytes(&r, 6);
    uint8_t heap_sizes = lg_read_u8(&r);
    lg_read_u8(&r);
    uint64_t valid = lg_read_u64(&r);
    lg_read_u64(&r);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t rows = valid >> i & 1 ? lg_read_u32(&r) : 0;
        if (rows > 0xffffff)
            return lg_error_new(LG_ERR_CORRUPT, "metadata: table 0x%x has %u rows", i, rows);
        if (i < LG_MD_TABLES)
            md->tables[i].rows = rows;
    }
    if (heap_sizes & 0x40) // An uncompressed stream may say something more.
        lg_read_u32(&r);

    for (unsigned i = 0; i < LG_MD_TABLES; i++) {
        struct lg_md_table *t = &md->tables[i];
        lay_out(md, i, heap_sizes);
        t->at = lg_read_bytes(&r, (size_t)t->rows * t->row_size);
        if (!t->at)
            return lg_error_new(LG_ERR_CORRUPT, "metadata: table 0x%x ends past its stream", i);
    }
    return NULL;
}

static bool take_stream(const struct lg_reader *r, uint32_t offset, uint32_t size,
                        struct lg_md_blob *ret)
{
    size_t len = (size_t)(r->end - r->start);
    if (offset > len || size > len - offset)
        return false;
    *ret = (struct lg_md_blob){ r->start + offset, size };
    return true;
}

// Names of streams are padded with NULs to four bytes.
static const char *stream_name(struct lg_reader *r)
{
    const char *name = lg_read_string(r);
    while (!r->failed && lg_reader_offset(r) % 4 != 0)
        lg_read_u8(r);
    return r->failed ? NULL : name;
}

struct lg_error *lg_metadata_streams(const void *bytes, size_t len, lg_md_each_stream *each, void *data)
{
    struct lg_reader r = lg_reader(bytes, len);
    if (lg_read_u32(&r) != 0x424a5342) // "BSJB"
        return lg_error_new(LG_ERR_CORRUPT, "metadata: does not start with BSJB");
    lg_read_bytes(&r, 8);
    lg_read_bytes(&r, lg_read_u32(&r));
    lg_read_u16(&r);
    uint16_t count = lg_read_u16(&r);
    for (unsigned i = 0; i < count; i++) {
        uint32_t offset = lg_read_u32(&r), size = lg_read_u32(&r);
        const char *name = stream_name(&r);
        struct lg_md_blob stream;
        if (!name || !take_stream(&r, offset, size, &stream))
            return lg_error_new(LG_ERR_CORRUPT, "metadata: stream %u ends past the end", i);
        each(data, name, stream);
    }
    return NULL;
}

struct streams {
    struct lg_metadata *md;
    struct lg_md_blob tables;
};

static void keep_stream(void *data, const char *name, struct lg_md_blob stream)
{
    struct streams *streams = data;
    if (strcmp(name, "#Strings") == 0)
        streams->md->strings = stream;
    else if (strcmp(name, "#Blob") == 0)
        streams->md->blobs = stream;
    else if (strcmp(name, "#~") == 0 || strcmp(name, "#-") == 0)
        streams->tables = stream;
}

static struct lg_error *index_nesting(struct lg_metadata *md)
{
    uint32_t types = md->tables[LG_MD_TYPE_DEF].rows;
    md->outer = calloc((size_t)types + 1, sizeof(*md->outer));
    if (!md->outer)
        return &lg_no_memory;
    for (uint32_t rid = 1; rid <= md->tables[LG_MD_NESTED_CLASS].rows; rid++) {
        uint32_t inner = lg_md_column(md, LG_MD_NESTED_CLASS, rid, 0);
        uint32_t outer = lg_md_column(md, LG_MD_NESTED_CLASS, rid, 1);
        if (inner <= types && outer <= types)
            md->outer[inner] = outer;
    }
    return NULL;
}

static struct lg_error *read_root(struct lg_metadata *md, const void *bytes, size_t len)
{
    struct streams streams = { .md = md };
    struct lg_error *err = lg_metadata_streams(bytes, len, keep_stream, &streams);
    if (!err && !streams.tables.at)
        err = lg_error_new(LG_ERR_CORRUPT, "metadata: no stream of tables");
    if (!err)
        err = read_tables(md, streams.tables);
    return err ? err : index_nesting(md);
}

struct lg_error *lg_metadata_init(struct lg_metadata *md, const void *bytes, size_t len)
{
    *md = (struct lg_metadata){ 0 };
    struct lg_error *err = read_root(md, bytes, len);
    if (err)
        lg_metadata_deinit(md);
    return err;
}

void lg_metadata_deinit(struct lg_metadata *md)
{
    free(md->outer);
    *md = (struct lg_metadata){ 0 };
}

uint32_t lg_metadata_rows(const struct lg_metadata *md, enum lg_table table)
{
    return md->tables[table].rows;
}

uint32_t lg_md_column(const struct lg_metadata *md, unsigned table, uint32_t rid, unsigned column)
{
    const struct lg_md_table *t = &md->tables[table];
    if (rid == 0 || rid > t->rows)
        return 0;
    uint32_t value = 0;
    memcpy(&value, t->at + (size_t)(rid - 1) * t->row_size + t->offset[column], t->width[column]);
    return value;
}

uint32_t lg_md_coded_token(const struct lg_metadata *md, unsigned table, uint32_t rid, unsigned column)
{
    const struct coded *c = &coded[schema[table][column] & ~CODED];
    uint32_t value = lg_md_column(md, table, rid, column);
    uint32_t tag = value & ((1u << c->bits) - 1);
    if (tag >= c->count || c->tables[tag] == NONE || value >> c->bits == 0)
        return 0;
    return (uint32_t)c->tables[tag] << 24 | (value >> c->bits & 0xffffff);
}
