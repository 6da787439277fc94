// Processes that cannot be opened, and what the user is told.
#include "prey.h"
#include "target/freeze.h"

#include <grp.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

enum { NOBODY = 65534 };

static int wait_to_be_killed(struct prey *prey)
{
    atomic_fetch_add(&prey->shared->ready, 1);
    pause();
    return 0;
}

static void assert_refused(int pid, const char *message)
{
    struct lg_target *target = NULL;
    char expected[512];
    snprintf(expected, sizeof(expected), "process %d: %s", pid, message);
    struct lg_error *err = lg_live_open(pid, &target);
    assert_non_null(err);
    assert_null(target);
    assert_string_equal(lg_error_message(err), expected);
    lg_error_free(err);
}

static const char no_such[] = "no such process ('linger ps' lists those that there are)";

static void a_process_that_is_not_there_is_reported(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, wait_to_be_killed);
    int pid = prey.pid;
    prey_kill(&prey);
    assert_refused(pid, no_such);
    assert_refused(0, no_such);
    assert_refused(-1, no_such);
    assert_refused(INT32_MAX, no_such);
}

static void a_zombie_is_reported(void **state)
{
    struct prey prey = { 0 };
    char expected[128];
    prey_start(&prey, wait_to_be_killed);
    kill(prey.pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)prey.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
    snprintf(expected, sizeof(expected), "has ended: it is a zombie that process %d has not waited for",
             getpid());
    assert_refused(prey.pid, expected);
    prey_kill(&prey);
}

static void *tell_tid(void *data)
{
    struct prey *prey = data;
    atomic_store(&prey->shared->counts[0], (unsigned)gettid());
    return (void *)(intptr_t)wait_to_be_killed(prey);
}

static int start_thread(struct prey *prey)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, tell_tid, prey) ? 1 : wait_to_be_killed(prey);
}

static void a_thread_is_no_process(void **state)
{
    struct prey prey = { 0 };
    char expected[128];
    prey_start(&prey, start_thread);
    prey_await(&prey, 2);
    snprintf(expected, sizeof(expected), "is a thread of process %d: give that", prey.pid);
    assert_refused((int)atomic_load(&prey.shared->counts[0]), expected);
    prey_kill(&prey);
}

static void linger_itself_is_refused(void **state)
{
    assert_refused(getpid(), "is linger itself");
}

static void a_thread_of_the_kernel_is_refused(void **state)
{
    char value[64];
    read_status("/proc/2/status", "Name", value, sizeof(value));
    if (strcmp(value, "kthreadd\n") != 0) {
        print_message("skipped: no threads of the kernel to be seen\n");
        return;
    }
    assert_refused(2, "is a thread of the kernel: it has no memory of its own");
}

static void a_process_that_is_traced_already_is_refused(void **state)
{
    struct prey prey = { 0 }, tracer = { 0 };
    prey_start(&prey, wait_to_be_killed);
    prey_await(&prey, 1);
    tracer.pid = fork();
    if (tracer.pid == 0) {
        prctl(PR_SET_NAME, "a debugger");
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ptrace(PTRACE_SEIZE, prey.pid, 0, 0) == 0)
            atomic_fetch_add(&prey.shared->ready, 1);
        pause();
    }
    prey_await(&prey, 2);
    char expected[128];
    snprintf(expected, sizeof(expected), "is already traced, by process %d (a debugger): end that first",
             tracer.pid);
    assert_refused(prey.pid, expected);
    kill(tracer.pid, SIGKILL);
    assert_int_equal(waitpid(tracer.pid, NULL, 0), tracer.pid);
    prey_kill(&prey);
}

static const char *own_path(void)
{
    static char path[256];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    assert_true(n > 0);
    return path;
}

// Without rights: as nobody, in a process of its own. 0: refused with this message.
static int refused_as_nobody(int pid, const char *expected)
{
    if (geteuid() == 0 && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
        return 1;
    struct lg_target *target = NULL;
    struct lg_error *err = lg_live_open(pid, &target);
    if (!err)
        return 2;
    bool same = strcmp(lg_error_message(err), expected) == 0;
    if (!same)
        fprintf(stderr, "%s\n", lg_error_message(err));
    lg_error_free(err);
    err = lg_peek_open(pid, &target);
    bool same_peek = err && strcmp(lg_error_message(err), expected) == 0;
    lg_error_free(err);
    return same && same_peek ? 0 : 3;
}

static void what_belongs_to_another_user_is_refused_with_the_remedy(void **state)
{
    struct stat st;
    char path[64], expected[600];
    snprintf(path, sizeof(path), "/proc/%d", getppid());
    int pid = geteuid() == 0 ? getppid() : 1; // Of root, in either case.
    if (geteuid() == 0 && (stat(path, &st) != 0 || st.st_uid != 0)) {
        print_message("skipped: no process of root to be seen\n");
        return;
    }
    snprintf(
        expected, sizeof(expected),
        "process %d: belongs to user root (0): run linger as that user or with sudo, or give it the "
        "right (sudo setcap cap_sys_ptrace+ep %s)",
        pid, own_path());
    int status, child = fork();
    if (child == 0)
        _exit(refused_as_nobody(pid, expected));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int undumpable(struct prey *prey)
{
    if (geteuid() == 0 && setuid(NOBODY))
        return 1;
    prctl(PR_SET_DUMPABLE, 0);
    return wait_to_be_killed(prey);
}

static void a_process_that_guards_itself_is_refused(void **state)
{
    struct prey prey = { 0 };
    char scope[8] = "0", expected[256];
    FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (f && (!fgets(scope, sizeof(scope), f) || fclose(f)))
        scope[0] = '0';
    if (scope[0] != '0') {
        print_message("skipped: yama refuses first\n");
        return;
    }
    prey_start(&prey, undumpable);
    prey_await(&prey, 1);
    snprintf(
        expected, sizeof(expected),
        "process %d: may not be traced: it guards itself (prctl PR_SET_DUMPABLE, other capabilities), "
        "or a security module does: run linger with sudo",
        prey.pid);
    int status, child = fork();
    if (child == 0)
        _exit(refused_as_nobody(prey.pid, expected));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    prey_kill(&prey);
}

// ---- which right is missing: kernels and containers that this machine is not ----

static void assert_denial(const struct lg_rights *rights, int64_t owner, const char *expected)
{
    struct lg_error *err = lg_freeze_denial(rights, owner);
    assert_string_equal(lg_error_message(err), expected);
    lg_error_free(err);
}

static void yama_is_named_with_the_command_that_helps(void **state)
{
    struct lg_rights rights = { .uid = 1000, .yama = '1', .program = "/usr/bin/linger" };
    assert_denial(&rights, 1000,
                  "may not be traced: kernel.yama.ptrace_scope is 1, which asks for CAP_SYS_PTRACE: run "
                  "linger with sudo, give it the right (sudo setcap cap_sys_ptrace+ep /usr/bin/linger), "
                  "or have it as before (sudo sysctl kernel.yama.ptrace_scope=0)");
    rights.yama = '2';
    assert_denial(&rights, 1000,
                  "may not be traced: kernel.yama.ptrace_scope is 2, which asks for CAP_SYS_PTRACE: run "
                  "linger with sudo, give it the right (sudo setcap cap_sys_ptrace+ep /usr/bin/linger)");
    rights.yama = '3';
    rights.may_trace_all = true;
    assert_denial(&rights, 1000,
                  "may not be traced: kernel.yama.ptrace_scope is 3, which forbids it to everyone until "
                  "the next boot");
    rights = (struct lg_rights){ .uid = 1000, .yama = '1', .program = "/l" }; // Not its fault.
    assert_denial(
        &rights, 2147480000,
        "belongs to user unknown (2147480000): run linger as that user or with sudo, or give it the "
        "right (sudo setcap cap_sys_ptrace+ep /l)");
    rights = (struct lg_rights){ .uid = 1000, .yama = '0' };
    assert_denial(&rights, 1000,
                  "may not be traced: it guards itself (prctl PR_SET_DUMPABLE, other capabilities), or "
                  "a security module does: run linger with sudo");
}

static void a_container_is_named_with_the_option_that_helps(void **state)
{
    struct lg_rights rights = { .uid = 0, .yama = '0' };
    assert_denial(&rights, 0,
                  "may not be traced: linger runs as root without CAP_SYS_PTRACE: start the container "
                  "with --cap-add=SYS_PTRACE (Kubernetes: securityContext.capabilities.add: "
                  "[SYS_PTRACE])");
    rights = (struct lg_rights){ .may_trace_all = true, .is_in_user_namespace = true, .yama = '0' };
    assert_denial(&rights, 0,
                  "may not be traced: linger is in a user namespace (a rootless container, unshare -U), "
                  "and its rights end there: run it outside, with sudo");
    rights = (struct lg_rights){ .uid = 5, .is_filtered = true, .yama = '0' };
    assert_denial(&rights, 5,
                  "may not be traced: a seccomp filter on linger forbids it: start the container with "
                  "--security-opt seccomp=unconfined, or with a profile that lets ptrace and "
                  "process_vm_readv pass");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_is_not_there_is_reported),
        cmocka_unit_test(a_zombie_is_reported),
        cmocka_unit_test(a_thread_is_no_process),
        cmocka_unit_test(linger_itself_is_refused),
        cmocka_unit_test(a_thread_of_the_kernel_is_refused),
        cmocka_unit_test(a_process_that_is_traced_already_is_refused),
        cmocka_unit_test(what_belongs_to_another_user_is_refused_with_the_remedy),
        cmocka_unit_test(a_process_that_guards_itself_is_refused),
        cmocka_unit_test(yama_is_named_with_the_command_that_helps),
        cmocka_unit_test(a_container_is_named_with_the_option_that_helps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
