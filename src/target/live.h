// Live processes: how lg_live_open() makes them hold still, and what else there is to them.
//
// The process is stopped, copies itself by fork, and runs on after milliseconds (freeze.h); what is read
// is the copy. If it cannot copy itself (a seccomp filter, a limit), it stays stopped until the target
// is freed or retaken; a note says so. lg_target_free() ends either, from any thread; a process of ours
// that simply dies leaves the target running too, and at worst one zombie that ends with the target.
//
// A program that may be told to end (Ctrl-C) has to see to it that lg_target_free() or lg_live_end() is
// called.
#ifndef LG_TARGET_LIVE_H
#define LG_TARGET_LIVE_H

#include "target/target.h"

enum lg_live_after {
    LG_AFTER_COPY, // It is copied and goes on; the copy is read.
    LG_AFTER_STAY, // It stands still, to be read itself, until lg_live_end().
    LG_AFTER_GO,   // It goes on, and is read as it runs.
};

// What somebody wants to see of a process while it stands still: copying it changes what /proc says of
// its memory (every page that a copy has too is shared).
struct lg_live_watch {
    // Every thread is stopped, and there is no copy yet. `proc` is /proc/PID, borrowed. Whatever it does
    // is part of the pause; it runs on a thread of its own while the caller waits. Each retake calls it
    // again.
    void (*stopped)(void *data, int proc);
    void *data;
    enum lg_live_after after;
};

// lg_live_open() within the limits of `options`, and with a watch, both copied; NULL is none.
LG_MUST_CHECK struct lg_error *lg_live_open_as(int pid, const struct lg_target_options *options,
                                               const struct lg_live_watch *watch,
                                               struct lg_target **ret);
// lg_live_open() with a watch, which is copied; NULL is none.
LG_MUST_CHECK static inline struct lg_error *
lg_live_open_with(int pid, const struct lg_live_watch *watch, struct lg_target **ret)
{
    return lg_live_open_as(pid, NULL, watch, ret);
}

// From the next retake on, this is the watch of a target that is open; NULL: none any more. A target
// that is no live process has no use for it.
void lg_live_set_watch(struct lg_target *target, const struct lg_live_watch *watch);

// Opens a process as it runs, for a look at a few places that are known already: nothing is stopped or
// attached to, not even its mappings are read (`ranges` and `threads` are empty), and no two reads need
// fit together, except that a page is fetched once. The same rights are needed. `pause_ms` is 0.
LG_MUST_CHECK struct lg_error *lg_peek_open(int pid, struct lg_target **ret);
// Opens a process as it runs, to read whatever in it: as lg_peek_open(), but its mappings are there, and
// each read fetches anew.
LG_MUST_CHECK struct lg_error *lg_glance_open(int pid, struct lg_target **ret);

// From now on pages are fetched anew.
void lg_peek_again(struct lg_target *target);

// The process whose memory is read: the copy, or the process itself; 0: it is gone, or no process.
int lg_live_reading(const struct lg_target *target);

// How long the process stood, or has stood until now. Below 0: not a process.
double lg_live_pause_ms(const struct lg_target *target);

// Ends the copy, or lets a stopped process go, but frees nothing: what is read from now on is not there.
// For a program that is told to end while other threads read. Any target; any thread, but not while the
// target is being freed.
void lg_live_end(struct lg_target *target);

// Whether what is read is the process itself, stopped or running, and no copy: reading makes pages of it
// resident that were not. Any target.
bool lg_live_reads_process(const struct lg_target *target);

// Whether what was being read is gone: a copy or a process that someone killed. Then reads find nothing.
bool lg_live_is_lost(const struct lg_target *target);
// Why, if it was we who gave it up: a limit of the options, or memory that ran short. "" otherwise.
const char *lg_live_lost_reason(const struct lg_target *target);

// Bytes that the process has written to since it was copied, and that exist twice therefore: the most
// that any of its copies has cost so far. Below 0: no process, or no copy. Takes some 10 ms per GB.
int64_t lg_live_cow_bytes(struct lg_target *target);

#endif
