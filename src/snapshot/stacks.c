// Stacks in a snapshot: of their words only those that lead into the heap, as memos in memory that reads
// as zero otherwise; and what the DAC told of their frames.
#include "heap/window.h"
#include "snapshot/snapshot_priv.h"
#include "util/cancel.h"

// ---- STAK ----

static void io_blank(struct lg_table_io *io, struct blank *blank, void *end_data)
{
    uint64_t *end = end_data, gap = blank->start - *end, length = blank->end - blank->start;
    LG_IO(io, gap);
    LG_IO(io, length);
    blank->start = *end + gap;
    blank->end = blank->start + length;
    io->failed |= length == 0 || blank->start < *end || blank->end < blank->start;
    *end = blank->end;
}

void io_blanks(struct lg_table_io *io, void *data)
{
    struct blanks *blanks = data;
    uint64_t end = 0;
    LG_IO_VEC(io, &blanks->all, io_blank, &end);
}

size_t blanks_length(const struct blanks *blanks, uint64_t address, size_t len)
{
    size_t low = 0, high = blanks->all.len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (blanks->all.at[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == blanks->all.len || blanks->all.at[low].start > address)
        return 0;
    uint64_t left = blanks->all.at[low].end - address;
    return left < len ? (size_t)left : len;
}

struct gathering {
    struct lg_heap *heap;
    struct lg_arena *arena;
    struct window window;
    struct memos *memos;
    struct blanks *blanks;
};

static bool add_words(struct gathering *g, const struct lg_managed_thread *thread)
{
    struct lg_target *target = lg_clr_target(lg_heap_clr(g->heap));
    uint64_t start = (thread->stack_low + 7) & ~UINT64_C(7), slot = start, word;
    const uint8_t *bytes;
    bool ok = true;
    for (; ok && slot < thread->stack_high && thread->stack_high - slot >= 8; slot += 8) {
        bytes = window_at(&g->window, slot, 8, thread->stack_high);
        if (!bytes)
            break;
        memcpy(&word, bytes, sizeof(word));
        if (lg_heap_segment_at(g->heap, word))
            ok = memos_add(g->memos, target, g->arena, slot, 8);
    }
    return ok && (slot == start || lg_vec_push(&g->blanks->all, (struct blank){ start, slot }));
}

static int by_start(const void *a, const void *b)
{
    const struct blank *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

// Stacks that overlap, of a damaged target, are one.
static void settle(struct blanks *blanks)
{
    size_t kept = 0;
    if (blanks->all.len > 1)
        qsort(blanks->all.at, blanks->all.len, sizeof(*blanks->all.at), by_start);
    for (size_t i = 0; i < blanks->all.len; i++) {
        struct blank blank = blanks->all.at[i], *last = kept ? &blanks->all.at[kept - 1] : NULL;
        if (!last || blank.start > last->end)
            blanks->all.at[kept++] = blank;
        else if (blank.end > last->end)
            last->end = blank.end;
    }
    blanks->all.len = kept;
}

struct lg_error *stacks_gather(struct lg_heap *heap, struct lg_arena *arena, struct blanks *ret,
                               struct memos *memos)
{
    struct gathering g = { .heap = heap, .arena = arena, .memos = memos, .blanks = ret };
    const struct lg_managed_thread *threads;
    size_t count = 0;
    struct lg_error *err = window_init(&g.window, lg_clr_target(lg_heap_clr(heap)));
    if (!err)
        err = lg_clr_threads(lg_heap_clr(heap), &threads, &count);
    for (size_t i = 0; i < count && !err && !lg_cancelled(); i++) {
        if (!lg_managed_thread_is_gone(&threads[i]) && threads[i].stack_high)
            err = add_words(&g, &threads[i]) ? NULL : &lg_no_memory;
    }
    window_deinit(&g.window);
    settle(ret);
    return err;
}

// ---- FRAM ----

static void io_frame(struct lg_table_io *io, struct lg_dac_frame *frame, void *unused)
{
    (void)unused;
    LG_IO(io, frame->ip);
    LG_IO(io, frame->sp);
    LG_IO(io, frame->frame);
    lg_io_string(io, &frame->kind);
    LG_IO(io, frame->method);
    lg_io_string(io, &frame->name);
}

static void io_ref(struct lg_table_io *io, struct lg_dac_ref *ref, void *unused)
{
    (void)unused;
    uint64_t number = ref->frame == SIZE_MAX ? 0 : (uint64_t)ref->frame + 1;
    LG_IO(io, ref->slot);
    LG_IO(io, ref->object);
    lg_io_text(io, ref->place, sizeof(ref->place));
    LG_IO_BOOL(io, ref->is_interior);
    LG_IO_BOOL(io, ref->is_pinned);
    LG_IO(io, number);
    ref->frame = number ? (size_t)number - 1 : SIZE_MAX;
}

static void io_told(struct lg_table_io *io, struct lg_told_stack *told, void *unused)
{
    (void)unused;
    const char *missing = told->missing;
    LG_IO_VEC(io, &told->stack.frames, io_frame, NULL);
    LG_IO_VEC(io, &told->stack.refs, io_ref, NULL);
    lg_io_string(io, &told->stack.cut);
    lg_io_string(io, &missing);
    if (io->is_writing)
        return;
    told->missing = missing ? strdup(missing) : NULL;
    if (missing && !told->missing)
        io->failed = io->no_memory = true;
    // LG_IO_VEC keeps what it has read, failed or not: then it is freed with the others.
}

void io_frames(struct lg_table_io *io, void *data)
{
    struct frames *frames = data;
    lg_io_string(io, &frames->dac);
    lg_io_string(io, &frames->missing);
    LG_IO_VEC(io, &frames->all, io_told, NULL);
}

void frames_deinit(struct frames *frames)
{
    for (size_t i = 0; i < frames->all.len; i++)
        lg_told_stack_deinit(&frames->all.at[i]);
    lg_vec_free(&frames->all);
}

// Words that are null tell nothing; what leads outside the heap is told by clrstack as well.
static void drop_nulls(struct lg_dac_stack *stack)
{
    size_t kept = 0;
    for (size_t i = 0; i < stack->refs.len; i++) {
        if (stack->refs.at[i].object)
            stack->refs.at[kept++] = stack->refs.at[i];
    }
    stack->refs.len = kept;
}

struct lg_error *frames_gather(const struct lg_snapshot_source *source, struct frames *ret)
{
    const struct lg_managed_thread *threads;
    size_t count = 0;
    struct lg_error *err = lg_clr_threads(lg_heap_clr(source->heap), &threads, &count);
    ret->missing = source->no_dac;
    if (err || !source->dac)
        return err;
    ret->dac = lg_dac_path(source->dac);
    for (size_t i = 0; i < count && !err; i++) {
        struct lg_told_stack told = { .missing = NULL };
        if (!lg_managed_thread_is_gone(&threads[i]))
            err = lg_told_stack_read(source->dac, &threads[i], LG_DAC_FRAMES | LG_DAC_REFS, &told);
        if (!err)
            drop_nulls(&told.stack);
        if (!err && !lg_vec_push(&ret->all, told))
            err = &lg_no_memory;
        if (err)
            lg_told_stack_deinit(&told);
        if (!err && lg_cancelled())
            err = &lg_was_cancelled;
    }
    return err;
}
