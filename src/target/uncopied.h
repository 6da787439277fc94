// Memory that a process keeps from its copies (MADV_DONTFORK): rings of network cards, mostly. A copy
// has nothing at its addresses.
#ifndef LG_TARGET_UNCOPIED_H
#define LG_TARGET_UNCOPIED_H

#include "target/target.h"

// Adds a note to `copy` if there is such memory. `before`: the ranges of the process shortly before the
// copy; `proc`: its /proc/PID, now.
void lg_uncopied_note(struct lg_target *copy, int proc, const struct lg_target *before);

#endif
