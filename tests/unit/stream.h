// Event streams, made up.
#ifndef UNIT_STREAM_H
#define UNIT_STREAM_H

#include "unit/test.h"

#include <string.h>

#include "util/vec.h"

// A stream under construction.
struct stream {
    LG_VEC(uint8_t) bytes;
    size_t block; // where the block that is open began
    bool is_v6;
};

static inline void put(struct stream *s, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_true(lg_vec_push(&s->bytes, ((const uint8_t *)bytes)[i]));
}
static inline void put_number(struct stream *s, uint64_t value, size_t size)
{
    put(s, &value, size);
}
static inline void put_varuint(struct stream *s, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_number(s, value | 0x80, 1);
    put_number(s, value, 1);
}
static inline void put_wide(struct stream *s, const char *text)
{
    do
        put_number(s, (uint8_t)*text, 2);
    while (*text++);
}
static inline void put_string(struct stream *s, const char *text)
{
    put_varuint(s, strlen(text));
    put(s, text, strlen(text));
}

static inline void begin_object(struct stream *s, const char *name)
{
    put(s, "\5\5\1\2\0\0\0\2\0\0\0", 11);
    put_number(s, strlen(name), 4);
    put(s, name, strlen(name));
    put(s, "\6", 1);
}

static inline void begin_block(struct stream *s, const char *name, uint8_t kind)
{
    if (!s->is_v6)
        begin_object(s, name);
    s->block = s->bytes.len;
    put_number(s, (uint32_t)kind << 24, 4);
    while (!s->is_v6 && s->bytes.len % 4)
        put_number(s, 0, 1);
}

static inline void end_block(struct stream *s)
{
    size_t start = s->is_v6 ? s->block + 4 : (s->block + 7) & ~(size_t)3, size = s->bytes.len - start;
    memcpy(s->bytes.at + s->block, &size, 3);
    if (!s->is_v6)
        memset(s->bytes.at + s->block + 3, (int)(size >> 24), 1), put(s, "\6", 1);
}

static inline void begin_events(struct stream *s, const char *name)
{
    begin_block(s, name, 2);
    put_number(s, 20, 2);
    put_number(s, 1, 2);
    put_number(s, 0, 8);
    put_number(s, 0, 8);
}

// Everything is written out; the state of the header is what the last one left.
static uint64_t last_sequence, last_time;
static inline void put_event_of(struct stream *s, uint32_t kind, uint64_t thread, uint32_t sequence,
                                uint64_t time, bool is_sorted, const void *payload, size_t size)
{
    put_number(s, 1 | 2 | 4 | 8 | 128 | (is_sorted ? 64 : 0), 1);
    put_varuint(s, kind);
    put_varuint(s, (uint32_t)(sequence - last_sequence - 1));
    put_varuint(s, thread);
    put_varuint(s, 0);
    put_varuint(s, thread);
    put_varuint(s, 1);
    put_varuint(s, time - last_time);
    put_varuint(s, size);
    put(s, payload, size);
    last_sequence = sequence;
    last_time = time;
}

static inline void put_event(struct stream *s, uint32_t kind, uint64_t thread, uint32_t sequence,
                             uint64_t time, bool is_sorted, const char *payload)
{
    put_event_of(s, kind, thread, sequence, time, is_sorted, payload, strlen(payload));
}

static inline void put_kind(struct stream *s, uint32_t id, const char *provider, uint32_t event)
{
    if (s->is_v6) {
        begin_block(s, NULL, 3);
        put_number(s, 0, 2);
        size_t at = s->bytes.len;
        put_number(s, 0, 2);
        put_varuint(s, id);
        put_string(s, provider);
        put_varuint(s, event);
        put_string(s, "Name");
        put_number(s, 0, 2);
        put_number(s, 2, 2);
        put(s, "\11\4", 2); // version 4
        size_t size = s->bytes.len - at - 2;
        memcpy(s->bytes.at + at, &size, 2);
        end_block(s);
        return;
    }
    struct stream row = { 0 };
    put_number(&row, id, 4);
    put_wide(&row, provider);
    put_number(&row, event, 4);
    put_wide(&row, "Name");
    put_number(&row, 1, 8);
    put_number(&row, 4, 4);
    put_number(&row, 5, 4);
    put_number(&row, 0, 4);
    begin_events(s, "MetadataBlock");
    put_number(s, 128, 1);
    put_varuint(s, 0); // time
    put_varuint(s, row.bytes.len);
    put(s, row.bytes.at, row.bytes.len);
    end_block(s);
    lg_vec_free(&row.bytes);
}

static inline void put_stack(struct stream *s, uint32_t id, uint64_t ip)
{
    begin_block(s, "StackBlock", 5);
    put_number(s, id, 4);
    put_number(s, 1, 4);
    put_number(s, 16, 4);
    put_number(s, ip, 8);
    put_number(s, ip + 1, 8);
    end_block(s);
}

static inline void put_sequence_point(struct stream *s, uint64_t time, uint64_t thread, uint32_t number)
{
    begin_block(s, "SPBlock", 4);
    put_number(s, time, 8);
    if (s->is_v6)
        put_number(s, 0, 4);
    put_number(s, 1, 4);
    if (s->is_v6) {
        put_varuint(s, thread);
        put_varuint(s, number);
    } else {
        put_number(s, thread, 8);
        put_number(s, number, 4);
    }
    end_block(s);
}

static inline void put_header(struct stream *s)
{
    static const uint16_t time[8] = { 1970, 1, 0, 2, 0, 0, 1, 5 };
    put(s, "Nettrace", 8);
    if (s->is_v6) {
        put_number(s, 0, 4);
        put_number(s, 6, 8);
        begin_block(s, NULL, 1);
    } else {
        put_number(s, 20, 4);
        put(s, "!FastSerialization.1", 20);
        begin_object(s, "Trace");
    }
    put(s, time, 16);
    put_number(s, 1000, 8);
    put_number(s, 1000000000, 8);
    put_number(s, 8, 4);
    if (s->is_v6) {
        put_number(s, 1, 4);
        put_string(s, "ProcessId");
        put_string(s, "77");
        end_block(s);
        begin_block(s, NULL, 6); // threads 1 and 2 are 101 and 102
        put(s, "\3\0\1\3\145\3\0\2\3\146", 10);
        end_block(s);
    } else {
        put_number(s, 77, 4);
        put_number(s, 2, 8);
        put(s, "\6", 1);
    }
}

static inline void put_end(struct stream *s)
{
    put_number(s, s->is_v6 ? 0 : 1, s->is_v6 ? 4 : 1);
}

#endif
