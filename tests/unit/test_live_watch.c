// A watch sees the process as it stands still, before there is a copy of it.
#include "prey.h"

#include "target/proc.h"
#include "util/cleanup.h"

enum { SIZE = 1 << 20 };

static int fill_memory(struct prey *prey)
{
    char byte;
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 'x', SIZE);
    prey->shared->address = memory;
    atomic_fetch_add(&prey->shared->ready, 1);
    return read(prey->pipe[0], &byte, 1) == 1 ? byte : 99;
}

struct sight {
    unsigned count;
    char state;
    int64_t private_kb;
};

static void look(void *data, int proc)
{
    struct sight *sight = data;
    char text[LG_PROC_TEXT];
    sight->count++;
    sight->state = lg_proc_state(proc, "stat");
    const char *line = lg_proc_read(proc, "smaps_rollup", text, sizeof(text)) > 0
                           ? strstr(text, "\nPrivate_Dirty:")
                           : NULL;
    sight->private_kb = line ? atoi(line + strlen("\nPrivate_Dirty:")) : -1;
}

static void a_watch_comes_after_the_stop_and_before_the_copy(void **state)
{
    struct prey prey = { 0 };
    struct sight sight = { 0 };
    prey_start(&prey, fill_memory);
    prey_await(&prey, 1);
    const struct lg_live_watch watch = { .stopped = look, .data = &sight };
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open_with(prey.pid, &watch, &target));
    assert_int_equal(sight.count, 1);
    assert_int_equal(sight.state, 't');
    assert_true(sight.private_kb >= SIZE / 1024);
    assert_true(lg_target_can_retake(target));
    assert_ok(lg_target_retake(target, 1));
    assert_int_equal(sight.count, 2);
    assert_true(sight.private_kb >= SIZE / 1024); // The copy before is gone.
    lg_live_set_watch(target, NULL);
    assert_ok(lg_target_retake(target, 1));
    assert_int_equal(sight.count, 2);
    lg_target_free(lg_steal(target));
    prey_kill(&prey);
}

static void without_a_copy_the_process_itself_is_read_as_it_runs(void **state)
{
    struct prey prey = { 0 };
    struct sight sight = { 0 };
    prey_start(&prey, fill_memory);
    prey_await(&prey, 1);
    const struct lg_live_watch watch = { .stopped = look, .data = &sight, .after = LG_AFTER_GO };
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open_with(prey.pid, &watch, &target));
    assert_int_equal(sight.state, 't');
    assert_true(lg_live_pause_ms(target) > 0);
    assert_int_equal(target->notes.len, 0);
    char byte = 0;
    assert_int_equal(
        lg_target_read(target, (uint64_t)(uintptr_t)prey.shared->address + SIZE - 1, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_untouched(prey.pid);
    assert_int_equal(write(prey.pipe[1], "\7", 1), 1);
    assert_int_equal(prey_end(&prey), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_comes_after_the_stop_and_before_the_copy),
        cmocka_unit_test(without_a_copy_the_process_itself_is_read_as_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
