#include "graph/marks.h"

#include <stdatomic.h>
#include <string.h>

#include "util/cancel.h"
#include "util/error.h"
#include "util/fetch.h"
#include "util/memory_left.h"
#include "util/pages.h"
#include "util/parallel.h"

enum {
    NARROW = 4096,   // Levels below that are searched by the caller alone.
    GRAIN = 1024,    // Nodes of a level that one worker takes at a time.
    AHEAD = 16,      // How far ahead rows are fetched; bits half of that.
    BUFFERED = 4096, // New nodes that a worker keeps before it makes room for them in the next level.
};

struct level {
    const struct lg_graph *graph;
    uint64_t *marks;
    lg_node *now, *next;
    uint32_t now_count;
    _Atomic uint32_t next_count;
    struct {
        lg_node nodes[BUFFERED];
        uint32_t count;
    } * buffers; // [workers]
    size_t workers;
};

static void empty_buffer(struct level *level, size_t worker)
{
    uint32_t count = level->buffers[worker].count;
    uint32_t at = atomic_fetch_add(&level->next_count, count);
    memcpy(level->next + at, level->buffers[worker].nodes, count * sizeof(lg_node));
    level->buffers[worker].count = 0;
}

static void meet(struct level *level, size_t worker, lg_node node)
{
    uint64_t bit = UINT64_C(1) << (node & 63), *word = &level->marks[node >> 6];
    if (__atomic_load_n(word, __ATOMIC_RELAXED) & bit
        || __atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit)
        return;
    level->buffers[worker].nodes[level->buffers[worker].count++] = node;
    if (level->buffers[worker].count == BUFFERED)
        empty_buffer(level, worker);
}

// What rows of nodes that come soon lie in is fetched, and of the next of them the bits.
LG_FETCHES void fetch(const struct level *level, uint32_t i)
{
    const struct lg_graph *graph = level->graph;
    if (i + 2 * AHEAD < level->now_count)
        __builtin_prefetch(&graph->edge_start[level->now[i + 2 * AHEAD]]);
    if (i + AHEAD < level->now_count)
        __builtin_prefetch(&graph->edges[graph->edge_start[level->now[i + AHEAD]]]);
    if (i + AHEAD / 2 < level->now_count) {
        lg_node node = level->now[i + AHEAD / 2];
        uint32_t start = graph->edge_start[node], end = graph->edge_start[node + 1];
        for (uint32_t e = start; e < end && e < start + AHEAD / 2; e++)
            __builtin_prefetch(&level->marks[graph->edges[e] >> 6]);
    }
}

static void search_grain(void *data, size_t grain, size_t worker)
{
    struct level *level = data;
    const struct lg_graph *graph = level->graph;
    uint32_t i = (uint32_t)grain * GRAIN,
             end = level->now_count - i < GRAIN ? level->now_count : i + GRAIN;
    for (; i < end; i++) {
        fetch(level, i);
        lg_node node = level->now[i];
        for (uint32_t e = graph->edge_start[node]; e < graph->edge_start[node + 1]; e++)
            meet(level, worker, graph->edges[e]);
    }
}

// A level too narrow for threads: long lists have as many levels as nodes.
static void search_narrow(struct level *level)
{
    const struct lg_graph *graph = level->graph;
    uint32_t found = 0;
    for (uint32_t i = 0; i < level->now_count; i++) {
        lg_node node = level->now[i];
        for (uint32_t e = graph->edge_start[node]; e < graph->edge_start[node + 1]; e++) {
            lg_node to = graph->edges[e];
            uint64_t bit = UINT64_C(1) << (to & 63);
            if (level->marks[to >> 6] & bit)
                continue;
            level->marks[to >> 6] |= bit;
            level->next[found++] = to;
        }
    }
    atomic_store_explicit(&level->next_count, found, memory_order_relaxed);
}

static void next_level(struct level *level)
{
    lg_node *swap = level->now;
    level->now = level->next;
    level->next = swap;
    level->now_count = atomic_exchange_explicit(&level->next_count, 0, memory_order_relaxed);
}

static void search(struct level *level, uint64_t *count)
{
    while (level->now_count > 0 && !lg_cancelled()) {
        *count += level->now_count;
        if (level->now_count < NARROW) {
            search_narrow(level);
        } else {
            lg_parallel((level->now_count + GRAIN - 1u) / GRAIN, search_grain, level);
            for (size_t w = 0; w < level->workers; w++)
                empty_buffer(level, w);
        }
        next_level(level);
    }
}

struct lg_error *lg_marks_search(uint64_t *marks, const struct lg_graph *graph, const lg_node *sources,
                                 size_t source_count, uint64_t *count)
{
    uint32_t n = graph->node_count;
    struct level level = {
        .graph = graph,
        .marks = marks,
        .now = lg_pages_alloc(n, sizeof(lg_node)),
        .next = lg_pages_alloc(n, sizeof(lg_node)),
        .workers = lg_workers(),
    };
    // No node is in two levels.
    struct lg_error *err = lg_memory_need((uint64_t)n * 4, "what is alive of %u objects", n);
    level.buffers = calloc(level.workers, sizeof(*level.buffers));
    if (!err && (!level.now || !level.next || !level.buffers))
        err = &lg_no_memory;
    for (size_t i = 0; i < source_count && !err; i++) {
        lg_node node = sources[i];
        if (node >= n)
            err = lg_error_new(LG_ERR_NOT_FOUND, "node %u is not in a graph of %u", node, n);
        else if (!lg_marks_has(marks, node))
            level.now[level.now_count++] = node, marks[node >> 6] |= UINT64_C(1) << (node & 63);
    }
    if (!err)
        search(&level, count);
    lg_pages_free(level.now, n, sizeof(lg_node));
    lg_pages_free(level.next, n, sizeof(lg_node));
    free(level.buffers);
    return err ? err : lg_cancelled() ? &lg_was_cancelled : NULL;
}
