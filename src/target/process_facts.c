// Name, user, container and numbers of a process.
#include <ctype.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "target/proc.h"
#include "target/processes_priv.h"

enum { COMMAND_MAX = 4096, PATH_LEN = 4096, CONTAINER_ID = 64, CONTAINER_SHORT = 12 };

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static bool ends_with(const char *s, const char *end)
{
    size_t len = strlen(s), end_len = strlen(end);
    return len >= end_len && strcmp(s + len - end_len, end) == 0;
}

// Options of the host that take a value (dotnet/runtime src/native/corehost/fxr/command_line.cpp
// @05284b2).
static bool takes_value(const char *option)
{
    static const char *const options[] = { "--additionalprobingpath",
                                           "--depsfile",
                                           "--runtimeconfig",
                                           "--fx-version",
                                           "--roll-forward",
                                           "--additional-deps",
                                           "--roll-forward-on-no-candidate-fx" };
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        if (strcmp(option, options[i]) == 0)
            return true;
    }
    return false;
}

const char *lg_dotnet_app(const char *args, size_t len)
{
    const char *end = args + len;
    for (const char *arg = args + strlen(args) + 1; arg < end; arg += strlen(arg) + 1) {
        if (takes_value(arg)) {
            arg += strlen(arg) + 1;
            if (arg >= end)
                return NULL;
        } else if (ends_with(arg, ".dll") || ends_with(arg, ".exe")) {
            return arg;
        } else if (*arg != '-' && strcmp(arg, "exec") != 0) {
            return NULL;
        }
    }
    return NULL;
}

static char *simple_name(const char *path)
{
    const char *name = base_name(path);
    size_t len = strlen(name);
    return strndup(name, ends_with(name, ".dll") || ends_with(name, ".exe") ? len - 4 : len);
}

// The app, else the executable, else what the process calls itself.
static char *make_name(int dir, const char *args, size_t args_len)
{
    char text[PATH_LEN];
    const char *app = NULL;
    if (args_len > 0 && strcmp(base_name(args), "dotnet") == 0)
        app = lg_dotnet_app(args, args_len);
    if (app)
        return simple_name(app);

    ssize_t n = readlinkat(dir, "exe", text, sizeof(text) - 1);
    if (n > 0) {
        text[n] = '\0';
        if (ends_with(text, " (deleted)"))
            text[n - 10] = '\0';
        return strdup(base_name(text));
    }
    if (args_len > 0 && *args)
        return strdup(base_name(args));
    n = lg_proc_read(dir, "comm", text, sizeof(text));
    return strndup(n > 0 ? text : "?", n > 0 ? (size_t)n - (text[n - 1] == '\n') : 1);
}

bool lg_process_read_name(int dir, struct lg_process *process)
{
    char args[COMMAND_MAX + 1];
    ssize_t n = lg_proc_read(dir, "cmdline", args, sizeof(args));
    size_t len = n > 0 ? (size_t)n : 0;
    process->name = make_name(dir, args, len);
    while (len > 0 && args[len - 1] == '\0')
        len--;
    for (size_t i = 0; i < len; i++) {
        if (args[i] == '\0')
            args[i] = ' ';
    }
    args[len] = '\0';
    process->command = strdup(args);
    return process->name && process->command;
}

static char *user_name(uid_t uid)
{
    char buf[4096], *number;
    struct passwd pw, *found = NULL;
    if (getpwuid_r(uid, &pw, buf, sizeof(buf), &found) == 0 && found)
        return strdup(pw.pw_name);
    return asprintf(&number, "%u", (unsigned)uid) < 0 ? NULL : number; // Of a container's own users.
}

// Docker, containerd, CRI-O and podman all name a control group by 64 hexadecimal digits; people and
// tools use the first twelve.
char *lg_container_id(const char *cgroup)
{
    size_t run = 0;
    for (const char *c = cgroup; *c; c++) {
        run = isxdigit((unsigned char)*c) && !isupper((unsigned char)*c) ? run + 1 : 0;
        if (run == CONTAINER_ID && !isxdigit((unsigned char)c[1]))
            return strndup(c + 1 - CONTAINER_ID, CONTAINER_SHORT);
    }
    return NULL;
}

// Field 22 of stat counts ticks since boot.
static double uptime(int dir)
{
    struct timespec now;
    int64_t ticks = lg_proc_stat(dir, "stat", 22, -1);
    if (ticks < 0 || clock_gettime(CLOCK_BOOTTIME, &now) < 0)
        return -1;
    double start = (double)ticks / (double)sysconf(_SC_CLK_TCK);
    double up = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - start;
    return up < 0 ? 0 : up;
}

static int64_t resident(int dir)
{
    char text[256];
    long long pages;
    if (lg_proc_read(dir, "statm", text, sizeof(text)) <= 0 || sscanf(text, "%*s %lld", &pages) != 1)
        return -1;
    return pages * sysconf(_SC_PAGESIZE);
}

bool lg_process_read_facts(int dir, struct lg_process *process)
{
    char status[LG_PROC_TEXT], cgroup[LG_PROC_TEXT];
    if (!lg_process_read_name(dir, process))
        return false;
    if (lg_proc_read(dir, "status", status, sizeof(status)) > 0) {
        int64_t uid = lg_proc_field(status, "Uid", -1);
        process->ns_pid = (int)lg_proc_field_last(status, "NSpid", process->pid);
        process->threads = lg_proc_field(status, "Threads", -1);
        process->user = uid >= 0 ? user_name((uid_t)uid) : NULL;
    } else {
        lg_process_problem(process, "/proc/%d/status cannot be read: is /proc mounted with hidepid?",
                           process->pid);
    }
    if (lg_proc_read(dir, "cgroup", cgroup, sizeof(cgroup)) > 0)
        process->container = lg_container_id(cgroup);
    process->rss = resident(dir);
    process->uptime_s = uptime(dir);
    return true;
}
