#include "heap/walk.h"

#include <string.h>

#include "util/error.h"
#include "util/search.h"

enum {
    HEADER = 16, // What tells the size: method table and count.
    PROOF = 4,   // Objects in a row that have to make sense before a walk goes on behind damage.
    RESYNC_TRIES = 1 << 14, // Words looked at as method tables before the rest of a piece is given up.
    UNSETTLED_MAX = 128 << 10, // Larger objects do not come out of allocation contexts.
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
    lg_vec_free(&walker->big_free);
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
    if (slot->component_size == 0)
        slot->bytes = slot->count * slot->base_size;
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

static inline uint64_t size_of(const struct type_slot *slot, const uint8_t *bytes)
{
    uint32_t count;
    memcpy(&count, bytes + 8, sizeof(count));
    return lg_object_size(slot->base_size, slot->component_size, count);
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
    *size_ret = size_of(slot, bytes);
    return slot;
}

static inline uint64_t stride(uint64_t size)
{
    return (size + 7) & ~UINT64_C(7);
}

// Index of the first allocation context at or behind `address`.
static size_t context_from(const struct lg_heap *heap, uint64_t address)
{
    return lg_first_not(heap->context_count, i, heap->contexts[i].ptr < address);
}

// Where objects go on behind an allocation context, which keeps room for one smallest object behind its
// limit (clr.md C.5). One that reaches beyond `end` is damaged: its own pointer, where no object will be
// found.
static uint64_t behind(const struct lg_alloc_context *context, uint64_t end)
{
    bool fits =
        context->limit < end && end - context->limit >= MIN_OBJECT && context->limit >= context->ptr;
    return fits ? context->limit + MIN_OBJECT : context->ptr;
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
            p = behind(&walker->heap->contexts[c], end);
    }
    return p <= end;
}

// Where there may be something to read again, behind `p` where there is not: the next page, or the next
// range of the target.
static uint64_t behind_hole(const struct lg_target *target, uint64_t p)
{
    uint64_t page = (p | 4095) + 1;
    size_t low = lg_first_not(target->ranges.len, i, target->ranges.at[i].end <= page);
    while (low < target->ranges.len && !(target->ranges.at[low].access & LG_READ))
        low++;
    if (low == target->ranges.len)
        return UINT64_MAX - 7;
    return target->ranges.at[low].start > page ? target->ranges.at[low].start : page;
}

// Where the next object that makes sense begins, at or behind `p`; `end` if none is found.
static uint64_t resynchronise(struct walker *walker, uint64_t p, uint64_t end)
{
    for (int tries = 0; p < end && end - p >= MIN_OBJECT && tries < RESYNC_TRIES; p += 8) {
        const uint8_t *bytes = window_at(&walker->window, p, 8, end);
        if (!bytes) {
            p = behind_hole(walker->heap->target, p) - 8;
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
    bool context_ahead = context < heap->context_count && heap->contexts[context].ptr < end
                         && heap->contexts[context].ptr - p <= UNSETTLED_MAX;
    if (bytes && lg_load_u64(bytes) == 0 && context_ahead) {
        // An object whose method table was not written yet lies just below the pointer of its context.
        walker->result.unsettled++;
        return behind(&heap->contexts[context], end);
    }
    if (walker->result.bad_objects++ == 0)
        walker->result.first_bad = p;
    uint64_t next = resynchronise(walker, p + 8, end);
    walker->result.skipped_bytes += next - p;
    return next;
}

static __attribute__((noinline)) void note_big(struct walker *walker, uint64_t address, uint64_t size,
                                               const struct lg_type *type)
{
    struct lg_object object = { address, size, type };
    if (type->flags & LG_TYPE_FREE && !lg_vec_push(&walker->big_free, object))
        walker->out_of_memory = true;
}

struct telling {
    seen_visitor *seen;
    void *self;
    const bool *stop;
    bool with_free;
};

// Where a walk stands: what is due next apart from objects.
struct stand {
    const struct lg_segment *segment;
    uint64_t stop;  // objects that start here or behind are not walked
    uint64_t gap;   // pointer of the next allocation context
    size_t context; // its index
};

static void next_gap(const struct lg_heap *heap, struct stand *stand)
{
    bool any = stand->context < heap->context_count;
    stand->gap = any ? heap->contexts[stand->context].ptr : UINT64_MAX;
}

static struct stand stand_at(const struct lg_heap *heap, const struct lg_segment *segment, uint64_t p,
                             uint64_t stop)
{
    struct stand stand = { .segment = segment, .stop = stop, .context = context_from(heap, p) };
    next_gap(heap, &stand);
    return stand;
}

// Steps behind allocation contexts that begin at `p`, and forgets those before it.
static uint64_t step_gaps(const struct lg_heap *heap, struct stand *stand, uint64_t p)
{
    while (p >= stand->gap) {
        if (p == stand->gap)
            p = behind(&heap->contexts[stand->context], stand->segment->committed);
        stand->context++;
        next_gap(heap, stand);
    }
    return p;
}

// The bytes of the next object and how far whole headers reach without anything else being due; NULL
// when not even a header is left.
static inline const uint8_t *look_ahead(struct walker *walker, const struct stand *stand, uint64_t p,
                                        uint64_t *until_ret)
{
    uint64_t end = stand->segment->end;
    const uint8_t *bytes = end - p >= MIN_OBJECT ? window_at(&walker->window, p, HEADER, end) : NULL;
    uint64_t until = walker->window.end - (HEADER - 1);
    until = until < stand->stop ? until : stand->stop;
    *until_ret = until < stand->gap ? until : stand->gap;
    return bytes;
}

// Gathers the starts of objects, 64 words of heap at a time.
struct noting {
    lg_starts_visitor *starts;
    void *self;
    uint64_t word, bits;
};

static void note_word(struct noting *noting)
{
    if (noting->bits)
        noting->starts(noting->self, noting->word, noting->bits);
    noting->bits = 0;
}

static inline void note_start(struct noting *noting, uint64_t p)
{
    uint64_t word = p & ~UINT64_C(511);
    if (word != noting->word) {
        note_word(noting);
        noting->word = word;
    }
    noting->bits |= UINT64_C(1) << (p >> 3 & 63);
}

// Counts from `p` to `until`, or up to what is no object; `*bad_ret` then. Objects of one type often
// follow on one another: while they do, and have one size, where the next lies does not depend on what
// is read, so the processor runs ahead. That is what makes 100 million objects a second.
// Inlined twice, with and without noting starts.
static inline __attribute__((always_inline)) uint64_t count_run(struct walker *walker,
                                                                const uint8_t *bytes, uint64_t p,
                                                                uint64_t until, uint64_t end,
                                                                struct noting *noting, bool *bad_ret)
{
    const uint64_t mask = walker->heap->mask;
    struct type_slot *last = &walker->slots[0], *vary = last;
    uint64_t last_mt = 0, last_stride = 0, last_until = 0, vary_mt = 0;
    for (;;) {
        uint64_t n = 0;
        while (p < last_until && (lg_load_u64(bytes) & mask) == last_mt) {
            if (noting)
                note_start(noting, p);
            n++;
            p += last_stride;
            bytes += last_stride;
        }
        last->count += n;
        if (p >= until)
            return p;
        uint64_t mt = lg_load_u64(bytes) & mask, size;
        struct type_slot *slot = vary;
        if (mt != vary_mt || mt == 0) {
            slot = object_type(walker, bytes, &size);
            *bad_ret = !slot || stride(size) > end - p;
            if (*bad_ret)
                return p;
            if (slot->component_size == 0) {
                last = slot;
                last_mt = mt;
                last_stride = stride(size);
                last_until = end - last_stride + 1 < until ? end - last_stride + 1 : until;
                // The variable type may have lost its slot to this one.
                vary_mt = vary == slot ? 0 : vary_mt;
                continue;
            }
            last_mt = last == slot ? 0 : last_mt;
            last_until = last == slot ? 0 : last_until;
            vary = slot;
            vary_mt = mt;
        }
        size = size_of(slot, bytes);
        *bad_ret = stride(size) > end - p;
        if (*bad_ret)
            return p;
        slot->count++;
        slot->bytes += size;
        if (__builtin_expect(size >= LG_BIG_FREE, 0))
            note_big(walker, p, size, slot->type);
        if (noting && !(slot->type->flags & LG_TYPE_FREE))
            note_start(noting, p);
        p += stride(size);
        bytes += stride(size);
    }
}

static uint64_t count_objects(struct walker *walker, const struct lg_segment *segment, uint64_t p,
                              uint64_t stop, struct noting *noting)
{
    struct stand stand = stand_at(walker->heap, segment, p, stop);
    while ((p = step_gaps(walker->heap, &stand, p)) < stop) {
        uint64_t until;
        const uint8_t *bytes = look_ahead(walker, &stand, p, &until);
        bool bad = !bytes;
        if (bytes && noting)
            p = count_run(walker, bytes, p, until, segment->end, noting, &bad);
        else if (bytes)
            p = count_run(walker, bytes, p, until, segment->end, NULL, &bad);
        if (bad)
            p = step_over(walker, p, segment->end, stand.context);
    }
    return p;
}

// Tells from `p` to `until`, as count_run() counts; to the object after which the visitor had moved the
// window or wanted no more, at the latest.
static uint64_t tell_run(struct walker *walker, const struct telling *telling, const struct stand *stand,
                         const uint8_t *bytes, uint64_t p, uint64_t until, bool *bad_ret)
{
    const uint8_t *window = walker->window.bytes;
    uint64_t window_start = walker->window.start, end = stand->segment->end;
    bool moved = false;
    while (p < until && !moved) {
        uint64_t size;
        struct type_slot *slot = object_type(walker, bytes, &size);
        *bad_ret = !slot || stride(size) > end - p;
        if (*bad_ret)
            return p;
        slot->count++;
        slot->bytes += slot->component_size ? size : 0;
        const struct lg_type *type = slot->type; // The visitor may give the slot to another.
        if (telling->with_free || !(type->flags & LG_TYPE_FREE)) {
            struct lg_seen seen = { { p, size, type }, stand->segment, bytes, walker->window.end - p };
            telling->seen(telling->self, walker, &seen);
            moved = walker->window.start != window_start || walker->window.bytes != window
                    || (telling->stop && *telling->stop);
        }
        p += stride(size);
        bytes += stride(size);
    }
    return p;
}

static uint64_t tell_objects(struct walker *walker, const struct lg_segment *segment, uint64_t p,
                             uint64_t stop, const struct telling *telling)
{
    struct stand stand = stand_at(walker->heap, segment, p, stop);
    while ((p = step_gaps(walker->heap, &stand, p)) < stop && !(telling->stop && *telling->stop)) {
        uint64_t until;
        const uint8_t *bytes = look_ahead(walker, &stand, p, &until);
        bool bad = !bytes;
        if (bytes)
            p = tell_run(walker, telling, &stand, bytes, p, until, &bad);
        if (bad)
            p = step_over(walker, p, segment->end, stand.context);
    }
    return p;
}

static void tell_nobody(void *self, struct walker *walker, const struct lg_seen *seen)
{
    (void)self;
    (void)walker;
    (void)seen;
}

void walk_count(struct walker *walker, struct lg_piece *piece, uint64_t from)
{
    static const struct telling nothing = { .seen = tell_nobody };
    uint64_t p = piece->start;
    if (from > p) {
        // Objects before `from` are walked, not counted: by a walker of which nothing is kept.
        struct walker *quiet = NULL;
        struct lg_error *err = walker_new(walker->heap, walker->number, &quiet);
        walker->out_of_memory |= err != NULL;
        lg_error_free(err);
        if (quiet)
            p = tell_objects(quiet, piece->segment, p, from < piece->end ? from : piece->end, &nothing);
        walker_free(quiet);
    }
    piece->walked_to = count_objects(walker, piece->segment, p, piece->end, NULL);
}

void walk_starts(struct walker *walker, struct lg_piece *piece, lg_starts_visitor *starts, void *self)
{
    struct noting noting = { .starts = starts, .self = self };
    piece->walked_to = count_objects(walker, piece->segment, piece->start, piece->end, &noting);
    note_word(&noting);
}

void walk_tell(struct walker *walker, struct lg_piece *piece, bool with_free, seen_visitor *seen,
               void *self, const bool *stop)
{
    struct telling telling = { seen, self, stop, with_free };
    piece->walked_to = tell_objects(walker, piece->segment, piece->start, piece->end, &telling);
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
