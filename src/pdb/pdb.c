#include "pdb/pdb.h"

#include <stdlib.h>
#include <string.h>

#include "metadata/metadata.h"
#include "metadata/signature.h"
#include "util/error.h"

enum {
    METHOD_DEF = 0x06,
    DOCUMENT = 0x30,
    METHOD_INFO = 0x31,
    TABLES = 64,
    STRINGS_WIDE = 1,
    GUIDS_WIDE = 2,
    BLOBS_WIDE = 4
};

struct rows {
    const uint8_t *at;
    uint32_t count, size;
    uint8_t width; // of the column that ends at the second one: DOCUMENT none, METHOD_INFO its document
};
struct lg_pdb {
    uint8_t *bytes; // Owned.
    struct lg_md_blob info, tables, blobs;
    struct rows documents, methods;
    uint8_t blob_width;
};

// ---- opening ----

static void keep_stream(void *data, const char *name, struct lg_md_blob stream)
{
    struct lg_pdb *pdb = data;
    if (strcmp(name, "#Pdb") == 0)
        pdb->info = stream;
    else if (strcmp(name, "#Blob") == 0)
        pdb->blobs = stream;
    else if (strcmp(name, "#~") == 0)
        pdb->tables = stream;
}

static uint8_t width_of(bool is_wide)
{
    return is_wide ? 4 : 2;
}

// reserved u32 | major, minor, heap sizes, reserved u8 | valid u64 | sorted u64 | rows u32 … | tables.
// The two tables that are wanted come first: where the others end is nobody's business.
static struct lg_error *read_tables(struct lg_pdb *pdb)
{
    struct lg_reader r = lg_reader(pdb->tables.at, pdb->tables.len);
    uint32_t rows[TABLES];
    lg_read_bytes(&r, 6);
    uint8_t heaps = lg_read_u8(&r);
    lg_read_u8(&r);
    uint64_t valid = lg_read_u64(&r);
    lg_read_u64(&r);
    for (unsigned i = 0; i < TABLES; i++)
        rows[i] = valid >> i & 1 ? lg_read_u32(&r) : 0;
    if (valid & ((UINT64_C(1) << DOCUMENT) - 1))
        return lg_error_new(LG_ERR_UNSUPPORTED, "PDB: has tables of an assembly");
    uint8_t guid = width_of(heaps & GUIDS_WIDE);
    pdb->blob_width = width_of(heaps & BLOBS_WIDE);
    pdb->documents = (struct rows){ .count = rows[DOCUMENT], .size = 2u * (pdb->blob_width + guid) };
    uint8_t document = width_of(rows[DOCUMENT] > 0xffff);
    pdb->methods = (struct rows){ .count = rows[METHOD_INFO],
                                  .size = document + pdb->blob_width,
                                  .width = document };
    pdb->documents.at = lg_read_bytes(&r, (size_t)pdb->documents.count * pdb->documents.size);
    pdb->methods.at = lg_read_bytes(&r, (size_t)pdb->methods.count * pdb->methods.size);
    return r.failed ? lg_error_new(LG_ERR_CORRUPT, "PDB: its tables end past their stream") : NULL;
}

struct lg_error *lg_pdb_new(uint8_t *bytes, size_t len, struct lg_pdb **ret)
{
    _cleanup_(lg_pdb_freep) struct lg_pdb *pdb = calloc(1, sizeof(*pdb));
    if (!pdb) {
        free(bytes);
        return &lg_no_memory;
    }
    pdb->bytes = bytes;
    struct lg_error *err = lg_metadata_streams(bytes, len, keep_stream, pdb);
    if (err)
        return lg_error_context(err, "PDB");
    if (pdb->info.len < LG_PDB_ID || !pdb->tables.at)
        return lg_error_new(LG_ERR_UNSUPPORTED, "PDB: no portable one");
    err = read_tables(pdb);
    if (!err)
        *ret = lg_steal(pdb);
    return err;
}

void lg_pdb_free(struct lg_pdb *pdb)
{
    if (pdb)
        free(pdb->bytes);
    free(pdb);
}

const uint8_t *lg_pdb_id(const struct lg_pdb *pdb)
{
    return pdb->info.at;
}

uint32_t lg_pdb_methods(const struct lg_pdb *pdb)
{
    return pdb->methods.count;
}

// ---- cells ----

// `rid` counts from 1, and was checked.
static uint32_t cell(const struct rows *rows, uint32_t rid, unsigned offset, uint8_t width)
{
    uint32_t value = 0;
    memcpy(&value, rows->at + (size_t)(rid - 1) * rows->size + offset, width);
    return value;
}

static struct lg_reader read_blob(const struct lg_pdb *pdb, uint32_t offset)
{
    struct lg_reader r = lg_reader(pdb->blobs.at, pdb->blobs.len);
    lg_read_bytes(&r, offset);
    uint32_t len = lg_sig_number(&r);
    const void *at = lg_read_bytes(&r, len);
    struct lg_reader blob = lg_reader(at, at ? len : 0);
    blob.failed = !at;
    return blob;
}

// ---- points ----

// A number whose sign is its lowest bit, in 7, 14 or 29 bits (ECMA-335 II.23.2).
static int32_t read_signed(struct lg_reader *r)
{
    const uint8_t *at = r->pos;
    uint32_t n = lg_sig_number(r);
    size_t len = (size_t)(r->pos - at);
    uint32_t bits = len <= 1 ? 6 : len == 2 ? 13 : 28;
    return (int32_t)(n >> 1) - (n & 1 ? (int32_t)1 << bits : 0);
}

struct points {
    struct lg_reader r;
    bool has_begun, has_line;
    uint32_t line, column; // of the last one that is not hidden
    struct lg_pdb_point at;
};

static bool begin(const struct lg_pdb *pdb, uint32_t method, struct points *ret)
{
    uint32_t rid = method & 0xffffff, table = method >> 24;
    if ((table != 0 && table != METHOD_DEF) || rid == 0 || rid > pdb->methods.count)
        return false;
    uint8_t width = pdb->methods.width;
    uint32_t blob = cell(&pdb->methods, rid, width, pdb->blob_width);
    *ret = (struct points){ .at.document = cell(&pdb->methods, rid, 0, width) };
    if (blob == 0) // no points
        return true;
    ret->r = read_blob(pdb, blob);
    if (lg_reader_left(&ret->r) == 0)
        return !ret->r.failed;
    lg_sig_number(&ret->r); // signature of its locals
    if (ret->at.document == 0)
        ret->at.document = lg_sig_number(&ret->r);
    return !ret->r.failed;
}

// Another document is told by a point that is no further than the one before.
static uint32_t read_il(struct points *p)
{
    uint32_t delta = lg_sig_number(&p->r);
    while (p->has_begun && delta == 0 && !p->r.failed) {
        p->at.document = lg_sig_number(&p->r);
        delta = lg_sig_number(&p->r);
    }
    p->has_begun = true;
    return p->at.il + delta;
}

// False at the end, and where the rest makes no sense: then the reader has failed.
static bool next(struct points *p)
{
    if (p->r.failed || lg_reader_left(&p->r) == 0)
        return false;
    p->at.il = read_il(p);
    uint32_t lines = lg_sig_number(&p->r);
    int32_t columns = lines ? read_signed(&p->r) : (int32_t)lg_sig_number(&p->r);
    p->at.line = LG_PDB_HIDDEN;
    p->at.column = 0;
    if (lines || columns) {
        p->line += p->has_line ? (uint32_t)read_signed(&p->r) : lg_sig_number(&p->r);
        p->column += p->has_line ? (uint32_t)read_signed(&p->r) : lg_sig_number(&p->r);
        p->has_line = true;
        p->at.line = p->line;
        p->at.column = p->column;
    }
    return !p->r.failed;
}

bool lg_pdb_points(const struct lg_pdb *pdb, uint32_t method, lg_pdb_each *each, void *data)
{
    struct points p;
    if (!begin(pdb, method, &p))
        return false;
    while (next(&p))
        each(data, &p.at);
    return !p.r.failed;
}

bool lg_pdb_find(const struct lg_pdb *pdb, uint32_t method, uint32_t il, struct lg_pdb_point *ret)
{
    struct points p;
    bool found = false;
    if (!begin(pdb, method, &p))
        return false;
    while (next(&p) && p.at.il <= il) {
        if (p.at.line != LG_PDB_HIDDEN) {
            *ret = p.at;
            found = true;
        }
    }
    return found && !p.r.failed;
}

// ---- documents ----

// A name is a separator and its parts, each a blob: many files are of one folder.
const char *lg_pdb_file(const struct lg_pdb *pdb, uint32_t document, char *buf, size_t size)
{
    if (document == 0 || document > pdb->documents.count)
        return NULL;
    struct lg_reader r = read_blob(pdb, cell(&pdb->documents, document, 0, pdb->blob_width));
    char separator = (char)lg_read_u8(&r);
    size_t n = 0;
    for (bool first = true; !r.failed && lg_reader_left(&r) > 0; first = false) {
        struct lg_reader part = read_blob(pdb, lg_sig_number(&r));
        size_t len = lg_reader_left(&part);
        if (part.failed || n + len + 2 > size)
            return NULL;
        if (!first && separator)
            buf[n++] = separator;
        if (len)
            memcpy(buf + n, part.pos, len);
        n += len;
    }
    if (r.failed || n == 0 || memchr(buf, 0, n))
        return NULL;
    buf[n] = '\0';
    return buf;
}
