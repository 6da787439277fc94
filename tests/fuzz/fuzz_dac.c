// A helper that answers anything: linger's side of the DAC (host.c, facts*.c, stack.c) gets facts that
// hold together, or an error, within bounds; so does a runtime whose descriptor leaves things to the
// DAC.
//
//     u8 what is asked | message | message | …
//
// The socket is made up (--wrap, meson.build). A message is of the form that was asked for, with any
// content, or not even that; the end of the bytes is the end of the helper:
//
//     u8 how    0–3: the answer, each result `u8 n` and n words    4: part of a list: u8 n, n words
//               5: wants memory: u64 address, u16 length           6: wants registers    7: anything
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "clr/told.h"
#include "dac/facts.h"
#include "dac/host.h"
#include "support/fake_objects.h"
#include "support/promises.h"
#include "util/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SOCKET = 1 << 20, BASE = 0x10000000, MESSAGE_MAX = 1 << 16, MESSAGES_MAX = 256 };
#define STACK UINT64_C(0x7e1234560000)
#define STACK_END (STACK + 0x3000)

static void must(bool condition)
{
    if (!condition)
        abort();
}

// ---- the socket ----

static struct {
    struct lg_reader in;
    uint8_t asked[8192]; // The last request: what it wants back is in it.
    size_t asked_len;
    uint8_t out[MESSAGE_MAX];
    size_t out_len, out_at;
    unsigned messages;
} wire;

static void put(const void *bytes, size_t len)
{
    if (len > sizeof(wire.out) - wire.out_len)
        return;
    memcpy(wire.out + wire.out_len, bytes, len);
    wire.out_len += len;
}

// `u8 n`, then n words, up to `len` bytes; zeros behind them.
static void put_content(size_t len)
{
    uint8_t bytes[8 * 256] = { 0 };
    size_t want = 8 * (size_t)lg_read_u8(&wire.in), left = lg_reader_left(&wire.in);
    const void *content = lg_read_bytes(&wire.in, want < left ? want : left);
    if (content)
        memcpy(bytes, content, want < left ? want : left);
    for (size_t done = 0; done < len;) {
        size_t n = len - done < sizeof(bytes) ? len - done : sizeof(bytes);
        put(bytes, n);
        memset(bytes, 0, sizeof(bytes));
        done += n;
    }
}

static void put_result(void)
{
    static const int32_t hresults[] = { LG_S_OK, LG_S_OK,      LG_S_FALSE,      LG_S_OK,
                                        LG_S_OK, LG_E_NOTIMPL, LG_E_INVALIDARG, LG_E_FAIL };
    uint8_t choice = lg_read_u8(&wire.in);
    struct lg_dac_answer answer = { hresults[choice % 8], choice & 8 ? UINT32_MAX : choice };
    put(&answer, sizeof(answer));
}

static void answer_calls(void)
{
    struct lg_dac_call call;
    size_t at = sizeof(struct lg_dac_head);
    while (at + sizeof(call) <= wire.asked_len) {
        memcpy(&call, wire.asked + at, sizeof(call));
        at += sizeof(call);
        put_result();
        for (uint32_t i = 0; i < call.count && i < LG_DAC_ARGS_MAX; i++) {
            size_t room = (call.args[i].size + (size_t)7) & ~(size_t)7;
            if (call.args[i].kind == LG_DAC_OUT)
                put_content(room);
            at += call.args[i].kind == LG_DAC_IN ? room : 0;
        }
    }
}

static uint32_t list_part(void)
{
    struct lg_dac_follow follow = { .size = sizeof(struct lg_dac_item) };
    struct lg_dac_head head;
    memcpy(&head, wire.asked, sizeof(head));
    if (head.kind == LG_DAC_FOLLOW)
        memcpy(&follow, wire.asked + sizeof(head), sizeof(follow));
    for (unsigned count = lg_read_u8(&wire.in) % 8; count > 0; count--)
        put_content(follow.size);
    return LG_DAC_PART;
}

static uint32_t make_body(void)
{
    struct lg_dac_head head;
    memcpy(&head, wire.asked, sizeof(head));
    switch (lg_read_u8(&wire.in) % 8) {
    case 4:
        return list_part();
    case 5: {
        struct lg_dac_range range = { lg_read_u64(&wire.in), lg_read_u16(&wire.in) };
        put(&range, sizeof(range));
        return LG_DAC_READ;
    }
    case 6: {
        uint32_t tid = lg_read_u8(&wire.in);
        put(&tid, sizeof(tid));
        return LG_DAC_WANT_REGS;
    }
    case 7: {
        uint8_t kind = lg_read_u8(&wire.in);
        put_content(lg_read_u8(&wire.in));
        return kind;
    }
    default:
        if (head.kind == LG_DAC_CALL)
            answer_calls();
        else
            put_result();
        return LG_DAC_ANSWER;
    }
}

static bool make_message(void)
{
    struct lg_dac_head head = { 0 };
    wire.out_len = wire.out_at = 0;
    if (lg_reader_left(&wire.in) == 0 || wire.messages++ >= MESSAGES_MAX)
        return false;
    put(&head, sizeof(head));
    head.kind = make_body();
    head.len = (uint32_t)(wire.out_len - sizeof(head));
    memcpy(wire.out, &head, sizeof(head));
    return true;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_wait4(int pid, int *status, int options, struct rusage *usage);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    size_t total = 0;
    uint32_t kind;
    memcpy(&kind, message->msg_iov[0].iov_base, sizeof(kind));
    bool is_request = kind == LG_DAC_CALL || kind == LG_DAC_FOLLOW || kind == LG_DAC_MAP;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *piece = &message->msg_iov[i];
        if (is_request && total + piece->iov_len <= sizeof(wire.asked))
            memcpy(wire.asked + total, piece->iov_base, piece->iov_len);
        total += piece->iov_len;
    }
    if (is_request)
        wire.asked_len = total;
    return (ssize_t)total;
}

ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
    if (wire.out_at == wire.out_len && !make_message())
        return 0;
    size_t left = wire.out_len - wire.out_at, n = len < left ? len : left;
    memcpy(buf, wire.out + wire.out_at, n);
    wire.out_at += n;
    return (ssize_t)n;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    return 1;
}

int __wrap_wait4(int pid, int *status, int options, struct rusage *usage)
{
    return -1;
}

// ---- what is asked ----

static struct lg_error *check_stack(struct lg_dac *dac)
{
    _cleanup_(lg_dac_stack_deinit) struct lg_dac_stack stack = { .cut = NULL };
    struct lg_error *err =
        lg_dac_stack_read(dac, 7, STACK, STACK_END, LG_DAC_FRAMES | LG_DAC_REFS, &stack);
    for (size_t i = 0; !err && i < stack.frames.len; i++)
        must(stack.frames.at[i].sp >= STACK && stack.frames.at[i].sp <= STACK_END);
    for (size_t i = 0; !err && i < stack.refs.len; i++) {
        must(stack.refs.at[i].frame == SIZE_MAX || stack.refs.at[i].frame < stack.frames.len);
        must(strnlen(stack.refs.at[i].place, sizeof(stack.refs.at[i].place))
             < sizeof(stack.refs.at[i].place));
    }
    return err;
}

static struct lg_error *check_threads(struct lg_dac *dac)
{
    _cleanup_(lg_dac_threads_deinit) struct lg_dac_threads threads = { .all = 0 };
    struct lg_error *err = lg_dac_threads_read(dac, &threads);
    must(err || threads.all == threads.list.len);
    return err;
}

static struct lg_error *check_gc(struct lg_dac *dac)
{
    _cleanup_(lg_dac_gc_deinit) struct lg_dac_gc gc = { .datas = 0 };
    struct lg_error *err = lg_dac_gc_read(dac, &gc);
    for (size_t i = 0; !err && i < gc.heaps.len; i++)
        must(gc.heaps.at[i].generation_count <= LG_DAC_GENERATIONS
             && gc.heaps.at[i].fill_count <= LG_DAC_FILL_POINTERS);
    must(err || gc.is_server || gc.heaps.len == 1);
    return err;
}

static struct lg_error *check_segments(struct lg_dac *dac)
{
    _cleanup_(lg_dac_segments_deinit) struct lg_dac_segments segments = { .at = NULL };
    return lg_dac_segments_read(dac, 0x1000, &segments);
}

static struct lg_error *check_name(struct lg_dac *dac)
{
    _cleanup_free_ char *name = NULL;
    struct lg_error *err = lg_dac_type_name(dac, 0x1000, &name);
    must(err || (name && *name));
    return err;
}

static struct lg_error *check_type(struct lg_dac *dac)
{
    struct lg_dac_type type;
    struct lg_dac_statics statics;
    _cleanup_(lg_dac_fields_deinit) struct lg_dac_fields fields = { .at = NULL };
    struct lg_error *err = lg_dac_type_read(dac, 0x1000, &type);
    if (!err)
        err = lg_dac_fields_read(dac, &type, &fields);
    must(err || fields.len <= (size_t)type.instance_fields + type.static_fields);
    if (!err)
        err = lg_dac_statics_read(dac, &type, &statics);
    return err ? err : lg_dac_thread_statics_read(dac, &type, 0x2000, &statics);
}

static struct lg_error *check_domain(struct lg_dac *dac)
{
    struct lg_dac_domain domain = { .name = NULL };
    struct lg_error *err = lg_dac_domain_read(dac, &domain);
    if (!err)
        lg_dac_domain_deinit(&domain);
    return err;
}

static struct lg_error *check_modules(struct lg_dac *dac)
{
    _cleanup_(lg_dac_addresses_deinit) struct lg_dac_addresses modules = { .at = NULL };
    return lg_dac_modules_read(dac, &modules);
}

static struct lg_error *check_module(struct lg_dac *dac)
{
    struct lg_dac_module module = { .path = NULL };
    _cleanup_(lg_dac_module_types_deinit) struct lg_dac_module_types types = { .at = NULL };
    struct lg_error *err = lg_dac_module_read(dac, 0x1000, &module);
    if (!err)
        lg_dac_module_deinit(&module);
    return err ? err : lg_dac_module_types_read(dac, 0x1000, &types);
}

static struct lg_error *check_small(struct lg_dac *dac)
{
    struct lg_dac_well_known known;
    struct lg_dac_array array;
    struct lg_error *err = lg_dac_well_known_read(dac, &known);
    lg_dac_method_table(dac, 0x3000);
    return err ? err : lg_dac_array_type(dac, 0x1000, &array);
}

// ---- a runtime of which the descriptor does not tell all ----

static struct lg_dac *new_dac(struct lg_target *target, bool is_old)
{
    struct lg_dac *dac = calloc(1, sizeof(*dac));
    must(dac);
    dac->target = target;
    dac->socket = SOCKET; // No file, so closing it is nothing.
    dac->starts = 1000;   // No other helper.
    dac->options.timeout_ms = 3600000;
    dac->options.version = is_old ? "8.0.1" : "10.0.1";
    return dac;
}

struct lg_error *__wrap_lg_dac_open(struct lg_target *target, const char *path, uint64_t base,
                                    const struct lg_dac_options *options, struct lg_dac **ret);
struct lg_error *__wrap_lg_dac_open(struct lg_target *target, const char *path, uint64_t base,
                                    const struct lg_dac_options *options, struct lg_dac **ret)
{
    *ret = new_dac(target, false);
    return NULL;
}

// Modules, fields and statics have to be asked for.
static struct lg_target *quiet_runtime(void)
{
    static const char *const names[] = { "\"DomainAssemblyList\"", "\"FieldDescList\"",
                                         "\"DynamicStaticsInfo\"", "\"SupportedFlagsMask\"" };
    static char json[1 << 16];
    struct lg_target *fake = fake_runtime_with_objects(0);
    lg_target_read(fake, FR_JSON, json, sizeof(json) - 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *name = strstr(json, names[i]);
        must(name);
        fake_u8(fake, FR_JSON + (uint64_t)(name - json) + 1, '-');
    }
    return fake;
}

// A question that gets no answer is a gap, which is told.
static void check_statics(struct lg_clr *clr)
{
    const struct lg_static *statics;
    size_t count, before = lg_told_unanswered(clr);
    struct lg_error *err = lg_clr_statics(clr, &statics, &count);
    must(err || lg_told_unanswered(clr) == before || !lg_clr_statics_are_whole(clr));
    lg_error_free(err);
}

static void check_runtime(void)
{
    static struct lg_target *fake;
    static const uint64_t types[] = { FT_OBJECT, FT_STRING, FT_OBJECT_ARRAY, FT_MT(FT_NODE),
                                      FT_MT(FT_OUTER_STRING) };
    fake = fake ? fake : quiet_runtime();
    _cleanup_(lg_target_freep) struct lg_target *view = fake_view(fake, NULL, NULL);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    struct lg_error *err = lg_clr_open(view, &(struct lg_clr_options){ .dac = NULL }, &clr);
    for (size_t i = 0; !err && i < sizeof(types) / sizeof(*types); i++)
        lg_clr_type(clr, types[i]);
    if (!err)
        check_statics(clr);
    must(err || !broken_promise(clr));
    lg_error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lg_error *(*const checks[])(struct lg_dac *) = {
        check_stack, check_threads, check_gc,      check_segments, check_name,
        check_type,  check_domain,  check_modules, check_module,   check_small,
    };
    static struct lg_target *target;
    if (!target) {
        target = fake_new();
        fake_zeros(target, STACK, STACK_END - STACK);
        fake_thread(target, 7, 0x1000, STACK);
    }
    wire.in = lg_reader(data, size);
    wire.asked_len = wire.out_len = wire.out_at = wire.messages = 0;
    unsigned what = lg_read_u8(&wire.in);
    if (what & 0x40) {
        check_runtime();
        return 0;
    }
    _cleanup_(lg_dac_freep) struct lg_dac *dac = new_dac(target, what & 0x80);
    lg_error_free(checks[(what & 0x3f) % (sizeof(checks) / sizeof(*checks))](dac));
    return 0;
}
