// What the writer of a core left out on purpose, and what would have kept it.
//
// The kernel, and gdb's gcore with it, go by /proc/PID/coredump_filter (core(5)): a bit for each kind of
// mapping. Bit 0, private anonymous memory, has the heap and the runtime's variables in it; bit 1,
// shared anonymous memory, the method tables, which .NET keeps in an unlinked file to map them twice.
// What the other bits leave out is in files on disk, which overlay.c looks for.
#include <stdio.h>
#include <string.h>

#include "target/core_priv.h"

struct kind {
    uint64_t there, saved;
};

static void count(struct kind *kind, const struct lg_range *range)
{
    kind->there += range->end - range->start;
    kind->saved += range->saved;
}

static bool is_absent(const struct kind *kind)
{
    return kind->there > 0 && kind->saved == 0;
}

// An unlinked file is anonymous for the kernel (torvalds/linux fs/coredump.c, vma_dump_size).
static bool is_unlinked(const char *path)
{
    static const char mark[] = " (deleted)";
    size_t len = strlen(path), mark_len = sizeof(mark) - 1;
    return len > mark_len && strcmp(path + len - mark_len, mark) == 0;
}

bool lg_core_find_lacks(struct lg_core *core)
{
    struct kind private_memory = { 0 }, shared_memory = { 0 };
    if (!core->saves_changes)
        return true;
    for (size_t i = 0; i < core->target.ranges.len; i++) {
        const struct lg_range *range = &core->target.ranges.at[i];
        if (!range->path[0] && range->access & LG_WRITE)
            count(&private_memory, range);
        else if (is_unlinked(range->path) && range->access)
            count(&shared_memory, range);
    }
    bool no_private = is_absent(&private_memory), no_shared = is_absent(&shared_memory);
    const char *what = no_private && no_shared ? "private and shared anonymous memory (bits 0 and 1"
                       : no_private            ? "private anonymous memory (bit 0"
                       : no_shared             ? "shared anonymous memory (bit 1"
                                               : NULL;
    return !what
           || asprintf(&core->target.lacks,
                       "%s of /proc/PID/coredump_filter, whose default 0x33 keeps it)", what)
                  >= 0;
}
