// Name, user, container and numbers of a process.
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
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

static bool hosts_apps(const char *name)
{
    return strcmp(name, "dotnet") == 0 || strcmp(name, "mono") == 0 || strcmp(name, "mono-sgen") == 0;
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
    if (args_len > 0 && hosts_apps(base_name(args)))
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

static bool read_name(int dir, struct lg_process *process)
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

static bool read_status(int dir, struct lg_process *process, struct lg_known *known)
{
    char status[LG_PROC_TEXT];
    if (lg_proc_read(dir, "status", status, sizeof(status)) <= 0) {
        lg_process_problem(process, "/proc/%d/status cannot be read: is /proc mounted with hidepid?",
                           process->pid);
        return true;
    }
    int64_t uid = lg_proc_field(status, "Uid", -1), rss = lg_proc_field(status, "VmRSS", -1);
    process->ns_pid = (int)lg_proc_field_last(status, "NSpid", process->pid);
    process->ppid = (int)lg_proc_field(status, "PPid", 0);
    process->threads = lg_proc_field(status, "Threads", -1);
    process->rss = rss >= 0 ? rss * 1024 : -1;
    process->user = uid >= 0 ? lg_known_user(known, (uid_t)uid) : NULL;
    return uid < 0 || process->user;
}

// Field 22 of stat counts ticks since boot.
static void read_start(int dir, struct lg_process *process)
{
    struct timespec now;
    process->start_ticks = lg_proc_stat(dir, "stat", 22, -1);
    if (process->start_ticks < 0 || clock_gettime(CLOCK_BOOTTIME, &now) < 0)
        return;
    double start = (double)process->start_ticks / (double)sysconf(_SC_CLK_TCK);
    double up = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - start;
    process->uptime_s = up < 0 ? 0 : up;
}

bool lg_process_read_facts(int dir, struct lg_process *process, struct lg_known *known)
{
    char cgroup[LG_PROC_TEXT];
    if (!read_name(dir, process) || !read_status(dir, process, known))
        return false;
    if (lg_proc_read(dir, "cgroup", cgroup, sizeof(cgroup)) > 0)
        process->container = lg_container_id(cgroup);
    read_start(dir, process);
    return true;
}

// ---- what everybody may see ----

// The runtime names its own threads: ".NET Finalizer", ".NET SigHandler", ".NET EventPipe" (measured on
// 10.0.12, with NativeAOT too). They are among the first.
static bool has_dotnet_thread(int dir)
{
    enum { THREADS_MAX = 64 };
    _cleanup_close_ int fd = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *tasks = fd < 0 ? NULL : fdopendir(fd);
    if (!tasks)
        return false;
    fd = -1; // `tasks` has it.
    bool found = false;
    const struct dirent *entry;
    for (int i = 0; !found && i < THREADS_MAX && (entry = readdir(tasks)); i++) {
        char name[300], comm[32];
        snprintf(name, sizeof(name), "%s/comm", entry->d_name);
        found = entry->d_name[0] != '.' && lg_proc_read(dirfd(tasks), name, comm, sizeof(comm)) > 0
                && strncmp(comm, ".NET ", 5) == 0;
    }
    closedir(tasks);
    return found;
}

bool lg_process_may_be_dotnet(int dir, const struct lg_process *process)
{
    char comm[32], socket[96];
    if (lg_proc_read(dir, "comm", comm, sizeof(comm)) > 0) {
        comm[strcspn(comm, "\n")] = '\0';
        if (hosts_apps(comm))
            return true;
    }
    if (process->threads > 1 && has_dotnet_thread(dir))
        return true;
    // The name that the runtime makes (dotnet/runtime src/native/eventpipe/ds-ipc-pal-socket.c @05284b2,
    // ipc_transport_get_default_name).
    snprintf(socket, sizeof(socket), "/tmp/dotnet-diagnostic-%d-%jd-socket", process->ns_pid,
             (intmax_t)process->start_ticks);
    return access(socket, F_OK) == 0;
}
