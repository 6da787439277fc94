// Sorting edges into rows; the picture is in graph.h.
#include <stdatomic.h>
#include <string.h>

#include "graph/index_priv.h"
#include "util/cancel.h"
#include "util/error.h"
#include "util/memory_left.h"
#include "util/pages.h"
#include "util/parallel.h"

enum {
    BUCKET_BITS =
        16, // rows of a bucket are numbered in 16 bits; their counters fit the second-level cache
    BUCKET = 1 << BUCKET_BITS,
    CHUNK = 2720, // edges; 16 KiB
};

// Keys are kept relative to their bucket: half the memory to write and to read again.
struct chunk {
    struct chunk *before;
    uint32_t count;
    uint16_t rows[CHUNK];
    lg_node values[CHUNK];
};

// Chunks are cut from slabs in huge pages: a page fault for every 4 KiB would cost more than the
// sorting.
enum { SLAB_CHUNKS = 256 }; // 4 MiB
struct slab {
    struct slab *before;
    uint32_t used, size;
    struct chunk *chunks; // [size]
};

struct lg_edge_sorter {
    uint32_t node_count;
    size_t bucket_count, worker_count;
    struct chunk **last; // [worker_count][bucket_count]
    struct slab **slabs; // [worker_count]
    uint32_t slab_size;
    struct lg_graph *graph; // while finishing
    uint32_t *bucket_start; // [bucket_count + 1] while finishing
    atomic_bool failed;
    atomic_size_t slab_count;
    struct lg_error *_Atomic refused; // As there is no room for more.
};

struct lg_error *lg_edge_sorter_new(uint32_t node_count, struct lg_edge_sorter **ret)
{
    _cleanup_(lg_edge_sorter_freep) struct lg_edge_sorter *sorter = calloc(1, sizeof(*sorter));
    if (!sorter)
        return &lg_no_memory;
    struct lg_error *err = lg_memory_need((uint64_t)node_count * (4 + 10), // A reference each, twice.
                                          "the graph of %u objects", node_count);
    if (err)
        return err;
    sorter->node_count = node_count;
    sorter->bucket_count = ((size_t)node_count + BUCKET - 1) / BUCKET;
    sorter->worker_count = lg_workers();
    sorter->last = calloc(sorter->worker_count * sorter->bucket_count + 1, sizeof(struct chunk *));
    sorter->slabs = calloc(sorter->worker_count, sizeof(struct slab *));
    // A small graph has few buckets, and no use for 4 MiB.
    sorter->slab_size = sorter->bucket_count < 8 ? 4 : SLAB_CHUNKS;
    if (!sorter->last || !sorter->slabs)
        return &lg_no_memory;
    *ret = lg_steal(sorter);
    return NULL;
}

static void free_slabs(struct slab *slab)
{
    while (slab) {
        struct slab *before = slab->before;
        lg_pages_free(slab->chunks, slab->size, sizeof(struct chunk));
        free(slab);
        slab = before;
    }
}

void lg_edge_sorter_free(struct lg_edge_sorter *sorter)
{
    if (!sorter)
        return;
    for (size_t w = 0; sorter->slabs && w < sorter->worker_count; w++)
        free_slabs(sorter->slabs[w]);
    free(sorter->slabs);
    free(sorter->last);
    free(sorter->bucket_start);
    lg_error_free(sorter->refused);
    lg_graph_free(sorter->graph);
    free(sorter);
}

static struct slab *add_slab(struct slab **last, uint32_t size)
{
    struct slab *slab = calloc(1, sizeof(*slab));
    struct chunk *chunks = slab ? lg_pages_alloc(size, sizeof(*chunks)) : NULL;
    if (!chunks) {
        free(slab);
        return NULL;
    }
    *slab = (struct slab){ .before = *last, .size = size, .chunks = chunks };
    return *last = slab;
}

// Whether there is room for another slab, and for the graph of what is in all of them. The error is
// kept.
static bool has_room(struct lg_edge_sorter *sorter)
{
    uint64_t slabs = atomic_fetch_add(&sorter->slab_count, 1) + 1, chunks = slabs * sorter->slab_size;
    uint64_t bytes = sorter->slab_size * sizeof(struct chunk)
                     + (chunks * CHUNK + sorter->node_count) * sizeof(lg_node);
    struct lg_error *none = NULL,
                    *err = lg_memory_need(bytes, "the graph of %u objects, after %llu references,",
                                          sorter->node_count,
                                          (unsigned long long)((slabs - 1) * sorter->slab_size * CHUNK));
    if (err && !atomic_compare_exchange_strong(&sorter->refused, &none, err))
        lg_error_free(err);
    return !err;
}

static __attribute__((noinline)) struct chunk *add_chunk(struct lg_edge_sorter *sorter, size_t worker,
                                                         struct chunk **last)
{
    struct slab *slab = sorter->slabs[worker];
    if (atomic_load_explicit(&sorter->failed, memory_order_relaxed))
        return NULL;
    if (!slab || slab->used == slab->size)
        slab = has_room(sorter) ? add_slab(&sorter->slabs[worker], sorter->slab_size) : NULL;
    if (!slab) {
        atomic_store(&sorter->failed, true);
        return NULL;
    }
    struct chunk *chunk = &slab->chunks[slab->used++];
    chunk->before = *last;
    return *last = chunk;
}

static inline void add_edge(struct lg_edge_sorter *sorter, size_t worker, lg_node key, lg_node value)
{
    struct chunk **last = &sorter->last[worker * sorter->bucket_count + (key >> BUCKET_BITS)];
    struct chunk *chunk = *last;
    if (!chunk || chunk->count == CHUNK) {
        chunk = add_chunk(sorter, worker, last);
        if (!chunk)
            return;
    }
    chunk->rows[chunk->count] = key & (BUCKET - 1);
    chunk->values[chunk->count++] = value;
}

void lg_edge_sorter_add(struct lg_edge_sorter *sorter, size_t worker, lg_node key, lg_node value)
{
    add_edge(sorter, worker, key, value);
}

uint64_t lg_edge_sorter_add_batch(struct lg_edge_sorter *sorter, size_t worker,
                                  const struct lg_index *index, struct lg_edge_batch *batch)
{
    size_t words[sizeof(batch->keys) / sizeof(*batch->keys)];
    uint64_t wild = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        words[i] = index_word(index, batch->keys[i]);
        __builtin_prefetch(&index->words[words[i] == SIZE_MAX ? 0 : words[i]]);
    }
    for (unsigned i = 0; i < batch->count; i++) {
        lg_node key = index_node(index, words[i], batch->keys[i]);
        if (key == LG_NO_NODE)
            wild++;
        else
            add_edge(sorter, worker, key, batch->values[i]);
    }
    batch->count = 0;
    return wild;
}

static uint64_t bucket_size(const struct lg_edge_sorter *sorter, size_t bucket)
{
    uint64_t size = 0;
    for (size_t w = 0; w < sorter->worker_count; w++) {
        for (const struct chunk *c = sorter->last[w * sorter->bucket_count + bucket]; c; c = c->before)
            size += c->count;
    }
    return size;
}

static int by_node(const void *a, const void *b)
{
    lg_node x = *(const lg_node *)a, y = *(const lg_node *)b;
    return x < y ? -1 : x > y;
}

void lg_row_sort(lg_node *row, uint32_t count)
{
    if (count > 32) {
        qsort(row, count, sizeof(*row), by_node);
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        lg_node value = row[i];
        uint32_t k = i;
        for (; k > 0 && row[k - 1] > value; k--)
            row[k] = row[k - 1];
        row[k] = value;
    }
}

// Counts a bucket's rows, turns counts into starts, and places the values. `cursor` of a row runs from
// its start to its end.
static void place_bucket(void *data, size_t bucket, size_t worker)
{
    struct lg_edge_sorter *sorter = data;
    struct lg_graph *graph = sorter->graph;
    uint32_t first = (uint32_t)bucket << BUCKET_BITS, left = sorter->node_count - first;
    uint32_t rows = left < BUCKET ? left : BUCKET;
    _cleanup_free_ uint32_t *cursor = calloc(rows + 1u, sizeof(*cursor));
    (void)worker;
    if (lg_cancelled())
        return;
    if (!cursor) {
        atomic_store(&sorter->failed, true);
        return;
    }
    for (size_t w = 0; w < sorter->worker_count; w++) {
        for (const struct chunk *c = sorter->last[w * sorter->bucket_count + bucket]; c; c = c->before) {
            for (uint32_t i = 0; i < c->count; i++)
                cursor[c->rows[i]]++;
        }
    }
    uint32_t next = sorter->bucket_start[bucket];
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t count = cursor[r];
        graph->edge_start[first + r] = cursor[r] = next;
        next += count;
    }
    for (size_t w = 0; w < sorter->worker_count; w++) {
        for (const struct chunk *c = sorter->last[w * sorter->bucket_count + bucket]; c; c = c->before) {
            for (uint32_t i = 0; i < c->count; i++)
                graph->edges[cursor[c->rows[i]]++] = c->values[i];
        }
    }
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t start = graph->edge_start[first + r];
        lg_row_sort(graph->edges + start, cursor[r] - start);
    }
}

struct lg_error *lg_edge_sorter_finish(struct lg_edge_sorter *sorter, struct lg_graph **ret)
{
    free(sorter->bucket_start);
    sorter->bucket_start = calloc(sorter->bucket_count + 1, sizeof(*sorter->bucket_start));
    if (sorter->refused)
        return atomic_exchange(&sorter->refused, NULL);
    if (!sorter->bucket_start || atomic_load(&sorter->failed))
        return &lg_no_memory;
    uint64_t total = 0;
    for (size_t b = 0; b < sorter->bucket_count && total <= UINT32_MAX; b++) {
        sorter->bucket_start[b] = (uint32_t)total;
        total += bucket_size(sorter, b);
    }
    struct lg_error *err = lg_graph_new(sorter->node_count, total, &sorter->graph);
    if (err)
        return err;
    lg_parallel(sorter->bucket_count, place_bucket, sorter);
    if (lg_cancelled())
        return &lg_was_cancelled;
    if (atomic_load(&sorter->failed))
        return &lg_no_memory;
    sorter->graph->edge_start[sorter->node_count] = (uint32_t)total;
    *ret = lg_steal(sorter->graph);
    return NULL;
}
