// linger is killed at every step: before each call that it makes to a process, to its copy or to the
// kernel about them. What is left is nothing.
#include "filter.h"
#include "prey.h"
#include "target/freeze.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum {
    STEPS_MAX = 4000, // Some more than a look at a process takes.
    LIMIT_MS = 30000, // A bound, not a measure.
};

// ---- the tracer: dies at step `last`, sends `signal` at step `when`, and SIGCONT at step `then` ----

static struct plan {
    int tracer; // The process that counts; 0: nobody does.
    atomic_int steps;
    int last, when, signal, then, prey;
} plan;

static void step(void)
{
    if (plan.tracer == 0 || plan.tracer != (int)syscall(SYS_getpid))
        return;
    int now = atomic_fetch_add(&plan.steps, 1) + 1;
    if (plan.signal && now == plan.when)
        syscall(SYS_kill, plan.prey, plan.signal);
    if (plan.then && now == plan.then)
        syscall(SYS_kill, plan.prey, SIGCONT);
    if (now == plan.last)
        syscall(SYS_kill, plan.tracer, SIGKILL);
}

long __real_ptrace(int request, int pid, void *address, void *data);
long __wrap_ptrace(int request, int pid, void *address, void *data);
int __real_waitid(idtype_t type, id_t id, siginfo_t *info, int options);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options);
pid_t __real_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);
ssize_t __real_pwrite64(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t offset);
int __real_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig);

long __wrap_ptrace(int request, int pid, void *address, void *data)
{
    step();
    return __real_ptrace(request, pid, address, data);
}

int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    int result = __real_waitid(type, id, info, options);
    if (result != 0 || info->si_pid != 0) // Until then it is no other moment.
        step();
    return result;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
    pid_t result = __real_waitpid(pid, status, options);
    if (result != 0)
        step();
    return result;
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
    step();
    return __real_pwrite64(fd, bytes, len, offset);
}

int __wrap_kill(pid_t pid, int sig)
{
    step();
    return __real_kill(pid, sig);
}

// Its watchdog, an orphan, has come to us (main): until it has ended it may well be at the prey.
static void await_watchdog(void)
{
    for (int ms = 0; ms < LIMIT_MS; ms++) {
        int alive, zombies, status;
        count_children(getpid(), &alive, &zombies);
        if (alive <= 1 && zombies == 0)
            return;
        if (__real_waitpid(-1, &status, WNOHANG) <= 0)
            sleep_ms(1);
    }
    fail_msg("a watchdog does not end");
}

// True: it came to the end of its work before it was killed.
static bool look_and_die(int pid, int last, int when, int sig, int then)
{
    int status, tracer = fork();
    assert_true(tracer >= 0);
    if (tracer == 0) {
        plan = (struct plan){ .last = last, .when = when, .signal = sig, .then = then, .prey = pid };
        plan.tracer = getpid();
        struct lg_target *target = NULL;
        struct lg_error *err = lg_live_open(pid, &target);
        lg_target_free(target);
        if (err)
            fprintf(stderr, "step %d: %s\n", atomic_load(&plan.steps), lg_error_message(err));
        if (then > atomic_load(&plan.steps)) // It came to no such step.
            syscall(SYS_kill, pid, SIGCONT);
        _exit(err ? 1 : 0);
    }
    assert_int_equal(__real_waitpid(tracer, &status, 0), tracer);
    await_watchdog();
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFEXITED(status);
}

// ---- what has to hold afterwards ----

static bool is_as_it_was(int pid, const char *states_wanted)
{
    char states[1024];
    bool is_traced;
    int alive, zombies;
    prey_states(pid, states, sizeof(states), &is_traced);
    count_children(pid, &alive, &zombies);
    return !is_traced && alive == 0 && zombies == 0 && !strchr(states, 't')
           && (!states_wanted || strcmp(states, states_wanted) == 0);
}

static void assert_becomes_as_it_was(int pid, int last, const char *states)
{
    for (int ms = 0; ms < LIMIT_MS; ms++) {
        if (is_as_it_was(pid, states))
            return;
        sleep_ms(1);
    }
    char left[1024];
    bool is_traced;
    int alive, zombies;
    prey_states(pid, left, sizeof(left), &is_traced);
    count_children(pid, &alive, &zombies);
    fail_msg("killed at step %d, linger left process %d with threads %s%s, %d children, %d zombies",
             last, pid, left, is_traced ? " (traced)" : "", alive, zombies);
}

// Kills at one step after the other until none is left; how many there were.
static int kill_at_every_step(int pid)
{
    int last = 1;
    while (last < STEPS_MAX && !look_and_die(pid, last, 0, 0, 0))
        assert_becomes_as_it_was(pid, last++, NULL);
    assert_true(last > 5 && last < STEPS_MAX);
    assert_untouched(pid);
    return last;
}

// ---- prey ----

// Two threads, one that counts and one that waits for a byte; neither may notice anything.
static void *count_on(void *data)
{
    struct prey *prey = data;
    atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go))
        atomic_fetch_add(&prey->shared->counts[0], 1);
    return NULL;
}

static int count_and_wait(struct prey *prey)
{
    pthread_t thread;
    char byte = 0;
    if (pthread_create(&thread, NULL, count_on, prey))
        return 90;
    atomic_fetch_add(&prey->shared->ready, 1);
    if (syscall(SYS_read, prey->pipe[0], &byte, 1) != 1) // Not even EINTR.
        return 91;
    pthread_join(thread, NULL);
    return byte;
}

static int count_behind_a_filter(struct prey *prey)
{
    refuse_call(SYS_clone, SECCOMP_RET_ERRNO | EPERM);
    atomic_fetch_add(&prey->shared->ready, 1);
    char byte = 0;
    return syscall(SYS_read, prey->pipe[0], &byte, 1) == 1 ? byte : 91;
}

static void end_with(struct prey *prey, char byte)
{
    atomic_store(&prey->shared->go, 1);
    assert_int_equal(write(prey->pipe[1], &byte, 1), 1);
    assert_int_equal(prey_end(prey), byte);
}

static void killed_at_any_step_linger_leaves_nothing(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, count_and_wait);
    prey_await(&prey, 2);
    int steps = kill_at_every_step(prey.pid);
    prey_await_count(&prey, 0, 100);
    print_message("%d steps\n", steps);
    end_with(&prey, 7);
}

static void killed_at_any_step_it_leaves_nothing_in_a_process_that_it_cannot_copy(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, count_behind_a_filter);
    prey_await(&prey, 1);
    int steps = kill_at_every_step(prey.pid);
    print_message("%d steps\n", steps);
    end_with(&prey, 8);
}

static struct shared *handled_by;

static void count_signal(int sig)
{
    atomic_fetch_add(&handled_by->counts[1], 1);
}

static int count_signals(struct prey *prey)
{
    struct sigaction action = { .sa_handler = count_signal, .sa_flags = SA_RESTART };
    handled_by = prey->shared;
    sigaction(SIGRTMIN + 1, &action, NULL);
    return count_and_wait(prey);
}

static void no_signal_is_lost_with_linger(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, count_signals);
    prey_await(&prey, 2);
    unsigned sent = 0;
    for (int last = 2, is_done = 0; last < STEPS_MAX && !is_done; last++) {
        int when = last * 7 % (last - 1) + 1;
        is_done = look_and_die(prey.pid, last, when, SIGRTMIN + 1, 0);
        assert_becomes_as_it_was(prey.pid, last, NULL);
        sent++;
        for (int ms = 0; ms < LIMIT_MS && atomic_load(&prey.shared->counts[1]) != sent; ms++)
            sleep_ms(1);
        assert_int_equal(atomic_load(&prey.shared->counts[1]), sent);
    }
    end_with(&prey, 9);
}

static void a_stop_is_not_lost_with_linger(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, count_and_wait);
    prey_await(&prey, 2);
    for (int last = 2, is_done = 0; last < STEPS_MAX && !is_done; last++) {
        int when = last * 5 % (last - 1) + 1;
        is_done = look_and_die(prey.pid, last, when, SIGSTOP, 0);
        assert_becomes_as_it_was(prey.pid, last, "TT");
        assert_int_equal(__real_kill(prey.pid, SIGCONT), 0);
        prey_await_count(&prey, 0, 1);
    }
    end_with(&prey, 10);
}

// Soon after the stop, whether linger comes to its end or not.
static void nor_is_a_continue(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, count_and_wait);
    prey_await(&prey, 2);
    for (int last = 5, is_done = 0; last < STEPS_MAX && !is_done; last++) {
        int later = last % 3, when = last * 5 % (last - 1 - later) + 1;
        is_done = look_and_die(prey.pid, last, when, SIGSTOP, when + later);
        assert_becomes_as_it_was(prey.pid, last, NULL);
        prey_await_count(&prey, 0, 1);
        assert_true(look_and_die(prey.pid, 0, last, SIGSTOP, last + later)); // Not killed.
        prey_await_count(&prey, 0, 1);
    }
    end_with(&prey, 12);
}

// ---- the target is killed, and had been started by linger ----

// At every step of a look: whoever started it learns how it ended.
static void whoever_started_it_has_its_status(void **state)
{
    int when = 1;
    bool is_done = false;
    for (; when < STEPS_MAX && !is_done; when++) {
        struct prey prey = { 0 };
        struct lg_target *target = NULL;
        prey_start(&prey, count_and_wait);
        prey_await(&prey, 2);
        plan = (struct plan){ .when = when, .signal = SIGKILL, .prey = prey.pid, .tracer = getpid() };
        uint64_t started = lg_freeze_now();
        lg_error_free(lg_live_open(prey.pid, &target));
        lg_target_free(target);
        assert_true(lg_freeze_now() - started < LIMIT_MS * UINT64_C(1000000));
        is_done = atomic_load(&plan.steps) < when;
        plan.tracer = 0;
        if (is_done)
            __real_kill(prey.pid, SIGKILL);
        assert_int_equal(prey_end(&prey), -SIGKILL);
    }
    assert_true(when > 5 && is_done);
}

// ---- the target is the first process of its namespace, and takes in orphans ----

static int live_apart(struct prey *prey)
{
    if (unshare(CLONE_NEWPID) != 0)
        return 97;
    int status, pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(count_and_wait(prey));
    }
    atomic_store(&prey->shared->counts[2], (unsigned)pid);
    atomic_fetch_add(&prey->shared->ready, 1);
    return __real_waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 96;
}

// In the namespace of process `pid`, with a /proc of that.
static int look_from_inside(int pid, int last)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
    int ns = open(path, O_RDONLY | O_CLOEXEC), status;
    if (ns < 0 || setns(ns, CLONE_NEWPID) || unshare(CLONE_NEWNS))
        return 95;
    int inside = fork();
    if (inside == 0) {
        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)
            || mount("proc", "/proc", "proc", 0, NULL))
            _exit(94);
        plan = (struct plan){ .last = last, .tracer = (int)syscall(SYS_getpid) };
        struct lg_target *target = NULL;
        struct lg_error *err = lg_live_open(1, &target);
        lg_target_free(target);
        if (err)
            fprintf(stderr, "step %d: %s\n", atomic_load(&plan.steps), lg_error_message(err));
        _exit(err ? 1 : 0);
    }
    if (__real_waitpid(inside, &status, 0) != inside)
        return 93;
    return WIFSIGNALED(status) ? 2 : WEXITSTATUS(status);
}

static void the_watchdog_leaves_nothing_either(void **state)
{
    struct prey prey = { 0 };
    if (geteuid() != 0) {
        print_message("skipped: needs the right to make namespaces\n");
        return;
    }
    prey_start(&prey, live_apart);
    prey_await(&prey, 3);
    int pid = (int)atomic_load(&prey.shared->counts[2]), killed = 0, status = 2;
    for (int last = 10; last < STEPS_MAX && status == 2; last += 10) {
        int looker = fork();
        if (looker == 0)
            _exit(look_from_inside(pid, last));
        assert_int_equal(__real_waitpid(looker, &status, 0), looker);
        status = WEXITSTATUS(status);
        killed += status == 2;
        assert_becomes_as_it_was(pid, last, NULL);
    }
    assert_int_equal(status, 0);
    assert_true(killed > 2);
    end_with(&prey, 11);
}

int main(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    alarm(290); // Rather than for ever.
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_step_linger_leaves_nothing),
        cmocka_unit_test(killed_at_any_step_it_leaves_nothing_in_a_process_that_it_cannot_copy),
        cmocka_unit_test(no_signal_is_lost_with_linger),
        cmocka_unit_test(a_stop_is_not_lost_with_linger),
        cmocka_unit_test(nor_is_a_continue),
        cmocka_unit_test(whoever_started_it_has_its_status),
        cmocka_unit_test(the_watchdog_leaves_nothing_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
