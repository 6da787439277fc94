// The parts of a nettrace reader. One file each: nettrace.c (bytes to blocks), nettrace_events.c (blocks
// to events), nettrace_metadata.c, nettrace_stacks.c, nettrace_threads.c, nettrace_order.c.
#ifndef LG_DIAG_NETTRACE_PRIV_H
#define LG_DIAG_NETTRACE_PRIV_H

#include "diag/nettrace.h"
#include "util/arena.h"
#include "util/map.h"
#include "util/vec.h"

// Bounds of what a stream can make us keep. The runtime's blocks have 100 KiB, its regions between two
// sequence points some 10 MiB.
enum {
    LG_NETTRACE_BLOCK_MAX = 64 << 20,
    LG_NETTRACE_REGION_MAX = 256 << 20,
    LG_NETTRACE_KINDS_MAX = 1 << 20,
    LG_NETTRACE_NAMES_MAX = 64 << 20,
    LG_NETTRACE_THREADS_MAX = 1 << 20,
};

// Stacks since the last sequence point. Each block numbers its own on from `first`.
struct nettrace_stack {
    uint32_t start, count; // in ips
};
struct nettrace_run {
    uint32_t first, count;
    uint32_t at; // in stacks
};
struct nettrace_stacks {
    LG_VEC(uint64_t) ips;
    LG_VEC(struct nettrace_stack) stacks;
    LG_VEC(struct nettrace_run) runs; // ascending
};

// What is known of each thread that wrote events: v6 refers to them by index, v4 by their own id.
struct nettrace_thread {
    uint64_t key, id;
    uint64_t last_time;
    uint32_t sequence; // of its last event
    bool has_events;
};
struct nettrace_threads {
    LG_VEC(struct nettrace_thread) all;
    struct lg_map by_key;
    uint32_t recent; // index of the one asked for last
};

// Events and losses that wait for their turn; what they refer to lies in `bytes`.
struct nettrace_waiting {
    uint64_t time, order;
    const struct lg_event_kind *kind; // NULL: a loss
    uint64_t thread, capture_thread;  // a loss: thread, count
    uint64_t since;
    size_t at; // stack, then payload
    uint32_t stack_count, payload_size;
};
struct nettrace_order {
    LG_VEC(struct nettrace_waiting) waiting;
    LG_VEC(uint8_t) bytes;
    uint64_t next;
    uint64_t settled; // Events to come are not older than this.
};

struct lg_nettrace {
    struct lg_event_handler handler;
    unsigned flags;
    struct lg_nettrace_facts facts;
    bool failed;
    uint8_t *buffer; // [start, end): bytes not yet understood
    size_t start, end, cap;
    uint64_t offset; // of buffer[start] in the stream

    LG_VEC(struct lg_event_kind *) kinds;
    struct lg_map kind_by_id;
    uint32_t recent_kind_id;
    const struct lg_event_kind *recent_kind;
    struct lg_arena names;
    size_t names_size;

    struct nettrace_stacks stacks;
    struct nettrace_threads threads;
    struct nettrace_order order;
    uint64_t last_time; // told
};

static inline uint64_t nettrace_varuint(struct lg_reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->pos == r->end)
            break;
        uint8_t byte = *r->pos++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    r->failed = true;
    r->pos = r->end;
    return 0;
}
static inline uint32_t nettrace_varuint32(struct lg_reader *r)
{
    uint64_t value = nettrace_varuint(r);
    r->failed |= value > UINT32_MAX;
    return (uint32_t)value;
}

// nettrace_events.c: an event block, or a v4 block of metadata, which has the same form.
LG_MUST_CHECK struct lg_error *nettrace_event_block(struct lg_nettrace *trace, struct lg_reader r,
                                                    bool is_metadata);
// nettrace_metadata.c
LG_MUST_CHECK struct lg_error *nettrace_metadata_v4(struct lg_nettrace *trace, struct lg_reader r);
LG_MUST_CHECK struct lg_error *nettrace_metadata_v6(struct lg_nettrace *trace, struct lg_reader r);
const struct lg_event_kind *nettrace_kind(struct lg_nettrace *trace, uint32_t id);
// A string of v6: a length, then UTF-8. Points into the reader.
const char *nettrace_string(struct lg_reader *r, size_t *len_ret);
// nettrace_stacks.c
LG_MUST_CHECK struct lg_error *nettrace_stack_block(struct lg_nettrace *trace, struct lg_reader r);
void nettrace_stacks_reset(struct nettrace_stacks *stacks);
const uint64_t *nettrace_stack(const struct nettrace_stacks *stacks, uint32_t id, size_t *count_ret);
// nettrace_threads.c
LG_MUST_CHECK struct lg_error *nettrace_thread_block(struct lg_nettrace *trace, struct lg_reader r);
LG_MUST_CHECK struct lg_error *nettrace_remove_threads(struct lg_nettrace *trace, struct lg_reader r);
LG_MUST_CHECK struct lg_error *nettrace_sequence_point(struct lg_nettrace *trace, struct lg_reader r);
// What it has of its own id and number; added when new. NULL: out of memory, or too many.
struct nettrace_thread *nettrace_thread(struct nettrace_threads *threads, uint64_t key);
LG_MUST_CHECK struct lg_error *nettrace_count(struct lg_nettrace *trace, uint64_t key, uint32_t sequence,
                                              uint64_t time);
// nettrace_order.c: to the handler, at once or in order.
LG_MUST_CHECK struct lg_error *nettrace_tell(struct lg_nettrace *trace, const struct lg_event *event);
LG_MUST_CHECK struct lg_error *nettrace_tell_loss(struct lg_nettrace *trace,
                                                  const struct lg_event_loss *loss);
// All that are older than `before`.
LG_MUST_CHECK struct lg_error *nettrace_settle(struct lg_nettrace *trace, uint64_t before);

#endif
