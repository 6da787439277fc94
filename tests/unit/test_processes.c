#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/processes_priv.h"
#include "util/cleanup.h"

// ---- processes that look like .NET from outside ----

static char dir[32];

static int make_dir(void **state)
{
    strcpy(dir, "/tmp/processes-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

// `folder` and `name` in our directory, with these contents; the path goes to `ret`.
static void write_file(const char *folder, const char *name, const char *text, char ret[256])
{
    char command[300];
    snprintf(command, sizeof(command), "mkdir -p '%s/%s'", dir, folder);
    assert_int_equal(system(command), 0);
    snprintf(ret, 256, "%s/%s/%s", dir, folder, name);
    FILE *f = fopen(ret, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

struct child {
    int pid, pipe; // It lives until the pipe is closed.
};

static void child_end(struct child *child)
{
    close(child->pipe);
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
}

// A child that has `map` mapped, or that becomes /bin/sh with these arguments.
static struct child start_child(const char *map, char *const *args)
{
    int hold[2], ready[2];
    char byte;
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0); // No child keeps another alive.
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    struct child child = { .pid = fork(), .pipe = hold[1] };
    if (child.pid == 0) {
        close(hold[1]);
        int fd = map ? open(map, O_RDONLY) : -1;
        if (map && mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
            _exit(1);
        dup2(hold[0], 0);
        if (args)
            execv("/bin/sh", args);
        prctl(PR_SET_NAME, "a) R 1 \n(");
        close(ready[1]);
        byte = (char)read(0, &byte, 1);
        _exit(0);
    }
    close(hold[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    return child;
}

static struct lg_process read_child(const char *map, char *const *args)
{
    struct child child = start_child(map, args);
    struct lg_process process;
    assert_ok(lg_process_read(child.pid, &process));
    child_end(&child);
    return process;
}

// ---- tests ----

static void a_runtime_in_the_shared_folder_has_its_version_in_the_path(void **state)
{
    char path[256];
    write_file("shared/Microsoft.NETCore.App/9.8.7", "libcoreclr.so", "x", path);
    _cleanup_(lg_process_deinit) struct lg_process process = read_child(path, NULL);
    assert_int_equal(process.flavour, LG_FLAVOUR_FRAMEWORK);
    assert_string_equal(process.version, "9.8.7");
    assert_string_equal(process.runtime_path, path);
    assert_null(process.problem);
    // Whatever the process calls itself:
    assert_true(process.uptime_s >= 0 && process.uptime_s < 100);
    assert_true(process.rss > 4096);
    assert_int_equal(process.threads, 1);
    assert_int_equal(process.ns_pid, process.pid);
    assert_non_null(process.user);
}

static void a_runtime_of_its_own_has_its_version_in_the_file(void **state)
{
    char path[256];
    write_file("app", "libcoreclr.so", "...@(#)Version x @(#)Version 10.0.1226.42308 @Commit: 9501",
               path);
    _cleanup_(lg_process_deinit) struct lg_process process = read_child(path, NULL);
    assert_int_equal(process.flavour, LG_FLAVOUR_SELF_CONTAINED);
    assert_string_equal(process.version, "10.0.12");
}

static void a_runtime_that_was_removed_is_said_to_be(void **state)
{
    char path[256];
    write_file("app", "libcoreclr.so", "@(#)Version 10.0.1226.42308 @Commit: 9501", path);
    struct child child = start_child(path, NULL);
    unlink(path);
    _cleanup_(lg_process_deinit) struct lg_process process = { 0 };
    assert_ok(lg_process_read(child.pid, &process));
    child_end(&child);
    assert_int_equal(process.flavour, LG_FLAVOUR_SELF_CONTAINED);
    assert_string_equal(process.runtime_path, path);
    assert_null(process.version);
    assert_string_equal(process.problem, "its runtime was removed or replaced on disk");
}

static void mono_is_told_apart(void **state)
{
    char path[256];
    write_file("lib", "libmonosgen-2.0.so.1", "x", path);
    _cleanup_(lg_process_deinit) struct lg_process process = read_child(path, NULL);
    assert_int_equal(process.flavour, LG_FLAVOUR_MONO);
    assert_null(process.version);
    assert_non_null(process.problem);
}

// Exported by this test program, as by a single-file app's (the test is linked with -rdynamic).
__attribute__((visibility("default"), used)) const struct {
    char signature[20];
    uint32_t version;
    uint8_t modules[72];
    uint32_t runtime[4];
} DotNetRuntimeInfo = { "DotNetRuntimeInfo", 2, { 0 }, { 10, 0, 926, 27113 } };

static void a_single_file_app_has_its_version_in_the_executable(void **state)
{
    _cleanup_(lg_process_deinit) struct lg_process process = { 0 };
    assert_ok(lg_process_read(getpid(), &process));
    assert_int_equal(process.flavour, LG_FLAVOUR_SINGLE_FILE);
    assert_string_equal(process.version, "10.0.9");
    assert_string_equal(process.name, "test_processes");
    assert_non_null(strstr(process.command, "test_processes"));
    char path[4096] = "";
    assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
    assert_string_equal(process.runtime_path, path);
}

static void what_is_no_dotnet_is_read_all_the_same(void **state)
{
    char *const args[] = { (char *)"sh", (char *)"-c", (char *)"read x", NULL };
    _cleanup_(lg_process_deinit) struct lg_process process = read_child(NULL, args);
    assert_int_equal(process.flavour, LG_FLAVOUR_NONE);
    assert_string_equal(lg_flavour_name(process.flavour), "none");
    assert_string_equal(process.command, "sh -c read x");
}

static void the_app_of_dotnet_is_its_first_assembly(void **state)
{
    char script[256];
    write_file("a", "My.App.dll", "read x", script);
    char *const args[] = { (char *)"/usr/bin/dotnet", script, (char *)"other.dll", NULL };
    struct lg_process process = read_child(NULL, args);
    assert_string_equal(process.name, "My.App");
    lg_process_deinit(&process);

    // A shell takes no host options; these stand behind -c, which is an option to us too.
    char *const exec[] = { (char *)"dotnet",     (char *)"-c",    (char *)"read x", (char *)"exec",
                           (char *)"--depsfile", (char *)"b.dll", (char *)"c.dll",  NULL };
    process = read_child(NULL, exec);
    assert_string_not_equal(process.name, "c"); // "read x" is a word: what follows is its argument.
    lg_process_deinit(&process);
}

static void a_huge_command_line_is_cut(void **state)
{
    static char big[100000];
    memset(big, 'x', sizeof(big) - 1);
    char *const args[] = { (char *)"sh", (char *)"-c", (char *)"read x", big, NULL };
    _cleanup_(lg_process_deinit) struct lg_process process = read_child(NULL, args);
    assert_true(strlen(process.command) > 1000 && strlen(process.command) < 10000);
}

static void a_process_that_is_not_there_is_an_error(void **state)
{
    struct lg_process process;
    assert_error(lg_process_read(999999999, &process), LG_ERR_NOT_FOUND, "no process 999999999");
}

static void the_list_has_dotnet_processes_only_and_largest_first(void **state)
{
    char path[256];
    write_file("shared/Microsoft.NETCore.App/1.2.3", "libcoreclr.so", "x", path);
    struct child dotnet = start_child(path, NULL);
    char *const args[] = { (char *)"sh", (char *)"-c", (char *)"read x", NULL };
    struct child other = start_child(NULL, args);
    struct lg_processes list = { 0 };
    assert_ok(lg_processes_list(&list));
    child_end(&dotnet);
    child_end(&other);
    bool found = false;
    for (size_t i = 0; i < list.all.len; i++) {
        found |= list.all.at[i].pid == dotnet.pid;
        assert_int_not_equal(list.all.at[i].pid, other.pid);
        assert_non_null(list.all.at[i].name);
        if (i > 0)
            assert_true(list.all.at[i - 1].rss >= list.all.at[i].rss);
    }
    assert_true(found);
    lg_processes_free(&list);
}

static void a_container_is_known_by_its_control_group(void **state)
{
    static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const char *const forms[] = { "0::/system.slice/docker-%s.scope\n",
                                  "12:pids:/docker/%s\n1:name=x:/\n",
                                  "0::/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-%s.scope\n",
                                  "0::/machine.slice/libpod-%s.scope/container\n" };
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        char cgroup[256];
        const char *at = strstr(forms[i], "%s");
        snprintf(cgroup, sizeof(cgroup), "%.*s%s%s", (int)(at - forms[i]), forms[i], id, at + 2);
        _cleanup_free_ char *found = lg_container_id(cgroup);
        assert_string_equal(found, "0123456789ab");
    }
    assert_null(lg_container_id("0::/user.slice/user-0.slice/session-1.scope\n"));
    assert_null(lg_container_id(""));
}

// In a child without our rights; its exit status tells.
static int read_without_rights(int pid)
{
    struct lg_process process;
    if (setgid(65534) < 0 || setuid(65534) < 0)
        return 2;
    struct lg_error *err = lg_process_read(pid, &process);
    if (err)
        return 3;
    bool good = process.name && process.threads > 0 && process.rss > 0 && process.problem
                && strstr(process.problem, "CAP_SYS_PTRACE") && process.flavour == LG_FLAVOUR_NONE;
    lg_process_deinit(&process);
    return good ? 0 : 4;
}

static void a_missing_right_is_named(void **state)
{
    if (geteuid() != 0) {
        print_message("only root can become a user without rights\n");
        skip();
    }
    int parent = getpid(), status, pid = fork();
    if (pid == 0)
        _exit(read_without_rights(parent));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void versions_of_builds_are_read_as_people_know_them(void **state)
{
    char version[32];
    assert_true(lg_version_from_build(10, 0, 1226, version, sizeof(version)));
    assert_string_equal(version, "10.0.12");
    assert_true(lg_version_from_build(9, 0, 2225, version, sizeof(version)));
    assert_string_equal(version, "9.0.22");
    assert_false(lg_version_from_build(4, 700, 20, version, sizeof(version)));
}

#define DIR_TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(a_runtime_in_the_shared_folder_has_its_version_in_the_path),
        DIR_TEST(a_runtime_of_its_own_has_its_version_in_the_file),
        DIR_TEST(a_runtime_that_was_removed_is_said_to_be),
        DIR_TEST(mono_is_told_apart),
        cmocka_unit_test(a_single_file_app_has_its_version_in_the_executable),
        cmocka_unit_test(what_is_no_dotnet_is_read_all_the_same),
        DIR_TEST(the_app_of_dotnet_is_its_first_assembly),
        cmocka_unit_test(a_huge_command_line_is_cut),
        cmocka_unit_test(a_process_that_is_not_there_is_an_error),
        DIR_TEST(the_list_has_dotnet_processes_only_and_largest_first),
        cmocka_unit_test(a_container_is_known_by_its_control_group),
        cmocka_unit_test(a_missing_right_is_named),
        cmocka_unit_test(versions_of_builds_are_read_as_people_know_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
