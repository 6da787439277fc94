// Nothing that a thread can see is changed by a stop, a copy or a system call made in its name: general
// and vector registers, flags, MXCSR, red zone, signal mask, alternate stack, the call that it was in.
#include "prey.h"
#include "support/probe.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "target/freeze_call.h"
#include "target/maps.h"
#include "target/proc.h"

enum { ROUNDS = 20 };

static sigset_t odd_mask(void)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigaddset(&mask, SIGRTMIN + 3);
    return mask;
}

// Makes one call with known registers. 0: nothing has changed, and the call returned `expected`.
static int check_call(struct prey *prey, long number, const uint64_t arguments[4], long expected)
{
    static _Alignas(64) char alternate[1 << 16];
    static struct registers in, out;
    stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) }, stack_after;
    sigset_t mask = odd_mask(), mask_after;
    sigaltstack(&stack, NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    probe_fill(&in, 0);
    memcpy(in.arguments, arguments, 4 * sizeof(*arguments));
    in.arguments[4] = 8; // The size of a signal set.
    atomic_fetch_add(&prey->shared->ready, 1);
    long result = probe(&in, &out, number, probe_is_wide());
    if (number >= 0 && result != expected)
        return result == -EINTR ? 10 : 11;
    if (memcmp(&in, &out, sizeof(in)) != 0)
        return memcmp(in.vectors, out.vectors, sizeof(in.vectors)) ? 12 : 13;
    sigaltstack(NULL, &stack_after);
    if (stack_after.ss_sp != alternate || stack_after.ss_size != sizeof(alternate)
        || stack_after.ss_flags)
        return 14;
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    return memcmp(&mask, &mask_after, 8) == 0 ? 0 : 15;
}

#define POINTER(p) ((uint64_t)(uintptr_t)(p))

static int in_read(struct prey *prey)
{
    char byte;
    uint64_t arguments[4] = { (uint64_t)prey->pipe[0], POINTER(&byte), 1 };
    return check_call(prey, SYS_read, arguments, 1);
}

static int in_nanosleep(struct prey *prey)
{
    struct timespec time = { .tv_nsec = 300 * 1000000 };
    uint64_t arguments[4] = { POINTER(&time), 0 };
    return check_call(prey, SYS_nanosleep, arguments, 0);
}

static int in_poll(struct prey *prey)
{
    struct pollfd file = { .fd = prey->pipe[0], .events = POLLIN };
    uint64_t arguments[4] = { POINTER(&file), 1, 1000000 };
    return check_call(prey, SYS_poll, arguments, 1);
}

static int in_ppoll(struct prey *prey)
{
    struct pollfd file = { .fd = prey->pipe[0], .events = POLLIN };
    sigset_t none;
    sigemptyset(&none);
    uint64_t arguments[4] = { POINTER(&file), 1, 0, POINTER(&none) };
    return check_call(prey, SYS_ppoll, arguments, 1);
}

static int in_epoll(struct prey *prey)
{
    struct epoll_event event = { .events = EPOLLIN };
    int fd = epoll_create1(0);
    epoll_ctl(fd, EPOLL_CTL_ADD, prey->pipe[0], &event);
    uint64_t arguments[4] = { (uint64_t)fd, POINTER(&event), 1, UINT64_MAX };
    return check_call(prey, SYS_epoll_wait, arguments, 1);
}

static int in_epoll_with_a_limit(struct prey *prey)
{
    struct epoll_event event = { .events = EPOLLIN };
    int fd = epoll_create1(0);
    epoll_ctl(fd, EPOLL_CTL_ADD, prey->pipe[0], &event);
    uint64_t arguments[4] = { (uint64_t)fd, POINTER(&event), 1, 1000000 };
    return check_call(prey, SYS_epoll_wait, arguments, 1);
}

static int in_sigtimedwait(struct prey *prey)
{
    sigset_t wanted = odd_mask();
    struct timespec time = { .tv_nsec = 300 * 1000000 };
    uint64_t arguments[4] = { POINTER(&wanted), 0, POINTER(&time), 8 };
    return check_call(prey, SYS_rt_sigtimedwait, arguments, -EAGAIN);
}

static int in_futex(struct prey *prey)
{
    struct timespec time = { .tv_sec = 1000 };
    uint64_t arguments[4] = { POINTER(&prey->shared->counts[0]), FUTEX_WAIT, 0, POINTER(&time) };
    return check_call(prey, SYS_futex, arguments, 0);
}

static int in_no_call(struct prey *prey)
{
    uint64_t arguments[4] = { POINTER(&prey->shared->go) };
    return check_call(prey, -1, arguments, 0);
}

static bool has_ended(int pid)
{
    siginfo_t info = { 0 };
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

static void let_return(const struct prey *prey)
{
    ssize_t n = write(prey->pipe[1], "\0", 1);
    assert_true(n == 1 || has_ended(prey->pid));
    atomic_store(&prey->shared->go, 1);
    while (!has_ended(prey->pid)) { // A call that has not restarted yet misses its wake-up.
        syscall(SYS_futex, &prey->shared->counts[0], FUTEX_WAKE, 1, NULL, NULL, 0);
        sleep_ms(1);
    }
}

static void copy_many_times(const struct prey *prey)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct lg_target *target = NULL;
        struct lg_error *err = lg_live_open(prey->pid, &target);
        bool is_over = err && (has_ended(prey->pid) || lg_error_kind(err) == LG_ERR_NOT_FOUND);
        if (is_over) { // A sleep is over when it is.
            lg_error_free(err);
            return;
        }
        assert_ok(err);
        assert_int_equal(target->notes.len, 0);
        lg_target_free(target);
    }
    if (!has_ended(prey->pid))
        assert_untouched(prey->pid);
}

// A stop of one thread for one call, after which we let go of it half-way, as if we had died.
static void abandon_many_times(const struct prey *prey)
{
    struct lg_target maps = { 0 };
    struct lg_arena paths = { 0 };
    struct lg_freeze freeze = { .pid = prey->pid, .maps = &maps, .proc = lg_proc_open(prey->pid) };
    assert_ok(lg_maps_read(freeze.proc, &maps, &paths));
    assert_true(lg_proc_mem_open(freeze.proc, prey->pid, true, &freeze.mem));
    assert_true(lg_gadgets_find(&maps, &freeze.mem, &freeze.gadgets));
    for (int i = 0; i < ROUNDS; i++) {
        struct lg_call call;
        struct lg_tracee *t = lg_freeze_stop_one(&freeze, prey->pid);
        assert_non_null(t);
        assert_true(lg_call_fitness(&freeze, t) >= 0);
        assert_ok(lg_call_begin(&call, &freeze, t));
        assert_ok(lg_call_arm(&call, SYS_wait4, (uint64_t[4]){ 1, 0, WNOHANG }));
        free(call.before);
        lg_freeze_resume(&freeze);
        if (i % 2)
            sleep_ms(1); // Sometimes the next stop comes before it has been put back.
    }
    lg_freeze_deinit(&freeze);
    lg_proc_mem_close(&freeze.mem);
    close(freeze.proc);
    lg_vec_free(&maps.ranges);
    lg_arena_free(&paths);
}

static void check(int (*run)(struct prey *prey), void (*disturb)(const struct prey *prey))
{
    struct prey prey = { 0 };
    if (!__builtin_cpu_supports("avx")) {
        print_message("skipped: this processor has no AVX\n");
        return;
    }
    prey_start(&prey, run);
    prey_await(&prey, 1);
    sleep_ms(5);
    disturb(&prey);
    let_return(&prey);
    assert_int_equal(prey_end(&prey), 0);
}

static void a_copy_changes_nothing_for_the_thread_that_makes_it(void **state)
{
    check(in_read, copy_many_times);
    check(in_ppoll, copy_many_times);
    check(in_epoll, copy_many_times);
    check(in_no_call, copy_many_times);
}

static void calls_with_a_time_limit_go_on(void **state)
{
    check(in_nanosleep, copy_many_times);
    check(in_epoll_with_a_limit, copy_many_times);
    check(in_sigtimedwait, copy_many_times);
    check(in_poll, copy_many_times);
    check(in_futex, copy_many_times);
}

static void a_thread_that_is_abandoned_puts_itself_back(void **state)
{
    check(in_read, abandon_many_times);
    check(in_ppoll, abandon_many_times);
    check(in_no_call, abandon_many_times);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); // A sleep may be over before it is told to be.
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_changes_nothing_for_the_thread_that_makes_it),
        cmocka_unit_test(calls_with_a_time_limit_go_on),
        cmocka_unit_test(a_thread_that_is_abandoned_puts_itself_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
