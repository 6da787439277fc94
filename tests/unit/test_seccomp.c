#include "test.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "target/seccomp.h"

static const struct seccomp_data a_call = { .nr = SYS_clone, .args = { 0x400, 7, UINT64_MAX } };

#define RUN(...) \
    lg_seccomp_run((struct sock_filter[]){ __VA_ARGS__ }, \
                   sizeof((struct sock_filter[]){ __VA_ARGS__ }) / sizeof(struct sock_filter), &a_call, \
                   sizeof(a_call))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define RETURN_A BPF_STMT(BPF_RET | BPF_A, 0)

static void a_filter_decides_by_what_it_loads(void **state)
{
    assert_int_equal(RUN(LOAD(nr), RETURN_A), SYS_clone);
    assert_int_equal(
        RUN(LOAD(args[0]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x400, 0, 1), RETURN(1), RETURN(2)), 1);
    assert_int_equal(
        RUN(LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 0, 1), RETURN(1), RETURN(2)), 2);
    assert_int_equal(
        RUN(LOAD(args[1]), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 7, 1, 0), RETURN(1), RETURN(2)), 1);
    assert_int_equal(
        RUN(LOAD(args[1]), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 7, 1, 0), RETURN(1), RETURN(2)), 2);
    assert_int_equal(RUN(BPF_STMT(BPF_JMP | BPF_JA, 1), RETURN(1), RETURN(2)), 2);
}

static void a_filter_computes(void **state)
{
    assert_int_equal(RUN(LOAD(args[1]), BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 5),
                         BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
                         BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfe), RETURN_A),
                     48);
    assert_int_equal(RUN(LOAD(args[1]), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3),
                         BPF_STMT(BPF_LD | BPF_IMM, 6), BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0),
                         RETURN_A),
                     42);
    assert_int_equal(RUN(BPF_STMT(BPF_LD | BPF_IMM, 6), BPF_STMT(BPF_MISC | BPF_TAX, 0),
                         BPF_STMT(BPF_LD | BPF_IMM, 1), BPF_STMT(BPF_MISC | BPF_TXA, 0), RETURN_A),
                     6);
    assert_int_equal(RUN(BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), RETURN_A), sizeof(a_call));
}

static void what_is_no_filter_kills(void **state)
{
    assert_int_equal(RUN(LOAD(nr)), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(RUN(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 1 << 20), RETURN(1)),
                     SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(RUN(BPF_STMT(BPF_LD | BPF_MEM, 99), RETURN(1)), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(RUN(BPF_STMT(BPF_ST, 99), RETURN(1)), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(RUN(BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX), RETURN(1)), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(RUN(BPF_STMT(BPF_LD | BPF_IND, 0), RETURN(1)), SECCOMP_RET_KILL_PROCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_decides_by_what_it_loads),
        cmocka_unit_test(a_filter_computes),
        cmocka_unit_test(what_is_no_filter_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
