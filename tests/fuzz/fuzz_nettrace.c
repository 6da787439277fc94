// Any bytes, in any pieces, are an error or events that lie within them; in order or not, the same ones
// are told and the same ones are lost.
#include <stdlib.h>

#include "diag/nettrace.h"
#include "linger/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t events, lost, sum;
};

static struct lg_error *see(void *self, const struct lg_event *event)
{
    struct seen *seen = self;
    seen->events++;
    for (size_t i = 0; i < event->payload_size; i++)
        seen->sum += event->payload[i];
    for (size_t i = 0; i < event->stack_count; i++)
        seen->sum += event->stack[i];
    seen->sum += event->kind->id + event->kind->name[0] + event->kind->provider_name[0];
    char text[16];
    struct lg_reader r = lg_event_payload(event);
    lg_read_wide_text(&r, text, sizeof(text));
    return NULL;
}

static bool run(const uint8_t *data, size_t size, size_t piece, unsigned flags, struct seen *seen)
{
    struct lg_event_handler handler = { .self = seen, .event = see };
    _cleanup_(lg_nettrace_freep) struct lg_nettrace *trace = NULL;
    struct lg_error *err = lg_nettrace_new(&handler, flags, &trace);
    for (size_t at = 0; !err && at < size; at += piece)
        err = lg_nettrace_feed(trace, data + at, size - at < piece ? size - at : piece);
    bool is_valid = !err;
    lg_error_free(err);
    lg_error_free(lg_nettrace_finish(trace));
    if (lg_nettrace_facts(trace)->events != seen->events)
        abort();
    seen->lost = lg_nettrace_facts(trace)->lost;
    return is_valid;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = { 0 }, pieces = { 0 }, ordered = { 0 };
    size_t piece = size ? data[size - 1] + 1u : 1;
    bool is_valid = run(data, size, size + 1, 0, &whole);
    if (run(data, size, piece, 0, &pieces) != is_valid || pieces.events != whole.events
        || pieces.sum != whole.sum || pieces.lost != whole.lost)
        abort();
    if (run(data, size, piece, LG_NETTRACE_IN_ORDER, &ordered) != is_valid)
        abort();
    if (is_valid
        && (ordered.events != whole.events || ordered.sum != whole.sum || ordered.lost != whole.lost))
        abort();
    return 0;
}
