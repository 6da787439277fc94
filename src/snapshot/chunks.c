#include "snapshot/chunks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "snapshot/checksum.h"

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
    char *path, *temporary; // temporary: NULL when there is none any more
    FILE *file;
    uint64_t offset;
    LG_VEC(struct lg_chunk) chunks;
};

static struct lg_error *put(struct lg_chunk_writer *writer, const void *bytes, size_t len)
{
    if (len > 0 && fwrite(bytes, 1, len, writer->file) != len)
        return lg_error_os(errno, "writing '%s'", writer->path);
    writer->offset += len;
    return NULL;
}

static struct lg_error *pad(struct lg_chunk_writer *writer)
{
    static const uint8_t zeros[8];
    return put(writer, zeros, -writer->offset & 7);
}

struct lg_error *lg_chunk_writer_new(const char *path, struct lg_chunk_writer **ret)
{
    _cleanup_(lg_chunk_writer_freep) struct lg_chunk_writer *writer = calloc(1, sizeof(*writer));
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) // As root, /dev/null would be gone.
        return lg_error_new(LG_ERR_USAGE, "'%s' is no regular file, so none can take its place", path);
    char *real = realpath(path, NULL); // A link stays one.
    if (!writer || !(writer->path = real ? real : strdup(path)))
        return &lg_no_memory;
    _cleanup_free_ char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", writer->path) < 0) {
        temporary = NULL;
        return &lg_no_memory;
    }
    int fd = mkostemp(temporary, O_CLOEXEC); // Mode 0600: what is in a heap is nobody else's business.
    if (fd < 0)
        return lg_error_os(errno, "create '%s'", path);
    writer->temporary = lg_steal(temporary);
    writer->file = fdopen(fd, "w");
    if (!writer->file) {
        close(fd);
        return lg_error_os(errno, "create '%s'", path);
    }
    static const uint8_t header[LG_CHUNKS_HEADER];
    struct lg_error *err = put(writer, header, sizeof(header));
    if (!err)
        *ret = lg_steal(writer);
    return err;
}

void lg_chunk_writer_free(struct lg_chunk_writer *writer)
{
    if (!writer)
        return;
    if (writer->file)
        fclose(writer->file);
    if (writer->temporary)
        unlink(writer->temporary);
    lg_vec_free(&writer->chunks);
    free(writer->temporary);
    free(writer->path);
    free(writer);
}

struct lg_error *lg_chunk_writer_begin(struct lg_chunk_writer *writer, uint32_t id)
{
    struct lg_error *err = pad(writer);
    struct lg_chunk chunk = { .id = id, .offset = writer->offset };
    if (!err && !lg_vec_push(&writer->chunks, chunk))
        err = &lg_no_memory;
    return err;
}

struct lg_error *lg_chunk_writer_append(struct lg_chunk_writer *writer, const void *bytes, size_t len)
{
    writer->chunks.at[writer->chunks.len - 1].size += len;
    return put(writer, bytes, len);
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
    return put(writer, table, len);
}

static struct lg_error *put_header(struct lg_chunk_writer *writer, uint64_t table, uint64_t checksum)
{
    uint8_t header[LG_CHUNKS_HEADER] = LG_CHUNKS_MAGIC;
    put_u32(header + 8, LG_CHUNKS_VERSION);
    put_u32(header + 12, (uint32_t)writer->chunks.len);
    put_u64(header + 16, writer->offset);
    put_u64(header + 24, table);
    put_u64(header + 32, checksum);
    put_u64(header + 40, lg_checksum(header, 40));
    if (fseek(writer->file, 0, SEEK_SET) != 0 || fwrite(header, sizeof(header), 1, writer->file) != 1)
        return lg_error_os(errno, "writing '%s'", writer->path);
    return NULL;
}

struct lg_error *lg_chunk_writer_finish(struct lg_chunk_writer *writer, uint64_t *size_ret)
{
    uint64_t checksum = 0;
    struct lg_error *err = pad(writer);
    uint64_t table = writer->offset;
    if (!err)
        err = put_table(writer, &checksum);
    if (!err)
        err = put_header(writer, table, checksum);
    if (err)
        return err;
    FILE *file = lg_steal(writer->file);
    if (fclose(file) != 0 || rename(writer->temporary, writer->path) != 0)
        return lg_error_os(errno, "writing '%s'", writer->path);
    free(lg_steal(writer->temporary));
    *size_ret = writer->offset;
    return NULL;
}

// ---- reading ----

static struct lg_error *damaged(const struct lg_chunk_file *file, const char *what)
{
    return lg_error_new(LG_ERR_CORRUPT, "snapshot '%s' is damaged: %s", file->path, what);
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
    size_t len = (size_t)count * LG_CHUNKS_ENTRY;
    if (count > LG_CHUNKS_MAX || table < LG_CHUNKS_HEADER || table > file->size
        || len > file->size - table)
        return damaged(file, "its table of chunks lies outside the file");
    struct lg_reader r = lg_reader(file->bytes + table, len);
    if (lg_checksum(r.start, len) != checksum)
        return damaged(file, "its table of chunks does not have the checksum that it should");
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
    struct lg_reader r = lg_reader(file->bytes, file->size);
    const void *magic = lg_read_bytes(&r, 8);
    uint32_t version = lg_read_u32(&r), count = lg_read_u32(&r);
    uint64_t size = lg_read_u64(&r), table = lg_read_u64(&r), of_table = lg_read_u64(&r);
    uint64_t checksum = lg_read_u64(&r);
    if (r.failed)
        return damaged(file, "it is cut short within its header");
    if (memcmp(magic, LG_CHUNKS_MAGIC, 8) != 0)
        return lg_error_new(LG_ERR_UNSUPPORTED, "'%s' is no snapshot of linger", file->path);
    if (lg_checksum(file->bytes, 40) != checksum)
        return damaged(file, "its header does not have the checksum that it should");
    if (version != LG_CHUNKS_VERSION)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "snapshot '%s' is of format version %u; this linger reads version %d",
                            file->path, version, LG_CHUNKS_VERSION);
    if (size != file->size)
        return lg_error_new(LG_ERR_CORRUPT, "snapshot '%s' is damaged: it has %zu of %llu bytes",
                            file->path, file->size, (unsigned long long)size);
    return read_table(file, count, table, of_table);
}

struct lg_error *lg_chunk_file_of(const char *name, const void *bytes, size_t size,
                                  struct lg_chunk_file **ret)
{
    _cleanup_(lg_chunk_file_freep) struct lg_chunk_file *file = calloc(1, sizeof(*file));
    if (!file || !(file->path = strdup(name)))
        return &lg_no_memory;
    file->bytes = bytes;
    file->size = size;
    struct lg_error *err = read_header(file);
    if (!err)
        *ret = lg_steal(file);
    return err;
}

static struct lg_error *map(const char *path, const uint8_t **bytes_ret, size_t *size_ret)
{
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return lg_error_os(errno, "open '%s'", path);
    if (st.st_size < LG_CHUNKS_HEADER)
        return lg_error_new(LG_ERR_CORRUPT,
                            "snapshot '%s' is damaged: it is cut short within its header", path);
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return lg_error_os(errno, "map '%s'", path);
    *bytes_ret = bytes;
    *size_ret = (size_t)st.st_size;
    return NULL;
}

struct lg_error *lg_chunk_file_open(const char *path, struct lg_chunk_file **ret)
{
    const uint8_t *bytes;
    size_t size;
    struct lg_error *err = map(path, &bytes, &size);
    if (err)
        return err;
    err = lg_chunk_file_of(path, bytes, size, ret);
    if (err)
        munmap((void *)bytes, size);
    else
        (*ret)->is_mapped = true;
    return err;
}

void lg_chunk_file_free(struct lg_chunk_file *file)
{
    if (!file)
        return;
    if (file->is_mapped)
        munmap((void *)file->bytes, file->size);
    lg_vec_free(&file->chunks);
    free(file->path);
    free(file);
}

bool lg_chunk_file_is_one(const char *path)
{
    char magic[8];
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
           && read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic)
           && memcmp(magic, LG_CHUNKS_MAGIC, sizeof(magic)) == 0;
}

static struct lg_chunk *find(const struct lg_chunk_file *file, uint32_t id)
{
    for (size_t i = 0; i < file->chunks.len; i++) {
        if (file->chunks.at[i].id == id)
            return &file->chunks.at[i];
    }
    return NULL;
}

bool lg_chunk_file_has(const struct lg_chunk_file *file, uint32_t id)
{
    return find(file, id) != NULL;
}

struct lg_error *lg_chunk_read(struct lg_chunk_file *file, uint32_t id, struct lg_reader *ret)
{
    char name[5];
    struct lg_chunk *chunk = find(file, id);
    if (!chunk)
        return lg_error_new(LG_ERR_CORRUPT, "snapshot '%s' has no chunk %s", file->path,
                            lg_chunk_name(id, name));
    const uint8_t *bytes = file->bytes + chunk->offset;
    bool in_parts = chunk->checksum == 0;
    if (!in_parts && !chunk->is_checked && lg_checksum(bytes, chunk->size) != chunk->checksum)
        return lg_error_new(LG_ERR_CORRUPT,
                            "snapshot '%s' is damaged: chunk %s, %llu bytes from %llu on, does not have "
                            "the checksum that it should",
                            file->path, lg_chunk_name(id, name), (unsigned long long)chunk->size,
                            (unsigned long long)chunk->offset);
    chunk->is_checked = true;
    *ret = lg_reader(bytes, chunk->size);
    return NULL;
}
