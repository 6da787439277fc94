#include "target/room.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "target/proc.h"
#include "util/cleanup.h"

enum {
    MB = 1 << 20,
    PAGE = 4096,
    RESERVE = 8 * MB,        // Kernel structures of the copy, and what cannot be told.
    SAMPLE_MS = 20,          // Of processor time.
    TRIAL = 4 * MB,          // Written to find out how fast a processor can,
    WRITES_MOST = 8192,      // which is no faster than this, in MB a second.
    READS = 1000,            // MB of a copy that are read in a second, or more,
    READ_MS = 250,           // and what is read anyway.
    PAUSE_US_PER_GB = 20000, // docs/performance.md
    PAUSE_US = 2000,
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

uint64_t lg_room_left(int proc)
{
    char text[LG_PROC_TEXT];
    uint64_t left = left_in_groups(proc);
    if (lg_proc_read(AT_FDCWD, "/proc/meminfo", text, sizeof(text)) <= 0)
        return left;
    int64_t available = lg_proc_field(text, "MemAvailable", -1);
    return available >= 0 && (uint64_t)available * 1024 < left ? (uint64_t)available * 1024 : left;
}

// How many processors the process keeps busy, in thousandths.
static uint64_t busy_thousandths(int pid)
{
    clockid_t clock;
    struct timespec before, after;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &before) != 0)
        return 1000;
    nanosleep(&(struct timespec){ .tv_nsec = SAMPLE_MS * 1000000 }, NULL);
    if (clock_gettime(clock, &after) != 0)
        return 1000;
    int64_t ns = (after.tv_sec - before.tv_sec) * INT64_C(1000000000) + after.tv_nsec - before.tv_nsec;
    return ns > 0 ? (uint64_t)ns / (SAMPLE_MS * 1000) : 0;
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

uint64_t lg_room_write_rate(void)
{
    uint64_t most = (uint64_t)WRITES_MOST * MB;
    _cleanup_close_ int fd = memfd_create("trial", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, TRIAL) != 0)
        return most;
    // Pages of a file that are there, and private to us as soon as they are written to: what a write
    // costs after a fork, without one.
    volatile uint8_t *pages = mmap(NULL, TRIAL, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (pages == MAP_FAILED)
        return most;
    bool is_writable = mprotect((void *)pages, TRIAL, PROT_READ | PROT_WRITE) == 0;
    double start = processor_seconds();
    for (size_t at = 0; is_writable && at < TRIAL; at += PAGE)
        pages[at] = 1;
    double rate = TRIAL / (processor_seconds() - start);
    munmap((void *)pages, TRIAL);
    return is_writable && rate < (double)most ? (uint64_t)rate : most; // Infinite is not less.
}

void lg_room_measure(int pid, int proc, bool reading_copies, struct lg_room *ret)
{
    char status[LG_PROC_TEXT];
    *ret = (struct lg_room){ .left = lg_room_left(proc) };
    if (lg_proc_read(proc, "status", status, sizeof(status)) <= 0)
        return;
    ret->private_bytes = (uint64_t)lg_proc_field(status, "RssAnon", 0) * 1024;
    ret->page_tables = (uint64_t)lg_proc_field(status, "VmPTE", 0) * 1024;
    uint64_t most = RESERVE + ret->page_tables + ret->private_bytes;
    ret->needed = most;
    if (ret->left >= most || reading_copies)
        return;
    double seconds = lg_room_read_ms(ret->private_bytes) / 1000;
    uint64_t written =
        (uint64_t)((double)(busy_thousandths(pid) * lg_room_write_rate()) / 1000 * seconds);
    uint64_t likely = RESERVE + ret->page_tables + written;
    ret->needed = likely < most ? likely : most;
}

uint64_t lg_room_own(int proc)
{
    char text[LG_PROC_TEXT];
    if (lg_proc_read(proc, "smaps_rollup", text, sizeof(text)) <= 0)
        return 0;
    int64_t kb = lg_proc_field(text, "Private_Dirty", 0) + lg_proc_field(text, "Private_Clean", 0);
    return kb > 0 ? (uint64_t)kb * 1024 : 0;
}

double lg_room_pause_ms(uint64_t private_bytes)
{
    return (PAUSE_US + (double)private_bytes / 1e9 * PAUSE_US_PER_GB) / 1000;
}

double lg_room_read_ms(uint64_t private_bytes)
{
    return READ_MS + (double)private_bytes / MB / READS * 1000;
}
