// What a copy of a process costs, and whether there is room for it.
//
//     at once    page tables, charged to the process's own control group while it clones
//     later      every page that the process writes to while the copy is there: at most all that is
//                private to it, and what its processors can write to in the time that reading takes,
//                if they did nothing else: each page is copied first, and how fast is tried out
//
// Where a limit is in the way (of a control group or of the machine), the kernel kills for it; the copy
// first, once it is there, but the process itself while it makes it. So that is asked before. Strict
// overcommit (vm.overcommit_memory 2) need not be: clone(2) then fails, and nothing has happened.
#ifndef LG_TARGET_ROOM_H
#define LG_TARGET_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct lg_room {
    uint64_t private_bytes; // Resident, and the process's own.
    uint64_t page_tables;   // Bytes.
    uint64_t left;          // Bytes that can be had before anything is killed; UINT64_MAX: unknown.
    uint64_t needed;        // Bytes that a copy takes until it has been read, as far as can be told.
};

// Of process `pid`, whose /proc/PID is open as `proc`. Where room is short, watches it for some 20 ms,
// unless what is read of a copy becomes its own, too (proc_mem.h).
void lg_room_measure(int pid, int proc, bool reading_copies, struct lg_room *ret);

// Bytes of pages that one processor can write to in a second of its time if each is copied first, at
// most: tried out, with 4 MB, which takes some 3 ms.
uint64_t lg_room_write_rate(void);

// Bytes that the process whose /proc/PID is open as `proc` has for itself: of a copy, what it has come
// to cost. Takes some 10 ms per GB. 0: not known.
uint64_t lg_room_own(int proc);

// How long a process with so much private memory stands still to be copied: an estimate, in ms.
double lg_room_pause_ms(uint64_t private_bytes);
// The same for one that is read as it stands still.
double lg_room_read_ms(uint64_t private_bytes);

#endif
