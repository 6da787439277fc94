#include "diag/nettrace_priv.h"

#include <string.h>

void nettrace_stacks_reset(struct nettrace_stacks *stacks)
{
    stacks->ips.len = stacks->stacks.len = stacks->runs.len = 0;
}

// Copies one stack behind the others; addresses of 4 bytes become 8.
static bool add_stack(struct nettrace_stacks *stacks, const uint8_t *bytes, size_t size, size_t pointer)
{
    size_t count = size / pointer, start = stacks->ips.len;
    if (!lg_vec_reserve((void **)&stacks->ips.at, &stacks->ips.cap, start + count + 1, sizeof(uint64_t)))
        return false;
    memset(stacks->ips.at + start, 0, count * sizeof(uint64_t));
    if (pointer == 8) {
        memcpy(stacks->ips.at + start, bytes, count * 8);
    } else {
        for (size_t i = 0; i < count; i++)
            memcpy(stacks->ips.at + start + i, bytes + i * 4, 4);
    }
    stacks->ips.len += count;
    return lg_vec_push(&stacks->stacks, (struct nettrace_stack){ (uint32_t)start, (uint32_t)count });
}

struct lg_error *nettrace_stack_block(struct lg_nettrace *trace, struct lg_reader r)
{
    struct nettrace_stacks *stacks = &trace->stacks;
    uint32_t first = lg_read_u32(&r), count = lg_read_u32(&r);
    size_t pointer = trace->facts.pointer_size;
    if (r.failed || count > lg_reader_left(&r) / 4 || first > UINT32_MAX - count || !pointer)
        return lg_error_new(LG_ERR_CORRUPT, "event stream: a damaged block of stacks");
    const struct nettrace_run *last = stacks->runs.len ? &stacks->runs.at[stacks->runs.len - 1] : NULL;
    if (last && first < last->first + last->count)
        return lg_error_new(LG_ERR_CORRUPT, "event stream: numbers of stacks go backwards");
    struct nettrace_run run = { first, count, (uint32_t)stacks->stacks.len };
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = lg_read_u32(&r);
        const uint8_t *bytes = lg_read_bytes(&r, size);
        if (!bytes || size % pointer)
            return lg_error_new(LG_ERR_CORRUPT, "event stream: a damaged stack");
        if (stacks->ips.len * 8 + stacks->stacks.len * 8 > LG_NETTRACE_REGION_MAX)
            return lg_error_new(LG_ERR_UNSUPPORTED, "event stream: stacks without end");
        if (!add_stack(stacks, bytes, size, pointer))
            return &lg_no_memory;
    }
    return lg_vec_push(&stacks->runs, run) ? NULL : &lg_no_memory;
}

const uint64_t *nettrace_stack(const struct nettrace_stacks *stacks, uint32_t id, size_t *count_ret)
{
    size_t low = 0, high = stacks->runs.len;
    while (low < high) { // The last run that begins at or before it.
        size_t mid = (low + high) / 2;
        if (stacks->runs.at[mid].first <= id)
            low = mid + 1;
        else
            high = mid;
    }
    *count_ret = 0;
    if (low == 0 || id - stacks->runs.at[low - 1].first >= stacks->runs.at[low - 1].count)
        return NULL;
    const struct nettrace_run *run = &stacks->runs.at[low - 1];
    const struct nettrace_stack *stack = &stacks->stacks.at[run->at + (id - run->first)];
    *count_ret = stack->count;
    return stacks->ips.at + stack->start;
}
