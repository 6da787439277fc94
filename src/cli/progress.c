#include "cli/progress.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct lg_progress {
    const struct lg_session *session;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
};

// Waits a second. False: it is done.
static bool wait_on(struct lg_progress *progress, struct timespec *until)
{
    until->tv_sec++;
    while (!progress->is_done) {
        if (pthread_cond_timedwait(&progress->changed, &progress->lock, until) != 0)
            return !progress->is_done;
    }
    return false;
}

static void *show(void *data)
{
    struct lg_progress *progress = data;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    pthread_mutex_lock(&progress->lock);
    unsigned seconds = 0;
    while (wait_on(progress, &until)) {
        seconds++;
        // To the start of the line, and clear it.
        fprintf(stderr, "\r\033[K%s: %u s", lg_session_doing(progress->session), seconds);
        fflush(stderr);
    }
    if (seconds > 0)
        fputs("\r\033[K", stderr);
    pthread_mutex_unlock(&progress->lock);
    return NULL;
}

static bool has_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

// Signals are for others.
static bool start(struct lg_progress *progress)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&progress->thread, NULL, show, progress) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void free_progress(struct lg_progress *progress)
{
    pthread_cond_destroy(&progress->changed);
    pthread_mutex_destroy(&progress->lock);
    free(progress);
}

struct lg_progress *lg_progress_begin(const struct lg_session *session)
{
    struct lg_progress *progress = has_terminal() ? calloc(1, sizeof(*progress)) : NULL;
    if (!progress)
        return NULL;
    progress->session = session;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&progress->lock, NULL);
    pthread_cond_init(&progress->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (start(progress))
        return progress;
    free_progress(progress);
    return NULL;
}

void lg_progress_end(struct lg_progress *progress)
{
    if (!progress)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->is_done = true;
    pthread_cond_signal(&progress->changed);
    pthread_mutex_unlock(&progress->lock);
    pthread_join(progress->thread, NULL);
    free_progress(progress);
}
