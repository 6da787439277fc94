// A runtime advertises itself with 34 bytes:
//
//     u8 magic[8] "ADVR_V1\0"   u8 cookie[16]   u64 pid, as it sees itself   u16 0
//
// and then takes one command over this connection (dotnet/diagnostics
// documentation/design-docs/ipc-protocol.md, "Diagnostic Ports" @3c9f99e). The number of its process in
// our terms is the kernel's.
#include "diag/port.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "diag/diag_priv.h"

#define SETTING "DOTNET_DiagnosticPorts"
enum { ADVERTISEMENT = 34, COOKIE_AT = 8, COOKIE = 16, LINES_MAX = 512, BACKLOG = 64 };

enum stage { WAITS, FORGETS, GOES_ON, IS_GONE_ON };
struct runtime {
    uint8_t cookie[COOKIE];
    enum stage stage;
};
// A connection of a runtime.
struct line {
    int fd;
    uint8_t bytes[ADVERTISEMENT];
    size_t len;
    size_t runtime; // in lg_port.runtimes, once it has said which
    bool asked;     // What comes is the answer.
};
struct lg_port {
    char folder[64], path[80], *setting, *before;
    int listener, wake;
    pthread_t thread;
    bool has_thread;
    atomic_int first;
    atomic_bool is_let_go, is_over;
    LG_VEC(struct runtime) runtimes; // The first one is the first that came.
    LG_VEC(struct line) lines;
};

// ---- what it says to a runtime ----

static bool command(int fd, enum lg_ipc_set set, int number, const struct lg_payload *payload)
{
    uint8_t message[1024] = "DOTNET_IPC_V1";
    size_t size = LG_IPC_HEADER + payload->bytes.len;
    if (payload->failed || size > sizeof(message))
        return false;
    message[14] = (uint8_t)size;
    message[15] = (uint8_t)(size >> 8);
    message[16] = (uint8_t)set;
    message[17] = (uint8_t)number;
    if (payload->bytes.len)
        memcpy(message + LG_IPC_HEADER, payload->bytes.at, payload->bytes.len);
    return send(fd, message, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}

// .NET 5 cannot be told to forget, and answers so.
static bool forget(const struct lg_port *port, int fd)
{
    _cleanup_(lg_payload_deinit) struct lg_payload payload = { 0 };
    lg_payload_string(&payload, SETTING);
    lg_payload_string(&payload, port->before ? port->before : "");
    return command(fd, LG_IPC_PROCESS, LG_IPC_SET_ENVIRONMENT, &payload);
}

static bool go_on(int fd)
{
    const struct lg_payload nothing = { 0 };
    return command(fd, LG_IPC_PROCESS, LG_IPC_RESUME, &nothing);
}

// ---- connections ----

// Takes the runtime of a line a step further; false: the line is of no more use.
static bool advance(struct lg_port *port, struct line *line)
{
    struct runtime *runtime = &port->runtimes.at[line->runtime];
    if (runtime->stage == WAITS && (line->runtime > 0 || port->is_let_go))
        runtime->stage = FORGETS;
    if (runtime->stage == FORGETS) {
        runtime->stage = GOES_ON;
        return line->asked = forget(port, line->fd);
    }
    if (runtime->stage == GOES_ON) {
        runtime->stage = IS_GONE_ON;
        return line->asked = go_on(line->fd);
    }
    return true; // It waits, or has nothing more to wait for.
}

static bool find_runtime(struct lg_port *port, struct line *line)
{
    const uint8_t *cookie = line->bytes + COOKIE_AT;
    for (size_t i = 0; i < port->runtimes.len; i++) {
        line->runtime = i;
        if (memcmp(port->runtimes.at[i].cookie, cookie, COOKIE) == 0)
            return true;
    }
    struct runtime runtime = { .stage = WAITS };
    memcpy(runtime.cookie, cookie, COOKIE);
    line->runtime = port->runtimes.len;
    return lg_vec_push(&port->runtimes, runtime);
}

static bool take_advertisement(struct lg_port *port, struct line *line)
{
    struct ucred peer = { 0 };
    socklen_t len = sizeof(peer);
    if (memcmp(line->bytes, "ADVR_V1", 8) != 0 || !find_runtime(port, line))
        return false;
    if (line->runtime == 0 && port->first == 0)
        port->first = getsockopt(line->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
    return advance(port, line);
}

// Something has come over a line; false: it is to be closed.
static bool take(struct lg_port *port, struct line *line)
{
    uint8_t answer[256];
    if (line->len == ADVERTISEMENT) // One answer is all that comes then; or the runtime has ended.
        return recv(line->fd, answer, sizeof(answer), 0) < 0 && errno == EAGAIN;
    ssize_t n = recv(line->fd, line->bytes + line->len, ADVERTISEMENT - line->len, 0);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    line->len += (size_t)n;
    return line->len < ADVERTISEMENT || take_advertisement(port, line);
}

static void add_line(struct lg_port *port)
{
    struct line line = { .fd = accept4(port->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) };
    if (line.fd >= 0 && (port->lines.len >= LINES_MAX || !lg_vec_push(&port->lines, line)))
        close(line.fd);
}

static void let_first_go(struct lg_port *port)
{
    for (size_t i = 0; i < port->lines.len; i++) {
        struct line *line = &port->lines.at[i];
        if (line->len == ADVERTISEMENT && line->runtime == 0 && !line->asked)
            (void)advance(port, line);
    }
}

static void take_all(struct lg_port *port, const struct pollfd *polled, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct line line = port->lines.at[i];
        if (polled[i].revents && !take(port, &line))
            close(line.fd);
        else
            port->lines.at[kept++] = line;
    }
    port->lines.len = kept;
}

static void *serve(void *data)
{
    struct lg_port *port = data;
    struct pollfd polled[LINES_MAX + 2];
    while (!port->is_over) {
        size_t count = port->lines.len;
        for (size_t i = 0; i < count; i++)
            polled[i] = (struct pollfd){ .fd = port->lines.at[i].fd, .events = POLLIN };
        polled[count] = (struct pollfd){ .fd = port->listener, .events = POLLIN };
        polled[count + 1] = (struct pollfd){ .fd = port->wake, .events = POLLIN };
        if (poll(polled, count + 2, -1) < 0)
            continue;
        take_all(port, polled, count);
        uint64_t told;
        if (polled[count + 1].revents && read(port->wake, &told, sizeof(told)) > 0)
            let_first_go(port);
        if (polled[count].revents)
            add_line(port);
    }
    return NULL;
}

// ---- the port ----

// Where the folder is: what parts one port from another in the setting cannot be in its name, and a
// socket's has at most 107 bytes.
static const char *parent_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && folder[0] == '/' && strlen(folder) < 40 && !strpbrk(folder, ",;") ? folder : "/tmp";
}

static struct lg_error *make_setting(struct lg_port *port)
{
    const char *before = getenv(SETTING);
    port->before = before ? strdup(before) : NULL;
    if (asprintf(&port->setting, "%s,suspend%s%s", port->path, before && *before ? ";" : "",
                 before ? before : "")
        < 0) {
        port->setting = NULL;
        return &lg_no_memory;
    }
    return before && !port->before ? &lg_no_memory : NULL;
}

static struct lg_error *listen_at(struct lg_port *port)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(port->folder, sizeof(port->folder), "%s/linger-run-XXXXXX", parent_folder());
    if (!mkdtemp(port->folder)) {
        int errnum = errno;
        port->folder[0] = 0;
        return lg_error_os(errnum, "making a folder for a socket in %s", parent_folder());
    }
    snprintf(port->path, sizeof(port->path), "%s/port", port->folder);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", port->path);
    port->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    port->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (port->listener < 0 || port->wake < 0
        || bind(port->listener, (const struct sockaddr *)&address, sizeof(address)) < 0
        || listen(port->listener, BACKLOG) < 0)
        return lg_error_os(errno, "listening at %s", port->path);
    return make_setting(port);
}

// Signals are for others.
static struct lg_error *start(struct lg_port *port)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    port->has_thread = pthread_create(&port->thread, NULL, serve, port) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return port->has_thread ? NULL : lg_error_new(LG_ERR_OS, "cannot start a thread");
}

struct lg_error *lg_port_new(struct lg_port **ret)
{
    _cleanup_(lg_port_freep) struct lg_port *port = calloc(1, sizeof(*port));
    if (!port)
        return &lg_no_memory;
    port->listener = port->wake = -1;
    struct lg_error *err = listen_at(port);
    if (!err)
        err = start(port);
    if (!err)
        *ret = lg_steal(port);
    return err;
}

static void wake(struct lg_port *port)
{
    uint64_t one = 1;
    while (write(port->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void lg_port_free(struct lg_port *port)
{
    if (!port)
        return;
    port->is_over = true;
    if (port->has_thread) {
        wake(port);
        pthread_join(port->thread, NULL);
    }
    if (port->path[0])
        unlink(port->path);
    if (port->folder[0])
        rmdir(port->folder);
    for (size_t i = 0; i < port->lines.len; i++)
        close(port->lines.at[i].fd);
    lg_closep(&port->listener);
    lg_closep(&port->wake);
    lg_vec_free(&port->lines);
    lg_vec_free(&port->runtimes);
    free(port->setting);
    free(port->before);
    free(port);
}

const char *lg_port_setting(const struct lg_port *port)
{
    return port->setting;
}

int lg_port_first(const struct lg_port *port)
{
    return port->first;
}

void lg_port_let_go(struct lg_port *port)
{
    port->is_let_go = true;
    wake(port);
}
