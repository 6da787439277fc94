#include "graph/paths.h"

#include <stdatomic.h>
#include <string.h>

#include "util/cancel.h"
#include "util/error.h"
#include "util/memory_left.h"
#include "util/pages.h"
#include "util/parallel.h"

enum {
    NARROW = 4096,   // Levels below that are searched by the caller alone.
    GRAIN = 1024,    // Nodes of a level that one worker takes at a time.
    AHEAD = 16,      // How far ahead rows are fetched.
    BUFFERED = 4096, // New nodes that a worker keeps before it makes room for them in the next level.
};

struct level {
    const struct lg_graph *graph;
    struct lg_paths *paths;
    uint64_t *seen; // of the paths: found in an earlier level
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

// `holder` refers to `node`. The lowest node of the level wins, whoever comes first.
static void offer(struct level *level, size_t worker, lg_node holder, lg_node node)
{
    if (level->seen[holder >> 6] >> (holder & 63) & 1)
        return;
    _Atomic lg_node *next = (_Atomic lg_node *)&level->paths->next[holder];
    lg_node old = atomic_load_explicit(next, memory_order_relaxed);
    while (old > node && !atomic_compare_exchange_weak(next, &old, node)) {
    }
    if (old != LG_NO_NODE) // Also: it was lower already, or another worker counted it.
        return;
    level->buffers[worker].nodes[level->buffers[worker].count++] = holder;
    if (level->buffers[worker].count == BUFFERED)
        empty_buffer(level, worker);
}

static void search_grain(void *data, size_t grain, size_t worker)
{
    struct level *level = data;
    const struct lg_graph *graph = level->graph;
    uint32_t i = (uint32_t)grain * GRAIN,
             end = level->now_count - i < GRAIN ? level->now_count : i + GRAIN;
    for (; i < end; i++) {
        if (i + 2 * AHEAD < level->now_count)
            __builtin_prefetch(&graph->edge_start[level->now[i + 2 * AHEAD]]);
        if (i + AHEAD < level->now_count)
            __builtin_prefetch(&graph->edges[graph->edge_start[level->now[i + AHEAD]]]);
        lg_node node = level->now[i];
        for (uint32_t e = graph->edge_start[node]; e < graph->edge_start[node + 1]; e++)
            offer(level, worker, graph->edges[e], node);
    }
}

// The nodes found become the level to search next.
static void finish_level(struct level *level)
{
    for (size_t w = 0; w < level->workers; w++) {
        if (level->buffers[w].count > 0)
            empty_buffer(level, w);
    }
    lg_node *swap = level->now;
    level->now = level->next;
    level->next = swap;
    level->now_count = atomic_exchange(&level->next_count, 0);
}

// A level too narrow for threads: long lists have as many levels as nodes, so there is nothing here that
// one node would not need.
static void search_narrow(struct level *level)
{
    const struct lg_graph *graph = level->graph;
    uint32_t found = 0;
    for (uint32_t i = 0; i < level->now_count; i++) {
        lg_node node = level->now[i];
        for (uint32_t e = graph->edge_start[node]; e < graph->edge_start[node + 1]; e++) {
            lg_node holder = graph->edges[e], *next = &level->paths->next[holder];
            if (level->seen[holder >> 6] >> (holder & 63) & 1)
                continue;
            if (*next == LG_NO_NODE)
                level->next[found++] = holder;
            *next = *next < node ? *next : node;
        }
    }
    lg_node *swap = level->now;
    level->now = level->next;
    level->next = swap;
    level->now_count = found;
}

static void set_sources(struct level *level, const lg_node *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lg_node node = sources[i];
        if (level->seen[node >> 6] >> (node & 63) & 1 || level->paths->next[node] != LG_NO_NODE)
            continue;
        level->paths->next[node] = node;
        level->now[level->now_count++] = node;
    }
}

static void search(struct level *level)
{
    while (level->now_count > 0 && !lg_cancelled()) {
        level->paths->reached += level->now_count;
        for (uint32_t i = 0; i < level->now_count; i++)
            level->seen[level->now[i] >> 6] |= UINT64_C(1) << (level->now[i] & 63);
        if (level->now_count < NARROW) {
            search_narrow(level);
        } else {
            lg_parallel((level->now_count + GRAIN - 1u) / GRAIN, search_grain, level);
            finish_level(level);
        }
    }
}

struct lg_error *lg_paths_search(struct lg_paths *paths, const struct lg_graph *graph,
                                 const lg_node *sources, size_t count)
{
    uint32_t n = paths->node_count;
    for (size_t i = 0; i < count; i++) {
        if (sources[i] >= n)
            return lg_error_new(LG_ERR_NOT_FOUND, "node %u is not in a graph of %u", sources[i], n);
    }
    struct level level = {
        .graph = graph,
        .paths = paths,
        .seen = paths->seen,
        .now = lg_pages_alloc(n, sizeof(lg_node)),
        .next = lg_pages_alloc(n, sizeof(lg_node)),
        .workers = lg_workers(),
    };
    level.buffers = calloc(level.workers, sizeof(*level.buffers));
    bool ready = level.now && level.next && level.buffers;
    if (ready) {
        set_sources(&level, sources, count);
        search(&level);
    }
    lg_pages_free(level.now, n, sizeof(lg_node));
    lg_pages_free(level.next, n, sizeof(lg_node));
    free(level.buffers);
    if (!ready)
        return &lg_no_memory;
    return lg_cancelled() ? &lg_was_cancelled : NULL;
}

struct lg_error *lg_paths_new(uint32_t node_count, struct lg_paths **ret)
{
    _cleanup_(lg_paths_freep) struct lg_paths *paths = calloc(1, sizeof(*paths));
    if (!paths)
        return &lg_no_memory;
    // And in a search as much again for its levels: no node is in two.
    struct lg_error *err = lg_memory_need((uint64_t)node_count * 8, "ways to %u objects", node_count);
    if (err)
        return err;
    paths->node_count = node_count;
    paths->target = LG_NO_NODE;
    paths->next = lg_pages_alloc(node_count, sizeof(lg_node));
    paths->seen = lg_pages_alloc((size_t)node_count / 64 + 1, 8);
    if (!paths->next || !paths->seen)
        return &lg_no_memory;
    memset(paths->next, 0xff, node_count * sizeof(lg_node));
    *ret = lg_steal(paths);
    return NULL;
}

void lg_paths_bar(struct lg_paths *paths, lg_node node)
{
    paths->seen[node >> 6] |= UINT64_C(1) << (node & 63);
}

struct lg_error *lg_paths_find(const struct lg_graph *reversed, lg_node target, struct lg_paths **ret)
{
    _cleanup_(lg_paths_freep) struct lg_paths *paths = NULL;
    struct lg_error *err = lg_paths_new(reversed->node_count, &paths);
    if (!err)
        err = lg_paths_search(paths, reversed, &target, 1);
    if (err)
        return err;
    paths->target = target;
    *ret = lg_steal(paths);
    return NULL;
}

void lg_paths_free(struct lg_paths *paths)
{
    if (!paths)
        return;
    lg_pages_free(paths->next, paths->node_count, sizeof(lg_node));
    lg_pages_free(paths->seen, (size_t)paths->node_count / 64 + 1, 8);
    free(paths);
}
