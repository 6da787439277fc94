// Collections of garbage, as the events of a runtime tell of them.
//
//     SuspendEEBegin ─ GCStart ─ GCGlobalHeapHistory ─ GCPerHeapHistory… ─ GCEnd ─ GCHeapStats ─
//     RestartEEEnd └────────────────────────────────────── pause
//     ─────────────────────────────────────────────────────┘
//
// A background collection has two pauses, at its start and at the end of its marking, and others run
// while it does: those after it has begun, in pauses of their own; and one of young objects that it may
// begin with, within its first pause. One that is announced as a background collection can turn into a
// blocking one; the history, which is right about that, is believed.
//
// Feed events in the order of their time. A collection is told when all is known of it; one that had
// begun before the first event is passed over.
#ifndef LG_DIAG_GC_H
#define LG_DIAG_GC_H

#include "diag/diag.h"
#include "diag/nettrace.h"

enum { LG_GC_GENERATIONS = 5 }; // gen0, gen1, gen2, large objects, pinned objects

struct lg_gc_sizes {
    uint64_t before, free_before; // Bytes; free ones included.
    uint64_t after, free_after;
    uint64_t promoted; // Of what was in it before: what has survived.
};

enum lg_gc_kind {
    LG_GC_BLOCKING,
    LG_GC_BACKGROUND,
    LG_GC_FOREGROUND, // A blocking one, during a background one.
};

struct lg_gc {
    uint64_t number; // as GC.CollectionCount(0) counts
    uint32_t generation, reason;
    enum lg_gc_kind kind;
    double start_ms;    // since the session began
    double duration_ms; // from start to end
    double pause_ms;    // that threads stood still for it; below 0: unknown
    bool has_history;   // `compacting`, `heaps`, `before` and `after` are known.
    bool has_stats;     // `promoted`, `pinned`, `finalized`, `handles` are known.
    bool compacting;
    uint32_t heaps;
    uint32_t memory_load; // percent; with `has_history`
    uint64_t pinned;      // objects
    uint64_t finalized;   // objects that survive to have their finalizers run
    uint64_t handles;
    struct lg_gc_sizes generations[LG_GC_GENERATIONS]; // of all heaps
};
uint64_t lg_gc_before(const struct lg_gc *gc);
uint64_t lg_gc_after(const struct lg_gc *gc);
uint64_t lg_gc_free_after(const struct lg_gc *gc);
uint64_t lg_gc_promoted(const struct lg_gc *gc);

const char *lg_gc_kind_name(enum lg_gc_kind kind);
// "induced"; "unknown" of a newer runtime's
const char *lg_gc_reason_name(uint32_t reason);
extern const char *const lg_gc_generation_names[LG_GC_GENERATIONS]; // gen0, …, loh, poh

// Provider, keywords and level that these events need: for lg_diag_collect().
#define LG_GC_KEYWORD 0x1
// Has a full blocking collection made when the session starts, before .NET 10 another when it ends.
#define LG_GC_COLLECT_KEYWORD 0x800000

struct lg_gc_listener {
    void *self;
    struct lg_error *(*collected)(void *self, const struct lg_gc *gc);
};

// All pauses, whatever for.
struct lg_gc_pauses {
    uint64_t count;
    double total_ms, longest_ms;
};

struct lg_gc_follower;
// `trace` is whose events they are; borrowed.
LG_MUST_CHECK struct lg_error *lg_gc_follower_new(const struct lg_gc_listener *listener,
                                                  const struct lg_nettrace *trace,
                                                  struct lg_gc_follower **ret);
void lg_gc_follower_free(struct lg_gc_follower *follower);
LG_DEFINE_FREEP(lg_gc_follower)
LG_MUST_CHECK struct lg_error *lg_gc_follower_event(struct lg_gc_follower *follower,
                                                    const struct lg_event *event);
// Events were lost here: no pause is made of what is left of two.
void lg_gc_follower_lost(struct lg_gc_follower *follower);
// The last event was told: tells the collections that are over. The others were under way, or their end
// was lost.
LG_MUST_CHECK struct lg_error *lg_gc_follower_finish(struct lg_gc_follower *follower,
                                                     unsigned *unfinished_ret);
// How many numbers of collections are left out among those that were told: their events are lost, taken
// away by another session, or it was a region without collections that was asked for.
uint64_t lg_gc_follower_missing(const struct lg_gc_follower *follower);
struct lg_gc_pauses lg_gc_follower_pauses(const struct lg_gc_follower *follower);

// ---- asking for one ----

struct lg_gc_asked {
    unsigned count;  // How many full collections there were: 1, before .NET 10 2.
    double ms;       // From the question until the runtime was let go.
    int64_t ended;   // Then, in ms of CLOCK_MONOTONIC.
    double pause_ms; // of all of them; below 0: unknown
    uint64_t before,
        after; // Bytes of the heap before the first and after the last; UINT64_MAX: unknown.
};
// Has the runtime make a full blocking collection, and waits for its end. `timeout_ms`: for no longer.
LG_MUST_CHECK struct lg_error *lg_gc_ask(const struct lg_diag *diag, int timeout_ms,
                                         struct lg_gc_asked *ret);

#endif
