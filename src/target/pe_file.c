#include "target/pe_file.h"

#include <string.h>
#include <unistd.h>

#include "util/reader.h"

enum { SECTIONS_MAX = 96, HEADERS_MAX = 4096, PAGE = 4096, SECTION_WRITABLE = 1u << 31 };

// Any linker puts all headers into the first page.
static bool parse(const uint8_t *bytes, size_t len, struct lg_pe_identity *ret, struct lg_pe_file *file)
{
    struct lg_reader r = lg_reader(bytes, len);
    if (lg_read_u16(&r) != 0x5a4d) // "MZ"
        return false;
    lg_read_bytes(&r, 0x3c - 2);
    uint32_t header = lg_read_u32(&r);
    r = lg_reader(bytes, len);
    lg_read_bytes(&r, header);
    if (lg_read_u32(&r) != 0x4550) // "PE"
        return false;
    lg_read_u16(&r); // Machine
    uint16_t section_count = lg_read_u16(&r);
    ret->time_date_stamp = lg_read_u32(&r);
    lg_read_bytes(&r, 8); // symbol table
    uint16_t optional_size = lg_read_u16(&r);
    lg_read_u16(&r); // Characteristics

    struct lg_reader optional = r;
    lg_read_bytes(&optional, 56);
    ret->size_of_image = lg_read_u32(&optional);
    uint32_t headers_size = lg_read_u32(&optional);
    if (optional.failed || !file)
        return !optional.failed;

    file->headers_size = headers_size;
    lg_read_bytes(&r, optional_size);
    for (unsigned i = 0; i < section_count && i < SECTIONS_MAX; i++) {
        struct lg_pe_section section = { 0 };
        lg_read_bytes(&r, 16); // Name, VirtualSize, VirtualAddress
        section.size = lg_read_u32(&r);
        section.offset = lg_read_u32(&r);
        lg_read_bytes(&r, 12); // relocations, line numbers
        section.is_writable = lg_read_u32(&r) & SECTION_WRITABLE;
        if (r.failed || !lg_vec_push(&file->sections, section))
            return false;
    }
    return true;
}

bool lg_pe_identify(struct lg_target *target, uint64_t base, struct lg_pe_identity *ret)
{
    uint8_t bytes[HEADERS_MAX];
    return parse(bytes, lg_target_read(target, base, bytes, sizeof(bytes)), ret, NULL);
}

bool lg_pe_same(const struct lg_pe_identity *a, const struct lg_pe_identity *b)
{
    return a->time_date_stamp == b->time_date_stamp && a->size_of_image == b->size_of_image;
}

bool lg_pe_file_open(int fd, uint64_t size, struct lg_pe_file *ret)
{
    uint8_t bytes[HEADERS_MAX];
    ssize_t n = pread(fd, bytes, sizeof(bytes), 0);
    *ret = (struct lg_pe_file){ 0 };
    if (n > 0 && parse(bytes, (size_t)n, &ret->identity, ret))
        return true;
    lg_pe_file_close(ret);
    return false;
}

static uint64_t pages(uint64_t size)
{
    return (size + PAGE - 1) / PAGE * PAGE;
}

static bool shows(const struct lg_pe_section *section, uint64_t offset, uint64_t size)
{
    uint64_t start = section->offset / PAGE * PAGE;
    return section->size > 0 && offset == start
           && size == pages(section->offset + section->size) - start;
}

bool lg_pe_has_mapping(const struct lg_pe_file *file, uint64_t file_size, uint64_t offset, uint64_t size)
{
    if (offset == 0 && (size == pages(file_size) || size == pages(file->headers_size)))
        return true;
    for (size_t i = 0; i < file->sections.len; i++) {
        if (shows(&file->sections.at[i], offset, size))
            return true;
    }
    return false;
}

bool lg_pe_is_writable(const struct lg_pe_file *file, uint64_t offset, uint64_t size)
{
    for (size_t i = 0; i < file->sections.len; i++) {
        if (file->sections.at[i].is_writable && shows(&file->sections.at[i], offset, size))
            return true;
    }
    return false;
}

void lg_pe_file_close(struct lg_pe_file *file)
{
    lg_vec_free(&file->sections);
}
