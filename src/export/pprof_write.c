#include "export/pprof_write.h"

#include <string.h>
#include <zlib.h>

#include "util/map.h"
#include "util/new_file.h"
#include "util/vec.h"

// Fields of the messages that are written.
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE, PROFILE_MAPPING, PROFILE_LOCATION, PROFILE_FUNCTION };
enum { PROFILE_STRING = 6, PROFILE_DURATION = 10, PROFILE_COMMENT = 13, PROFILE_DEFAULT };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE, SAMPLE_LABEL };
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_LINE = 4 };
enum { MAPPING_ID = 1, MAPPING_FILE = 5, MAPPING_HAS_FUNCTIONS = 7 };
enum { BYTES = 2 }; // a message, a text or packed numbers: behind its length

struct message {
    uint8_t *at;
    size_t len, cap;
    bool failed;
};

struct lg_pprof {
    LG_VEC(const char *) strings; // The first is empty.
    struct lg_map by_text;        // hash -> index
    struct lg_new_file *file;
    z_stream zip;
    bool is_zipping;
    struct message part, inner;
    struct lg_error *err;
};

// ---- compressing ----

static void squeeze(struct lg_pprof *p, const void *bytes, size_t len, int flush)
{
    uint8_t out[1 << 14];
    p->zip.next_in = (Bytef *)bytes;
    p->zip.avail_in = (uInt)len;
    do {
        p->zip.next_out = out;
        p->zip.avail_out = sizeof(out);
        deflate(&p->zip, flush);
        if (!p->err)
            p->err = lg_new_file_put(p->file, out, sizeof(out) - p->zip.avail_out);
    } while (p->zip.avail_out == 0);
}

// ---- protobuf ----

static void add(struct message *m, const void *bytes, size_t len)
{
    if (m->failed || !lg_vec_reserve((void **)&m->at, &m->cap, m->len + len, 1)) {
        m->failed = true;
        return;
    }
    memcpy(m->at + m->len, bytes, len);
    m->len += len;
}

static size_t varint(uint64_t value, uint8_t out[10])
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        out[len++] = (uint8_t)(value | 0x80);
    out[len++] = (uint8_t)value;
    return len;
}

static void add_varint(struct message *m, uint64_t value)
{
    uint8_t out[10];
    add(m, out, varint(value, out));
}

static void add_number(struct message *m, unsigned field, uint64_t value)
{
    add_varint(m, field << 3);
    add_varint(m, value);
}

// What is in `inner`, as a field of the message.
static void add_inner(struct lg_pprof *p, unsigned field)
{
    add_varint(&p->part, field << 3 | BYTES);
    add_varint(&p->part, p->inner.len);
    if (p->inner.len)
        add(&p->part, p->inner.at, p->inner.len);
    p->part.failed |= p->inner.failed;
    p->inner.len = 0;
}

static void add_packed(struct lg_pprof *p, unsigned field, const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_varint(&p->inner, numbers[i]);
    add_inner(p, field);
}

// A message, or a text, as a field of the profile.
static void put_part(struct lg_pprof *p, unsigned field, const void *bytes, size_t len)
{
    uint8_t head[20];
    size_t n = varint(field << 3 | BYTES, head);
    n += varint(len, head + n);
    squeeze(p, head, n, Z_NO_FLUSH);
    squeeze(p, bytes, len, Z_NO_FLUSH);
}

static void put_message(struct lg_pprof *p, unsigned field)
{
    if (p->part.failed && !p->err)
        p->err = &lg_no_memory;
    put_part(p, field, p->part.at, p->part.len);
    p->part.len = 0;
}

static void put_number(struct lg_pprof *p, unsigned field, uint64_t value)
{
    add_number(&p->part, field, value);
    squeeze(p, p->part.at, p->part.len, Z_NO_FLUSH);
    p->part.len = 0;
}

// The index of a text in the table of strings.
static uint64_t string(struct lg_pprof *p, const char *text)
{
    uint64_t hash = 0;
    uint32_t found;
    for (const char *c = text; c && *c; c++)
        hash = lg_hash64(hash ^ (uint8_t)*c);
    for (; text && lg_map_get(&p->by_text, hash, &found); hash++) {
        if (strcmp(p->strings.at[found], text) == 0)
            return found;
    }
    found = (uint32_t)p->strings.len;
    if (!text || !lg_vec_push(&p->strings, text) || !lg_map_put(&p->by_text, hash, found))
        p->part.failed = true;
    return found;
}

// ---- the profile ----

struct lg_error *lg_pprof_new(const char *path, struct lg_pprof **ret)
{
    enum { GZIP = 16 }; // Beside the bits of the window.
    _cleanup_(lg_pprof_freep) struct lg_pprof *p = calloc(1, sizeof(*p));
    if (!p)
        return &lg_no_memory;
    p->is_zipping =
        deflateInit2(&p->zip, 6, Z_DEFLATED, GZIP + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    struct lg_error *err = p->is_zipping ? lg_new_file_create(path, &p->file) : &lg_no_memory;
    if (err)
        return err;
    string(p, "");
    *ret = lg_steal(p);
    return NULL;
}

void lg_pprof_free(struct lg_pprof *p)
{
    if (!p)
        return;
    if (p->is_zipping)
        deflateEnd(&p->zip);
    lg_new_file_free(p->file);
    lg_error_free(p->err);
    free(p->part.at);
    free(p->inner.at);
    lg_vec_free(&p->strings);
    lg_map_free(&p->by_text);
    free(p);
}

void lg_pprof_value_type(struct lg_pprof *p, const char *name, const char *unit)
{
    add_number(&p->part, 1, string(p, name));
    add_number(&p->part, 2, string(p, unit));
    put_message(p, PROFILE_SAMPLE_TYPE);
}

void lg_pprof_sample(struct lg_pprof *p, const struct lg_pprof_sample *sample)
{
    add_packed(p, SAMPLE_LOCATION, sample->locations, sample->location_count);
    add_packed(p, SAMPLE_VALUE, sample->values, sample->value_count);
    for (size_t i = 0; i < sizeof(sample->labels) / sizeof(*sample->labels); i++) {
        if (!sample->labels[i].text)
            continue;
        add_number(&p->inner, 1, string(p, sample->labels[i].key));
        add_number(&p->inner, 2, string(p, sample->labels[i].text));
        add_inner(p, SAMPLE_LABEL);
    }
    put_message(p, PROFILE_SAMPLE);
}

void lg_pprof_mapping(struct lg_pprof *p, uint64_t id, const char *file)
{
    add_number(&p->part, MAPPING_ID, id);
    add_number(&p->part, MAPPING_FILE, string(p, file));
    add_number(&p->part, MAPPING_HAS_FUNCTIONS, 1); // So nobody looks for them.
    put_message(p, PROFILE_MAPPING);
}

void lg_pprof_function(struct lg_pprof *p, uint64_t id, const char *name, const char *file)
{
    uint64_t text = string(p, name);
    add_number(&p->part, 1, id);
    add_number(&p->part, 2, text);
    add_number(&p->part, 3, text);
    if (file)
        add_number(&p->part, 4, string(p, file));
    put_message(p, PROFILE_FUNCTION);
}

void lg_pprof_location(struct lg_pprof *p, uint64_t id, uint64_t mapping, uint64_t function,
                       uint64_t line)
{
    add_number(&p->part, LOCATION_ID, id);
    if (mapping)
        add_number(&p->part, LOCATION_MAPPING, mapping);
    add_number(&p->inner, 1, function);
    if (line)
        add_number(&p->inner, 2, line);
    add_inner(p, LOCATION_LINE);
    put_message(p, PROFILE_LOCATION);
}

void lg_pprof_comment(struct lg_pprof *p, const char *text)
{
    put_number(p, PROFILE_COMMENT, string(p, text));
}

void lg_pprof_duration(struct lg_pprof *p, uint64_t nanoseconds)
{
    put_number(p, PROFILE_DURATION, nanoseconds);
}

struct lg_error *lg_pprof_finish(struct lg_pprof *p, const char *name, uint64_t *size_ret)
{
    put_number(p, PROFILE_DEFAULT, string(p, name));
    for (size_t i = 0; i < p->strings.len && !p->err; i++)
        put_part(p, PROFILE_STRING, p->strings.at[i], strlen(p->strings.at[i]));
    squeeze(p, NULL, 0, Z_FINISH);
    struct lg_error *err = lg_steal(p->err);
    if (!err && p->part.failed)
        err = &lg_no_memory;
    if (!err)
        err = lg_new_file_finish(p->file);
    *size_ret = p->file->size;
    return err;
}
