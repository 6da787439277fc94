#include "metadata/pe.h"

#include "util/error.h"
#include "util/reader.h"

enum { SECTION = 40, SECTIONS_MAX = 96, DIRECTORY_COR = 14 };

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

struct lg_error *lg_pe_read(const struct lg_pe_source *s, bool mapped, struct lg_pe *ret)
{
    struct headers h;
    if (!read_headers(s, &h))
        return lg_error_new(LG_ERR_CORRUPT, "no PE image");

    uint8_t directory[8], cor[16];
    uint64_t at = h.optional + (h.plus ? 112 : 96) + 8 * DIRECTORY_COR, cor_at;
    if (!s->read(s->data, at, directory, sizeof(directory)))
        return lg_error_new(LG_ERR_CORRUPT, "PE image: directories are not there");
    struct lg_reader r = lg_reader(directory, sizeof(directory));
    uint32_t cor_rva = lg_read_u32(&r);
    if (cor_rva == 0)
        return lg_error_new(LG_ERR_UNSUPPORTED, "PE image: no managed code in it");
    if (!to_offset(s, &h, mapped, cor_rva, &cor_at) || !s->read(s->data, cor_at, cor, sizeof(cor)))
        return lg_error_new(LG_ERR_CORRUPT, "PE image: COR header is not there");

    r = lg_reader(cor + 8, 8);
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
