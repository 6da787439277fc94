// How much of a malloc arena is free: its chunks, walked from the first to the last.
//
// A chunk is free if the next one says so, and so is the last, the top. What threads keep for themselves
// (tcache, fastbins) is marked as in use.
#include <string.h>

#include "picture/pages.h"
#include "picture/picture_priv.h"

enum {
    WINDOW = 64 << 10,
    IN_USE = 1,
    FLAGS = 7,
    CHUNK_MIN = 32,
    HEAP_INFO_MIN = 0x20, // Before the chunks of a heap: heap_info, and in the first the malloc_state,
    STATE_MIN = 0x860,    // whose size differs between versions.
    STATE_MAX = 0x980,
    STOPPED_MAX = 64 << 20, // Read of a process that stands still meanwhile, and of a copy.
    COPY_MAX = 512 << 20,
    PAGES_MAX = 4 << 20, // Of one arena: 16 GiB.
};

struct walk {
    struct lg_target *target;
    uint64_t start, page_size; // Of the arena, and
    uint64_t *words;           // its pages' entries of pagemap; NULL: everything may be read.
    size_t pages;
    uint64_t window; // Address of what is in `bytes`; 0: nothing
    size_t len;
    uint64_t read; // Bytes, of all windows.
    uint8_t *bytes;
};

// How many bytes from `at` on, WINDOW at most, may be read: pages that are resident.
static size_t readable(const struct walk *walk, uint64_t at)
{
    if (!walk->words)
        return WINDOW;
    uint64_t page = (at - walk->start) / walk->page_size, end = at;
    for (; page < walk->pages && walk->words[page] >> LG_PAGE_PRESENT & 1 && end - at < WINDOW; page++)
        end = walk->start + (page + 1) * walk->page_size;
    return end - at < WINDOW ? (size_t)(end - at) : WINDOW;
}

static bool read_size(struct walk *walk, uint64_t chunk, uint64_t *ret)
{
    uint64_t at = chunk + 8;
    if (walk->window == 0 || at < walk->window || at + 8 > walk->window + walk->len) {
        walk->window = at;
        walk->len = lg_target_read(walk->target, at, walk->bytes, readable(walk, at));
        walk->read += walk->len;
        if (walk->len < 8)
            return false;
    }
    memcpy(ret, walk->bytes + (at - walk->window), 8);
    return true;
}

// Whether chunks lead from `start` to `end`; `*free_ret` is the sum of those that are free.
static bool walk_chunks(struct walk *walk, uint64_t start, uint64_t end, uint64_t limit,
                        uint64_t *free_ret)
{
    uint64_t sum = 0, before = 0;
    while (walk->read < limit) {
        uint64_t size;
        if (end - start < 16 || !read_size(walk, start, &size))
            return false;
        uint64_t flags = size & FLAGS;
        size &= ~(uint64_t)FLAGS;
        if (before && !(flags & IN_USE))
            sum += before;
        bool is_fence = size <= 16 && end - start <= 32; // Of a heap that another one follows.
        bool is_last = size == end - start;
        if (is_fence || is_last) {
            *free_ret = sum + (is_last ? size : 0);
            return true;
        }
        if (size < CHUNK_MIN || size % 16 || size > end - start)
            return false;
        before = size;
        start += size;
    }
    return false;
}

static void measure(struct walk *walk, struct lg_arena_use *use, uint64_t limit)
{
    uint64_t end = use->address + use->size;
    use->is_known = walk_chunks(walk, use->address, end, limit, &use->free);
    uint64_t starts[2] = { HEAP_INFO_MIN, STATE_MIN };
    uint64_t ends[2] = { HEAP_INFO_MIN + 0x20, STATE_MAX };
    for (int i = 0; i < 2; i++) {
        for (uint64_t at = starts[i]; !use->is_known && at < ends[i]; at += 16)
            use->is_known = walk_chunks(walk, use->address + at, end, limit, &use->free);
    }
}

// Of a process that is read itself, reading what is not resident would make it so.
static bool look_at_pages(struct walk *walk, const struct lg_making *making,
                          const struct lg_arena_use *use)
{
    free(walk->words);
    walk->words = NULL;
    walk->window = 0;
    walk->start = use->address;
    walk->page_size = making->picture->page_size;
    walk->pages = (size_t)((use->size + walk->page_size - 1) / walk->page_size);
    if (making->pagemap < 0)
        return making->picture->is_core;
    walk->words = walk->pages <= PAGES_MAX ? malloc(walk->pages * sizeof(*walk->words)) : NULL;
    return walk->words
           && lg_pages_read(making->pagemap, use->address, walk->page_size, walk->pages, walk->words);
}

void lg_arenas_measure(struct lg_making *making)
{
    struct lg_picture *picture = making->picture;
    bool stands = lg_live_reading(making->target) == making->target->pid;
    uint64_t limit = stands && !picture->is_core ? STOPPED_MAX : COPY_MAX;
    struct walk walk = { .target = making->target, .bytes = malloc(WINDOW) };
    size_t unknown = 0;
    for (size_t i = 0; walk.bytes && i < picture->arenas.len; i++) {
        if (look_at_pages(&walk, making, &picture->arenas.at[i]))
            measure(&walk, &picture->arenas.at[i], limit);
        unknown += !picture->arenas.at[i].is_known;
    }
    if (unknown > 0)
        lg_picture_note(picture, "how much of %zu of %zu malloc arenas is free is unknown: %s", unknown,
                        picture->arenas.len,
                        walk.read >= limit ? "they are too big to be read through"
                                           : "their chunks do not lead from one to the next");
    free(walk.words);
    free(walk.bytes);
}
