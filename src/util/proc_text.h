// Small files of /proc, read whole.
//
// `dir` is a descriptor of the folder they are in, or AT_FDCWD.
#ifndef LG_UTIL_PROC_TEXT_H
#define LG_UTIL_PROC_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Enough for /proc/PID/status and /proc/PID/stat.
enum { LG_PROC_TEXT = 8192 };

// Reads `name`, or as much of it as fits, and ends it with NUL. The length, or -1 and errno.
ssize_t lg_proc_read(int dir, const char *name, char *buf, size_t size);

// Reads all of `name` and ends it with NUL; NULL and errno. The caller's.
char *lg_proc_read_all(int dir, const char *name, size_t *len_ret);

// The value in a line "key:\tvalue\n" of a status file, up to its last word if `last`; `absent` if there
// is no such line or its value is no number.
int64_t lg_proc_field(const char *status, const char *key, int64_t absent);
int64_t lg_proc_field_last(const char *status, const char *key, int64_t absent);

#endif
