#include "heap/walk.h"

#include <string.h>

#include "util/error.h"

enum {
    MIN_OBJECT = 24,
    HEADER = 16, // What tells the size: method table and count.
    PROOF = 4,   // Objects in a row that have to make sense before a walk goes on behind damage.
    RESYNC_TRIES = 1 << 14, // Words looked at as method tables before the rest of a piece is given up.
};

struct lg_error *walker_new(struct lg_heap *heap, size_t number, struct walker **ret)
{
    _cleanup_(walker_freep) struct walker *walker = calloc(1, sizeof(*walker));
    if (!walker)
        return &lg_no_memory;
    walker->heap = heap;
    walker->number = number;
    struct lg_error *err = window_init(&walker->window, heap->target);
    if (!err)
        *ret = lg_steal(walker);
    return err;
}

void walker_free(struct walker *walker)
{
    if (!walker)
        return;
    window_deinit(&walker->window);
    lg_vec_free(&walker->counts);
    lg_vec_free(&walker->sizes);
    free(walker);
}

size_t lg_walker_number(const struct walker *walker)
{
    return walker->number;
}

static void flush_slot(struct walker *walker, struct type_slot *slot)
{
    if (slot->count == 0)
        return;
    while (walker->counts.len <= slot->type->id) {
        if (!lg_vec_push(&walker->counts, 0) || !lg_vec_push(&walker->sizes, 0)) {
            walker->out_of_memory = true;
            return;
        }
    }
    walker->counts.at[slot->type->id] += slot->count;
    walker->sizes.at[slot->type->id] += slot->bytes;
    bool is_free = slot->type->flags & LG_TYPE_FREE;
    *(is_free ? &walker->result.free_objects : &walker->result.objects) += slot->count;
    *(is_free ? &walker->result.free_bytes : &walker->result.bytes) += slot->bytes;
    slot->count = slot->bytes = 0;
}

void walker_flush(struct walker *walker)
{
    for (size_t i = 0; i < SLOTS; i++)
        flush_slot(walker, &walker->slots[i]);
}

static inline struct type_slot *slot_of(struct walker *walker, uint64_t mt)
{
    return &walker->slots[(mt >> 3) * 0x9e3779b97f4a7c15 >> (64 - SLOT_BITS)];
}

// The slot of a method table that was not in it; NULL if it is none.
static __attribute__((noinline)) struct type_slot *fill_slot(struct walker *walker, uint64_t mt)
{
    const struct lg_type *type = lg_clr_type(walker->heap->clr, mt);
    if (!type || type->base_size < MIN_OBJECT - 8)
        return NULL;
    struct type_slot *slot = slot_of(walker, mt);
    flush_slot(walker, slot);
    *slot = (struct type_slot){
        .mt = mt,
        .type = type,
        .base_size = type->base_size,
        .component_size = type->component_size,
    };
    return slot;
}

// The type at `bytes`, and the size of the object there as SOS counts it; NULL if there is none.
static inline struct type_slot *object_type(struct walker *walker, const uint8_t *bytes,
                                            uint64_t *size_ret)
{
    uint64_t mt = lg_load_u64(bytes) & walker->heap->mask;
    struct type_slot *slot = slot_of(walker, mt);
    if (slot->mt != mt || !slot->type) {
        slot = fill_slot(walker, mt);
        if (!slot)
            return NULL;
    }
    uint32_t count;
    memcpy(&count, bytes + 8, sizeof(count));
    *size_ret = slot->base_size + (uint64_t)slot->component_size * count;
    return slot;
}

static inline uint64_t stride(uint64_t size)
{
    return size < MIN_OBJECT ? MIN_OBJECT : (size + 7) & ~UINT64_C(7);
}

// Index of the first allocation context at or behind `address`.
static size_t context_from(const struct lg_heap *heap, uint64_t address)
{
    size_t low = 0, high = heap->context_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (heap->contexts[middle].ptr < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t behind(const struct lg_alloc_context *context)
{
    // An allocation context keeps room for one smallest object behind its limit (clr.md C.5).
    return context->limit + MIN_OBJECT;
}

static bool makes_sense(struct walker *walker, uint64_t p, uint64_t end)
{
    for (int i = 0; i < PROOF && p != end; i++) {
        uint64_t size;
        const uint8_t *bytes = p + MIN_OBJECT <= end ? window_at(&walker->window, p, HEADER, end) : NULL;
        if (!bytes || !object_type(walker, bytes, &size) || stride(size) > end - p)
            return false;
        p += stride(size);
        size_t c = context_from(walker->heap, p);
        if (c < walker->heap->context_count && walker->heap->contexts[c].ptr == p)
            p = behind(&walker->heap->contexts[c]);
    }
    return p <= end;
}

// Where the next object that makes sense begins, at or behind `p`; `end` if none is found.
static uint64_t resynchronise(struct walker *walker, uint64_t p, uint64_t end)
{
    for (int tries = 0; p + MIN_OBJECT <= end && tries < RESYNC_TRIES; p += 8) {
        const uint8_t *bytes = window_at(&walker->window, p, 8, end);
        if (!bytes) {
            p = (p | 4095) - 7; // The next page may be there.
            tries++;
            continue;
        }
        uint64_t mt = lg_load_u64(bytes) & walker->heap->mask;
        if (mt < 4096 || mt >> 47)
            continue;
        tries++;
        if (makes_sense(walker, p, end))
            return p;
    }
    return end;
}

uint64_t walk_guess(struct walker *walker, uint64_t p, uint64_t end)
{
    return resynchronise(walker, p, end);
}

// Something that is no object: steps behind it, and says so in the result.
static uint64_t step_over(struct walker *walker, uint64_t p, uint64_t end, size_t context)
{
    struct lg_heap *heap = walker->heap;
    const uint8_t *bytes = window_at(&walker->window, p, 8, end);
    bool context_ahead = context < heap->context_count && heap->contexts[context].ptr < end;
    if (bytes && lg_load_u64(bytes) == 0 && context_ahead) {
        // An object whose method table was not written yet lies just below the pointer of its context.
        walker->result.unsettled++;
        return behind(&heap->contexts[context]);
    }
    if (walker->result.bad_objects++ == 0)
        walker->result.first_bad = p;
    uint64_t next = resynchronise(walker, p + 8, end);
    walker->result.skipped_bytes += next - p;
    return next;
}

struct telling {
    seen_visitor *seen;
    void *self;
    const bool *stop;
    bool with_free;
};

// The loop. Inlined twice: counting, and telling. Objects that start before `stop` are walked; the
// segment's objects end at `end`. Returns where it ended: `stop`, or the end of an object that reaches
// beyond.
static inline __attribute__((always_inline)) uint64_t walk(struct walker *walker,
                                                           const struct lg_segment *segment, uint64_t p,
                                                           uint64_t stop, bool count,
                                                           const struct telling *telling)
{
    struct lg_heap *heap = walker->heap;
    struct window *window = &walker->window;
    uint64_t end = segment->end;
    size_t context = context_from(heap, p);
    uint64_t gap = context < heap->context_count ? heap->contexts[context].ptr : UINT64_MAX;

    while (p < stop) {
        if (p >= gap) {
            if (p == gap)
                p = behind(&heap->contexts[context]);
            context++;
            gap = context < heap->context_count ? heap->contexts[context].ptr : UINT64_MAX;
            continue;
        }
        const uint8_t *bytes = end - p >= MIN_OBJECT ? window_at(window, p, HEADER, end) : NULL;
        // As long as whole headers are in the window and nothing else is due, nothing else is looked at.
        uint64_t until = window->end - (HEADER - 1);
        until = until < stop ? until : stop;
        until = until < gap ? until : gap;
        do {
            uint64_t size;
            struct type_slot *slot = bytes ? object_type(walker, bytes, &size) : NULL;
            if (!slot || stride(size) > end - p) {
                p = step_over(walker, p, end, context);
                break;
            }
            if (count) {
                slot->count++;
                slot->bytes += size;
            }
            if (telling && (telling->with_free || !(slot->type->flags & LG_TYPE_FREE))) {
                struct lg_seen seen = { { p, size, slot->type }, segment, bytes, window->end - p };
                telling->seen(telling->self, walker, &seen);
                if (telling->stop && *telling->stop)
                    return p;
                p += stride(size);
                break; // The visitor may have moved the window.
            }
            p += stride(size);
            bytes += stride(size);
        } while (p < until);
    }
    return p;
}

void walk_count(struct walker *walker, struct lg_piece *piece, uint64_t from)
{
    uint64_t p = piece->start;
    if (from > p)
        p = walk(walker, piece->segment, p, from < piece->end ? from : piece->end, false, NULL);
    piece->walked_to = walk(walker, piece->segment, p, piece->end, true, NULL);
}

void walk_tell(struct walker *walker, struct lg_piece *piece, bool with_free, seen_visitor *seen,
               void *self, const bool *stop)
{
    struct telling telling = { seen, self, stop, with_free };
    piece->walked_to = walk(walker, piece->segment, piece->start, piece->end, true, &telling);
}

void lg_seen_references(struct walker *walker, const struct lg_seen *seen, const struct gc_desc *desc,
                        lg_run_visitor *run, void *self)
{
    struct gc_cursor cursor = { 0 };
    uint64_t offset, end, address = seen->object.address;
    bool whole = seen->available >= seen->object.size;
    while (gc_desc_next(desc, seen->object.size, &cursor, &offset, &end)) {
        if (whole) {
            run(self, offset, seen->bytes + offset, (end - offset) / 8);
            continue;
        }
        while (end - offset >= 8) {
            const uint8_t *bytes = window_at(&walker->window, address + offset, 8, seen->segment->end);
            if (!bytes)
                return;
            uint64_t have = (walker->window.end - address - offset) / 8, want = (end - offset) / 8;
            uint64_t n = have < want ? have : want;
            run(self, offset, bytes, n);
            offset += n * 8;
        }
    }
}
