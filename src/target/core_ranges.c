// Segments and mapped files of a core, made into ranges.
#include <stdlib.h>

#include "target/core_priv.h"

// Both tables begin with start and end.
struct extent {
    uint64_t start, end;
};

static int by_start(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    return x->start != y->start ? (x->start > y->start) - (x->start < y->start)
                                : (x->end < y->end) - (x->end > y->end);
}

// Of overlapping entries the one that starts first keeps its place; what is left of another, if
// anything, comes after it. Returns how many bytes were in dispute.
static uint64_t cut_segments(struct lg_core *core)
{
    uint64_t end = 0, cut = 0;
    size_t kept = 0;
    for (size_t i = 0; i < core->segments.len; i++) {
        struct lg_core_segment segment = core->segments.at[i];
        uint64_t skip = segment.start < end ? end - segment.start : 0;
        cut += skip < segment.end - segment.start ? skip : segment.end - segment.start;
        if (skip >= segment.end - segment.start)
            continue;
        uint64_t saved = skip < segment.saved ? skip : segment.saved;
        segment.start += skip;
        segment.saved -= saved;
        segment.offset += saved;
        core->segments.at[kept++] = segment;
        end = segment.end;
    }
    core->segments.len = kept;
    return cut;
}

static void cut_files(struct lg_core *core)
{
    uint64_t end = 0;
    size_t kept = 0;
    for (size_t i = 0; i < core->files.len; i++) {
        struct lg_core_file file = core->files.at[i];
        if (file.end <= end)
            continue;
        if (file.start < end) {
            file.offset += end - file.start;
            file.start = end;
        }
        core->files.at[kept++] = file;
        end = file.end;
    }
    core->files.len = kept;
}

static bool add_range(struct lg_core *core, uint64_t start, uint64_t end,
                      struct lg_core_segment *segment, struct lg_core_file *file)
{
    struct lg_range range = { .start = start, .end = end, .path = "" };
    struct lg_core_part part = { 0, LG_NONE, LG_NONE, LG_NONE };
    if (segment) {
        uint64_t skip = start - segment->start;
        uint64_t left = skip < segment->saved ? segment->saved - skip : 0;
        range.saved = left < end - start ? left : end - start;
        range.access = segment->access;
        part.segment = (uint32_t)(segment - core->segments.at);
        part.offset = segment->offset + (skip < segment->saved ? skip : segment->saved);
    }
    if (file) {
        range.path = file->path;
        range.offset = file->offset + (start - file->start);
        part.file = (uint32_t)(file - core->files.at);
        if (segment)
            file->access = segment->access;
    }
    return lg_vec_push(&core->target.ranges, range) && lg_vec_push(&core->parts, part);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// A sweep over both tables: each step makes a range up to the next start or end of either.
static bool sweep(struct lg_core *core)
{
    uint64_t pos = 0;
    size_t s = 0, f = 0;
    for (;;) {
        struct lg_core_segment *segment = s < core->segments.len ? &core->segments.at[s] : NULL;
        struct lg_core_file *file = f < core->files.len ? &core->files.at[f] : NULL;
        if (!segment && !file)
            return true;
        uint64_t next = least(segment ? segment->start : UINT64_MAX, file ? file->start : UINT64_MAX);
        pos = pos < next ? next : pos;
        bool in_segment = segment && pos >= segment->start, in_file = file && pos >= file->start;
        uint64_t end = least(segment ? in_segment ? segment->end : segment->start : UINT64_MAX,
                             file ? in_file ? file->end : file->start : UINT64_MAX);
        if (!add_range(core, pos, end, in_segment ? segment : NULL, in_file ? file : NULL))
            return false;
        pos = end;
        s += segment && pos >= segment->end;
        f += file && pos >= file->end;
    }
}

bool lg_core_make_ranges(struct lg_core *core)
{
    qsort(core->segments.at, core->segments.len, sizeof(*core->segments.at), by_start);
    if (core->files.len)
        qsort(core->files.at, core->files.len, sizeof(*core->files.at), by_start);
    uint64_t cut = cut_segments(core);
    cut_files(core);
    if (cut > 0)
        lg_target_note(&core->target, "segments of the core overlap by %zu bytes: the first one counts",
                       (size_t)cut);
    if (!sweep(core))
        return false;
    // What createdump left out of a mapping has the rights of the rest of it.
    for (size_t i = 0; i < core->parts.len; i++) {
        const struct lg_core_part *part = &core->parts.at[i];
        if (part->segment == LG_NONE)
            core->target.ranges.at[i].access = core->files.at[part->file].access;
    }
    return true;
}
