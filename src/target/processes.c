#include "target/processes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/proc.h"
#include "target/processes_priv.h"
#include "util/error.h"

const char *lg_flavour_name(enum lg_flavour flavour)
{
    static const char *const names[] = {
        [LG_FLAVOUR_NONE] = "none",
        [LG_FLAVOUR_FRAMEWORK] = "framework-dependent",
        [LG_FLAVOUR_SELF_CONTAINED] = "self-contained",
        [LG_FLAVOUR_SINGLE_FILE] = "single-file",
        [LG_FLAVOUR_NATIVEAOT] = "nativeaot",
        [LG_FLAVOUR_MONO] = "mono",
    };
    return names[flavour];
}

void lg_process_problem(struct lg_process *process, const char *format, ...)
{
    va_list args;
    if (process->problem)
        return;
    va_start(args, format);
    if (vasprintf(&process->problem, format, args) < 0)
        process->problem = NULL;
    va_end(args);
}

void lg_process_deinit(struct lg_process *process)
{
    free(process->name);
    free(process->command);
    free(process->user);
    free(process->container);
    free(process->problem);
    free(process->runtime_path);
    free(process->version);
    *process = (struct lg_process){ 0 };
}

void lg_processes_free(struct lg_processes *processes)
{
    for (size_t i = 0; i < processes->all.len; i++)
        lg_process_deinit(&processes->all.at[i]);
    lg_vec_free(&processes->all);
}

static struct lg_process unknown(int pid)
{
    return (struct lg_process){ .pid = pid, .ns_pid = pid, .rss = -1, .threads = -1, .uptime_s = -1 };
}

// Neither a zombie nor a kernel thread, which has no executable and no arguments.
static bool is_program(int dir, const struct lg_process *process)
{
    char state = lg_proc_state(dir, "stat");
    return state != 0 && state != 'Z' && state != 'X' && process->command && *process->command;
}

// Whose maps we may not read could still be .NET: its name and its diagnostics socket tell.
static bool may_be_dotnet(int dir, const struct lg_process *process)
{
    char text[1024], socket[96], comm[32];
    unsigned long long start;
    if (!process->problem)
        return false;
    if (lg_proc_read(dir, "comm", comm, sizeof(comm)) > 0 && strcmp(comm, "dotnet\n") == 0)
        return true;
    // Field 22 of stat, and the name that the runtime makes of it (dotnet/runtime
    // src/native/eventpipe/ds-ipc-pal-socket.c @05284b2, ipc_transport_get_default_name).
    const char *after = lg_proc_read(dir, "stat", text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
    if (!after
        || sscanf(after + 1,
                  " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                  &start)
               != 1)
        return false;
    snprintf(socket, sizeof(socket), "/tmp/dotnet-diagnostic-%d-%llu-socket", process->ns_pid, start);
    return access(socket, F_OK) == 0;
}

// `*ret` with flavour NONE and no name: not .NET, or gone. False when out of memory.
static bool look_at(int pid, struct lg_executables *executables, struct lg_process *ret)
{
    *ret = unknown(pid);
    _cleanup_close_ int dir = lg_proc_open(pid);
    if (dir < 0)
        return true;
    if (!lg_process_find_runtime(dir, ret, executables))
        return false;
    if (ret->flavour == LG_FLAVOUR_NONE && !ret->problem)
        return true;
    if (!lg_process_read_facts(dir, ret))
        return false;
    bool listed = is_program(dir, ret) && (ret->flavour != LG_FLAVOUR_NONE || may_be_dotnet(dir, ret));
    if (!listed)
        lg_process_deinit(ret);
    return true;
}

static int by_rss(const void *a, const void *b)
{
    const struct lg_process *x = a, *y = b;
    return x->rss != y->rss ? (x->rss < y->rss) - (x->rss > y->rss)
                            : (x->pid > y->pid) - (x->pid < y->pid);
}

static void close_dirp(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static struct lg_error *list(struct lg_processes *ret, struct lg_executables *executables)
{
    _cleanup_(close_dirp) DIR *proc = opendir("/proc");
    if (!proc)
        return lg_error_os(errno, "open '/proc'");
    const struct dirent *entry;
    while ((entry = readdir(proc))) {
        struct lg_process process;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        bool good = look_at(atoi(entry->d_name), executables, &process);
        if (good && !process.name)
            continue;
        if (!good || !lg_vec_push(&ret->all, process)) {
            lg_process_deinit(&process);
            return &lg_no_memory;
        }
    }
    return NULL;
}

struct lg_error *lg_processes_list(struct lg_processes *ret)
{
    struct lg_executables executables = { 0 };
    struct lg_processes found = { 0 };
    struct lg_error *err = list(&found, &executables);
    lg_executables_free(&executables);
    if (err) {
        lg_processes_free(&found);
        return err;
    }
    if (found.all.len)
        qsort(found.all.at, found.all.len, sizeof(*found.all.at), by_rss);
    *ret = found;
    return NULL;
}

struct lg_error *lg_process_read(int pid, struct lg_process *ret)
{
    _cleanup_close_ int dir = lg_proc_open(pid);
    if (dir < 0)
        return errno == ENOENT ? lg_error_new(LG_ERR_NOT_FOUND, "no process %d", pid)
                               : lg_error_os(errno, "process %d", pid);
    struct lg_executables executables = { 0 };
    struct lg_process process = unknown(pid);
    bool good =
        lg_process_find_runtime(dir, &process, &executables) && lg_process_read_facts(dir, &process);
    lg_executables_free(&executables);
    if (!good) {
        lg_process_deinit(&process);
        return &lg_no_memory;
    }
    *ret = process;
    return NULL;
}
