#include "metadata/pe.h"

#include <string.h>

#include "util/error.h"
#include "util/reader.h"

enum { SECTION = 40, SECTIONS_MAX = 96, DIRECTORY_DEBUG = 6, DIRECTORY_COR = 14 };

// What of the headers is needed to find anything else.
struct headers {
    uint64_t optional, sections; // offsets
    uint32_t timestamp, image_size;
    unsigned section_count;
    bool plus; // PE32+: the directories lie 16 bytes further
};

static bool read_headers(const struct lg_pe_source *s, struct headers *ret)
{
    uint8_t dos[64], file[24], optional[64];
    if (!s->read(s->data, 0, dos, sizeof(dos)) || dos[0] != 'M' || dos[1] != 'Z')
        return false;
    struct lg_reader r = lg_reader(dos + 0x3c, 4);
    uint64_t pe = lg_read_u32(&r);
    if (!s->read(s->data, pe, file, sizeof(file))
        || !s->read(s->data, pe + sizeof(file), optional, sizeof(optional)))
        return false;
    r = lg_reader(file, sizeof(file));
    if (lg_read_u32(&r) != 0x4550) // "PE\0\0"
        return false;
    lg_read_u16(&r);
    ret->section_count = lg_read_u16(&r);
    ret->timestamp = lg_read_u32(&r);
    lg_read_bytes(&r, 8);
    ret->optional = pe + sizeof(file);
    ret->sections = ret->optional + lg_read_u16(&r);
    r = lg_reader(optional, sizeof(optional));
    ret->plus = lg_read_u16(&r) == 0x20b;
    lg_read_bytes(&r, 54);
    ret->image_size = lg_read_u32(&r);
    return ret->section_count <= SECTIONS_MAX;
}

static bool to_offset(const struct lg_pe_source *s, const struct headers *h, bool mapped, uint32_t rva,
                      uint64_t *ret)
{
    if (mapped) {
        *ret = rva;
        return true;
    }
    for (unsigned i = 0; i < h->section_count; i++) {
        uint8_t section[SECTION];
        if (!s->read(s->data, h->sections + (uint64_t)i * SECTION, section, sizeof(section)))
            return false;
        struct lg_reader r = lg_reader(section + 8, SECTION - 8);
        uint32_t virtual_size = lg_read_u32(&r), start = lg_read_u32(&r), raw_size = lg_read_u32(&r);
        uint32_t raw = lg_read_u32(&r), size = virtual_size > raw_size ? virtual_size : raw_size;
        if (rva >= start && rva - start < size) {
            *ret = (uint64_t)raw + (rva - start);
            return true;
        }
    }
    return false;
}

static bool read_directory(const struct lg_pe_source *s, const struct headers *h, unsigned i,
                           uint32_t *rva_ret, uint32_t *size_ret)
{
    uint8_t directory[8];
    uint64_t at = h->optional + (h->plus ? 112 : 96) + 8 * i;
    if (!s->read(s->data, at, directory, sizeof(directory)))
        return false;
    struct lg_reader r = lg_reader(directory, sizeof(directory));
    *rva_ret = lg_read_u32(&r);
    *size_ret = lg_read_u32(&r);
    return true;
}

struct lg_error *lg_pe_read(const struct lg_pe_source *s, bool mapped, struct lg_pe *ret)
{
    struct headers h;
    if (!read_headers(s, &h))
        return lg_error_new(LG_ERR_CORRUPT, "no PE image");

    uint8_t cor[16];
    uint64_t cor_at;
    uint32_t cor_rva, cor_size;
    if (!read_directory(s, &h, DIRECTORY_COR, &cor_rva, &cor_size))
        return lg_error_new(LG_ERR_CORRUPT, "PE image: directories are not there");
    if (cor_rva == 0)
        return lg_error_new(LG_ERR_UNSUPPORTED, "PE image: no managed code in it");
    if (!to_offset(s, &h, mapped, cor_rva, &cor_at) || !s->read(s->data, cor_at, cor, sizeof(cor)))
        return lg_error_new(LG_ERR_CORRUPT, "PE image: COR header is not there");

    struct lg_reader r = lg_reader(cor + 8, 8);
    uint32_t rva = lg_read_u32(&r), size = lg_read_u32(&r);
    uint64_t metadata;
    if (!to_offset(s, &h, mapped, rva, &metadata))
        return lg_error_new(LG_ERR_CORRUPT, "PE image: metadata is in no section");
    *ret = (struct lg_pe){ metadata, size, h.timestamp, h.image_size };
    return NULL;
}

bool lg_pe_offset(const struct lg_pe_source *s, bool mapped, uint32_t rva, uint64_t *ret)
{
    struct headers h;
    return mapped ? (*ret = rva, true) : read_headers(s, &h) && to_offset(s, &h, mapped, rva, ret);
}

// ---- the debug directory ----

enum { DEBUG_ENTRY = 28, DEBUG_ENTRIES_MAX = 64, DEBUG_CODEVIEW = 2, DEBUG_EMBEDDED = 17 };

struct debug_entry {
    uint32_t stamp, type, size;
    uint64_t at;
};

// Characteristics, stamp, version u16 u16, type, size, RVA, offset in the file.
static bool read_entry(const struct lg_pe_source *s, const struct headers *h, bool mapped, uint64_t at,
                       struct debug_entry *ret)
{
    uint8_t bytes[DEBUG_ENTRY];
    if (!s->read(s->data, at, bytes, sizeof(bytes)))
        return false;
    struct lg_reader r = lg_reader(bytes, sizeof(bytes));
    lg_read_u32(&r);
    ret->stamp = lg_read_u32(&r);
    lg_read_u32(&r);
    ret->type = lg_read_u32(&r);
    ret->size = lg_read_u32(&r);
    uint32_t rva = lg_read_u32(&r), offset = lg_read_u32(&r);
    ret->at = mapped ? rva : offset;
    return ret->at != 0;
}

static void read_codeview(const struct lg_pe_source *s, const struct debug_entry *entry,
                          struct lg_pe_debug *ret)
{
    enum { HEADER = 24 };
    uint8_t header[HEADER];
    if (entry->size < HEADER || !s->read(s->data, entry->at, header, HEADER)
        || memcmp(header, "RSDS", 4) != 0)
        return;
    size_t len = entry->size - HEADER;
    memcpy(ret->id, header + 4, 16);
    memcpy(ret->id + 16, &entry->stamp, 4);
    ret->has_id = true;
    if (len >= sizeof(ret->path) || !s->read(s->data, entry->at + HEADER, ret->path, len))
        ret->path[0] = '\0';
}

bool lg_pe_debug(const struct lg_pe_source *s, bool mapped, struct lg_pe_debug *ret)
{
    struct headers h;
    uint32_t rva, size;
    uint64_t at;
    *ret = (struct lg_pe_debug){ .has_id = false };
    if (!read_headers(s, &h))
        return false;
    if (!read_directory(s, &h, DIRECTORY_DEBUG, &rva, &size) || rva == 0
        || !to_offset(s, &h, mapped, rva, &at))
        return true;
    for (uint32_t i = 0; i < size / DEBUG_ENTRY && i < DEBUG_ENTRIES_MAX; i++) {
        struct debug_entry entry;
        if (!read_entry(s, &h, mapped, at + (uint64_t)i * DEBUG_ENTRY, &entry))
            continue;
        if (entry.type == DEBUG_CODEVIEW && !ret->has_id)
            read_codeview(s, &entry, ret);
        if (entry.type == DEBUG_EMBEDDED) {
            ret->embedded = entry.at;
            ret->embedded_size = entry.size;
        }
    }
    return true;
}
