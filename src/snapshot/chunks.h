// A file of chunks, each with its checksum: what a snapshot lies in (docs/format-snapshot.md, File).
//
//     header | chunk | chunk | … | table of chunks
//
// Writing goes to a temporary file beside the final one, which takes its name when it is whole. Of a
// file that is read a chunk is fetched and checked when it is asked for; one that is in parts, part by
// part.
#ifndef LG_SNAPSHOT_CHUNKS_H
#define LG_SNAPSHOT_CHUNKS_H

#include <stdbool.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/reader.h"
#include "util/vec.h"

#define LG_CHUNK_ID(a, b, c, d) \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

enum {
    LG_CHUNKS_VERSION = 2,
    LG_CHUNKS_HEADER = 48,
    LG_CHUNKS_ENTRY = 32,
    LG_CHUNKS_MAX = 256,
};
#define LG_CHUNKS_MAGIC "\x89LGSNAP\n"

// Bytes that grow. Zeroed is empty; running out of memory is remembered.
struct lg_bytes {
    uint8_t *at;
    size_t len, cap;
    bool failed;
};
void lg_bytes_add(struct lg_bytes *bytes, const void *from, size_t len);
void lg_bytes_varint(struct lg_bytes *bytes, uint64_t value);
static inline void lg_bytes_deinit(struct lg_bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct lg_bytes){ 0 };
}

// ---- writing ----

struct lg_chunk_writer;
LG_MUST_CHECK struct lg_error *lg_chunk_writer_new(const char *path, struct lg_chunk_writer **ret);
// A chunk in pieces; its checksum is 0, because its parts have their own.
LG_MUST_CHECK struct lg_error *lg_chunk_writer_begin(struct lg_chunk_writer *writer, uint32_t id);
LG_MUST_CHECK struct lg_error *lg_chunk_writer_append(struct lg_chunk_writer *writer, const void *bytes,
                                                      size_t len);
// A whole chunk; ends one that was begun.
LG_MUST_CHECK struct lg_error *lg_chunk_writer_add(struct lg_chunk_writer *writer, uint32_t id,
                                                   const struct lg_bytes *bytes);
// Gives the file its name. `*size_ret`: how big it is.
LG_MUST_CHECK struct lg_error *lg_chunk_writer_finish(struct lg_chunk_writer *writer,
                                                      uint64_t *size_ret);
void lg_chunk_writer_free(struct lg_chunk_writer *writer); // NULL is allowed; removes what is unfinished
LG_DEFINE_FREEP(lg_chunk_writer)

// ---- reading ----

struct lg_chunk {
    uint32_t id;
    uint64_t offset, size, checksum;
    uint8_t *kept; // What was read of a file, or NULL.
};
struct lg_chunk_file {
    char *path;           // for errors
    int fd;               // -1: none
    const uint8_t *bytes; // in its place, borrowed
    uint64_t size;
    LG_VEC(struct lg_chunk) chunks;
};
// Does a file begin so?
bool lg_file_begins(const char *path, const void *magic, size_t len);
LG_MUST_CHECK struct lg_error *lg_chunk_file_open(const char *path, struct lg_chunk_file **ret);
// The same of bytes in memory, which must outlive it; `name` is for errors.
LG_MUST_CHECK struct lg_error *lg_chunk_file_of(const char *name, const void *bytes, size_t size,
                                                struct lg_chunk_file **ret);
void lg_chunk_file_free(struct lg_chunk_file *file); // NULL is allowed
LG_DEFINE_FREEP(lg_chunk_file)
// The bytes of a chunk, until it is dropped. Errors: there is none, it is damaged.
LG_MUST_CHECK struct lg_error *lg_chunk_read(struct lg_chunk_file *file, uint32_t id,
                                             struct lg_reader *ret);
void lg_chunk_drop(struct lg_chunk_file *file, uint32_t id);

// A chunk whose parts have their own checksums. Thread-safe.
struct lg_chunk_part {
    const struct lg_chunk_file *file;
    uint64_t offset, size;
};
LG_MUST_CHECK struct lg_error *lg_chunk_place(const struct lg_chunk_file *file, uint32_t id,
                                              struct lg_chunk_part *ret);
// False if it cannot be read.
bool lg_chunk_part_read(const struct lg_chunk_part *part, uint64_t offset, void *buf, size_t len);
// "HEAP"
const char *lg_chunk_name(uint32_t id, char buf[5]);

#endif
