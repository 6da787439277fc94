// The order in which `ps` lists processes: by size, or as families.
//
//     -tree    900 M  Watcher          children below their parents, families and brothers by size;
//              412 M  |- Shop          a parent is the nearest that is listed: shells and shims between
//               40 M  |  `- Worker     are passed over
//               80 M  `- Mail
#ifndef LG_CLI_PS_H
#define LG_CLI_PS_H

#include "target/processes.h"

enum { LG_PS_LABEL = 96 };

struct lg_ps_line {
    size_t process; // Its index.
    size_t parent;  // That of its parent, if it is listed; else SIZE_MAX.
    char prefix[LG_PS_LABEL];
};
struct lg_ps_lines {
    LG_VEC(struct lg_ps_line) at;
};

// Lines for all processes that `wanted` (one each) says. False when out of memory.
bool lg_ps_list(const struct lg_processes *processes, const bool *wanted, struct lg_ps_lines *ret);
bool lg_ps_tree(const struct lg_processes *processes, const bool *wanted, struct lg_ps_lines *ret);

// Is it what the user means: its PID, a part of its name, or with any of *?[ a pattern (glob(7)) for its
// name or PID.
bool lg_ps_matches(const struct lg_process *process, const char *pattern);

#endif
