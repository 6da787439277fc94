#include "diag/nettrace_priv.h"

#include <errno.h>
#include <string.h>

#include "util/utf16.h"

// Tags of the serialisation that v4 is wrapped in.
enum { TAG_NULL = 1, TAG_BEGIN = 5, TAG_END = 6 };
enum {
    KIND_END,
    KIND_TRACE,
    KIND_EVENT,
    KIND_METADATA,
    KIND_SEQUENCE,
    KIND_STACK,
    KIND_THREAD,
    KIND_REMOVE_THREAD
};

static struct lg_error *corrupt(const struct lg_nettrace *trace, const char *what)
{
    return lg_error_new(LG_ERR_CORRUPT, "%s at offset %llu of the event stream", what,
                        (unsigned long long)trace->offset);
}

// Days since 1970 of a date of the Gregorian calendar.
static int64_t days(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    m += m <= 2 ? 9 : -3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d - 1 - 719468;
}

static void read_start(struct lg_nettrace *trace, struct lg_reader *r)
{
    uint16_t t[8];
    for (size_t i = 0; i < 8; i++)
        t[i] = lg_read_u16(r);
    trace->facts.start_utc =
        ((days(t[0], t[1], t[3]) * 24 + t[4]) * 60 + t[5]) * 60000 + t[6] * 1000 + t[7];
    trace->facts.start_ticks = lg_read_u64(r);
    trace->facts.frequency = lg_read_u64(r);
    trace->facts.pointer_size = lg_read_u32(r);
}

static struct lg_error *check_start(struct lg_nettrace *trace, const struct lg_reader *r)
{
    unsigned size = trace->facts.pointer_size;
    if (r->failed || (size != 4 && size != 8) || trace->facts.frequency == 0)
        return corrupt(trace, "no valid trace header");
    return NULL;
}

static struct lg_error *trace_block_v6(struct lg_nettrace *trace, struct lg_reader r)
{
    read_start(trace, &r);
    uint32_t count = lg_read_u32(&r);
    for (uint32_t i = 0; i < count && !r.failed; i++) {
        size_t key_len = 0, len = 0;
        const char *key = nettrace_string(&r, &key_len);
        const char *value = nettrace_string(&r, &len);
        if (key && value && key_len == 9 && memcmp(key, "ProcessId", 9) == 0) {
            for (size_t d = 0; d < len && value[d] >= '0' && value[d] <= '9'; d++)
                trace->facts.pid = trace->facts.pid * 10 + (uint32_t)(value[d] - '0');
        }
    }
    return check_start(trace, &r);
}

static struct lg_error *block(struct lg_nettrace *trace, unsigned kind, struct lg_reader r)
{
    switch (kind) {
    case KIND_TRACE:
        return trace_block_v6(trace, r);
    case KIND_EVENT:
        return nettrace_event_block(trace, r, false);
    case KIND_METADATA:
        return trace->facts.version == 6 ? nettrace_metadata_v6(trace, r)
                                         : nettrace_event_block(trace, r, true);
    case KIND_SEQUENCE:
        return nettrace_sequence_point(trace, r);
    case KIND_STACK:
        return nettrace_stack_block(trace, r);
    case KIND_THREAD:
        return nettrace_thread_block(trace, r);
    case KIND_REMOVE_THREAD:
        return nettrace_remove_threads(trace, r);
    default: // To be passed over: the format says so.
        return NULL;
    }
}

static unsigned block_kind(const char *name, size_t len)
{
    static const struct {
        const char *name;
        unsigned kind;
    } kinds[] = {
        { "EventBlock", KIND_EVENT }, { "MetadataBlock", KIND_METADATA },
        { "StackBlock", KIND_STACK }, { "SPBlock", KIND_SEQUENCE },
        { "Trace", KIND_TRACE },
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, name, len) == 0)
            return kinds[i].kind;
    }
    return UINT32_MAX;
}

// The body of a v4 object: its size comes first, then zeros up to a multiple of 4 in the stream.
static struct lg_error *body_v4(struct lg_nettrace *trace, struct lg_reader *r, struct lg_reader *ret)
{
    uint32_t size = lg_read_u32(r);
    if (size > LG_NETTRACE_BLOCK_MAX)
        return corrupt(trace, "a block of impossible size");
    lg_read_bytes(r, (size_t)(-(trace->offset + lg_reader_offset(r)) & 3));
    const void *bytes = lg_read_bytes(r, size);
    *ret = lg_reader(bytes, bytes ? size : 0);
    return NULL;
}

// One object of v4: 05 05 01, version, least version of a reader, name, 06, body, 06. A lone 01 is the
// end. `r->failed`: it is not all there yet.
static struct lg_error *object_v4(struct lg_nettrace *trace, struct lg_reader *r)
{
    uint8_t tag = lg_read_u8(r);
    trace->facts.ended = !r->failed && tag == TAG_NULL;
    if (r->failed || trace->facts.ended)
        return NULL;
    const uint8_t *tags = lg_read_bytes(r, 2);
    lg_read_u32(r);
    uint32_t needs = lg_read_u32(r), len = lg_read_u32(r);
    if (tag != TAG_BEGIN || (tags && (tags[0] != TAG_BEGIN || tags[1] != TAG_NULL)) || len > 255)
        return corrupt(trace, "no object");
    const char *name = lg_read_bytes(r, len);
    uint8_t end = lg_read_u8(r);
    if (r->failed)
        return NULL;
    unsigned kind = block_kind(name, len);
    if (end != TAG_END)
        return corrupt(trace, "no object");
    if (kind == KIND_TRACE && needs > 4)
        return lg_error_new(LG_ERR_UNSUPPORTED, "an event stream for readers of version %u", needs);

    if (kind == KIND_TRACE) {
        read_start(trace, r);
        trace->facts.pid = lg_read_u32(r);
        lg_read_bytes(r, 8); // processors, sampling rate
        end = lg_read_u8(r);
        return r->failed        ? NULL
               : end != TAG_END ? corrupt(trace, "no end of an object")
                                : check_start(trace, r);
    }
    struct lg_reader body;
    struct lg_error *err = body_v4(trace, r, &body);
    if (err)
        return err;
    end = lg_read_u8(r);
    if (r->failed)
        return NULL;
    return end != TAG_END ? corrupt(trace, "no end of an object") : block(trace, kind, body);
}

static struct lg_error *object_v6(struct lg_nettrace *trace, struct lg_reader *r)
{
    uint32_t header = lg_read_u32(r), size = header & 0xffffff;
    const void *bytes = lg_read_bytes(r, size);
    if (r->failed)
        return NULL;
    trace->facts.ended = header >> 24 == KIND_END;
    return trace->facts.ended ? NULL : block(trace, header >> 24, lg_reader(bytes, size));
}

static struct lg_error *stream_header(struct lg_nettrace *trace, struct lg_reader *r)
{
    static const char serialization[] = "!FastSerialization.1";
    const char *magic = lg_read_bytes(r, 8);
    uint32_t len = lg_read_u32(r);
    if ((magic && memcmp(magic, "Nettrace", 8) != 0) || (len != 0 && len != 20))
        return lg_error_new(LG_ERR_UNSUPPORTED, "no nettrace stream");
    if (len == 20) {
        const char *s = lg_read_bytes(r, 20);
        if (s && memcmp(s, serialization, 20) != 0)
            return lg_error_new(LG_ERR_UNSUPPORTED, "no nettrace stream of version 4");
        trace->facts.version = r->failed ? 0 : 4;
        return NULL;
    }
    uint32_t major = lg_read_u32(r);
    lg_read_u32(r);
    if (!r->failed && major != 6)
        return lg_error_new(LG_ERR_UNSUPPORTED, "a nettrace stream of version %u", major);
    trace->facts.version = r->failed ? 0 : 6;
    return NULL;
}

// Takes what is whole off the front of the buffer.
static struct lg_error *parse(struct lg_nettrace *trace)
{
    while (!trace->facts.ended) {
        struct lg_reader r = lg_reader(trace->buffer + trace->start, trace->end - trace->start);
        struct lg_error *err = trace->facts.version == 0   ? stream_header(trace, &r)
                               : trace->facts.version == 4 ? object_v4(trace, &r)
                                                           : object_v6(trace, &r);
        if (err) {
            trace->failed = true;
            return err;
        }
        if (r.failed)
            return NULL;
        trace->start += lg_reader_offset(&r);
        trace->offset += lg_reader_offset(&r);
    }
    return NULL;
}

// Room for `size` more bytes at the end of the buffer.
static bool make_room(struct lg_nettrace *trace, size_t size)
{
    if (trace->cap - trace->end >= size)
        return true;
    size_t kept = trace->end - trace->start;
    if (kept)
        memmove(trace->buffer, trace->buffer + trace->start, kept);
    trace->start = 0;
    trace->end = kept;
    return lg_vec_reserve((void **)&trace->buffer, &trace->cap, kept + size, 1);
}

struct lg_error *lg_nettrace_new(const struct lg_event_handler *handler, unsigned flags,
                                 struct lg_nettrace **ret)
{
    struct lg_nettrace *trace = calloc(1, sizeof(*trace));
    if (!trace)
        return &lg_no_memory;
    trace->handler = *handler;
    trace->flags = flags;
    *ret = trace;
    return NULL;
}

void lg_nettrace_free(struct lg_nettrace *trace)
{
    if (!trace)
        return;
    free(trace->buffer);
    lg_vec_free(&trace->kinds);
    lg_map_free(&trace->kind_by_id);
    lg_arena_free(&trace->names);
    lg_vec_free(&trace->stacks.ips);
    lg_vec_free(&trace->stacks.stacks);
    lg_vec_free(&trace->stacks.runs);
    lg_vec_free(&trace->threads.all);
    lg_map_free(&trace->threads.by_key);
    lg_vec_free(&trace->order.waiting);
    lg_vec_free(&trace->order.bytes);
    free(trace);
}

static struct lg_error *take(struct lg_nettrace *trace, size_t size)
{
    trace->facts.bytes += size;
    if (trace->failed || trace->facts.ended) // What follows an end is of no concern.
        return NULL;
    trace->end += size;
    return parse(trace);
}

struct lg_error *lg_nettrace_feed(struct lg_nettrace *trace, const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    while (size) {
        size_t n = size < 1 << 20 ? size : 1 << 20;
        if (!make_room(trace, n))
            return &lg_no_memory;
        memcpy(trace->buffer + trace->end, p, n);
        struct lg_error *err = take(trace, n);
        if (err)
            return err;
        p += n;
        size -= n;
    }
    return NULL;
}

struct lg_error *lg_nettrace_read(struct lg_nettrace *trace, int fd, bool *ended_ret,
                                  const void **bytes_ret, size_t *size_ret)
{
    if (!make_room(trace, 1 << 18))
        return &lg_no_memory;
    ssize_t n;
    do
        n = read(fd, trace->buffer + trace->end, trace->cap - trace->end);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != ECONNRESET)
        return lg_error_os(errno, "read events");
    *ended_ret = n <= 0;
    if (bytes_ret) {
        *bytes_ret = trace->buffer + trace->end;
        *size_ret = n > 0 ? (size_t)n : 0;
    }
    return n > 0 ? take(trace, (size_t)n) : NULL;
}

struct lg_error *lg_nettrace_finish(struct lg_nettrace *trace)
{
    return trace->failed ? NULL : nettrace_settle(trace, UINT64_MAX);
}

const struct lg_nettrace_facts *lg_nettrace_facts(const struct lg_nettrace *trace)
{
    return &trace->facts;
}

const void *lg_read_wide(struct lg_reader *r, size_t *chars_ret)
{
    const uint8_t *start = r->pos;
    size_t n = 0, left = lg_reader_left(r) / 2;
    while (n < left && (start[2 * n] | start[2 * n + 1]))
        n++;
    *chars_ret = n;
    return lg_read_bytes(r, n < left ? 2 * n + 2 : SIZE_MAX);
}

void lg_read_wide_text(struct lg_reader *r, char *buf, size_t size)
{
    size_t chars;
    const uint8_t *bytes = lg_read_wide(r, &chars);
    uint16_t part[1024];
    chars = !bytes ? 0 : chars > 1024 ? 1024 : chars;
    if (chars)
        memcpy(part, bytes, chars * 2);
    lg_utf8_from_utf16(buf, size, part, chars);
}
