#include "target/uncopied.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "target/maps.h"
#include "target/proc.h"
#include "util/error.h"

struct missing {
    size_t ranges;
    uint64_t bytes, first;
};

static bool is_missing(const struct lg_target *copy, const struct lg_range *range)
{
    return range->saved > 0 && range->access & LG_READ && !lg_target_find(copy, range->start);
}

// What was unmapped meanwhile is missing too, so this alone proves nothing; but it is cheap.
static bool may_lack_some(const struct lg_target *copy, const struct lg_target *before)
{
    for (size_t i = 0; i < before->ranges.len; i++) {
        if (is_missing(copy, &before->ranges.at[i]))
            return true;
    }
    return false;
}

// Flags are words of two letters; "dc" is VM_DONTCOPY (torvalds/linux fs/proc/task_mmu.c @00c65c8,
// show_smap_vma_flags).
static bool is_kept_back(const char *flags, size_t len)
{
    return memmem(flags, len, " dc", 3) != NULL;
}

static void add(const struct lg_target *copy, const struct lg_range *range, struct missing *ret)
{
    if (!is_missing(copy, range))
        return;
    if (ret->ranges++ == 0)
        ret->first = range->start;
    ret->bytes += range->end - range->start;
}

// Headers of smaps are lines of maps; the lines that follow begin with a capital.
static void find(const struct lg_target *copy, int proc, const struct lg_target *before,
                 struct missing *ret)
{
    size_t len;
    _cleanup_free_ char *text = lg_proc_read_all(proc, "smaps", &len);
    struct lg_arena paths = { 0 };
    struct lg_maps_line header = { .inode = 0 };
    for (const char *line = text, *end = line + len; text && line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((newline ? newline : end) - line);
        bool is_flags = length > 8 && memcmp(line, "VmFlags:", 8) == 0;
        if (is_flags && is_kept_back(line + 8, length - 8) && lg_target_find(before, header.range.start))
            add(copy, &header.range, ret);
        if (*line < 'A' || *line > 'Z')
            lg_error_free(lg_maps_parse_line(line, length, &paths, &header));
        line = newline ? newline + 1 : end;
    }
    lg_arena_free(&paths);
}

void lg_uncopied_note(struct lg_target *copy, int proc, const struct lg_target *before)
{
    struct missing missing = { 0 };
    if (may_lack_some(copy, before))
        find(copy, proc, before, &missing);
    if (missing.ranges > 0)
        lg_target_note(copy,
                       "%" PRIu64 " KiB in %zu mapping%s, the first at %#" PRIx64
                       ", are missing: the process keeps them from its copies (MADV_DONTFORK)",
                       missing.bytes >> 10, missing.ranges, missing.ranges == 1 ? "" : "s",
                       missing.first);
}
