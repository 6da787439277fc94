// The parts of a .gcdump (docs/exports.md): a FastSerialization stream with a GCHeapDump in it.
#include <stdarg.h>
#include <stdio.h>

#include "snapshot/gcdump_priv.h"
#include "util/utf8.h"

struct lg_error *dump_damaged(const struct gcdump *dump, const char *format, ...)
{
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return lg_error_new(LG_ERR_CORRUPT, "'%s' is damaged: %s", dump->path, what);
}

static struct lg_error *unknown(const struct gcdump *dump, const char *what)
{
    return lg_error_new(LG_ERR_UNSUPPORTED, "'%s' is a .gcdump %s", dump->path, what);
}

// ---- numbers and texts ----

bool dump_int(const uint8_t **at, const uint8_t *end, int32_t *ret)
{
    const uint8_t *p = *at;
    if (p >= end)
        return false;
    uint32_t value = (uint32_t)((*p & 0x7f) ^ 0x40) - 0x40; // Signed: bit 6.
    for (int groups = 1; *p++ & 0x80; groups++) {
        if (p >= end || groups == 5)
            return false;
        value = value << 7 | (*p & 0x7f);
    }
    *at = p;
    *ret = (int32_t)value;
    return true;
}

// A count of UTF-16 units, then each in 1 to 3 bytes.
static struct dump_text read_text(struct lg_reader *r)
{
    uint32_t units = lg_read_u32(r);
    struct dump_text text = { .at = lg_reader_offset(r) };
    if (r->failed || units == UINT32_MAX || units > lg_reader_left(r)) {
        r->failed |= units != UINT32_MAX;
        return (struct dump_text){ 0 };
    }
    const uint8_t *p = r->pos;
    for (; units > 0 && p < r->end; units--) {
        if ((*p & 0xc0) == 0x80)
            break;
        p += *p < 0x80 ? 1 : *p < 0xe0 ? 2 : 3;
    }
    r->failed |= units > 0 || p > r->end;
    if (r->failed)
        return (struct dump_text){ 0 };
    text.len = (uint32_t)(p - r->pos);
    r->pos = p;
    return text;
}

static uint32_t next_unit(const uint8_t **at)
{
    const uint8_t *p = *at;
    *at += *p < 0x80 ? 1 : *p < 0xe0 ? 2 : 3;
    if (*p < 0x80)
        return *p;
    if (*p < 0xe0)
        return (*p & 0x1fu) << 6 | (p[1] & 0x3fu);
    return (*p & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
}

const char *dump_text(const struct gcdump *dump, struct lg_arena *arena, struct dump_text text)
{
    // No unit takes more in UTF-8 than it took: what is replaced becomes U+FFFD, of three bytes, and
    // comes of a surrogate, of three too; or of a NUL, which becomes '?'.
    char *copy = lg_arena_alloc(arena, text.len + (size_t)1), *to = copy;
    const uint8_t *p = dump->file.start + text.at, *end = p + text.len;
    while (copy && p < end) {
        uint32_t unit = next_unit(&p), next = 0;
        const uint8_t *after = p;
        bool is_high = unit >= 0xd800 && unit < 0xdc00;
        if (is_high && p < end && (next = next_unit(&after)) >= 0xdc00 && next < 0xe000) {
            unit = 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00);
            p = after;
        } else if (unit >= 0xd800 && unit < 0xe000) {
            unit = 0xfffd;
        }
        to += lg_utf8_put(to, unit ? unit : '?');
    }
    return copy;
}

bool dump_text_begins(const struct gcdump *dump, struct dump_text text, const char *word)
{
    size_t len = strlen(word);
    return text.at && text.len >= len && memcmp(dump->file.start + text.at, word, len) == 0;
}

bool dump_text_is(const struct gcdump *dump, struct dump_text text, const char *word)
{
    return text.len == strlen(word) && dump_text_begins(dump, text, word);
}

// ---- nodes ----

bool dump_node(const struct gcdump *dump, lg_node node, struct dump_node *ret)
{
    uint32_t offset;
    int32_t head, size = 0, children;
    memcpy(&offset, dump->offsets + 4 * (uint64_t)node, sizeof(offset));
    if (offset >= dump->blob_len)
        return false;
    const uint8_t *at = dump->blob + offset, *end = dump->blob + dump->blob_len;
    if (!dump_int(&at, end, &head) || head < 0 || (uint32_t)head >> 1 >= dump->types.len)
        return false;
    ret->type = (uint32_t)head >> 1;
    if (head & 1 && !dump_int(&at, end, &size))
        return false;
    size = head & 1 ? size : dump->types.at[ret->type].size;
    if (!dump_int(&at, end, &children) || children < 0 || children > end - at)
        return false;
    ret->size = size < 0 ? 0 : (uint32_t)size;
    ret->children = (uint32_t)children;
    ret->at = at;
    return true;
}

bool dump_child(const struct gcdump *dump, lg_node from, const uint8_t **at, lg_node *ret)
{
    int32_t delta;
    if (!dump_int(at, dump->blob + dump->blob_len, &delta))
        return false;
    *ret = from + (uint32_t)delta;
    return *ret < dump->node_count;
}

// ---- objects of the stream ----

struct kind {
    struct dump_text name;
    uint32_t version, min_reader;
};

static void read_kind(struct lg_reader *r, struct kind *ret)
{
    r->failed |= lg_read_u8(r) != LG_FAST_NULL;
    ret->version = lg_read_u32(r);
    ret->min_reader = lg_read_u32(r);
    ret->name = read_text(r);
    r->failed |= lg_read_u8(r) != LG_FAST_END;
}

// Begins an object; false if there is none. Its kind is told here, or where it was met first.
static bool begin(struct lg_reader *r, struct kind *ret)
{
    *ret = (struct kind){ 0 };
    uint8_t tag = lg_read_u8(r);
    if (tag == LG_FAST_NULL || r->failed)
        return false;
    r->failed |= tag != LG_FAST_BEGIN && tag != LG_FAST_BEGIN_PRIVATE;
    tag = lg_read_u8(r);
    if (tag == LG_FAST_REFERENCE) {
        uint32_t at = lg_read_u32(r);
        struct lg_reader there = lg_reader(r->start, lg_reader_offset(r));
        if (!lg_read_bytes(&there, at) || lg_read_u8(&there) != LG_FAST_BEGIN)
            there.failed = true;
        read_kind(&there, ret);
        r->failed |= there.failed;
    } else {
        r->failed |= tag != LG_FAST_BEGIN;
        read_kind(r, ret);
    }
    return !r->failed;
}

static struct lg_error *read_types(struct gcdump *dump, struct lg_reader *r)
{
    uint32_t count = lg_read_u32(r);
    if (r->failed || count > lg_reader_left(r) / 12)
        return dump_damaged(dump, "it tells of more types than it can hold");
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        struct dump_type type = { .name = read_text(r) };
        type.size = (int32_t)lg_read_u32(r);
        type.module = read_text(r);
        type.is_pseudo = i == 0 || dump_text_begins(dump, type.name, "[");
        if (!lg_vec_push(&dump->types, type))
            return &lg_no_memory;
    }
    return r->failed ? dump_damaged(dump, "it ends among its types") : NULL;
}

static struct lg_error *read_graph(struct gcdump *dump, struct lg_reader *r)
{
    struct kind kind;
    if (!begin(r, &kind) || !dump_text_is(dump, kind.name, "Graphs.MemoryGraph"))
        return dump_damaged(dump, "there is no graph in it");
    if (kind.min_reader >= 1)
        return unknown(dump, "with types that are told later, which this linger does not read");
    dump->total_size = lg_read_u64(r);
    dump->root = lg_read_u32(r);
    struct lg_error *err = read_types(dump, r);
    if (err)
        return err;
    dump->node_count = lg_read_u32(r);
    dump->offsets = lg_read_bytes(r, 4 * (size_t)dump->node_count);
    dump->blob_len = lg_read_u32(r);
    dump->blob = lg_read_bytes(r, dump->blob_len);
    uint32_t addresses = lg_read_u32(r);
    if (!r->failed && addresses != dump->node_count)
        return dump_damaged(dump, "it has %u nodes and %u addresses", dump->node_count, addresses);
    dump->addresses = lg_read_bytes(r, 8 * (size_t)addresses);
    r->failed |= lg_read_u8(r) != LG_FAST_BYTE;
    bool is_64_bit = lg_read_u8(r) != 0;
    r->failed |= lg_read_u8(r) != LG_FAST_END;
    if (r->failed || dump->node_count == 0 || dump->node_count > INT32_MAX
        || dump->root >= dump->node_count)
        return dump_damaged(dump, "it ends within its graph");
    return is_64_bit ? NULL : unknown(dump, "of a 32-bit process");
}

static int by_start(const void *a, const void *b)
{
    const struct dump_segment *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static struct lg_error *read_segments(struct gcdump *dump, struct lg_reader *r)
{
    struct kind kind;
    if (!begin(r, &kind))
        return NULL;
    lg_read_u64(r);
    uint32_t count = lg_read_u32(r);
    if (r->failed || count > lg_reader_left(r) / 55) // At least 2 of tags, 4, 48, and 1 at the end.
        return dump_damaged(dump, "it tells of more segments than it can hold");
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        struct dump_segment segment = { 0 };
        r->failed |= !begin(r, &kind);
        segment.start = lg_read_u64(r);
        segment.end = lg_read_u64(r);
        for (int k = 0; k < (kind.version >= 1 ? 5 : 4); k++)
            segment.ends[k] = lg_read_u64(r);
        r->failed |= lg_read_u8(r) != LG_FAST_END;
        if (!r->failed && !lg_vec_push(&dump->segments, segment))
            return &lg_no_memory;
    }
    r->failed |= lg_read_u8(r) != LG_FAST_END;
    if (dump->segments.len > 1)
        qsort(dump->segments.at, dump->segments.len, sizeof(*dump->segments.at), by_start);
    return r->failed ? dump_damaged(dump, "it ends among its segments") : NULL;
}

static float read_float(struct lg_reader *r)
{
    uint32_t bits = lg_read_u32(r);
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void read_about(struct gcdump *dump, struct lg_reader *r)
{
    dump->log = read_text(r);
    dump->ticks = lg_read_u64(r);
    read_text(r); // The machine.
    dump->process = read_text(r);
    dump->pid = (int)lg_read_u32(r);
    lg_read_u64(r); // Committed, working set.
    lg_read_u64(r);
    uint32_t multipliers = lg_read_u32(r);
    r->failed |= multipliers > lg_reader_left(r) / 4;
    for (uint32_t i = 0; i < multipliers && !r->failed; i++)
        dump->is_sampled |= read_float(r) != 1;
    // What was learnt of COM follows, which is of no use here, then what wrote the file.
    struct lg_reader rest = *r;
    bool is_plain = lg_read_u8(&rest) == LG_FAST_SKIP && lg_read_u32(&rest) == 0
                    && lg_read_u8(&rest) == LG_FAST_NULL && lg_read_u8(&rest) == LG_FAST_STRING;
    struct dump_text tool = is_plain ? read_text(&rest) : (struct dump_text){ 0 };
    if (!rest.failed)
        dump->tool = tool;
}

// The last word tells where the one before it lies: a file that was cut does not end so.
static bool is_whole(const struct gcdump *dump)
{
    uint32_t last;
    size_t size = lg_reader_left(&dump->file);
    if (size < 64)
        return false;
    memcpy(&last, dump->file.end - 4, sizeof(last));
    return last == (uint32_t)(size - 8);
}

struct lg_error *dump_parse(struct gcdump *dump)
{
    struct lg_reader r = dump->file;
    struct kind kind;
    if (!lg_read_bytes(&r, sizeof(LG_GCDUMP_MAGIC) - 1) || !is_whole(dump))
        return dump_damaged(dump, "it is cut short");
    if (!begin(&r, &kind) || !dump_text_is(dump, kind.name, "GCHeapDump"))
        return unknown(dump, "in name only: what is in it is no heap");
    if (kind.version < 9 || kind.min_reader > 10)
        return unknown(dump, "of a version that this linger does not read");
    struct lg_error *err = read_graph(dump, &r);
    if (err)
        return err;
    lg_read_u8(&r); // Again, whether it has 64 bits.
    dump->count_multiplier = read_float(&r);
    dump->size_multiplier = read_float(&r);
    if (!r.failed && begin(&r, &kind))
        return unknown(dump, "of a JavaScript heap");
    if (!r.failed)
        err = read_segments(dump, &r);
    if (err)
        return err;
    read_about(dump, &r);
    return r.failed ? dump_damaged(dump, "it ends within what it says of itself") : NULL;
}
