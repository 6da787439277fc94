#include "graph/index_priv.h"
#include "util/error.h"
#include "util/memory_left.h"
#include "util/pages.h"

// The address space that .NET reserves for its regions is 256 GB; with what else is mapped, the span
// from the frozen heap to the last region stays far below 64 TiB.
enum { SLOTS_MAX = 1 << 24 };

static size_t slot_of(const struct lg_index *index, uint64_t address)
{
    return (size_t)((address - index->low) >> WINDOW_BITS);
}

static struct lg_error *make_slots(struct lg_index *index, const struct lg_span *spans, size_t count)
{
    index->low = count ? spans[0].start >> WINDOW_BITS << WINDOW_BITS : 0;
    uint64_t high = count ? spans[count - 1].end : 0;
    uint64_t slots = count ? ((high - index->low) >> WINDOW_BITS) + 1 : 0;
    if (slots > SLOTS_MAX)
        return lg_error_new(LG_ERR_UNSUPPORTED, "heap from 0x%llx to 0x%llx is spread too far",
                            (unsigned long long)index->low, (unsigned long long)high);
    index->slot_count = (size_t)slots;
    index->slots = lg_pages_alloc(index->slot_count, sizeof(*index->slots));
    return index->slots ? NULL : &lg_no_memory;
}

// Numbers the windows that spans touch, in ascending order. First every touched slot is marked.
static struct lg_error *make_windows(struct lg_index *index, const struct lg_span *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (spans[i].end <= spans[i].start)
            continue;
        for (size_t s = slot_of(index, spans[i].start); s <= slot_of(index, spans[i].end - 1); s++)
            index->slots[s] = 1;
    }
    for (size_t s = 0; s < index->slot_count; s++)
        index->slots[s] = index->slots[s] ? index->window_count++ : NO_WINDOW;
    struct lg_error *err = lg_memory_need((uint64_t)index->window_count * WORDS * sizeof(*index->words),
                                          "the graph of a heap of %llu MB",
                                          (unsigned long long)index->window_count << (WINDOW_BITS - 20));
    if (err)
        return err;
    index->window_start = calloc(index->window_count + 1u, sizeof(*index->window_start));
    index->words = lg_pages_alloc((size_t)index->window_count * WORDS, sizeof(*index->words));
    if (!index->window_start || !index->words)
        return &lg_no_memory;
    for (size_t s = 0; s < index->slot_count; s++) {
        if (index->slots[s] != NO_WINDOW)
            index->window_start[index->slots[s]] = index->low + ((uint64_t)s << WINDOW_BITS);
    }
    return NULL;
}

struct lg_error *lg_index_new(const struct lg_span *spans, size_t count, struct lg_index **ret)
{
    _cleanup_(lg_index_freep) struct lg_index *index = calloc(1, sizeof(*index));
    if (!index)
        return &lg_no_memory;
    struct lg_error *err = make_slots(index, spans, count);
    if (!err)
        err = make_windows(index, spans, count);
    if (!err)
        *ret = lg_steal(index);
    return err;
}

void lg_index_free(struct lg_index *index)
{
    if (!index)
        return;
    lg_pages_free(index->slots, index->slot_count, sizeof(*index->slots));
    lg_pages_free(index->words, (size_t)index->window_count * WORDS, sizeof(*index->words));
    free(index->window_start);
    free(index->samples);
    free(index);
}

void lg_index_add(struct lg_index *index, uint64_t address, uint64_t bits)
{
    size_t word = index_word(index, address);
    if (word != SIZE_MAX)
        __atomic_fetch_or(&index->words[word].bits, bits, __ATOMIC_RELAXED);
}

struct lg_error *lg_index_seal(struct lg_index *index)
{
    size_t words = (size_t)index->window_count * WORDS;
    uint64_t count = 0;
    for (size_t w = 0; w < words; w++) {
        index->words[w].rank = (uint32_t)count;
        count += (uint64_t)__builtin_popcountll(index->words[w].bits);
    }
    if (count >= LG_NO_NODE - 1)
        return lg_error_new(LG_ERR_UNSUPPORTED, "%llu objects are more than the graph can number",
                            (unsigned long long)count);
    index->count = (uint32_t)count;
    index->sample_count = (index->count >> SAMPLE_BITS) + 1;
    free(index->samples);
    index->samples = calloc(index->sample_count, sizeof(*index->samples));
    if (!index->samples)
        return &lg_no_memory;
    size_t next = 0;
    for (size_t w = 0; w < words && next < index->sample_count; w++) {
        uint64_t behind = index->words[w].rank + (uint64_t)__builtin_popcountll(index->words[w].bits);
        while (next < index->sample_count && (uint64_t)next << SAMPLE_BITS < behind)
            index->samples[next++] = (uint32_t)w;
    }
    return NULL;
}

uint32_t lg_index_count(const struct lg_index *index)
{
    return index->count;
}

lg_node lg_index_node(const struct lg_index *index, uint64_t address)
{
    return index_node(index, index_word(index, address), address);
}

uint64_t lg_index_address(const struct lg_index *index, lg_node node)
{
    size_t w = index->samples[node >> SAMPLE_BITS], words = (size_t)index->window_count * WORDS;
    // The last word whose rank is not above the node, and which holds it.
    while (w + 1 < words && index->words[w + 1].rank <= node)
        w++;
    uint64_t bits = index->words[w].bits;
    for (uint32_t skip = node - index->words[w].rank; skip > 0; skip--)
        bits &= bits - 1;
    uint64_t window = index->window_start[w / WORDS];
    return window + (w % WORDS) * 512 + (uint64_t)__builtin_ctzll(bits) * 8;
}

lg_node lg_index_before(const struct lg_index *index, uint64_t address)
{
    uint64_t slot = address < index->low ? UINT64_MAX : (address - index->low) >> WINDOW_BITS;
    if (index->count == 0 || slot == UINT64_MAX)
        return LG_NO_NODE;
    if (slot >= index->slot_count)
        return index->count - 1;
    uint64_t rank;
    size_t w = index_word(index, address);
    if (w != SIZE_MAX) {
        const struct word *word = &index->words[w];
        unsigned bit = address >> 3 & 63;
        uint64_t upto = bit == 63 ? word->bits : word->bits & ((UINT64_C(2) << bit) - 1);
        rank = word->rank + (uint64_t)__builtin_popcountll(upto);
    } else { // Between windows: all objects of those below.
        while (slot > 0 && index->slots[slot] == NO_WINDOW)
            slot--;
        if (index->slots[slot] == NO_WINDOW)
            return LG_NO_NODE;
        const struct word *word = &index->words[(size_t)index->slots[slot] * WORDS + WORDS - 1];
        rank = word->rank + (uint64_t)__builtin_popcountll(word->bits);
    }
    return rank > 0 ? (lg_node)(rank - 1) : LG_NO_NODE;
}

uint64_t lg_index_bytes(const struct lg_index *index)
{
    return (uint64_t)index->window_count * (WORDS * sizeof(struct word) + sizeof(*index->window_start))
           + index->slot_count * sizeof(*index->slots) + index->sample_count * sizeof(*index->samples);
}
