// Tables of a snapshot, told once for both directions: a function that names the fields of a struct
// writes them into a chunk or reads them out of it.
//
//     static void segment(struct lg_table_io *io, struct lg_segment *s)
//     {
//         LG_IO(io, s->start);
//         LG_IO_MAX(io, s->generation, LG_GENERATIONS - 1);
//     }
//
// Reading is of untrusted bytes: whatever does not fit sets `failed`, gives zeros from then on, and is
// asked about once at the end (lg_table_io_end). What is read in all may take `budget` bytes.
#ifndef LG_SNAPSHOT_TABLES_H
#define LG_SNAPSHOT_TABLES_H

#include "snapshot/chunks.h"
#include "util/arena.h"

struct lg_table_io {
    bool is_writing, failed, no_memory;
    struct lg_bytes out;
    struct lg_reader in;
    struct lg_arena *arena; // of strings that are read
    uint64_t *budget;       // bytes that may still be allocated
};

uint64_t lg_io_varint(struct lg_table_io *io, uint64_t value);
void lg_io_string(struct lg_table_io *io, const char **string);
// Items of lists: a string that is there; a copy of one, owned by the list.
void lg_io_sentence(struct lg_table_io *io, const char **sentence, void *unused);
void lg_io_owned(struct lg_table_io *io, char **sentence, void *unused);
// Room in the arena for what is read; NULL with `failed`.
void *lg_io_alloc(struct lg_table_io *io, size_t size);
// Of a fixed size, with its NUL.
void lg_io_text(struct lg_table_io *io, char *text, size_t size);
// `len` bytes, of the arena once they are read; NULL with `failed`.
void lg_io_bytes(struct lg_table_io *io, const uint8_t **bytes, size_t len);
void lg_io_signed(struct lg_table_io *io, int *value);
// How many items follow, of `size` bytes each once they are read.
size_t lg_io_count(struct lg_table_io *io, size_t count, size_t size);
// The next varint of a reader; sets `failed` of what is none.
uint64_t lg_read_varint(struct lg_reader *r);

// Any unsigned integer, or an enum or bool, whose highest value is `max`.
#define LG_IO_MAX(io, field, max) \
    do { \
        uint64_t value_ = lg_io_varint(io, (uint64_t)(field)); \
        if (!(io)->is_writing) { \
            if (value_ > (uint64_t)(max)) { \
                (io)->failed = true; \
                value_ = 0; \
            } \
            (field) = (__typeof__(field))value_; \
        } \
    } while (0)
#define LG_IO(io, field) LG_IO_MAX(io, field, (__typeof__(field))~UINT64_C(0))
#define LG_IO_BOOL(io, field) LG_IO_MAX(io, field, 1)

// A vector: `item(io, &element, context)` for each.
#define LG_IO_VEC(io, vec, item, context) \
    do { \
        size_t count_ = lg_io_count(io, (vec)->len, sizeof(*(vec)->at)); \
        for (size_t i_ = 0; i_ < count_ && !(io)->failed; i_++) { \
            __typeof__(*(vec)->at) element_; \
            memset(&element_, 0, sizeof(element_)); \
            if ((io)->is_writing) \
                element_ = (vec)->at[i_]; \
            item(io, &element_, context); \
            if (!(io)->is_writing && !lg_vec_push(vec, element_)) \
                (io)->failed = (io)->no_memory = true; \
        } \
    } while (0)

// Writes or reads chunk `id` with `table(io, data)`.
typedef void lg_table_function(struct lg_table_io *io, void *data);
LG_MUST_CHECK struct lg_error *lg_table_write(struct lg_chunk_writer *writer, uint32_t id,
                                              lg_table_function *table, void *data);
LG_MUST_CHECK struct lg_error *lg_table_read(struct lg_chunk_file *file, uint32_t id,
                                             struct lg_arena *arena, uint64_t *budget,
                                             lg_table_function *table, void *data);

#endif
