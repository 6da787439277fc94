// What the user calls a target.
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "target/live.h"
#include "target/processes.h"
#include "target/target.h"
#include "util/error.h"

enum { CANDIDATES_SHOWN = 8 };

static bool is_pid(const char *spec, int *ret)
{
    long pid = 0;
    if (!*spec)
        return false;
    for (const char *c = spec; *c; c++) {
        if (!isdigit((unsigned char)*c))
            return false;
        pid = pid > INT_MAX ? pid : pid * 10 + (*c - '0');
    }
    *ret = pid > 0 && pid <= INT_MAX ? (int)pid : 0;
    return true;
}

// "'web' is several processes: 4711 (web), 4712 (web-admin): give the PID of one"
static struct lg_error *several(const char *spec, const struct lg_processes *processes, bool exact)
{
    char list[512] = "";
    size_t len = 0, count = 0;
    for (size_t i = 0; i < processes->all.len; i++) {
        const struct lg_process *process = &processes->all.at[i];
        if (!process->name
            || !(exact ? strcmp(process->name, spec) == 0 : !!strstr(process->name, spec)))
            continue;
        if (count++ < CANDIDATES_SHOWN && len < sizeof(list))
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%d (%.40s)",
                                    count > 1 ? ", " : "", process->pid, process->name);
    }
    return lg_error_new(LG_ERR_USAGE, "'%s' is %zu processes: %s%s: give the PID of one", spec, count,
                        list, count > CANDIDATES_SHOWN ? ", …" : "");
}

// The PID of the one process of this name, or else of the one whose name it is a part of.
static struct lg_error *find_name(const char *spec, int *ret)
{
    struct lg_processes processes = { 0 };
    struct lg_error *err = lg_processes_list(&processes);
    if (err)
        return err;

    size_t matches[2] = { 0 }; // Of a part of the name; of all of it.
    int found[2] = { 0 };
    for (size_t i = 0; i < processes.all.len; i++) {
        const struct lg_process *process = &processes.all.at[i];
        for (int exact = 0; exact < 2; exact++) {
            if (process->name
                && (exact ? strcmp(process->name, spec) == 0 : !!strstr(process->name, spec))) {
                matches[exact]++;
                found[exact] = process->pid;
            }
        }
    }
    bool exact = matches[1] > 0;
    if (matches[exact] > 1)
        err = several(spec, &processes, exact);
    else if (matches[exact] == 0)
        err = lg_error_new(
            LG_ERR_NOT_FOUND,
            "'%s' is no PID, no file, and no name of the %zu .NET processes that can be seen "
            "('linger ps' lists them)",
            spec, processes.all.len);
    *ret = found[exact];
    lg_processes_free(&processes);
    return err;
}

struct lg_error *lg_target_resolve(const char *spec, int *pid_ret)
{
    struct stat st;
    if (!*spec)
        return lg_error_new(LG_ERR_USAGE, "a target is a PID, the name of a process, or a core file");
    if (is_pid(spec, pid_ret))
        return *pid_ret > 0 ? NULL : lg_error_new(LG_ERR_USAGE, "'%s' is no PID", spec);
    *pid_ret = 0;
    if (strchr(spec, '/') || (stat(spec, &st) == 0 && !S_ISDIR(st.st_mode)))
        return NULL;
    return find_name(spec, pid_ret);
}

struct lg_error *lg_target_open(const char *spec, const struct lg_target_options *options,
                                struct lg_target **ret)
{
    int pid;
    struct lg_error *err = lg_target_resolve(spec, &pid);
    if (err)
        return err;
    if (pid == 0)
        return lg_core_open_below(spec, options->sysroot, ret);
    if (options->sysroot)
        return lg_error_new(LG_ERR_USAGE, "option '-sysroot' is for cores: a process has its own files");
    return lg_live_open_as(pid, options, NULL, ret);
}
