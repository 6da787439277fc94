// Where the metadata lies in a PE image.
//
//     "MZ" … 0x3c: offset of "PE\0\0" | file header | optional header | section headers
//            optional header, directory 14 -> COR header, its directory 1 -> metadata
//
// An image is *mapped* (an RVA is an offset) or *flat* (as in the file: an RVA goes through the section
// that holds it).
#ifndef LG_METADATA_PE_H
#define LG_METADATA_PE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linger/error.h>

// Bytes of an image, wherever they are. Offsets count from its start.
struct lg_pe_source {
    bool (*read)(void *data, uint64_t offset, void *buf, size_t len); // all of it or nothing
    void *data;
};

struct lg_pe {
    uint64_t metadata; // offset in the image as it lies there
    uint32_t metadata_size;
    uint32_t timestamp, image_size; // tell images apart
};

LG_MUST_CHECK struct lg_error *lg_pe_read(const struct lg_pe_source *source, bool mapped,
                                          struct lg_pe *ret);

// An RVA as an offset of the image; false if no section holds it.
LG_MUST_CHECK bool lg_pe_offset(const struct lg_pe_source *source, bool mapped, uint32_t rva,
                                uint64_t *ret);

// What the image says of its PDB: the entries of its debug directory (directory 6).
//
//     type 2, "RSDS"   GUID, age, path of the PDB; with the entry's stamp it is the id of a portable one
//     type 17, "MPDB"  a portable PDB itself: u32 size, then deflated bytes
struct lg_pe_debug {
    bool has_id;
    uint8_t id[20];         // GUID, stamp
    char path[1024];        // where it was when the image was made; "" none, or longer
    uint64_t embedded;      // offset of "MPDB" in the image as it lies there
    uint32_t embedded_size; // 0: none is embedded
};
// False if there is no PE image. An image without such entries is none's fault: `ret` says so.
LG_MUST_CHECK bool lg_pe_debug(const struct lg_pe_source *source, bool mapped, struct lg_pe_debug *ret);

#endif
