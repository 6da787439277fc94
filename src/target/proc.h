// Processes of /proc. What reads their files is in util/proc_text.h.
//
// A `dir` is a descriptor of /proc/PID: it stays with its process, and fails once that is gone, so a PID
// that is given to another process cannot be mistaken for it.
#ifndef LG_TARGET_PROC_H
#define LG_TARGET_PROC_H

#include <stdint.h>

#include "util/proc_text.h"

// Opens /proc/PID as a directory; -1 and errno.
int lg_proc_open(int pid);

// What /proc calls us: getpid(), or another number, or 0, if it shows another PID namespace than ours.
// Then its numbers mean other processes to system calls, or none.
int lg_proc_self(void);

// The state letter of a task, whose stat file is `name`: 'R', 'S', 'D', 'T', 't', 'Z', 'X'; 0 when it is
// gone.
char lg_proc_state(int dir, const char *name);

// Field `number`, as proc(5) counts them, from 4 on, of a task's stat file; `absent` if it is not there.
int64_t lg_proc_stat(int dir, const char *name, int number, int64_t absent);

#endif
