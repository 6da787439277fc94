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

static bool may_trace_all(void)
{
    char status[LG_PROC_TEXT];
    const char *caps = lg_proc_read(AT_FDCWD, "/proc/self/status", status, sizeof(status)) > 0
                           ? strstr(status, "\nCapEff:")
                           : NULL;
    return caps && strtoull(caps + strlen("\nCapEff:"), NULL, 16) >> CAP_SYS_PTRACE & 1;
}

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

static struct lg_error *denied_by_yama(void)
{
    char scope[8];
    if (lg_proc_read(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope)) < 1
        || scope[0] == '0')
        return NULL;
    if (scope[0] == '3')
        return lg_error_new(LG_ERR_OS,
                            "may not be traced: kernel.yama.ptrace_scope is 3, which forbids it "
                            "to everyone until the next boot");
    return lg_error_new(
        LG_ERR_OS,
        "may not be traced: kernel.yama.ptrace_scope is %c: run linger with sudo, give it "
        "the right (sudo setcap cap_sys_ptrace+ep linger), or set that to 0",
        scope[0]);
}

struct lg_error *lg_freeze_denied(int pid, int proc, int tid, bool *is_contended_ret)
{
    char name[64], status[LG_PROC_TEXT];
    snprintf(name, sizeof(name), "task/%d/status", tid);
    if (lg_proc_read(proc, name, status, sizeof(status)) <= 0
        || lg_proc_field(status, "VmSize", -1) < 0) // It is ending, and has no memory any more.
        return lg_error_new(LG_ERR_NOT_FOUND, "has ended");
    int64_t tracer = lg_proc_field(status, "TracerPid", 0);
    if (tracer > 0)
        return traced_by((int)tracer, is_contended_ret);
    if (pid == getpid())
        return lg_error_new(LG_ERR_USAGE, "is linger itself");
    int64_t uid = lg_proc_field(status, "Uid", -1);
    if (!may_trace_all() && geteuid() == 0)
        return lg_error_new(LG_ERR_OS, "may not be traced: linger runs as root without CAP_SYS_PTRACE: "
                                       "start the container with --cap-add=SYS_PTRACE");
    if (!may_trace_all() && uid != (int64_t)geteuid()) {
        const struct passwd *owner = getpwuid((uid_t)uid);
        return lg_error_new(
            LG_ERR_OS,
            "belongs to user %s (%d): run linger as that user or with sudo, or give it the "
            "right (sudo setcap cap_sys_ptrace+ep linger)",
            owner ? owner->pw_name : "unknown", (int)uid);
    }
    struct lg_error *err = denied_by_yama();
    return err ? err
               : lg_error_new(LG_ERR_OS,
                              "may not be traced: it guards itself (prctl PR_SET_DUMPABLE, other "
                              "capabilities), or a security module does: run linger with sudo");
}
