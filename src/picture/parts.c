// Cuts mappings into parts, and counts the pages of each.
//
// A mapping that is all one owner's has the kernel's own sums. Of another the pages are looked at one by
// one, as far as its owners differ in what is asked for.
#include <string.h>

#include "picture/pages.h"
#include "picture/picture_priv.h"

static bool is_same(const struct lg_making *making, const struct lg_page_owner *a,
                    const struct lg_page_owner *b)
{
    if (a == b)
        return true;
    if (!a || !b)
        return false;
    return !making->detail && a->category == b->category && strcmp(a->kind, b->kind) == 0;
}

static uint64_t to_page(const struct lg_picture *picture, uint64_t address)
{
    return address / picture->page_size * picture->page_size;
}

// Appends, or makes the last one longer.
static void add_part(struct lg_making *making, size_t first, uint32_t mapping, uint64_t start,
                     uint64_t end, const struct lg_page_owner *owner)
{
    struct lg_picture *picture = making->picture;
    struct lg_part *last =
        picture->parts.len > first ? &picture->parts.at[picture->parts.len - 1] : NULL;
    if (start >= end)
        return;
    if (last && is_same(making, last->owner, owner)) {
        last->end = end;
        return;
    }
    struct lg_part part = { .start = start, .end = end, .mapping = mapping, .owner = owner };
    if (!owner || !lg_vec_push(&picture->parts, part))
        making->out_of_memory = true;
}

// Claims begin and end anywhere: a page is whose most of it is, as near as one rounding tells.
static void cut(struct lg_making *making, size_t *claim, uint32_t index, size_t first)
{
    const struct lg_mapping *mapping = &making->picture->mappings.all.at[index];
    const struct lg_page_owner *rest = lg_owner_of_mapping(making, mapping);
    uint64_t half = making->picture->page_size / 2, pos = mapping->start;
    const struct lg_claims *claims = &making->claims;
    while (*claim < claims->all.len && claims->all.at[*claim].end <= mapping->start)
        ++*claim;
    for (size_t i = *claim; i < claims->all.len && claims->all.at[i].start < mapping->end; i++) {
        const struct lg_claim *c = &claims->all.at[i];
        uint64_t start = to_page(making->picture, c->start + half);
        uint64_t end = c->end > mapping->end ? mapping->end : to_page(making->picture, c->end + half);
        start = start > pos ? start : pos;
        end = end < mapping->end ? end : mapping->end;
        if (end <= start)
            continue;
        add_part(making, first, index, pos, start, rest);
        add_part(making, first, index, start, end, c->owner);
        pos = end;
    }
    add_part(making, first, index, pos, mapping->end, rest);
}

struct counting {
    struct lg_part *parts;
    size_t count, at;
};

// Runs ascend, and so do parts.
static bool count_run(void *data, uint64_t start, uint64_t end, bool swapped)
{
    struct counting *counting = data;
    start = start > counting->parts->start ? start : counting->parts->start;
    while (start < end && counting->at < counting->count) {
        struct lg_part *part = &counting->parts[counting->at];
        uint64_t stop = part->end < end ? part->end : end;
        if (stop > start && swapped)
            part->sum.swapped += stop - start;
        else if (stop > start)
            part->sum.resident += stop - start;
        start = stop > start ? stop : start;
        counting->at += start >= part->end;
    }
    return true;
}

static void count_runs(const struct lg_sight *sight, const struct lg_mapping *mapping,
                       struct counting *counting)
{
    for (size_t i = lg_sight_run(sight, mapping->start); i < sight->runs.len; i++) {
        const struct lg_page_run *run = &sight->runs.at[i];
        if (run->start >= mapping->end)
            return;
        count_run(counting, run->start, run->end, run->swapped);
    }
}

// A core holds the first so many bytes of a range.
static void count_saved(const struct lg_mapping *mapping, struct counting *counting)
{
    count_run(counting, mapping->start, mapping->start + mapping->sum.resident, false);
}

static void count_words(const struct lg_picture *picture, const uint64_t *words,
                        const struct lg_mapping *mapping, struct lg_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (uint64_t at = parts[i].start; at < parts[i].end; at += picture->page_size)
            lg_pages_add(&parts[i].sum, words[(at - mapping->start) / picture->page_size],
                         picture->page_size);
    }
}

// What was only counted as resident is of the one sort that all pages of the mapping are of.
static void sort_out(const struct lg_mapping *mapping, struct lg_part *part)
{
    const struct lg_amounts *all = &mapping->sum;
    if (all->shared == all->resident)
        part->sum.shared = part->sum.resident;
    else if (!all->split_unknown && all->shared == 0 && all->shareable == 0)
        part->sum.own = part->sum.resident;
    else if (!all->split_unknown && all->shared == 0 && all->own == 0)
        part->sum.shareable = part->sum.resident;
    else
        part->sum.split_unknown = part->sum.resident > 0;
}

// Pagemap has the zero page in it, which smaps does not count, and older kernels do not tell it from
// others; and where it could not be read there is nothing. What is too much or too little is the biggest
// part's.
static void settle_difference(struct lg_making *making, const struct lg_mapping *mapping,
                              struct lg_part *parts, size_t count)
{
    uint64_t resident = 0, swapped = 0;
    struct lg_part *biggest = parts;
    for (size_t i = 0; i < count; i++) {
        resident += parts[i].sum.resident;
        swapped += parts[i].sum.swapped;
        if (parts[i].sum.resident > biggest->sum.resident
            || (resident == 0 && parts[i].end - parts[i].start > biggest->end - biggest->start))
            biggest = &parts[i];
    }
    uint64_t others = resident - biggest->sum.resident;
    if (resident != mapping->sum.resident) {
        making->differences++;
        making->difference += resident > mapping->sum.resident ? resident - mapping->sum.resident
                                                               : mapping->sum.resident - resident;
    }
    if (resident != mapping->sum.resident && others <= mapping->sum.resident) {
        biggest->sum = (struct lg_amounts){ .resident = mapping->sum.resident - others,
                                            .swapped = biggest->sum.swapped,
                                            .split_unknown = true };
    } else if (resident != mapping->sum.resident) {
        for (size_t i = 0; i < count; i++)
            parts[i].sum = (struct lg_amounts){ 0 };
        biggest->sum = mapping->sum;
        biggest->sum.locked = 0;
    }
    uint64_t swapped_others = swapped - biggest->sum.swapped;
    if (swapped != mapping->sum.swapped && swapped_others <= mapping->sum.swapped)
        biggest->sum.swapped = mapping->sum.swapped - swapped_others;
}

static void count_pages(struct lg_making *making, int pagemap, struct lg_part *parts, size_t count)
{
    struct lg_picture *picture = making->picture;
    const struct lg_mapping *mapping = &picture->mappings.all.at[parts->mapping];
    const uint64_t *words = lg_sight_words(making->sight, parts->mapping);
    struct counting counting = { parts, count, 0 };
    if (count == 1) {
        parts->sum = mapping->sum;
        return;
    }
    if (mapping->sum.resident == 0 && mapping->sum.swapped == 0)
        return;
    bool has_runs = making->sight && making->sight->has_runs && lg_mapping_is_anonymous(mapping);
    if (words)
        count_words(picture, words, mapping, parts, count);
    else if (has_runs)
        count_runs(making->sight, mapping, &counting);
    else if (picture->is_core)
        count_saved(mapping, &counting);
    else if (pagemap >= 0)
        lg_pages_each(pagemap, mapping->start, mapping->end, picture->page_size, count_run, &counting);
    for (size_t i = 0; !words && i < count; i++)
        sort_out(mapping, &parts[i]);
    settle_difference(making, mapping, parts, count);
    for (size_t i = 0; mapping->sum.locked > 0 && i < count; i++)
        parts[i].sum.locked = parts[i].sum.resident;
}

void lg_parts_make(struct lg_making *making)
{
    struct lg_picture *picture = making->picture;
    size_t claim = 0;
    for (size_t i = 0; i < picture->mappings.all.len && !making->out_of_memory; i++) {
        size_t first = picture->parts.len;
        cut(making, &claim, (uint32_t)i, first);
        if (picture->parts.len > first && !making->out_of_memory)
            count_pages(making, making->pagemap, &picture->parts.at[first], picture->parts.len - first);
    }
    if (making->differences > 0)
        lg_picture_note(
            picture,
            "pagemap and smaps differ by %zu KiB in %zu mappings of several owners: the biggest "
            "owner of each has the difference",
            (size_t)(making->difference / 1024), making->differences);
    for (size_t i = 0; i < picture->parts.len; i++)
        lg_amounts_add(&picture->total, &picture->parts.at[i].sum);
}
