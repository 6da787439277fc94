// Where a process has its socket, and why it has none.
//
//     $TMPDIR or /tmp / dotnet-diagnostic-{pid}-{start}-socket        as the process itself sees all
//     three
//
// `start` is field 22 of its stat file, so the socket of an earlier process of that number is never
// taken for its own. The folder is looked up below /proc/PID/root, which is right in every mount
// namespace and chroot; the number is the last of NSpid.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "diag/diag_priv.h"
#include "target/proc.h"
#include "target/processes.h"

enum { AGAIN_MS = 20 };

// ---- the environment that the process was started with ----

struct environment {
    char *block; // NAME=value, each ended with NUL; one NUL more at the end.
    size_t len;
};

static void environment_deinit(struct environment *environment)
{
    free(environment->block);
}

static const char *get(const struct environment *environment, const char *name)
{
    size_t len = strlen(name);
    const char *end = environment->block + environment->len;
    for (const char *s = environment->block; s < end; s += strlen(s) + 1) {
        if (strncmp(s, name, len) == 0 && s[len] == '=')
            return s + len + 1;
    }
    return NULL;
}

// A setting of the runtime, under either prefix: "DOTNET_" goes first.
static const char *get_setting(const struct environment *environment, const char *name)
{
    char full[64];
    snprintf(full, sizeof(full), "DOTNET_%s", name);
    const char *value = get(environment, full);
    snprintf(full, sizeof(full), "COMPlus_%s", name);
    return value ? value : get(environment, full);
}

static struct lg_error *rights_error(int errnum)
{
    if (errnum == EACCES || errnum == EPERM)
        return lg_error_new(LG_ERR_OS,
                            "no right to look for its diagnostics socket: run as its user, as "
                            "root, or with CAP_SYS_PTRACE");
    return errnum == ENOMEM ? &lg_no_memory : lg_error_os(errnum, "reading its environment");
}

static struct lg_error *read_environment(int proc, struct environment *ret)
{
    ret->block = lg_proc_read_all(proc, "environ", &ret->len);
    return ret->block ? NULL : rights_error(errno);
}

// ---- the socket ----

// Absolute links are those of the process's root; a kernel before 5.6 takes them for ours.
static int open_folder(int proc, const char *path)
{
    const char *base = path[0] == '/' ? "root" : "cwd";
    _cleanup_close_ int root = openat(proc, base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -1;
    path += strspn(path, "/");
    path = *path ? path : ".";
    struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                            .resolve = *base == 'r' ? RESOLVE_IN_ROOT : 0 };
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = openat(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd;
}

static bool is_socket(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, 0) == 0 && S_ISSOCK(st.st_mode);
}

static struct lg_error *explain_process(int pid)
{
    struct lg_process process = { 0 };
    struct lg_error *err = lg_process_read(pid, &process);
    enum lg_flavour flavour = process.flavour;
    lg_process_deinit(&process);
    if (err || flavour == LG_FLAVOUR_FRAMEWORK || flavour == LG_FLAVOUR_SELF_CONTAINED
        || flavour == LG_FLAVOUR_SINGLE_FILE)
        return err;
    if (flavour == LG_FLAVOUR_NATIVEAOT)
        return lg_error_new(LG_ERR_UNSUPPORTED, "it has no diagnostics socket: it is NativeAOT, built "
                                                "without EventSourceSupport");
    if (flavour == LG_FLAVOUR_MONO)
        return lg_error_new(LG_ERR_UNSUPPORTED, "it has no diagnostics socket: it runs Mono");
    return lg_error_new(LG_ERR_UNSUPPORTED, "it runs no .NET");
}

// Why there is no socket.
static struct lg_error *explain(const struct lg_diag *diag, const struct environment *environment)
{
    static const char *const switches[] = { "EnableDiagnostics", "EnableDiagnostics_IPC" };
    struct lg_error *err = explain_process(diag->pid);
    if (err)
        return err;
    for (size_t i = 0; i < sizeof(switches) / sizeof(*switches); i++) {
        const char *value = get_setting(environment, switches[i]);
        if (value && strtoul(value, NULL, 16) == 0)
            return lg_error_new(LG_ERR_UNSUPPORTED,
                                "it has no diagnostics socket: %s=0 in its environment", switches[i]);
    }
    return lg_error_new(
        LG_ERR_NOT_FOUND,
        "it has no diagnostics socket (%s in %s): it has just started, somebody removed it, "
        "or its runtimeconfig.json switches diagnostics off",
        diag->name, diag->folder);
}

static struct lg_error *find(struct lg_diag *diag, int proc)
{
    char status[LG_PROC_TEXT];
    _cleanup_(environment_deinit) struct environment environment = { 0 };
    if (lg_proc_read(proc, "status", status, sizeof(status)) <= 0)
        return rights_error(errno);
    int64_t ns_pid = lg_proc_field_last(status, "NSpid", diag->pid);
    int64_t start = lg_proc_stat(proc, "stat", 22, -1);
    struct lg_error *err = read_environment(proc, &environment);
    if (err)
        return err;
    const char *folder = get(&environment, "TMPDIR");
    diag->folder = strdup(folder && *folder ? folder : "/tmp");
    if (!diag->folder)
        return &lg_no_memory;
    snprintf(diag->name, sizeof(diag->name), "dotnet-diagnostic-%" PRId64 "-%" PRId64 "-socket", ns_pid,
             start);
    diag->dir = open_folder(proc, diag->folder);
    if (diag->dir < 0 && errno != ENOENT && errno != ENOTDIR)
        return rights_error(errno);
    return diag->dir >= 0 && is_socket(diag->dir, diag->name) ? NULL : explain(diag, &environment);
}

static struct lg_diag *diag_new(int pid)
{
    struct lg_diag *diag = calloc(1, sizeof(*diag));
    if (diag)
        *diag = (struct lg_diag){ .pid = pid, .dir = -1 };
    return diag;
}

struct lg_error *lg_diag_open(int pid, struct lg_diag **ret)
{
    _cleanup_close_ int proc = lg_proc_open(pid);
    if (proc < 0)
        return lg_error_new(LG_ERR_NOT_FOUND, "there is no process %d", pid);
    _cleanup_(lg_diag_freep) struct lg_diag *diag = diag_new(pid);
    if (!diag)
        return &lg_no_memory;
    struct lg_error *err = find(diag, proc);
    if (err)
        return lg_error_context(err, "process %d", pid);
    *ret = lg_steal(diag);
    return NULL;
}

struct lg_error *lg_diag_open_path(const char *path, struct lg_diag **ret)
{
    _cleanup_(lg_diag_freep) struct lg_diag *diag = diag_new(0);
    _cleanup_free_ char *name = strdup(path);
    if (!diag || !name)
        return &lg_no_memory;
    diag->folder = strdup(path);
    if (!diag->folder)
        return &lg_no_memory;
    dirname(diag->folder);
    int n = snprintf(diag->name, sizeof(diag->name), "%s", basename(name));
    diag->dir = open(diag->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (diag->dir < 0)
        return lg_error_os(errno, "open '%s'", diag->folder);
    if (n >= (int)sizeof(diag->name) || !is_socket(diag->dir, diag->name))
        return lg_error_new(LG_ERR_NOT_FOUND, "there is no socket '%s'", path);
    *ret = lg_steal(diag);
    return NULL;
}

void lg_diag_free(struct lg_diag *diag)
{
    if (!diag)
        return;
    lg_closep(&diag->dir);
    free(diag->folder);
    free(diag);
}

bool lg_diag_starts_suspended(const struct lg_diag *diag)
{
    _cleanup_close_ int proc = diag->pid > 0 ? lg_proc_open(diag->pid) : -1;
    _cleanup_(environment_deinit) struct environment environment = { 0 };
    struct lg_error *err = proc >= 0 ? read_environment(proc, &environment) : NULL;
    lg_error_free(err);
    if (!environment.block)
        return false;
    const char *suspend = get_setting(&environment, "DefaultDiagnosticPortSuspend");
    const char *ports = get_setting(&environment, "DiagnosticPorts");
    return (suspend && strtoul(suspend, NULL, 16) != 0)
           || (ports && *ports && !strstr(ports, "nosuspend"));
}

// ---- connecting ----

// Who listens is who was meant. What the kernel cannot say in our terms is not compared.
static struct lg_error *check_peer(const struct lg_diag *diag, int fd)
{
    struct ucred peer = { 0 };
    socklen_t len = sizeof(peer);
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid > 0
                 && diag->pid > 0 && lg_proc_self() == getpid();
    if (known && peer.pid != diag->pid)
        return lg_error_new(LG_ERR_OS, "its diagnostics socket is served by process %d, not by itself",
                            (int)peer.pid);
    return NULL;
}

static struct lg_error *connect_error(const struct lg_diag *diag, int errnum)
{
    if (errnum == ECONNREFUSED)
        return lg_error_new(LG_ERR_OS,
                            "nobody listens on its diagnostics socket (%s in %s): it has ended, or its "
                            "runtime shuts down",
                            diag->name, diag->folder);
    if (errnum == EACCES || errnum == EPERM)
        return lg_error_new(LG_ERR_OS,
                            "no right to connect to its diagnostics socket: run as its user, or "
                            "as root");
    return lg_error_os(errnum, "connecting to its diagnostics socket (%s in %s)", diag->name,
                       diag->folder);
}

// A path in a sun_path has at most 107 bytes; one of a folder that is open is always short. `*fd_ret`
// stays -1 if there was no room in the queue until the end.
struct lg_error *lg_diag_connect(const struct lg_diag *diag, int64_t until_ms, int *fd_ret)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", diag->dir,
                     diag->name);
    if (n >= (int)sizeof(address.sun_path))
        return lg_error_new(LG_ERR_UNSUPPORTED, "the name of the socket is too long");
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return lg_error_os(errno, "making a socket");
    while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        bool ready;
        if (errno != EAGAIN && errno != EINTR)
            return connect_error(diag, errno);
        if (lg_ipc_now_ms() >= until_ms)
            return NULL; // Nobody has taken the connections before ours (unix(7), EAGAIN).
        struct lg_error *err = lg_ipc_wait(-1, 0, lg_ipc_now_ms() + AGAIN_MS, &ready);
        if (err)
            return err;
    }
    struct lg_error *err = check_peer(diag, fd);
    if (!err)
        *fd_ret = lg_steal_fd(&fd);
    return err;
}
