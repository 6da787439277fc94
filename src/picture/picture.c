#include "picture/picture_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "picture/pages.h"
#include "util/error.h"
#include "util/search.h"

// Of a thread of the kernel's side: THREAD_SIZE of x86-64, 4 pages, in full resident (torvalds/linux
// arch/x86/include/asm/page_64_types.h @00c65c8; KASAN, which no machine in production has, doubles it).
enum { KERNEL_STACK = 16 << 10 };

void lg_amounts_add(struct lg_amounts *sum, const struct lg_amounts *more)
{
    sum->resident += more->resident;
    sum->own += more->own;
    sum->shareable += more->shareable;
    sum->shared += more->shared;
    sum->swapped += more->swapped;
    sum->locked += more->locked;
    sum->split_unknown |= more->split_unknown;
}

const char *lg_category_name(enum lg_category category)
{
    static const char *const names[LG_CATEGORIES] = {
        "Page Table Pages", "Other System", "Code/StaticData", "Heap", "Stack", "Teb",
        "Mapped Data",      "Other Data",
    };
    return names[category];
}

void lg_picture_note(struct lg_picture *picture, const char *format, ...)
{
    char *note = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&note, format, args);
    va_end(args);
    if (len < 0 || !lg_vec_push(&picture->notes, note))
        free(len < 0 ? NULL : note);
}

const char *lg_making_format(struct lg_making *making, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    const char *copy = lg_arena_copy(&making->picture->names, text, strlen(text));
    making->out_of_memory |= !copy;
    return copy ? copy : "";
}

const struct lg_page_owner *lg_owner_new(struct lg_making *making, const struct lg_page_owner *owner)
{
    struct lg_page_owner *copy = lg_arena_alloc(&making->picture->names, sizeof(*copy));
    if (copy)
        *copy = *owner;
    making->out_of_memory |= !copy;
    return copy;
}

void lg_making_claim(struct lg_making *making, uint64_t start, uint64_t end,
                     const struct lg_page_owner *owner)
{
    if (owner && !lg_claims_add(&making->claims, start, end, owner))
        making->out_of_memory = true;
}

void lg_making_settle(struct lg_making *making)
{
    if (!lg_claims_settle(&making->claims))
        making->out_of_memory = true;
}

const struct lg_mapping *lg_mapping_find(const struct lg_picture *picture, uint64_t address)
{
    size_t low = lg_first_not(picture->mappings.all.len, i, picture->mappings.all.at[i].end <= address);
    const struct lg_mapping *found =
        low < picture->mappings.all.len ? &picture->mappings.all.at[low] : NULL;
    return found && found->start <= address ? found : NULL;
}

static bool is_resident(const struct lg_making *making, uint64_t page)
{
    const struct lg_sight *sight = making->sight;
    const struct lg_mapping *mapping = lg_mapping_find(making->picture, page);
    if (making->pagemap < 0)
        return true;
    if (sight && sight->has_runs && mapping
        && lg_mapping_is_anonymous(mapping)) { // Without a system call.
        size_t run = lg_sight_run(sight, page);
        return run < sight->runs.len && sight->runs.at[run].start <= page
               && !sight->runs.at[run].swapped;
    }
    uint64_t word;
    return lg_pages_read(making->pagemap, page, making->picture->page_size, 1, &word)
           && word >> LG_PAGE_PRESENT & 1;
}

bool lg_making_read(const struct lg_making *making, uint64_t address, void *buf, size_t len)
{
    uint64_t page_size = making->picture->page_size;
    for (uint64_t page = address / page_size; page <= (address + len - 1) / page_size; page++) {
        if (!is_resident(making, page * page_size))
            return false;
    }
    return lg_target_read_all(making->target, address, buf, len);
}

// ---- what was seen ----

// Of a mapping of which smaps cannot tell own pages from the file's, pagemap can.
static void split_by_words(struct lg_picture *picture, const struct lg_sight *sight)
{
    size_t unknown = 0;
    for (size_t i = 0; i < picture->mappings.all.len; i++) {
        struct lg_mapping *mapping = &picture->mappings.all.at[i];
        const uint64_t *words = lg_sight_words(sight, (uint32_t)i);
        struct lg_amounts sum = { 0 };
        if (!mapping->sum.split_unknown)
            continue;
        for (uint64_t page = 0; words && page < (mapping->end - mapping->start) / picture->page_size;
             page++)
            lg_pages_add(&sum, words[page], picture->page_size);
        bool agrees = words && sum.resident == mapping->sum.resident;
        unknown += !agrees && mapping->sum.resident > 0;
        if (!agrees)
            continue;
        mapping->sum.own = sum.own;
        mapping->sum.shareable = sum.shareable;
        mapping->sum.shared = sum.shared;
        mapping->sum.split_unknown = false;
    }
    if (unknown > 0)
        lg_picture_note(picture, "what of %zu mappings is private is unknown: pagemap %s%s", unknown,
                        sight->refused ? "could not be read: " : "and smaps do not agree",
                        sight->refused ? strerror(sight->refused) : "");
}

static int64_t status_kb(const char *status, const char *key)
{
    int64_t kb = lg_proc_field(status, key, -1);
    return kb < 0 ? -1 : kb * 1024;
}

static void take_sight(struct lg_picture *picture, struct lg_sight *sight)
{
    picture->mappings = sight->mappings;
    sight->mappings = (struct lg_mappings){ 0 };
    picture->status_rss = status_kb(sight->status, "VmRSS");
    picture->page_tables = status_kb(sight->status, "VmPTE");
    picture->threads = lg_proc_field(sight->status, "Threads", -1);
    picture->kernel_stacks = picture->threads < 0 ? -1 : picture->threads * KERNEL_STACK;
    split_by_words(picture, sight);
}

static bool take_core(struct lg_picture *picture, const struct lg_target *target)
{
    uint64_t left_out = 0;
    for (size_t i = 0; i < target->ranges.len; i++) {
        const struct lg_range *range = &target->ranges.at[i];
        struct lg_mapping mapping = { .start = range->start,
                                      .end = range->end,
                                      .offset = range->offset,
                                      .access = range->access,
                                      .path = range->path };
        mapping.has_file = range->path[0] == '/';
        mapping.sum = (struct lg_amounts){ .resident = range->saved, .split_unknown = range->saved > 0 };
        left_out += range->end - range->start - range->saved;
        if (!lg_vec_push(&picture->mappings.all, mapping))
            return false;
    }
    picture->is_core = true;
    picture->status_rss = picture->page_tables = picture->kernel_stacks = -1;
    picture->threads = (int64_t)target->threads.len;
    lg_picture_note(picture,
                    "a core does not tell what was resident: amounts are the bytes that it holds "
                    "(%zu MiB of addresses are not in it)",
                    (size_t)(left_out >> 20));
    lg_picture_note(picture,
                    "a core does not tell private pages from shareable and shared ones, nor page "
                    "tables, kernel stacks, swapped and locked pages");
    return true;
}

static void sum_up(struct lg_picture *picture)
{
    for (size_t i = 0; i < picture->mappings.all.len; i++) {
        picture->rss += picture->mappings.all.at[i].sum.resident - picture->mappings.all.at[i].hugetlb;
        picture->hugetlb += picture->mappings.all.at[i].hugetlb;
    }
    for (size_t i = 0; i < picture->parts.len; i++) {
        const struct lg_part *part = &picture->parts.at[i];
        if (strcmp(part->owner->kind, "JIT code, writable mapping") == 0)
            picture->written_twice += part->sum.resident;
    }
}

// ---- making ----

static int open_pagemap(const struct lg_target *target)
{
    int reading = lg_live_reading(target);
    _cleanup_close_ int proc = reading > 0 ? lg_proc_open(reading) : -1;
    return proc >= 0 ? openat(proc, "pagemap", O_RDONLY | O_CLOEXEC) : -1;
}

static void make(struct lg_making *making)
{
    lg_claim_runtime(making);
    lg_claim_stacks(making);
    lg_claim_modules(making);
    lg_claim_malloc(making);
    lg_parts_make(making);
    sum_up(making->picture);
    if (making->detail)
        lg_arenas_measure(making);
}

struct lg_error *lg_picture_make(struct lg_sight *sight, struct lg_target *target, struct lg_clr *clr,
                                 const struct lg_picture_options *options, struct lg_picture **ret)
{
    if (sight && (sight->err || !sight->has_seen)) {
        struct lg_error *err = sight->err;
        sight->err = NULL;
        return err ? err : lg_error_new(LG_ERR_NOT_FOUND, "the process was not looked at");
    }
    _cleanup_(lg_picture_freep) struct lg_picture *picture = calloc(1, sizeof(*picture));
    if (!picture)
        return &lg_no_memory;
    picture->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    if (sight)
        take_sight(picture, sight);
    else if (!take_core(picture, target))
        return &lg_no_memory;
    if (picture->mappings.all.len == 0)
        return lg_error_new(LG_ERR_NOT_FOUND, "has no memory: it ended while it was being read");
    struct lg_making making = {
        picture, target, clr, sight, options->detail, options->nameless, open_pagemap(target)
    };
    make(&making);
    lg_closep(&making.pagemap);
    lg_claims_deinit(&making.claims);
    if (making.out_of_memory)
        return &lg_no_memory;
    *ret = lg_steal(picture);
    return NULL;
}

void lg_picture_free(struct lg_picture *picture)
{
    if (!picture)
        return;
    lg_mappings_deinit(&picture->mappings);
    lg_vec_free(&picture->parts);
    lg_vec_free(&picture->arenas);
    for (size_t i = 0; i < picture->notes.len; i++)
        free(picture->notes.at[i]);
    lg_vec_free(&picture->notes);
    lg_arena_free(&picture->names);
    free(picture);
}
