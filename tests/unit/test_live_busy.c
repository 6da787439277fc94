// A process that does everything at once while it is stopped again and again: signals, threads that come
// and go, and a tracer that is killed at any instant. LINGER_SOAK=N makes all of it N times longer.
#include "prey.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>

enum { THREADS = 6, MINUTE = 60 };

static int soak(void)
{
    const char *times = getenv("LINGER_SOAK");
    return times && atoi(times) > 0 ? atoi(times) : 1;
}

static void open_and_free(int pid)
{
    struct lg_target *target = NULL;
    assert_ok(lg_live_open(pid, &target));
    for (size_t i = 0; i < target->notes.len; i++)
        assert_null(strstr(target->notes.at[i], "cannot be copied"));
    lg_target_free(target);
}

static struct shared *handled_by; // Handlers have no argument of ours.

static void count_signal(int sig, siginfo_t *info, void *context)
{
    atomic_fetch_add(&handled_by->counts[info->si_value.sival_int % THREADS], 1);
}

static void *spin_or_wait(void *data)
{
    struct prey *prey = data;
    unsigned number = atomic_fetch_add(&prey->shared->ready, 1);
    char byte;
    while (!atomic_load(&prey->shared->go)) {
        if (number % 3 == 0)
            sched_yield();
        else if (number % 3 == 1)
            sleep_ms(1);
        else if (read(prey->pipe[0], &byte, 1) < 0 && errno != EINTR)
            return data;
    }
    return NULL;
}

static int count_signals(struct prey *prey)
{
    struct sigaction action = { .sa_sigaction = count_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
    pthread_t threads[THREADS];
    void *failed = NULL;
    handled_by = prey->shared;
    sigaction(SIGRTMIN + 1, &action, NULL);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, spin_or_wait, prey))
            return 1;
    }
    for (int i = 0; i < THREADS && !failed; i++)
        pthread_join(threads[i], &failed);
    return failed ? 2 : 0;
}

// Sends until told to stop; the kernel queues real-time signals up to a limit, so some have to be tried
// again. To the process, then to one thread after the other.
struct sender {
    struct prey *prey;
    atomic_uint stop, sent[THREADS];
};

static void *send_signals(void *data)
{
    struct sender *sender = data;
    int pid = sender->prey->pid;
    for (unsigned i = 0; !atomic_load(&sender->stop); i++) {
        siginfo_t info = { .si_code = SI_QUEUE };
        info.si_value.sival_int = (int)(i % THREADS);
        long failed = i % 2 ? syscall(SYS_rt_sigqueueinfo, pid, SIGRTMIN + 1, &info)
                            : syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGRTMIN + 1, &info);
        if (!failed)
            atomic_fetch_add(&sender->sent[i % THREADS], 1);
        if (i % 8 == 0)
            sleep_ms(1);
    }
    return NULL;
}

static void no_signal_is_lost(void **state)
{
    struct prey prey = { 0 };
    pthread_t thread;
    prey_start(&prey, count_signals);
    prey_await(&prey, THREADS);
    struct sender sender = { .prey = &prey };
    assert_int_equal(pthread_create(&thread, NULL, send_signals, &sender), 0);
    for (int i = 0; i < 20 * soak(); i++)
        open_and_free(prey.pid);
    atomic_store(&sender.stop, 1);
    pthread_join(thread, NULL);
    assert_untouched(prey.pid);
    for (int i = 0; i < THREADS; i++) {
        assert_true(sender.sent[i] > 0);
        while (atomic_load(&prey.shared->counts[i]) != atomic_load(&sender.sent[i]))
            sleep_ms(1);
    }
    atomic_store(&prey.shared->go, 1);
    close(prey.pipe[1]);
    prey.pipe[1] = -1;
    assert_int_equal(prey_end(&prey), 0);
}

static int die_by_signal(struct prey *prey)
{
    atomic_fetch_add(&prey->shared->ready, 1);
    pause();
    return 0;
}

// In a process of its own: one that is parent and tracer cannot leave the end of its child to be seen.
static int open_elsewhere(int pid)
{
    int tracer = fork();
    assert_true(tracer >= 0);
    if (tracer == 0) {
        struct lg_target *target = NULL;
        lg_error_free(lg_live_open(pid, &target));
        lg_target_free(target);
        _exit(0);
    }
    return tracer;
}

static void a_process_may_be_killed_at_any_moment(void **state)
{
    for (int i = 0; i < 20 * soak(); i++) {
        struct prey prey = { 0 };
        int status;
        prey_start(&prey, die_by_signal);
        prey_await(&prey, 1);
        int tracer = open_elsewhere(prey.pid);
        usleep((unsigned)(i * 97 % 4000));
        kill(prey.pid, i % 2 ? SIGKILL : SIGTERM);
        assert_int_equal(prey_end(&prey), i % 2 ? -SIGKILL : -SIGTERM);
        assert_int_equal(waitpid(tracer, &status, 0), tracer);
        assert_int_equal(status, 0);
    }
}

static void *come_and_go(void *data)
{
    struct prey *prey = data;
    atomic_fetch_add(&prey->shared->counts[1], 1);
    return NULL;
}

static void *make_threads(void *data)
{
    struct prey *prey = data;
    atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go)) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) {
            if (pthread_create(&threads[i], NULL, come_and_go, prey))
                return data;
        }
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        atomic_fetch_add(&prey->shared->counts[0], 1);
    }
    return NULL;
}

static int make_threads_that_make_threads(struct prey *prey)
{
    pthread_t threads[3];
    void *failed = NULL;
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, make_threads, prey);
    for (int i = 0; i < 3 && !failed; i++)
        pthread_join(threads[i], &failed);
    return failed ? 1 : 0;
}

static void threads_that_come_and_go_are_all_caught(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, make_threads_that_make_threads);
    prey_await(&prey, 3);
    for (int i = 0; i < 20 * soak(); i++) {
        open_and_free(prey.pid);
        prey_await_count(&prey, 0, 1);
    }
    assert_untouched(prey.pid);
    atomic_store(&prey.shared->go, 1);
    assert_int_equal(prey_end(&prey), 0);
}

static int end_first_thread(struct prey *prey)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, make_threads, prey) == 0)
        pthread_exit(NULL);
    return 1;
}

static void a_process_whose_first_thread_has_ended_is_reported(void **state)
{
    struct prey prey = { 0 };
    struct lg_target *target = NULL;
    char states[64] = "";
    bool is_traced;
    prey_start(&prey, end_first_thread);
    while (!strchr(states, 'Z'))
        prey_states(prey.pid, states, sizeof(states), &is_traced);
    struct lg_error *err = lg_live_open(prey.pid, &target);
    assert_non_null(err);
    assert_non_null(strstr(lg_error_message(err), ": its first thread has ended, "));
    lg_error_free(err);
    prey_await_count(&prey, 0, 3);
    prey_kill(&prey);
}

static int fork_forever(struct prey *prey)
{
    atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go)) {
        int pid = (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (pid == 0)
            _exit(0);
        if (waitpid(pid, NULL, 0) != pid)
            return 1;
        atomic_fetch_add(&prey->shared->counts[0], 1);
    }
    return 0;
}

static void children_of_the_process_are_its_own_affair(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, fork_forever);
    prey_await(&prey, 1);
    for (int i = 0; i < 20 * soak(); i++) {
        open_and_free(prey.pid);
        prey_await_count(&prey, 0, 1);
    }
    atomic_store(&prey.shared->go, 1);
    assert_int_equal(prey_end(&prey), 0);
}

static void *count_on(void *data)
{
    struct prey *prey = data;
    unsigned number = atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go)) {
        atomic_fetch_add(&prey->shared->counts[number], 1);
        if (number % THREADS > 1)
            sleep_ms(1);
    }
    return NULL;
}

static int count_in_threads(struct prey *prey)
{
    pthread_t threads[THREADS];
    char byte;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count_on, prey);
    ssize_t n = read(prey->pipe[0], &byte, 1);
    atomic_store(&prey->shared->go, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return n == 1 ? byte : 99;
}

static void await_no_copies(int pid)
{
    int alive = 1, zombies;
    while (alive > 0) {
        count_children(pid, &alive, &zombies);
        sleep_ms(1);
    }
}

// A thread that its tracer's end lets go is free of it a moment before it is awake.
static void await_no_tracer(int pid)
{
    char states[64] = "";
    bool is_traced = true;
    while (is_traced || strchr(states, 't'))
        prey_states(pid, states, sizeof(states), &is_traced);
}

static void a_tracer_may_be_killed_at_any_moment(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, count_in_threads);
    prey_await(&prey, THREADS);
    srand(1);
    for (int i = 0; i < 12 * soak(); i++) {
        int tracer = fork();
        assert_true(tracer >= 0);
        if (tracer == 0) {
            for (;;) {
                struct lg_target *target = NULL;
                lg_error_free(lg_live_open(prey.pid, &target));
                atomic_fetch_add(&prey.shared->counts[THREADS], 1);
                lg_target_free(target);
            }
        }
        prey_await_count(&prey, THREADS, 1);
        usleep((unsigned)(rand() % 4000));
        kill(tracer, SIGKILL);
        assert_int_equal(waitpid(tracer, NULL, 0), tracer);
        await_no_tracer(prey.pid);
        await_no_copies(prey.pid);
        for (int t = 0; t < THREADS; t++)
            prey_await_count(&prey, t, 2);
    }
    open_and_free(prey.pid); // Takes along the zombies that are left.
    assert_untouched(prey.pid);
    assert_int_equal(write(prey.pipe[1], "\11", 1), 1);
    assert_int_equal(prey_end(&prey), 9);
}

int main(void)
{
    alarm((unsigned)(5 * MINUTE * soak())); // Rather than for ever.
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_signal_is_lost),
        cmocka_unit_test(a_process_may_be_killed_at_any_moment),
        cmocka_unit_test(threads_that_come_and_go_are_all_caught),
        cmocka_unit_test(a_process_whose_first_thread_has_ended_is_reported),
        cmocka_unit_test(children_of_the_process_are_its_own_affair),
        cmocka_unit_test(a_tracer_may_be_killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
