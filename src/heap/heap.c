#include "heap/heap.h"

#include <string.h>

#include "heap/walk.h"
#include "util/cancel.h"
#include "util/error.h"

// Segments of the segments GC are cut into pieces of this size, so that there is work for all
// processors; regions are smaller than that anyway.
enum { PIECE = 32 << 20 };

struct lg_clr *lg_heap_clr(const struct lg_heap *heap)
{
    return heap->clr;
}

static bool is_mapped(const struct lg_target *target, uint64_t start, uint64_t end)
{
    while (start < end) {
        const struct lg_range *range = lg_target_find(target, start);
        if (!range)
            return false;
        start = range->end;
    }
    return true;
}

static bool add_piece(struct lg_heap *heap, const struct lg_segment *segment, uint64_t start,
                      uint64_t end)
{
    // Large objects are few, and full of what looks like objects. What is not mapped is passed over in
    // one piece: damaged bounds may lead anywhere, and there is nothing to find for many workers.
    bool cut = segment->generation <= LG_GEN2 && is_mapped(heap->target, start, end);
    bool guessed = false;
    uint64_t size = heap->piece_size;
    while (start < end) {
        uint64_t next = cut && end - start > size + size / 2 ? start + size : end;
        struct lg_piece piece = { segment, start, next, guessed, 0 };
        if (!lg_vec_push(&heap->pieces, piece))
            return false;
        start = next;
        guessed = true;
    }
    return true;
}

// A piece lies in one generation, so that a filter on generations is one on pieces.
static struct lg_error *make_pieces(struct lg_heap *heap)
{
    for (size_t i = 0; i < heap->segment_count; i++) {
        const struct lg_segment *segment = &heap->segments[i];
        if (segment->start % 8 != 0)
            return lg_error_new(LG_ERR_CORRUPT, "segment 0x%llx: first object 0x%llx is not aligned",
                                (unsigned long long)segment->address,
                                (unsigned long long)segment->start);
        uint64_t cuts[] = { segment->start, segment->gen1_start, segment->gen0_start, segment->end };
        uint64_t from = segment->start;
        for (size_t c = 1; c < 4; c++) {
            if (cuts[c] <= from || cuts[c] > segment->end || cuts[c] % 8 != 0)
                continue;
            if (!add_piece(heap, segment, from, cuts[c]))
                return &lg_no_memory;
            from = cuts[c];
        }
    }
    return NULL;
}

struct lg_error *lg_heap_open_pieces(struct lg_clr *clr, uint64_t piece_size, struct lg_heap **ret)
{
    _cleanup_(lg_heap_freep) struct lg_heap *heap = calloc(1, sizeof(*heap));
    if (!heap)
        return &lg_no_memory;
    heap->clr = clr;
    heap->piece_size = piece_size;
    heap->target = lg_clr_target(clr);
    heap->mask = lg_clr_info(clr)->mt_mask;
    heap->free_mt = lg_clr_info(clr)->free_mt;
    heap->segments = lg_clr_segments(clr, &heap->segment_count);
    heap->contexts = lg_clr_alloc_contexts(clr, &heap->context_count);
    struct lg_error *err = make_pieces(heap);
    heap->confirmed = true;
    for (size_t i = 0; i < heap->pieces.len; i++)
        heap->confirmed &= !heap->pieces.at[i].guessed;
    if (!err)
        *ret = lg_steal(heap);
    return err;
}

struct lg_error *lg_heap_open(struct lg_clr *clr, struct lg_heap **ret)
{
    return lg_heap_open_pieces(clr, PIECE, ret);
}

void lg_heap_free(struct lg_heap *heap)
{
    if (!heap)
        return;
    walker_free(heap->looker);
    walker_free(heap->referrer);
    for (size_t i = 0; i < heap->descs.len; i++)
        free(heap->descs.at[i]);
    lg_vec_free(&heap->descs);
    lg_vec_free(&heap->desc_read);
    lg_vec_free(&heap->pieces);
    free(heap);
}

// ---- passes ----

struct crew {
    struct lg_heap *heap;
    struct walker *walkers[LG_WORKERS_MAX];
    const struct lg_walk_filter *filter; // NULL: everything
    const struct lg_pass *pass;          // NULL: counting
};

static bool wants_piece(const struct lg_walk_filter *filter, const struct lg_piece *piece)
{
    const struct lg_segment *segment = piece->segment;
    if (!filter)
        return true;
    if (filter->heap && segment->heap != filter->heap - 1)
        return false;
    if (filter->segment && filter->segment != segment->address
        && (filter->segment < segment->start || filter->segment >= segment->reserved))
        return false;
    if (filter->generations
        && !(filter->generations >> lg_segment_generation(segment, piece->start) & 1))
        return false;
    return piece->end > filter->start && (filter->end == 0 || piece->start < filter->end);
}

static void work_on_piece(void *data, size_t i, size_t worker)
{
    struct crew *crew = data;
    struct lg_piece *piece = &crew->heap->pieces.at[i];
    struct walker *walker = crew->walkers[worker];
    if (lg_cancelled() || !wants_piece(crew->filter, piece))
        return;
    if (crew->pass) {
        if (crew->pass->begin)
            crew->pass->begin(crew->pass->self, i, worker);
        if (crew->pass->seen)
            walk_tell(walker, piece, crew->pass->with_free, crew->pass->seen, crew->pass->self, NULL);
        else
            walk_starts(walker, piece, crew->pass->starts, crew->pass->self);
        if (crew->pass->end)
            crew->pass->end(crew->pass->self, i, worker);
        return;
    }
    struct lg_piece part = *piece;
    if (crew->filter && crew->filter->end && crew->filter->end < part.end)
        part.end = crew->filter->end;
    walk_count(walker, &part, crew->filter ? crew->filter->start : 0);
    piece->walked_to = part.walked_to;
}

static void crew_deinit(struct crew *crew)
{
    for (size_t i = 0; i < LG_WORKERS_MAX; i++)
        walker_free(crew->walkers[i]);
}

static struct lg_error *crew_init(struct crew *crew, struct lg_heap *heap)
{
    crew->heap = heap;
    for (size_t i = 0; i < lg_workers(); i++) {
        struct lg_error *err = walker_new(heap, i, &crew->walkers[i]);
        if (err)
            return err;
    }
    return NULL;
}

static void add_result(struct lg_walk_result *sum, const struct lg_walk_result *more, uint64_t sign)
{
    sum->objects += sign * more->objects;
    sum->bytes += sign * more->bytes;
    sum->free_objects += sign * more->free_objects;
    sum->free_bytes += sign * more->free_bytes;
    sum->bad_objects += sign * more->bad_objects;
    sum->skipped_bytes += sign * more->skipped_bytes;
    sum->unsettled += sign * more->unsettled;
    if (more->first_bad && (sum->first_bad == 0 || more->first_bad < sum->first_bad))
        sum->first_bad = more->first_bad;
}

static int by_address(const void *a, const void *b)
{
    const struct lg_object *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

static void forget_big_free(struct lg_type_stats *stats, uint64_t address)
{
    for (size_t i = 0; i < stats->big_free.len; i++) {
        if (stats->big_free.at[i].address == address)
            stats->big_free.at[i--] = stats->big_free.at[--stats->big_free.len];
    }
}

static struct lg_error *add_big_free(const struct walker *walker, bool add, struct lg_type_stats *stats)
{
    for (size_t i = 0; i < walker->big_free.len; i++) {
        if (!add)
            forget_big_free(stats, walker->big_free.at[i].address);
        else if (!lg_vec_push(&stats->big_free, walker->big_free.at[i]))
            return &lg_no_memory;
    }
    return NULL;
}

// Adds a walker's counters, or takes them away (`sign` -1) where a piece turns out to have begun in the
// wrong place.
static struct lg_error *add_walker(struct walker *walker, uint64_t sign, struct lg_type_stats *stats,
                                   struct lg_walk_result *result)
{
    walker_flush(walker);
    if (walker->out_of_memory || walker->counts.len > stats->type_count)
        return &lg_no_memory;
    for (size_t i = 0; i < walker->counts.len; i++) {
        stats->counts[i] += sign * walker->counts.at[i];
        stats->sizes[i] += sign * walker->sizes.at[i];
    }
    add_result(result, &walker->result, sign);
    return add_big_free(walker, sign == 1, stats);
}

static struct lg_error *recount(struct lg_heap *heap, struct lg_piece *piece, uint64_t sign,
                                struct lg_type_stats *stats, struct lg_walk_result *result)
{
    _cleanup_(walker_freep) struct walker *walker = NULL;
    struct lg_error *err = walker_new(heap, 0, &walker);
    if (err)
        return err;
    walk_count(walker, piece, 0);
    return add_walker(walker, sign, stats, result);
}

// A guessed piece is right when the walk of the piece before ended where it began. Otherwise its objects
// are taken out again, and those from the right place put in.
static struct lg_error *confirm_pieces(struct lg_heap *heap, struct lg_type_stats *stats,
                                       struct lg_walk_result *result)
{
    for (size_t i = 1; i < heap->pieces.len; i++) {
        struct lg_piece *piece = &heap->pieces.at[i];
        if (!piece->guessed)
            continue;
        piece->guessed = false;
        uint64_t right = heap->pieces.at[i - 1].walked_to;
        if (right == piece->start)
            continue;
        struct lg_error *err = recount(heap, piece, -UINT64_C(1), stats, result);
        piece->start = right; // Behind its end, if one object reaches over the whole piece.
        if (!err)
            err = recount(heap, piece, 1, stats, result);
        if (err)
            return err;
    }
    return NULL;
}

static void guess_start(void *data, size_t i, size_t worker)
{
    struct crew *crew = data;
    struct lg_piece *piece = &crew->heap->pieces.at[i];
    if (piece->guessed && !lg_cancelled())
        piece->start = walk_guess(crew->walkers[worker], piece->start, piece->end);
}

static struct lg_error *count_all(struct lg_heap *heap, const struct lg_walk_filter *filter,
                                  struct lg_type_stats *stats, struct lg_walk_result *result)
{
    _cleanup_(crew_deinit) struct crew crew = { .filter = filter };
    struct lg_error *err = crew_init(&crew, heap);
    if (err)
        return err;
    if (!heap->confirmed)
        lg_parallel(heap->pieces.len, guess_start, &crew);
    lg_parallel(heap->pieces.len, work_on_piece, &crew);
    if (lg_cancelled())
        return &lg_was_cancelled;
    for (size_t i = 0; i < lg_workers(); i++)
        walker_flush(crew.walkers[i]);

    uint32_t count = lg_clr_type_count(heap->clr);
    stats->type_count = count;
    stats->counts = calloc(count + 1u, sizeof(*stats->counts));
    stats->sizes = calloc(count + 1u, sizeof(*stats->sizes));
    if (!stats->counts || !stats->sizes)
        return &lg_no_memory;
    for (size_t i = 0; i < lg_workers() && !err; i++)
        err = add_walker(crew.walkers[i], 1, stats, result);
    if (!err && !heap->confirmed)
        err = confirm_pieces(heap, stats, result);
    if (!err && stats->big_free.len > 1)
        qsort(stats->big_free.at, stats->big_free.len, sizeof(*stats->big_free.at), by_address);
    return err;
}

struct lg_error *lg_heap_confirm(struct lg_heap *heap)
{
    if (heap->confirmed)
        return NULL;
    struct lg_type_stats stats = { 0 };
    struct lg_walk_result result = { 0 };
    struct lg_error *err = count_all(heap, NULL, &stats, &result);
    lg_type_stats_deinit(&stats);
    heap->confirmed = !err;
    return err;
}

struct lg_error *lg_heap_stats(struct lg_heap *heap, const struct lg_walk_filter *filter,
                               struct lg_type_stats *ret, struct lg_walk_result *result_ret)
{
    bool whole =
        !filter
        || (!filter->start && !filter->end && !filter->heap && !filter->segment && !filter->generations);
    struct lg_error *err = whole ? NULL : lg_heap_confirm(heap);
    if (err)
        return err;
    struct lg_type_stats stats = { 0 };
    struct lg_walk_result result = { 0 };
    err = count_all(heap, whole ? NULL : filter, &stats, &result);
    if (err) {
        lg_type_stats_deinit(&stats);
        return err;
    }
    heap->confirmed = true;
    *ret = stats;
    *result_ret = result;
    return NULL;
}

void lg_type_stats_deinit(struct lg_type_stats *stats)
{
    free(stats->counts);
    free(stats->sizes);
    lg_vec_free(&stats->big_free);
    *stats = (struct lg_type_stats){ 0 };
}

struct lg_error *lg_heap_pass(struct lg_heap *heap, const struct lg_pass *pass,
                              struct lg_walk_result *result_ret)
{
    struct lg_error *err = lg_heap_confirm(heap);
    if (err)
        return err;
    _cleanup_(crew_deinit) struct crew crew = { .pass = pass };
    err = crew_init(&crew, heap);
    if (err)
        return err;
    lg_parallel(heap->pieces.len, work_on_piece, &crew);
    if (lg_cancelled())
        return &lg_was_cancelled;
    *result_ret = (struct lg_walk_result){ 0 };
    for (size_t i = 0; i < lg_workers(); i++) {
        walker_flush(crew.walkers[i]);
        if (crew.walkers[i]->out_of_memory)
            return &lg_no_memory;
        add_result(result_ret, &crew.walkers[i]->result, 1);
    }
    return NULL;
}

struct serial {
    lg_object_visitor *object;
    void *self;
    const struct lg_walk_filter *filter;
    bool stop;
};

static void tell_one(void *self, struct walker *walker, const struct lg_seen *seen)
{
    struct serial *serial = self;
    uint64_t address = seen->object.address;
    (void)walker;
    if (serial->filter && address < serial->filter->start)
        return;
    if (serial->filter && serial->filter->end && address >= serial->filter->end)
        serial->stop = true;
    else if (!serial->object(serial->self, &seen->object, seen->segment))
        serial->stop = true;
}

struct lg_error *lg_heap_walk(struct lg_heap *heap, const struct lg_walk_filter *filter,
                              lg_object_visitor *object, void *self, struct lg_walk_result *result_ret)
{
    struct lg_error *err = lg_heap_confirm(heap);
    if (err)
        return err;
    _cleanup_(walker_freep) struct walker *walker = NULL;
    err = walker_new(heap, 0, &walker);
    if (err)
        return err;
    struct serial serial = { object, self, filter, false };
    for (size_t i = 0; i < heap->pieces.len && !serial.stop; i++) {
        if (lg_cancelled())
            return &lg_was_cancelled;
        if (wants_piece(filter, &heap->pieces.at[i]))
            walk_tell(walker, &heap->pieces.at[i], true, tell_one, &serial, &serial.stop);
    }
    walker_flush(walker);
    *result_ret = walker->result;
    return walker->out_of_memory ? &lg_no_memory : NULL;
}
