// What an event stream holds, kind by kind, and how fast it is read:
//
//     tracedump FILE [TIMES]
//
// Reads the file TIMES over from memory, in pieces of 64 KiB as from a socket; a last line tells the
// best.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "diag/nettrace.h"
#include "linger/error.h"
#include "util/map.h"
#include "util/vec.h"

struct count {
    const struct lg_event_kind *kind;
    uint64_t events, bytes, frames, stacks;
};
struct counts {
    LG_VEC(struct count) all;
    struct lg_map by_kind;
};

static struct lg_error *count_event(void *self, const struct lg_event *event)
{
    struct counts *counts = self;
    uint32_t i;
    if (!lg_map_get(&counts->by_kind, (uintptr_t)event->kind, &i)) {
        i = (uint32_t)counts->all.len;
        if (!lg_map_put(&counts->by_kind, (uintptr_t)event->kind, i)
            || !lg_vec_push(&counts->all, (struct count){ .kind = event->kind }))
            return &lg_no_memory;
    }
    struct count *count = &counts->all.at[i];
    count->events++;
    count->bytes += event->payload_size;
    count->frames += event->stack_count;
    count->stacks += event->stack_count > 0;
    return NULL;
}

static void print(const struct counts *counts, const struct lg_nettrace_facts *f)
{
    for (size_t i = 0; i < counts->all.len; i++) {
        const struct count *c = &counts->all.at[i];
        printf("%s id %u v%u: %llu events, %llu payload bytes, %llu stacks, %llu frames\n",
               c->kind->provider_name, c->kind->id, c->kind->version, (unsigned long long)c->events,
               (unsigned long long)c->bytes, (unsigned long long)c->stacks,
               (unsigned long long)c->frames);
    }
    printf("version %u, pid %u, %llu bytes, %llu events, lost %llu, disordered %llu, %s\n", f->version,
           f->pid, (unsigned long long)f->bytes, (unsigned long long)f->events,
           (unsigned long long)f->lost, (unsigned long long)f->disordered, f->ended ? "ended" : "cut");
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Returns the seconds of processor time that it took, negative: it could not be read.
static double read_once(const uint8_t *bytes, size_t size, unsigned flags, bool is_printed)
{
    struct counts counts = { 0 };
    struct lg_event_handler handler = { .self = &counts, .event = count_event };
    _cleanup_(lg_nettrace_freep) struct lg_nettrace *trace = NULL;
    double start = now();
    struct lg_error *err = lg_nettrace_new(&handler, flags, &trace);
    for (size_t at = 0; !err && at < size; at += 1 << 16)
        err = lg_nettrace_feed(trace, bytes + at, size - at < 1 << 16 ? size - at : 1 << 16);
    if (!err)
        err = lg_nettrace_finish(trace);
    double took = err ? -1 : now() - start;
    if (err)
        fprintf(stderr, "%s\n", lg_error_message(err));
    else if (is_printed)
        print(&counts, lg_nettrace_facts(trace));
    lg_error_free(err);
    lg_vec_free(&counts.all);
    lg_map_free(&counts.by_kind);
    return took;
}

int main(int argc, char **argv)
{
    struct stat st;
    int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &st) != 0)
        return fprintf(stderr, "usage: tracedump FILE [TIMES]\n"), 2;
    size_t size = (size_t)st.st_size;
    const uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return perror(argv[1]), 3;
    if (read_once(bytes, size, LG_NETTRACE_IN_ORDER, true) < 0)
        return 3;
    double best[2] = { 1e9, 1e9 };
    for (int i = argc > 2 ? atoi(argv[2]) : 0; i > 0; i--) {
        for (unsigned flags = 0; flags < 2; flags++) {
            double took = read_once(bytes, size, flags, false);
            best[flags] = took < best[flags] ? took : best[flags];
        }
    }
    if (argc > 2)
        printf("%.0f MB/s, in order %.0f MB/s\n", (double)size / best[0] / 1e6,
               (double)size / best[1] / 1e6);
    return 0;
}
