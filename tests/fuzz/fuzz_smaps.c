// Any text is an error, or mappings in order that do not overlap, whose amounts are whole KiB and no
// more than what they are parts of.
#include <stdlib.h>
#include <string.h>

#include "picture/picture.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct lg_mapping *mapping, size_t size)
{
    const struct lg_amounts *sum = &mapping->sum;
    if (mapping->end <= mapping->start || !mapping->path || strlen(mapping->path) > size)
        abort();
    if (sum->resident % 1024 || sum->swapped % 1024 || sum->locked > sum->resident)
        abort();
    if (!sum->split_unknown && sum->own + sum->shareable + sum->shared != sum->resident)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lg_mappings mappings = { 0 };
    struct lg_error *err = lg_smaps_parse((const char *)data, size, &mappings);
    uint64_t reached = 0;
    for (size_t i = 0; i < mappings.all.len; i++) {
        if (mappings.all.at[i].start < reached)
            abort();
        reached = mappings.all.at[i].end;
        check(&mappings.all.at[i], size);
    }
    lg_error_free(err);
    lg_mappings_deinit(&mappings);
    return 0;
}
