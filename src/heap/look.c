// Looking up single objects, and their references.
#include <string.h>

#include "heap/walk.h"
#include "util/error.h"
#include "util/search.h"

const struct lg_segment *lg_heap_segment_at(const struct lg_heap *heap, uint64_t address)
{
    size_t low = lg_first_not(heap->segment_count, i, heap->segments[i].start <= address);
    const struct lg_segment *segment = low > 0 ? &heap->segments[low - 1] : NULL;
    return segment && address < segment->end ? segment : NULL;
}

bool lg_heap_object_at(struct lg_heap *heap, uint64_t address, struct lg_object *ret)
{
    const struct lg_segment *segment = address % 8 == 0 ? lg_heap_segment_at(heap, address) : NULL;
    uint64_t words[2];
    if (!segment || segment->end - address < 24
        || !lg_target_read_all(heap->target, address, words, sizeof(words)))
        return false;
    const struct lg_type *type = lg_clr_type(heap->clr, words[0] & heap->mask);
    if (!type || type->flags & LG_TYPE_FREE)
        return false;
    uint64_t size = lg_object_size(type->base_size, type->component_size, (uint32_t)words[1]);
    if (size > segment->end - address)
        return false;
    *ret = (struct lg_object){ address, size, type };
    return true;
}

struct search {
    uint64_t address;
    struct lg_object found;
    bool stop, hit;
};

static void look_at(void *self, struct walker *walker, const struct lg_seen *seen)
{
    struct search *search = self;
    (void)walker;
    if (seen->object.address > search->address)
        search->stop = true;
    else if (search->address - seen->object.address < seen->object.size) {
        search->found = seen->object;
        search->stop = search->hit = true;
    }
}

static struct lg_piece *piece_at(struct lg_heap *heap, uint64_t address)
{
    size_t low = lg_first_not(heap->pieces.len, i, heap->pieces.at[i].start <= address);
    return low > 0 ? &heap->pieces.at[low - 1] : NULL;
}

bool lg_heap_object_containing(struct lg_heap *heap, uint64_t address, struct lg_object *ret)
{
    struct lg_error *err = lg_heap_confirm(heap);
    if (!err && !heap->looker)
        err = walker_new(heap, 0, &heap->looker);
    lg_error_free(err);
    struct lg_piece *piece = !err && lg_heap_segment_at(heap, address) ? piece_at(heap, address) : NULL;
    if (!piece)
        return false;
    struct lg_piece whole = *piece;
    whole.end = piece->segment->end;
    struct search search = { .address = address };
    walk_tell(heap->looker, &whole, true, look_at, &search, &search.stop);
    *ret = search.found;
    return search.hit;
}

// ---- references ----

const struct gc_desc *lg_heap_desc(struct lg_heap *heap, const struct lg_type *type)
{
    if (!(type->flags & LG_TYPE_REFERENCES))
        return NULL;
    while (heap->descs.len <= type->id) {
        if (!lg_vec_push(&heap->descs, NULL))
            return NULL;
    }
    while (heap->desc_read.len <= type->id) {
        if (!lg_vec_push(&heap->desc_read, false))
            return NULL;
    }
    if (!heap->desc_read.at[type->id]) {
        heap->desc_read.at[type->id] = true;
        struct lg_error *err = gc_desc_read(heap->target, type, &heap->descs.at[type->id]);
        if (err)
            lg_target_note(heap->target, "%s: its references are unknown", lg_error_message(err));
        lg_error_free(err);
    }
    return heap->descs.at[type->id];
}

struct lg_error *lg_heap_compile(struct lg_heap *heap)
{
    uint32_t count = lg_clr_type_count(heap->clr);
    for (uint32_t i = 0; i < count; i++)
        lg_heap_desc(heap, lg_clr_type_at(heap->clr, i));
    return NULL;
}

struct each {
    lg_reference_visitor *reference;
    void *self;
};

static void each_of_run(void *self, uint64_t offset, const uint8_t *values, size_t count)
{
    struct each *each = self;
    for (size_t i = 0; i < count; i++) {
        uint64_t target = lg_load_u64(values + 8 * i);
        if (target != 0)
            each->reference(each->self, offset + 8 * i, target);
    }
}

void lg_heap_references(struct lg_heap *heap, const struct lg_object *object,
                        lg_reference_visitor *reference, void *self)
{
    const struct gc_desc *desc = lg_heap_desc(heap, object->type);
    const struct lg_segment *segment = lg_heap_segment_at(heap, object->address);
    if (!desc || !segment)
        return;
    // Taken out while in use: the visitor may ask for the references of another object.
    _cleanup_(walker_freep) struct walker *walker = lg_steal(heap->referrer);
    struct lg_error *err = walker ? NULL : walker_new(heap, 0, &walker);
    lg_error_free(err);
    if (!walker)
        return;
    struct lg_seen seen = { *object, segment, NULL, 0 };
    struct each each = { reference, self };
    lg_seen_references(walker, &seen, desc, each_of_run, &each);
    if (!heap->referrer)
        heap->referrer = lg_steal(walker);
}
