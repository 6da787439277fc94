#include "snapshot/tables.h"

uint64_t lg_read_varint(struct lg_reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = lg_read_u8(r);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return r->failed ? 0 : value;
    }
    r->failed = true;
    return 0;
}

uint64_t lg_io_varint(struct lg_table_io *io, uint64_t value)
{
    if (io->is_writing) {
        lg_bytes_varint(&io->out, value);
        return value;
    }
    value = io->failed ? 0 : lg_read_varint(&io->in);
    io->failed |= io->in.failed;
    return value;
}

void lg_io_signed(struct lg_table_io *io, int *value)
{
    uint32_t bits = (uint32_t)*value << 1 ^ (*value < 0 ? UINT32_MAX : 0);
    LG_IO(io, bits);
    *value = (int)(bits >> 1 ^ (bits & 1 ? UINT32_MAX : 0));
}

static bool afford(struct lg_table_io *io, uint64_t bytes)
{
    if (io->failed || bytes > *io->budget) {
        io->failed = true;
        return false;
    }
    *io->budget -= bytes;
    return true;
}

void lg_io_string(struct lg_table_io *io, const char **string)
{
    size_t len = io->is_writing && *string ? strlen(*string) : 0;
    uint64_t count = lg_io_varint(io, *string ? len + 1 : 0);
    if (io->is_writing) {
        lg_bytes_add(&io->out, *string, len);
        return;
    }
    *string = NULL;
    if (count == 0 || count - 1 > lg_reader_left(&io->in) || !afford(io, count)) {
        io->failed |= count != 0;
        return;
    }
    const char *bytes = lg_read_bytes(&io->in, (size_t)count - 1);
    io->failed |= memchr(bytes, 0, (size_t)count - 1) != NULL;
    *string = lg_arena_copy(io->arena, bytes, (size_t)count - 1);
    if (!*string)
        io->failed = io->no_memory = true;
}

void lg_io_sentence(struct lg_table_io *io, const char **sentence, void *unused)
{
    (void)unused;
    lg_io_string(io, sentence);
    io->failed |= !*sentence;
}

void lg_io_owned(struct lg_table_io *io, char **sentence, void *unused)
{
    (void)unused;
    const char *text = *sentence;
    lg_io_string(io, &text);
    if (io->is_writing)
        return;
    *sentence = strdup(text ? text : "");
    if (!*sentence)
        io->failed = io->no_memory = true;
}

void *lg_io_alloc(struct lg_table_io *io, size_t size)
{
    void *room = afford(io, size) ? lg_arena_alloc(io->arena, size) : NULL;
    if (!room && !io->failed)
        io->failed = io->no_memory = true;
    return room;
}

void lg_io_text(struct lg_table_io *io, char *text, size_t size)
{
    uint64_t len = lg_io_varint(io, io->is_writing ? strnlen(text, size - 1) : 0);
    if (io->is_writing) {
        lg_bytes_add(&io->out, text, len);
        return;
    }
    const char *bytes = len < size ? lg_read_bytes(&io->in, len) : NULL;
    io->failed |= !bytes;
    memset(text, 0, size);
    if (bytes)
        memcpy(text, bytes, len);
}

void lg_io_bytes(struct lg_table_io *io, const uint8_t **bytes, size_t len)
{
    if (io->is_writing) {
        lg_bytes_add(&io->out, *bytes, len);
        return;
    }
    const void *from =
        len <= lg_reader_left(&io->in) && afford(io, len) ? lg_read_bytes(&io->in, len) : NULL;
    io->failed |= !from;
    *bytes = from ? (const uint8_t *)lg_arena_copy(io->arena, from, len) : NULL;
    if (from && !*bytes)
        io->failed = io->no_memory = true;
}

size_t lg_io_count(struct lg_table_io *io, size_t count, size_t size)
{
    uint64_t told = lg_io_varint(io, count);
    if (io->is_writing)
        return count;
    // An item takes a byte at least; vectors grow by half.
    bool fits = told <= lg_reader_left(&io->in) && afford(io, told * size);
    io->failed |= !fits;
    return fits ? (size_t)told : 0;
}

struct lg_error *lg_table_write(struct lg_chunk_writer *writer, uint32_t id, lg_table_function *table,
                                void *data)
{
    struct lg_table_io io = { .is_writing = true };
    char name[5];
    table(&io, data);
    struct lg_error *err = io.failed
                               ? lg_error_new(LG_ERR_CORRUPT, "what is to be in chunk %s makes no sense",
                                              lg_chunk_name(id, name))
                               : lg_chunk_writer_add(writer, id, &io.out);
    lg_bytes_deinit(&io.out);
    return err;
}

struct lg_error *lg_table_read(struct lg_chunk_file *file, uint32_t id, struct lg_arena *arena,
                               uint64_t *budget, lg_table_function *table, void *data)
{
    char name[5];
    struct lg_table_io io = { .arena = arena, .budget = budget };
    struct lg_error *err = lg_chunk_read(file, id, &io.in);
    if (err)
        return err;
    table(&io, data);
    bool is_whole = !io.failed && lg_reader_left(&io.in) == 0;
    lg_chunk_drop(file, id);
    if (io.no_memory)
        return &lg_no_memory;
    if (is_whole)
        return NULL;
    return lg_error_new(LG_ERR_CORRUPT, "snapshot '%s': chunk %s makes no sense at its byte %zu",
                        file->path, lg_chunk_name(id, name), lg_reader_offset(&io.in));
}
