#include "heap/gcdesc.h"

#include <stdlib.h>
#include <string.h>

#include "util/error.h"

// The widest class seen in a web service has 40 series; a class of 64 Ki fields would have no more than
// this.
enum { RUNS_MAX = 1 << 16 };

static struct lg_error *damaged(const struct lg_type *type, const char *what)
{
    return lg_error_new(LG_ERR_CORRUPT, "GCDesc of method table 0x%llx: %s",
                        (unsigned long long)type->mt, what);
}

static struct lg_error *read_series(struct lg_target *target, const struct lg_type *type,
                                    struct gc_desc *desc)
{
    size_t len = desc->runs * (size_t)16;
    _cleanup_free_ int64_t *raw = malloc(len);
    if (!raw)
        return &lg_no_memory;
    if (!lg_target_read_all(target, type->mt - 8 - len, raw, len))
        return damaged(type, "series are not readable");
    // The last in memory is the first: ascending offsets from the end of the table downwards.
    for (uint32_t i = 0; i < desc->runs; i++) {
        desc->run[i].length = raw[2 * i];
        desc->run[i].offset = raw[2 * i + 1];
        if (desc->run[i].length % 8 != 0 || desc->run[i].offset % 8 != 0)
            return damaged(type, "a series is not aligned");
    }
    return NULL;
}

static struct lg_error *read_items(struct lg_target *target, const struct lg_type *type,
                                   struct gc_desc *desc)
{
    size_t len = desc->runs * (size_t)8;
    _cleanup_free_ uint32_t *raw = malloc(len);
    if (!raw)
        return &lg_no_memory;
    if (!lg_target_u64(target, type->mt - 16, &desc->first)
        || !lg_target_read_all(target, type->mt - 16 - len, raw, len))
        return damaged(type, "items are not readable");
    desc->repeats = true;
    for (uint32_t i = 0; i < desc->runs; i++) {
        const uint32_t *item = raw + 2 * (desc->runs - 1 - i); // Item i lies at MT - 24 - 8 i.
        desc->run[i].count = item[0];
        desc->run[i].skip = item[1];
        if (item[1] % 8 != 0)
            return damaged(type, "an item is not aligned");
        desc->element += item[0] * UINT64_C(8) + item[1];
    }
    return desc->element == 0 || desc->first % 8 != 0 ? damaged(type, "elements make no sense") : NULL;
}

// Lists the slots of a class, if there are few; leaves `slot_count` 0 otherwise.
static void list_slots(const struct lg_type *type, struct gc_desc *desc)
{
    struct gc_cursor cursor = { 0 };
    uint64_t offset, end;
    uint32_t count = 0;
    if (type->component_size != 0 || type->base_size > UINT16_MAX)
        return;
    while (gc_desc_next(desc, type->base_size, &cursor, &offset, &end)) {
        for (; offset + 8 <= end; offset += 8) {
            if (count == GC_SLOTS)
                return;
            desc->slots[count++] = (uint16_t)offset;
        }
    }
    desc->slot_count = count;
}

struct lg_error *gc_desc_read(struct lg_target *target, const struct lg_type *type, struct gc_desc **ret)
{
    *ret = NULL;
    if (!(type->flags & LG_TYPE_REFERENCES))
        return NULL;
    uint64_t word;
    if (!lg_target_u64(target, type->mt - 8, &word))
        return damaged(type, "not readable");
    int64_t series = (int64_t)word;
    if (series == 0 || series > RUNS_MAX || series < -RUNS_MAX)
        return damaged(type, "absurd number of series");
    uint32_t runs = (uint32_t)(series < 0 ? -series : series);
    // Nothing is allocated for more than there is.
    uint64_t lowest = type->mt - (series < 0 ? 16 + UINT64_C(8) * runs : 8 + UINT64_C(16) * runs);
    if (!lg_target_u64(target, lowest, &word))
        return damaged(type, "cut short");
    _cleanup_free_ struct gc_desc *desc = calloc(1, sizeof(*desc) + runs * sizeof(struct gc_run));
    if (!desc)
        return &lg_no_memory;
    desc->runs = runs;
    struct lg_error *err = series > 0 ? read_series(target, type, desc) : read_items(target, type, desc);
    if (!err)
        list_slots(type, desc);
    if (!err)
        *ret = lg_steal(desc);
    return err;
}
