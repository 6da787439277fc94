// The mappings of a process, as /proc/PID/maps has them.
#ifndef LG_TARGET_MAPS_H
#define LG_TARGET_MAPS_H

#include "target/target.h"
#include "util/arena.h"

// One line: what a range is, and what else the line says of it.
struct lg_maps_line {
    struct lg_range range; // Its path is in the arena.
    uint64_t inode;        // 0: no file.
    bool is_shared;        // MAP_SHARED
};
LG_MUST_CHECK struct lg_error *lg_maps_parse_line(const char *line, size_t len, struct lg_arena *paths,
                                                  struct lg_maps_line *ret);

// Replaces `target->ranges` by what `text` says; paths go into `paths`. On failure both are half filled.
LG_MUST_CHECK struct lg_error *lg_maps_parse(const char *text, size_t len, struct lg_target *target,
                                             struct lg_arena *paths);

// The same for the process whose /proc/PID is open as `dir`.
LG_MUST_CHECK struct lg_error *lg_maps_read(int dir, struct lg_target *target, struct lg_arena *paths);

#endif
