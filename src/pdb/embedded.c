// "MPDB" | size u32 | deflated bytes, as the compiler puts them into an assembly.
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "pdb/pdb.h"
#include "util/error.h"
#include "util/reader.h"

// Deflate makes at most 1032 bytes of one: what claims to be more does not cost its memory.
enum { HEADER = 8, RATIO_MAX = 1032 };

static bool inflate_all(const uint8_t *in, uint32_t in_size, uint8_t *out, uint32_t size)
{
    z_stream z = { .next_in = (uint8_t *)in, .avail_in = in_size, .next_out = out, .avail_out = size };
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) // without zlib's own header
        return false;
    int end = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return end == Z_STREAM_END && z.avail_out == 0;
}

struct lg_error *lg_pdb_embedded(const struct lg_pe_source *s, const struct lg_pe_debug *debug,
                                 struct lg_pdb **ret)
{
    if (debug->embedded_size < HEADER || debug->embedded_size > LG_PDB_MAX)
        return lg_error_new(LG_ERR_CORRUPT, "embedded PDB: is %u bytes long", debug->embedded_size);
    uint8_t last; // What is not there costs no memory, however long it claims to be.
    if (!s->read(s->data, debug->embedded + debug->embedded_size - 1, &last, 1))
        return lg_error_new(LG_ERR_CORRUPT, "embedded PDB: is not all there");
    _cleanup_free_ uint8_t *in = malloc(debug->embedded_size);
    if (!in)
        return &lg_no_memory;
    if (!s->read(s->data, debug->embedded, in, debug->embedded_size))
        return lg_error_new(LG_ERR_CORRUPT, "embedded PDB: is not all there");
    struct lg_reader r = lg_reader(in, debug->embedded_size);
    const void *magic = lg_read_bytes(&r, 4);
    uint32_t size = lg_read_u32(&r), packed = (uint32_t)lg_reader_left(&r);
    if (memcmp(magic, "MPDB", 4) != 0 || size > LG_PDB_MAX || size / RATIO_MAX > packed)
        return lg_error_new(LG_ERR_CORRUPT, "embedded PDB: its header makes no sense");
    _cleanup_free_ uint8_t *out = malloc(size + (size_t)1);
    if (!out)
        return &lg_no_memory;
    if (!inflate_all(r.pos, packed, out, size))
        return lg_error_new(LG_ERR_CORRUPT, "embedded PDB: does not unpack to what it says");
    return lg_pdb_new(lg_steal(out), size, ret);
}
