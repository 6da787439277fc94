// A portable PDB: which line of which file an IL offset of a method comes from.
//
//     root    as that of ECMA-335 metadata (metadata.h), with two streams of its own
//     #Pdb    id: GUID, stamp | entry point | tables of the assembly, and the rows of each
//     #~      Document 0x30: name, …     MethodDebugInformation 0x31: document, sequence points;
//             its row n is of method n
//
//     points  IL offset  0    7    12       of one method, each as the difference to the one before
//             line      30   31  hidden     hidden: made up by the compiler, belongs to what is before
//
// Format: dotnet/runtime docs/design/specs/PortablePdb-Metadata.md. Every byte is untrusted: names and
// points are looked at when they are asked for, and what does not make sense is not known.
#ifndef LG_PDB_PDB_H
#define LG_PDB_PDB_H

#include "metadata/pe.h"
#include "util/cleanup.h"

enum { LG_PDB_ID = 20, LG_PDB_MAX = 256 << 20 };

struct lg_pdb;

// Takes `bytes`, which malloc() gave; also when it fails.
LG_MUST_CHECK struct lg_error *lg_pdb_new(uint8_t *bytes, size_t len, struct lg_pdb **ret);
// The one that is embedded in an image, as `debug` says.
LG_MUST_CHECK struct lg_error *lg_pdb_embedded(const struct lg_pe_source *source,
                                               const struct lg_pe_debug *debug, struct lg_pdb **ret);
void lg_pdb_free(struct lg_pdb *pdb);
LG_DEFINE_FREEP(lg_pdb)

// That of the assembly it belongs to (lg_pe_debug.id).
const uint8_t *lg_pdb_id(const struct lg_pdb *pdb);
uint32_t lg_pdb_methods(const struct lg_pdb *pdb);

enum { LG_PDB_HIDDEN = 0xfeefee };
struct lg_pdb_point {
    uint32_t il, line, column, document; // line: LG_PDB_HIDDEN
};
// All points of a method (a token, or its rid), in order. False: damaged, from some point on.
typedef void lg_pdb_each(void *data, const struct lg_pdb_point *point);
bool lg_pdb_points(const struct lg_pdb *pdb, uint32_t method, lg_pdb_each *each, void *data);
// The last one that is not hidden at or before `il`; false: there is none.
bool lg_pdb_find(const struct lg_pdb *pdb, uint32_t method, uint32_t il, struct lg_pdb_point *ret);
// Its path, as the compiler was told it; NULL: it makes no sense. Cut at `size`.
const char *lg_pdb_file(const struct lg_pdb *pdb, uint32_t document, char *buf, size_t size);

#endif
