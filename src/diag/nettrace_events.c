#include "diag/nettrace_priv.h"

// Flags of a compressed header: what of it is there. The rest is as in the event before.
enum {
    HAS_KIND = 1,
    HAS_SEQUENCE = 2, // with capture thread and processor
    HAS_THREAD = 4,
    HAS_STACK = 8,
    HAS_ACTIVITY = 16, // v6: a label list
    HAS_RELATED = 32,
    IS_SORTED = 64,
    HAS_SIZE = 128,
};

struct header {
    uint32_t kind, sequence, stack, size;
    uint64_t capture_thread, thread, time;
    bool is_sorted;
};

static void read_compressed(struct lg_reader *r, struct header *h, bool is_v6)
{
    uint8_t flags = lg_read_u8(r);
    if (flags & HAS_KIND)
        h->kind = nettrace_varuint32(r);
    if (flags & HAS_SEQUENCE) {
        h->sequence += nettrace_varuint32(r) + 1;
        h->capture_thread = nettrace_varuint(r);
        nettrace_varuint(r); // processor
    } else if (h->kind != 0) {
        h->sequence++;
    }
    if (flags & HAS_THREAD)
        h->thread = nettrace_varuint(r);
    if (flags & HAS_STACK)
        h->stack = nettrace_varuint32(r);
    h->time += nettrace_varuint(r); // Backwards is a delta of almost 2^64.
    if (is_v6) {
        if (flags & HAS_ACTIVITY)
            nettrace_varuint(r);
    } else {
        lg_read_bytes(r, (flags & HAS_ACTIVITY ? 16 : 0) + (flags & HAS_RELATED ? 16 : 0));
    }
    h->is_sorted = flags & IS_SORTED;
    if (flags & HAS_SIZE)
        h->size = nettrace_varuint32(r);
}

static void read_whole(struct lg_reader *r, struct header *h, bool is_v6)
{
    lg_read_u32(r); // size
    uint32_t kind = lg_read_u32(r);
    h->kind = kind & 0x7fffffff;
    // In v4 the high bit says that it is *not* sorted (dotnet/runtime src/native/eventpipe/ep-block.c).
    h->is_sorted = is_v6 ? kind >> 31 : !(kind >> 31);
    h->sequence = lg_read_u32(r);
    h->thread = lg_read_u64(r);
    h->capture_thread = lg_read_u64(r);
    lg_read_u32(r); // processor
    h->stack = lg_read_u32(r);
    h->time = lg_read_u64(r);
    lg_read_bytes(r, is_v6 ? 4 : 32); // labels; activities
    h->size = lg_read_u32(r);
}

// The thread's own id: v6 has an index there.
static struct lg_error *thread_id(struct lg_nettrace *trace, uint64_t *thread)
{
    if (trace->facts.version != 6)
        return NULL;
    const struct nettrace_thread *t = nettrace_thread(&trace->threads, *thread);
    if (!t)
        return &lg_no_memory;
    *thread = t->id;
    return NULL;
}

static struct lg_error *tell(struct lg_nettrace *trace, const struct header *h, const uint8_t *payload)
{
    struct lg_error *err = nettrace_count(trace, h->capture_thread, h->sequence, h->time);
    if (err)
        return err;
    struct lg_event event = {
        .kind = nettrace_kind(trace, h->kind),
        .time = h->time,
        .thread = h->thread,
        .capture_thread = h->capture_thread,
        .payload = payload,
        .payload_size = h->size,
    };
    event.stack = nettrace_stack(&trace->stacks, h->stack, &event.stack_count);
    err = thread_id(trace, &event.thread);
    if (!err)
        err = thread_id(trace, &event.capture_thread);
    if (err)
        return err;
    if (!event.kind) // No row says what it is: as good as lost.
        return nettrace_tell_loss(trace,
                                  &(struct lg_event_loss){ event.capture_thread, 1, h->time, h->time });
    return nettrace_tell(trace, &event);
}

struct lg_error *nettrace_event_block(struct lg_nettrace *trace, struct lg_reader r, bool is_metadata)
{
    bool is_v6 = trace->facts.version == 6;
    uint16_t header_size = lg_read_u16(&r), flags = lg_read_u16(&r);
    if (r.failed || header_size < 4 || !lg_read_bytes(&r, header_size - 4u))
        return lg_error_new(LG_ERR_CORRUPT, "event stream: a block of events without a header");
    struct header h = { 0 };
    uint64_t settled = 0;
    while (lg_reader_left(&r)) {
        if (flags & 1)
            read_compressed(&r, &h, is_v6);
        else
            read_whole(&r, &h, is_v6);
        const uint8_t *payload = lg_read_bytes(&r, h.size);
        if (!(flags & 1) && !is_v6)
            lg_read_bytes(&r, -lg_reader_offset(&r) & 3);
        if (r.failed)
            return lg_error_new(LG_ERR_CORRUPT, "event stream: an event ends past its block");
        struct lg_error *err = is_metadata ? nettrace_metadata_v4(trace, lg_reader(payload, h.size))
                                           : tell(trace, &h, payload);
        if (err)
            return err;
        if (h.is_sorted && h.time > settled)
            settled = h.time;
    }
    return is_metadata ? NULL : nettrace_settle(trace, settled);
}
