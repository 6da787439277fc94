#include "target/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ptrace.h>

enum { FILTERS_MAX = 64 };

struct machine {
    uint32_t a, x, memory[BPF_MEMWORDS];
    const uint8_t *data;
    size_t size;
    bool failed;
};

static uint32_t compute(uint32_t operation, uint32_t a, uint32_t b)
{
    switch (operation) {
    case BPF_ADD:
        return a + b;
    case BPF_SUB:
        return a - b;
    case BPF_MUL:
        return a * b;
    case BPF_DIV:
        return b ? a / b : 0;
    case BPF_MOD:
        return b ? a % b : 0;
    case BPF_OR:
        return a | b;
    case BPF_AND:
        return a & b;
    case BPF_XOR:
        return a ^ b;
    case BPF_LSH:
        return b < 32 ? a << b : 0;
    case BPF_RSH:
        return b < 32 ? a >> b : 0;
    default: // BPF_NEG
        return -a;
    }
}

static bool holds(uint32_t condition, uint32_t a, uint32_t b)
{
    switch (condition) {
    case BPF_JEQ:
        return a == b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    default: // BPF_JSET
        return (a & b) != 0;
    }
}

static uint32_t load(struct machine *m, const struct sock_filter *f)
{
    uint32_t word = 0;
    switch (BPF_MODE(f->code)) {
    case BPF_IMM:
        return f->k;
    case BPF_LEN:
        return (uint32_t)m->size;
    case BPF_MEM:
        m->failed |= f->k >= BPF_MEMWORDS;
        return m->failed ? 0 : m->memory[f->k];
    case BPF_ABS:
        m->failed |= m->size < sizeof(word) || f->k > m->size - sizeof(word);
        if (!m->failed)
            memcpy(&word, m->data + f->k, sizeof(word));
        return word;
    default:
        m->failed = true;
        return 0;
    }
}

static void store(struct machine *m, const struct sock_filter *f, uint32_t value)
{
    m->failed |= f->k >= BPF_MEMWORDS;
    if (!m->failed)
        m->memory[f->k] = value;
}

// All but jumps and returns.
static void step(struct machine *m, const struct sock_filter *f)
{
    switch (BPF_CLASS(f->code)) {
    case BPF_LD:
        m->a = load(m, f);
        break;
    case BPF_LDX:
        m->x = load(m, f);
        break;
    case BPF_ST:
        store(m, f, m->a);
        break;
    case BPF_STX:
        store(m, f, m->x);
        break;
    case BPF_ALU:
        m->a = compute(BPF_OP(f->code), m->a, BPF_SRC(f->code) == BPF_X ? m->x : f->k);
        break;
    default: // BPF_MISC
        *(BPF_MISCOP(f->code) == BPF_TXA ? &m->a : &m->x) = BPF_MISCOP(f->code) == BPF_TXA ? m->x : m->a;
    }
}

uint32_t lg_seccomp_run(const struct sock_filter *filter, size_t count, const void *data, size_t size)
{
    struct machine m = { .data = data, .size = size };
    for (size_t i = 0; i < count && !m.failed; i++) { // Jumps lead forwards only.
        const struct sock_filter *f = &filter[i];
        if (BPF_CLASS(f->code) == BPF_RET)
            return BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
        if (BPF_CLASS(f->code) != BPF_JMP)
            step(&m, f);
        else if (BPF_OP(f->code) == BPF_JA)
            i += f->k;
        else
            i += holds(BPF_OP(f->code), m.a, BPF_SRC(f->code) == BPF_X ? m.x : f->k) ? f->jt : f->jf;
    }
    return SECCOMP_RET_KILL_PROCESS;
}

bool lg_seccomp_kills(int tid, long number, const uint64_t args[4])
{
    struct seccomp_data data = { .nr = (int)number, .arch = AUDIT_ARCH_X86_64 };
    memcpy(data.args, args, 4 * sizeof(*args));
    for (long i = 0; i < FILTERS_MAX; i++) {
        struct sock_filter filter[BPF_MAXINSNS];
        long count = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, NULL);
        if (count <= 0 || count > BPF_MAXINSNS)
            return false; // No more of them, or not for us to see.
        if (ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, filter) != count)
            return false;
        uint32_t action =
            lg_seccomp_run(filter, (size_t)count, &data, sizeof(data)) & SECCOMP_RET_ACTION_FULL;
        if (action == SECCOMP_RET_KILL_PROCESS || action == SECCOMP_RET_KILL_THREAD)
            return true;
    }
    return false;
}
