#include "diag/nettrace_priv.h"

#include <string.h>

static struct lg_error *tell_now(struct lg_nettrace *trace, const struct lg_event *event)
{
    trace->facts.events++;
    trace->facts.disordered += event->time < trace->last_time;
    if (event->time > trace->last_time)
        trace->last_time = event->time;
    struct lg_error *err = trace->handler.event(trace->handler.self, event);
    trace->failed |= err != NULL;
    return err;
}

static void tell_loss_now(struct lg_nettrace *trace, const struct lg_event_loss *loss)
{
    trace->facts.lost += loss->count;
    if (trace->handler.lost)
        trace->handler.lost(trace->handler.self, loss);
}

static struct lg_error *wait_for_turn(struct lg_nettrace *trace, const struct nettrace_waiting *waiting)
{
    struct nettrace_order *order = &trace->order;
    if (order->bytes.len + order->waiting.len * sizeof(*waiting) > LG_NETTRACE_REGION_MAX)
        return lg_error_new(LG_ERR_UNSUPPORTED, "event stream: no sequence point in %u MiB of events",
                            LG_NETTRACE_REGION_MAX >> 20);
    if (!lg_vec_push(&order->waiting, *waiting))
        return &lg_no_memory;
    order->waiting.at[order->waiting.len - 1].order = order->next++;
    return NULL;
}

struct lg_error *nettrace_tell(struct lg_nettrace *trace, const struct lg_event *event)
{
    if (!(trace->flags & LG_NETTRACE_IN_ORDER))
        return tell_now(trace, event);
    struct nettrace_order *order = &trace->order;
    size_t stack_size = event->stack_count * 8, at = order->bytes.len;
    size_t size = (stack_size + event->payload_size + 7) & ~(size_t)7;
    if (!lg_vec_reserve((void **)&order->bytes.at, &order->bytes.cap, at + size + 1, 1))
        return &lg_no_memory;
    if (stack_size)
        memcpy(order->bytes.at + at, event->stack, stack_size);
    if (event->payload_size)
        memcpy(order->bytes.at + at + stack_size, event->payload, event->payload_size);
    order->bytes.len += size;
    return wait_for_turn(trace, &(struct nettrace_waiting){
                                    .time = event->time,
                                    .kind = event->kind,
                                    .thread = event->thread,
                                    .capture_thread = event->capture_thread,
                                    .at = at,
                                    .stack_count = (uint32_t)event->stack_count,
                                    .payload_size = (uint32_t)event->payload_size,
                                });
}

struct lg_error *nettrace_tell_loss(struct lg_nettrace *trace, const struct lg_event_loss *loss)
{
    if (trace->flags & LG_NETTRACE_IN_ORDER)
        return wait_for_turn(trace, &(struct nettrace_waiting){ .time = loss->until,
                                                                .thread = loss->thread,
                                                                .capture_thread = loss->count,
                                                                .since = loss->since });
    tell_loss_now(trace, loss);
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    const struct nettrace_waiting *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static struct lg_error *tell_waiting(struct lg_nettrace *trace, const struct nettrace_waiting *w)
{
    if (!w->kind) {
        tell_loss_now(trace, &(struct lg_event_loss){ w->thread, w->capture_thread, w->since, w->time });
        return NULL;
    }
    const uint8_t *bytes = trace->order.bytes.at + w->at;
    struct lg_event event = {
        .kind = w->kind,
        .time = w->time,
        .thread = w->thread,
        .capture_thread = w->capture_thread,
        .payload = bytes + w->stack_count * 8,
        .payload_size = w->payload_size,
        .stack = (const uint64_t *)(const void *)bytes,
        .stack_count = w->stack_count,
    };
    return tell_now(trace, &event);
}

// Moves what the first `told` held out of the way of what still waits.
static void forget(struct nettrace_order *order, size_t told)
{
    size_t left = order->waiting.len - told, from = SIZE_MAX;
    memmove(order->waiting.at, order->waiting.at + told, left * sizeof(*order->waiting.at));
    order->waiting.len = left;
    for (size_t i = 0; i < left; i++) {
        if (order->waiting.at[i].kind && order->waiting.at[i].at < from)
            from = order->waiting.at[i].at;
    }
    if (from == SIZE_MAX)
        from = order->bytes.len;
    if (from == 0 || from < order->bytes.len / 2) // Not worth a move.
        return;
    memmove(order->bytes.at, order->bytes.at + from, order->bytes.len - from);
    order->bytes.len -= from;
    for (size_t i = 0; i < left; i++)
        order->waiting.at[i].at -= order->waiting.at[i].kind ? from : 0;
}

struct lg_error *nettrace_settle(struct lg_nettrace *trace, uint64_t before)
{
    struct nettrace_order *order = &trace->order;
    if (before <= order->settled || !order->waiting.len)
        return NULL;
    order->settled = before == UINT64_MAX ? order->settled : before;
    qsort(order->waiting.at, order->waiting.len, sizeof(*order->waiting.at), by_time);
    size_t told = 0;
    struct lg_error *err = NULL;
    while (!err && told < order->waiting.len
           && (order->waiting.at[told].time < before || before == UINT64_MAX))
        err = tell_waiting(trace, &order->waiting.at[told++]);
    forget(order, told);
    return err;
}
