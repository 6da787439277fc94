#include "test.h"

#include <sched.h>
#include <stdatomic.h>

#include "util/parallel.h"

enum { COUNT = 10000 };

struct work {
    atomic_int done[COUNT];
    atomic_size_t most;
};

static void note(void *data, size_t i, size_t worker)
{
    struct work *work = data;
    atomic_fetch_add(&work->done[i], 1);
    size_t most = atomic_load(&work->most);
    while (worker > most && !atomic_compare_exchange_weak(&work->most, &most, worker))
        ;
}

static void everything_is_done_once_by_workers_below_their_number(void **state)
{
    static struct work work;
    lg_parallel(COUNT, note, &work);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(atomic_load(&work.done[i]), 1);
    assert_true(atomic_load(&work.most) < lg_workers());
}

static void processors_that_come_and_go_do_not_change_the_number(void **state)
{
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    size_t workers = lg_workers();
    int cpu = 0;
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(lg_workers(), workers);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_done_once_by_workers_below_their_number),
        cmocka_unit_test(processors_that_come_and_go_do_not_change_the_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
