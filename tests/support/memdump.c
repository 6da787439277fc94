// Prints which address ranges the runtime of a target owns, one a line, tab-separated, for comparison
// with /proc/PID/smaps:
//
//     memdump PID|CORE
//
//     range      start end kind name
//     committed  in-use free frozen          of the GC, in its own count
//     time       milliseconds                of the processor, for the ranges
//     gcs        gen0 gen1 gen2 seconds      how many there were; since the last one
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "clr/memory.h"

static int fail(struct lg_error *err)
{
    fprintf(stderr, "memdump: %s\n", lg_error_message(err));
    lg_error_free(err);
    return 3;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); // Other work on the machine does not count.
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static struct lg_error *print(struct lg_clr *clr)
{
    const struct lg_memory_range *ranges;
    size_t count;
    struct lg_gc_committed committed;
    double start = now_ms();
    struct lg_error *err = lg_clr_memory(clr, &ranges, &count);
    printf("time\t%.2f\n", now_ms() - start);
    if (!err)
        err = lg_clr_gc_committed(clr, &committed);
    if (err)
        return err;
    for (size_t i = 0; i < count; i++)
        printf("range\t%" PRIx64 "\t%" PRIx64 "\t%s\t%s\n", ranges[i].start, ranges[i].end,
               lg_memory_kind_name(ranges[i].kind), ranges[i].name);
    printf("committed\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", committed.in_use, committed.free,
           committed.frozen);
    struct lg_gc_clock clock;
    double ago = -1;
    err = lg_clr_gc_clock(clr, &clock);
    if (err)
        return err;
    printf("gcs\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t", clock.collections[0], clock.collections[1],
           clock.collections[2]);
    if (lg_clr_last_gc(clr, &ago))
        printf("%.3f\n", ago);
    else
        printf("unknown\n");
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: memdump PID|CORE\n");
        return 2;
    }
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    struct lg_error *err = lg_target_open(argv[1], &(struct lg_target_options){ 0 }, &target);
    if (!err)
        err = lg_clr_open(target, &(struct lg_clr_options){ .dac = NULL }, &clr);
    if (!err)
        err = print(clr);
    for (size_t i = 0; target && i < target->notes.len; i++)
        fprintf(stderr, "memdump: %s\n", target->notes.at[i]);
    return err ? fail(err) : 0;
}
