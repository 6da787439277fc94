// ECMA-335 metadata: what an assembly says about its types, fields and methods.
//
//     root     "BSJB" … version … | stream headers: offset, size, name
//     #~       which tables there are, rows of each, then the rows (#-: uncompressed, with the pointer
//              tables FieldPtr, MethodPtr … between a list and what it lists)
//     #Strings NUL-terminated UTF-8        #Blob  length-prefixed bytes: signatures
//
// A row id (rid) counts from 1. A token is table << 24 | rid: 0x02rrrrrr TypeDef, 0x04rrrrrr Field, …
// Every byte is untrusted: tables lie within their stream once lg_metadata_init has returned, and each
// access checks its rid. Nothing is copied: names and blobs point into the bytes given.
//
// This module knows nothing of processes: the bytes come from any run of memory.
#ifndef LG_METADATA_METADATA_H
#define LG_METADATA_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linger/error.h>

enum lg_table {
    LG_MD_MODULE = 0x00,
    LG_MD_TYPE_REF = 0x01,
    LG_MD_TYPE_DEF = 0x02,
    LG_MD_FIELD_PTR = 0x03,
    LG_MD_FIELD = 0x04,
    LG_MD_METHOD_PTR = 0x05,
    LG_MD_METHOD = 0x06,
    LG_MD_MODULE_REF = 0x1a,
    LG_MD_TYPE_SPEC = 0x1b,
    LG_MD_ASSEMBLY = 0x20,
    LG_MD_ASSEMBLY_REF = 0x23,
    LG_MD_NESTED_CLASS = 0x29,
    LG_MD_GENERIC_PARAM = 0x2a,
    LG_MD_TABLES = 0x2d,
};

enum { LG_MD_COLUMNS = 9, LG_MD_NESTING = 64 };

struct lg_md_blob {
    const uint8_t *at;
    size_t len;
};

struct lg_md_table {
    const uint8_t *at;
    uint32_t rows, row_size;
    uint8_t offset[LG_MD_COLUMNS], width[LG_MD_COLUMNS]; // of each column
};

struct lg_metadata {
    struct lg_md_blob strings, blobs;
    struct lg_md_table tables[LG_MD_TABLES];
    uint32_t *outer; // [rows of TypeDef + 1] rid of the enclosing type, 0: none. Owned.
};

// `bytes` must outlive `md`. Errors (CORRUPT): no root, no tables, a table that ends past its stream.
LG_MUST_CHECK struct lg_error *lg_metadata_init(struct lg_metadata *md, const void *bytes, size_t len);
void lg_metadata_deinit(struct lg_metadata *md); // Zeroed is allowed.

// Its streams, without looking into them. A portable PDB has such a root, too.
typedef void lg_md_each_stream(void *data, const char *name, struct lg_md_blob stream);
LG_MUST_CHECK struct lg_error *lg_metadata_streams(const void *bytes, size_t len,
                                                   lg_md_each_stream *each, void *data);

uint32_t lg_metadata_rows(const struct lg_metadata *md, enum lg_table table);

// All of these return false or NULL for a rid that is out of range or a string that is not in its heap.

struct lg_md_type {
    const char *name, *name_space;      // "Dictionary`2", "System.Collections.Generic" ("" if none)
    uint32_t flags, extends;            // TypeAttributes; token
    uint32_t first_field, first_method; // Indices of lists: see lg_metadata_field_rid.
    uint32_t outer;                     // rid of the enclosing TypeDef, 0: none
};
bool lg_metadata_type(const struct lg_metadata *md, uint32_t rid, struct lg_md_type *ret);

// The type and those it is nested in, innermost first; how many. A chain that is longer than
// LG_MD_NESTING, or bites its tail, is cut.
size_t lg_metadata_nesting(const struct lg_metadata *md, uint32_t rid, uint32_t chain[LG_MD_NESTING]);

struct lg_md_type_ref {
    const char *name, *name_space;
    uint32_t scope; // token: Module, ModuleRef, AssemblyRef, or the enclosing TypeRef; 0 none
};
bool lg_metadata_type_ref(const struct lg_metadata *md, uint32_t rid, struct lg_md_type_ref *ret);

// A TypeDef by name that is nested in `outer` (0: in none); 0 if there is none. Linear.
uint32_t lg_metadata_find_type(const struct lg_metadata *md, uint32_t outer, const char *name_space,
                               const char *name);

struct lg_md_member { // Field or method.
    const char *name;
    uint32_t flags;
    struct lg_md_blob signature;
};
bool lg_metadata_field(const struct lg_metadata *md, uint32_t rid, struct lg_md_member *ret);
bool lg_metadata_method(const struct lg_metadata *md, uint32_t rid, struct lg_md_member *ret);

// Fields of a TypeDef: list indices [first, first + count). An index is a rid, except where a FieldPtr
// (MethodPtr) table stands between: lg_metadata_field_rid tells; 0 if out of range.
uint32_t lg_metadata_field_count(const struct lg_metadata *md, uint32_t type_rid, uint32_t *first_ret);
uint32_t lg_metadata_field_rid(const struct lg_metadata *md, uint32_t index);
uint32_t lg_metadata_method_count(const struct lg_metadata *md, uint32_t type_rid, uint32_t *first_ret);
uint32_t lg_metadata_method_rid(const struct lg_metadata *md, uint32_t index);

bool lg_metadata_type_spec(const struct lg_metadata *md, uint32_t rid, struct lg_md_blob *signature_ret);
const char *lg_metadata_generic_param(const struct lg_metadata *md, uint32_t rid);
const char *lg_metadata_assembly_ref(const struct lg_metadata *md, uint32_t rid); // simple name
const char *lg_metadata_assembly_name(const struct lg_metadata *md);              // "App"
const char *lg_metadata_module_name(const struct lg_metadata *md);                // "App.dll"

#endif
