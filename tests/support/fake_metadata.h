// Builds ECMA-335 metadata row by row, and a PE image around it.
//
//     struct fake_metadata md = {0};
//     uint32_t name = fake_md_string(&md, "Node");
//     fake_md_row(&md, 0x02, "422222", 0, name, 0, 0, 1, 1);     // widths of the columns, then the
//     values size_t len = fake_md_finish(&md, bytes, sizeof(bytes));
//
// Heaps stay below 64 KiB, tables below the limits of two-byte indices. Rows of one table are added in
// order; tables in any order.
#ifndef LG_TESTS_SUPPORT_FAKE_METADATA_H
#define LG_TESTS_SUPPORT_FAKE_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_MD_HEAP = 4096, FAKE_MD_TABLES = 64 };

struct fake_metadata {
    uint8_t strings[FAKE_MD_HEAP], blobs[FAKE_MD_HEAP];
    size_t strings_len, blobs_len;
    struct {
        uint8_t bytes[1024];
        size_t len;
        uint32_t rows;
    } tables[FAKE_MD_TABLES];
    bool uncompressed;  // name the stream #-
    const uint8_t *pdb; // a stream #Pdb: 20 bytes of id, no entry point, no tables; NULL: none
};

uint32_t fake_md_string(struct fake_metadata *md, const char *s);
uint32_t fake_md_blob(struct fake_metadata *md, const void *bytes, uint8_t len); // below 128 bytes
void fake_md_row(struct fake_metadata *md, unsigned table, const char *widths, ...);
// The metadata from its root; its length.
size_t fake_md_finish(const struct fake_metadata *md, uint8_t *ret, size_t size);

// A PE32+ image as it lies in a file, with one section: RVA 0x2000 is at offset 0x400. Its length.
enum { FAKE_PE_SECTION = 0x400, FAKE_PE_RVA = 0x2000, FAKE_PE_METADATA = 72 };
size_t fake_pe(const uint8_t *metadata, size_t len, uint8_t *ret, size_t size);

#endif
