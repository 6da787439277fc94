// MADE: where sampled objects were made.
#include "snapshot/snapshot_priv.h"

static void io_frame(struct lg_table_io *io, struct lg_made_frame *frame, void *unused)
{
    (void)unused;
    lg_io_string(io, &frame->method);
    lg_io_string(io, &frame->module);
    lg_io_string(io, &frame->file);
    LG_IO(io, frame->il);
    LG_IO(io, frame->line);
}

static void io_step(struct lg_table_io *io, uint32_t *step, void *data)
{
    const struct lg_made *made = data;
    LG_IO(io, *step);
    io->failed |= *step >= made->frames.len;
}

static void io_site(struct lg_table_io *io, struct lg_made_site *site, void *data)
{
    const struct lg_made *made = data;
    LG_IO(io, site->stack);
    LG_IO(io, site->count);
    LG_IO(io, site->own);
    io->failed |= site->own > site->count || site->count > made->stacks.len
                  || site->stack > made->stacks.len - site->count;
}

struct objects_io {
    struct lg_made *made;
    uint64_t last; // address
};

static void io_object(struct lg_table_io *io, struct lg_made_object *object, void *data)
{
    struct objects_io *objects = data;
    uint64_t gap = object->address - objects->last, share;
    memcpy(&share, &object->share, sizeof(share));
    LG_IO(io, gap);
    LG_IO(io, object->site);
    LG_IO(io, share);
    memcpy(&object->share, &share, sizeof(share));
    object->address = objects->last + gap;
    io->failed |= gap == 0 || object->address < objects->last || object->site >= objects->made->sites.len
                  || !(object->share > 0 && object->share <= 1);
    objects->last = object->address;
}

void io_made(struct lg_table_io *io, void *data)
{
    struct lg_made *made = data;
    struct objects_io objects = { .made = made };
    lg_io_string(io, &made->sampling);
    LG_IO(io, made->ms);
    LG_IO(io, made->samples);
    LG_IO_VEC(io, &made->frames, io_frame, NULL);
    LG_IO_VEC(io, &made->stacks, io_step, made);
    LG_IO_VEC(io, &made->sites, io_site, made);
    LG_IO_VEC(io, &made->objects, io_object, &objects);
    io->failed |= !made->sampling || made->samples < made->objects.len;
}

static bool has_chunk(const struct lg_snapshot *snapshot, uint32_t id)
{
    for (size_t i = 0; snapshot->file && i < snapshot->file->chunks.len; i++) {
        if (snapshot->file->chunks.at[i].id == id)
            return true;
    }
    return false;
}

struct lg_error *lg_snapshot_made(struct lg_snapshot *snapshot, struct lg_made **ret)
{
    *ret = NULL;
    if (!has_chunk(snapshot, CHUNK_MADE))
        return NULL;
    uint64_t budget = 3 * snapshot->file->size + (64 << 10);
    _cleanup_(lg_made_freep) struct lg_made *made = calloc(1, sizeof(*made));
    struct lg_error *err =
        made ? lg_table_read(snapshot->file, CHUNK_MADE, &made->arena, &budget, io_made, made)
             : &lg_no_memory;
    if (!err)
        *ret = lg_steal(made);
    return err;
}
