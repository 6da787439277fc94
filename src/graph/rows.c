#include "graph/rows.h"

#include <stdatomic.h>
#include <string.h>

#include "graph/index_priv.h"
#include "util/cancel.h"
#include "util/error.h"
#include "util/memory_left.h"
#include "util/pages.h"
#include "util/parallel.h"

enum {
    BATCH = sizeof(((struct lg_edge_batch *)0)->keys) / sizeof(uint64_t),
    STEP_BITS = 20, // Edges between two questions for room: 4 MB.
    LARGE = 1 << STEP_BITS,
};

struct piece {
    lg_node *edges;
    size_t count;
    lg_node first, behind; // Nodes with edges are in [first, behind).
    uint64_t start;        // Where its edges go.
};

struct stream {
    lg_node *edges;
    size_t count, room;
    lg_node first, behind;
};

struct lg_rows {
    struct lg_graph *graph; // Until it is finished, edge_start[n] is the number of edges of node n.
    uint32_t node_count;
    uint32_t *counts;
    size_t piece_count, worker_count;
    struct piece *pieces;   // [piece_count]
    struct stream *streams; // [worker_count]
    atomic_bool failed;
    _Atomic uint64_t met; // Edges, of `ended` pieces.
    atomic_size_t ended;
    struct lg_error *_Atomic refused; // As there is no room for more.
};

struct lg_error *lg_rows_new(uint32_t node_count, size_t piece_count, struct lg_rows **ret)
{
    _cleanup_(lg_rows_freep) struct lg_rows *rows = calloc(1, sizeof(*rows));
    if (!rows)
        return &lg_no_memory;
    rows->node_count = node_count;
    rows->piece_count = piece_count;
    rows->worker_count = lg_workers();
    struct lg_error *err =
        lg_memory_need((uint64_t)node_count * 8, "the graph of %u objects", node_count);
    if (err)
        return err;
    rows->counts = lg_pages_alloc((size_t)node_count + 1, sizeof(*rows->counts));
    rows->pieces = calloc(piece_count + 1, sizeof(*rows->pieces));
    rows->streams = calloc(rows->worker_count, sizeof(*rows->streams));
    if (!rows->counts || !rows->pieces || !rows->streams)
        return &lg_no_memory;
    *ret = lg_steal(rows);
    return NULL;
}

void lg_rows_free(struct lg_rows *rows)
{
    if (!rows)
        return;
    for (size_t i = 0; rows->pieces && i < rows->piece_count; i++)
        free(rows->pieces[i].edges);
    for (size_t i = 0; rows->streams && i < rows->worker_count; i++)
        free(rows->streams[i].edges);
    lg_pages_free(rows->counts, (size_t)rows->node_count + 1, sizeof(*rows->counts));
    lg_graph_free(rows->graph);
    lg_error_free(rows->refused);
    free(rows->pieces);
    free(rows->streams);
    free(rows);
}

// Whether there is room for so many edges more. The error is kept, and nothing is taken any more.
static void ask_for_room(struct lg_rows *rows, uint64_t more)
{
    struct lg_error *none = NULL;
    struct lg_error *err =
        lg_memory_need(more * sizeof(lg_node), "the graph of %u objects, after %llu references,",
                       rows->node_count, (unsigned long long)atomic_load(&rows->met));
    if (!err)
        return;
    if (!atomic_compare_exchange_strong(&rows->refused, &none, err))
        lg_error_free(err);
    atomic_store(&rows->failed, true);
}

// Pieces cover as much heap each, so of a quarter of them the others can be told; before that, the next
// edges are asked for.
static void note_piece(struct lg_rows *rows, size_t count)
{
    uint64_t met = atomic_fetch_add(&rows->met, count) + count;
    size_t ended = atomic_fetch_add(&rows->ended, 1) + 1;
    if (met >> STEP_BITS == (met - count) >> STEP_BITS)
        return;
    bool is_known = ended * 4 >= rows->piece_count;
    ask_for_room(rows, is_known ? met * (rows->piece_count - ended) / ended : UINT64_C(1) << STEP_BITS);
}

static bool make_room(struct lg_rows *rows, struct stream *stream)
{
    if (atomic_load_explicit(&rows->failed, memory_order_relaxed))
        return false;
    if (stream->room - stream->count >= BATCH)
        return true;
    size_t room = stream->room + stream->room / 2 + 64 * BATCH;
    if (room > LARGE)
        ask_for_room(rows, room - stream->room + stream->count);
    lg_node *edges = realloc(stream->edges, room * sizeof(*edges));
    if (!edges) {
        atomic_store(&rows->failed, true);
        return false;
    }
    stream->edges = edges;
    stream->room = room;
    return true;
}

static void note(struct lg_rows *rows, struct stream *stream, lg_node from, lg_node to)
{
    if (stream->first == stream->behind)
        stream->first = from;
    stream->behind = from + 1;
    stream->edges[stream->count++] = to;
    rows->counts[from]++;
}

uint64_t lg_rows_add_batch(struct lg_rows *rows, size_t worker, const struct lg_index *index,
                           struct lg_edge_batch *batch)
{
    struct stream *stream = &rows->streams[worker];
    size_t words[BATCH];
    uint64_t wild = 0;
    if (!make_room(rows, stream)) {
        batch->count = 0;
        return 0;
    }
    for (unsigned i = 0; i < batch->count; i++) {
        words[i] = index_word(index, batch->keys[i]);
        __builtin_prefetch(&index->words[words[i] == SIZE_MAX ? 0 : words[i]]);
    }
    for (unsigned i = 0; i < batch->count; i++) {
        lg_node to = index_node(index, words[i], batch->keys[i]);
        if (to == LG_NO_NODE || batch->values[i] >= rows->node_count)
            wild++;
        else
            note(rows, stream, batch->values[i], to);
    }
    batch->count = 0;
    return wild;
}

void lg_rows_end(struct lg_rows *rows, size_t worker, size_t piece)
{
    struct stream *stream = &rows->streams[worker];
    struct piece *to = &rows->pieces[piece];
    *to = (struct piece){ .first = stream->first, .behind = stream->behind, .count = stream->count };
    if (stream->count > LARGE) { // A long array: not a second time.
        lg_node *cut = realloc(stream->edges, stream->count * sizeof(*cut));
        to->edges = cut ? cut : stream->edges;
        stream->edges = NULL;
        stream->room = 0;
    } else {
        to->edges = malloc((stream->count + 1) * sizeof(*to->edges));
        if (to->edges && stream->count > 0)
            memcpy(to->edges, stream->edges, stream->count * sizeof(*to->edges));
    }
    if (!to->edges)
        atomic_store(&rows->failed, true);
    note_piece(rows, stream->count);
    stream->count = stream->first = stream->behind = 0;
}

// Its edges go where they belong, and are given back.
static void place_piece(void *data, size_t i, size_t worker)
{
    struct lg_rows *rows = data;
    struct piece *piece = &rows->pieces[i];
    struct lg_graph *graph = rows->graph;
    (void)worker;
    if (piece->count > 0)
        memcpy(graph->edges + piece->start, piece->edges, piece->count * sizeof(*piece->edges));
    free(piece->edges);
    piece->edges = NULL;
    for (lg_node n = piece->first; n < piece->behind && !lg_cancelled(); n++)
        lg_row_sort(graph->edges + graph->edge_start[n],
                    graph->edge_start[n + 1] - graph->edge_start[n]);
}

// Counts become starts; in order, pieces' edges have to end where their nodes' do.
static bool find_starts(struct lg_rows *rows, uint64_t *total_ret)
{
    uint64_t total = 0, start = 0;
    uint32_t node = 0;
    for (size_t i = 0; i < rows->piece_count; i++) {
        struct piece *piece = &rows->pieces[i];
        if (piece->count == 0)
            continue;
        if (piece->first < node || piece->behind > rows->node_count)
            return false;
        for (; node < piece->behind; node++)
            total += rows->counts[node];
        piece->start = start;
        start += piece->count;
        if (start != total)
            return false;
    }
    *total_ret = total;
    return true;
}

struct lg_error *lg_rows_finish(struct lg_rows *rows, struct lg_graph **ret)
{
    uint64_t total;
    uint32_t next = 0;
    if (rows->refused)
        return atomic_exchange(&rows->refused, NULL);
    if (atomic_load(&rows->failed))
        return &lg_no_memory;
    if (!find_starts(rows, &total))
        return lg_error_new(LG_ERR_CORRUPT,
                            "two walks of the heap do not agree: objects moved meanwhile");
    struct lg_error *err = lg_graph_with(rows->node_count, total, &rows->counts, &rows->graph);
    if (err)
        return err;
    for (uint32_t n = 0; n < rows->node_count; n++) {
        uint32_t count = rows->graph->edge_start[n];
        rows->graph->edge_start[n] = next;
        next += count;
    }
    rows->graph->edge_start[rows->node_count] = next;
    lg_parallel(rows->piece_count, place_piece, rows);
    if (lg_cancelled())
        return &lg_was_cancelled;
    *ret = lg_steal(rows->graph);
    return NULL;
}
