// What the .NET runtime in a process owns.
#include <string.h>

#include "clr/memory.h"
#include "picture/picture_priv.h"

static const struct {
    enum lg_category category;
    const char *kind;
} kinds[LG_MEMORY_KINDS] = {
    [LG_MEMORY_GEN0] = { LG_HEAP, "GC heap" },
    [LG_MEMORY_GEN1] = { LG_HEAP, "GC heap" },
    [LG_MEMORY_GEN2] = { LG_HEAP, "GC heap" },
    [LG_MEMORY_LOH] = { LG_HEAP, "GC heap" },
    [LG_MEMORY_POH] = { LG_HEAP, "GC heap" },
    [LG_MEMORY_FOH] = { LG_HEAP, "GC heap" },
    [LG_MEMORY_GC_FREE] = { LG_HEAP, "GC committed, free" },
    [LG_MEMORY_GC_BOOKKEEPING] = { LG_OTHER_DATA, "GC bookkeeping" },
    [LG_MEMORY_HANDLE_TABLE] = { LG_OTHER_DATA, "handle table" },
    [LG_MEMORY_LOADER_HEAP] = { LG_OTHER_DATA, "loader heap" },
    [LG_MEMORY_STUBS] = { LG_OTHER_DATA, "stubs" },
    [LG_MEMORY_JIT_CODE] = { LG_OTHER_DATA, "JIT code" },
    [LG_MEMORY_JIT_WRITABLE] = { LG_OTHER_DATA, "JIT code, writable mapping" },
    [LG_MEMORY_EVENTPIPE] = { LG_OTHER_DATA, "EventPipe buffers" },
    [LG_MEMORY_EXECUTABLE] = { LG_OTHER_DATA, "executable memory" },
};

// "GC heap gen2", "loader heap LowFrequencyHeap", "JIT code".
static const char *row_name(struct lg_making *making, const struct lg_memory_range *range)
{
    const char *kind = kinds[range->kind].kind;
    if (range->kind <= LG_MEMORY_FOH)
        return lg_making_format(making, "%s %s", kind, lg_memory_kind_name(range->kind));
    if (range->kind != LG_MEMORY_LOADER_HEAP && range->kind != LG_MEMORY_STUBS)
        return kind;
    const char *of = range->name ? strstr(range->name, " of ") : NULL;
    size_t len = of ? (size_t)(of - range->name) : range->name ? strlen(range->name) : 0;
    return lg_making_format(making, "%s %.*s", kind, (int)len, range->name ? range->name : "");
}

void lg_claim_runtime(struct lg_making *making)
{
    const struct lg_memory_range *ranges;
    size_t count;
    if (!making->clr)
        return;
    struct lg_error *err = lg_clr_memory(making->clr, &ranges, &count);
    if (err) {
        lg_picture_note(making->picture, "which memory is the runtime's is unknown: %s",
                        lg_error_message(err));
        lg_error_free(err);
        return;
    }
    const struct lg_page_owner *owner = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct lg_memory_range *range = &ranges[i];
        if (range->kind >= LG_MEMORY_KINDS)
            continue;
        bool is_same = i > 0 && ranges[i - 1].kind == range->kind && ranges[i - 1].name == range->name;
        if (!is_same || !owner)
            owner =
                lg_owner_new(making, &(struct lg_page_owner){ .category = kinds[range->kind].category,
                                                              .kind = kinds[range->kind].kind,
                                                              .name = row_name(making, range) });
        lg_making_claim(making, range->start, range->end, owner);
    }
    lg_making_settle(making);
}
