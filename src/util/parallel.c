#include "util/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

struct crew {
    void (*work)(void *data, size_t i, size_t worker);
    void *data;
    size_t count;
    atomic_size_t next, hired;
};

// Asked once: whoever makes an array with a place for each worker relies on there never being more, and
// a control group may be given further processors any time. A fact of the process, and so a global.
static pthread_once_t asked = PTHREAD_ONCE_INIT;
static size_t workers = 1;

static void ask(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return;
    size_t n = (size_t)CPU_COUNT(&set);
    workers = n < 1 ? 1 : n > LG_WORKERS_MAX ? LG_WORKERS_MAX : n;
}

size_t lg_workers(void)
{
    pthread_once(&asked, ask);
    return workers;
}

static void *run(void *arg)
{
    struct crew *crew = arg;
    size_t worker = atomic_fetch_add(&crew->hired, 1);
    for (size_t i; (i = atomic_fetch_add(&crew->next, 1)) < crew->count;)
        crew->work(crew->data, i, worker);
    return NULL;
}

void lg_parallel(size_t count, void (*work)(void *data, size_t i, size_t worker), void *data)
{
    struct crew crew = { .work = work, .data = data, .count = count };
    pthread_t threads[LG_WORKERS_MAX];
    size_t want = lg_workers(), started = 0;
    if (want > count)
        want = count;
    while (started + 1 < want && pthread_create(&threads[started], NULL, run, &crew) == 0)
        started++;
    run(&crew);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}
