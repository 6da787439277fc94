// The DAC's host against a library that is built for it (tests/support/fake_dac.c): whatever happens in
// there is an answer or an error with a name, within bounds, and linger goes on.
#include "test.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dac_fixture.h"

static struct lg_error *read_stack(struct lg_dac *dac, uint32_t thread, struct lg_dac_stack *ret)
{
    return lg_dac_stack_read(dac, thread, FAKE_DAC_STACK, FAKE_DAC_STACK + STACK_SIZE,
                             LG_DAC_FRAMES | LG_DAC_REFS, ret);
}

static void assert_behaves(struct lg_dac *dac)
{
    _cleanup_(lg_dac_stack_deinit) struct lg_dac_stack stack = { .cut = NULL };
    assert_ok(read_stack(dac, FAKE_DAC_BEHAVES, &stack));
    assert_null(stack.cut);
    assert_int_equal(stack.frames.len, 3);
    assert_int_equal(stack.frames.at[1].ip, 0x1001);
    assert_int_equal(stack.frames.at[1].sp, FAKE_DAC_STACK + 0x110);
    assert_string_equal(stack.frames.at[1].name, "M\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd");
    assert_int_equal(stack.refs.len, 1);
    assert_string_equal(stack.refs.at[0].place, "rbp-28");
    assert_int_equal(stack.refs.at[0].slot, FAKE_DAC_STACK + 0x108);
    assert_int_equal(stack.refs.at[0].object, 0x123456789); // Of the copy of the stack.
    assert_int_equal(stack.refs.at[0].frame, 0);
    assert_true(stack.refs.at[0].is_interior);
}

static void frames_and_references_are_told(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = NULL;
    assert_ok(open_with(*state, (struct lg_dac_options){ 0 }, &dac));
    assert_behaves(dac);
    assert_behaves(dac);
}

static void expect(struct fixture *f, uint32_t thread, struct lg_dac_options options,
                   const char *message)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = NULL;
    _cleanup_(lg_dac_stack_deinit) struct lg_dac_stack stack = { .cut = NULL };
    assert_ok(open_with(f, options, &dac));
    assert_error(read_stack(dac, thread, &stack), LG_ERR_CORRUPT, message);
    assert_behaves(dac); // A new helper does it.
}

static void a_crash_is_an_error_and_the_next_thread_is_told(void **state)
{
    expect(*state, FAKE_DAC_CRASHES, (struct lg_dac_options){ 0 },
           "the DAC crashed: Illegal instruction");
}
static void what_does_not_answer_is_ended(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = NULL;
    struct lg_dac_stack stack;
    assert_ok(open_with(*state, (struct lg_dac_options){ .timeout_ms = 5000 }, &dac));
    assert_error(read_stack(dac, FAKE_DAC_HANGS, &stack), LG_ERR_CORRUPT,
                 "the DAC did not answer within 5 seconds");
}
static void memory_is_bounded(void **state)
{
#ifdef TEST_HAS_ASAN
    print_message("skipped: AddressSanitizer's malloc ends the process before the limit is used up\n");
#else
    expect(*state, FAKE_DAC_EATS, (struct lg_dac_options){ .memory = 128 << 20 },
           "the DAC used up the 128 MB that it may have");
#endif
}
static void a_helper_that_ends_says_so(void **state)
{
    expect(*state, FAKE_DAC_EXITS, (struct lg_dac_options){ 0 },
           "the DAC ended its process, with status 3");
}
static void a_helper_that_hangs_up_is_ended(void **state)
{
    expect(*state, FAKE_DAC_HANGS_UP, (struct lg_dac_options){ 0 },
           "the DAC ended its process, with status -1");
}

static void expect_cut(struct fixture *f, uint32_t thread, const char *why)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = NULL;
    _cleanup_(lg_dac_stack_deinit) struct lg_dac_stack stack = { .cut = NULL };
    assert_ok(open_with(f, (struct lg_dac_options){ 0 }, &dac));
    assert_ok(read_stack(dac, thread, &stack));
    assert_non_null(stack.cut);
    assert_string_equal(stack.cut, why);
}

static void nonsense_is_cut_off_and_named(void **state)
{
    expect_cut(*state, FAKE_DAC_OFF_STACK,
               "the DAC tells of a frame that does not lie on the thread's stack");
    expect_cut(*state, FAKE_DAC_LIES, "the DAC cannot tell all references");
}
static void walks_that_do_not_end_are_ended(void **state)
{
    expect_cut(*state, FAKE_DAC_ENDLESS, "the DAC tells of a frame that lies below the one before");
    expect_cut(*state, FAKE_DAC_ENDLESS_REFS, "the DAC tells of more references than a stack can have");
}

// Files, sockets, other processes, programs, code, children: the bits of what could be done.
static void the_helper_can_do_nothing_but_compute(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = NULL;
    _cleanup_(lg_dac_stack_deinit) struct lg_dac_stack stack = { .cut = NULL };
    assert_ok(open_with(*state, (struct lg_dac_options){ 0 }, &dac));
    assert_ok(read_stack(dac, FAKE_DAC_TRIES, &stack));
    assert_int_equal(stack.frames.len, 3);
    assert_int_equal(stack.frames.at[0].ip, 0);
}

static void it_is_given_up_after_some_failures(void **state)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = NULL;
    assert_ok(open_with(*state, (struct lg_dac_options){ 0 }, &dac));
    for (int i = 0; i < 4; i++) {
        struct lg_dac_stack stack;
        assert_error(read_stack(dac, FAKE_DAC_EXITS, &stack), LG_ERR_CORRUPT,
                     "the DAC ended its process, with status 3");
    }
    struct lg_dac_stack stack;
    assert_error(read_stack(dac, FAKE_DAC_BEHAVES, &stack), LG_ERR_CORRUPT, "the DAC failed 4 times");
}

// ---- trust ----

static void refuse(struct fixture *f, const char *part)
{
    struct lg_dac *dac = NULL;
    struct lg_error *err = open_with(f, (struct lg_dac_options){ 0 }, &dac);
    assert_non_null(err);
    if (!strstr(lg_error_message(err), part))
        fail_msg("'%s' is not in: %s", part, lg_error_message(err));
    lg_error_free(err);
}

static void a_file_that_others_can_write_is_not_loaded(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chmod(f->file, 0757), 0);
    refuse(f, "can be written by others than its owner");
    assert_int_equal(chmod(f->file, 0775), 0);
    refuse(f, "can be written by others than its owner");
}

static void a_file_of_another_user_is_not_loaded(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0) {
        print_message("skipped: only root can give files away\n");
        return;
    }
    assert_int_equal(chown(f->file, 12345, 0), 0);
    refuse(f, "belongs to user 12345, who could make it do anything with your rights");
}

static void a_file_of_another_build_is_not_loaded(void **state)
{
    struct fixture *f = *state;
    copy_file(FAKE_DAC, f->file, FAKE_DAC_VERSION, "@(#)Version 10.0.99.1 @Commit: faux");
    refuse(f, "is of another build than the runtime");
}

static void what_is_no_library_is_not_loaded(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(truncate(f->file, 30), 0);
    refuse(f, "is no x86-64 library");
    unlink(f->file);
    assert_int_equal(mkfifo(f->file, 0600), 0);
    refuse(f, "is no file");
    unlink(f->file);
    refuse(f, "No such file or directory");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_and_references_are_told),
        TEST(a_crash_is_an_error_and_the_next_thread_is_told),
        TEST(what_does_not_answer_is_ended),
        TEST(memory_is_bounded),
        TEST(a_helper_that_ends_says_so),
        TEST(a_helper_that_hangs_up_is_ended),
        TEST(nonsense_is_cut_off_and_named),
        TEST(walks_that_do_not_end_are_ended),
        TEST(the_helper_can_do_nothing_but_compute),
        TEST(it_is_given_up_after_some_failures),
        TEST(a_file_that_others_can_write_is_not_loaded),
        TEST(a_file_of_another_user_is_not_loaded),
        TEST(a_file_of_another_build_is_not_loaded),
        TEST(what_is_no_library_is_not_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
