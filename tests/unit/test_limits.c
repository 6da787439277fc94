// Bounds from file trees that the tests write, hostile ones among them.
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limits/limits_priv.h"
#include "util/cleanup.h"

// ---- a machine in a folder ----

static char dir[40];
static struct lg_limits_place place;

static void write_at(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", dir, path);
    for (char *slash = strchr(full + strlen(dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    FILE *f = fopen(full, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void remove_at(const char *path)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", dir, path);
    assert_int_equal(unlink(full), 0);
}

static int make_machine(void **state)
{
    strcpy(dir, "/tmp/limits-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    write_at("proc/7/status",
             "Name:\tshop\nUid:\t1000\t1000\t1000\t1000\nThreads:\t5\nVmSize:\t  4096 kB\n"
             "VmLck:\t     0 kB\nVmData:\t  1024 kB\nVmStk:\t   132 kB\n"
             "HugetlbPages:\t       0 kB\nCapEff:\t0000000000000000\n"
             "Cpus_allowed:\tf,ff\n");
    write_at("proc/7/limits",
             "Limit                     Soft Limit           Hard Limit           Units     \n"
             "Max data size             2097152              unlimited            bytes     \n"
             "Max stack size            8388608              unlimited            bytes     \n"
             "Max core file size        0                    unlimited            bytes     \n"
             "Max processes             100                  100                  processes \n"
             "Max open files            4                    4                    files     \n"
             "Max locked memory         65536                65536                bytes     \n"
             "Max address space         unlimited            unlimited            bytes     \n");
    write_at("proc/7/maps", "1\n2\n3\n");
    write_at("proc/7/fd/0", "");
    write_at("proc/7/fd/1", "");
    write_at("proc/7/cgroup", "");
    write_at("proc/7/mountinfo", "");
    write_at("proc/7/cmdline", "");
    write_at("proc/9/status", "Uid:\t1000\t0\t0\t0\nThreads:\t3\n");
    write_at("proc/10/status", "Uid:\t1001\t0\t0\t0\nThreads:\t30\n");
    write_at("proc/self/mountinfo", "");
    write_at("proc/meminfo", "MemTotal:       1048576 kB\nMemFree:  1 kB\nMemAvailable:    524288 kB\n"
                             "SwapTotal:      0 kB\nSwapFree:       0 kB\nCommitLimit:    900000 kB\n"
                             "Committed_AS:   100000 kB\n");
    write_at("proc/loadavg", "0.42 0.31 0.25 3/412 12345\n");
    write_at("proc/sys/vm/max_map_count", "65530\n");
    write_at("proc/sys/vm/overcommit_memory", "0\n");
    write_at("proc/sys/kernel/threads-max", "1000\n");
    write_at("proc/sys/kernel/pid_max", "32768\n");
    char path[64];
    place.root = open(dir, O_PATH | O_DIRECTORY);
    snprintf(path, sizeof(path), "%s/proc/7", dir);
    place.proc = open(path, O_PATH | O_DIRECTORY);
    snprintf(path, sizeof(path), "%s/proc/7/root", dir);
    return place.root >= 0 && place.proc >= 0 && symlink(dir, path) == 0 ? 0 : -1;
}

static int remove_machine(void **state)
{
    char command[64];
    close(place.root);
    close(place.proc);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static struct lg_limits read_place(bool is_dotnet)
{
    struct lg_limits limits;
    struct lg_limits_subject subject = { .place = &place, .is_dotnet = is_dotnet };
    assert_ok(lg_limits_read(&subject, &limits));
    return limits;
}

static const struct lg_bound *bound_at(const struct lg_limits *limits, const char *name, unsigned n)
{
    for (size_t i = 0; i < limits->bounds.len; i++) {
        if (strcmp(limits->bounds.at[i].name, name) == 0 && n-- == 0)
            return &limits->bounds.at[i];
    }
    return NULL;
}

static const struct lg_bound *bound(const struct lg_limits *limits, const char *name)
{
    const struct lg_bound *found = bound_at(limits, name, 0);
    if (!found)
        fail_msg("no bound '%s'", name);
    return found;
}

static const struct lg_setting *setting(const struct lg_limits *limits, const char *name)
{
    for (size_t i = 0; i < limits->settings.len; i++) {
        if (strcmp(limits->settings.at[i].name, name) == 0)
            return &limits->settings.at[i];
    }
    fail_msg("no setting '%s'", name);
    return NULL;
}

#define assert_amount(amount_, expected) \
    do { \
        struct lg_amount a_ = (amount_); \
        assert_int_equal(a_.kind, LG_KNOWN); \
        assert_int_equal(a_.value, (expected)); \
    } while (0)

// ---- files ----

static void a_file_of_one_number_is_read(void **state)
{
    write_at("a", "123\n");
    assert_amount(lg_file_amount(place.root, "a"), 123);
    write_at("a", "max\n");
    assert_int_equal(lg_file_amount(place.root, "a").kind, LG_UNLIMITED);
    static const char *const bad[] = { "", "-1\n", "12x\n", "maximum\n", "99999999999999999999\n" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        write_at("a", bad[i]);
        assert_int_equal(lg_file_amount(place.root, "a").kind, LG_UNKNOWN);
    }
    assert_int_equal(lg_file_amount(place.root, "none").kind, LG_UNKNOWN);
    assert_int_equal(errno, ENOENT);
}

static void what_is_no_regular_file_is_not_waited_for(void **state)
{
    char path[64];
    size_t len;
    snprintf(path, sizeof(path), "%s/pipe", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(lg_file_read(place.root, "pipe", &len));
    assert_null(lg_file_read(place.root, "proc", &len));
}

static void a_link_does_not_lead_out_of_the_root(void **state)
{
    char path[64];
    size_t len;
    snprintf(path, sizeof(path), "%s/link", dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_null(lg_file_read(place.root, "link", &len));
    write_at("etc/passwd", "ours");
    _cleanup_free_ char *text = lg_file_read(place.root, "link", &len);
    assert_string_equal(text, "ours");
    _cleanup_free_ char *above = lg_file_read(place.root, "../../../etc/passwd", &len);
    assert_string_equal(above, "ours");
}

static void a_file_is_cut_at_a_mebibyte(void **state)
{
    char path[64];
    size_t len = 0;
    snprintf(path, sizeof(path), "%s/big", dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
    close(fd);
    _cleanup_free_ char *text = lg_file_read(place.root, "big", &len);
    assert_non_null(text);
    assert_int_equal(len, LG_FILE_MAX);
}

static void a_line_of_a_status_file_is_found_by_its_whole_key(void **state)
{
    const char *text =
        "SwapTotal: 1 kB\nTotal: 2 kB\nTotal_x 3\nplain 4\nbig: 99999999999999999 kB\nodd: kB\n";
    assert_amount(lg_text_amount(text, "Total"), 2048);
    assert_amount(lg_text_amount(text, "plain"), 4);
    assert_int_equal(lg_text_amount(text, "big").kind, LG_UNKNOWN);
    assert_int_equal(lg_text_amount(text, "odd").kind, LG_UNKNOWN);
    assert_int_equal(lg_text_amount(text, "none").kind, LG_UNKNOWN);
}

// ---- control groups ----

static const char hybrid_mounts[] =
    "30 22 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "33 30 0:30 / /sys/fs/cgroup/cpu\\040set rw - cgroup cgroup rw,cpuset,cpu\n"
    "34 30 0:31 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
    "40 30 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

static struct lg_cgroup parse(const char *cgroup, const char *mounts,
                              enum lg_cgroup_controller controller, struct lg_arena *arena)
{
    struct lg_cgroup group;
    assert_ok(lg_cgroup_parse(cgroup, mounts, controller, 0, arena, &group));
    return group;
}

static void a_group_is_found_in_the_hierarchy_of_its_controller(void **state)
{
    struct lg_arena arena = { NULL };
    const char *cgroup = "4:memory:/docker/4f\n3:cpuset,cpu:/x\n1:name=systemd:/y\n0::/z\n";
    struct lg_cgroup group = parse(cgroup, hybrid_mounts, LG_CGROUP_MEMORY, &arena);
    assert_int_equal(group.version, 1);
    assert_string_equal(group.mount, "/sys/fs/cgroup/memory");
    assert_string_equal(group.group, "/docker/4f");
    group = parse(cgroup, hybrid_mounts, LG_CGROUP_CPU, &arena);
    assert_string_equal(group.mount, "/sys/fs/cgroup/cpu set");
    assert_string_equal(group.group, "/x");
    // Pids have no hierarchy of their own here, so they are in v2's.
    group = parse(cgroup, hybrid_mounts, LG_CGROUP_PIDS, &arena);
    assert_int_equal(group.version, 2);
    assert_string_equal(group.group, "/z");
    lg_arena_free(&arena);
}

static void the_root_of_a_mount_is_taken_off_the_group(void **state)
{
    struct lg_arena arena = { NULL };
    const char *mounts = "1 1 0:1 /docker/4f /inner rw - cgroup2 cgroup rw\n"
                         "1 1 0:1 /docker /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
                         "1 1 0:1 /dock /wrong rw - cgroup2 cgroup rw\n";
    struct lg_cgroup group = parse("0::/docker/4f/app\n", mounts, LG_CGROUP_MEMORY, &arena);
    assert_string_equal(group.mount, "/sys/fs/cgroup"); // It shows more of the tree.
    assert_string_equal(group.group, "/4f/app");
    group = parse("0::/docker\n", mounts, LG_CGROUP_MEMORY, &arena);
    assert_string_equal(group.group, "");
    group = parse("0::/other\n", mounts, LG_CGROUP_MEMORY, &arena);
    assert_int_equal(group.version, 0);
    lg_arena_free(&arena);
}

static void groups_and_mounts_that_make_no_sense_are_none(void **state)
{
    struct lg_arena arena = { NULL };
    static const char *const groups[] = { "",           "\n\n",        ":",         "0:",
                                          "0::",        "0::relative", "0::/..",    "0::/../../etc",
                                          "0::/a/../b", "9:memory",    "9:memory:", "9:mem,ory:/x" };
    static const char *const mounts[] = {
        "", "\n", " - ", " - cgroup2", "a b c - cgroup2 x rw\n", "1 1 0:1 / /m rw - cgroup2 cgroup2 rw\n"
    };
    for (size_t g = 0; g < sizeof(groups) / sizeof(*groups); g++) {
        for (size_t m = 0; m < sizeof(mounts) / sizeof(*mounts); m++)
            assert_int_equal(parse(groups[g], mounts[m], LG_CGROUP_MEMORY, &arena).version, 0);
    }
    lg_arena_free(&arena);
}

static void version_1_has_a_row_for_each_level_with_a_limit(void **state)
{
    write_at("proc/7/cgroup", "4:memory:/a/b\n2:cpu:/a\n3:pids:/p\n");
    write_at("proc/self/mountinfo", "1 1 0:1 / /cg/memory rw - cgroup cgroup rw,memory\n"
                                    "1 1 0:1 / /cg/cpu rw - cgroup cgroup rw,cpu\n"
                                    "1 1 0:1 / /cg/pids rw - cgroup cgroup rw,pids\n");
    write_at("proc/7/mountinfo", "1 1 0:1 / /cg/memory rw - cgroup cgroup rw,memory\n");
    write_at("cg/memory/a/b/cgroup.procs", "");
    write_at("cg/cpu/a/cgroup.procs", "");
    write_at("cg/memory/a/b/memory.limit_in_bytes", "400000\n");
    write_at("cg/memory/a/b/memory.usage_in_bytes", "300000\n");
    write_at("cg/memory/a/b/memory.stat", "inactive_file 7\ntotal_inactive_file 100000\n"
                                          "hierarchical_memory_limit 400000\n");
    write_at("cg/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
    write_at("cg/memory/a/memory.soft_limit_in_bytes", "360000\n");
    write_at("cg/memory/a/memory.usage_in_bytes", "310000\n");
    write_at("cg/memory/memory.limit_in_bytes", "500000\n");
    write_at("cg/memory/memory.usage_in_bytes", "500001\n");
    write_at("cg/cpu/a/cpu.cfs_quota_us", "150000\n");
    write_at("cg/cpu/a/cpu.cfs_period_us", "100000\n");
    write_at("cg/pids/p/cgroup.procs", "");
    write_at("cg/pids/p/pids.max", "20\n");
    write_at("cg/pids/p/pids.current", "5\n");
    write_at("proc/7/environ", "HOME=/");
    struct lg_limits limits = read_place(true);
    assert_amount(bound_at(&limits, "cgroup memory", 0)->limit, 400000);
    assert_amount(bound_at(&limits, "cgroup memory", 0)->current, 200000);
    assert_string_equal(bound_at(&limits, "cgroup memory", 0)->where, "/a/b memory.limit_in_bytes");
    assert_amount(lg_bound_headroom(bound_at(&limits, "cgroup memory", 1)), 0);
    assert_null(bound_at(&limits, "cgroup memory", 2));
    assert_amount(bound(&limits, "cgroup memory high")->limit, 360000);
    assert_amount(lg_bound_headroom(bound(&limits, "cgroup threads")), 15);
    assert_string_equal(lg_limits_nearest(&limits)->where, "/ memory.limit_in_bytes");
    // The runtime goes by what holds in the end.
    assert_string_equal(setting(&limits, "GCTotalPhysicalMemory")->value, "400000");
    assert_string_equal(setting(&limits, "PROCESSOR_COUNT")->value, "2");
    lg_limits_deinit(&limits);
}

static void version_2_goes_up_to_the_mount(void **state)
{
    write_at("proc/7/cgroup", "0::/a/b\n");
    write_at("proc/self/mountinfo", "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    write_at("proc/7/mountinfo", "1 1 0:1 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
                                 "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    write_at("proc/7/environ", "HOME=/");
    write_at("sys/fs/cgroup/a/b/cgroup.procs", "");
    write_at("sys/fs/cgroup/a/b/memory.max", "max\n");
    write_at("sys/fs/cgroup/a/b/memory.current", "1000\n");
    write_at("sys/fs/cgroup/a/b/memory.swap.max", "0\n");
    write_at("sys/fs/cgroup/a/b/memory.swap.current", "0\n");
    write_at("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    write_at("sys/fs/cgroup/a/memory.max", "536870912\n");
    write_at("sys/fs/cgroup/a/memory.high", "400000000\n");
    write_at("sys/fs/cgroup/a/memory.current", "2000\n");
    write_at("sys/fs/cgroup/a/cpu.max", "250000 100000\n");
    write_at("sys/fs/cgroup/a/pids.max", "max\n");
    struct lg_limits limits = read_place(true);
    assert_string_equal(bound(&limits, "cgroup memory")->where, "/a memory.max");
    assert_amount(bound(&limits, "cgroup memory")->current, 2000);
    assert_amount(bound(&limits, "cgroup memory high")->limit, 400000000);
    assert_amount(bound(&limits, "cgroup swap")->limit, 0);
    assert_null(bound_at(&limits, "cgroup threads", 0));
    assert_null(setting(&limits, "PROCESSOR_COUNT")->from);
    assert_string_equal(setting(&limits, "PROCESSOR_COUNT")->value, "3");
    assert_string_equal(setting(&limits, "GCTotalPhysicalMemory")->value, "536870912");
    lg_limits_deinit(&limits);
}

static void a_group_without_a_limit_has_its_usage(void **state)
{
    write_at("proc/7/cgroup", "0::/a\n");
    write_at("proc/self/mountinfo", "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    write_at("sys/fs/cgroup/a/cgroup.procs", "");
    write_at("sys/fs/cgroup/a/memory.current", "4000\n");
    write_at("sys/fs/cgroup/a/memory.stat", "inactive_file 5000\n");
    struct lg_limits limits = read_place(false);
    const struct lg_bound *memory = bound(&limits, "cgroup memory");
    assert_int_equal(memory->limit.kind, LG_UNLIMITED);
    assert_int_equal(lg_bound_headroom(memory).kind, LG_UNLIMITED);
    assert_amount(memory->current, 0);
    assert_int_equal(limits.settings.len, 0);
    assert_string_equal(lg_limits_nearest(&limits)->name, "data");
    lg_limits_deinit(&limits);
}

static void a_group_whose_folder_is_not_there_is_unknown(void **state)
{
    write_at("proc/7/cgroup", "0::/a\n");
    write_at("proc/7/environ", "A=1");
    write_at("proc/self/mountinfo", "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    struct lg_limits limits = read_place(true);
    assert_int_equal(bound(&limits, "cgroup memory")->limit.kind, LG_UNKNOWN);
    assert_non_null(bound(&limits, "cgroup memory")->problem);
    assert_null(setting(&limits, "PROCESSOR_COUNT")->value);
    assert_null(setting(&limits, "GCTotalPhysicalMemory")->value);
    lg_limits_deinit(&limits);
}

static void where_we_have_no_mount_the_containers_own_leads_there(void **state)
{
    write_at("proc/7/cgroup", "4:memory:/docker/4f\n");
    write_at("proc/7/mountinfo", "1 1 0:1 /docker/4f /inside rw - cgroup cgroup rw,memory\n");
    write_at("inside/cgroup.procs", "");
    write_at("inside/memory.stat", "hierarchical_memory_limit 66666\n");
    write_at("inside/memory.limit_in_bytes", "77777\n");
    write_at("inside/memory.usage_in_bytes", "7\n");
    struct lg_limits limits = read_place(false);
    assert_amount(bound(&limits, "cgroup memory")->limit, 77777);
    assert_string_equal(bound(&limits, "cgroup memory")->where, "/ memory.limit_in_bytes");
    // What is above the container still bounds it.
    assert_amount(bound_at(&limits, "cgroup memory", 1)->limit, 66666);
    assert_int_equal(bound_at(&limits, "cgroup memory", 1)->current.kind, LG_UNKNOWN);
    lg_limits_deinit(&limits);
}

// ---- the process and the machine ----

static void ulimits_are_compared_with_what_is_used(void **state)
{
    struct lg_limits limits = read_place(false);
    assert_amount(lg_bound_headroom(bound(&limits, "data")), 1 << 20);
    assert_amount(bound(&limits, "stack")->current, 132 << 10);
    assert_int_equal(bound(&limits, "address space")->limit.kind, LG_UNLIMITED);
    assert_amount(bound(&limits, "open files")->limit, 4);
    assert_amount(bound(&limits, "open files")->current, 2);
    assert_amount(bound(&limits, "threads of the user")->current, 8); // Not those of user 1001.
    assert_amount(bound(&limits, "mappings")->current, 3);
    assert_amount(bound(&limits, "thread ids")->current, 412);
    assert_amount(bound(&limits, "physical memory")->current, 512 << 20);
    assert_int_equal(bound(&limits, "committed memory")->limit.kind, LG_UNLIMITED);
    assert_string_equal(lg_limits_nearest_count(&limits)->name, "open files");
    lg_limits_deinit(&limits);
}

static void without_overcommit_the_commit_limit_is_a_bound(void **state)
{
    write_at("proc/sys/vm/overcommit_memory", "2\n");
    struct lg_limits limits = read_place(false);
    assert_amount(lg_bound_headroom(bound(&limits, "committed memory")), UINT64_C(800000) << 10);
    lg_limits_deinit(&limits);
}

static void lines_of_limits_are_read_whole(void **state)
{
    const char *text = "Max open files            1024                 4096                 files     \n"
                       "Max data size             99999999999999999999 x                    bytes     \n"
                       "Max stack size            -1                   x                    bytes     \n"
                       "Max core file size        12x                  x                    bytes     \n"
                       "Max processes";
    assert_amount(lg_ulimit_parse(text, "Max open files"), 1024);
    static const char *const unknown[] = { "Max data size", "Max stack size", "Max core file size",
                                           "Max processes", "Max open",       "Max address space" };
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
        assert_int_equal(lg_ulimit_parse(text, unknown[i]).kind, LG_UNKNOWN);
}

static void what_cannot_be_read_is_unknown_and_says_why(void **state)
{
    static const char *const files[] = { "proc/7/status",
                                         "proc/7/limits",
                                         "proc/7/maps",
                                         "proc/7/cgroup",
                                         "proc/meminfo",
                                         "proc/loadavg",
                                         "proc/7/cmdline",
                                         "proc/sys/vm/max_map_count",
                                         "proc/sys/vm/overcommit_memory" };
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        remove_at(files[i]);
        struct lg_limits limits = read_place(true);
        for (size_t b = 0; b < limits.bounds.len; b++) {
            const struct lg_bound *row = &limits.bounds.at[b];
            bool known = row->limit.kind != LG_UNKNOWN && row->current.kind != LG_UNKNOWN;
            assert_true(known || row->problem);
        }
        for (size_t s = 0; s < limits.settings.len; s++) {
            assert_non_null(limits.settings.at[s].effect);
            assert_int_equal(!limits.settings.at[s].value,
                             limits.settings.at[s].source == LG_SOURCE_UNKNOWN);
        }
        lg_limits_deinit(&limits);
    }
}

#define machine_test(f) cmocka_unit_test_setup_teardown(f, make_machine, remove_machine)

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(a_file_of_one_number_is_read),
        machine_test(what_is_no_regular_file_is_not_waited_for),
        machine_test(a_link_does_not_lead_out_of_the_root),
        machine_test(a_file_is_cut_at_a_mebibyte),
        cmocka_unit_test(a_line_of_a_status_file_is_found_by_its_whole_key),
        cmocka_unit_test(a_group_is_found_in_the_hierarchy_of_its_controller),
        cmocka_unit_test(the_root_of_a_mount_is_taken_off_the_group),
        cmocka_unit_test(groups_and_mounts_that_make_no_sense_are_none),
        machine_test(version_1_has_a_row_for_each_level_with_a_limit),
        machine_test(version_2_goes_up_to_the_mount),
        machine_test(a_group_without_a_limit_has_its_usage),
        machine_test(a_group_whose_folder_is_not_there_is_unknown),
        machine_test(where_we_have_no_mount_the_containers_own_leads_there),
        machine_test(ulimits_are_compared_with_what_is_used),
        machine_test(without_overcommit_the_commit_limit_is_a_bound),
        cmocka_unit_test(lines_of_limits_are_read_whole),
        machine_test(what_cannot_be_read_is_unknown_and_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
