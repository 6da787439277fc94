// EventPipe sessions.
//
//     CollectTracing2    u32 MB, u32 format, u8 rundown, providers                        3.1
//     CollectTracing3    the same, and u8 stacks before the providers                     9
//     CollectTracing4    with u64 rundown keywords in place of u8                         9
//     CollectTracing5    u32 0 (a stream) first; providers have a list of events          10
//     CollectTracing6    the same, and u32 mode at the end: 0 drop, 1 block               11
//
// The number of the command is one more than that of its name (dotnet/diagnostics
// src/Microsoft.Diagnostics.NETCore.Client/DiagnosticsClient/EventPipeSessionConfiguration.cs @3c9f99e;
// dotnet/runtime src/native/eventpipe/ds-eventpipe-protocol.c).
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "diag/diag_priv.h"
#include "diag/nettrace.h"

enum { NETTRACE = 1, BUFFER_MB = 64, OLDEST = 2, EVENTS_SINCE = 5, BLOCKS_SINCE = 6 };

static void put_provider(struct lg_payload *payload, const struct lg_diag_provider *provider,
                         unsigned version)
{
    lg_payload_u64(payload, provider->keywords);
    lg_payload_u32(payload, provider->level);
    lg_payload_string(payload, provider->name);
    lg_payload_string(payload, provider->arguments);
    if (version < EVENTS_SINCE)
        return;
    lg_payload_u8(payload, provider->events != NULL); // 1: these only; 0 and none: all.
    lg_payload_u32(payload, (uint32_t)provider->event_count);
    for (size_t i = 0; i < provider->event_count; i++)
        lg_payload_u32(payload, provider->events[i]);
}

static void put_request(struct lg_payload *payload, const struct lg_diag_request *request,
                        unsigned version)
{
    if (version >= 5)
        lg_payload_u32(payload, 0);
    lg_payload_u32(payload, request->buffer_mb ? request->buffer_mb : BUFFER_MB);
    lg_payload_u32(payload, NETTRACE);
    if (version >= 4)
        lg_payload_u64(payload, request->rundown);
    else
        lg_payload_u8(payload, request->rundown != 0);
    if (version >= 3)
        lg_payload_u8(payload, request->stacks);
    lg_payload_u32(payload, (uint32_t)request->provider_count);
    const struct lg_diag_provider *providers =
        version < EVENTS_SINCE && request->unfiltered ? request->unfiltered : request->providers;
    for (size_t i = 0; i < request->provider_count; i++)
        put_provider(payload, &providers[i], version);
    if (version >= BLOCKS_SINCE)
        lg_payload_u32(payload, request->block);
}

// Tries one form of the command. `*code_ret` is the runtime's answer.
static struct lg_error *try(const struct lg_diag *diag, const struct lg_diag_request *request,
                            unsigned version, uint32_t *code_ret, struct lg_diag_session *ret)
{
    _cleanup_(lg_payload_deinit) struct lg_payload payload = { 0 };
    _cleanup_(lg_reply_deinit) struct lg_reply reply = { 0 };
    _cleanup_close_ int fd = -1;
    put_request(&payload, request, version);
    struct lg_error *err =
        lg_ipc_request(diag, LG_IPC_EVENTPIPE, (int)version + 1, &payload,
                       request->reply_ms ? request->reply_ms : LG_DIAG_REPLY_MS, &fd, &reply);
    if (err)
        return err;
    *code_ret = reply.code;
    struct lg_reader r = lg_reader(reply.bytes, reply.len);
    uint64_t id = reply.code == 0 ? lg_read_u64(&r) : 0;
    if (r.failed)
        return lg_error_new(LG_ERR_CORRUPT, "the runtime started a session and told no number of it");
    if (reply.code == 0)
        *ret = (struct lg_diag_session){ .fd = lg_steal_fd(&fd),
                                         .stop_fd = -1,
                                         .id = id,
                                         .version = version,
                                         .filtered = version >= EVENTS_SINCE,
                                         .blocks = request->block && version >= BLOCKS_SINCE };
    return NULL;
}

struct lg_error *lg_diag_collect(const struct lg_diag *diag, const struct lg_diag_request *request,
                                 struct lg_diag_session *ret)
{
    *ret = (struct lg_diag_session){ .fd = -1, .stop_fd = -1 };
    uint32_t code = LG_IPC_UNKNOWN_COMMAND;
    unsigned version = request->block ? BLOCKS_SINCE : EVENTS_SINCE;
    for (; code == LG_IPC_UNKNOWN_COMMAND && version >= OLDEST; version--) {
        struct lg_error *err = try(diag, request, version, &code, ret);
        if (err)
            return lg_error_context(err, "starting a session");
    }
    return code == 0 ? NULL : lg_error_context(lg_reply_refusal(code), "starting a session");
}

struct lg_error *lg_diag_read(struct lg_diag_session *session, void *buf, size_t size, int timeout_ms,
                              size_t *len_ret)
{
    bool ready = true;
    *len_ret = 0;
    struct lg_error *err =
        session->ended ? NULL : lg_ipc_wait(session->fd, POLLIN, lg_ipc_now_ms() + timeout_ms, &ready);
    if (err || session->ended || !ready)
        return err;
    ssize_t n = recv(session->fd, buf, size, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return NULL;
    // A process that is killed leaves what it has not read yet as ECONNRESET: an end like another.
    session->ended = n == 0 || (n < 0 && errno == ECONNRESET);
    if (n < 0 && !session->ended)
        return lg_error_os(errno, "reading the events of a session");
    *len_ret = n > 0 ? (size_t)n : 0;
    return NULL;
}

struct lg_error *lg_diag_feed(struct lg_diag_session *session, struct lg_nettrace *trace, int timeout_ms)
{
    enum { PIECE = 64 << 10 };
    uint8_t buf[PIECE];
    size_t len;
    struct lg_error *err = lg_diag_read(session, buf, sizeof(buf), timeout_ms, &len);
    if (err)
        return err;
    return len > 0 ? lg_nettrace_feed(trace, buf, len) : lg_nettrace_finish(trace);
}

struct lg_error *lg_diag_stop(const struct lg_diag *diag, struct lg_diag_session *session)
{
    if (session->ended || session->stop_fd >= 0)
        return NULL;
    _cleanup_(lg_payload_deinit) struct lg_payload payload = { 0 };
    lg_payload_u64(&payload, session->id);
    return lg_error_context(
        lg_ipc_send(diag, LG_IPC_EVENTPIPE, LG_IPC_STOP, &payload, LG_DIAG_REPLY_MS, &session->stop_fd),
        "stopping a session");
}

struct lg_error *lg_diag_stopped(const struct lg_diag *diag, struct lg_diag_session *session)
{
    if (session->stop_fd < 0)
        return NULL;
    _cleanup_(lg_reply_deinit) struct lg_reply reply = { 0 };
    _cleanup_close_ int fd = lg_steal_fd(&session->stop_fd);
    struct lg_error *err = lg_ipc_receive(diag, fd, LG_DIAG_REPLY_MS, &reply);
    if (!err && reply.code != 0)
        err = lg_reply_refusal(reply.code);
    return lg_error_context(err, "stopping a session");
}

void lg_diag_close(struct lg_diag_session *session)
{
    lg_closep(&session->fd);
    lg_closep(&session->stop_fd);
    session->fd = session->stop_fd = -1;
}
