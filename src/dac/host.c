#include "dac/host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "dac/find.h"
#include "dac/helper.h"
#include "util/cancel.h"
#include "util/error.h"

enum { TIMEOUT_MS = 30000, SLICE_MS = 100, STARTS_MAX = 4, MEMORY_DEFAULT = 2 };

// ---- the end of a helper ----

static void end_helper(struct lg_dac *dac)
{
    if (dac->socket >= 0)
        close(dac->socket);
    dac->socket = -1;
    if (dac->pid > 0) {
        kill(dac->pid, SIGKILL);
        while (waitpid(dac->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    dac->pid = 0;
}

static uint64_t memory_of(const struct lg_dac *dac)
{
    return dac->options.memory ? dac->options.memory : (uint64_t)MEMORY_DEFAULT << 30;
}

// Waits for a helper that has hung up: it is as good as dead, and if it is not, is ended.
static bool reap(const struct lg_dac *dac, int *status_ret, struct rusage *usage_ret)
{
    enum { TRIES = 200 };
    for (int tries = 0; tries < TRIES; tries++) {
        int got = wait4(dac->pid, status_ret, WNOHANG, usage_ret);
        if (got != 0 && !(got < 0 && errno == EINTR))
            return got == dac->pid;
        nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000000 }, NULL);
    }
    return false;
}

// It went by itself: why?
static struct lg_error *died(struct lg_dac *dac)
{
    struct rusage usage = { .ru_maxrss = 0 };
    int status = 0;
    bool known = reap(dac, &status, &usage);
    dac->pid = known ? 0 : dac->pid;
    end_helper(dac);
    uint64_t used = known ? (uint64_t)usage.ru_maxrss * 1024 : 0;
    if (used > dac->rss && used - dac->rss > memory_of(dac) / 10 * 8)
        return lg_error_new(LG_ERR_CORRUPT, "the DAC used up the %llu MB that it may have",
                            (unsigned long long)(memory_of(dac) >> 20));
    if (known && WIFSIGNALED(status))
        return lg_error_new(LG_ERR_CORRUPT, "the DAC crashed: %s", strsignal(WTERMSIG(status)));
    return lg_error_new(LG_ERR_CORRUPT, "the DAC ended its process, with status %d",
                        known ? WEXITSTATUS(status) : -1);
}

static struct lg_error *nonsense(struct lg_dac *dac)
{
    end_helper(dac);
    return lg_error_new(LG_ERR_CORRUPT, "the DAC's helper answers nonsense");
}

// ---- receiving ----

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct lg_error *await(struct lg_dac *dac, uint64_t deadline)
{
    for (;;) {
        struct pollfd poll_fd = { .fd = dac->socket, .events = POLLIN };
        int n = poll(&poll_fd, 1, SLICE_MS);
        if (n > 0)
            return NULL;
        if (lg_cancelled()) {
            end_helper(dac);
            return &lg_was_cancelled;
        }
        if (now_ms() > deadline) {
            end_helper(dac);
            return lg_error_new(LG_ERR_CORRUPT, "the DAC did not answer within %llu seconds",
                                (unsigned long long)(dac->options.timeout_ms + 999) / 1000);
        }
    }
}

static struct lg_error *receive(struct lg_dac *dac, void *buf, size_t len, uint64_t deadline)
{
    char *p = buf;
    while (len > 0) {
        struct lg_error *err = await(dac, deadline);
        if (err)
            return err;
        ssize_t n = recv(dac->socket, p, len, MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return died(dac);
        p += n;
        len -= (size_t)n;
    }
    return NULL;
}

// ---- answering ----

static struct lg_error *send_to(struct lg_dac *dac, enum lg_dac_message kind,
                                const struct lg_dac_piece *pieces, size_t count)
{
    return lg_dac_send(dac->socket, kind, pieces, count) ? NULL : died(dac);
}

static struct lg_error *give_memory(struct lg_dac *dac, const void *question, size_t size)
{
    struct lg_dac_range range;
    char bytes[LG_DAC_READ_MAX];
    if (size != sizeof(range))
        return nonsense(dac);
    memcpy(&range, question, sizeof(range));
    if (range.len > sizeof(bytes))
        return nonsense(dac);
    struct lg_dac_piece piece = { bytes,
                                  lg_target_read(dac->target, range.start, bytes, (size_t)range.len) };
    return send_to(dac, LG_DAC_MEMORY, &piece, 1);
}

// struct user_regs_struct: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs
// eflags rsp.
static struct lg_dac_registers convert(const uint64_t *r)
{
    static const uint8_t from[17] = { 10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0, 16 };
    struct lg_dac_registers ret = { .cs = (uint32_t)r[17], .eflags = (uint32_t)r[18] };
    for (size_t i = 0; i < 17; i++)
        ret.general[i] = r[from[i]];
    return ret;
}

static struct lg_error *give_registers(struct lg_dac *dac, const void *question, size_t size)
{
    uint32_t tid;
    if (size != sizeof(tid))
        return nonsense(dac);
    memcpy(&tid, question, sizeof(tid));
    struct lg_dac_registers registers;
    struct lg_dac_piece piece = { &registers, 0 };
    for (size_t i = 0; i < dac->target->threads.len; i++) {
        const struct lg_thread *thread = &dac->target->threads.at[i];
        if (thread->ns_tid == tid && thread->has_registers) {
            registers = convert(thread->registers);
            piece.len = sizeof(registers);
        }
    }
    return send_to(dac, LG_DAC_REGISTERS, &piece, 1);
}

// ---- requests ----

struct reply {
    uint8_t bytes[LG_DAC_LEN_MAX];
    size_t len;
};

static struct lg_error *failed(struct lg_dac *dac, const struct reply *reply)
{
    struct lg_error *err = lg_error_new(LG_ERR_UNSUPPORTED, "'%s' cannot be used: %.*s", dac->path,
                                        (int)reply->len, (const char *)reply->bytes);
    end_helper(dac);
    return err;
}

// Sends what is to be done, and serves the helper until it has done it.
static struct lg_error *request(struct lg_dac *dac, enum lg_dac_message kind,
                                const struct lg_dac_piece *pieces, size_t count, struct reply *reply)
{
    uint64_t deadline = now_ms() + dac->options.timeout_ms;
    struct lg_error *err = send_to(dac, kind, pieces, count);
    while (!err) {
        struct lg_dac_head head;
        err = receive(dac, &head, sizeof(head), deadline);
        if (!err && head.len > sizeof(reply->bytes))
            return nonsense(dac);
        if (!err)
            err = receive(dac, reply->bytes, head.len, deadline);
        if (err)
            return err;
        reply->len = head.len;
        switch (head.kind) {
        case LG_DAC_READ:
            err = give_memory(dac, reply->bytes, reply->len);
            break;
        case LG_DAC_WANT_REGS:
            err = give_registers(dac, reply->bytes, reply->len);
            break;
        case LG_DAC_ANSWER:
            return reply->len >= sizeof(struct lg_dac_answer) ? NULL : nonsense(dac);
        case LG_DAC_FAILED:
            return failed(dac, reply);
        default:
            return nonsense(dac);
        }
    }
    return err;
}

// ---- starting ----

static uint64_t own_rss(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct lg_error *fork_helper(struct lg_dac *dac, int file)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return lg_error_os(errno, "socketpair");
    struct lg_dac_helper_options options = {
        .socket = sockets[1],
        .file = file,
        .parent = getpid(),
        .runtime_base = dac->image.base,
        .memory = memory_of(dac),
        .cpu_seconds = dac->options.timeout_ms / 1000 * 10 + 10,
    };
    dac->rss = own_rss();
    dac->pid = fork();
    if (dac->pid == 0)
        lg_dac_helper(&options);
    close(sockets[1]);
    dac->socket = sockets[0];
    if (dac->pid > 0)
        return NULL;
    struct lg_error *err = lg_error_os(errno, "the DAC's helper");
    end_helper(dac);
    return err;
}

static struct lg_error *start(struct lg_dac *dac)
{
    if (dac->starts++ >= STARTS_MAX)
        return lg_error_new(LG_ERR_CORRUPT, "the DAC failed %d times", STARTS_MAX);
    _cleanup_close_ int file = -1;
    _cleanup_free_ char *path = NULL;
    struct lg_error *err = lg_dac_find(&dac->image, dac->options.version, dac->given, &file, &path);
    if (err)
        return err;
    free(dac->path);
    dac->path = lg_steal(path);
    _cleanup_free_ struct reply *reply = malloc(sizeof(*reply));
    if (!reply)
        return &lg_no_memory;
    err = fork_helper(dac, file);
    return err ? err : request(dac, LG_DAC_START, NULL, 0, reply);
}

struct lg_error *lg_dac_open(struct lg_target *target, const char *path, uint64_t base,
                             const struct lg_dac_options *options, struct lg_dac **ret)
{
    _cleanup_(lg_dac_freep) struct lg_dac *dac = calloc(1, sizeof(*dac));
    if (!dac)
        return &lg_no_memory;
    dac->target = target;
    dac->socket = -1;
    dac->options = *options;
    dac->options.timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
    if (options->file && !(dac->given = strdup(options->file)))
        return &lg_no_memory;
    struct lg_error *err = lg_image_open(target, path, base, &dac->image);
    if (!err)
        err = start(dac);
    if (err)
        return err;
    *ret = lg_steal(dac);
    return NULL;
}

void lg_dac_free(struct lg_dac *dac)
{
    if (!dac)
        return;
    end_helper(dac);
    for (size_t i = 0; i < dac->names.len; i++)
        free(dac->names.at[i]);
    lg_vec_free(&dac->names);
    lg_map_free(&dac->name_of_method);
    free(dac->given);
    free(dac->path);
    free(dac);
}

const char *lg_dac_path(const struct lg_dac *dac)
{
    return dac->path;
}

// ---- calls ----

static struct lg_error *write_call(const struct lg_dac_arg *args, size_t count, struct lg_dac_call *call,
                                   uint8_t *in, size_t in_size)
{
    for (size_t i = 0; i < count; i++) {
        call->args[i].kind = args[i].kind;
        call->args[i].size = args[i].size;
        call->args[i].value = args[i].value;
        if (args[i].kind != LG_DAC_IN)
            continue;
        size_t room = (args[i].size + (size_t)7) & ~(size_t)7;
        if (room > in_size - call->in_len)
            return lg_error_new(LG_ERR_USAGE, "too much for one call of the DAC");
        memcpy(in + call->in_len, args[i].in, args[i].size);
        call->in_len += (uint32_t)room;
    }
    return NULL;
}

static struct lg_error *read_answer(struct lg_dac *dac, const struct reply *reply,
                                    const struct lg_dac_arg *args, size_t count,
                                    struct lg_dac_result *ret)
{
    struct lg_dac_answer answer;
    memcpy(&answer, reply->bytes, sizeof(answer));
    size_t at = sizeof(answer);
    *ret = (struct lg_dac_result){ answer.hresult, answer.object };
    for (size_t i = 0; i < count && reply->len > sizeof(answer); i++) {
        if (args[i].kind != LG_DAC_OUT)
            continue;
        if (args[i].size > reply->len - at)
            return nonsense(dac);
        memcpy(args[i].out, reply->bytes + at, args[i].size);
        at += (args[i].size + (size_t)7) & ~(size_t)7;
        at = at < reply->len ? at : reply->len;
    }
    return NULL;
}

struct lg_error *lg_dac_call(struct lg_dac *dac, uint32_t object, uint32_t slot,
                             const struct lg_dac_arg *args, size_t count, struct lg_dac_result *ret)
{
    uint8_t in[256];
    struct lg_dac_call call = { .object = object, .slot = slot, .count = (uint32_t)count };
    *ret = (struct lg_dac_result){ LG_E_FAIL, UINT32_MAX };
    for (size_t i = 0; i < count; i++) {
        if (args[i].kind == LG_DAC_OUT)
            memset(args[i].out, 0, args[i].size);
    }
    struct lg_error *err = dac->socket < 0 ? start(dac) : NULL;
    if (!err)
        err = write_call(args, count, &call, in, sizeof(in));
    _cleanup_free_ struct reply *reply = malloc(sizeof(*reply));
    if (!err && !reply)
        err = &lg_no_memory;
    const struct lg_dac_piece pieces[] = { { &call, sizeof(call) }, { in, call.in_len } };
    if (!err)
        err = request(dac, LG_DAC_CALL, pieces, 2, reply);
    return err ? err : read_answer(dac, reply, args, count, ret);
}

void lg_dac_release(struct lg_dac *dac, uint32_t object)
{
    struct lg_dac_result result;
    if (object == UINT32_MAX || dac->socket < 0)
        return;
    struct lg_error *err = lg_dac_call(dac, object, LG_UNKNOWN_RELEASE, NULL, 0, &result);
    lg_error_free(err); // The next call tells.
}

struct lg_error *lg_dac_map(struct lg_dac *dac, uint64_t start_address, uint64_t end, bool *ok_ret)
{
    struct lg_dac_range range = { start_address, end - start_address };
    struct lg_dac_piece piece = { &range, sizeof(range) };
    _cleanup_free_ struct reply *reply = malloc(sizeof(*reply));
    if (!reply)
        return &lg_no_memory;
    struct lg_error *err = dac->socket < 0 ? start(dac) : NULL;
    if (!err)
        err = request(dac, LG_DAC_MAP, &piece, 1, reply);
    if (err)
        return err;
    struct lg_dac_answer answer;
    memcpy(&answer, reply->bytes, sizeof(answer));
    *ok_ret = answer.hresult >= 0;
    return NULL;
}
