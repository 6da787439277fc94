// The memory picture of a process and what bounds it, as tables: as they were when the snapshot was
// taken.
#include "limits/limits.h"
#include "picture/picture.h"
#include "snapshot/snapshot_priv.h"

static void io_int64(struct lg_table_io *io, int64_t *value)
{
    uint64_t bits = (uint64_t)*value << 1 ^ (*value < 0 ? UINT64_MAX : 0);
    LG_IO(io, bits);
    *value = (int64_t)(bits >> 1 ^ (bits & 1 ? UINT64_MAX : 0));
}

// ---- PICT ----

static void io_amounts(struct lg_table_io *io, struct lg_amounts *amounts)
{
    LG_IO(io, amounts->resident);
    LG_IO(io, amounts->own);
    LG_IO(io, amounts->shareable);
    LG_IO(io, amounts->shared);
    LG_IO(io, amounts->swapped);
    LG_IO(io, amounts->locked);
    LG_IO_BOOL(io, amounts->split_unknown);
}

static void io_mapping(struct lg_table_io *io, struct lg_mapping *mapping, void *end_data)
{
    uint64_t *end = end_data, gap = mapping->start - *end, length = mapping->end - mapping->start;
    LG_IO(io, gap);
    LG_IO(io, length);
    LG_IO(io, mapping->offset);
    LG_IO(io, mapping->access);
    LG_IO_BOOL(io, mapping->is_shared);
    LG_IO_BOOL(io, mapping->has_file);
    lg_io_string(io, &mapping->path);
    LG_IO(io, mapping->hugetlb);
    LG_IO(io, mapping->anonymous);
    io_amounts(io, &mapping->sum);
    mapping->start = *end + gap;
    mapping->end = mapping->start + length;
    io->failed |= mapping->start < *end || mapping->end < mapping->start || !mapping->path;
    *end = mapping->end;
}

// Owners have numbers: many parts are of one.
struct owners {
    LG_VEC(struct lg_page_owner *) all;
    struct lg_map numbers; // of pointers
};
static void owners_deinit(struct owners *owners)
{
    lg_map_free(&owners->numbers);
    lg_vec_free(&owners->all);
}

static bool number_owners(const struct lg_picture *picture, struct owners *ret)
{
    bool ok = true;
    for (size_t i = 0; i < picture->parts.len && ok; i++) {
        struct lg_page_owner *owner = (struct lg_page_owner *)picture->parts.at[i].owner;
        uint32_t ignored;
        if (!lg_map_get(&ret->numbers, (uint64_t)(uintptr_t)owner, &ignored))
            ok = lg_map_put(&ret->numbers, (uint64_t)(uintptr_t)owner, (uint32_t)ret->all.len)
                 && lg_vec_push(&ret->all, owner);
    }
    return ok;
}

static void io_owner(struct lg_table_io *io, struct lg_page_owner **owner, void *unused)
{
    (void)unused;
    if (!io->is_writing && !(*owner = lg_io_alloc(io, sizeof(**owner))))
        return;
    struct lg_page_owner *o = *owner;
    LG_IO_MAX(io, o->category, LG_CATEGORIES - 1);
    lg_io_string(io, &o->kind);
    lg_io_string(io, &o->name);
    lg_io_string(io, &o->module);
    lg_io_string(io, &o->thread);
    LG_IO_BOOL(io, o->is_unknown);
    io->failed |= !o->kind || !o->name;
}

struct part_context {
    const struct owners *owners;
    const struct lg_picture *picture;
    uint64_t end;
};

static void io_part(struct lg_table_io *io, struct lg_part *part, void *data)
{
    struct part_context *context = data;
    uint64_t gap = part->start - context->end, length = part->end - part->start;
    uint32_t number = 0;
    if (io->is_writing)
        lg_map_get(&context->owners->numbers, (uint64_t)(uintptr_t)part->owner, &number);
    LG_IO(io, gap);
    LG_IO(io, length);
    LG_IO_MAX(io, part->mapping, context->picture->mappings.all.len);
    LG_IO_MAX(io, number, context->owners->all.len);
    io_amounts(io, &part->sum);
    part->start = context->end + gap;
    part->end = context->end = part->start + length;
    io->failed |=
        number >= context->owners->all.len || part->mapping >= context->picture->mappings.all.len;
    part->owner = io->failed ? NULL : context->owners->all.at[number];
}

static void io_arena(struct lg_table_io *io, struct lg_arena_use *use, void *unused)
{
    (void)unused;
    LG_IO(io, use->address);
    LG_IO(io, use->size);
    LG_IO(io, use->free);
    LG_IO_BOOL(io, use->is_known);
}

static void io_parts(struct lg_table_io *io, struct lg_picture *picture)
{
    _cleanup_(owners_deinit) struct owners owners = { .numbers = { 0 } };
    struct part_context context = { &owners, picture, 0 };
    uint64_t end = 0;
    if (io->is_writing && !number_owners(picture, &owners)) {
        io->failed = io->no_memory = true;
        return;
    }
    LG_IO_VEC(io, &picture->mappings.all, io_mapping, &end);
    LG_IO_VEC(io, &owners.all, io_owner, NULL);
    LG_IO_VEC(io, &picture->parts, io_part, &context);
    LG_IO_VEC(io, &picture->arenas, io_arena, NULL);
}

void io_picture(struct lg_table_io *io, void *data)
{
    struct picture_io *x = data;
    struct lg_picture *picture = x->picture;
    bool is_there = x->picture && !x->missing;
    lg_io_string(io, &x->missing);
    LG_IO_BOOL(io, is_there);
    if (!is_there || !picture || io->failed)
        return;
    LG_IO(io, picture->page_size);
    LG_IO_BOOL(io, picture->is_core);
    io_parts(io, picture);
    io_amounts(io, &picture->total);
    LG_IO(io, picture->rss);
    LG_IO(io, picture->hugetlb);
    io_int64(io, &picture->status_rss);
    io_int64(io, &picture->page_tables);
    io_int64(io, &picture->threads);
    io_int64(io, &picture->kernel_stacks);
    LG_IO(io, picture->written_twice);
    LG_IO_VEC(io, &picture->notes, lg_io_owned, NULL);
    io->failed |= picture->page_size == 0;
}

// ---- LIMI ----

static void io_amount(struct lg_table_io *io, struct lg_amount *amount)
{
    LG_IO_MAX(io, amount->kind, LG_UNLIMITED);
    LG_IO(io, amount->value);
}

static void io_bound(struct lg_table_io *io, struct lg_bound *bound, void *unused)
{
    (void)unused;
    lg_io_string(io, &bound->name);
    lg_io_string(io, &bound->where);
    LG_IO(io, bound->flags);
    io_amount(io, &bound->limit);
    io_amount(io, &bound->current);
    lg_io_string(io, &bound->problem);
    lg_io_string(io, &bound->effect);
    io->failed |= !bound->name || !bound->where || (bound->flags & LG_BOUND_GROWTH && !bound->effect);
}

static void io_setting(struct lg_table_io *io, struct lg_setting *setting, void *unused)
{
    (void)unused;
    lg_io_string(io, &setting->name);
    lg_io_string(io, &setting->value);
    LG_IO_MAX(io, setting->source, LG_SOURCE_DEFAULT);
    lg_io_string(io, &setting->from);
    io_amount(io, &setting->bytes);
    lg_io_string(io, &setting->effect);
    lg_io_string(io, &setting->differs);
    io->failed |= !setting->name;
}

void io_limits(struct lg_table_io *io, void *data)
{
    struct limits_io *x = data;
    struct lg_limits *limits = x->limits;
    bool is_there = x->limits && !x->missing;
    lg_io_string(io, &x->missing);
    LG_IO_BOOL(io, is_there);
    if (!is_there || !limits || io->failed)
        return;
    LG_IO_VEC(io, &limits->bounds, io_bound, NULL);
    LG_IO_VEC(io, &limits->settings, io_setting, NULL);
    LG_IO_VEC(io, &limits->notes, lg_io_sentence, NULL);
    io_amount(io, &limits->hard_limit);
    io_amount(io, &limits->total_available);
    io_amount(io, &limits->high_memory);
}
