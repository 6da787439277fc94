#include "clr/native_heaps.h"
#include "util/search.h"

bool lg_native_heap_add(struct lg_clr *clr, struct lg_native_heap heap)
{
    return lg_vec_push(&clr->native_heaps, heap);
}

uint64_t lg_committed_bytes(const struct lg_target *target, uint64_t start, uint64_t size)
{
    uint64_t at = start, end = size > UINT64_MAX - start ? UINT64_MAX : start + size;
    while (at < end) {
        const struct lg_range *range = lg_target_find(target, at);
        if (!range || !(range->access & LG_READ))
            break;
        at = range->end;
    }
    return (at < end ? at : end) - start;
}

// The first range that ends behind `address`.
static size_t first_after(const struct lg_target *target, uint64_t address)
{
    return lg_first_not(target->ranges.len, i, target->ranges.at[i].end <= address);
}

uint64_t lg_readable_bytes(const struct lg_target *target, uint64_t start, uint64_t size)
{
    uint64_t end = size > UINT64_MAX - start ? UINT64_MAX : start + size, bytes = 0;
    for (size_t i = first_after(target, start); i < target->ranges.len; i++) {
        const struct lg_range *range = &target->ranges.at[i];
        if (range->start >= end)
            break;
        uint64_t from = range->start > start ? range->start : start;
        uint64_t to = range->end < end ? range->end : end;
        bytes += range->access & LG_READ ? to - from : 0;
    }
    return bytes;
}

struct lg_error *lg_clr_native_heaps(struct lg_clr *clr, const struct lg_native_heap **ret,
                                     size_t *count_ret)
{
    static const struct {
        struct lg_error *(*read)(struct lg_clr *clr);
        const char *what;
    } parts[] = { { lg_loader_heaps_read, "Loader heaps are" },
                  { lg_code_heaps_read, "JIT code heaps are" },
                  { lg_gc_native_heaps_read, "Memory that the GC keeps beside its heap is" } };
    for (size_t i = 0; !clr->native_heaps_read && i < sizeof(parts) / sizeof(*parts); i++) {
        size_t before = clr->native_heaps.len;
        struct lg_error *err = parts[i].read(clr);
        if (err && lg_error_kind(err) == LG_ERR_NO_MEMORY)
            return err;
        if (!err)
            continue;
        clr->native_heaps.len = before; // Half a part would be a wrong sum.
        lg_target_note(clr->target, "%s unknown: %s.", parts[i].what, lg_error_message(err));
        lg_error_free(err);
    }
    clr->native_heaps_read = true;
    *ret = clr->native_heaps.at;
    *count_ret = clr->native_heaps.len;
    return NULL;
}
