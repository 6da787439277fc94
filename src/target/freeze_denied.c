// Why a process may not be attached to, in the words of someone who can help (ptrace(2), "Ptrace access
// mode checking" and "/proc/sys/kernel/yama/ptrace_scope").
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "target/freeze.h"
#include "target/proc.h"
#include "util/error.h"

enum { CAP_SYS_PTRACE = 19 };

// ---- what decides ----

static bool own_status(char status[LG_PROC_TEXT])
{
    return lg_proc_read(AT_FDCWD, "/proc/self/status", status, LG_PROC_TEXT) > 0;
}

static bool may_trace_all(const char *status)
{
    const char *caps = strstr(status, "\nCapEff:");
    return caps && strtoull(caps + strlen("\nCapEff:"), NULL, 16) >> CAP_SYS_PTRACE & 1;
}

// Rights that we have in a user namespace of our own end at it (user_namespaces(7)).
static bool is_in_user_namespace(void)
{
    char map[128];
    unsigned inside, outside, count;
    return lg_proc_read(AT_FDCWD, "/proc/self/uid_map", map, sizeof(map)) > 0
           && (sscanf(map, "%u %u %u", &inside, &outside, &count) != 3 || inside || outside
               || count != UINT32_MAX);
}

static void find_rights(struct lg_rights *ret)
{
    char status[LG_PROC_TEXT] = "", scope[8];
    *ret = (struct lg_rights){ .uid = geteuid(), .yama = '0' };
    if (own_status(status)) {
        ret->may_trace_all = may_trace_all(status);
        ret->is_filtered = lg_proc_field(status, "Seccomp", 0) == 2;
    }
    ret->is_in_user_namespace = is_in_user_namespace();
    if (lg_proc_read(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope)) > 0)
        ret->yama = scope[0];
    ssize_t n = readlink("/proc/self/exe", ret->program, sizeof(ret->program) - 1);
    snprintf(ret->program + (n > 0 ? n : 0), sizeof(ret->program) - (size_t)(n > 0 ? n : 0), "%s",
             n > 0 ? "" : "linger");
}

// ---- what to say of it ----

static struct lg_error *traced_by(int tracer, bool *is_ours_ret)
{
    char name[32], comm[32] = "";
    snprintf(name, sizeof(name), "/proc/%d/comm", tracer);
    if (lg_proc_read(AT_FDCWD, name, comm, sizeof(comm)) > 0)
        comm[strcspn(comm, "\n")] = '\0';
    *is_ours_ret = strncmp(comm, "linger", 6) == 0;
    return lg_error_new(LG_ERR_OS, "is already traced, by process %d (%s): end that first", tracer,
                        comm[0] ? comm : "not visible");
}

static struct lg_error *denied_by_yama(const struct lg_rights *rights)
{
    if (rights->yama == '3')
        return lg_error_new(LG_ERR_OS,
                            "may not be traced: kernel.yama.ptrace_scope is 3, which forbids it to "
                            "everyone until the next boot");
    return lg_error_new(LG_ERR_OS,
                        "may not be traced: kernel.yama.ptrace_scope is %c, which asks for "
                        "CAP_SYS_PTRACE: run linger with sudo, give it the right (sudo setcap "
                        "cap_sys_ptrace+ep %s)%s",
                        rights->yama, rights->program,
                        rights->yama == '1' ? ", or have it as before (sudo sysctl "
                                              "kernel.yama.ptrace_scope=0)"
                                            : "");
}

static struct lg_error *denied_to_root(void)
{
    return lg_error_new(LG_ERR_OS, "may not be traced: linger runs as root without CAP_SYS_PTRACE: "
                                   "start the container with --cap-add=SYS_PTRACE (Kubernetes: "
                                   "securityContext.capabilities.add: [SYS_PTRACE])");
}

static struct lg_error *denied_by_owner(const struct lg_rights *rights, int64_t owner)
{
    const struct passwd *user = getpwuid((uid_t)owner);
    return lg_error_new(LG_ERR_OS,
                        "belongs to user %s (%d): run linger as that user or with sudo, or give it the "
                        "right (sudo setcap cap_sys_ptrace+ep %s)",
                        user ? user->pw_name : "unknown", (int)owner, rights->program);
}

struct lg_error *lg_freeze_denial(const struct lg_rights *rights, int64_t owner)
{
    if (rights->may_trace_all && rights->is_in_user_namespace)
        return lg_error_new(LG_ERR_OS, "may not be traced: linger is in a user namespace (a rootless "
                                       "container, unshare -U), and its rights end there: run it "
                                       "outside, with sudo");
    if (!rights->may_trace_all && rights->uid == 0)
        return denied_to_root();
    if (!rights->may_trace_all && owner != rights->uid)
        return denied_by_owner(rights, owner);
    if (rights->yama == '3' || (rights->yama != '0' && !rights->may_trace_all))
        return denied_by_yama(rights);
    if (rights->is_filtered)
        return lg_error_new(LG_ERR_OS, "may not be traced: a seccomp filter on linger forbids it: start "
                                       "the container with --security-opt seccomp=unconfined, or with a "
                                       "profile that lets ptrace and process_vm_readv pass");
    return lg_error_new(LG_ERR_OS, "may not be traced: it guards itself (prctl PR_SET_DUMPABLE, other "
                                   "capabilities), or a security module does: run linger with sudo");
}

struct lg_error *lg_freeze_denied(int pid, int proc, int tid, bool *is_contended_ret)
{
    char name[64], status[LG_PROC_TEXT];
    struct lg_rights rights;
    snprintf(name, sizeof(name), "task/%d/status", tid);
    if (lg_proc_read(proc, name, status, sizeof(status)) <= 0
        || lg_proc_field(status, "VmSize", -1) < 0) // It is ending, and has no memory any more.
        return lg_error_new(LG_ERR_NOT_FOUND, "has ended");
    int64_t tracer = lg_proc_field(status, "TracerPid", 0);
    if (tracer > 0)
        return traced_by((int)tracer, is_contended_ret);
    if (pid == getpid())
        return lg_error_new(LG_ERR_USAGE, "is linger itself");
    find_rights(&rights);
    return lg_freeze_denial(&rights, lg_proc_field(status, "Uid", -1));
}

// ---- namespaces ----

struct lg_error *lg_freeze_misplaced(void)
{
    int self = lg_proc_self();
    if (self == getpid())
        return NULL;
    return lg_error_new(LG_ERR_OS,
                        "is in another PID namespace than linger: /proc shows that one, where linger is "
                        "%s%.0d: start linger's container with --pid=host, or run it in that namespace "
                        "(sudo nsenter -t 1 -p linger …)",
                        self ? "process " : "not to be seen", self);
}

struct lg_error *lg_freeze_no_such(void)
{
    // The first PID namespace has this number (torvalds/linux include/linux/proc_ns.h @00c65c8).
    static const char first[] = "pid:[4026531836]";
    char name[sizeof(first)] = "";
    ssize_t n = readlink("/proc/self/ns/pid", name, sizeof(name) - 1);
    bool is_inside = n > 0 && strcmp(name, first) != 0;
    return lg_error_new(LG_ERR_NOT_FOUND, "no such process%s ('linger ps' lists those that there are)",
                        is_inside ? " in linger's own PID namespace: in a container it sees only those "
                                    "of the container, unless that was started with --pid=host"
                                  : "");
}
