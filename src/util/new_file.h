// A file that is written under a temporary name beside its final one, and takes that when it is whole:
// whoever is stopped half way leaves what was there before.
#ifndef LG_UTIL_NEW_FILE_H
#define LG_UTIL_NEW_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/cleanup.h"
#include "util/error.h"

struct lg_new_file {
    char *path, *temporary; // temporary: NULL when there is none any more
    FILE *file;             // Writing past lg_new_file_put() is allowed.
    uint64_t size;          // of what was put
    struct lg_new_file *next;
};
LG_MUST_CHECK struct lg_error *lg_new_file_create(const char *path, struct lg_new_file **ret);
LG_MUST_CHECK struct lg_error *lg_new_file_put(struct lg_new_file *file, const void *bytes, size_t len);
// Gives it its name.
LG_MUST_CHECK struct lg_error *lg_new_file_finish(struct lg_new_file *file);
void lg_new_file_free(struct lg_new_file *file); // NULL is allowed; removes what is unfinished
LG_DEFINE_FREEP(lg_new_file)

// Removes all that are unfinished, for a process that is about to end: whoever writes one meanwhile
// waits from now on for good.
void lg_new_files_remove(void);

#endif
