#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "cli/child.h"
#include "util/cancel.h"
#include "util/new_file.h"

enum { GRACE_MS = 300 };

struct watch {
    struct lg_session *session;
    sigset_t signals;
};

void lg_interrupt_die(void)
{
    int number = lg_cancel_flag;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    _exit(128 + number);
}

static void *wait_for_signal(void *data)
{
    struct watch *watch = data;
    int number;
    do {
        do {
            if (sigwait(&watch->signals, &number) != 0)
                return NULL;
        } while (lg_child_take_signal(lg_session_child(watch->session), number));
        lg_cancel_flag = number;
        nanosleep(&(struct timespec){ .tv_nsec = GRACE_MS * 1000000L }, NULL);
    } while (number == SIGINT
             && lg_cancel_flag == 0); // A watch has ended by it, which is all it is for.
    lg_session_end(watch->session);
    lg_new_files_remove();
    lg_cancel_flag = number; // A prompt resets it.
    lg_interrupt_die();
    return NULL;
}

// What is ignored from the start is to stay so: nohup, jobs in the background of a script.
static void add_unless_ignored(sigset_t *set, int number)
{
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
        sigaddset(set, number);
}

void lg_interrupt_watch(struct lg_session *session, bool prompting)
{
    pthread_t thread;
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return;
    watch->session = session;
    sigemptyset(&watch->signals);
    add_unless_ignored(&watch->signals, SIGTERM);
    add_unless_ignored(&watch->signals, SIGHUP);
    if (!prompting)
        add_unless_ignored(&watch->signals, SIGINT);
    sigset_t all, before;
    sigfillset(&all); // The prompt's SIGINT has to interrupt the prompt's thread, never that one.
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, NULL, wait_for_signal, watch) == 0;
    if (started)
        sigorset(&before, &before, &watch->signals); // In all threads to come, too.
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_detach(thread); // It keeps `watch` as long as the program runs.
    else
        free(watch);
}
