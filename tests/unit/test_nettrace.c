#include "unit/test.h"

#include <stdio.h>
#include <string.h>

#include "diag/nettrace.h"
#include "linger/error.h"
#include "unit/stream.h"

// Two threads, out of order between them; the second loses its event 2 on the way, and 4 and 5 at the
// end.
static void put_example(struct stream *s)
{
    put_header(s);
    put_kind(s, 3, "Microsoft-Windows-DotNETRuntime", 10);
    put_stack(s, 1, 0x1000);
    last_sequence = last_time = 0;
    begin_events(s, "EventBlock");
    put_event(s, 3, 1, 1, 100, true, "a");
    put_event(s, 3, 1, 2, 400, false, "b");
    put_event(s, 3, 2, 1, 200, true, "c");
    put_event(s, 3, 2, 3, 300, false, "d");
    end_block(s);
    put_sequence_point(s, 500, 2, 5);
    put_end(s);
}

struct story {
    char text[256];
};
static struct lg_error *tell_event(void *self, const struct lg_event *event)
{
    struct story *story = self;
    size_t n = strlen(story->text);
    assert_int_equal(event->kind->provider, LG_PROVIDER_RUNTIME);
    assert_int_equal(event->kind->id, 10);
    assert_int_equal(event->kind->version, 4);
    assert_string_equal(event->kind->name, "Name");
    assert_int_equal(event->stack_count, 2);
    assert_int_equal(event->stack[1], 0x1001);
    snprintf(story->text + n, sizeof(story->text) - n, "%.*s/%llu@%llu ", (int)event->payload_size,
             (const char *)event->payload, (unsigned long long)event->thread,
             (unsigned long long)event->time);
    return NULL;
}
static void tell_loss(void *self, const struct lg_event_loss *loss)
{
    struct story *story = self;
    size_t n = strlen(story->text);
    snprintf(story->text + n, sizeof(story->text) - n, "-%llu/%llu@%llu..%llu ",
             (unsigned long long)loss->count, (unsigned long long)loss->thread,
             (unsigned long long)loss->since, (unsigned long long)loss->until);
}

static struct lg_error *read_stream(const struct stream *s, size_t piece, unsigned flags,
                                    struct story *story, struct lg_nettrace_facts *facts_ret)
{
    struct lg_event_handler handler = { story, tell_event, tell_loss };
    _cleanup_(lg_nettrace_freep) struct lg_nettrace *trace = NULL;
    struct lg_error *err = lg_nettrace_new(&handler, flags, &trace);
    for (size_t at = 0; !err && at < s->bytes.len; at += piece)
        err = lg_nettrace_feed(trace, s->bytes.at + at,
                               s->bytes.len - at < piece ? s->bytes.len - at : piece);
    if (!err)
        err = lg_nettrace_finish(trace);
    *facts_ret = *lg_nettrace_facts(trace);
    return err;
}

static void check_example(bool is_v6, size_t piece)
{
    struct stream s = { .is_v6 = is_v6 };
    struct lg_nettrace_facts facts;
    put_example(&s);
    struct story story = { "" }, ordered = { "" };
    assert_ok(read_stream(&s, piece, 0, &story, &facts));
    unsigned one = is_v6 ? 101 : 1, two = is_v6 ? 102 : 2;
    char expected[256];
    snprintf(expected, sizeof(expected),
             "a/%u@100 b/%u@400 c/%u@200 -1/%u@200..300 d/%u@300 -2/%u@300..500 ", one, one, two, two,
             two, two);
    assert_string_equal(story.text, expected);
    assert_int_equal(facts.lost, 3);
    assert_int_equal(facts.events, 4);
    assert_int_equal(facts.disordered, 2);
    assert_int_equal(facts.pid, 77);
    assert_int_equal(facts.start_utc, 86400000 + 1005);
    assert_int_equal(facts.version, is_v6 ? 6 : 4);
    assert_true(facts.ended);
    assert_ok(read_stream(&s, piece, LG_NETTRACE_IN_ORDER, &ordered, &facts));
    snprintf(expected, sizeof(expected),
             "a/%u@100 c/%u@200 -1/%u@200..300 d/%u@300 b/%u@400 -2/%u@300..500 ", one, two, two, two,
             one, two);
    assert_string_equal(ordered.text, expected);
    assert_int_equal(facts.disordered, 0);
    lg_vec_free(&s.bytes);
}

static void test_versions_and_pieces(void **state)
{
    for (size_t piece = 1; piece < 1000; piece += piece < 40 ? 1 : 300) {
        check_example(false, piece);
        check_example(true, piece);
    }
}

// A cut stream tells all whole blocks and no part of another, and says that it was cut.
static void test_cut_anywhere(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct stream s = { .is_v6 = v6 };
        put_example(&s);
        size_t size = s.bytes.len;
        for (s.bytes.len = 0; s.bytes.len < size; s.bytes.len++) {
            struct story story = { "" };
            struct lg_nettrace_facts facts;
            assert_ok(read_stream(&s, 64, LG_NETTRACE_IN_ORDER, &story, &facts));
            assert_false(facts.ended);
            assert_true(facts.events == 0 || facts.events == 4);
        }
        lg_vec_free(&s.bytes);
    }
}

static void test_thread_id_used_again(void **state)
{
    struct stream s = { 0 };
    put_header(&s);
    put_kind(&s, 3, "Microsoft-Windows-DotNETRuntime", 10);
    put_stack(&s, 1, 0x1000);
    last_sequence = last_time = 0;
    begin_events(&s, "EventBlock");
    put_event(&s, 3, 1, 1, 100, true, "a");
    put_event(&s, 3, 1, 2, 200, false, "b");
    put_event(&s, 3, 1, 1, 300, true, "c");
    put_event(&s, 3, 1, 0, 350, true, "d"); // No runtime counts from 0: nothing was lost before it.
    end_block(&s);
    put_sequence_point(&s, 400, 1, 0);
    put_end(&s);
    struct story story = { "" };
    struct lg_nettrace_facts facts;
    assert_ok(read_stream(&s, 1000, 0, &story, &facts));
    assert_int_equal(facts.lost, 0);
    lg_vec_free(&s.bytes);
}

static void test_unknown_kind_is_lost(void **state)
{
    struct stream s = { 0 };
    put_header(&s);
    last_sequence = last_time = 0;
    begin_events(&s, "EventBlock");
    put_event(&s, 9, 1, 1, 100, true, "a");
    end_block(&s);
    put_end(&s);
    struct story story = { "" };
    struct lg_nettrace_facts facts;
    assert_ok(read_stream(&s, 1000, 0, &story, &facts));
    assert_string_equal(story.text, "-1/1@100..100 ");
    lg_vec_free(&s.bytes);
}

static void test_damage_is_told(void **state)
{
    struct stream s = { 0 };
    struct story story = { "" };
    struct lg_nettrace_facts facts;
    put(&s, "DOTNET_IPC_V1\0\0\0", 16);
    assert_error(read_stream(&s, 100, 0, &story, &facts), LG_ERR_UNSUPPORTED, "no nettrace stream");
    s.bytes.len = 0;
    put_header(&s);
    size_t header = s.bytes.len;
    put(&s, "\5\5\2", 3);
    put(&s, "0123456789abcdef", 16);
    assert_error(read_stream(&s, 100, 0, &story, &facts), LG_ERR_CORRUPT,
                 "no object at offset 102 of the event stream");
    assert_int_equal(header, 102);
    lg_vec_free(&s.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_and_pieces),  cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_thread_id_used_again), cmocka_unit_test(test_unknown_kind_is_lost),
        cmocka_unit_test(test_damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
