// What malloc of glibc took from the kernel (glibc malloc/arena.c, malloc/malloc.c, 2.26 to 2.41):
//
//     arena      64 MiB aligned to 64 MiB, the beginning of it readable:
//                heap_info: u64 arena, previous, size, size that may be written to; then, in the first
//                of an arena, its malloc_state; then chunks
//     [heap]     the chunks of the main arena
//     big ones   each a mapping of its own: u64 0, u64 size | 2; neighbours are one mapping
//
//     chunk      u64 size of the one before if that is free | u64 size | flags | data ...
//                flags: 1 the one before is in use, 2 mapped, 4 not of the main arena
//
// Anything of it may be something else by chance: nothing is believed that does not fit together.
#include <string.h>

#include "picture/picture_priv.h"

enum { HEAP_ALIGN = 64 << 20, IN_USE = 1, MAPPED = 2, FLAGS = 7, BIG_MIN = 128 << 10, TRIES = 4 };

struct heap_info {
    uint64_t arena, previous, size, writable;
};

static bool is_plain(const struct lg_mapping *mapping)
{
    return lg_mapping_is_anonymous(mapping) && !*mapping->path && mapping->access & LG_WRITE
           && !(mapping->access & LG_EXECUTE);
}

static bool find_heap(struct lg_making *making, const struct lg_mapping *mapping, uint64_t at,
                      struct heap_info *ret)
{
    uint64_t left = mapping->end - at;
    if (!lg_making_read(making, at, ret, sizeof(*ret)))
        return false;
    bool is_first = ret->previous == 0 && ret->arena > at && ret->arena - at <= 0x60;
    bool is_next = ret->previous != 0 && ret->previous % HEAP_ALIGN == 0
                   && ret->arena / HEAP_ALIGN != at / HEAP_ALIGN
                   && lg_mapping_find(making->picture, ret->previous)
                   && lg_mapping_find(making->picture, ret->arena);
    return (is_first || is_next) && ret->size > 0 && ret->size <= ret->writable && ret->writable <= left
           && ret->writable <= HEAP_ALIGN && ret->writable % 4096 == 0;
}

static void add_use(struct lg_making *making, uint64_t start, uint64_t size)
{
    if (!lg_vec_push(&making->picture->arenas, (struct lg_arena_use){ .address = start, .size = size }))
        making->out_of_memory = true;
}

static void claim_heaps(struct lg_making *making, const struct lg_mapping *mapping)
{
    uint64_t at = (mapping->start + HEAP_ALIGN - 1) / HEAP_ALIGN * HEAP_ALIGN;
    for (; at >= mapping->start && at < mapping->end; at += HEAP_ALIGN) {
        struct heap_info heap;
        if (!find_heap(making, mapping, at, &heap))
            continue;
        uint64_t arena = heap.previous ? heap.arena : at;
        struct lg_page_owner owner = { LG_HEAP, "malloc arena" };
        owner.name =
            lg_making_format(making, "malloc arena %012zx", (size_t)(arena / HEAP_ALIGN * HEAP_ALIGN));
        lg_making_claim(making, at, at + heap.writable, lg_owner_new(making, &owner));
        add_use(making, at, heap.size);
    }
}

// From where nobody claims anything: chunks with a mapping of their own, one behind the other. Something
// else may lie before them.
static void claim_big(struct lg_making *making, uint64_t start, uint64_t end,
                      const struct lg_page_owner *owner)
{
    for (unsigned tries = 0; tries < TRIES && start + BIG_MIN <= end;) {
        uint64_t head[2];
        if (!lg_making_read(making, start, head, sizeof(head)))
            return;
        uint64_t size = head[1] & ~(uint64_t)FLAGS;
        bool is_chunk = head[0] == 0 && (head[1] & FLAGS) == MAPPED && size % 4096 == 0
                        && size >= BIG_MIN && size <= end - start;
        if (is_chunk)
            lg_making_claim(making, start, start + size, owner);
        start += is_chunk ? size : 4096;
        tries = is_chunk ? 0 : tries + 1;
    }
}

// Calls claim_big() for every gap between claims.
static void claim_gaps(struct lg_making *making, const struct lg_mapping *mapping, size_t *claim,
                       const struct lg_page_owner *owner)
{
    const struct lg_claims *claims = &making->claims;
    uint64_t pos = mapping->start;
    while (*claim < claims->all.len && claims->all.at[*claim].end <= mapping->start)
        ++*claim;
    for (size_t i = *claim; i < claims->all.len && claims->all.at[i].start < mapping->end; i++) {
        if (claims->all.at[i].start > pos)
            claim_big(making, pos, claims->all.at[i].start, owner);
        pos = claims->all.at[i].end > pos ? claims->all.at[i].end : pos;
    }
    if (pos < mapping->end)
        claim_big(making, pos, mapping->end, owner);
}

void lg_claim_malloc(struct lg_making *making)
{
    const struct lg_mappings *mappings = &making->picture->mappings;
    for (size_t i = 0; i < mappings->all.len && !making->out_of_memory; i++) {
        const struct lg_mapping *mapping = &mappings->all.at[i];
        if (is_plain(mapping) && mapping->sum.resident > 0)
            claim_heaps(making, mapping);
        else if (strcmp(mapping->path, "[heap]") == 0)
            add_use(making, mapping->start, mapping->end - mapping->start);
    }
    lg_making_settle(making);
    const struct lg_page_owner big = { LG_HEAP, "malloc, mapped chunks",
                                       "malloc, chunks with a mapping of their own" };
    const struct lg_page_owner *owner = lg_owner_new(making, &big);
    size_t claim = 0;
    for (size_t i = 0; i < mappings->all.len && !making->out_of_memory; i++) {
        const struct lg_mapping *mapping = &mappings->all.at[i];
        if (is_plain(mapping) && mapping->sum.resident > 0)
            claim_gaps(making, mapping, &claim, owner);
    }
    lg_making_settle(making);
}
