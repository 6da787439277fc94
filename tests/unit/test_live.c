// What a live process and its copy look like, and that it goes on as if nothing had been.
#include "filter.h"
#include "prey.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

enum { PAGE = 4096 };

static int count_forever(struct prey *prey)
{
    atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go))
        atomic_fetch_add(&prey->shared->counts[0], 1);
    return 0;
}

static int wait_for_byte(struct prey *prey)
{
    char byte;
    atomic_fetch_add(&prey->shared->ready, 1);
    return read(prey->pipe[0], &byte, 1) == 1 ? byte : 99;
}

// Three pages: "first" readable, "second" not, none.
static int show_pages(struct prey *prey)
{
    char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(pages + PAGE - 6, "first");
    strcpy(pages + PAGE, "second");
    mprotect(pages + PAGE, PAGE, PROT_NONE);
    munmap(pages + 2 * PAGE, PAGE);
    prey->shared->address = pages;
    static atomic_uint count;
    atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go))
        strcpy(pages, atomic_fetch_add(&count, 1) % 2 ? "even" : "odd");
    strcpy(pages, "late");
    atomic_fetch_add(&prey->shared->ready, 1);
    return wait_for_byte(prey);
}

static void a_copy_holds_still_while_the_process_runs_on(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, show_pages);
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_int_equal(target->notes.len, 0);
    assert_true(target->pause_ms > 0);
    assert_false(lg_live_is_lost(target));

    uint64_t page = (uint64_t)(uintptr_t)prey.shared->address;
    char before[16] = "", after[16] = "", now[16] = "";
    assert_int_equal(lg_target_read(target, page, before, 5), 5);
    atomic_store(&prey.shared->go, 1);
    prey_await(&prey, 2);
    assert_int_equal(lg_target_read(target, page, after, 5), 5);
    assert_string_equal(before, after);

    assert_true(lg_target_can_retake(target));
    assert_ok(lg_target_retake(target, 1));
    assert_int_equal(lg_target_read(target, page, now, 5), 5);
    assert_string_equal(now, "late");
    lg_target_free(lg_steal(target));
    assert_untouched(prey.pid);
    assert_int_equal(write(prey.pipe[1], "\7", 1), 1);
    assert_int_equal(prey_end(&prey), 7);
}

static void reads_cross_pages_and_stop_at_what_is_missing(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, show_pages);
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    uint64_t page = (uint64_t)(uintptr_t)prey.shared->address;
    char bytes[3 * PAGE];
    assert_int_equal(lg_target_read(target, page, bytes, sizeof(bytes)), 2 * PAGE);
    assert_string_equal(bytes + PAGE - 6, "first");
    assert_string_equal(bytes + PAGE, "second");
    assert_int_equal(lg_target_read(target, page + 2 * PAGE, bytes, 1), 0);
    assert_int_equal(lg_target_read(target, 0, bytes, 1), 0);
    assert_int_equal(lg_target_read(target, UINT64_MAX - 7, bytes, 8), 0);

    const struct lg_range *range = lg_target_find(target, page + PAGE);
    assert_non_null(range);
    assert_int_equal(range->access, 0);
    assert_int_equal(range->saved, range->end - range->start);
    range = lg_target_find(target, page);
    assert_int_equal(range->access, LG_READ | LG_WRITE);
    range = lg_target_find(target, (uint64_t)(uintptr_t)&fork);
    assert_int_equal(range->access, LG_READ | LG_EXECUTE);
    assert_non_null(strstr(range->path, "libc"));
    lg_target_free(lg_steal(target));
    prey_kill(&prey);
}

static void *sleep_named(void *data)
{
    struct prey *prey = data;
    prctl(PR_SET_NAME, "a sleeper");
    atomic_fetch_add(&prey->shared->ready, 1);
    for (;;)
        pause();
    return NULL;
}

static int sleep_in_thread(struct prey *prey)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, sleep_named, prey) ? 1 : wait_for_byte(prey);
}

static void threads_have_names_and_the_registers_of_the_stop(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, sleep_in_thread);
    prey_await(&prey, 2);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_int_equal(target->threads.len, 2);
    const struct lg_thread *main = &target->threads.at[0], *other = &target->threads.at[1];
    assert_int_equal(main->tid, prey.pid);
    assert_int_equal(main->ns_tid, prey.pid);
    assert_string_equal(main->name, "prey");
    assert_string_equal(other->name, "a sleeper");
    for (size_t i = 0; i < 2; i++) {
        const struct lg_thread *t = &target->threads.at[i];
        assert_true(t->has_registers);
        const struct lg_range *code = lg_target_find(target, t->registers[LG_REG_RIP]);
        const struct lg_range *stack = lg_target_find(target, t->registers[LG_REG_RSP]);
        assert_true(code && code->access & LG_EXECUTE);
        assert_true(stack && stack->access & LG_WRITE);
    }
    lg_target_free(lg_steal(target));
    prey_kill(&prey);
}

static void a_file_that_the_process_closes_is_closed(void **state)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    struct prey prey = { 0 };
    prey_start(&prey, wait_for_byte);
    close(ends[1]); // Only the child has it now.
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_int_equal(read(ends[0], &byte, 1), -1);
    prey_kill(&prey);
    assert_int_equal(read(ends[0], &byte, 1), 0); // The copy does not hold it.
    close(ends[0]);
}

static void a_copy_outlives_its_process(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, show_pages);
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    uint64_t page = (uint64_t)(uintptr_t)prey.shared->address;
    prey_kill(&prey);
    char bytes[8] = "";
    assert_true(lg_target_read_all(target, page + PAGE - 6, bytes, 6));
    assert_string_equal(bytes, "first");
    struct lg_error *err = lg_target_retake(target, 0);
    assert_non_null(err);
    assert_non_null(strstr(lg_error_message(err), "no such process"));
    lg_error_free(err);
    assert_int_equal(lg_target_read(target, page, bytes, 1), 0);
    assert_true(lg_live_is_lost(target));
}

static void a_process_that_job_control_has_stopped_stays_stopped(void **state)
{
    struct prey prey = { 0 };
    int status;
    char states[64];
    bool is_traced;
    prey_start(&prey, sleep_in_thread);
    prey_await(&prey, 2);
    kill(prey.pid, SIGSTOP);
    assert_int_equal(waitpid(prey.pid, &status, WUNTRACED), prey.pid);
    assert_true(WIFSTOPPED(status));
    for (int i = 0; i < 5; i++) {
        struct lg_target *target = NULL;
        assert_ok(lg_live_open(prey.pid, &target));
        assert_int_equal(target->notes.len, 0);
        assert_int_equal(target->threads.len, 2);
        lg_target_free(target);
        do // It has to come back to its stop.
            prey_states(prey.pid, states, sizeof(states), &is_traced);
        while (strcmp(states, "TT") != 0);
        assert_false(is_traced);
    }
    kill(prey.pid, SIGCONT);
    assert_int_equal(write(prey.pipe[1], "\5", 1), 1);
    assert_int_equal(prey_end(&prey), 5);
}

static int refuse_by_error(struct prey *prey)
{
    refuse_call(SYS_clone, SECCOMP_RET_ERRNO | EPERM);
    return show_pages(prey);
}

static void on_sigsys(int sig)
{
    _exit(97);
}

static int refuse_by_signal(struct prey *prey)
{
    signal(SIGSYS, on_sigsys);
    refuse_call(SYS_clone, SECCOMP_RET_TRAP);
    return show_pages(prey);
}

static int refuse_wait(struct prey *prey)
{
    refuse_call(SYS_wait4, SECCOMP_RET_ERRNO | ENOSYS);
    return show_pages(prey);
}

static int kill_for_clone(struct prey *prey)
{
    refuse_call(SYS_clone, SECCOMP_RET_KILL_PROCESS);
    return show_pages(prey);
}

static void check_refusal(int (*run)(struct prey *prey), const char *why)
{
    struct prey prey = { 0 };
    char note[256];
    snprintf(note, sizeof(note), "the process cannot be copied (%s) and stands still while it is read",
             why);
    char states[64], before[8] = "", after[8] = "";
    bool is_traced;
    prey_start(&prey, run);
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_int_equal(target->notes.len, 1);
    assert_string_equal(target->notes.at[0], note);
    prey_states(prey.pid, states, sizeof(states), &is_traced);
    assert_string_equal(states, "t");
    uint64_t page = (uint64_t)(uintptr_t)prey.shared->address;
    assert_true(lg_target_read_all(target, page, before, 5));
    atomic_store(&prey.shared->go, 1);
    assert_true(lg_target_read_all(target, page, after, 5));
    assert_string_equal(before, after);
    double pause = lg_live_pause_ms(target);
    assert_true(pause >= target->pause_ms);

    assert_ok(lg_target_retake(target, 1));
    assert_int_equal(target->notes.len, 1);
    lg_target_free(lg_steal(target));
    assert_untouched(prey.pid);
    prey_await(&prey, 2);
    assert_int_equal(write(prey.pipe[1], "\3", 1), 1);
    assert_int_equal(prey_end(&prey), 3);
}

static void a_process_that_cannot_be_copied_stands_still_while_it_is_read(void **state)
{
    if (geteuid() != 0) {
        print_message("skipped: only root may read the filters\n");
        return;
    }
    check_refusal(refuse_by_error, "its seccomp filter refuses clone");
    check_refusal(refuse_by_signal, "its seccomp filter would harm it for clone");
    check_refusal(kill_for_clone, "its seccomp filter would harm it for clone");
    check_refusal(refuse_wait, "its seccomp filter refuses wait4");
}

// In a process of its own: one that is parent and tracer cannot leave the end of its child to be seen.
static int read_until_it_ends(const struct prey *prey)
{
    struct lg_target *target = NULL;
    if (lg_live_open(prey->pid, &target))
        return 1;
    uint64_t page = (uint64_t)(uintptr_t)prey->shared->address;
    char byte;
    bool was_there = lg_target_read(target, page, &byte, 1) == 1;
    atomic_fetch_add(&prey->shared->ready, 1);
    while (lg_target_read(target, page, &byte, 1) == 1)
        sleep_ms(1);
    lg_target_free(target);
    return was_there ? 0 : 2;
}

static void a_stopped_process_may_be_killed_while_it_is_read(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, refuse_by_error);
    prey_await(&prey, 1);
    int status, tracer = fork();
    if (tracer == 0)
        _exit(read_until_it_ends(&prey));
    prey_await(&prey, 2);
    prey_kill(&prey);
    assert_int_equal(waitpid(tracer, &status, 0), tracer);
    assert_int_equal(status, 0);
}

static void a_peek_stops_nothing(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, count_forever);
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_peek_open(prey.pid, &target));
    assert_true(target->pause_ms == 0);
    assert_false(lg_target_can_retake(target));
    uint64_t address = (uint64_t)(uintptr_t)&prey.shared->counts[0];
    uint32_t first, second;
    assert_true(lg_target_u32(target, address, &first));
    prey_await_count(&prey, 0, 1);
    assert_true(lg_target_u32(target, address, &second));
    assert_true(second == first); // Of the same page, until it is asked for anew.
    lg_peek_again(target);
    assert_true(lg_target_u32(target, address, &second));
    assert_true(second != first);
    prey_kill(&prey);
    lg_peek_again(target);
    assert_false(lg_target_u32(target, address, &second)); // Whoever has the PID now.
}

static void a_glance_has_mappings_and_reads_anew(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, count_forever);
    prey_await(&prey, 1);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_glance_open(prey.pid, &target));
    assert_true(target->pause_ms == 0);
    uint64_t address = (uint64_t)(uintptr_t)&prey.shared->counts[0];
    uint32_t first, second;
    assert_non_null(lg_target_find(target, address));
    assert_true(lg_target_u32(target, address, &first));
    prey_await_count(&prey, 0, 1);
    assert_true(lg_target_u32(target, address, &second));
    assert_true(second != first);
    prey_kill(&prey);
    assert_false(lg_target_u32(target, address, &second));
    lg_target_free(lg_steal(target));
    struct lg_error *err = lg_glance_open(prey.pid, &target);
    assert_int_equal(lg_error_kind(err), LG_ERR_NOT_FOUND);
    lg_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_holds_still_while_the_process_runs_on),
        cmocka_unit_test(reads_cross_pages_and_stop_at_what_is_missing),
        cmocka_unit_test(threads_have_names_and_the_registers_of_the_stop),
        cmocka_unit_test(a_file_that_the_process_closes_is_closed),
        cmocka_unit_test(a_copy_outlives_its_process),
        cmocka_unit_test(a_process_that_job_control_has_stopped_stays_stopped),
        cmocka_unit_test(a_process_that_cannot_be_copied_stands_still_while_it_is_read),
        cmocka_unit_test(a_stopped_process_may_be_killed_while_it_is_read),
        cmocka_unit_test(a_peek_stops_nothing),
        cmocka_unit_test(a_glance_has_mappings_and_reads_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
