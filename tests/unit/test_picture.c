// Claims, and pictures of real processes: every page has one owner, and sums are the kernel's.
#include "prey.h"

#include <fcntl.h>

#include "picture/picture_priv.h"
#include "picture/rows.h"

enum { PAGE = 4096, SIZE = 4 << 20 };

static const struct lg_page_owner a = { LG_HEAP, "a", "a" }, b = { LG_STACK, "b", "b" };

static void an_earlier_batch_of_claims_holds(void **state)
{
    struct lg_claims claims = { 0 };
    assert_true(lg_claims_add(&claims, 5, 6, &a) && lg_claims_add(&claims, 2, 3, &a));
    assert_true(lg_claims_settle(&claims));
    assert_true(lg_claims_add(&claims, 0, 4, &b) && lg_claims_add(&claims, 3, 10, &b)
                && lg_claims_add(&claims, 7, 7, &b));
    assert_true(lg_claims_settle(&claims));
    const struct lg_claim expected[] = { { 0, 2, &b }, { 2, 3, &a }, { 3, 4, &b },
                                         { 4, 5, &b }, { 5, 6, &a }, { 6, 10, &b } };
    assert_int_equal(claims.all.len, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(claims.all.at[i].start, expected[i].start);
        assert_int_equal(claims.all.at[i].end, expected[i].end);
        assert_ptr_equal(claims.all.at[i].owner, expected[i].owner);
    }
    lg_claims_deinit(&claims);
}

// 4 MiB of anonymous memory, every other page of it touched, and 1 MiB of shared memory.
static int fill_memory(struct prey *prey)
{
    char byte;
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *shared = mmap(NULL, SIZE / 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    madvise(memory, SIZE, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < SIZE; i += 2 * PAGE)
        memory[i] = 'x';
    memset(shared, 'x', SIZE / 4);
    prey->shared->address = memory;
    atomic_fetch_add(&prey->shared->ready, 1);
    return read(prey->pipe[0], &byte, 1) == 1 ? byte : 99;
}

// What smaps_rollup says, while the process waits.
static uint64_t rollup(int pid, const char *key)
{
    char path[64], text[LG_PROC_TEXT];
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    assert_true(lg_proc_read(AT_FDCWD, path, text, sizeof(text)) > 0);
    const char *line = strstr(text, key);
    assert_non_null(line);
    return strtoull(line + strlen(key), NULL, 10) * 1024;
}

static void take(int pid, bool detail, enum lg_live_after after, struct lg_picture **ret)
{
    _cleanup_(lg_sight_freep) struct lg_sight *sight = lg_sight_new();
    const struct lg_live_watch watch = { lg_sight_stopped, sight, after };
    const struct lg_picture_options options = { .detail = detail };
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open_with(pid, &watch, &target));
    assert_ok(lg_picture_make(sight, target, NULL, &options, ret));
}

static void check_sums(const struct lg_picture *picture, uint64_t rss)
{
    struct lg_amounts sums[LG_CATEGORIES], all = { 0 };
    lg_category_sums(picture, sums);
    for (enum lg_category c = LG_CODE; c < LG_CATEGORIES; c++)
        lg_amounts_add(&all, &sums[c]);
    assert_int_equal(all.resident, rss);
    // Which of them are shared changes: it is our child.
    assert_int_equal(all.own + all.shareable + all.shared, all.resident);
    assert_int_equal(picture->rss, all.resident);
    assert_int_equal(picture->notes.len, 0);
    uint64_t reached = 0;
    for (size_t i = 0; i < picture->parts.len; i++) {
        assert_true(picture->parts.at[i].start >= reached);
        reached = picture->parts.at[i].end;
    }
}

static void sums_are_those_of_the_kernel(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, fill_memory);
    prey_await(&prey, 1);
    for (int i = 0; i < 4; i++) {
        _cleanup_(lg_picture_freep) struct lg_picture *picture = NULL;
        uint64_t rss = rollup(prey.pid, "Rss:"); // It waits; only our own reading could change that.
        take(prey.pid, i & 1, i & 2 ? LG_AFTER_COPY : LG_AFTER_STAY, &picture);
        check_sums(picture, rss);
    }
    assert_untouched(prey.pid);
    prey_kill(&prey);
}

static void memory_that_was_never_touched_stays_so(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, fill_memory);
    prey_await(&prey, 1);
    uint64_t before = rollup(prey.pid, "Anonymous:"), memory = (uint64_t)(uintptr_t)prey.shared->address;
    const struct lg_live_watch watch = { .after = LG_AFTER_STAY };
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open_with(prey.pid, &watch, &target));
    char *bytes = malloc(SIZE);
    assert_int_equal(lg_target_read(target, memory + 1, bytes, SIZE - 1), SIZE - 1);
    for (size_t i = 0; i < SIZE - 1; i++)
        assert_int_equal(bytes[i], (i + 1) % (2 * PAGE) == 0 ? 'x' : 0);
    free(bytes);
    lg_target_free(lg_steal(target));
    assert_int_equal(rollup(prey.pid, "Anonymous:"), before);
    prey_kill(&prey);
}

static void a_region_of_unknown_owner_has_a_row_with_its_address(void **state)
{
    struct prey prey = { 0 };
    prey_start(&prey, fill_memory);
    prey_await(&prey, 1);
    _cleanup_(lg_picture_freep) struct lg_picture *picture = NULL;
    take(prey.pid, true, LG_AFTER_STAY, &picture);
    struct lg_rows rows = { 0 };
    assert_ok(lg_rows_make(picture, LG_BY_NAME, &rows));
    bool found = false;
    for (size_t i = 0; i < rows.all.len; i++) {
        const struct lg_row *row = &rows.all.at[i];
        uint64_t at = (uint64_t)(uintptr_t)prey.shared->address;
        found |= row->start <= at && at < row->end && strstr(row->name, "unknown owner at ");
        assert_true(i == 0 || rows.all.at[i - 1].sum.resident >= row->sum.resident);
    }
    assert_true(found);
    lg_rows_deinit(&rows);
    prey_kill(&prey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_earlier_batch_of_claims_holds),
        cmocka_unit_test(sums_are_those_of_the_kernel),
        cmocka_unit_test(memory_that_was_never_touched_stays_so),
        cmocka_unit_test(a_region_of_unknown_owner_has_a_row_with_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
