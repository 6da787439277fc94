// Which libmscordaccore.so is the runtime's own, and whether its file may be loaded.
#ifndef LG_DAC_FIND_H
#define LG_DAC_FIND_H

#include "target/image.h"

// What the runtime says of the DAC that belongs to it.
struct lg_dac_identity {
    uint8_t build_id[LG_BUILD_ID_MAX]; // Single-file: DotNetRuntimeInfo's; size 0: none.
    size_t build_id_size;
    char version[160]; // "@(#)Version 10.0.1226.42308 @Commit: 95017c…"; "": none
};
LG_MUST_CHECK struct lg_error *lg_dac_identity_read(const struct lg_image *runtime,
                                                    struct lg_dac_identity *ret);

// An open file that may be loaded through /proc/self/fd: it is what has been looked at, whatever becomes
// of its name. `given` is the user's, or NULL: then beside the runtime, or, of a single-file app, where
// shared frameworks of this `version` lie.
LG_MUST_CHECK struct lg_error *lg_dac_find(const struct lg_image *runtime, const char *version,
                                           const char *given, int *fd_ret, char **path_ret);

// Of an open file: owned by root or by us, writable by nobody else, and the one that `identity` names.
LG_MUST_CHECK struct lg_error *lg_dac_check(int fd, const char *path,
                                            const struct lg_dac_identity *identity);

#endif
