// A control group of the test's own, with a limit of memory.
#ifndef LG_TESTS_UNIT_CONTROL_GROUP_H
#define LG_TESTS_UNIT_CONTROL_GROUP_H

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const group_roots[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup" };
static const char *const group_limits[] = { "memory.limit_in_bytes", "memory.max" };
static const char *const group_swaps[] = { "memory.swappiness", "memory.swap.max" };

struct group {
    char path[128];
};

static inline bool write_text(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

// A control group with a limit; false: none can be made here.
static inline bool group_make(struct group *group, unsigned mb)
{
    char limit[32];
    snprintf(limit, sizeof(limit), "%u", mb << 20);
    for (int kind = 0; kind < 2; kind++) {
        snprintf(group->path, sizeof(group->path), "%s/linger-test-%d", group_roots[kind], getpid());
        if (mkdir(group->path, 0755) != 0)
            continue;
        if (write_text(group->path, group_limits[kind], limit)) {
            write_text(group->path, group_swaps[kind], "0");
            return true;
        }
        rmdir(group->path);
    }
    print_message("skipped: no control group with a memory limit can be made here\n");
    return false;
}

static inline void group_remove(const struct group *group)
{
    for (int ms = 0; ms < 60000 && rmdir(group->path) != 0 && errno == EBUSY; ms++)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

#endif
