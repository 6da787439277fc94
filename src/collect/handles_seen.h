// GC handles that are made and freed while a process is followed, by where they are and who made them.
//
//     SetGCHandle       of an address that holds no handle: it is made, here
//                       of one that does: it is given another object, which is nothing new
//     DestroyGCHandle   the address is free, and may be the next one's
//
// The runtime tells making and giving by one and the same event, so what there was before has to be
// known: lg_handles_seen_before(). Lost events make doubtful what is at an address until a handle there
// is seen to go: neither the one that was there nor what comes next is told.
#ifndef LG_COLLECT_HANDLES_SEEN_H
#define LG_COLLECT_HANDLES_SEEN_H

#include "collect/allocations.h"

// Handles, code that comes and goes; GC, as each collection switches the events of handles off where
// nobody asks for those of collections (measured; dotnet/runtime src/coreclr/vm/gcenv.ee.cpp,
// UpdateGCEventStatus).
#define LG_HANDLE_KEYWORDS (UINT64_C(0x2) | 0x1 | 0x30)
extern const uint32_t lg_handle_events[];
extern const size_t lg_handle_event_count;

enum lg_handle_state { LG_HANDLE_FREE, LG_HANDLE_OLD, LG_HANDLE_MADE, LG_HANDLE_DOUBTFUL };

struct lg_handle_seen {
    uint64_t address;
    enum lg_handle_state state;
    uint32_t kind;   // as the runtime numbers them: enum lg_handle_kind
    uint32_t origin; // of lg_allocations.origins, which keeps the stacks
    uint32_t losses; // there had been when it was last seen to be free
    uint64_t time;   // when it was made
};

struct lg_handles_seen {
    LG_VEC(struct lg_handle_seen) all; // One for each address.
    struct lg_map by_address;
    uint32_t losses;
    uint64_t window_start, window_end; // UINT64_MAX: not known yet
    uint64_t made, freed, assigned;    // freed: of those that were made
    uint64_t lost_events, dropped_lost, dropped_origins;
};

// A handle that was there when the process began to be followed; before any event.
LG_MUST_CHECK struct lg_error *lg_handles_seen_before(struct lg_handles_seen *seen, uint64_t address);
LG_MUST_CHECK struct lg_error *lg_handles_seen_event(struct lg_handles_seen *seen,
                                                     struct lg_allocations *stacks,
                                                     const struct lg_event *event);
void lg_handles_seen_lost(struct lg_handles_seen *seen, const struct lg_event_loss *loss);
void lg_handles_seen_deinit(struct lg_handles_seen *seen);

#endif
