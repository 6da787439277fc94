#include "snapshot/chunks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "snapshot/checksum.h"
#include "util/new_file.h"

const char *lg_chunk_name(uint32_t id, char buf[5])
{
    for (int i = 0; i < 4; i++) {
        uint8_t c = (uint8_t)(id >> 8 * i);
        buf[i] = c >= 0x21 && c < 0x7f ? (char)c : '?';
    }
    buf[4] = 0;
    return buf;
}

void lg_bytes_add(struct lg_bytes *bytes, const void *from, size_t len)
{
    if (bytes->failed || !lg_vec_reserve((void **)&bytes->at, &bytes->cap, bytes->len + len, 1)) {
        bytes->failed = true;
        return;
    }
    if (len > 0)
        memcpy(bytes->at + bytes->len, from, len);
    bytes->len += len;
}

void lg_bytes_varint(struct lg_bytes *bytes, uint64_t value)
{
    uint8_t out[10];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        out[len++] = (uint8_t)(value | 0x80);
    out[len++] = (uint8_t)value;
    lg_bytes_add(bytes, out, len);
}

// ---- writing ----

struct lg_chunk_writer {
    struct lg_new_file *file;
    LG_VEC(struct lg_chunk) chunks;
};

static struct lg_error *pad(struct lg_chunk_writer *writer)
{
    static const uint8_t zeros[8];
    return lg_new_file_put(writer->file, zeros, -writer->file->size & 7);
}

struct lg_error *lg_chunk_writer_new(const char *path, struct lg_chunk_writer **ret)
{
    static const uint8_t header[LG_CHUNKS_HEADER];
    _cleanup_(lg_chunk_writer_freep) struct lg_chunk_writer *writer = calloc(1, sizeof(*writer));
    struct lg_error *err = writer ? lg_new_file_create(path, &writer->file) : &lg_no_memory;
    if (!err)
        err = lg_new_file_put(writer->file, header, sizeof(header));
    if (!err)
        *ret = lg_steal(writer);
    return err;
}

void lg_chunk_writer_free(struct lg_chunk_writer *writer)
{
    if (!writer)
        return;
    lg_new_file_free(writer->file);
    lg_vec_free(&writer->chunks);
    free(writer);
}

struct lg_error *lg_chunk_writer_begin(struct lg_chunk_writer *writer, uint32_t id)
{
    struct lg_error *err = pad(writer);
    struct lg_chunk chunk = { .id = id, .offset = writer->file->size };
    if (!err && !lg_vec_push(&writer->chunks, chunk))
        err = &lg_no_memory;
    return err;
}

struct lg_error *lg_chunk_writer_append(struct lg_chunk_writer *writer, const void *bytes, size_t len)
{
    writer->chunks.at[writer->chunks.len - 1].size += len;
    return lg_new_file_put(writer->file, bytes, len);
}

struct lg_error *lg_chunk_writer_add(struct lg_chunk_writer *writer, uint32_t id,
                                     const struct lg_bytes *bytes)
{
    if (bytes->failed)
        return &lg_no_memory;
    struct lg_error *err = lg_chunk_writer_begin(writer, id);
    if (!err)
        err = lg_chunk_writer_append(writer, bytes->at, bytes->len);
    if (!err)
        writer->chunks.at[writer->chunks.len - 1].checksum = lg_checksum(bytes->at, bytes->len);
    return err;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void put_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static struct lg_error *put_table(struct lg_chunk_writer *writer, uint64_t *checksum_ret)
{
    uint8_t table[LG_CHUNKS_MAX * LG_CHUNKS_ENTRY] = { 0 };
    for (size_t i = 0; i < writer->chunks.len && i < LG_CHUNKS_MAX; i++) {
        uint8_t *entry = table + i * LG_CHUNKS_ENTRY;
        put_u32(entry, writer->chunks.at[i].id);
        put_u64(entry + 8, writer->chunks.at[i].offset);
        put_u64(entry + 16, writer->chunks.at[i].size);
        put_u64(entry + 24, writer->chunks.at[i].checksum);
    }
    size_t len = writer->chunks.len * LG_CHUNKS_ENTRY;
    *checksum_ret = lg_checksum(table, len);
    return lg_new_file_put(writer->file, table, len);
}

static struct lg_error *put_header(struct lg_chunk_writer *writer, uint64_t table, uint64_t checksum)
{
    uint8_t header[LG_CHUNKS_HEADER] = LG_CHUNKS_MAGIC;
    put_u32(header + 8, LG_CHUNKS_VERSION);
    put_u32(header + 12, (uint32_t)writer->chunks.len);
    put_u64(header + 16, writer->file->size);
    put_u64(header + 24, table);
    put_u64(header + 32, checksum);
    put_u64(header + 40, lg_checksum(header, 40));
    FILE *file = writer->file->file;
    if (fseek(file, 0, SEEK_SET) != 0 || fwrite(header, sizeof(header), 1, file) != 1)
        return lg_error_os(errno, "writing '%s'", writer->file->path);
    return NULL;
}

struct lg_error *lg_chunk_writer_finish(struct lg_chunk_writer *writer, uint64_t *size_ret)
{
    uint64_t checksum = 0;
    struct lg_error *err = pad(writer);
    uint64_t table = writer->file->size;
    if (!err)
        err = put_table(writer, &checksum);
    if (!err)
        err = put_header(writer, table, checksum);
    if (!err)
        err = lg_new_file_finish(writer->file);
    *size_ret = writer->file->size;
    return err;
}

// ---- reading ----

static struct lg_error *damaged(const struct lg_chunk_file *file, const char *what)
{
    return lg_error_new(LG_ERR_CORRUPT, "snapshot '%s' is damaged: %s", file->path, what);
}

// Bytes are fetched, not mapped: a file that is cut while it is open, or a disk that fails, is then less
// to read and no SIGBUS.
static bool fetch(const struct lg_chunk_file *file, uint64_t offset, void *buf, size_t len)
{
    if (offset > file->size || len > file->size - offset)
        return false;
    if (file->bytes) {
        memcpy(buf, file->bytes + offset, len);
        return true;
    }
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(file->fd, (uint8_t *)buf + done, len - done, (off_t)(offset + done));
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static int by_offset(const void *a, const void *b)
{
    const struct lg_chunk *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static struct lg_error *check_places(struct lg_chunk_file *file, uint64_t table)
{
    uint64_t end = LG_CHUNKS_HEADER;
    if (file->chunks.len > 1)
        qsort(file->chunks.at, file->chunks.len, sizeof(*file->chunks.at), by_offset);
    for (size_t i = 0; i < file->chunks.len; i++) {
        const struct lg_chunk *chunk = &file->chunks.at[i];
        if (chunk->offset % 8 != 0 || chunk->offset < end || chunk->offset > table
            || chunk->size > table - chunk->offset)
            return damaged(file, "a chunk lies outside the file, or in another");
        end = chunk->offset + chunk->size;
        for (size_t k = 0; k < i; k++) {
            if (file->chunks.at[k].id == chunk->id)
                return damaged(file, "a chunk is there twice");
        }
    }
    return NULL;
}

static struct lg_error *read_table(struct lg_chunk_file *file, uint32_t count, uint64_t table,
                                   uint64_t checksum)
{
    uint8_t bytes[LG_CHUNKS_MAX * LG_CHUNKS_ENTRY];
    size_t len = (size_t)count * LG_CHUNKS_ENTRY;
    if (count > LG_CHUNKS_MAX || table < LG_CHUNKS_HEADER || !fetch(file, table, bytes, len))
        return damaged(file, "its table of chunks lies outside the file");
    if (lg_checksum(bytes, len) != checksum)
        return damaged(file, "its table of chunks does not have the checksum that it should");
    struct lg_reader r = lg_reader(bytes, len);
    for (uint32_t i = 0; i < count; i++) {
        struct lg_chunk chunk = { .id = lg_read_u32(&r) };
        lg_read_u32(&r);
        chunk.offset = lg_read_u64(&r);
        chunk.size = lg_read_u64(&r);
        chunk.checksum = lg_read_u64(&r);
        if (!lg_vec_push(&file->chunks, chunk))
            return &lg_no_memory;
    }
    return check_places(file, table);
}

static struct lg_error *read_header(struct lg_chunk_file *file)
{
    uint8_t bytes[LG_CHUNKS_HEADER];
    if (!fetch(file, 0, bytes, sizeof(bytes)))
        return damaged(file, "it is cut short within its header");
    struct lg_reader r = lg_reader(bytes, sizeof(bytes));
    const void *magic = lg_read_bytes(&r, 8);
    uint32_t version = lg_read_u32(&r), count = lg_read_u32(&r);
    uint64_t size = lg_read_u64(&r), table = lg_read_u64(&r), of_table = lg_read_u64(&r);
    uint64_t checksum = lg_read_u64(&r);
    if (memcmp(magic, LG_CHUNKS_MAGIC, 8) != 0)
        return lg_error_new(LG_ERR_UNSUPPORTED, "'%s' is no snapshot of linger", file->path);
    if (lg_checksum(bytes, 40) != checksum)
        return damaged(file, "its header does not have the checksum that it should");
    if (version != LG_CHUNKS_VERSION)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "snapshot '%s' is of format version %u; this linger reads version %d",
                            file->path, version, LG_CHUNKS_VERSION);
    if (size != file->size)
        return lg_error_new(LG_ERR_CORRUPT, "snapshot '%s' is damaged: it has %llu of %llu bytes",
                            file->path, (unsigned long long)file->size, (unsigned long long)size);
    return read_table(file, count, table, of_table);
}

// Takes `fd`; -1: `bytes` are the file.
static struct lg_error *open_file(const char *name, int fd, const void *bytes, uint64_t size,
                                  struct lg_chunk_file **ret)
{
    _cleanup_(lg_chunk_file_freep) struct lg_chunk_file *file = calloc(1, sizeof(*file));
    if (!file) {
        lg_closep(&fd);
        return &lg_no_memory;
    }
    file->fd = fd;
    file->bytes = bytes;
    file->size = size;
    file->path = strdup(name);
    struct lg_error *err = file->path ? read_header(file) : &lg_no_memory;
    if (!err)
        *ret = lg_steal(file);
    return err;
}

struct lg_error *lg_chunk_file_of(const char *name, const void *bytes, size_t size,
                                  struct lg_chunk_file **ret)
{
    return open_file(name, -1, bytes, size, ret);
}

struct lg_error *lg_chunk_file_open(const char *path, struct lg_chunk_file **ret)
{
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return lg_error_os(errno, "open '%s'", path);
    return open_file(path, lg_steal_fd(&fd), NULL, (uint64_t)st.st_size, ret);
}

void lg_chunk_file_free(struct lg_chunk_file *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->chunks.len; i++)
        free(file->chunks.at[i].kept);
    lg_closep(&file->fd);
    lg_vec_free(&file->chunks);
    free(file->path);
    free(file);
}

bool lg_file_begins(const char *path, const void *magic, size_t len)
{
    char bytes[32];
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && len <= sizeof(bytes)
           && read(fd, bytes, len) == (ssize_t)len && memcmp(bytes, magic, len) == 0;
}

static struct lg_error *find(const struct lg_chunk_file *file, uint32_t id, struct lg_chunk **ret)
{
    char name[5];
    for (size_t i = 0; i < file->chunks.len; i++) {
        *ret = &file->chunks.at[i];
        if ((*ret)->id == id)
            return NULL;
    }
    return lg_error_new(LG_ERR_CORRUPT, "snapshot '%s' has no chunk %s", file->path,
                        lg_chunk_name(id, name));
}

static struct lg_error *bad_chunk(const struct lg_chunk_file *file, const struct lg_chunk *chunk,
                                  const char *what)
{
    char name[5];
    return lg_error_new(LG_ERR_CORRUPT,
                        "snapshot '%s' is damaged: chunk %s, %llu bytes from %llu on, %s", file->path,
                        lg_chunk_name(chunk->id, name), (unsigned long long)chunk->size,
                        (unsigned long long)chunk->offset, what);
}

struct lg_error *lg_chunk_read(struct lg_chunk_file *file, uint32_t id, struct lg_reader *ret)
{
    struct lg_chunk *chunk = NULL;
    struct lg_error *err = find(file, id, &chunk);
    if (err)
        return err;
    if (!file->bytes && !chunk->kept) {
        chunk->kept = malloc(chunk->size ? chunk->size : 1);
        if (!chunk->kept)
            return &lg_no_memory;
        if (!fetch(file, chunk->offset, chunk->kept, chunk->size)) {
            free(lg_steal(chunk->kept));
            return bad_chunk(file, chunk, "cannot be read whole");
        }
    }
    const uint8_t *bytes = file->bytes ? file->bytes + chunk->offset : chunk->kept;
    if (lg_checksum(bytes, chunk->size) != chunk->checksum)
        return bad_chunk(file, chunk, "does not have the checksum that it should");
    *ret = lg_reader(bytes, chunk->size);
    return NULL;
}

void lg_chunk_drop(struct lg_chunk_file *file, uint32_t id)
{
    for (size_t i = 0; i < file->chunks.len; i++) {
        if (file->chunks.at[i].id == id)
            free(lg_steal(file->chunks.at[i].kept));
    }
}

struct lg_error *lg_chunk_place(const struct lg_chunk_file *file, uint32_t id, struct lg_chunk_part *ret)
{
    struct lg_chunk *chunk = NULL;
    struct lg_error *err = find(file, id, &chunk);
    if (!err)
        *ret = (struct lg_chunk_part){ file, chunk->offset, chunk->size };
    return err;
}

bool lg_chunk_part_read(const struct lg_chunk_part *part, uint64_t offset, void *buf, size_t len)
{
    return offset <= part->size && len <= part->size - offset
           && fetch(part->file, part->offset + offset, buf, len);
}
