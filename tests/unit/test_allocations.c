// Samples that are followed through GCs, by made-up events.
#include "test.h"

#include <math.h>
#include <string.h>

#include "collect/allocations.h"

enum { START = 1, END = 2, TICK = 10, SURVIVED = 21, MOVED = 22, GENERATION = 23, SAMPLED = 303 };
enum { BLOCKING, BACKGROUND, FOREGROUND };
enum { APP = 7, BGC = 100 }; // threads
enum { LOH = 3 };

// A run under construction; time goes on with each event.
struct run {
    struct lg_allocations all;
    uint64_t time, thread;
    uint8_t bytes[256];
    size_t len;
};

static enum lg_thread_sort thread_sort(void *data, uint64_t thread)
{
    return thread == BGC ? LG_THREAD_BACKGROUND_GC : LG_THREAD_OTHER;
}

static struct run new_run(void)
{
    struct run run = { .thread = APP };
    run.all.thread_sort = thread_sort;
    run.all.window_start = run.all.window_end = UINT64_MAX;
    return run;
}
static void end_run(struct run *run)
{
    lg_allocations_deinit(&run->all);
}

static void put(struct run *run, uint64_t value, size_t size)
{
    memcpy(run->bytes + run->len, &value, size);
    run->len += size;
}

static void tell_version(struct run *run, uint32_t id, uint32_t version)
{
    static const uint64_t stack[] = { 0x1111, 0x2222 };
    const struct lg_event_kind kind = { .provider = LG_PROVIDER_RUNTIME, .id = id, .version = version };
    const struct lg_event event = {
        .kind = &kind,
        .time = ++run->time,
        .thread = run->thread,
        .capture_thread = run->thread,
        .payload = run->bytes,
        .payload_size = run->len,
        .stack = stack,
        .stack_count = id == SAMPLED || id == TICK ? 2 : 0,
    };
    assert_ok(lg_allocations_event(&run->all, &event));
    run->len = 0;
}
static void tell(struct run *run, uint32_t id)
{
    tell_version(run, id, 2);
}

// 0x20 bytes of type 0x100.
static void sample(struct run *run, uint64_t address)
{
    put(run, 0, 6);
    put(run, 0x100, 8);
    put(run, 0, 2); // name
    put(run, address, 8);
    put(run, 0x20, 8);
    put(run, 0, 8);
    tell(run, SAMPLED);
}

static void tick(struct run *run, uint32_t version, uint64_t address, uint64_t size)
{
    put(run, 0, 8);
    put(run, 0, 2);
    put(run, 102400, 8);
    put(run, 0x100, 8);
    put(run, 0, 2);
    put(run, 0, 4);
    put(run, address, 8);
    if (version >= 4)
        put(run, size, 8);
    tell_version(run, TICK, version);
}

static void start(struct run *run, uint32_t number, uint32_t generation, uint32_t kind)
{
    put(run, number, 4);
    put(run, generation, 4);
    put(run, 0, 4);
    put(run, kind, 4);
    tell(run, START);
}
static void generation(struct run *run, uint8_t number, uint64_t start, uint64_t length)
{
    put(run, number, 1);
    put(run, start, 8);
    put(run, length, 8);
    tell(run, GENERATION);
}
// gen0 at 0x10000, gen1 at 0x20000, gen2 at 0x30000, large objects at 0x40000, 0x1000 bytes each
static void generations(struct run *run)
{
    for (uint8_t i = 0; i <= LOH; i++)
        generation(run, i, 0x10000 * (uint64_t)(i + 1), 0x1000);
}
static void moved(struct run *run, uint64_t from, uint64_t to, uint64_t length)
{
    put(run, 0, 4);
    put(run, 1, 4);
    put(run, 0, 2);
    put(run, from, 8);
    put(run, to, 8);
    put(run, length, 8);
    tell(run, MOVED);
}
static void survived(struct run *run, uint64_t from, uint64_t length)
{
    put(run, 0, 4);
    put(run, 1, 4);
    put(run, 0, 2);
    put(run, from, 8);
    put(run, length, 8);
    tell(run, SURVIVED);
}
static void end(struct run *run, uint32_t number, uint32_t generation)
{
    put(run, number, 4);
    put(run, generation, 4);
    tell(run, END);
}

static bool is_at(struct run *run, uint64_t address)
{
    for (size_t i = 0; i < run->all.live.len; i++) {
        if (run->all.live.at[i].address == address)
            return true;
    }
    return false;
}

static void a_gc_moves_keeps_and_kills(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    static const uint64_t at[] = { 0x10000, 0x10100, 0x10200, 0x20010, 0x30010, 0x40010 };
    for (size_t i = 0; i < 6; i++)
        sample(&run, at[i]);
    start(&run, 1, 1, BLOCKING);
    generations(&run);
    moved(&run, 0x10000, 0x20800, 0x40);
    survived(&run, 0x10100, 0x20);
    generation(&run, 0, 0x90000, 0x1000); // of the heap afterwards
    end(&run, 1, 1);
    assert_int_equal(run.all.live.len, 4);
    assert_true(is_at(&run, 0x20800) && is_at(&run, 0x10100)); // by what is told
    assert_true(is_at(&run, 0x30010) && is_at(&run, 0x40010)); // untouched
    assert_int_equal(run.all.dead, 2);
    assert_int_equal(run.all.unplaced, 0);
    assert_int_equal(run.all.gcs, 1);
    assert_int_equal(run.all.origins.len, 1);
}

static void a_full_gc_looks_at_large_objects(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    sample(&run, 0x40010);
    sample(&run, 0x40100);
    start(&run, 1, 2, BLOCKING);
    generations(&run);
    survived(&run, 0x40100, 0x20);
    end(&run, 1, 2);
    assert_int_equal(run.all.live.len, 1);
    assert_true(is_at(&run, 0x40100));
}

static void a_new_object_at_the_place_of_a_dead_one_takes_it(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    sample(&run, 0x10000);
    sample(&run, 0x10000);
    lg_allocations_finish(&run.all);
    assert_int_equal(run.all.live.len, 1);
    assert_int_equal(run.all.live.at[0].time, 2);
    assert_int_equal(run.all.dead, 1);
}

static void what_lies_in_no_generation_is_counted(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    sample(&run, 0x77000);
    start(&run, 1, 0, BLOCKING);
    generations(&run);
    moved(&run, 0x10000, 0x20800, 0x40);
    end(&run, 1, 0);
    assert_int_equal(run.all.live.len, 0);
    assert_int_equal(run.all.unplaced, 1);
}

static void a_background_gc_kills_only_what_was_there_all_the_time(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    static const uint64_t at[] = { 0x10000, 0x30000, 0x30100, 0x40000 };
    for (size_t i = 0; i < 4; i++)
        sample(&run, at[i]);
    start(&run, 1, 2, BACKGROUND);
    generations(&run);
    start(&run, 2, 0, FOREGROUND); // It makes one old, where the background one may sweep.
    generations(&run);
    moved(&run, 0x10000, 0x30400, 0x20);
    end(&run, 2, 0);
    sample(&run, 0x10800);
    sample(&run, 0x30600);
    run.thread = BGC;
    survived(&run, 0x30100, 0x20);
    survived(&run, 0x30600, 0x20);
    run.thread = APP;
    sample(&run, 0x40800); // after it told
    run.thread = BGC;
    end(&run, 1, 2);
    assert_int_equal(run.all.background_gcs, 1);
    assert_true(is_at(&run, 0x30100) && is_at(&run, 0x30600) && is_at(&run, 0x40800));
    assert_int_equal(run.all.live.len, 3);
    assert_int_equal(run.all.dead, 2);               // 0x30000, 0x40000
    assert_int_equal(run.all.dropped_background, 2); // 0x30400, 0x10800
}

// What lies in gen0 or gen1 as it tells may be another object's room since, wherever that goes then.
static void what_a_background_gc_leaves_in_doubt_stays_so_when_it_is_moved(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    sample(&run, 0x10000);
    start(&run, 1, 2, BACKGROUND);
    generations(&run);
    sample(&run, 0x10800);
    run.thread = BGC;
    survived(&run, 0x30100, 0x20);
    run.thread = APP;
    sample(&run, 0x10900); // after it told
    start(&run, 2, 0, FOREGROUND);
    generations(&run);
    moved(&run, 0x10000, 0x20400, 0x20);
    moved(&run, 0x10800, 0x20420, 0x120);
    end(&run, 2, 0);
    assert_int_equal(run.all.dropped_background, 2);
    run.thread = BGC;
    end(&run, 1, 2);
    assert_int_equal(run.all.live.len, 1);
    assert_true(is_at(&run, 0x20520));
}

static void a_background_gc_that_goes_on_when_the_copy_is_made_is_judged(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    static const uint64_t at[] = { 0x10000, 0x30000, 0x30100 };
    for (size_t i = 0; i < 3; i++)
        sample(&run, at[i]);
    start(&run, 1, 2, BACKGROUND);
    generations(&run);
    run.thread = BGC;
    survived(&run, 0x30100, 0x20);
    lg_allocations_finish(&run.all);
    assert_true(run.all.live.len == 1 && is_at(&run, 0x30100));
}

static void a_background_gc_that_becomes_blocking_moves(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    sample(&run, 0x30000);
    sample(&run, 0x30100);
    start(&run, 1, 2, BACKGROUND);
    generations(&run);
    moved(&run, 0x30100, 0x30000, 0x20);
    end(&run, 1, 2);
    assert_int_equal(run.all.became_blocking, 1);
    assert_int_equal(run.all.live.len, 1);
    assert_true(is_at(&run, 0x30000));
    assert_int_equal(run.all.dead, 1);
}

// Its thread alone says so: it sweeps.
static void a_background_gc_that_another_thread_ends_is_blocking(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    sample(&run, 0x10000);
    sample(&run, 0x30100);
    start(&run, 1, 2, BACKGROUND);
    generations(&run);
    survived(&run, 0x10000, 0x20);
    end(&run, 1, 2);
    assert_int_equal(run.all.became_blocking, 1);
    assert_true(run.all.live.len == 1 && is_at(&run, 0x10000));
}

static void a_number_that_is_left_out_costs_all_samples(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    start(&run, 5, 0, BLOCKING);
    generations(&run);
    end(&run, 5, 0);
    sample(&run, 0x30000);
    start(&run, 7, 0, BLOCKING);
    generations(&run);
    end(&run, 7, 0);
    assert_int_equal(run.all.live.len, 0);
    assert_int_equal(run.all.missing_gcs, 1);
    assert_int_equal(run.all.dropped_missing, 1);
    sample(&run, 0x30100);
    start(&run, 8, 0, BLOCKING);
    generations(&run);
    end(&run, 8, 0);
    assert_true(is_at(&run, 0x30100));
    assert_int_equal(run.all.missing_gcs, 1);
    start(&run, 3, 0, BLOCKING); // backwards: events of no runtime
    assert_int_equal(run.all.live.len, 0);
}

static void events_that_do_not_fit_cost_all_samples(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    sample(&run, 0x30000);
    end(&run, 1, 0); // never began
    assert_int_equal(run.all.dropped_confused, 1);
    sample(&run, 0x30000);
    start(&run, 2, 0, BLOCKING);
    start(&run, 3, 0, BLOCKING); // the one before has no end
    assert_int_equal(run.all.dropped_confused, 2);
    sample(&run, 0x30000);
    survived(&run, 0x30000, 0x20); // of no GC
    assert_int_equal(run.all.dropped_confused, 3);
    start(&run, 4, 0, BLOCKING);
    sample(&run, 0x10000); // while threads stand still
    assert_int_equal(run.all.dropped_confused, 4);
    put(&run, 0, 4);
    put(&run, 9, 4); // nine ranges, and none there
    tell(&run, MOVED);
    end(&run, 4, 0);
    assert_int_equal(run.all.live.len, 0);
}

static void lost_events_cost_all_samples(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    sample(&run, 0x30000);
    lg_allocations_lost(&run.all, &(struct lg_event_loss){ APP, 3, 1, 2 });
    assert_int_equal(run.all.live.len, 0);
    assert_int_equal(run.all.dropped_lost, 1);
    assert_int_equal(run.all.lost_events, 3);
    sample(&run, 0x30000);
    assert_int_equal(run.all.live.len, 1);
    assert_int_equal(run.all.origins.len, 2); // Code may be another since.
    lg_allocations_set_window(&run.all, 2, 2);
    lg_allocations_lost(&run.all, &(struct lg_event_loss){ APP, 3, 4, 5 }); // after the copy
    assert_int_equal(run.all.live.len, 1);
}

static void what_moves_while_the_copy_is_made_is_given_up(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    sample(&run, 0x10000); // 1
    sample(&run, 0x30000);
    lg_allocations_set_window(&run.all, 3, 20);
    run.time = 3;
    start(&run, 1, 0, BLOCKING);
    generations(&run);
    moved(&run, 0x10000, 0x20800, 0x40);
    end(&run, 1, 0);
    sample(&run, 0x10000);
    run.time = 20;
    sample(&run, 0x10100);
    assert_true(run.all.is_over);
    assert_true(run.all.live.len == 1 && is_at(&run, 0x30000));
    assert_int_equal(run.all.dropped_window, 1);
    sample(&run, 0x10200); // It is over.
    assert_int_equal(run.all.live.len, 1);
}

static void a_gc_that_goes_on_when_the_copy_is_made_costs_all(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    sample(&run, 0x30000);
    start(&run, 1, 0, BLOCKING); // 2
    lg_allocations_set_window(&run.all, 3, 4);
    run.time = 10;
    sample(&run, 0x10000);
    assert_true(run.all.is_over);
    assert_int_equal(run.all.live.len, 0);
    assert_int_equal(run.all.dropped_confused, 1);
}

static void estimates_are_by_the_chance_of_a_sample(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    for (uint64_t i = 0; i < 10; i++)
        sample(&run, 0x10000 + i * 0x20);
    const struct lg_alloc_origin *origin = &run.all.origins.at[0];
    double share = 1 - pow(1 - 1 / 102400.0, 0x20);
    assert_true(fabs(origin->count * share / 10 - 1) < 1e-9);
    assert_true(fabs(origin->bytes * share / 320 - 1) < 1e-9);
    assert_true(fabs(origin->count_var * share * share / 10 / (1 - share) - 1) < 1e-9);
    assert_false(run.all.uses_ticks);
}

static void a_tick_stands_for_what_was_allocated_since_the_last(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    tick(&run, 4, 0x10000, 1024);
    const struct lg_alloc_origin *origin = &run.all.origins.at[0];
    assert_true(run.all.uses_ticks);
    assert_true(fabs(origin->count - 100) < 1e-9 && fabs(origin->bytes - 102400) < 1e-6);
    tick(&run, 4, 0x40000, 200000); // larger than that: each is a sample
    assert_true(fabs(origin->count - 101) < 1e-9 && fabs(origin->bytes - 302400) < 1e-6);
    assert_int_equal(origin->unsized, 0);
}

static void a_size_that_is_not_told_is_not_known(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    tick(&run, 3, 0x10000, 0);
    const struct lg_alloc_origin *origin = &run.all.origins.at[0];
    assert_int_equal(origin->unsized, 1);
    assert_true(origin->count == 0 && fabs(origin->bytes - 102400) < 1e-6);
    assert_int_equal(run.all.live.at[0].size, 0);
    assert_true(fabs(lg_allocations_tick_share(1024, run.all.live.at[0].amount) - 0.01) < 1e-9);
    tick(&run, 2, 0x10000, 0); // without an address: nothing to follow
    assert_int_equal(run.all.samples, 1);
}

static void what_is_cut_is_passed_over(void **state)
{
    _cleanup_(end_run) struct run run = new_run();
    for (size_t size = 0; size < 38; size++) {
        run.len = size;
        tell(&run, SAMPLED);
    }
    for (size_t size = 0; size < 46; size++) {
        run.len = size;
        tell_version(&run, TICK, 4);
    }
    assert_int_equal(run.all.samples, 0);
    for (size_t size = 0; size < 16; size++) {
        run.len = size;
        tell(&run, START);
    }
    assert_int_equal(run.all.gcs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gc_moves_keeps_and_kills),
        cmocka_unit_test(a_full_gc_looks_at_large_objects),
        cmocka_unit_test(a_new_object_at_the_place_of_a_dead_one_takes_it),
        cmocka_unit_test(what_lies_in_no_generation_is_counted),
        cmocka_unit_test(a_background_gc_kills_only_what_was_there_all_the_time),
        cmocka_unit_test(what_a_background_gc_leaves_in_doubt_stays_so_when_it_is_moved),
        cmocka_unit_test(a_background_gc_that_goes_on_when_the_copy_is_made_is_judged),
        cmocka_unit_test(a_background_gc_that_becomes_blocking_moves),
        cmocka_unit_test(a_background_gc_that_another_thread_ends_is_blocking),
        cmocka_unit_test(a_number_that_is_left_out_costs_all_samples),
        cmocka_unit_test(events_that_do_not_fit_cost_all_samples),
        cmocka_unit_test(lost_events_cost_all_samples),
        cmocka_unit_test(what_moves_while_the_copy_is_made_is_given_up),
        cmocka_unit_test(a_gc_that_goes_on_when_the_copy_is_made_costs_all),
        cmocka_unit_test(estimates_are_by_the_chance_of_a_sample),
        cmocka_unit_test(a_tick_stands_for_what_was_allocated_since_the_last),
        cmocka_unit_test(a_size_that_is_not_told_is_not_known),
        cmocka_unit_test(what_is_cut_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
