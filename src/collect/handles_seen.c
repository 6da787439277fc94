#include "collect/handles_seen.h"

enum {
    GC_START = 1,
    SET = 30,
    DESTROY = 31,
    METHOD_LOAD = 143,
    METHOD_UNLOAD = 144,
    ALL_MAX = 64 << 20
};

const uint32_t lg_handle_events[] = { GC_START, SET, DESTROY, METHOD_LOAD, METHOD_UNLOAD };
const size_t lg_handle_event_count = sizeof(lg_handle_events) / sizeof(*lg_handle_events);

// Finds or adds what is known of an address; NULL: out of memory.
static struct lg_handle_seen *find(struct lg_handles_seen *seen, uint64_t address)
{
    uint32_t i;
    if (lg_map_get(&seen->by_address, address, &i))
        return &seen->all.at[i];
    i = (uint32_t)seen->all.len;
    const struct lg_handle_seen handle = { .address = address };
    if (i >= ALL_MAX || !lg_vec_push(&seen->all, handle) || !lg_map_put(&seen->by_address, address, i))
        return NULL;
    return &seen->all.at[i];
}

struct lg_error *lg_handles_seen_before(struct lg_handles_seen *seen, uint64_t address)
{
    struct lg_handle_seen *handle = find(seen, address);
    if (handle)
        handle->state = LG_HANDLE_OLD;
    return handle ? NULL : &lg_no_memory;
}

// u64 handle, u64 object, u32 kind, u32 generation, u64 domain, u16 instance
static struct lg_error *set(struct lg_handles_seen *seen, struct lg_allocations *stacks,
                            const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    uint64_t address = lg_read_u64(&r);
    lg_read_u64(&r);
    uint32_t kind = lg_read_u32(&r);
    if (r.failed)
        return NULL;
    struct lg_handle_seen *handle = find(seen, address);
    if (!handle)
        return &lg_no_memory;
    if (handle->state == LG_HANDLE_OLD || handle->state == LG_HANDLE_MADE) {
        seen->assigned++;
        return NULL;
    }
    if (handle->losses != seen->losses) {
        seen->dropped_lost += handle->state != LG_HANDLE_DOUBTFUL;
        handle->state = LG_HANDLE_DOUBTFUL;
        return NULL;
    }
    uint32_t origin = lg_allocations_origin(stacks, event, kind, lg_reader(NULL, 0));
    seen->made++;
    seen->dropped_origins += origin == UINT32_MAX;
    handle->state = origin == UINT32_MAX ? LG_HANDLE_DOUBTFUL : LG_HANDLE_MADE;
    handle->kind = kind;
    handle->origin = origin;
    handle->time = event->time;
    return NULL;
}

static struct lg_error *destroy(struct lg_handles_seen *seen, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    uint64_t address = lg_read_u64(&r);
    if (r.failed)
        return NULL;
    struct lg_handle_seen *handle = find(seen, address);
    if (!handle)
        return &lg_no_memory;
    seen->freed += handle->state == LG_HANDLE_MADE;
    handle->state = LG_HANDLE_FREE;
    handle->losses = seen->losses;
    return NULL;
}

struct lg_error *lg_handles_seen_event(struct lg_handles_seen *seen, struct lg_allocations *stacks,
                                       const struct lg_event *event)
{
    if (event->kind->provider != LG_PROVIDER_RUNTIME || event->time > seen->window_end)
        return NULL;
    if (event->kind->id == SET)
        return set(seen, stacks, event);
    return event->kind->id == DESTROY ? destroy(seen, event) : NULL;
}

void lg_handles_seen_lost(struct lg_handles_seen *seen, const struct lg_event_loss *loss)
{
    if (loss->since >= seen->window_end)
        return;
    seen->lost_events += loss->count;
    seen->losses++;
    for (size_t i = 0; i < seen->all.len; i++) {
        struct lg_handle_seen *handle = &seen->all.at[i];
        seen->dropped_lost += handle->state == LG_HANDLE_MADE;
        if (handle->state == LG_HANDLE_MADE)
            handle->state = LG_HANDLE_DOUBTFUL;
    }
}

void lg_handles_seen_deinit(struct lg_handles_seen *seen)
{
    lg_vec_free(&seen->all);
    lg_map_free(&seen->by_address);
}
