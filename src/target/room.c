#include "target/room.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "target/proc.h"
#include "util/cleanup.h"
#include "util/memory_left.h"

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
};

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
    *ret = (struct lg_room){ .left = lg_memory_left(proc) };
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
