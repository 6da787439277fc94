// How long a process stands still for a look at it, against its size.
//
//     cc -O1 -D_GNU_SOURCE -Iinclude -Isrc -o pause bench/pause.c build/liblinger.a -lelf -lutf8proc -ljson-c -lpthread
//     ./pause PID [CYCLES [WAIT_MS]]
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "target/live.h"

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static long rss_kib(int pid)
{
    char path[32], line[256];
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    long kib = 0;
    while (f && fgets(line, sizeof(line), f) && sscanf(line, "VmRSS: %ld", &kib) != 1)
        ;
    if (f)
        fclose(f);
    return kib;
}

static void print(const char *what, double *ms, int count)
{
    qsort(ms, (size_t)count, sizeof(*ms), by_size);
    printf("%-8s p50 %8.2f  p90 %8.2f  max %8.2f ms\n", what, ms[count / 2], ms[count * 9 / 10],
           ms[count - 1]);
}

int main(int argc, char **argv)
{
    int pid = argc > 1 ? atoi(argv[1]) : 0, count = argc > 2 ? atoi(argv[2]) : 20;
    int wait_ms = argc > 3 ? atoi(argv[3]) : 100, failed = 0;
    double *pause = calloc((size_t)count, sizeof(double)), *open = calloc((size_t)count, sizeof(double)),
           *end = calloc((size_t)count, sizeof(double));
    size_t threads = 0;
    for (int i = 0; i < count; i++) {
        struct lg_target *target = NULL;
        double start = now_ms();
        struct lg_error *err = lg_live_open(pid, &target);
        open[i] = now_ms() - start;
        if (err) {
            failed++;
            fprintf(stderr, "%s\n", lg_error_message(err));
            lg_error_free(err);
            continue;
        }
        pause[i] = target->pause_ms;
        threads = target->threads.len;
        for (size_t n = 0; n < target->notes.len; n++)
            fprintf(stderr, "note: %s\n", target->notes.at[n]);
        start = now_ms();
        lg_target_free(target);
        end[i] = now_ms() - start;
        usleep((useconds_t)wait_ms * 1000);
    }
    double gib = (double)rss_kib(pid) / (1 << 20);
    printf("%d cycles, %d failed, %zu threads, RSS %.3f GiB, goal %.1f ms\n", count, failed, threads,
           gib, 4 + 20 * gib);
    print("pause", pause, count);
    print("open", open, count);
    print("free", end, count);
    return failed != 0;
}
