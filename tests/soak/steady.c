// A process that watches itself: every thread knows what its registers, its memory and its calls have to
// be, and counts what is not so.
//
//     steady PROGRESS SECONDS
//
// PROGRESS is a file that it maps, one 64-bit count of rounds for each thread, so that others can see
// that all of them go on. It prints how many threads it has, and at the end of its standard input, or of
// so many seconds,
//
//     {"rounds": …, "wrong": …, "cut_short": …, "signals_sent": …, "signals_had": …}
//
// cut_short: calls with a time limit, and epoll_wait, that ended with EINTR. A futex may have changed
// before it is waited for.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "support/probe.h"

enum { KINDS = 6, OF_A_KIND = 2, WAKERS = KINDS * OF_A_KIND, THREADS = WAKERS + 2, WORDS = 4 << 20 };

#define POINTER(p) ((uint64_t)(uintptr_t)(p))

struct worker {
    int number;
    int pipe[2];
    atomic_uint word; // A futex; and what a worker that spins waits for.
};

static struct worker workers[WAKERS];
static _Atomic uint64_t *progress; // [THREADS]
static atomic_uint wrong, cut_short, signals_had, is_over;
static unsigned signals_sent;

static void count_signal(int sig)
{
    atomic_fetch_add(&signals_had, 1);
}

// The first is told of by name.
static void tell_wrong(long number, long result, const char *what)
{
    if (atomic_fetch_add(&wrong, 1) == 0)
        fprintf(stderr, "steady: call %ld returned %ld: wrong %s\n", number, result, what);
}

// One call, or time without a call, with all registers known; `expected` is what it has to return.
static void try(struct worker *w, long number, const uint64_t arguments[4], long expected,
                bool has_limit)
{
    struct registers in, out;
    probe_fill(&in, (int)atomic_load(&progress[w->number]));
    memcpy(in.arguments, arguments, 4 * sizeof(*arguments));
    in.arguments[4] = 8; // The size of a signal set.
    long result = probe(&in, &out, number, probe_is_wide());
    if (has_limit && result == -EINTR)
        atomic_fetch_add(&cut_short, 1);
    else if (number >= 0 && result != expected && !(number == SYS_futex && result == -EAGAIN))
        tell_wrong(number, result, "result");
    if (memcmp(&in, &out, sizeof(in)) != 0)
        tell_wrong(number, result,
                   memcmp(in.vectors, out.vectors, sizeof(in.vectors)) ? "vectors" : "others");
}

static void spin(struct worker *w)
{
    uint64_t arguments[4] = { POINTER(&w->word) };
    atomic_store(&w->word, 0);
    try(w, -1, arguments, 0, false);
}

static void read_byte(struct worker *w)
{
    char byte;
    uint64_t arguments[4] = { (uint64_t)w->pipe[0], POINTER(&byte), 1 };
    try(w, SYS_read, arguments, 1, false);
}

static void wait_for_epoll(struct worker *w)
{
    static __thread int fd;
    struct epoll_event event = { .events = EPOLLIN };
    if (!fd) {
        fd = epoll_create1(0);
        epoll_ctl(fd, EPOLL_CTL_ADD, w->pipe[0], &event);
    }
    uint64_t arguments[4] = { (uint64_t)fd, POINTER(&event), 1,
                              w->number < KINDS ? UINT64_MAX : 1000000 };
    try(w, SYS_epoll_wait, arguments, 1, true);
    char byte;
    if (read(w->pipe[0], &byte, 1) != 1)
        atomic_fetch_add(&wrong, 1);
}

static void wait_for_poll(struct worker *w)
{
    struct pollfd file = { .fd = w->pipe[0], .events = POLLIN };
    uint64_t arguments[4] = { POINTER(&file), 1, 1000000 };
    try(w, SYS_poll, arguments, 1, true);
    char byte;
    if (read(w->pipe[0], &byte, 1) != 1)
        atomic_fetch_add(&wrong, 1);
}

static void wait_for_futex(struct worker *w)
{
    struct timespec limit = { .tv_sec = 1000 };
    unsigned before = atomic_load(&w->word);
    uint64_t arguments[4] = { POINTER(&w->word), FUTEX_WAIT_PRIVATE, before, POINTER(&limit) };
    try(w, SYS_futex, arguments, 0, true);
}

static void sleep_shortly(struct worker *w)
{
    struct timespec time = { .tv_nsec = 700 * 1000 };
    uint64_t arguments[4] = { POINTER(&time), 0 };
    try(w, SYS_nanosleep, arguments, 0, true);
}

static void *work(void *data)
{
    static void (*const kinds[KINDS])(struct worker *) = {
        spin, read_byte, wait_for_epoll, wait_for_poll, wait_for_futex, sleep_shortly
    };
    struct worker *w = data;
    while (!atomic_load(&is_over)) {
        kinds[w->number % KINDS](w);
        atomic_fetch_add(&progress[w->number], 1);
    }
    return NULL;
}

// Gives every worker what it waits for, again and again, and signals to all in turn.
static void *wake(void *data)
{
    int pid = getpid();
    for (unsigned round = 0; !atomic_load(&is_over); round++) {
        for (int i = 0; i < WAKERS; i++) {
            struct worker *w = &workers[i];
            int kind = i % KINDS, waiting = 0;
            atomic_fetch_add(&w->word, 1);
            if (kind == 4) // A wake-up may come before it waits: then the next one is for it.
                syscall(SYS_futex, &w->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
            struct pollfd file = { .fd = w->pipe[0], .events = POLLIN };
            waiting = poll(&file, 1, 0);
            if (kind >= 1 && kind <= 3 && waiting == 0 && write(w->pipe[1], "\1", 1) != 1)
                atomic_fetch_add(&wrong, 1);
        }
        if (round % 4 == 0 && kill(pid, SIGRTMIN + 1) == 0)
            signals_sent++;
        atomic_fetch_add(&progress[WAKERS], 1);
        nanosleep(&(struct timespec){ .tv_nsec = 500 * 1000 }, NULL);
    }
    return NULL;
}

// 32 MB that only this thread writes to: each word says when it was written last.
static void *remember(void *data)
{
    uint64_t *words = malloc((size_t)WORDS * sizeof(*words));
    for (size_t i = 0; i < WORDS; i++)
        words[i] = i;
    for (uint64_t round = 0; !atomic_load(&is_over); round++) {
        for (size_t i = 0; i < WORDS; i += 61) {
            if (words[i] != i + round)
                atomic_fetch_add(&wrong, 1);
            words[i] = i + round + 1;
        }
        atomic_fetch_add(&progress[WAKERS + 1], 1);
    }
    for (size_t i = 0; i < WORDS; i++) {
        if (i % 61 != 0 && words[i] != i)
            atomic_fetch_add(&wrong, 1);
    }
    free(words);
    return NULL;
}

static bool start(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, THREADS * sizeof(*progress)) != 0)
        return false;
    progress = mmap(NULL, THREADS * sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (progress == MAP_FAILED)
        return false;
    pthread_t thread;
    for (int i = 0; i < WAKERS; i++) {
        workers[i].number = i;
        if (pipe2(workers[i].pipe, O_CLOEXEC) || pthread_create(&thread, NULL, work, &workers[i]))
            return false;
    }
    return pthread_create(&thread, NULL, wake, NULL) == 0
           && pthread_create(&thread, NULL, remember, NULL) == 0;
}

int main(int argc, char **argv)
{
    struct sigaction action = { .sa_handler = count_signal, .sa_flags = SA_RESTART };
    sigset_t rt;
    char byte;
    if (argc != 3 || !__builtin_cpu_supports("avx")) {
        fprintf(stderr, "usage: steady PROGRESS SECONDS (on a processor with AVX)\n");
        return 2;
    }
    sigaction(SIGRTMIN + 1, &action, NULL);
    sigemptyset(&rt); // For the first thread, so that calls of the others are interrupted by us alone.
    sigaddset(&rt, SIGRTMIN + 1);
    pthread_sigmask(SIG_BLOCK, &rt, NULL);
    if (!start(argv[1]))
        return 3;
    pthread_sigmask(SIG_UNBLOCK, &rt, NULL);
    printf("%d\n", THREADS + 1);
    fflush(stdout);
    struct pollfd input = { .fd = 0, .events = POLLIN };
    time_t end = time(NULL) + atoi(argv[2]);
    while (time(NULL) < end && !(poll(&input, 1, 1000) > 0 && read(0, &byte, 1) <= 0))
        ;
    atomic_store(&is_over, 1);
    nanosleep(&(struct timespec){ .tv_sec = 1 },
              NULL); // Until the last check is made, and signals are had.
    uint64_t rounds = 0;
    for (int i = 0; i < THREADS; i++)
        rounds += atomic_load(&progress[i]);
    printf("{\"rounds\": %" PRIu64
           ", \"wrong\": %u, \"cut_short\": %u, \"signals_sent\": %u, \"signals_had\": %u}\n",
           rounds, atomic_load(&wrong), atomic_load(&cut_short), signals_sent,
           atomic_load(&signals_had));
    return atomic_load(&wrong) != 0;
}
