// A PE file (an assembly) on disk, as far as it takes to know it again.
//
//     DOS header: "MZ" … at 0x3c the offset of the PE header
//     "PE\0\0", COFF header (20 bytes), optional header, section headers (40 bytes each)
//
// ECMA-335 II.25 has the layout.
#ifndef LG_TARGET_PE_FILE_H
#define LG_TARGET_PE_FILE_H

#include "target/target.h"

struct lg_pe_identity {
    uint32_t time_date_stamp,
        size_of_image; // The stamp is a hash of the contents in reproducible builds.
};

struct lg_pe_section {
    uint32_t offset, size; // In the file.
    bool is_writable;
};

struct lg_pe_file {
    struct lg_pe_identity identity;
    uint32_t headers_size;
    LG_VEC(struct lg_pe_section) sections;
};

// Of a header in memory. False if there is none.
bool lg_pe_identify(struct lg_target *target, uint64_t base, struct lg_pe_identity *ret);
bool lg_pe_same(const struct lg_pe_identity *a, const struct lg_pe_identity *b);

bool lg_pe_file_open(int fd, uint64_t size, struct lg_pe_file *ret);
// Whether the runtime would map these bytes of the file in one piece: all of it, or one section.
bool lg_pe_has_mapping(const struct lg_pe_file *file, uint64_t file_size, uint64_t offset,
                       uint64_t size);
// Whether such a piece shows a section that the process may write to.
bool lg_pe_is_writable(const struct lg_pe_file *file, uint64_t offset, uint64_t size);
void lg_pe_file_close(struct lg_pe_file *file);

#endif
