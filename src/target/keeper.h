// A thread of our own that traces.
//
// ptrace answers only to the thread that attached, and lets go of everything, in whatever state it is,
// when that thread ends: no caller has to care which thread it calls from. Signals stay with the other
// threads.
#ifndef LG_TARGET_KEEPER_H
#define LG_TARGET_KEEPER_H

#include "util/cleanup.h"
#include "util/error.h"

struct lg_keeper;

// `idle(data)` is called on the thread between jobs; it returns after how many ms to call it again, at
// the soonest.
LG_MUST_CHECK struct lg_error *lg_keeper_new(unsigned (*idle)(void *data), void *data,
                                             struct lg_keeper **ret);
// Runs `job(data)` on the thread, and returns when it is done.
void lg_keeper_run(struct lg_keeper *keeper, void (*job)(void *data), void *data);
// NULL is allowed.
void lg_keeper_free(struct lg_keeper *keeper);
LG_DEFINE_FREEP(lg_keeper)

#endif
