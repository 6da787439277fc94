// Memory that a copy does not get like all other: what the process keeps from its copies, and what it
// shares.
#include "filter.h"
#include "prey.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

enum { SIZE = 1 << 20, KEPT = 11, OWN = 22, SHARED = 33, LATER = 44 };

static uint8_t *make(int flags, int byte)
{
    uint8_t *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED)
        memset(memory, byte, SIZE);
    return memory;
}

// Says where its memory is, and writes to all of it when told.
static int keep(struct prey *prey)
{
    uint8_t *kept = make(MAP_PRIVATE, KEPT), *own = make(MAP_PRIVATE, OWN);
    uint8_t *shared = make(MAP_SHARED, SHARED), *places[] = { kept, own, shared };
    if (madvise(kept, SIZE, MADV_DONTFORK) != 0)
        return 91;
    memcpy(prey->shared->bytes, places, sizeof(places));
    atomic_fetch_add(&prey->shared->ready, 1);
    while (!atomic_load(&prey->shared->go))
        sleep_ms(1);
    memset(own, LATER, SIZE);
    memset(shared, LATER, SIZE);
    atomic_fetch_add(&prey->shared->ready, 1);
    char byte;
    return read(prey->pipe[0], &byte, 1) == 1 ? byte : 92;
}

static int keep_behind_a_filter(struct prey *prey)
{
    refuse_call(SYS_clone, SECCOMP_RET_ERRNO | EPERM);
    return keep(prey);
}

static void start(struct prey *prey, int (*run)(struct prey *), uint64_t places_ret[3])
{
    prey_start(prey, run);
    prey_await(prey, 1);
    memcpy(places_ret, prey->shared->bytes, 3 * sizeof(*places_ret));
}

static void end(struct prey *prey)
{
    assert_untouched(prey->pid);
    atomic_store(&prey->shared->go, 1);
    assert_int_equal(write(prey->pipe[1], "\5", 1), 1);
    assert_int_equal(prey_end(prey), 5);
}

// Whether all of it is there, and has this value.
static void assert_holds(struct lg_target *target, uint64_t address, int byte)
{
    static uint8_t bytes[SIZE];
    assert_int_equal(lg_target_read(target, address, bytes, SIZE), SIZE);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(bytes[i], byte);
}

static void what_a_process_keeps_from_its_copies_is_named_as_missing(void **state)
{
    struct prey prey = { 0 };
    uint64_t places[3];
    char note[160];
    uint8_t byte;
    start(&prey, keep, places);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    snprintf(note, sizeof(note),
             "1024 KiB in 1 mapping, the first at %#" PRIx64
             ", are missing: the process keeps them from its copies (MADV_DONTFORK)",
             places[0]);
    assert_int_equal(target->notes.len, 1);
    assert_string_equal(target->notes.at[0], note);
    assert_int_equal(lg_target_read(target, places[0], &byte, 1), 0);
    assert_null(lg_target_find(target, places[0]));
    assert_holds(target, places[1], OWN);
    lg_target_free(lg_steal(target));
    end(&prey);
}

static void read_stopped_it_is_there(void **state)
{
    struct prey prey = { 0 };
    uint64_t places[3];
    start(&prey, keep_behind_a_filter, places);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_int_equal(target->notes.len, 1);
    assert_non_null(strstr(target->notes.at[0], "the process cannot be copied"));
    assert_holds(target, places[0], KEPT);
    assert_holds(target, places[1], OWN);
    assert_holds(target, places[2], SHARED);
    lg_target_free(lg_steal(target));
    end(&prey);
}

// Nobody can copy what is not the process's alone.
static void shared_memory_is_what_it_is_when_it_is_read(void **state)
{
    struct prey prey = { 0 };
    uint64_t places[3];
    start(&prey, keep, places);
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    assert_ok(lg_live_open(prey.pid, &target));
    assert_holds(target, places[2], SHARED);
    atomic_store(&prey.shared->go, 1);
    prey_await(&prey, 2);
    _cleanup_(lg_target_freep) struct lg_target *peek = NULL;
    assert_ok(lg_peek_open(prey.pid, &peek));
    assert_holds(peek, places[1], LATER);
    assert_holds(target, places[1], OWN);
    lg_target_free(lg_steal(target));
    assert_ok(lg_live_open(prey.pid, &target));
    assert_holds(target, places[2], LATER);
    lg_target_free(lg_steal(target));
    end(&prey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_process_keeps_from_its_copies_is_named_as_missing),
        cmocka_unit_test(read_stopped_it_is_there),
        cmocka_unit_test(shared_memory_is_what_it_is_when_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
