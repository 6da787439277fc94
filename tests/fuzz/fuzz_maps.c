// Any text is an error, or ranges in order that do not overlap.
#include <stdlib.h>
#include <string.h>

#include "target/maps.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lg_target target = { 0 };
    struct lg_arena paths = { 0 };
    struct lg_error *err = lg_maps_parse((const char *)data, size, &target, &paths);
    uint64_t reached = 0;
    for (size_t i = 0; i < target.ranges.len; i++) {
        const struct lg_range *range = &target.ranges.at[i];
        if (range->start < reached || range->end <= range->start
            || range->saved > range->end - range->start)
            abort();
        if (!range->path || strlen(range->path) > size)
            abort();
        reached = range->end;
    }
    lg_error_free(err);
    lg_vec_free(&target.ranges);
    lg_arena_free(&paths);
    return 0;
}
