// Seccomp filters that linger may not read: it makes the process do nothing that they might kill it for.
#include "filter.h"
#include "prey.h"

#include <errno.h>

static int wait_for_byte(struct prey *prey)
{
    char byte;
    atomic_fetch_add(&prey->shared->ready, 1);
    return read(prey->pipe[0], &byte, 1) == 1 ? byte : 99;
}

static int kill_for_clone(struct prey *prey)
{
    refuse_call(SYS_clone, SECCOMP_RET_KILL_PROCESS);
    return wait_for_byte(prey);
}

static int refuse_nothing_of_ours(struct prey *prey)
{
    refuse_call(SYS_reboot, SECCOMP_RET_ERRNO | EPERM);
    return wait_for_byte(prey);
}

// Opens it without CAP_SYS_ADMIN. 0: read while it stood still, with this note; 1: read from a copy.
static int open_without_right(int pid, const char *note)
{
    keep_capabilities(1u << CAP_SYS_PTRACE);
    struct lg_target *target = NULL;
    struct lg_error *err = lg_live_open(pid, &target);
    if (err) {
        fprintf(stderr, "%s\n", lg_error_message(err));
        lg_error_free(err);
        return 2;
    }
    int status = target->notes.len == 0 ? 1 : strstr(target->notes.at[0], note) ? 0 : 3;
    lg_target_free(target);
    return status;
}

static int opened_without_right(int pid, const char *note)
{
    int status, child = fork();
    if (child == 0)
        _exit(open_without_right(pid, note));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool is_root(void)
{
    if (geteuid() != 0)
        print_message("skipped: needs CAP_SYS_PTRACE\n");
    return geteuid() == 0;
}

static const char unread[] =
    "it has seccomp filters that linger may not read, which takes CAP_SYS_ADMIN";

static void a_filter_that_cannot_be_read_is_not_put_to_the_test(void **state)
{
    struct prey prey = { 0 };
    if (!is_root())
        return;
    prey_start(&prey, kill_for_clone);
    prey_await(&prey, 1);
    assert_int_equal(opened_without_right(prey.pid, unread), 0);
    assert_untouched(prey.pid);
    assert_int_equal(write(prey.pipe[1], "\7", 1), 1);
    assert_int_equal(prey_end(&prey), 7);
}

// All of it in a child, which has the filter that its prey inherits.
static int open_brother(const char *note, int (*run)(struct prey *prey))
{
    struct prey prey = { 0 };
    refuse_call(SYS_reboot, SECCOMP_RET_ERRNO | EPERM);
    prey_start(&prey, run);
    prey_await(&prey, 1);
    int status = opened_without_right(prey.pid, note);
    assert_untouched(prey.pid);
    assert_int_equal(write(prey.pipe[1], "\7", 1), 1);
    assert_int_equal(prey_end(&prey), 7);
    return status;
}

static int opened_by_brother(int (*run)(struct prey *prey))
{
    int status, child = fork();
    if (child == 0)
        _exit(open_brother(unread, run));
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void filters_that_are_our_own_are_known_to_let_us(void **state)
{
    if (!is_root())
        return;
    assert_int_equal(opened_by_brother(wait_for_byte), 1);
    assert_int_equal(opened_by_brother(refuse_nothing_of_ours), 0); // One more than ours.
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_that_cannot_be_read_is_not_put_to_the_test),
        cmocka_unit_test(filters_that_are_our_own_are_known_to_let_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
