// Which living object has the number of a handle in it: a GCHandle, a WeakReference, the entry of a
// ConditionalWeakTable. All words of the heap are looked at; the lowest bits say something of the handle
// (a pinned one, one that tracks resurrection). A handle that only native code knows is in none.
#include <string.h>

#include "cli/alloc.h"
#include "util/cancel.h"

enum { PIECE = 1 << 18, TAGS = 7 };

struct search {
    struct lg_target *target;
    struct lg_heap *heap;
    const struct lg_retention *retention;
    const struct lg_handle *handles; // by address
    size_t count;
    struct lg_map numbers; // address of a handle -> number
    lg_node *keepers;      // by number
};

static void take_word(struct search *search, uint32_t handle, uint64_t at)
{
    struct lg_object object;
    const struct lg_index *index = search->retention->graph->index;
    lg_node node = lg_index_before(index, at);
    if (node == LG_NO_NODE || search->retention->number[node] == 0)
        return;
    uint64_t address = lg_index_address(index, node);
    // Between the method table and what belongs to the object behind it.
    if (lg_heap_object_at(search->heap, address, &object) && at > address
        && at + 16 <= address + object.size && search->keepers[handle] == LG_NO_NODE)
        search->keepers[handle] = node;
}

static void search_piece(struct search *search, const uint8_t *bytes, size_t size, uint64_t address)
{
    uint64_t low = search->handles[0].address;
    uint64_t span = search->handles[search->count - 1].address - low;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t word;
        uint32_t handle;
        memcpy(&word, bytes + i, sizeof(word));
        word &= ~(uint64_t)TAGS;
        if (word - low <= span && lg_map_get(&search->numbers, word, &handle))
            take_word(search, handle, address + i);
    }
}

static struct lg_error *search_segment(struct search *search, const struct lg_segment *segment,
                                       uint8_t *bytes)
{
    for (uint64_t at = segment->start; at < segment->end; at += PIECE) {
        size_t size = segment->end - at < PIECE ? (size_t)(segment->end - at) : PIECE;
        if (lg_cancelled())
            return &lg_was_cancelled;
        if (lg_target_read_all(search->target, at, bytes, size))
            search_piece(search, bytes, size, at);
    }
    return NULL;
}

struct lg_error *lg_handles_keepers(struct lg_session *session, const struct lg_handle *handles,
                                    size_t count, lg_node *ret)
{
    _cleanup_free_ uint8_t *bytes = malloc(PIECE);
    struct search search = { .handles = handles, .count = count, .keepers = ret };
    struct lg_error *err = bytes ? lg_session_retention(session, &search.retention) : &lg_no_memory;
    for (size_t i = 0; i < count && !err; i++) {
        ret[i] = LG_NO_NODE;
        err = lg_map_put(&search.numbers, handles[i].address, (uint32_t)i) ? NULL : &lg_no_memory;
    }
    search.target = lg_session_target(session);
    search.heap = lg_session_heap(session);
    size_t segments = 0;
    const struct lg_segment *all = lg_clr_segments(lg_session_clr(session), &segments);
    for (size_t i = 0; i < segments && count && !err; i++)
        err = search_segment(&search, &all[i], bytes);
    lg_map_free(&search.numbers);
    return err;
}
