// A heap profile for pprof (github.com/google/pprof proto/profile.proto), gzip-compressed: a sample for
// each dominator path, with the objects at its end and their own size, so that what a viewer sums up
// over a path is what it retains.
#include <zlib.h>

#include "export/paths.h"
#include "util/new_file.h"

// Fields of the messages that are written.
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE, PROFILE_LOCATION = 4, PROFILE_FUNCTION, PROFILE_STRING };
enum { PROFILE_COMMENT = 13, PROFILE_DEFAULT = 14 };

struct message {
    uint8_t *at;
    size_t len, cap;
    bool failed;
};

struct writing {
    const struct lg_export_source *source;
    struct lg_arena arena;
    struct paths paths;
    uint32_t *id;                 // [label_count] of location and function; 0: not used
    LG_VEC(uint32_t) labels;      // by id - 1: in the order of first use
    LG_VEC(const char *) strings; // The first is empty.
    struct lg_new_file *file;
    z_stream zip;
    struct message part;
    struct lg_error *err;
};

// ---- compressing ----

static void squeeze(struct writing *w, const void *bytes, size_t len, int flush)
{
    uint8_t out[1 << 14];
    w->zip.next_in = (Bytef *)bytes;
    w->zip.avail_in = (uInt)len;
    do {
        w->zip.next_out = out;
        w->zip.avail_out = sizeof(out);
        deflate(&w->zip, flush);
        if (!w->err)
            w->err = lg_new_file_put(w->file, out, sizeof(out) - w->zip.avail_out);
    } while (w->zip.avail_out == 0);
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

// A message, or a text, as a field of the profile.
static void put_part(struct writing *w, unsigned field, const void *bytes, size_t len)
{
    uint8_t head[20];
    size_t n = varint(field << 3 | 2, head);
    n += varint(len, head + n);
    squeeze(w, head, n, Z_NO_FLUSH);
    squeeze(w, bytes, len, Z_NO_FLUSH);
}

static void put_message(struct writing *w, unsigned field)
{
    if (w->part.failed && !w->err)
        w->err = &lg_no_memory;
    put_part(w, field, w->part.at, w->part.len);
    w->part.len = 0;
}

static void put_number(struct writing *w, unsigned field, uint64_t value)
{
    add_number(&w->part, field, value);
    squeeze(w, w->part.at, w->part.len, Z_NO_FLUSH);
    w->part.len = 0;
}

// The index of a text in the table of strings.
static uint64_t string(struct writing *w, const char *text)
{
    if (!text || !lg_vec_push(&w->strings, text))
        w->part.failed = true;
    return w->strings.len - 1;
}

// ---- the profile ----

static void put_value_types(struct writing *w)
{
    static const char *const names[][2] = { { "inuse_objects", "count" }, { "inuse_space", "bytes" } };
    for (size_t i = 0; i < 2; i++) {
        add_number(&w->part, 1, string(w, names[i][0]));
        add_number(&w->part, 2, string(w, names[i][1]));
        put_message(w, PROFILE_SAMPLE_TYPE);
    }
}

static void put_samples(struct writing *w)
{
    struct message packed = { 0 };
    for (size_t i = 1; i < w->paths.all.len && !w->err; i++) {
        const struct path *path = &w->paths.all.at[i];
        if (path->count == 0)
            continue;
        packed.len = 0;
        for (const struct path *at = path; at != w->paths.all.at; at = &w->paths.all.at[at->parent]) {
            if (!w->id[at->label]) {
                w->part.failed |= !lg_vec_push(&w->labels, at->label);
                w->id[at->label] = (uint32_t)w->labels.len;
            }
            add_varint(&packed, w->id[at->label]); // The leaf comes first.
        }
        add_varint(&w->part, 1 << 3 | 2);
        add_varint(&w->part, packed.len);
        add(&w->part, packed.at, packed.len);
        packed.len = 0;
        add_varint(&packed, path->count);
        add_varint(&packed, path->size);
        add_varint(&w->part, 2 << 3 | 2);
        add_varint(&w->part, packed.len);
        add(&w->part, packed.at, packed.len);
        w->part.failed |= packed.failed;
        put_message(w, PROFILE_SAMPLE);
    }
    free(packed.at);
}

// A location and a function of the same number for each label.
static void put_labels(struct writing *w)
{
    for (uint32_t id = 1; id <= w->labels.len && !w->err; id++) {
        struct message line = { 0 };
        add_number(&line, 1, id);
        add_number(&w->part, 1, id);
        add_varint(&w->part, 4 << 3 | 2);
        add_varint(&w->part, line.len);
        add(&w->part, line.at, line.len);
        w->part.failed |= line.failed;
        free(line.at);
        put_message(w, PROFILE_LOCATION);
        uint64_t name = string(w, path_label(w->source, &w->paths, &w->arena, w->labels.at[id - 1]));
        add_number(&w->part, 1, id);
        add_number(&w->part, 2, name);
        add_number(&w->part, 3, name);
        put_message(w, PROFILE_FUNCTION);
    }
}

static void put_comments(struct writing *w, const struct lg_export_figures *figures)
{
    const struct lg_roots *roots = w->source->roots;
    const char *first = lg_arena_format(
        &w->arena, "%s: %llu live objects by dominator path; %llu dead ones left out", w->source->tool,
        (unsigned long long)figures->objects, (unsigned long long)figures->dead);
    put_number(w, PROFILE_COMMENT, string(w, first));
    for (size_t i = 0; i < roots->incomplete.len; i++)
        put_number(w, PROFILE_COMMENT, string(w, roots->incomplete.at[i]));
    put_number(w, PROFILE_DEFAULT, string(w, "inuse_space"));
}

static struct lg_error *write_file(struct writing *w, const char *path, struct lg_export_figures *ret)
{
    struct lg_error *err = lg_new_file_create(path, &w->file);
    if (err)
        return err;
    string(w, "");
    put_value_types(w);
    put_samples(w);
    put_labels(w);
    put_comments(w, ret);
    for (size_t i = 0; i < w->strings.len && !w->err; i++)
        put_part(w, PROFILE_STRING, w->strings.at[i], strlen(w->strings.at[i]));
    squeeze(w, NULL, 0, Z_FINISH);
    err = lg_steal(w->err);
    if (!err && w->part.failed)
        err = &lg_no_memory;
    if (!err)
        err = lg_new_file_finish(w->file);
    ret->size = w->file->size;
    return err;
}

struct lg_error *lg_export_pprof(const struct lg_export_source *source, const char *path,
                                 struct lg_export_figures *ret)
{
    struct writing w = { .source = source };
    enum { GZIP = 16 }; // Beside the bits of the window.
    struct lg_error *err = count_live(source, ret);
    if (!err)
        err = paths_find(source, &w.paths);
    w.id = err ? NULL : calloc(w.paths.label_count, sizeof(*w.id));
    if (!err
        && (!w.id
            || deflateInit2(&w.zip, 6, Z_DEFLATED, GZIP + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK))
        err = &lg_no_memory;
    if (!err) {
        err = write_file(&w, path, ret);
        deflateEnd(&w.zip);
    }
    lg_new_file_free(w.file);
    lg_error_free(w.err);
    free(w.id);
    free(w.part.at);
    lg_vec_free(&w.strings);
    lg_vec_free(&w.labels);
    paths_deinit(&w.paths);
    lg_arena_free(&w.arena);
    return err;
}
