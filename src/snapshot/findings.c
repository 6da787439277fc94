// What was found out of a heap when its snapshot was taken, as tables.
#include "snapshot/snapshot_priv.h"

// ---- IMAG ----

static void io_image(struct lg_table_io *io, struct lg_image *image, void *unused)
{
    (void)unused;
    lg_io_string(io, &image->path);
    LG_IO(io, image->base);
    LG_IO(io, image->end);
    LG_IO_MAX(io, image->id_len, LG_BUILD_ID_MAX);
    for (size_t i = 0; i < image->id_len; i++)
        LG_IO(io, image->id[i]);
    io->failed |= !image->path;
}

void io_images(struct lg_table_io *io, void *data)
{
    struct images *images = data;
    LG_IO_VEC(io, images, io_image, NULL);
}

// ---- ROOT ----

static void io_root(struct lg_table_io *io, struct lg_root *root, void *data)
{
    const struct roots_io *roots = data;
    uint64_t thread = root->thread ? (uint64_t)(root->thread - roots->threads) + 1 : 0;
    LG_IO(io, root->object);
    LG_IO(io, root->slot);
    LG_IO_MAX(io, root->kind, LG_ROOT_KINDS - 1);
    LG_IO_BOOL(io, root->conservative);
    lg_io_string(io, &root->name);
    LG_IO_MAX(io, thread, roots->thread_count);
    root->thread = thread ? &roots->threads[thread - 1] : NULL;
    LG_IO_BOOL(io, root->is_interior);
    LG_IO_BOOL(io, root->is_pinned);
    LG_IO(io, root->sp);
    LG_IO(io, root->ip);
    lg_io_string(io, &root->frame);
    lg_io_string(io, &root->place);
}

void io_roots(struct lg_table_io *io, void *data)
{
    struct roots_io *x = data;
    LG_IO_VEC(io, &x->roots->all, io_root, x);
    LG_IO_BOOL(io, x->roots->is_missing_some);
    LG_IO_VEC(io, &x->roots->incomplete, lg_io_owned, NULL);
    io->failed |= x->roots->is_missing_some && x->roots->incomplete.len == 0;
}

// ---- HIST ----

static void io_number(struct lg_table_io *io, uint64_t *number, void *unused)
{
    (void)unused;
    LG_IO(io, *number);
}

static void io_free_block(struct lg_table_io *io, struct lg_object *block, void *data)
{
    const struct stats_io *stats = data;
    uint32_t type = io->is_writing ? stats->numbers[block->type->id] : 0;
    LG_IO(io, block->address);
    LG_IO(io, block->size);
    LG_IO(io, type);
    if (!io->is_writing)
        block->type = lg_clr_type_at(stats->clr, type);
    io->failed |= !block->type;
}

static void io_walk(struct lg_table_io *io, struct lg_walk_result *walk)
{
    LG_IO(io, walk->objects);
    LG_IO(io, walk->bytes);
    LG_IO(io, walk->free_objects);
    LG_IO(io, walk->free_bytes);
    LG_IO(io, walk->bad_objects);
    LG_IO(io, walk->first_bad);
    LG_IO(io, walk->skipped_bytes);
    LG_IO(io, walk->unsettled);
}

void io_stats(struct lg_table_io *io, void *data)
{
    struct stats_io *stats = data;
    LG_IO_VEC(io, &stats->counts, io_number, NULL);
    LG_IO_VEC(io, &stats->sizes, io_number, NULL);
    LG_IO_VEC(io, &stats->big_free, io_free_block, stats);
    io_walk(io, &stats->walk);
    io->failed |= stats->counts.len != stats->sizes.len || stats->counts.len > UINT32_MAX;
}

void stats_io_deinit(struct stats_io *stats)
{
    lg_vec_free(&stats->counts);
    lg_vec_free(&stats->sizes);
    lg_vec_free(&stats->big_free);
}

// ---- RETA ----

static void io_summary_row(struct lg_table_io *io, struct lg_summary_row *row, void *unused)
{
    (void)unused;
    LG_IO(io, row->address);
    LG_IO(io, row->size);
    LG_IO(io, row->retained);
    LG_IO(io, row->dominator);
    LG_IO(io, row->type);
    LG_IO(io, row->objects);
    LG_IO(io, row->depth);
    LG_IO_BOOL(io, row->size_is_known);
    lg_io_string(io, &row->held_by);
}

void io_summary(struct lg_table_io *io, void *data)
{
    struct lg_summary *summary = data;
    LG_IO(io, summary->live_count);
    LG_IO(io, summary->live_size);
    LG_IO(io, summary->guessed);
    LG_IO(io, summary->all);
    LG_IO_VEC(io, &summary->rows, io_summary_row, NULL);
    io->failed |= summary->all < summary->rows.len;
}
