// Processes that a copy could be the end of: near the limit of their control group, writing to all that
// they have; and the limits that a user sets.
#include "control_group.h"
#include "filter.h"
#include "prey.h"

#include "target/room.h"
#include "util/cleanup.h"

enum { MB = 1 << 20, GROUP_MB = 256, BIG_MB = 243, SMALL_MB = 64, LIMIT_MS = 60000 };

// Joins the group named in its shared page, fills so much memory, and writes to all of it whenever told.
static int fill(struct prey *prey)
{
    size_t len = (size_t)atomic_load(&prey->shared->counts[1]) * MB;
    if (prey->shared->bytes[0] && !write_text(prey->shared->bytes, "cgroup.procs", "0"))
        return 92;
    char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 91;
    memset(memory, 1, len);
    atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go)) {
        if (atomic_load(&prey->shared->counts[2])) { // Busy.
            memset(memory, (int)atomic_load(&prey->shared->counts[0]), len);
            atomic_fetch_add(&prey->shared->counts[0], 1);
        } else {
            sleep_ms(1);
        }
    }
    return 7;
}

// `prey_start` with what `fill` has to know.
static int filled(struct prey *prey)
{
    while (!atomic_load(&prey->shared->counts[1]))
        sleep_ms(1);
    return fill(prey);
}

static void start(struct prey *prey, const struct group *group, unsigned mb, bool is_busy)
{
    prey_start(prey, filled);
    if (group)
        memcpy(prey->shared->bytes, group->path, sizeof(group->path));
    atomic_store(&prey->shared->counts[2], is_busy);
    atomic_store(&prey->shared->counts[1], mb);
    prey_await(prey, 1);
}

static void end(struct prey *prey)
{
    assert_untouched(prey->pid);
    atomic_store(&prey->shared->go, 1);
    assert_int_equal(prey_end(prey), 7);
}

// What the sanitizer itself writes into the prey counts as the copy's cost, and against the group's
// limit.
static bool sanitized(void)
{
#ifdef TEST_HAS_ASAN
    print_message("skipped: AddressSanitizer's own memory would be counted\n");
    return true;
#else
    return false;
#endif
}

static void a_busy_process_near_its_limit_is_read_stopped(void **state)
{
    if (sanitized())
        return;
    struct prey prey = { 0 };
    struct group group;
    if (!group_make(&group, GROUP_MB))
        return;
    start(&prey, &group, BIG_MB, true);
    prey_await_count(&prey, 0, 1);
    struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_int_equal(target->notes.len, 1);
    assert_non_null(strstr(target->notes.at[0], "MB left until its memory limit, or the machine's end"));
    assert_non_null(strstr(target->notes.at[0], "stands still while it is read"));
    assert_true(lg_live_cow_bytes(target) < 0);
    lg_target_free(target);
    prey_await_count(&prey, 0, 1);
    end(&prey);
    group_remove(&group);
}

static void a_process_at_95_percent_of_its_limit_outlives_its_copy(void **state)
{
    if (sanitized())
        return;
    struct prey prey = { 0 };
    struct group group;
    if (!group_make(&group, GROUP_MB))
        return;
    start(&prey, &group, BIG_MB, false);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    if (target->notes.len > 0) // It is read stopped: nothing is copied.
        lg_target_free(lg_steal(target));
    atomic_store(&prey.shared->counts[2], 1); // Now it writes to all of it.
    prey_await_count(&prey, 0, 2);
    lg_target_free(lg_steal(target));
    end(&prey);
    group_remove(&group);
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// A process that does nothing but write to pages that it shares with a child is what the estimate is
// for.
static void no_process_writes_much_faster_than_is_allowed_for(void **state)
{
    if (sanitized())
        return;
    double fastest = 0, allowed = 0;
    char *memory = mmap(NULL, SMALL_MB * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    madvise(memory, SMALL_MB * MB, MADV_NOHUGEPAGE);
    memset(memory, 1, SMALL_MB * MB);
    for (int i = 0; i < 5; i++) { // The best of each: whatever else the machine does makes them slower.
        int child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
            _exit(0);
        }
        double start = processor_seconds();
        for (size_t at = 0; at < SMALL_MB * MB; at += 4096)
            memory[at]++;
        double rate = SMALL_MB * MB / (processor_seconds() - start);
        fastest = rate > fastest ? rate : fastest;
        double now = (double)lg_room_write_rate();
        allowed = now > allowed ? now : allowed;
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    munmap(memory, SMALL_MB * MB);
    print_message("%.0f MB a second of a processor; allowed for: %.0f\n", fastest / MB, allowed / MB);
    assert_true(allowed > fastest / 3);
}

static void a_copy_that_costs_too_much_is_given_up(void **state)
{
    struct prey prey = { 0 };
    start(&prey, NULL, SMALL_MB, false);
    const struct lg_target_options options = { .max_cow = 8 * MB };
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open_as(prey.pid, &options, NULL, &target));
    assert_true(lg_live_cow_bytes(target) >= 0 && lg_live_cow_bytes(target) < 8 * MB);
    assert_string_equal(lg_live_lost_reason(target), "");
    atomic_store(&prey.shared->counts[2], 1);
    prey_await_count(&prey, 0, 2);
    for (int ms = 0; ms < LIMIT_MS && !lg_live_is_lost(target); ms++)
        sleep_ms(1);
    assert_non_null(strstr(lg_live_lost_reason(target), "more than --max-cow allows"));
    assert_true(lg_live_cow_bytes(target) > 8 * MB);
    int alive = 1, zombies = 0; // It is said before it is done.
    for (int ms = 0; ms < LIMIT_MS && alive + zombies > 0; ms++) {
        count_children(prey.pid, &alive, &zombies);
        sleep_ms(1);
    }
    assert_untouched(prey.pid);
    assert_ok(lg_target_retake(target, 0));
    lg_target_free(lg_steal(target));
    end(&prey);
}

static void reading_a_copy_costs_no_memory(void **state)
{
    if (sanitized())
        return;
    struct prey prey = { 0 };
    start(&prey, NULL, SMALL_MB, false);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    _cleanup_free_ uint8_t *bytes = malloc(MB);
    assert_non_null(bytes);
    for (size_t i = 0; i < target->ranges.len; i++) {
        const struct lg_range *range = &target->ranges.at[i];
        bool is_filled = range->access & LG_WRITE && range->end - range->start >= SMALL_MB * MB;
        for (uint64_t at = range->start; is_filled && at < range->start + SMALL_MB * MB; at += MB)
            lg_target_read(target, at, bytes, MB);
    }
    assert_true(lg_live_cow_bytes(target) < 8 * MB);
    lg_target_free(lg_steal(target));
    end(&prey);
}

static void a_pause_that_would_be_too_long_is_refused(void **state)
{
    struct prey prey = { 0 };
    start(&prey, NULL, SMALL_MB, false);
    const struct lg_target_options options = { .max_pause_ms = 0.5 };
    struct lg_target *target = NULL;
    struct lg_error *err = lg_live_open_as(prey.pid, &options, NULL, &target);
    assert_non_null(err);
    assert_non_null(strstr(lg_error_message(err), ": would stand still for some "));
    lg_error_free(err);
    end(&prey);
}

static int filled_behind_a_filter(struct prey *prey)
{
    refuse_call(SYS_clone, SECCOMP_RET_ERRNO | EPERM);
    return filled(prey);
}

static void a_process_that_stands_still_is_let_go_in_time(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, filled_behind_a_filter);
    atomic_store(&prey.shared->counts[2], 1);
    atomic_store(&prey.shared->counts[1], 1);
    prey_await(&prey, 1);
    const struct lg_target_options options = { .max_pause_ms = 400 };
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open_as(prey.pid, &options, NULL, &target));
    prey_await_count(&prey, 0, 1);
    assert_true(lg_live_is_lost(target));
    assert_non_null(strstr(lg_live_lost_reason(target), "was let go after the 400 ms of --max-pause"));
    lg_target_free(lg_steal(target));
    end(&prey);
}

int main(void)
{
    alarm(240); // Rather than for ever.
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_process_near_its_limit_is_read_stopped),
        cmocka_unit_test(a_process_at_95_percent_of_its_limit_outlives_its_copy),
        cmocka_unit_test(no_process_writes_much_faster_than_is_allowed_for),
        cmocka_unit_test(a_copy_that_costs_too_much_is_given_up),
        cmocka_unit_test(reading_a_copy_costs_no_memory),
        cmocka_unit_test(a_pause_that_would_be_too_long_is_refused),
        cmocka_unit_test(a_process_that_stands_still_is_let_go_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
