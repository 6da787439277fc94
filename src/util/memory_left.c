#include "util/memory_left.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/proc_text.h"

enum {
    MB = 1 << 20,
    SMALL = MB, // Nobody is killed for that, and a question takes 0.1 ms.
    RESERVE =
        16 * MB, // What is allocated beside: rows of reports, stacks of threads, the kernel's tables.
    STAT_TEXT = 16 << 10,
    LEVELS_MAX = 64,
};

// One of the two kinds of control groups: file names, and "no limit".
struct kind {
    const char *root, *limit, *soft_limit, *usage;
    const char *inactive, *active, *dirty, *writeback; // Keys of memory.stat.
};

static const struct kind unified = {
    .root = "/sys/fs/cgroup",
    .limit = "memory.max",
    .soft_limit = "memory.high",
    .usage = "memory.current",
    .inactive = "inactive_file",
    .active = "active_file",
    .dirty = "file_dirty",
    .writeback = "file_writeback",
};
static const struct kind legacy = {
    .root = "/sys/fs/cgroup/memory",
    .limit = "memory.limit_in_bytes",
    .soft_limit = NULL,
    .usage = "memory.usage_in_bytes",
    .inactive = "total_inactive_file",
    .active = "total_active_file",
    .dirty = "total_dirty",
    .writeback = "total_writeback",
};

// A number, or UINT64_MAX for "max", for what is none, and for no such file.
static uint64_t read_number(const char *folder, const char *name)
{
    char path[PATH_MAX + 64], text[64], *end;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (!name || lg_proc_read(AT_FDCWD, path, text, sizeof(text)) <= 0)
        return UINT64_MAX;
    uint64_t number = strtoull(text, &end, 10);
    return end == text ? UINT64_MAX : number;
}

// The value in a line "key value" of memory.stat.
static uint64_t stat_of(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            return strtoull(line + len, NULL, 10);
    }
    return 0;
}

// What of the group's memory is files, clean: it is given up before anything is killed. Half of what is
// in use is left out of account.
static uint64_t given_up(const struct kind *kind, const char *folder)
{
    char path[PATH_MAX + 64];
    _cleanup_free_ char *text = malloc(STAT_TEXT);
    snprintf(path, sizeof(path), "%s/memory.stat", folder);
    if (!text || lg_proc_read(AT_FDCWD, path, text, STAT_TEXT) <= 0)
        return 0;
    uint64_t files = stat_of(text, kind->inactive) + stat_of(text, kind->active) / 2;
    uint64_t unwritten = stat_of(text, kind->dirty) + stat_of(text, kind->writeback);
    return files > unwritten ? files - unwritten : 0;
}

static uint64_t left_in(const struct kind *kind, const char *folder)
{
    uint64_t limit = read_number(folder, kind->limit);
    uint64_t soft = kind->soft_limit ? read_number(folder, kind->soft_limit) : UINT64_MAX;
    uint64_t usage = read_number(folder, kind->usage);
    limit = soft < limit ? soft : limit;
    if (limit > INT64_MAX / 2 || usage == UINT64_MAX) // "No limit" is some number near that.
        return UINT64_MAX;
    uint64_t files = given_up(kind, folder);
    uint64_t held = usage > files ? usage - files : 0;
    return limit > held ? limit - held : 0;
}

// The tightest of a group and those that it is in. Groups that are outside of our namespace are not to
// be seen; the root is.
static uint64_t left_in_all(const struct kind *kind, const char *group)
{
    char folder[PATH_MAX];
    uint64_t left = UINT64_MAX;
    if (snprintf(folder, sizeof(folder), "%s%s", kind->root, group) >= (int)sizeof(folder))
        return left;
    for (int level = 0; level < LEVELS_MAX && strlen(folder) >= strlen(kind->root); level++) {
        uint64_t here = left_in(kind, folder);
        left = here < left ? here : left;
        *strrchr(folder, '/') = '\0';
    }
    return left;
}

// The path in a line "3:cpu,memory:/a/b", ended at its newline; NULL: of another controller.
static const char *memory_group(char *line, bool *is_unified_ret)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return NULL;
    *path++ = '\0';
    controllers++;
    *is_unified_ret = *controllers == '\0';
    for (char *save, *name = strtok_r(controllers, ",", &save); name;
         name = strtok_r(NULL, ",", &save)) {
        if (strcmp(name, "memory") == 0)
            return path;
    }
    return *is_unified_ret ? path : NULL;
}

static uint64_t left_in_groups(int proc)
{
    char text[LG_PROC_TEXT];
    uint64_t left = UINT64_MAX;
    if (lg_proc_read(proc, "cgroup", text, sizeof(text)) <= 0)
        return left;
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        bool is_unified = false;
        const char *group = memory_group(line, &is_unified);
        uint64_t here = group ? left_in_all(is_unified ? &unified : &legacy, group) : UINT64_MAX;
        left = here < left ? here : left;
    }
    return left;
}

static uint64_t left_in_machine(void)
{
    char text[LG_PROC_TEXT];
    if (lg_proc_read(AT_FDCWD, "/proc/meminfo", text, sizeof(text)) <= 0)
        return UINT64_MAX;
    int64_t available = lg_proc_field(text, "MemAvailable", -1);
    return available >= 0 ? (uint64_t)available * 1024 : UINT64_MAX;
}

uint64_t lg_memory_left(int proc)
{
    uint64_t groups = left_in_groups(proc), machine = left_in_machine();
    return groups < machine ? groups : machine;
}

static struct lg_error *refuse(uint64_t bytes, uint64_t groups, uint64_t machine, const char *what)
{
    uint64_t left = groups < machine ? groups : machine;
    return lg_error_new(
        LG_ERR_NO_MEMORY,
        "%s would take %llu MB of memory, and %llu MB are left %s: %s, or take a core or a "
        "snapshot to where there is room; `dumpheap -stat` needs no graph",
        what, (unsigned long long)(bytes / MB + 1), (unsigned long long)(left / MB),
        groups < machine ? "until the limit of linger's control group" : "on the machine",
        groups < machine ? "raise the limit" : "free some");
}

struct lg_error *lg_memory_need(uint64_t bytes, const char *format, ...)
{
    char what[256];
    if (bytes < SMALL)
        return NULL;
    _cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t groups = self >= 0 ? left_in_groups(self) : UINT64_MAX, machine = left_in_machine();
    if (bytes + RESERVE <= groups && bytes + RESERVE <= machine)
        return NULL;
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return refuse(bytes, groups, machine, what);
}
