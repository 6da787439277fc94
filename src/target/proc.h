// Small files of /proc, read whole.
//
// A `dir` is a descriptor of /proc/PID: it stays with its process, and fails once that is gone, so a PID
// that is given to another process cannot be mistaken for it.
#ifndef LG_TARGET_PROC_H
#define LG_TARGET_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Enough for /proc/PID/status and /proc/PID/stat.
enum { LG_PROC_TEXT = 8192 };

// Opens /proc/PID as a directory; -1 and errno.
int lg_proc_open(int pid);

// What /proc calls us: getpid(), or another number, or 0, if it shows another PID namespace than ours.
// Then its numbers mean other processes to system calls, or none.
int lg_proc_self(void);

// Reads `name`, or as much of it as fits, and ends it with NUL. The length, or -1 and errno.
ssize_t lg_proc_read(int dir, const char *name, char *buf, size_t size);

// Reads all of `name` and ends it with NUL; NULL and errno. The caller's.
char *lg_proc_read_all(int dir, const char *name, size_t *len_ret);

// The value in a line "key:\tvalue\n" of a status file, up to its last word if `last`; `absent` if there
// is no such line or its value is no number.
int64_t lg_proc_field(const char *status, const char *key, int64_t absent);
int64_t lg_proc_field_last(const char *status, const char *key, int64_t absent);

// The state letter of a task, whose stat file is `name`: 'R', 'S', 'D', 'T', 't', 'Z', 'X'; 0 when it is
// gone.
char lg_proc_state(int dir, const char *name);

// Field `number`, as proc(5) counts them, from 4 on, of a task's stat file; `absent` if it is not there.
int64_t lg_proc_stat(int dir, const char *name, int number, int64_t absent);

#endif
