// Any stream of events: what is followed of it lies where it says, each sample is counted once, and no
// code is named that is not around its address. Bytes that are no stream are a list of events, each a
// provider and id, a thread, how much later it is, and its payload.
#include <stdlib.h>
#include <string.h>

#include "collect/allocations.h"
#include "collect/code_seen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct both {
    struct lg_allocations all;
    struct lg_codes codes;
};

static enum lg_thread_sort thread_sort(void *data, uint64_t thread)
{
    return (enum lg_thread_sort)(thread % 3);
}

static struct lg_error *take(void *self, const struct lg_event *event)
{
    struct both *both = self;
    struct lg_error *err = lg_codes_event(&both->codes, event);
    return err ? err : lg_allocations_event(&both->all, event);
}

static void lose(void *self, const struct lg_event_loss *loss)
{
    struct both *both = self;
    lg_codes_lost(&both->codes, loss);
    lg_allocations_lost(&both->all, loss);
}

static void follow_stream(struct both *both, const uint8_t *data, size_t size)
{
    const struct lg_event_handler handler = { both, take, lose };
    _cleanup_(lg_nettrace_freep) struct lg_nettrace *trace = NULL;
    struct lg_error *err = lg_nettrace_new(&handler, LG_NETTRACE_IN_ORDER, &trace);
    if (!err)
        err = lg_nettrace_feed(trace, data, size);
    lg_error_free(err);
    if (trace)
        lg_error_free(lg_nettrace_finish(trace));
}

static void follow_list(struct both *both, const uint8_t *data, size_t size)
{
    static const uint32_t ids[] = { 1, 2, 10, 21, 22, 23, 303, 141, 142, 143, 144, 150, 154, 0, 1, 2 };
    static const uint64_t stack[] = { 0x1010, 0x1020, 0x2010 };
    struct lg_reader r = lg_reader(data, size);
    uint64_t time = 0;
    while (lg_reader_left(&r) >= 4) {
        uint8_t what = lg_read_u8(&r), thread = lg_read_u8(&r), later = lg_read_u8(&r);
        size_t len = lg_read_u8(&r);
        len = len < lg_reader_left(&r) ? len : lg_reader_left(&r);
        uint64_t since = time;
        time += later;
        if (ids[what & 15] == 0) {
            lose(both, &(struct lg_event_loss){ thread, 1, since, time });
            continue;
        }
        const struct lg_event_kind kind = {
            .provider = what & 16 ? LG_PROVIDER_RUNDOWN : LG_PROVIDER_RUNTIME,
            .id = ids[what & 15],
            .version = what >> 5,
        };
        const struct lg_event event = {
            .kind = &kind,
            .time = time,
            .thread = thread,
            .capture_thread = thread,
            .payload = lg_read_bytes(&r, len),
            .payload_size = len,
            .stack = stack,
            .stack_count = thread & 3,
        };
        lg_error_free(take(both, &event));
    }
}

static void check(struct both *both)
{
    const struct lg_allocations *all = &both->all;
    for (size_t i = 1; i < all->live.len; i++) {
        if (all->live.at[i - 1].address >= all->live.at[i].address)
            abort();
    }
    uint64_t origins = 0, gone = all->dropped_lost + all->dropped_missing + all->dropped_confused
                                 + all->dropped_background + all->dropped_window + all->dropped_origins;
    if (all->live.len + gone + all->dead > all->samples)
        abort();
    for (size_t i = 0; i < all->origins.len; i++) {
        const struct lg_alloc_origin *origin = &all->origins.at[i];
        origins += origin->samples;
        for (uint32_t n = 0; n < origin->stack_count; n++) {
            uint64_t ip = all->ips.at[origin->stack + n];
            const struct lg_code_seen *code =
                lg_codes_find(&both->codes, ip, origin->first, origin->last);
            if (code && (ip <= code->start || ip - code->start > code->size || !code->name))
                abort();
            if (code)
                lg_codes_il(&both->codes, code, ip);
        }
    }
    if (origins + all->dropped_origins != all->samples)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct both both = { .all = { .thread_sort = thread_sort, .window_start = UINT64_MAX } };
    both.all.window_end = UINT64_MAX;
    if (size > 2 && data[0] == 'W') { // A copy was made then.
        lg_allocations_set_window(&both.all, data[1], (uint64_t)data[1] + data[2]);
        data += 3;
        size -= 3;
    }
    if (size > 8 && memcmp(data, "Nettrace", 8) == 0)
        follow_stream(&both, data, size);
    else
        follow_list(&both, data, size);
    lg_allocations_finish(&both.all);
    check(&both);
    lg_allocations_deinit(&both.all);
    lg_codes_deinit(&both.codes);
    return 0;
}
