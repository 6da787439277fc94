// A system call, or a time without one, in which nothing that a thread can see may change: general and
// vector registers, MXCSR, red zone. For one source file of a program.
#ifndef LG_TESTS_SUPPORT_PROBE_H
#define LG_TESTS_SUPPORT_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VECTORS = 16 };

// What a thread has loaded, and then what it has found. Offsets are known to the assembly below.
struct registers {
    uint8_t vectors[VECTORS][32]; // 0: ymm0 to ymm15
    uint64_t general[6];          // 512: rbx rbp r12 r13 r14 r15
    uint64_t arguments[6];        // 560: rdi rsi rdx r10 r8 r9
    uint64_t red_zone[16];        // 608
    uint64_t mxcsr;               // 736
    uint64_t wide[2];             // 744: k1 k7
    uint8_t high[2][64];          // 760: zmm16 zmm31
};

// probe(in, out, number, has_avx512): loads `in`, makes system call `number`, stores into `out`, returns
// what the call did. Below 0: instead of a call, spins until the word at `in->arguments[0]` is not 0.
long probe(const struct registers *in, struct registers *out, long number, long has_avx512);
__asm__(
    ".text\n.globl probe\n.type probe, @function\nprobe:\n"
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "push %rcx\n push %rsi\n"
    "mov %rdi, %r11\n mov %rdx, %rax\n"
    ".set i, 0\n"
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu i(%r11), %ymm\\n\n .set i, i + 32\n .endr\n"
    "test %rcx, %rcx\n jz 1f\n"
    "kmovq 744(%r11), %k1\n kmovq 752(%r11), %k7\n"
    "vmovdqu64 760(%r11), %zmm16\n vmovdqu64 824(%r11), %zmm31\n"
    "1: ldmxcsr 736(%r11)\n"
    ".set i, 0\n"
    ".rept 16\n mov 608+i(%r11), %rbx\n mov %rbx, -128+i(%rsp)\n .set i, i + 8\n .endr\n"
    "mov 512(%r11), %rbx\n mov 520(%r11), %rbp\n mov 528(%r11), %r12\n mov 536(%r11), %r13\n"
    "mov 544(%r11), %r14\n mov 552(%r11), %r15\n"
    "mov 560(%r11), %rdi\n mov 568(%r11), %rsi\n mov 576(%r11), %rdx\n mov 584(%r11), %r10\n"
    "mov 592(%r11), %r8\n mov 600(%r11), %r9\n"
    "test %rax, %rax\n js 2f\n"
    "syscall\n jmp 3f\n"
    "2: cmpl $0, (%rdi)\n je 2b\n"
    "3: mov (%rsp), %r11\n mov 8(%rsp), %rcx\n"
    ".set i, 0\n"
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu %ymm\\n, i(%r11)\n .set i, i + 32\n .endr\n"
    "test %rcx, %rcx\n jz 4f\n"
    "kmovq %k1, 744(%r11)\n kmovq %k7, 752(%r11)\n"
    "vmovdqu64 %zmm16, 760(%r11)\n vmovdqu64 %zmm31, 824(%r11)\n"
    "4: stmxcsr 736(%r11)\n"
    "mov %rbx, 512(%r11)\n mov %rbp, 520(%r11)\n mov %r12, 528(%r11)\n mov %r13, 536(%r11)\n"
    "mov %r14, 544(%r11)\n mov %r15, 552(%r11)\n"
    "mov %rdi, 560(%r11)\n mov %rsi, 568(%r11)\n mov %rdx, 576(%r11)\n mov %r10, 584(%r11)\n"
    "mov %r8, 592(%r11)\n mov %r9, 600(%r11)\n"
    ".set i, 0\n"
    ".rept 16\n mov -128+i(%rsp), %rbx\n mov %rbx, 608+i(%r11)\n .set i, i + 8\n .endr\n"
    "vzeroupper\n"
    "pop %rsi\n pop %rcx\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
    ".size probe, . - probe\n");

// Whether the registers of AVX-512 are there to be probed.
static inline bool probe_is_wide(void)
{
    return __builtin_cpu_supports("avx512bw");
}

static inline void probe_fill(struct registers *r, int seed)
{
    for (size_t i = 0; i < sizeof(*r); i++)
        ((uint8_t *)r)[i] = (uint8_t)(i * 37 + i / 256 + 1 + (size_t)seed * 91);
    r->mxcsr = 0x5fc0; // All exceptions masked, rounds down, denormals are zero.
    if (!probe_is_wide()) {
        memset(r->wide, 0, sizeof(r->wide));
        memset(r->high, 0, sizeof(r->high));
    }
}

#endif
