// Writing snapshots: what the runtime tells, what was found out, and the heap, page by page.
//
// Workers encode pieces of the heap; their streams are written in the order of the pieces, whoever is
// done first, so that the same heap gives the same file.
#include "snapshot/snapshot_priv.h"
#include "util/cancel.h"
#include "util/parallel.h"

struct piece {
    uint64_t start, end;
    struct lg_bytes stream;
    LG_VEC(struct lg_page) pages;
    bool is_done;
};

struct worker {
    struct lg_page_encoder encoder;
    struct lg_arena arena; // of the bounds of arrays
    struct memos bounds;
    uint64_t objects, bytes;
    bool failed;
};

struct writing {
    const struct lg_snapshot_source *source;
    struct lg_chunk_writer *file;
    struct lg_arena arena;
    struct lg_stored stored;
    struct memos memos;
    struct blanks blanks;
    struct lg_shapes shapes;
    struct lg_bytes codes, runs, pages;
    struct piece *pieces;     // [piece_count]
    size_t piece_count, next; // next: the first that is not written yet
    uint64_t offset;          // in chunk HEAP
    struct worker *workers;   // [lg_workers()]
    pthread_mutex_t lock;     // Of pieces, `next`, `offset`, the file.
    struct lg_error *err;
};

static void writing_deinit(struct writing *w)
{
    lg_chunk_writer_free(w->file);
    for (size_t i = 0; w->workers && i < lg_workers(); i++) {
        lg_page_encoder_deinit(&w->workers[i].encoder);
        lg_arena_free(&w->workers[i].arena);
        memos_deinit(&w->workers[i].bounds);
    }
    for (size_t i = 0; w->pieces && i < w->piece_count; i++) {
        lg_bytes_deinit(&w->pieces[i].stream);
        lg_vec_free(&w->pieces[i].pages);
    }
    free(w->workers);
    free(w->pieces);
    free(w->shapes.by_code);
    free(w->shapes.code);
    lg_bytes_deinit(&w->codes);
    lg_bytes_deinit(&w->runs);
    lg_bytes_deinit(&w->pages);
    memos_deinit(&w->memos);
    blanks_deinit(&w->blanks);
    lg_stored_deinit(&w->stored);
    lg_arena_free(&w->arena);
    pthread_mutex_destroy(&w->lock);
    lg_error_free(w->err);
}

// ---- codes ----

struct frequency {
    uint32_t number; // of the type
    uint64_t count;
};

static int most_first(const void *a, const void *b)
{
    const struct frequency *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static struct lg_error *make_codes(struct writing *w)
{
    struct lg_heap *heap = w->source->heap;
    struct lg_clr *clr = lg_heap_clr(heap);
    const struct lg_type_stats *stats = w->source->stats;
    uint32_t count = (uint32_t)w->stored.types.len;
    _cleanup_free_ struct frequency *order = calloc(count + 1u, sizeof(*order));
    w->shapes.count = count;
    w->shapes.by_code = calloc(count + 1u, sizeof(*w->shapes.by_code));
    w->shapes.code = calloc(count + 1u, sizeof(*w->shapes.code));
    if (!order || !w->shapes.by_code || !w->shapes.code)
        return &lg_no_memory;
    for (uint32_t id = 0; id < count; id++)
        order[id] = (struct frequency){ w->stored.numbers.at[id],
                                        id < stats->type_count ? stats->counts[id] : 0 };
    qsort(order, count, sizeof(*order), most_first);
    struct lg_error *err = lg_heap_compile(heap);
    lg_bytes_varint(&w->codes, count);
    for (uint32_t code = 0; code < count && !err; code++) {
        const struct lg_type *type = lg_clr_type_at(clr, w->stored.types.at[order[code].number].type.id);
        w->shapes.by_code[code] = (struct lg_shape){ type, lg_heap_desc(heap, type) };
        w->shapes.code[type->id] = code;
        lg_bytes_varint(&w->codes, order[code].number);
    }
    return err;
}

// ---- the heap ----

static void fail(struct writing *w, struct lg_error *err)
{
    if (!w->err)
        w->err = err;
    else
        lg_error_free(err);
}

static void begin_piece(void *self, size_t piece, size_t number)
{
    struct writing *w = self;
    lg_page_encoder_begin(&w->workers[number].encoder, w->pieces[piece].start);
}

// Arrays of rank 2 and more lay their bounds before the data: lengths, then lower bounds, int32 each.
static void note_bounds(struct writing *w, struct worker *worker, const struct lg_object *object)
{
    uint32_t rank = object->type->rank;
    if (!(object->type->flags & LG_TYPE_ARRAY) || object->type->flags & LG_TYPE_SZARRAY || rank > 32)
        return;
    worker->failed |= !memos_add(&worker->bounds, w->source->target, &worker->arena,
                                 object->address + 16, 8 * (uint64_t)rank);
}

static void note_object(void *self, struct walker *walker, const struct lg_seen *seen)
{
    struct writing *w = self;
    struct worker *worker = &w->workers[lg_walker_number(walker)];
    if (!(seen->object.type->flags & LG_TYPE_FREE)) {
        worker->objects++;
        worker->bytes += seen->object.size;
    }
    note_bounds(w, worker, &seen->object);
    lg_page_encoder_add(&worker->encoder, walker, seen);
}

static void put_u64(struct lg_bytes *bytes, uint64_t value)
{
    lg_bytes_add(bytes, &value, sizeof(value));
}

// Writes one piece's streams and records. Under the lock.
static struct lg_error *write_piece(struct writing *w, struct piece *piece)
{
    put_u64(&w->runs, piece->start);
    put_u64(&w->runs, piece->end);
    put_u64(&w->runs, w->pages.len / LG_PAGE_RECORD);
    for (size_t i = 0; i < piece->pages.len; i++) {
        uint8_t record[LG_PAGE_RECORD];
        struct lg_page page = piece->pages.at[i];
        page.offset += w->offset;
        lg_page_write(&page, record);
        lg_bytes_add(&w->pages, record, sizeof(record));
    }
    w->offset += piece->stream.len;
    struct lg_error *err = lg_chunk_writer_append(w->file, piece->stream.at, piece->stream.len);
    lg_bytes_deinit(&piece->stream);
    lg_vec_free(&piece->pages);
    return err;
}

static void end_piece(void *self, size_t number_of, size_t number)
{
    struct writing *w = self;
    struct piece *piece = &w->pieces[number_of];
    struct worker *worker = &w->workers[number];
    struct lg_page_encoder *encoder = &worker->encoder;
    if (piece->end > piece->start)
        lg_page_encoder_end(encoder, piece->end);
    worker->failed |= encoder->failed;
    lg_bytes_add(&piece->stream, encoder->stream.at, encoder->stream.len);
    worker->failed |= piece->stream.failed;
    for (size_t i = 0; i < encoder->pages.len && !worker->failed; i++)
        worker->failed |= !lg_vec_push(&piece->pages, encoder->pages.at[i]);
    pthread_mutex_lock(&w->lock);
    piece->is_done = true;
    for (; w->next < w->piece_count && w->pieces[w->next].is_done; w->next++) {
        struct lg_error *err =
            w->err || w->pieces[w->next].pages.len == 0 ? NULL : write_piece(w, &w->pieces[w->next]);
        if (err)
            fail(w, err);
    }
    pthread_mutex_unlock(&w->lock);
}

// A run is a piece, and all up to the next one of its segment.
static struct lg_error *cut_pieces(struct writing *w)
{
    struct lg_heap *heap = w->source->heap;
    struct lg_error *err = lg_heap_confirm(heap);
    if (err)
        return err;
    w->piece_count = heap->pieces.len;
    w->pieces = calloc(w->piece_count + 1, sizeof(*w->pieces));
    w->workers = calloc(lg_workers(), sizeof(*w->workers));
    if (!w->pieces || !w->workers)
        return &lg_no_memory;
    for (size_t i = 0; i < w->piece_count; i++) {
        const struct lg_piece *piece = &heap->pieces.at[i], *next = piece + 1;
        bool has_next = i + 1 < w->piece_count && next->segment == piece->segment;
        w->pieces[i].start = piece->start;
        w->pieces[i].end = has_next ? next->start : piece->segment->end;
    }
    for (size_t i = 0; i < lg_workers(); i++) {
        w->workers[i].encoder.shapes = &w->shapes;
        w->workers[i].encoder.contents = w->source->contents ? w->source->target : NULL;
    }
    return NULL;
}

static struct lg_error *write_heap(struct writing *w, struct lg_snapshot_figures *figures)
{
    struct lg_walk_result result;
    struct lg_pass pass = {
        .seen = note_object, .begin = begin_piece, .end = end_piece, .with_free = true, .self = w
    };
    struct lg_error *err = cut_pieces(w);
    if (!err)
        err = lg_chunk_writer_begin(w->file, CHUNK_HEAP);
    if (!err)
        err = lg_heap_pass(w->source->heap, &pass, &result);
    if (!err)
        err = lg_steal(w->err);
    for (size_t i = 0; i < lg_workers() && !err; i++) {
        struct worker *worker = &w->workers[i];
        figures->objects += worker->objects;
        figures->bytes += worker->bytes;
        for (size_t k = 0; k < worker->bounds.all.len && !worker->failed; k++)
            worker->failed |= !lg_vec_push(&w->memos.all, worker->bounds.all.at[k]);
        err = worker->failed ? &lg_no_memory : NULL;
    }
    figures->references = w->source->graph->edge_count;
    figures->page_bytes = w->offset;
    if (!err)
        err = lg_chunk_writer_add(w->file, CHUNK_RUNS, &w->runs);
    return err ? err : lg_chunk_writer_add(w->file, CHUNK_PAGE, &w->pages);
}

// ---- findings ----

static struct lg_error *write_about(struct writing *w, const struct lg_snapshot_figures *figures)
{
    const struct lg_snapshot_source *source = w->source;
    const struct lg_target *target = source->target;
    struct about_io io = { .about = { .tool = source->tool,
                                      .kind = target->kind,
                                      .pid = target->pid,
                                      .path = target->path,
                                      .taken = target->taken,
                                      .has_contents = source->contents,
                                      .figures = *figures },
                           .info = w->stored.info,
                           .has_last_gc = w->stored.has_last_gc,
                           .last_gc = w->stored.last_gc };
    bool ok = true;
    for (size_t i = 0; i < target->notes.len && ok; i++)
        ok = lg_vec_push(&io.notes, target->notes.at[i]);
    struct lg_error *err = ok ? lg_table_write(w->file, CHUNK_META, io_about, &io) : &lg_no_memory;
    lg_vec_free(&io.notes);
    return err;
}

static struct lg_error *write_stats(struct writing *w)
{
    const struct lg_type_stats *stats = w->source->stats;
    const uint32_t *numbers = w->stored.numbers.at;
    size_t count = w->stored.numbers.len;
    _cleanup_free_ uint64_t *counts = calloc(count + 1, sizeof(*counts));
    _cleanup_free_ uint64_t *sizes = calloc(count + 1, sizeof(*sizes));
    if (!counts || !sizes)
        return &lg_no_memory;
    for (size_t id = 0; id < count && id < stats->type_count; id++) {
        counts[numbers[id]] = stats->counts[id];
        sizes[numbers[id]] = stats->sizes[id];
    }
    struct stats_io io = { .walk = *w->source->walk, .numbers = numbers };
    io.counts.at = counts;
    io.sizes.at = sizes;
    io.counts.len = io.sizes.len = count;
    memcpy(&io.big_free, &stats->big_free, sizeof(io.big_free));
    return lg_table_write(w->file, CHUNK_HIST, io_stats, &io); // All of it is borrowed.
}

static struct lg_error *write_summary(struct writing *w)
{
    const struct lg_summary *summary = w->source->summary;
    struct lg_summary numbered = *summary;
    bool ok = true;
    memset(&numbered.rows, 0, sizeof(numbered.rows));
    for (size_t i = 0; i < summary->rows.len && ok; i++) {
        struct lg_summary_row row = summary->rows.at[i];
        row.type = w->stored.numbers.at[row.type];
        ok = lg_vec_push(&numbered.rows, row);
    }
    struct lg_error *err =
        ok ? lg_table_write(w->file, CHUNK_RETA, io_summary, &numbered) : &lg_no_memory;
    lg_vec_free(&numbered.rows);
    return err;
}

static bool note_image(const struct lg_image *image, void *data)
{
    struct images *images = data;
    struct lg_image noted = *image;
    noted.id_len = (uint8_t)lg_image_build_id(image, noted.id);
    return !lg_vec_push(images, noted);
}

static struct lg_error *write_images(struct writing *w)
{
    struct images images = { 0 };
    struct lg_error *err = lg_images_each(w->source->target, note_image, &images)
                               ? &lg_no_memory
                               : lg_table_write(w->file, CHUNK_IMAG, io_images, &images);
    lg_vec_free(&images);
    return err;
}

static struct lg_error *write_surroundings(struct writing *w)
{
    const struct lg_snapshot_source *source = w->source;
    struct frames frames = { .all = { NULL } };
    struct picture_io picture = { (struct lg_picture *)source->picture, source->no_picture };
    struct limits_io limits = { (struct lg_limits *)source->limits, source->no_limits };
    struct lg_error *err = frames_gather(source, &frames);
    if (!err)
        err = lg_table_write(w->file, CHUNK_FRAM, io_frames, &frames);
    frames_deinit(&frames);
    if (!err)
        err = lg_table_write(w->file, CHUNK_PICT, io_picture, &picture);
    return err ? err : lg_table_write(w->file, CHUNK_LIMI, io_limits, &limits);
}

static struct lg_error *write_findings(struct writing *w)
{
    struct roots_io roots = { .roots = (struct lg_roots *)w->source->roots };
    struct lg_error *err =
        lg_clr_threads(lg_heap_clr(w->source->heap), &roots.threads, &roots.thread_count);
    if (!err)
        err = lg_table_write(w->file, CHUNK_ROOT, io_roots, &roots);
    if (!err)
        err = write_stats(w);
    if (!err)
        err = write_summary(w);
    if (!err)
        err = stacks_gather(w->source->heap, &w->arena, &w->blanks, &w->memos);
    if (!err)
        err = lg_table_write(w->file, CHUNK_STAK, io_blanks, &w->blanks);
    if (!err)
        err = memos_gather(w->source->heap, &w->stored, &w->arena, &w->memos);
    memos_sort(&w->memos);
    if (!err)
        err = lg_table_write(w->file, CHUNK_MEMO, io_memos, &w->memos);
    return err;
}

static struct lg_error *write_all(struct writing *w, const char *path, struct lg_snapshot_figures *ret)
{
    struct lg_error *err = lg_stored_gather(lg_heap_clr(w->source->heap), &w->stored);
    if (!err)
        err = make_codes(w);
    if (!err)
        err = lg_chunk_writer_new(path, &w->file);
    if (!err)
        err = write_heap(w, ret);
    if (!err)
        err = lg_chunk_writer_add(w->file, CHUNK_CODE, &w->codes);
    if (!err)
        err = facts_write(w->file, &w->stored);
    if (!err)
        err = write_findings(w);
    if (!err)
        err = write_surroundings(w);
    if (!err)
        err = write_images(w);
    if (!err)
        err = write_about(w, ret);
    if (!err && w->source->made)
        err = lg_table_write(w->file, CHUNK_MADE, io_made, (void *)w->source->made);
    if (!err && lg_cancelled())
        err = &lg_was_cancelled;
    return err ? err : lg_chunk_writer_finish(w->file, &ret->size);
}

struct lg_error *lg_snapshot_write(const struct lg_snapshot_source *source, const char *path,
                                   struct lg_snapshot_figures *ret)
{
    _cleanup_(writing_deinit) struct writing w = { .source = source };
    pthread_mutex_init(&w.lock, NULL);
    *ret = (struct lg_snapshot_figures){ 0 };
    return write_all(&w, path, ret);
}
