// The heap that is made of a .gcdump: objects in order, and their memory.
#include "snapshot/gcdump_priv.h"
#include "util/pages.h"
#include "util/search.h"

// ---- order ----

struct entry {
    uint64_t address;
    lg_node node;
};

// By digits of 11 bits, low ones first; digits that are the same in all are passed over.
static struct entry *sort(struct entry *from, struct entry *to, uint32_t count)
{
    enum { BITS = 11, DIGITS = 1 << BITS };
    for (unsigned shift = 0; shift < 64; shift += BITS) {
        uint32_t at[DIGITS] = { 0 }, sum = 0;
        for (uint32_t i = 0; i < count; i++)
            at[from[i].address >> shift & (DIGITS - 1)]++;
        if (count == 0 || at[from[0].address >> shift & (DIGITS - 1)] == count)
            continue;
        for (uint32_t d = 0; d < DIGITS; d++) {
            uint32_t here = at[d];
            at[d] = sum;
            sum += here;
        }
        for (uint32_t i = 0; i < count; i++)
            to[at[from[i].address >> shift & (DIGITS - 1)]++] = from[i];
        struct entry *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

static struct lg_error *find_order(struct gcdump *dump)
{
    _cleanup_free_ struct entry *entries = malloc((dump->count + (size_t)1) * sizeof(*entries));
    _cleanup_free_ struct entry *spare = malloc((dump->count + (size_t)1) * sizeof(*spare));
    dump->order = malloc((dump->count + (size_t)1) * sizeof(*dump->order));
    if (!entries || !spare || !dump->order)
        return &lg_no_memory;
    uint32_t count = 0;
    for (lg_node node = 0; node < dump->node_count; node++) {
        if (dump_bit(dump->is_object, node))
            entries[count++] = (struct entry){ dump_address(dump, node), node };
    }
    const struct entry *sorted = sort(entries, spare, count);
    for (uint32_t i = 0; i < count; i++)
        dump->order[i] = sorted[i].node;
    return NULL;
}

// ---- segments ----

static const struct dump_segment *segment_of(const struct gcdump *dump, uint64_t address)
{
    size_t i = lg_first_not(dump->segments.len, at, dump->segments.at[at].start <= address);
    return i > 0 && address < dump->segments.at[i - 1].end ? &dump->segments.at[i - 1] : NULL;
}

// The highest whose objects end behind it, as the viewers have it.
static enum lg_generation generation_of(const struct gcdump *dump, lg_node node, bool *known)
{
    uint64_t address = dump_address(dump, node);
    const struct dump_segment *segment = segment_of(dump, address);
    *known = true;
    if (dump_bit(dump->is_frozen, node))
        return LG_FOH;
    for (int generation = LG_POH; segment && generation >= LG_GEN0; generation--) {
        if (address < segment->ends[generation])
            return (enum lg_generation)generation;
    }
    *known = false;
    return LG_GEN2;
}

static bool all_have_generations(const struct gcdump *dump)
{
    bool known = dump->segments.len > 0;
    for (uint32_t i = 0; i < dump->count && known; i++)
        generation_of(dump, dump->order[i], &known);
    return known;
}

static uint64_t end_of(const struct gcdump *dump, lg_node i)
{
    struct dump_node node = { 0 };
    dump_node(dump, i, &node);
    return dump_address(dump, i) + ((uint64_t)node.size + 7) / 8 * 8;
}

// Segments end where the generation changes, and where free space cannot fill what is between objects.
static struct lg_error *find_segments(struct gcdump *dump)
{
    enum { FREE_LEAST = 24, FREE_MOST = 1 << 30 };
    uint64_t budget = 4 * (uint64_t)lg_reader_left(&dump->file) + (64 << 10);
    dump->has_generations = all_have_generations(dump);
    for (uint32_t i = 0; i < dump->count; i++) {
        bool known;
        lg_node node = dump->order[i];
        uint64_t address = dump_address(dump, node);
        struct lg_segment *last = dump->heap.len ? &dump->heap.at[dump->heap.len - 1] : NULL;
        enum lg_generation generation = generation_of(dump, node, &known);
        if (!dump->has_generations && generation != LG_FOH)
            generation = LG_GEN2;
        if (last && address < last->end)
            return dump_damaged(dump, "the object at 0x%llx lies within another",
                                (unsigned long long)address);
        uint64_t gap = last ? address - last->end : 0;
        if (!last || last->generation != generation || gap > FREE_MOST || (gap && gap < FREE_LEAST)) {
            struct lg_segment segment = { .address = address,
                                          .start = address,
                                          .generation = generation };
            segment.flags = generation == LG_FOH;
            if (budget < 2 * sizeof(segment))
                return dump_damaged(dump, "its objects are further apart than its size allows for");
            budget -= 2 * sizeof(segment);
            if (!lg_vec_push(&dump->heap, segment))
                return &lg_no_memory;
            last = &dump->heap.at[dump->heap.len - 1];
        }
        last->end = last->committed = last->reserved = end_of(dump, node);
    }
    return NULL;
}

// ---- references without room ----

static uint64_t slots_of(const struct dump_shape *shape, uint64_t size)
{
    return size >= shape->first + 8 + UINT64_C(8) ? (size - 8 - shape->first) / 8 : 0;
}

static struct lg_error *add_handles(struct gcdump *dump, lg_node i, struct lg_stored *stored,
                                    uint64_t *budget)
{
    struct dump_node node = { 0 };
    dump_node(dump, i, &node);
    const struct dump_shape *shape = &dump->shapes.at[dump->types.at[node.type].id - 1];
    uint64_t slots = slots_of(shape, node.size);
    for (uint32_t k = 0; k < node.children; k++) {
        lg_node child;
        if (!dump_child(dump, i, &node.at, &child) || !dump_bit(dump->is_object, child))
            continue;
        if (slots > 0) {
            slots--;
            continue;
        }
        struct lg_handle handle = { .address = stored->handles.len + 1,
                                    .object = dump_address(dump, i),
                                    .secondary = dump_address(dump, child),
                                    .kind = LG_HANDLE_DEPENDENT };
        if (*budget < 2 * sizeof(handle))
            return dump_damaged(dump, "it has more references than its objects have room for");
        *budget -= 2 * sizeof(handle);
        if (!lg_vec_push(&stored->handles, handle))
            return &lg_no_memory;
    }
    return NULL;
}

// All objects of a type are told to begin with as many references as the one that has most, as far as
// there is room, and each of these words is looked at: a short file could tell of huge objects, and make
// that take forever. Of a real heap few words are empty beside what its file takes.
static struct lg_error *count_empty_words(const struct gcdump *dump)
{
    uint64_t budget = (UINT64_C(1) << 30) + 16 * (uint64_t)lg_reader_left(&dump->file);
    for (uint32_t i = 0; i < dump->count; i++) {
        struct dump_node node = { 0 };
        dump_node(dump, dump->order[i], &node);
        const struct dump_shape *shape = &dump->shapes.at[dump->types.at[node.type].id - 1];
        uint64_t words = slots_of(shape, node.size);
        words = words < shape->children_max ? words : shape->children_max;
        uint64_t empty = words > node.children ? words - node.children : 0;
        if (empty > budget)
            return dump_damaged(dump, "its objects have room for far more references than it tells of");
        budget -= empty;
    }
    return NULL;
}

static struct lg_error *find_handles(struct gcdump *dump, struct lg_stored *stored)
{
    uint64_t budget = 4 * (uint64_t)lg_reader_left(&dump->file) + (64 << 10);
    struct lg_error *err = NULL;
    for (uint32_t i = 0; i < dump->count && !err; i++) {
        struct dump_node node = { 0 };
        dump_node(dump, dump->order[i], &node);
        const struct dump_shape *shape = &dump->shapes.at[dump->types.at[node.type].id - 1];
        if (shape->children_max > slots_of(shape, node.size))
            err = add_handles(dump, dump->order[i], stored, &budget);
    }
    return err;
}

struct lg_error *dump_lay_out(struct gcdump *dump, struct lg_stored *stored)
{
    struct lg_error *err = find_order(dump);
    if (!err)
        err = find_segments(dump);
    if (!err)
        err = count_empty_words(dump);
    if (!err)
        err = find_handles(dump, stored);
    for (size_t i = 0; i < dump->heap.len && !err; i++)
        err = lg_vec_push(&stored->segments, dump->heap.at[i]) ? NULL : &lg_no_memory;
    stored->info.no_generations = !dump->has_generations;
    stored->statics_are_whole = true;
    stored->counts =
        (struct lg_thread_counts){ UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
    return err;
}

// ---- memory ----

struct window {
    uint64_t start, end;
    uint8_t *bytes;
};

static void put(const struct window *window, uint64_t address, uint64_t value)
{
    if (address >= window->start && address < window->end && window->end - address >= 8) {
        memcpy(window->bytes + (address - window->start), &value, 8);
        return;
    }
    for (unsigned i = 0; i < 8; i++) {
        if (address + i >= window->start && address + i < window->end)
            window->bytes[address + i - window->start] = (uint8_t)(value >> 8 * i);
    }
}

// Goes on where the last read of this object's memory ended, if that was before `slot`.
static void resume(struct gcdump *dump, lg_node node, uint64_t slot, struct dump_resume *ret)
{
    struct dump_resume *kept = &dump->resumes[node % RESUMES];
    pthread_mutex_lock(&kept->lock);
    if (kept->node == node + UINT64_C(1) && kept->slot <= slot) {
        ret->slot = kept->slot;
        ret->at = kept->at;
        ret->left = kept->left;
    }
    pthread_mutex_unlock(&kept->lock);
}

static void remember(struct gcdump *dump, lg_node node, const struct dump_resume *at)
{
    struct dump_resume *kept = &dump->resumes[node % RESUMES];
    pthread_mutex_lock(&kept->lock);
    kept->node = node + UINT64_C(1);
    kept->slot = at->slot;
    kept->at = at->at;
    kept->left = at->left;
    pthread_mutex_unlock(&kept->lock);
}

static void put_object(struct gcdump *dump, lg_node i, const struct window *window)
{
    enum { LONG = 64 };
    struct dump_node node = { 0 };
    dump_node(dump, i, &node);
    uint32_t id = dump->types.at[node.type].id - 1;
    const struct dump_shape *shape = &dump->shapes.at[id];
    uint64_t address = dump_address(dump, i), first = address + shape->first;
    uint64_t slots = slots_of(shape, node.size);
    put(window, address, dump_method_table(id));
    if (shape->component)
        put(window, address + 8, (node.size - shape->base) / shape->component);
    struct dump_resume at = { .at = node.at, .left = node.children };
    if (node.children > LONG)
        resume(dump, i, window->start > first ? (window->start - first) / 8 : 0, &at);
    while (at.left > 0 && at.slot < slots && first + 8 * at.slot < window->end) {
        const uint8_t *before = at.at;
        lg_node child;
        if (!dump_child(dump, i, &at.at, &child))
            return;
        if (dump_bit(dump->is_object, child)) {
            if (first + 8 * at.slot + 8 > window->end && node.children > LONG) {
                put(window, first + 8 * at.slot, dump_address(dump, child));
                at.at = before; // Its other half is in the next window.
                break;
            }
            put(window, first + 8 * at.slot++, dump_address(dump, child));
        }
        at.left--;
    }
    if (node.children > LONG)
        remember(dump, i, &at);
}

// The object that starts at or before an address, in the order; `count` if none does.
static uint32_t find(const struct gcdump *dump, uint64_t address)
{
    size_t i = lg_first_not(dump->count, at, dump_address(dump, dump->order[at]) <= address);
    return i > 0 ? (uint32_t)i - 1 : dump->count;
}

static size_t read_heap(struct gcdump *dump, const struct lg_segment *segment, uint64_t address,
                        uint8_t *buf, size_t len)
{
    struct window window = { address, segment->end - address < len ? segment->end : address + len, buf };
    memset(buf, 0, (size_t)(window.end - address));
    for (uint32_t i = find(dump, address); i < dump->count; i++) {
        uint64_t end = end_of(dump, dump->order[i]);
        if (dump_address(dump, dump->order[i]) >= window.end)
            break;
        put_object(dump, dump->order[i], &window);
        uint64_t next = i + 1 < dump->count ? dump_address(dump, dump->order[i + 1]) : segment->end;
        if (end < next && end < window.end && end < segment->end) { // Free space.
            put(&window, end, dump_method_table(0));
            put(&window, end + 8, next - end - 24);
        }
    }
    return (size_t)(window.end - address);
}

// What describes the references of a type lies below its method table (heap/gcdesc.h).
static size_t read_description(const struct gcdump *dump, uint64_t address, uint8_t *buf, size_t len)
{
    uint64_t id = address / 64;
    if (id >= dump->shapes.len)
        return 0;
    const struct dump_shape *shape = &dump->shapes.at[id];
    uint64_t mt = dump_method_table((uint32_t)id), room = slots_of(shape, shape->most);
    uint64_t references = shape->children_max < room ? shape->children_max : room;
    struct window window = { address, mt - address < len ? mt : address + len, buf };
    memset(buf, 0, (size_t)(window.end - address));
    if (shape->component) { // As of an array of structs with one element only, too long for any object.
        put(&window, mt - 8, UINT64_MAX);
        put(&window, mt - 16, shape->first);
        put(&window, mt - 24, references | UINT64_C(0x7ffffff8) << 32);
    } else {
        put(&window, mt - 8, 1);
        put(&window, mt - 16, shape->first);
        put(&window, mt - 24, 8 * references - shape->base);
    }
    return (size_t)(window.end - address);
}

static const struct lg_segment *heap_at(const struct gcdump *dump, uint64_t address)
{
    size_t i = lg_first_not(dump->heap.len, at, dump->heap.at[at].start <= address);
    return i > 0 && address < dump->heap.at[i - 1].end ? &dump->heap.at[i - 1] : NULL;
}

size_t dump_read(struct gcdump *dump, uint64_t address, void *buf, size_t len)
{
    size_t done = 0, n = 1;
    while (done < len && n > 0 && address + done >= address) {
        const struct lg_segment *segment = heap_at(dump, address + done);
        uint8_t *at = (uint8_t *)buf + done;
        n = segment ? read_heap(dump, segment, address + done, at, len - done)
                    : read_description(dump, address + done, at, len - done);
        done += n;
    }
    return done;
}

void dump_free(struct gcdump *dump)
{
    if (!dump)
        return;
    for (int i = 0; i < RESUMES; i++)
        pthread_mutex_destroy(&dump->resumes[i].lock);
    if (dump->owned)
        lg_pages_free(dump->owned, lg_reader_left(&dump->file), 1);
    lg_vec_free(&dump->types);
    lg_vec_free(&dump->segments);
    lg_vec_free(&dump->shapes);
    lg_vec_free(&dump->heap);
    free(dump->is_object);
    free(dump->is_frozen);
    free(dump->order);
    free((char *)dump->path);
    free(dump);
}
