// Sending and receiving, with deadlines.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "diag/diag_priv.h"
#include "target/proc.h"
#include "util/cancel.h"

enum { LOOK_MS = 100 }; // Between looks whether it is cancelled.

int64_t lg_ipc_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct lg_error *lg_ipc_wait(int fd, short events, int64_t until_ms, bool *ret)
{
    for (;;) {
        if (lg_cancelled())
            return &lg_was_cancelled;
        int64_t left = until_ms - lg_ipc_now_ms();
        struct pollfd poll_fd = { .fd = fd, .events = events };
        int n = poll(&poll_fd, 1, left < 0 ? 0 : left < LOOK_MS ? (int)left : LOOK_MS);
        if (n < 0 && errno != EINTR)
            return lg_error_os(errno, "waiting for the diagnostics socket");
        *ret = n > 0;
        if (n > 0 || left <= 0)
            return NULL;
    }
}

static char process_state(const struct lg_diag *diag)
{
    _cleanup_close_ int dir = diag->pid > 0 ? lg_proc_open(diag->pid) : -1;
    return dir >= 0 ? lg_proc_state(dir, "stat") : 0;
}

// Whether this process holds it stopped, and would wait for itself.
static bool is_held_by_us(const struct lg_diag *diag)
{
    char status[LG_PROC_TEXT], task[48];
    _cleanup_close_ int dir = diag->pid > 0 ? lg_proc_open(diag->pid) : -1;
    if (dir < 0 || lg_proc_state(dir, "stat") != 't'
        || lg_proc_read(dir, "status", status, sizeof(status)) <= 0)
        return false;
    snprintf(task, sizeof(task), "/proc/self/task/%d", (int)lg_proc_field(status, "TracerPid", 0));
    return access(task, F_OK) == 0;
}

// Why nothing came back, as far as can be seen from outside.
static struct lg_error *silence(const struct lg_diag *diag, int timeout_ms)
{
    char state = process_state(diag);
    const char *why = "it may be busy with another tool's command";
    if (state == 'T' || state == 't')
        why = "the process is stopped";
    else if (diag->pid > 0 && (state == 0 || state == 'Z'))
        why = "the process has ended";
    return lg_error_new(LG_ERR_OS, "no answer on the diagnostics socket within %.3g s: %s",
                        timeout_ms / 1000.0, why);
}

static struct lg_error *send_all(const struct lg_diag *diag, int fd, const uint8_t *bytes, size_t len,
                                 int64_t until_ms, int timeout_ms)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        bool ready = true;
        struct lg_error *err = NULL;
        if (n < 0 && errno == EAGAIN)
            err = lg_ipc_wait(fd, POLLOUT, until_ms, &ready);
        else if (n < 0 && errno != EINTR)
            err = lg_error_os(errno, "writing to the diagnostics socket");
        if (err || !ready)
            return err ? err : silence(diag, timeout_ms);
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return NULL;
}

static struct lg_error *receive_all(const struct lg_diag *diag, int fd, uint8_t *buf, size_t len,
                                    int64_t until_ms, int timeout_ms)
{
    for (size_t done = 0; done < len;) {
        bool ready;
        struct lg_error *err = lg_ipc_wait(fd, POLLIN, until_ms, &ready);
        if (err || !ready)
            return err ? err : silence(diag, timeout_ms);
        ssize_t n = recv(fd, buf + done, len - done, 0);
        if (n == 0)
            return lg_error_new(LG_ERR_CORRUPT,
                                "the runtime hung up before its answer was complete; it may have ended");
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return lg_error_os(errno, "reading from the diagnostics socket");
        done += n > 0 ? (size_t)n : 0;
    }
    return NULL;
}

struct lg_error *lg_ipc_send(const struct lg_diag *diag, enum lg_ipc_set set, int command,
                             const struct lg_payload *payload, int timeout_ms, int *fd_ret)
{
    int64_t until = lg_ipc_now_ms() + timeout_ms;
    size_t len = payload ? payload->bytes.len : 0;
    size_t size = LG_IPC_HEADER + len;
    uint8_t header[LG_IPC_HEADER] = "DOTNET_IPC_V1";
    _cleanup_close_ int fd = -1;
    if (payload && payload->failed)
        return len + LG_IPC_HEADER < UINT16_MAX
                   ? &lg_no_memory
                   : lg_error_new(LG_ERR_USAGE, "too much for one command: 64 KiB are possible");
    header[14] = (uint8_t)size;
    header[15] = (uint8_t)(size >> 8);
    header[16] = (uint8_t)set;
    header[17] = (uint8_t)command;
    if (process_state(diag) == 'T') // By job control: nobody knows until when.
        return lg_error_new(LG_ERR_OS, "the process is stopped, and answers nothing until it goes on");
    struct lg_error *err = lg_diag_connect(diag, until, &fd);
    if (!err && fd < 0)
        err = silence(diag, timeout_ms);
    if (!err)
        err = send_all(diag, fd, header, sizeof(header), until, timeout_ms);
    if (!err && len > 0)
        err = send_all(diag, fd, payload->bytes.at, len, until, timeout_ms);
    if (!err)
        *fd_ret = lg_steal_fd(&fd);
    return err;
}

struct lg_error *lg_ipc_receive(const struct lg_diag *diag, int fd, int timeout_ms, struct lg_reply *ret)
{
    int64_t until = lg_ipc_now_ms() + timeout_ms;
    uint8_t header[LG_IPC_HEADER];
    size_t size = 0;
    struct lg_error *err = receive_all(diag, fd, header, sizeof(header), until, timeout_ms);
    if (!err)
        err = lg_reply_size(header, &size);
    if (err)
        return err;
    size_t len = size - sizeof(header);
    _cleanup_free_ uint8_t *bytes = malloc(len + 1);
    struct lg_reply reply = { .len = len };
    if (!bytes)
        return &lg_no_memory;
    err = receive_all(diag, fd, bytes, len, until, timeout_ms);
    if (!err)
        err = lg_reply_code(header, bytes, len, &reply.code);
    if (err)
        return err;
    reply.bytes = lg_steal(bytes);
    *ret = reply;
    return NULL;
}

struct lg_error *lg_ipc_request(const struct lg_diag *diag, enum lg_ipc_set set, int command,
                                const struct lg_payload *payload, int timeout_ms, int *fd_ret,
                                struct lg_reply *ret)
{
    _cleanup_close_ int fd = -1;
    if (is_held_by_us(diag))
        return lg_error_new(LG_ERR_OS,
                            "this linger holds the process stopped to read it: it cannot answer");
    struct lg_error *err = lg_ipc_send(diag, set, command, payload, timeout_ms, &fd);
    if (!err)
        err = lg_ipc_receive(diag, fd, timeout_ms, ret);
    if (!err)
        *fd_ret = lg_steal_fd(&fd);
    return err;
}
