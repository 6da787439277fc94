#include "diag/nettrace_priv.h"

struct nettrace_thread *nettrace_thread(struct nettrace_threads *threads, uint64_t key)
{
    if (threads->recent < threads->all.len && threads->all.at[threads->recent].key == key)
        return &threads->all.at[threads->recent];
    uint32_t i;
    if (!lg_map_get(&threads->by_key, key, &i)) {
        i = (uint32_t)threads->all.len;
        if (i >= LG_NETTRACE_THREADS_MAX || !lg_map_put(&threads->by_key, key, i)
            || !lg_vec_push(&threads->all, (struct nettrace_thread){ .key = key, .id = key }))
            return NULL;
    }
    threads->recent = i;
    return &threads->all.at[i];
}

// A thread attempted `number` events by `time`. `is_event`: the last of them is here.
static struct lg_error *reached(struct lg_nettrace *trace, struct nettrace_thread *t, uint32_t number,
                                uint64_t time, bool is_event)
{
    uint32_t expected = t->sequence + is_event;
    uint32_t gap = number - expected;
    if (gap >= UINT32_C(1) << 31) { // Backwards: a lower bound that was passed,
        if (!is_event)
            return NULL;
        gap = number ? number - 1 : 0; // or another thread that got the same id: it counts from 1.
    }
    struct lg_event_loss loss = { t->id, gap, t->last_time, time };
    t->sequence = number;
    t->last_time = is_event ? time : t->last_time;
    return gap ? nettrace_tell_loss(trace, &loss) : NULL;
}

struct lg_error *nettrace_count(struct lg_nettrace *trace, uint64_t key, uint32_t sequence,
                                uint64_t time)
{
    struct nettrace_thread *t = nettrace_thread(&trace->threads, key);
    return t ? reached(trace, t, sequence, time, true) : &lg_no_memory;
}

static struct lg_error *bad_block(void)
{
    return lg_error_new(LG_ERR_CORRUPT, "event stream: a damaged block of threads");
}

struct lg_error *nettrace_sequence_point(struct lg_nettrace *trace, struct lg_reader r)
{
    bool is_v6 = trace->facts.version == 6;
    uint64_t time = lg_read_u64(&r);
    uint32_t flags = is_v6 ? lg_read_u32(&r) : 0, count = lg_read_u32(&r);
    if (r.failed)
        return bad_block();
    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = is_v6 ? nettrace_varuint(&r) : lg_read_u64(&r);
        uint32_t number = is_v6 ? nettrace_varuint32(&r) : lg_read_u32(&r);
        if (r.failed)
            return bad_block();
        struct nettrace_thread *t = nettrace_thread(&trace->threads, key);
        struct lg_error *err = t ? reached(trace, t, number, time, false) : &lg_no_memory;
        if (err)
            return err;
    }
    struct lg_error *err = nettrace_settle(trace, UINT64_MAX);
    nettrace_stacks_reset(&trace->stacks);
    if (flags & 1) {
        trace->threads.all.len = 0;
        lg_map_free(&trace->threads.by_key);
    }
    if (flags & 2) {
        lg_map_free(&trace->kind_by_id);
        trace->recent_kind = NULL;
    }
    return err;
}

// What is said of a thread beside its index; its own id is among it.
static uint64_t system_id(struct lg_reader r, uint64_t otherwise)
{
    enum { NAME = 1, PROCESS, THREAD, KEY_VALUE };
    while (lg_reader_left(&r) && !r.failed) {
        size_t len;
        switch (lg_read_u8(&r)) {
        case NAME:
            nettrace_string(&r, &len);
            break;
        case PROCESS:
            nettrace_varuint(&r);
            break;
        case THREAD:
            otherwise = nettrace_varuint(&r);
            break;
        case KEY_VALUE:
            nettrace_string(&r, &len);
            nettrace_string(&r, &len);
            break;
        default:
            return otherwise;
        }
    }
    return otherwise;
}

struct lg_error *nettrace_thread_block(struct lg_nettrace *trace, struct lg_reader r)
{
    while (lg_reader_left(&r)) {
        size_t size = lg_read_u16(&r);
        struct lg_reader row = lg_reader(lg_read_bytes(&r, size), r.failed ? 0 : size);
        uint64_t index = nettrace_varuint(&row);
        if (r.failed || row.failed)
            return bad_block();
        struct nettrace_thread *t = nettrace_thread(&trace->threads, index);
        if (!t)
            return &lg_no_memory;
        *t = (struct nettrace_thread){ .key = index, .id = system_id(row, index) };
    }
    return NULL;
}

struct lg_error *nettrace_remove_threads(struct lg_nettrace *trace, struct lg_reader r)
{
    while (lg_reader_left(&r)) {
        uint64_t index = nettrace_varuint(&r);
        uint32_t number = nettrace_varuint32(&r);
        if (r.failed)
            return bad_block();
        struct nettrace_thread *t = nettrace_thread(&trace->threads, index);
        struct lg_error *err = t ? reached(trace, t, number, t->last_time, false) : &lg_no_memory;
        if (err)
            return err;
    }
    return NULL;
}
