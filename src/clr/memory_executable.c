// The executable allocator's memory: with W^X (the default since .NET 7) one file in memory, of which
// each part is mapped where its owner uses it, and for the moment of writing a second time elsewhere
// (dotnet/runtime src/coreclr/utilcode/executableallocator.cpp @0066e2e).
//
//     memfd:doublemapper    |   A   |     B     | C |
//     r-x, at home           ^code heap          ^?       claimed by who owns it, or nobody known
//     rw-, a second time         ^writable mapping of B: the same pages again
//
// So a writable mapping of a part that is mapped elsewhere too is a second one.
#include <string.h>

#include "clr/memory_priv.h"

static bool is_doublemapped(const struct lg_range *range)
{
    return strncmp(range->path, "/memfd:doublemapper", 19) == 0;
}

enum { STUB_PAGE = 0x4000 };
#define OTHER_STUBS "call counting and other heaps"

// A mapping as a part of the file.
struct part {
    uint64_t start, end; // In the file.
    const struct lg_range *range;
    bool is_owned;
};
struct parts {
    struct part *at;
    size_t len, cap;
};

// Cuts a mapping where owners begin and end.
static bool add_parts(const struct lg_memory *memory, const struct lg_range *range, struct parts *parts)
{
    for (uint64_t at = range->start; at < range->end;) {
        const struct lg_memory_range *owner = lg_memory_after(memory, at);
        uint64_t end = range->end;
        if (owner && owner->start > at) {
            end = owner->start < end ? owner->start : end;
            owner = NULL;
        } else if (owner && owner->end < end) {
            end = owner->end;
        }
        uint64_t offset = range->offset + (at - range->start);
        struct part part = { offset, offset + (end - at), range, owner != NULL };
        if (!lg_vec_push(parts, part))
            return false;
        at = end;
    }
    return true;
}

static int by_offset(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    // What is owned first, then what is not writable: the one behind is the second mapping.
    if (x->is_owned != y->is_owned)
        return x->is_owned ? -1 : 1;
    return (int)(x->range->access & LG_WRITE) - (int)(y->range->access & LG_WRITE);
}

// Stubs come in pairs of 16 KiB, code and behind it its data, whose distance is in the code
// (inc/loaderheap.h @0262fca, interleaved heaps). Not all of these heaps are led to by anything: those
// of call counting, for instance. Without W^X they are private memory, and of one size all the same.
static bool is_pair(const struct lg_range *code, const struct lg_range *data)
{
    return code && data && code->end == data->start && is_doublemapped(code) == is_doublemapped(data)
           && (is_doublemapped(code) || (!*code->path && !*data->path && code->access & LG_WRITE))
           && code->access & LG_EXECUTE && !(data->access & LG_EXECUTE) && data->access & LG_WRITE
           && code->end - code->start == data->end - data->start
           && (code->end - code->start) % STUB_PAGE == 0;
}

static bool is_stub_page(const struct lg_target *target, const struct lg_range *range)
{
    return is_pair(range, lg_target_find(target, range->end))
           || is_pair(lg_target_find(target, range->start - 1), range);
}

static bool claim_part(struct lg_clr *clr, const struct part *part, bool second)
{
    uint64_t start = part->range->start + (part->start - part->range->offset);
    uint64_t end = start + (part->end - part->start);
    if (second)
        return lg_memory_claim(clr->memory, start, end, LG_MEMORY_JIT_WRITABLE,
                               "writable mapping of executable memory");
    if (is_stub_page(clr->target, part->range))
        return lg_memory_claim(clr->memory, start, end, LG_MEMORY_STUBS, OTHER_STUBS);
    return lg_memory_claim(clr->memory, start, end, LG_MEMORY_EXECUTABLE,
                           "executable allocator, owner unknown");
}

// The file's parts in order: one that is writable and lies within what was mapped before it is a second
// mapping.
static bool claim_parts(struct lg_clr *clr, const struct parts *parts)
{
    uint64_t mapped = 0;
    for (size_t i = 0; i < parts->len; i++) {
        const struct part *part = &parts->at[i];
        bool second = part->range->access & LG_WRITE && part->start < mapped;
        if (!part->is_owned && !claim_part(clr, part, second))
            return false;
        mapped = part->end > mapped ? part->end : mapped;
    }
    return true;
}

// Pairs of stub pages in private memory.
static bool claim_private(struct lg_clr *clr, const struct lg_range *range)
{
    const struct lg_memory_range *owner = lg_memory_after(clr->memory, range->start);
    if ((owner && owner->start < range->end) || !is_stub_page(clr->target, range))
        return true;
    return lg_memory_claim(clr->memory, range->start, range->end, LG_MEMORY_STUBS, OTHER_STUBS);
}

struct lg_error *lg_memory_claim_executable(struct lg_clr *clr)
{
    struct parts parts = { 0 };
    bool ok = true;
    for (size_t i = 0; ok && i < clr->target->ranges.len; i++) {
        const struct lg_range *range = &clr->target->ranges.at[i];
        if (is_doublemapped(range) && range->access & (LG_READ | LG_WRITE | LG_EXECUTE))
            ok = add_parts(clr->memory, range, &parts);
        else if (!*range->path)
            ok = claim_private(clr, range);
    }
    if (parts.len > 1)
        qsort(parts.at, parts.len, sizeof(*parts.at), by_offset);
    ok = ok && claim_parts(clr, &parts);
    free(parts.at);
    return ok ? NULL : &lg_no_memory;
}
