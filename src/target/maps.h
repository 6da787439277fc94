// The mappings of a process, as /proc/PID/maps has them.
#ifndef LG_TARGET_MAPS_H
#define LG_TARGET_MAPS_H

#include "target/target.h"
#include "util/arena.h"

// Replaces `target->ranges` by what `text` says; paths go into `paths`. On failure both are half filled.
LG_MUST_CHECK struct lg_error *lg_maps_parse(const char *text, size_t len, struct lg_target *target,
                                             struct lg_arena *paths);

// The same for the process whose /proc/PID is open as `dir`.
LG_MUST_CHECK struct lg_error *lg_maps_read(int dir, struct lg_target *target, struct lg_arena *paths);

#endif
