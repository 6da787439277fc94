// What each object keeps alive: dominators over the whole heap, and owners above them.
//
// Between the virtual root and the objects lies one more layer, of owners: each named static field, each
// thread, each kind of handle, the finalizer queue, the frozen heap. What hangs on one owner alone is
// that owner's, exactly; what two of them hold belongs to neither, and hangs on the virtual root.
//
//     0 ─┬─ static OrderCache.s_orders ── Dictionary ── Entry[] ── Order …
//        ├─ thread 1a2c ── …
//        └─ Logger (held by several)
#ifndef LG_COLLECT_RETAIN_H
#define LG_COLLECT_RETAIN_H

#include "collect/collect.h"
#include "graph/dominators.h"

struct lg_owner {
    bool is_frozen; // The frozen heap; the rest is not set then.
    enum lg_root_kind
        kind;         // Stacks, frames and unnamed thread statics of a thread are one: LG_ROOT_STACK
    const char *name; // Statics, thread statics: "Declaring.Type.field"; else NULL. Of the roots.
    const struct lg_managed_thread *thread; // of thread statics and threads; else NULL
};

// Numbers are those of the tree. Those of owners have nodes from node_count on.
struct lg_retention {
    const struct lg_heap_graph *graph; // borrowed
    struct lg_dominators *tree;
    uint32_t node_count;    // objects
    const uint32_t *number; // [node_count + owners] by node; 0: not alive. Of the tree.
    uint64_t *size;         // [tree->count] what is retained, itself included
    uint32_t *objects;      // [tree->count] how many objects that is
    uint32_t *own_type;     // [node_count] lg_type.id
    uint64_t live_size;     // of all that is alive
    uint32_t live_count;
    LG_VEC(struct lg_owner) owners;
};
// Statics, types and everything else have to be known: after a reach. Uses the graph's `forward` up.
LG_MUST_CHECK struct lg_error *
lg_retention_find(const struct lg_reach *reach, const struct lg_roots *roots, struct lg_retention **ret);
void lg_retention_free(struct lg_retention *retention); // NULL is allowed
LG_DEFINE_FREEP(lg_retention)

// "static App.Cache.s_orders", "thread 1a2c", "pinned handles"; owned, NULL when out of memory.
char *lg_owner_label(const struct lg_owner *owner);

// The owner that a number stands for; NULL: it stands for an object, or is the virtual root.
const struct lg_owner *lg_retention_owner(const struct lg_retention *retention, uint32_t number);
// The object that a number stands for; 0: for none.
uint64_t lg_retention_address(const struct lg_retention *retention, uint32_t number);
const struct lg_type *lg_retention_type(const struct lg_retention *retention, uint32_t number);

// The size of each number itself, 0 of what is no object. [tree->count] in pages (util/pages.h), for the
// caller to free; NULL when out of memory.
uint64_t *lg_retention_own_sizes(const struct lg_retention *retention);

// By a key of each type (key[lg_type.id] < key_count): how many live objects have it, their own size,
// and what they retain together as far as the tree tells: of objects of one key within each other's
// subtree only the topmost counts. (What a *set* retains is more: lg_retained_set.)
struct lg_retained_group {
    uint64_t count, size, retained;
};
LG_MUST_CHECK struct lg_error *lg_retention_group(const struct lg_retention *retention,
                                                  const uint32_t *key, struct lg_retained_group *groups,
                                                  uint32_t key_count);

// The same by a key of each node; UINT32_MAX: in no group.
LG_MUST_CHECK struct lg_error *lg_retention_group_nodes(const struct lg_retention *retention,
                                                        const uint32_t *key,
                                                        struct lg_retained_group *groups,
                                                        uint32_t key_count);

// Exactly what would go if all nodes of a set went at once: `in_set` is a bit per node.
LG_MUST_CHECK struct lg_error *lg_retained_set(const struct lg_retention *retention,
                                               const struct lg_reach *reach,
                                               const struct lg_roots *roots, const uint64_t *in_set,
                                               struct lg_retained_group *ret);

#endif
