// Handles that come and go: places are used again, handles are given other objects, events are lost.
#include "test.h"

#include <string.h>

#include "collect/handles_seen.h"

enum { SET = 30, DESTROY = 31 };

struct play {
    struct lg_handles_seen seen;
    struct lg_allocations stacks;
    uint64_t time;
};

static void play(struct play *play, uint32_t id, uint64_t handle, uint32_t kind, uint64_t frame)
{
    uint8_t payload[34] = { 0 };
    const struct lg_event_kind event_kind = { .provider = LG_PROVIDER_RUNTIME, .id = id };
    const struct lg_event event = { .kind = &event_kind,
                                    .time = ++play->time,
                                    .payload = payload,
                                    .payload_size = id == SET ? 34 : 10,
                                    .stack = &frame,
                                    .stack_count = frame ? 1 : 0 };
    memcpy(payload, &handle, 8);
    memcpy(payload + 16, &kind, id == SET ? 4 : 0);
    assert_ok(lg_handles_seen_event(&play->seen, &play->stacks, &event));
}

static void lose(struct play *play)
{
    const struct lg_event_loss loss = { .count = 3, .since = play->time, .until = play->time + 1 };
    lg_handles_seen_lost(&play->seen, &loss);
}

// The frame of the site of the handle that is left at an address; 0: none.
static uint64_t site(const struct play *play, uint64_t handle)
{
    for (size_t i = 0; i < play->seen.all.len; i++) {
        const struct lg_handle_seen *at = &play->seen.all.at[i];
        if (at->address == handle && at->state == LG_HANDLE_MADE)
            return play->stacks.ips.at[play->stacks.origins.at[at->origin].stack];
    }
    return 0;
}

static struct play *begin(void)
{
    static struct play play;
    memset(&play, 0, sizeof(play));
    play.seen.window_start = play.seen.window_end = UINT64_MAX;
    return &play;
}

static void end(struct play *play)
{
    lg_handles_seen_deinit(&play->seen);
    lg_allocations_deinit(&play->stacks);
}

static void a_place_that_is_used_again_belongs_to_the_last(void **state)
{
    (void)state;
    struct play *p = begin();
    play(p, SET, 0x1000, 2, 0x111);
    play(p, DESTROY, 0x1000, 0, 0);
    assert_int_equal(site(p, 0x1000), 0);
    play(p, SET, 0x1000, 3, 0x222);
    play(p, SET, 0x1000, 3, 0x333); // Is given another object.
    assert_int_equal(site(p, 0x1000), 0x222);
    assert_int_equal(p->seen.made, 2);
    assert_int_equal(p->seen.freed, 1);
    assert_int_equal(p->seen.assigned, 1);
    end(p);
}

static void what_was_there_before_is_not_made(void **state)
{
    (void)state;
    struct play *p = begin();
    assert_ok(lg_handles_seen_before(&p->seen, 0x1000));
    play(p, SET, 0x1000, 2, 0x111);
    assert_int_equal(site(p, 0x1000), 0);
    play(p, DESTROY, 0x1000, 0, 0);
    play(p, SET, 0x1000, 2, 0x222);
    assert_int_equal(site(p, 0x1000), 0x222);
    assert_int_equal(p->seen.freed, 0);
    end(p);
}

static void after_a_loss_only_places_seen_to_be_free_are_believed(void **state)
{
    (void)state;
    struct play *p = begin();
    play(p, SET, 0x1000, 2, 0x111);
    play(p, SET, 0x2000, 2, 0x111);
    lose(p);
    assert_int_equal(site(p, 0x1000), 0);
    play(p, SET, 0x1000, 2, 0x222); // Made, or given: who knows.
    play(p, SET, 0x3000, 2, 0x222);
    assert_int_equal(site(p, 0x1000), 0);
    assert_int_equal(site(p, 0x3000), 0);
    play(p, DESTROY, 0x3000, 0, 0);
    play(p, SET, 0x3000, 2, 0x333);
    assert_int_equal(site(p, 0x3000), 0x333);
    assert_int_equal(p->seen.dropped_lost, 3);
    assert_int_equal(p->seen.lost_events, 3);
    end(p);
}

static void what_comes_after_the_copy_is_not_taken(void **state)
{
    (void)state;
    struct play *p = begin();
    play(p, SET, 0x1000, 2, 0x111);
    p->seen.window_start = p->seen.window_end = p->time;
    play(p, DESTROY, 0x1000, 0, 0);
    lose(p);
    assert_int_equal(site(p, 0x1000), 0x111);
    end(p);
}

static void events_that_are_cut_are_passed_over(void **state)
{
    (void)state;
    struct play *p = begin();
    const uint8_t payload[20] = { 0 };
    for (uint32_t id = SET; id <= DESTROY; id++) {
        for (size_t size = 0; size < (id == SET ? 20 : 8); size++) {
            const struct lg_event_kind kind = { .provider = LG_PROVIDER_RUNTIME, .id = id };
            const struct lg_event event = { .kind = &kind, .payload = payload, .payload_size = size };
            assert_ok(lg_handles_seen_event(&p->seen, &p->stacks, &event));
        }
    }
    assert_int_equal(p->seen.all.len, 0);
    end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_that_is_used_again_belongs_to_the_last),
        cmocka_unit_test(what_was_there_before_is_not_made),
        cmocka_unit_test(after_a_loss_only_places_seen_to_be_free_are_believed),
        cmocka_unit_test(what_comes_after_the_copy_is_not_taken),
        cmocka_unit_test(events_that_are_cut_are_passed_over),
    };
    return cmocka_run_group_tests_name("handles_seen", tests, NULL, NULL);
}
