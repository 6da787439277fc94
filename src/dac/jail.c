#include "dac/jail.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// ---- filters ----

// What running code needs: memory, the socket, clocks, its own signals and threads' bookkeeping.
static const int always[] = {
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_close,
    SYS_munmap,
    SYS_mremap,
    SYS_brk,
    SYS_madvise,
    SYS_futex,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_exit,
    SYS_exit_group,
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_getrandom,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrlimit,
    SYS_getcpu,
    SYS_membarrier,
    SYS_mlock,
    SYS_munlock,
    SYS_mincore,
    SYS_fstat,
    SYS_lseek,
    SYS_sendmsg,
    SYS_getrusage,
};
// What the dynamic linker needs beside that, and the PAL of the DAC when it starts.
static const int loading[] = {
    SYS_newfstatat, SYS_stat,     SYS_lstat,      SYS_access,          SYS_faccessat,
    SYS_faccessat2, SYS_readlink, SYS_readlinkat, SYS_getcwd,          SYS_statfs,
    SYS_fstatfs,    SYS_fcntl,    SYS_arch_prctl, SYS_set_robust_list, SYS_set_tid_address,
    SYS_rseq,       SYS_prctl,    SYS_seccomp,    SYS_getdents64,      SYS_statx,
    SYS_getsid,     SYS_pipe2,
};

enum { RULES_MAX = 256 };
struct rules {
    struct sock_filter at[RULES_MAX];
    unsigned len;
};

static void add(struct rules *rules, struct sock_filter rule)
{
    if (rules->len < RULES_MAX)
        rules->at[rules->len++] = rule;
}

#define RULE_STMT(code, k) (struct sock_filter) BPF_STMT(code, (uint32_t)(k))
#define RULE_JUMP(code, k, yes, no) (struct sock_filter) BPF_JUMP(code, (uint32_t)(k), yes, no)
#define RULE_RETURN(action) RULE_STMT(BPF_RET | BPF_K, action)
#define RULE_LOAD(member) RULE_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define REFUSED (SECCOMP_RET_ERRNO | 13) // EACCES

static void allow(struct rules *rules, const int *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(rules, RULE_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], 0, 1));
        add(rules, RULE_RETURN(SECCOMP_RET_ALLOW));
    }
}

// Allows a call if none of `forbidden` is set in the low half of an argument, and all of `needed` is.
static void allow_if(struct rules *rules, int number, unsigned arg, uint32_t forbidden, uint32_t needed)
{
    add(rules, RULE_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 5));
    add(rules, RULE_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * arg));
    add(rules, RULE_STMT(BPF_ALU | BPF_AND | BPF_K, forbidden | needed));
    add(rules, RULE_JUMP(BPF_JMP | BPF_JEQ | BPF_K, needed, 0, 1));
    add(rules, RULE_RETURN(SECCOMP_RET_ALLOW));
    add(rules, RULE_RETURN(REFUSED));
}

// Memory may be had, but not as code.
static void allow_memory(struct rules *rules)
{
    // mmap has two arguments to look at: anonymous, then the protection.
    add(rules, RULE_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 7));
    add(rules, RULE_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * 3));
    add(rules, RULE_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 1, 0));
    add(rules, RULE_RETURN(REFUSED));
    add(rules, RULE_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * 2));
    add(rules, RULE_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
    add(rules, RULE_RETURN(REFUSED));
    add(rules, RULE_RETURN(SECCOMP_RET_ALLOW));
    allow_if(rules, SYS_mprotect, 2, PROT_EXEC, 0);
}

static void allow_loading(struct rules *rules)
{
    static const int code[] = { SYS_mmap, SYS_mprotect };
    const uint32_t writing =
        O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);
    allow(rules, loading, sizeof(loading) / sizeof(*loading));
    allow(rules, code, 2);
    allow_if(rules, SYS_open, 1, writing, 0);
    allow_if(rules, SYS_openat, 2, writing, 0);
}

static void make_rules(enum lg_dac_stage stage, struct rules *rules)
{
    add(rules, RULE_LOAD(arch));
    add(rules, RULE_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
    add(rules, RULE_RETURN(SECCOMP_RET_KILL_PROCESS));
    add(rules, RULE_LOAD(nr));
    allow(rules, always, sizeof(always) / sizeof(*always));
    // prlimit64 tells too, as long as there is no new limit (the third argument).
    add(rules, RULE_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, 6));
    add(rules, RULE_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 16));
    add(rules, RULE_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3));
    add(rules, RULE_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 20));
    add(rules, RULE_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1));
    add(rules, RULE_RETURN(SECCOMP_RET_ALLOW));
    add(rules, RULE_RETURN(REFUSED));
    if (stage == LG_DAC_LOADING)
        allow_loading(rules);
    else
        allow_memory(rules);
    add(rules, RULE_RETURN(REFUSED));
}

bool lg_dac_jail(enum lg_dac_stage stage)
{
    struct rules rules = { .len = 0 };
    make_rules(stage, &rules);
    struct sock_fprog program = { .len = (unsigned short)rules.len, .filter = rules.at };
    return rules.len < RULES_MAX && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
           && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// ---- limits ----

static uint64_t mapped_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    bool ok = file && fscanf(file, "%lu", &pages) == 1;
    if (file)
        fclose(file);
    return ok ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static bool limit(int what, uint64_t most)
{
    struct rlimit old;
    if (getrlimit((__rlimit_resource_t)what, &old) == 0 && old.rlim_max < most)
        most = old.rlim_max;
    struct rlimit new = { most, most };
    return setrlimit((__rlimit_resource_t)what, &new) == 0;
}

// What the user may do as root is nothing that the DAC needs.
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 } };
    return syscall(SYS_capset, &head, none) == 0;
}

bool lg_dac_limit(int parent, uint64_t memory, unsigned cpu_seconds)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        return false;
    return drop_capabilities() && limit(RLIMIT_AS, mapped_bytes() + memory) && limit(RLIMIT_CORE, 0)
           && limit(RLIMIT_CPU, cpu_seconds) && limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_NOFILE, 64);
}

static void close_range_of(unsigned first, unsigned last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
        return;
    for (unsigned fd = first; fd <= last && fd < 65536; fd++)
        close((int)fd);
}

bool lg_dac_close_others(int keep, int keep_too)
{
    unsigned low = (unsigned)(keep < keep_too ? keep : keep_too);
    unsigned high = (unsigned)(keep < keep_too ? keep_too : keep);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++) {
        if (null < 0 || dup2(null, fd) < 0)
            return false;
    }
    close_range_of(3, low - 1);
    close_range_of(low + 1, high - 1);
    close_range_of(high + 1, UINT32_MAX);
    return low > 2;
}
