#include "target/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

#include "target/proc.h"

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

// What all filters together do: of their answers, the one that does most (seccomp(2)), which is the
// least as a signed number.
static enum lg_verdict verdict_of(uint32_t action)
{
    switch (action) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
        return LG_SECCOMP_LETS;
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_TRACE: // Of a tracer that has not asked for it: ENOSYS.
        return LG_SECCOMP_REFUSES;
    default:
        return LG_SECCOMP_HARMS;
    }
}

static enum lg_verdict run_filters(int tid, const struct seccomp_data *data)
{
    int32_t worst = SECCOMP_RET_ALLOW;
    for (long i = 0; i < FILTERS_MAX; i++) {
        struct sock_filter filter[BPF_MAXINSNS];
        long count = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, NULL);
        if (count < 0 && errno == ENOENT)
            return verdict_of((uint32_t)worst); // No more of them.
        if (count <= 0 || count > BPF_MAXINSNS
            || ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, filter) != count)
            return LG_SECCOMP_UNSEEN;
        int32_t action = (int32_t)(lg_seccomp_run(filter, (size_t)count, data, sizeof(*data))
                                   & SECCOMP_RET_ACTION_FULL);
        worst = action < worst ? action : worst;
    }
    return LG_SECCOMP_UNSEEN;
}

static bool is_same_text(int proc, const char *name)
{
    char theirs[LG_PROC_TEXT], ours[LG_PROC_TEXT], path[64];
    snprintf(path, sizeof(path), "/proc/self/%s", name);
    return lg_proc_read(proc, name, theirs, sizeof(theirs)) > 0
           && lg_proc_read(AT_FDCWD, path, ours, sizeof(ours)) > 0 && strcmp(theirs, ours) == 0;
}

static bool is_same_namespace(int proc, const char *name)
{
    struct stat theirs, ours;
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/%s", name);
    return fstatat(proc, name, &theirs, 0) == 0 && stat(path, &ours) == 0 && theirs.st_dev == ours.st_dev
           && theirs.st_ino == ours.st_ino;
}

// Filters are inherited, and never taken away: what is in one place and under as many of them as we, is
// under ours.
static bool has_our_filters(int proc, const char *status)
{
    char ours[LG_PROC_TEXT];
    return lg_proc_read(AT_FDCWD, "/proc/self/status", ours, sizeof(ours)) > 0
           && lg_proc_field(ours, "Seccomp", 0) == SECCOMP_MODE_FILTER
           && lg_proc_field(ours, "Seccomp_filters", -1) >= 1
           && lg_proc_field(ours, "Seccomp_filters", -1) == lg_proc_field(status, "Seccomp_filters", -2)
           && is_same_text(proc, "cgroup") && is_same_namespace(proc, "ns/mnt");
}

enum lg_verdict lg_seccomp_verdict(int proc, int tid, long number, const uint64_t args[4])
{
    char name[64], status[LG_PROC_TEXT];
    snprintf(name, sizeof(name), "task/%d/status", tid);
    if (lg_proc_read(proc, name, status, sizeof(status)) <= 0)
        return LG_SECCOMP_UNSEEN;
    int64_t mode = lg_proc_field(status, "Seccomp", SECCOMP_MODE_DISABLED); // Absent: a kernel without.
    if (mode == SECCOMP_MODE_DISABLED)
        return LG_SECCOMP_LETS;
    if (mode != SECCOMP_MODE_FILTER)
        return LG_SECCOMP_HARMS;
    struct seccomp_data data = { .nr = (int)number, .arch = AUDIT_ARCH_X86_64 };
    memcpy(data.args, args, 4 * sizeof(*args));
    enum lg_verdict verdict = run_filters(tid, &data);
    return verdict == LG_SECCOMP_UNSEEN && has_our_filters(proc, status) ? LG_SECCOMP_LETS : verdict;
}
