#include "target/keeper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <time.h>

struct lg_keeper {
    pthread_t thread;
    pthread_mutex_t lock; // Guards what follows.
    pthread_cond_t changed;
    void (*job)(void *data); // NULL: none, or done
    void *job_data;
    bool is_ending;
    unsigned (*idle)(void *data);
    void *idle_data;
};

// Until there is something to do, or `ms` are over.
static void wait_for_job(struct lg_keeper *keeper, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (!keeper->job && !keeper->is_ending) {
        if (pthread_cond_timedwait(&keeper->changed, &keeper->lock, &until) == ETIMEDOUT)
            return;
    }
}

static void *keep(void *data)
{
    struct lg_keeper *keeper = data;
    prctl(PR_SET_NAME, "linger keeper");
    prctl(PR_SET_TIMERSLACK, 1000); // Its naps are part of the pause of a target.
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->is_ending) {
        if (keeper->job) {
            keeper->job(keeper->job_data);
            keeper->job = NULL;
            pthread_cond_broadcast(&keeper->changed);
        }
        wait_for_job(keeper, keeper->idle(keeper->idle_data));
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

static int start(struct lg_keeper *keeper)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int reason = pthread_create(&keeper->thread, NULL, keep, keeper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return reason;
}

struct lg_error *lg_keeper_new(unsigned (*idle)(void *data), void *data, struct lg_keeper **ret)
{
    struct lg_keeper *keeper = calloc(1, sizeof(*keeper));
    if (!keeper)
        return &lg_no_memory;
    keeper->idle = idle;
    keeper->idle_data = data;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int reason = start(keeper);
    if (reason) {
        free(keeper);
        return lg_error_os(reason, "start a thread");
    }
    *ret = keeper;
    return NULL;
}

void lg_keeper_run(struct lg_keeper *keeper, void (*job)(void *data), void *data)
{
    // A tracer hears of every stop by SIGCHLD: the keeper waits for it, we need not wake for it.
    sigset_t sigchld, before;
    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &sigchld, &before);
    pthread_mutex_lock(&keeper->lock);
    while (keeper->job) // Another thread's.
        pthread_cond_wait(&keeper->changed, &keeper->lock);
    keeper->job = job;
    keeper->job_data = data;
    pthread_cond_broadcast(&keeper->changed);
    while (keeper->job)
        pthread_cond_wait(&keeper->changed, &keeper->lock);
    pthread_mutex_unlock(&keeper->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void lg_keeper_free(struct lg_keeper *keeper)
{
    if (!keeper)
        return;
    pthread_mutex_lock(&keeper->lock);
    keeper->is_ending = true;
    pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}
