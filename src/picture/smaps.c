// An entry of /proc/PID/smaps (torvalds/linux fs/proc/task_mmu.c @00c65c8, show_smap): a line of maps,
// then "Key:   N kB" lines, then flags:
//
//     7f3a5c000000-7f3a5c021000 rw-p 00000000 08:01 131  /path
//     Rss:                 132 kB
//     ...
//     VmFlags: rd wr mr mw me ac
//
// A line of maps begins with a digit or a small letter, every other with a capital one.
#include <string.h>

#include "picture/picture.h"
#include "target/maps.h"
#include "util/error.h"

struct entry {
    uint64_t rss, shared_clean, shared_dirty, private_clean, private_dirty;
    uint64_t anonymous, swap, locked, shared_hugetlb, private_hugetlb;
};

#define FIELD(key, member) \
    { \
        key ":", sizeof(key ":") - 1, offsetof(struct entry, member) \
    }
// In the kernel's order, so that the next one is mostly the right one.
static const struct field {
    const char *key;
    size_t len, offset;
} fields[] = {
    FIELD("Rss", rss),
    FIELD("Shared_Clean", shared_clean),
    FIELD("Shared_Dirty", shared_dirty),
    FIELD("Private_Clean", private_clean),
    FIELD("Private_Dirty", private_dirty),
    FIELD("Anonymous", anonymous),
    FIELD("Shared_Hugetlb", shared_hugetlb),
    FIELD("Private_Hugetlb", private_hugetlb),
    FIELD("Swap", swap),
    FIELD("Locked", locked),
};
enum { FIELDS = sizeof(fields) / sizeof(*fields), KB_MAX_BITS = 50 };

static bool read_kb(const char *s, const char *end, uint64_t *ret)
{
    uint64_t kb = 0;
    while (s < end && *s == ' ')
        s++;
    const char *digits = s;
    for (; s < end && *s >= '0' && *s <= '9' && kb >> KB_MAX_BITS == 0; s++)
        kb = kb * 10 + (uint64_t)(*s - '0');
    *ret = kb * 1024;
    return s > digits && end - s >= 3 && memcmp(s, " kB", 3) == 0 && kb >> KB_MAX_BITS == 0;
}

// False: a field that we read has no number.
static bool read_field(const char *line, const char *end, struct entry *entry)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const struct field *f = &fields[i];
        if ((size_t)(end - line) > f->len && memcmp(line, f->key, f->len) == 0)
            return read_kb(line + f->len, end, (uint64_t *)((char *)entry + f->offset));
    }
    return true;
}

// Private_* counts pages that are mapped once. Which of them are the process's own copies and which are
// the file's, `Anonymous` tells, if none of the anonymous pages may be among the shared ones.
static void split(struct lg_mapping *mapping, const struct entry *e)
{
    struct lg_amounts *sum = &mapping->sum;
    uint64_t once = e->private_clean + e->private_dirty;
    sum->resident = e->rss;
    sum->shared = e->shared_clean + e->shared_dirty;
    mapping->anonymous = e->anonymous;
    if (e->anonymous == e->rss)
        sum->own = once;
    else if (e->anonymous == 0)
        sum->shareable = once;
    else if (sum->shared == 0 && e->anonymous <= once) {
        sum->own = e->anonymous;
        sum->shareable = once - e->anonymous;
    } else {
        sum->split_unknown = true;
    }
    // A kernel may count in another way than we know: then it does not add up.
    if (once + sum->shared != e->rss)
        sum->split_unknown = true;
}

// Hugetlb pages are none of Rss; we count them, whole.
static void add_hugetlb(struct lg_mapping *mapping, const struct entry *e)
{
    mapping->hugetlb = e->shared_hugetlb + e->private_hugetlb;
    mapping->sum.resident += mapping->hugetlb;
    mapping->sum.shared += e->shared_hugetlb;
    if (mapping->is_shared)
        mapping->sum.shareable += e->private_hugetlb;
    else
        mapping->sum.own += e->private_hugetlb;
}

static bool finish(struct lg_mappings *mappings, struct lg_mapping *mapping, const struct entry *entry)
{
    split(mapping, entry);
    add_hugetlb(mapping, entry);
    mapping->sum.swapped = entry->swap;
    mapping->sum.locked = entry->locked > 0 ? mapping->sum.resident : 0; // Locked is a share of it.
    return lg_vec_push(&mappings->all, *mapping);
}

static struct lg_error *begin(const char *line, size_t len, struct lg_mappings *mappings,
                              struct lg_mapping *ret)
{
    struct lg_maps_line parsed;
    struct lg_error *err = lg_maps_parse_line(line, len, &mappings->paths, &parsed);
    if (err)
        return err;
    size_t count = mappings->all.len;
    if (count > 0 && parsed.range.start < mappings->all.at[count - 1].end)
        return lg_error_new(LG_ERR_CORRUPT, "begins before the mapping before it ends");
    *ret = (struct lg_mapping){
        .start = parsed.range.start,
        .end = parsed.range.end,
        .offset = parsed.range.offset,
        .access = parsed.range.access,
        .is_shared = parsed.is_shared,
        .has_file = parsed.inode != 0,
        .path = parsed.range.path,
    };
    return NULL;
}

struct lg_error *lg_smaps_parse(const char *text, size_t len, struct lg_mappings *ret)
{
    const char *end = text + len;
    struct lg_mapping mapping = { 0 };
    struct entry entry = { 0 };
    bool open = false;
    for (size_t line = 1; text < end; line++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        struct lg_error *err = NULL;
        if (*text >= 'A' && *text <= 'Z') {
            if (!open || !read_field(text, stop, &entry))
                err = lg_error_new(LG_ERR_CORRUPT, "not as /proc has it");
        } else {
            if (open && !finish(ret, &mapping, &entry))
                return &lg_no_memory;
            entry = (struct entry){ 0 };
            open = true;
            err = begin(text, (size_t)(stop - text), ret, &mapping);
        }
        if (err)
            return lg_error_context(err, "smaps: line %zu", line);
        text = newline ? newline + 1 : end;
    }
    return open && !finish(ret, &mapping, &entry) ? &lg_no_memory : NULL;
}

void lg_mappings_deinit(struct lg_mappings *mappings)
{
    lg_vec_free(&mappings->all);
    lg_arena_free(&mappings->paths);
}
