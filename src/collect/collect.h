// From a heap to a graph: objects, references, and the roots that keep them alive.
#ifndef LG_COLLECT_COLLECT_H
#define LG_COLLECT_COLLECT_H

#include "dac/dac.h"
#include "graph/graph.h"
#include "graph/index.h"
#include "graph/paths.h"
#include "heap/heap.h"
#include "util/map.h"

// ---- roots ----

// In the order in which they explain best; paths are reported in this order.
enum lg_root_kind {
    LG_ROOT_STATIC,
    LG_ROOT_THREAD_STATIC,
    LG_ROOT_STRONG,
    LG_ROOT_PINNED,
    LG_ROOT_ASYNC_PINNED,
    LG_ROOT_SIZED_REF,
    LG_ROOT_REFCOUNTED,
    LG_ROOT_FINALIZER, // f-reachable
    LG_ROOT_FRAME,     // of a thread itself: exception in flight …
    LG_ROOT_STACK,
    LG_ROOT_KINDS,
};
const char *lg_root_kind_name(enum lg_root_kind kind); // as output.md spells it: "thread-static"

struct lg_root {
    uint64_t object;
    uint64_t slot; // Address of handle, static slot, queue entry, or stack slot; 0: a register
    enum lg_root_kind kind;
    bool conservative; // a word that looks like a reference
    const char
        *name; // statics: "Declaring.Type.field"; registers: "rbx"; "in-flight exception"; else NULL
    const struct lg_managed_thread *thread; // thread statics, stacks, frames; else NULL
    // Of what the DAC tells of a stack:
    bool is_interior, is_pinned;
    uint64_t sp, ip;   // Of the frame.
    const char *frame; // Its method, or what the runtime calls a Frame of its own; NULL: unknown.
    const char *place; // "rbp-28", "rsi"; NULL: unknown.
};

// The stack of a thread, as the DAC tells it.
struct lg_told_stack {
    struct lg_dac_stack stack;
    char *missing; // Why there is none; NULL: there is one. Owned.
};
void lg_told_stack_deinit(struct lg_told_stack *told);
LG_MUST_CHECK struct lg_error *lg_told_stack_copy(const struct lg_told_stack *from,
                                                  struct lg_told_stack *ret);
// An error only if asking another thread is of no use either.
LG_MUST_CHECK struct lg_error *lg_told_stack_read(struct lg_dac *dac,
                                                  const struct lg_managed_thread *thread,
                                                  unsigned wanted, struct lg_told_stack *ret);

struct lg_roots {
    LG_VEC(struct lg_root) all; // By kind, then slot.
    bool is_missing_some;       // Roots may be missing: then nothing is known to be dead.
    LG_VEC(char *) incomplete;  // One sentence for each class of roots that could not be read in full.
    LG_VEC(char *) names;
};

// Reads every kind of root. Needs all method tables known: after a walk of the whole heap. `index`
// resolves what words on stacks point into. Which words count `dac` tells; if it is NULL, or cannot tell
// of a thread, every one does that points into an object, and `incomplete` says so, and why (`no_dac`).
LG_MUST_CHECK struct lg_error *lg_roots_collect(struct lg_heap *heap, const struct lg_index *index,
                                                struct lg_dac *dac, const char *no_dac,
                                                struct lg_roots **ret);
struct lg_heap_graph;
// Says in `roots` what a graph lacks: what only missing edges lead to looks dead.
LG_MUST_CHECK struct lg_error *lg_roots_add_gaps(struct lg_roots *roots,
                                                 const struct lg_heap_graph *graph);
void lg_roots_free(struct lg_roots *roots);
LG_DEFINE_FREEP(lg_roots)

// ---- graph ----

// Edges are the references of all objects, plus dependent handles (primary -> secondary) and collectible
// types (object -> its LoaderAllocator). A named static slot is no edge of the Object[] that holds it:
// it is a root, with a name (lg_roots), unless its type is collectible.
//
// They are there in one form or both: `forward`, from holder to held, for what is alive and what that
// retains, `reversed` for "who holds this". Either is made when it is asked for.
struct lg_heap_graph {
    struct lg_heap *heap;
    struct lg_index *index;
    struct lg_graph *forward;            // NULL: not made
    struct lg_graph *reversed;           // NULL: not made
    uint64_t edge_count;                 // of either
    LG_VEC(struct lg_handle) dependents; // those that are edges
    struct lg_map loader_objects;        // see collect_priv.h
    struct lg_walk_result walk;
    uint64_t wild;       // references to where no object starts: dropped
    uint32_t loaderless; // types that are or may be collectible, and whose LoaderAllocator is not known:
                         // their edges are missing
};
enum lg_graph_form { LG_GRAPH_FORWARD, LG_GRAPH_REVERSED };
// With edges of that form.
LG_MUST_CHECK struct lg_error *lg_heap_graph_build(struct lg_heap *heap, enum lg_graph_form form,
                                                   struct lg_heap_graph **ret);
// Makes sure that they are there: from those of the other form, or by another walk.
LG_MUST_CHECK struct lg_error *lg_heap_graph_need(struct lg_heap_graph *graph, enum lg_graph_form form);
void lg_heap_graph_free(struct lg_heap_graph *graph);
LG_DEFINE_FREEP(lg_heap_graph)

// ---- what is alive ----

enum lg_life {
    LG_ALIVE,       // reached from a root that is certain; or frozen
    LG_MAYBE_ALIVE, // only from words on stacks that look like references
    LG_DEAD,
};

struct lg_reach {
    struct lg_heap_graph *graph;        // borrowed
    uint64_t *certain, *alive;          // a bit per node (graph/marks.h): LG_ALIVE; LG_MAYBE_ALIVE too
    uint64_t certain_count, live_count; // nodes
};
LG_MUST_CHECK struct lg_error *lg_reach_find(struct lg_heap_graph *graph, const struct lg_roots *roots,
                                             struct lg_reach **ret);
enum lg_life lg_reach_life(const struct lg_reach *reach, lg_node node);
// Shortest paths from the roots to all that they reach: `next` is the holder, a root's is itself. What
// is certain is reached first, and not by what is not.
LG_MUST_CHECK struct lg_error *lg_reach_paths(const struct lg_reach *reach, const struct lg_roots *roots,
                                              struct lg_paths **ret);
void lg_reach_free(struct lg_reach *reach);
LG_DEFINE_FREEP(lg_reach)

// ---- labels ----

enum lg_link { LG_LINK_FIELD, LG_LINK_ELEMENT, LG_LINK_DEPENDENT, LG_LINK_LOADER };
const char *lg_link_name(enum lg_link link); // "field" "element" "dependent" "loader"

// What the reference at `offset` of an object is called; `any` element is "[]".
enum lg_link lg_label_at(const struct lg_heap_graph *graph, const struct lg_object *from,
                         uint64_t offset, bool any, char *buf, size_t size);
// How `from` refers to `to`: "_items", "[17]", "[3].value", "_lock._owner", "[0,2]". False if it does
// not (any more).
bool lg_edge_label(const struct lg_heap_graph *graph, const struct lg_object *from, uint64_t to,
                   enum lg_link *link_ret, char *buf, size_t size);

#endif
