#include "support/fake_metadata.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static size_t add(uint8_t *heap, size_t *len, const void *bytes, size_t n)
{
    size_t at = *len ? *len : 1; // Offset 0 is the empty string, the empty blob.
    if (n > FAKE_MD_HEAP - at)
        abort();
    memcpy(heap + at, bytes, n);
    *len = at + n;
    return at;
}

uint32_t fake_md_string(struct fake_metadata *md, const char *s)
{
    return *s ? (uint32_t)add(md->strings, &md->strings_len, s, strlen(s) + 1) : 0;
}

uint32_t fake_md_blob(struct fake_metadata *md, const void *bytes, uint8_t len)
{
    uint8_t blob[128] = { len };
    memcpy(blob + 1, bytes, len & 127);
    return (uint32_t)add(md->blobs, &md->blobs_len, blob, len + 1u);
}

void fake_md_row(struct fake_metadata *md, unsigned table, const char *widths, ...)
{
    va_list values;
    va_start(values, widths);
    for (const char *w = widths; *w; w++) {
        uint32_t value = va_arg(values, uint32_t);
        size_t n = (size_t)(*w - '0');
        if (md->tables[table].len + n > sizeof(md->tables[table].bytes))
            abort();
        memcpy(md->tables[table].bytes + md->tables[table].len, &value, n);
        md->tables[table].len += n;
    }
    va_end(values);
    md->tables[table].rows++;
}

struct out {
    uint8_t *at;
    size_t len, size;
};

static void put(struct out *out, const void *bytes, size_t n)
{
    if (n > out->size - out->len)
        abort();
    memcpy(out->at + out->len, bytes, n);
    out->len += n;
}

static void put_number(struct out *out, uint64_t value, size_t n)
{
    put(out, &value, n);
}

static void align(struct out *out)
{
    while (out->len % 4)
        put_number(out, 0, 1);
}

static void put_tables(struct out *out, const struct fake_metadata *md)
{
    uint64_t valid = 0;
    for (unsigned i = 0; i < FAKE_MD_TABLES; i++)
        valid |= (uint64_t)(md->tables[i].rows > 0) << i;
    put_number(out, 0, 4);
    put_number(out, 2, 2);
    put_number(out, 0x0100, 2); // heap sizes 0, reserved 1
    put_number(out, valid, 8);
    put_number(out, 0, 8);
    for (unsigned i = 0; i < FAKE_MD_TABLES; i++) {
        if (md->tables[i].rows)
            put_number(out, md->tables[i].rows, 4);
    }
    for (unsigned i = 0; i < FAKE_MD_TABLES; i++)
        put(out, md->tables[i].bytes, md->tables[i].len);
    align(out);
}

static void put_stream(struct out *out, size_t offset, size_t size, const char *name)
{
    put_number(out, offset, 4);
    put_number(out, size, 4);
    put(out, name, strlen(name) + 1);
    align(out);
}

size_t fake_md_finish(const struct fake_metadata *md, uint8_t *ret, size_t size)
{
    enum { PDB = 32, PDB_HEADER = 16 };
    // Root, and headers of #~, #Strings, #Blob.
    const size_t root = 32 + 12 + 20 + 16 + (md->pdb ? PDB_HEADER : 0);
    static uint8_t bytes[1 << 16];
    struct out tables = { bytes, 0, sizeof(bytes) }, out = { ret, 0, size };
    put_tables(&tables, md);
    size_t strings = root + tables.len, blobs = strings + ((md->strings_len + 4) & ~(size_t)3);
    size_t blobs_size = (md->blobs_len + 4) & ~(size_t)3;

    put(&out, "BSJB\1\0\1\0\0\0\0\0", 12);
    put_number(&out, 12, 4);
    put(&out, "v4.0.30319\0\0", 12);
    put_number(&out, 0, 2);
    put_number(&out, md->pdb ? 4 : 3, 2);
    put_stream(&out, root, tables.len, md->uncompressed ? "#-" : "#~");
    put_stream(&out, strings, blobs - strings, "#Strings");
    put_stream(&out, blobs, blobs_size, "#Blob");
    if (md->pdb)
        put_stream(&out, blobs + blobs_size, PDB, "#Pdb");
    if (out.len != root)
        abort();
    put(&out, bytes, tables.len);
    put(&out, md->strings, blobs - strings);
    put(&out, md->blobs, blobs_size);
    if (md->pdb) {
        put(&out, md->pdb, 20);
        put_number(&out, 0, 4);
        put_number(&out, 0, 8);
    }
    return out.len;
}

size_t fake_pe(const uint8_t *metadata, size_t len, uint8_t *ret, size_t size)
{
    enum { PE = 0x80, OPTIONAL = PE + 24, SECTIONS = OPTIONAL + 240 };
    const size_t total = FAKE_PE_SECTION + FAKE_PE_METADATA + len;
    if (total > size)
        abort();
    memset(ret, 0, total);
    struct out out = { ret, 0, size };
    put(&out, "MZ", 2);
    out.len = 0x3c;
    put_number(&out, PE, 4);
    out.len = PE;
    put(&out, "PE\0\0\x64\x86\1\0", 8);
    put_number(&out, 0x5eed, 4); // TimeDateStamp
    out.len = PE + 20;
    put_number(&out, 240, 2);
    out.len = OPTIONAL;
    put_number(&out, 0x20b, 2);
    out.len = OPTIONAL + 56;
    put_number(&out, 0x4000, 4); // SizeOfImage
    out.len = OPTIONAL + 112 + 8 * 14;
    put_number(&out, FAKE_PE_RVA, 4);
    put_number(&out, FAKE_PE_METADATA, 4);
    out.len = SECTIONS;
    put(&out, ".text\0\0\0", 8);
    put_number(&out, FAKE_PE_METADATA + len, 4);
    put_number(&out, FAKE_PE_RVA, 4);
    put_number(&out, FAKE_PE_METADATA + len, 4);
    put_number(&out, FAKE_PE_SECTION, 4);
    out.len = FAKE_PE_SECTION;
    put_number(&out, FAKE_PE_METADATA, 8); // COR header: size, version
    put_number(&out, FAKE_PE_RVA + FAKE_PE_METADATA, 4);
    put_number(&out, len, 4);
    out.len = FAKE_PE_SECTION + FAKE_PE_METADATA;
    put(&out, metadata, len);
    return out.len;
}
