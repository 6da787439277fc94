// How fast numbers of processes grow, per minute, over the last minute that was watched.
//
//     readings of one process       t-60 s ........................ now
//                                   ^ the oldest of that minute     ^ (now - oldest) / time between
//
// A process is known by its PID and the time it was started, so a PID that is given to another begins
// anew.
#ifndef LG_CLI_GROWTH_H
#define LG_CLI_GROWTH_H

#include <stdint.h>

struct lg_growth;

struct lg_growth *lg_growth_new(void); // NULL: out of memory
void lg_growth_free(struct lg_growth *growth);

enum { LG_GROWTH_VALUES = 2 };
struct lg_growth_reading {
    double seconds;                   // of any clock that goes on evenly
    int64_t values[LG_GROWTH_VALUES]; // below 0: unknown
};
// Adds a reading, no older than those before, and tells each value's growth per minute; NAN: unknown,
// as it is at the first reading. Out of memory: all unknown.
void lg_growth_add(struct lg_growth *growth, int pid, int64_t start_ticks,
                   const struct lg_growth_reading *reading, double per_minute_ret[LG_GROWTH_VALUES]);
// Forgets processes that had no reading at or after `seconds`.
void lg_growth_forget(struct lg_growth *growth, double seconds);

#endif
