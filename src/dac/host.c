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

enum { TIMEOUT_MS = 30000, SLICE_MS = 100, MEMORY_DEFAULT = 2 };
enum { STARTS_MAX = 4, ALL_STARTS_MAX = 64, LONG_LIFE = 64 };

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

// A helper that always has something more to say has to end, too.
static struct lg_error *await(struct lg_dac *dac, uint64_t deadline)
{
    for (;;) {
        if (lg_cancelled()) {
            end_helper(dac);
            return &lg_was_cancelled;
        }
        if (now_ms() > deadline) {
            end_helper(dac);
            return lg_error_new(LG_ERR_CORRUPT, "the DAC did not answer within %llu seconds",
                                (unsigned long long)(dac->options.timeout_ms + 999) / 1000);
        }
        struct pollfd poll_fd = { .fd = dac->socket, .events = POLLIN };
        if (poll(&poll_fd, 1, SLICE_MS) > 0)
            return NULL;
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
    dac->wanted_more |= piece.len < range.len;
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

// No list is so long: 64 MiB are two million types of a module.
enum { PARTS_MAX = 64 << 20 };

static struct lg_error *failed(struct lg_dac *dac)
{
    struct lg_error *err = lg_error_new(LG_ERR_UNSUPPORTED, "'%s' cannot be used: %.*s", dac->path,
                                        (int)dac->reply.len, (const char *)dac->reply.bytes);
    end_helper(dac);
    return err;
}

static struct lg_error *keep_part(struct lg_dac *dac)
{
    if (dac->reply.len == 0) // Of such there could be any number.
        return nonsense(dac);
    if (dac->reply.len > PARTS_MAX - dac->parts.len) {
        end_helper(dac);
        return lg_error_new(LG_ERR_CORRUPT, "the DAC tells of a list that does not end");
    }
    if (!lg_vec_reserve((void **)&dac->parts.at, &dac->parts.cap, dac->parts.len + dac->reply.len, 1))
        return &lg_no_memory;
    memcpy(dac->parts.at + dac->parts.len, dac->reply.bytes, dac->reply.len);
    dac->parts.len += dac->reply.len;
    return NULL;
}

// Sends what is to be done, and serves the helper until it has done it.
static struct lg_error *request(struct lg_dac *dac, enum lg_dac_message kind,
                                const struct lg_dac_piece *pieces, size_t count)
{
    uint64_t deadline = now_ms() + dac->options.timeout_ms;
    struct lg_dac_reply *reply = &dac->reply;
    dac->parts.len = 0;
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
        case LG_DAC_PART:
            err = keep_part(dac);
            break;
        case LG_DAC_ANSWER:
            if (++dac->answers == LONG_LIFE) // What fails now and then only is not given up soon.
                dac->starts = 0;
            return reply->len >= sizeof(struct lg_dac_answer) ? NULL : nonsense(dac);
        case LG_DAC_FAILED:
            return failed(dac);
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
    dac->answers = 0;
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
    if (dac->starts >= STARTS_MAX || dac->all_starts >= ALL_STARTS_MAX)
        return lg_error_new(LG_ERR_CORRUPT, "the DAC failed %u times", dac->all_starts);
    dac->starts++;
    dac->all_starts++;
    _cleanup_close_ int file = -1;
    _cleanup_free_ char *path = NULL;
    struct lg_error *err = lg_dac_find(&dac->image, dac->options.version, dac->given, &file, &path);
    if (err)
        return err;
    free(dac->path);
    dac->path = lg_steal(path);
    err = fork_helper(dac, file);
    return err ? err : request(dac, LG_DAC_START, NULL, 0);
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
    lg_map_free(&dac->origin_of_code);
    lg_vec_free(&dac->origins);
    lg_map_free(&dac->instance_fields);
    lg_map_free(&dac->load_context_of);
    lg_vec_free(&dac->load_contexts);
    lg_vec_free(&dac->parts);
    free(dac->given);
    free(dac->path);
    free(dac);
}

const char *lg_dac_path(const struct lg_dac *dac)
{
    return dac->path;
}

// ---- calls ----

// Sends a request to the helper, which is started if none runs.
static struct lg_error *ask(struct lg_dac *dac, enum lg_dac_message kind, const void *question,
                            size_t size)
{
    struct lg_dac_piece piece = { question, size };
    struct lg_error *err = dac->socket < 0 ? start(dac) : NULL;
    return err ? err : request(dac, kind, &piece, 1);
}

// What has been written of a message to the helper.
struct message {
    uint8_t bytes[4096];
    size_t len;
};

static bool put(struct message *message, const void *bytes, size_t size)
{
    size_t room = (size + 7) & ~(size_t)7;
    if (room > sizeof(message->bytes) - message->len)
        return false;
    memcpy(message->bytes + message->len, bytes, size);
    memset(message->bytes + message->len + size, 0, room - size);
    message->len += room;
    return true;
}

static bool put_step(struct message *message, const struct lg_dac_step *step)
{
    struct lg_dac_call call = { .object = step->object,
                                .slot = step->slot,
                                .count = (uint32_t)step->count };
    for (size_t i = 0; i < step->count; i++) {
        call.args[i].kind = step->args[i].kind;
        call.args[i].size = step->args[i].size;
        call.args[i].value = step->args[i].value;
    }
    bool ok = put(message, &call, sizeof(call));
    for (size_t i = 0; i < step->count; i++)
        ok = ok
             && (step->args[i].kind != LG_DAC_IN || put(message, step->args[i].in, step->args[i].size));
    return ok;
}

static bool comes_back(const struct lg_dac_arg *arg)
{
    return arg->kind == LG_DAC_OUT || arg->kind == LG_DAC_STRINGS;
}

// Copies what it answered to one step, at `*at`; false: the answer is too short.
static bool take(const struct lg_dac_reply *reply, struct lg_dac_step *step, size_t *at)
{
    struct lg_dac_answer answer;
    if (sizeof(answer) > reply->len - *at)
        return false;
    memcpy(&answer, reply->bytes + *at, sizeof(answer));
    *at += sizeof(answer);
    step->result = (struct lg_dac_result){ answer.hresult, answer.object };
    for (size_t i = 0; i < step->count; i++) {
        const struct lg_dac_arg *arg = &step->args[i];
        size_t room = ((size_t)arg->size + 7) & ~(size_t)7;
        if (!comes_back(arg))
            continue;
        if (room > reply->len - *at)
            return false;
        memcpy(arg->out, reply->bytes + *at, arg->size);
        *at += room;
    }
    return true;
}

static void clear(struct lg_dac_step *step)
{
    step->result = (struct lg_dac_result){ LG_E_FAIL, UINT32_MAX };
    for (size_t i = 0; i < step->count; i++) {
        if (comes_back(&step->args[i]))
            memset(step->args[i].out, 0, step->args[i].size);
    }
}

struct lg_error *lg_dac_steps(struct lg_dac *dac, struct lg_dac_step *steps, size_t count)
{
    struct message message = { .len = 0 };
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        clear(&steps[i]);
        fits = fits && put_step(&message, &steps[i]);
    }
    if (!fits)
        return lg_error_new(LG_ERR_USAGE, "too much for one call of the DAC");
    struct lg_error *err = ask(dac, LG_DAC_CALL, message.bytes, message.len);
    if (err)
        return err;
    size_t at = 0;
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++)
        ok = take(&dac->reply, &steps[i], &at);
    return ok && at == dac->reply.len ? NULL : nonsense(dac);
}

struct lg_error *lg_dac_call(struct lg_dac *dac, uint32_t object, uint32_t slot,
                             const struct lg_dac_arg *args, size_t count, struct lg_dac_result *ret)
{
    struct lg_dac_step step = { .object = object, .slot = slot, .count = count };
    if (count > 0)
        memcpy(step.args, args, count * sizeof(*args));
    struct lg_error *err = lg_dac_steps(dac, &step, 1);
    *ret = step.result;
    return err;
}

void lg_dac_release(struct lg_dac *dac, uint32_t object)
{
    struct lg_dac_result result;
    if (object == UINT32_MAX || dac->socket < 0)
        return;
    struct lg_error *err = lg_dac_call(dac, object, LG_UNKNOWN_RELEASE, NULL, 0, &result);
    lg_error_free(err); // The next call tells.
}

// A request whose answer is a number and no more.
static struct lg_error *simple_request(struct lg_dac *dac, enum lg_dac_message kind,
                                       const void *question, size_t size, int32_t *hresult_ret)
{
    struct lg_dac_answer answer;
    struct lg_error *err = ask(dac, kind, question, size);
    if (err)
        return err;
    memcpy(&answer, dac->reply.bytes, sizeof(answer));
    *hresult_ret = answer.hresult;
    return NULL;
}

struct lg_error *lg_dac_map(struct lg_dac *dac, uint64_t start_address, uint64_t end, bool *ok_ret)
{
    struct lg_dac_range range = { start_address, end - start_address };
    int32_t hresult = LG_E_FAIL;
    struct lg_error *err = simple_request(dac, LG_DAC_MAP, &range, sizeof(range), &hresult);
    *ok_ret = hresult >= 0;
    return err;
}

struct lg_error *lg_dac_follow(struct lg_dac *dac, const struct lg_dac_follow *list,
                               int32_t *hresult_ret)
{
    struct lg_error *err = simple_request(dac, LG_DAC_FOLLOW, list, sizeof(*list), hresult_ret);
    if (!err && (dac->parts.len % list->size != 0 || dac->parts.len / list->size > list->max))
        err = nonsense(dac);
    return err;
}
