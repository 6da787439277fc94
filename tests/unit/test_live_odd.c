// Processes that change under the hands that hold their copy, and ones that live in a world of their
// own.
#include "prey.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

enum { NOBODY = 65534, MANY = 300, THOUSANDS = 2000, SIGNALS = 40 };

static int wait_for_byte(struct prey *prey)
{
    char byte;
    atomic_fetch_add(&prey->shared->ready, 1);
    return read(prey->pipe[0], &byte, 1) == 1 ? byte : 99;
}

// Becomes another program, which waits on its standard input.
static int exec_when_told(struct prey *prey)
{
    dup2(prey->pipe[0], 0);
    atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go))
        sleep_ms(1);
    execlp("cat", "cat", NULL);
    return 1;
}

static void await_program(int pid, const char *name)
{
    char path[64], value[64] = "";
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    while (strncmp(value, name, strlen(name)) != 0 || value[strlen(name)] != '\n')
        read_status(path, "Name", value, sizeof(value));
}

static void a_process_may_exec_while_its_copy_is_held(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, exec_when_told);
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    atomic_store(&prey.shared->go, 1);
    await_program(prey.pid, "cat");
    sleep_ms(
        10); // Until its C library is there, a thread that could wait for the copy cannot be sent to it.
    assert_ok(lg_target_retake(target, 0));
    lg_target_free(lg_steal(target));
    assert_untouched(prey.pid);
    assert_int_equal(prey_end(&prey), 0);
}

static void *end_soon(void *data)
{
    struct prey *prey = data;
    atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go))
        ;
    return NULL;
}

static int end_other_thread(struct prey *prey)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_soon, prey) || pthread_join(thread, NULL))
        return 1;
    return wait_for_byte(prey);
}

static void the_thread_that_made_the_copy_may_end(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, end_other_thread);
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_int_equal(target->threads.len, 2);
    atomic_store(&prey.shared->go, 1);
    prey_await(&prey, 2);
    lg_target_free(lg_steal(target));
    assert_untouched(prey.pid);
    prey_kill(&prey);
}

static void *wait_long(void *data)
{
    struct prey *prey = data;
    atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go))
        syscall(SYS_futex, &prey->shared->go, 0 /* FUTEX_WAIT */, 0, NULL, NULL, 0);
    return NULL;
}

static int run(struct prey *prey, int count)
{
    pthread_t threads[THOUSANDS];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    for (int i = 0; i < count; i++) {
        if (pthread_create(&threads[i], &small, wait_long, prey))
            return 1;
    }
    int byte = wait_for_byte(prey);
    atomic_store(&prey->shared->go, 1);
    syscall(SYS_futex, &prey->shared->go, 1 /* FUTEX_WAKE */, count, NULL, NULL, 0);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return byte;
}

static int run_many(struct prey *prey)
{
    return run(prey, MANY);
}

static int run_thousands(struct prey *prey)
{
    return run(prey, THOUSANDS);
}

static void thousands_of_threads_are_stopped_and_let_go(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, run_thousands);
    prey_await(&prey, THOUSANDS + 1);
    for (int i = 0; i < 3; i++) {
        struct lg_target *target = NULL;
        assert_ok(lg_live_open(prey.pid, &target));
        assert_int_equal(target->threads.len, THOUSANDS + 1);
        assert_int_equal(target->notes.len, 0);
        for (size_t t = 0; t < target->threads.len; t++)
            assert_true(target->threads.at[t].has_registers);
        assert_true(target->pause_ms > 0);
        print_message("%d threads stood still for %.1f ms\n", THOUSANDS + 1, target->pause_ms);
        lg_target_free(target);
    }
    assert_untouched(prey.pid);
    assert_int_equal(write(prey.pipe[1], "\4", 1), 1);
    assert_int_equal(prey_end(&prey), 4);
}

// Signals that it does not take yet, to itself and to its first thread in turn; told to, it takes all,
// in the order in which they were sent.
static int leave_signals_pending(struct prey *prey)
{
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, SIGRTMIN + 2);
    sigaddset(&mine, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &mine, NULL);
    for (int i = 0; i < SIGNALS; i++) {
        siginfo_t info = { .si_code = SI_QUEUE, .si_value.sival_int = i };
        long failed = i % 2 ? syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + 2, &info)
                            : syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGRTMIN + 3, &info);
        if (failed)
            return 91;
    }
    int byte = wait_for_byte(prey), next[2] = { 1, 0 };
    for (int i = 0; i < SIGNALS; i++) {
        siginfo_t info;
        int sig = sigtimedwait(&mine, &info, &(struct timespec){ 0 });
        int *expected = &next[sig == SIGRTMIN + 3];
        if (sig < 0 || info.si_value.sival_int != *expected)
            return 92;
        *expected += 2;
    }
    return sigtimedwait(&mine, NULL, &(struct timespec){ 0 }) < 0 ? byte : 93;
}

static void signals_that_are_pending_stay_so(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, leave_signals_pending);
    prey_await(&prey, 1);
    for (int i = 0; i < 5; i++) {
        struct lg_target *target = NULL;
        assert_ok(lg_live_open(prey.pid, &target));
        assert_int_equal(target->notes.len, 0);
        lg_target_free(target);
    }
    assert_untouched(prey.pid);
    assert_int_equal(write(prey.pipe[1], "\4", 1), 1);
    assert_int_equal(prey_end(&prey), 4);
}

static int limited(struct prey *prey)
{
    struct rlimit none = { 0, 0 };
    if (setrlimit(RLIMIT_NPROC, &none) || setuid(NOBODY))
        return 1;
    prctl(PR_SET_DUMPABLE, 1);
    return wait_for_byte(prey);
}

static void a_limit_on_processes_is_reported(void **state)
{
    struct prey prey = { 0 };
    if (geteuid() != 0) {
        print_message("skipped: needs another user\n");
        return;
    }
    prey_start(&prey, limited);
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_int_equal(target->notes.len, 1);
    assert_non_null(strstr(target->notes.at[0], "(clone: Resource temporarily unavailable)"));
    lg_target_free(lg_steal(target));
    assert_int_equal(write(prey.pipe[1], "\2", 1), 1);
    assert_int_equal(prey_end(&prey), 2);
}

// The first process of a PID namespace: its parent waits for it.
static int live_apart(struct prey *prey)
{
    if (unshare(CLONE_NEWPID) != 0)
        return 97;
    int status, pid = fork();
    if (pid == 0)
        _exit(run_many(prey));
    atomic_store(&prey->shared->counts[0], (unsigned)pid);
    atomic_fetch_add(&prey->shared->ready, 1);
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 96;
}

static bool start_apart(struct prey *prey)
{
    int pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWPID) != 0);
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        print_message("skipped: no right to make a PID namespace\n");
        return false;
    }
    prey_start(prey, live_apart);
    prey_await(prey, MANY + 2);
    return true;
}

static void threads_have_the_numbers_of_their_own_namespace(void **state)
{
    struct prey prey = { 0 };
    if (!start_apart(&prey))
        return;
    int pid = (int)atomic_load(&prey.shared->counts[0]);
    for (int i = 0; i < 3; i++) {
        struct lg_target *target = NULL;
        assert_ok(lg_live_open(pid, &target));
        assert_int_equal(target->threads.at[0].tid, pid);
        for (unsigned t = 0; t < MANY + 1;
             t++) // And a number for each copy, which is not waited for yet.
            assert_true(target->threads.at[t].ns_tid >= t + 1 && target->threads.at[t].ns_tid < t + 8);
        assert_int_equal(target->threads.at[0].ns_tid, 1);
        lg_target_free(target);
        assert_untouched(pid);
    }
    assert_int_equal(write(prey.pipe[1], "\6", 1), 1);
    assert_int_equal(prey_end(&prey), 6);
}

static void the_end_of_a_namespace_does_not_wait_for_us(void **state)
{
    struct prey prey = { 0 };
    if (!start_apart(&prey))
        return;
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open((int)atomic_load(&prey.shared->counts[0]), &target));
    assert_int_equal(write(prey.pipe[1], "\6", 1), 1);
    assert_int_equal(prey_end(&prey), 6); // The kernel kills the copy, and has to see its end.
    assert_true(lg_live_is_lost(target));
}

static void *vfork_and_wait(void *data)
{
    struct prey *prey = data;
    int pid = vfork(); // Returns when the child has ended; until then no signal reaches this thread.
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        atomic_fetch_add(&prey->shared->ready, 1);
        while (!atomic_load(&prey->shared->go))
            sched_yield();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    atomic_fetch_add(&prey->shared->ready, 1);
    return NULL;
}

static int vfork_in_thread(struct prey *prey)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, vfork_and_wait, prey))
        return 1;
    int byte = wait_for_byte(prey);
    pthread_join(thread, NULL);
    return byte;
}

static void a_thread_that_cannot_stop_now_is_let_go_when_it_can(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, vfork_in_thread);
    prey_await(&prey, 2);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_int_equal(target->threads.len, 2);
    assert_int_equal(target->notes.len, 1);
    assert_string_equal(
        target->notes.at[0],
        "1 of 2 threads did not stop, being asleep in the kernel: its registers are unknown");
    assert_true(target->threads.at[0].has_registers);
    assert_false(target->threads.at[1].has_registers);
    atomic_store(&prey.shared->go, 1);
    prey_await(&prey, 3); // While we hold the copy.
    lg_target_free(lg_steal(target));
    assert_untouched(prey.pid);
    assert_int_equal(write(prey.pipe[1], "\10", 1), 1);
    assert_int_equal(prey_end(&prey), 8);
}

static bool is_traced(int pid)
{
    char states[64];
    bool traced;
    prey_states(pid, states, sizeof(states), &traced);
    return traced;
}

static int vfork_alone(struct prey *prey)
{
    vfork_and_wait(prey);
    return wait_for_byte(prey);
}

// It has no other thread that could make a copy, and none of it can be stopped; nor does it move.
static void a_process_that_waits_in_vfork_as_a_whole_is_read_as_it_is(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, vfork_alone);
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_int_equal(target->notes.len, 2);
    assert_non_null(strstr(target->notes.at[0], "cannot be copied (no thread is fit to make it)"));
    assert_non_null(strstr(target->notes.at[1], "1 of 1 threads did not stop"));
    lg_target_free(lg_steal(target));
    atomic_store(&prey.shared->go, 1);
    prey_await(&prey, 3);
    while (is_traced(prey.pid)) // It is let go when it can be.
        sleep_ms(1);
    assert_untouched(prey.pid);
    assert_int_equal(write(prey.pipe[1], "\10", 1), 1);
    assert_int_equal(prey_end(&prey), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_may_exec_while_its_copy_is_held),
        cmocka_unit_test(the_thread_that_made_the_copy_may_end),
        cmocka_unit_test(thousands_of_threads_are_stopped_and_let_go),
        cmocka_unit_test(signals_that_are_pending_stay_so),
        cmocka_unit_test(a_limit_on_processes_is_reported),
        cmocka_unit_test(threads_have_the_numbers_of_their_own_namespace),
        cmocka_unit_test(a_thread_that_cannot_stop_now_is_let_go_when_it_can),
        cmocka_unit_test(a_process_that_waits_in_vfork_as_a_whole_is_read_as_it_is),
        cmocka_unit_test(the_end_of_a_namespace_does_not_wait_for_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
