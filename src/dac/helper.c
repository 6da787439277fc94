#include "dac/helper.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dac/data_target.h"
#include "dac/jail.h"
#include "dac/wire.h"

enum { PAGE = 4096 };
static const uint64_t mapped_max = UINT64_C(64) << 20;

struct helper {
    const struct lg_dac_helper_options *options;
    struct lg_data_target *target;
    struct lg_com *objects[LG_DAC_OBJECTS_MAX];
    void *mapped;
    size_t mapped_len;
    size_t in_len, out_len, part_len;
    uint8_t in[LG_DAC_LEN_MAX], out[LG_DAC_RESULTS_MAX], part[LG_DAC_PART_MAX];
};

static void send_to_linger(struct helper *h, enum lg_dac_message kind, const void *bytes, size_t len)
{
    struct lg_dac_piece piece = { bytes, len };
    if (!lg_dac_send(h->options->socket, kind, &piece, 1))
        _exit(0);
}

static void fail(struct helper *h, const char *sentence)
{
    send_to_linger(h, LG_DAC_FAILED, sentence, strnlen(sentence, 500));
}

// ---- lists ----

static void send_part(struct helper *h)
{
    if (h->part_len > 0)
        send_to_linger(h, LG_DAC_PART, h->part, h->part_len);
    h->part_len = 0;
}

static void add_item(struct helper *h, const void *item, size_t size)
{
    if (size > sizeof(h->part) - h->part_len)
        send_part(h);
    memcpy(h->part + h->part_len, item, size);
    h->part_len += size;
}

static void answer(struct helper *h, int32_t hresult)
{
    struct lg_dac_answer answer = { hresult, UINT32_MAX };
    send_part(h);
    send_to_linger(h, LG_DAC_ANSWER, &answer, sizeof(answer));
}

// ---- starting ----

static const char *initialize(void *library)
{
    typedef int main_function(void *module, uint32_t reason, void *reserved);
    main_function *dll_main = (main_function *)(uintptr_t)dlsym(library, "DllMain");
    const uint32_t process_attach = 1;
    return !dll_main || dll_main(library, process_attach, NULL) ? NULL : "its DllMain failed";
}

static const char *explain(int32_t hresult, char *buf, size_t size)
{
    if (hresult == LG_CORDBG_E_UNSUPPORTED)
        return "the runtime is still starting; try again in a moment";
    if (hresult == LG_CORDBG_E_MISSING_EXPORTS)
        return "the runtime's g_dacTable is not there to be read";
    if (hresult == LG_CORDBG_E_INCOMPATIBLE)
        return "it is for another architecture";
    snprintf(buf, size, "CLRDataCreateInstance returned %#x", (unsigned)hresult);
    return buf;
}

static const struct lg_guid interfaces[LG_DAC_OBJECTS_OWN] = {
    [LG_DAC_PROCESS] = { 0x5c552ab6,
                         0xfc09,
                         0x4cb3,
                         { 0x8e, 0x36, 0x22, 0xfa, 0x03, 0xc7, 0x98, 0xb7 } },
    [LG_DAC_SOS] = { 0x436f00f2, 0xb42a, 0x4b9f, { 0x87, 0x0c, 0xe7, 0x3d, 0xb6, 0x6a, 0xe9, 0x30 } },
    [LG_DAC_SOS6] = { 0x11206399, 0x4b66, 0x4edb, { 0x98, 0xea, 0x85, 0x65, 0x4e, 0x59, 0xad, 0x45 } },
    [LG_DAC_SOS8] = { 0xc12f35a9, 0xe55c, 0x4520, { 0xa8, 0x94, 0xb3, 0xdc, 0x51, 0x65, 0xdf, 0xce } },
    [LG_DAC_SOS12] = { 0x1b93bacc, 0x8ca4, 0x432d, { 0x94, 0x3a, 0x3e, 0x6e, 0x7e, 0xc0, 0xb0, 0xa3 } },
    [LG_DAC_SOS13] = { 0x3176a8ed, 0x597b, 0x4f54, { 0xa7, 0x1f, 0x83, 0x69, 0x5c, 0x6a, 0x8c, 0x5e } },
    [LG_DAC_SOS14] = { 0x9aa22aca, 0x6dc6, 0x4a0c, { 0xb4, 0xe0, 0x70, 0xd2, 0x41, 0x6b, 0x98, 0x37 } },
    [LG_DAC_SOS16] = { 0x4ba12ff8, 0xdaac, 0x4e43, { 0xac, 0x56, 0x98, 0xcf, 0x8d, 0x5c, 0x59, 0x5d } },
};

static int32_t create(struct helper *h, void *library)
{
    typedef int32_t create_function(const struct lg_guid *iid, struct lg_com *target, void **ret);
    typedef int32_t query_function(void *self, const struct lg_guid *iid, void **ret);
    create_function *create_instance =
        (create_function *)(uintptr_t)dlsym(library, "CLRDataCreateInstance");
    if (!create_instance)
        return LG_E_NOINTERFACE;
    void *object = NULL;
    int32_t hresult =
        create_instance(&interfaces[LG_DAC_PROCESS], lg_data_target_interface(h->target), &object);
    if (hresult < 0 || !object)
        return hresult < 0 ? hresult : LG_E_FAIL;
    h->objects[LG_DAC_PROCESS] = object;
    query_function *query =
        (query_function *)(uintptr_t)h->objects[LG_DAC_PROCESS]->slots[LG_UNKNOWN_QUERY];
    for (uint32_t i = LG_DAC_SOS; i < LG_DAC_OBJECTS_OWN; i++) {
        void *found = NULL;
        int32_t one = query(object, &interfaces[i], &found);
        h->objects[i] = one < 0 ? NULL : found;
        hresult = i == LG_DAC_SOS ? one : hresult;
    }
    return hresult;
}

// Never unloaded: what the DAC leaves behind for the end of threads must stay (reference clr.md A.2).
static void start(struct helper *h)
{
    char path[64], text[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", h->options->file);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fail(h, dlerror());
        return;
    }
    close(h->options->file);
    const char *wrong = initialize(library);
    if (!wrong && !lg_dac_jail(LG_DAC_RUNNING))
        wrong = "the kernel has no seccomp filters, without which it is not run";
    if (wrong) {
        fail(h, wrong);
        return;
    }
    int32_t hresult = create(h, library);
    if (hresult < 0)
        fail(h, explain(hresult, text, sizeof(text)));
    else
        answer(h, hresult);
}

// ---- calls ----

// All arguments are integers or pointers, so one prototype serves: the System V ABI passes them the same
// way, and what a function does not take it does not see.
typedef int32_t any_function(struct lg_com *self, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                             uint64_t, uint64_t);

// What the DAC calls a callback with; it gets no pointer of ours in all cases, so there is one place for
// it. An answer that does not end, linger ends.
static struct helper *collecting;
static int32_t collect(uint64_t a, uint64_t b, uint64_t c)
{
    struct lg_dac_item item = { a, b, c };
    add_item(collecting, &item, sizeof(item));
    return 1;
}

static size_t padded(uint32_t size)
{
    return ((size_t)size + 7) & ~(size_t)7;
}

struct prepared {
    uint64_t args[LG_DAC_ARGS_MAX];
    void *object;
};

// The argument's value, as the DAC is to see it. `*in` moves on behind what it has of the message.
static bool prepare(struct helper *h, uint32_t kind, uint32_t size, size_t *in, uint64_t *ret)
{
    switch (kind) {
    case LG_DAC_IN:
        if (padded(size) > h->in_len - *in)
            return false;
        *ret = (uintptr_t)(h->in + *in);
        *in += padded(size);
        break;
    case LG_DAC_OUT:
    case LG_DAC_STRINGS:
        if (padded(size) > sizeof(h->out) - h->out_len)
            return false;
        *ret = (uintptr_t)(h->out + h->out_len);
        memset(h->out + h->out_len, 0, padded(size));
        h->out_len += padded(size);
        break;
    case LG_DAC_CALLBACK:
        *ret = (uintptr_t)collect;
        break;
    default:
        break;
    }
    return true;
}

static bool prepare_all(struct helper *h, const struct lg_dac_call *call, size_t *in,
                        struct prepared *ret)
{
    bool ok = call->count <= LG_DAC_ARGS_MAX;
    for (uint32_t i = 0; ok && i < call->count; i++) {
        ret->args[i] =
            call->args[i].kind == LG_DAC_OBJECT ? (uintptr_t)&ret->object : call->args[i].value;
        ok = prepare(h, call->args[i].kind, call->args[i].size, in, &ret->args[i]);
    }
    return ok;
}

static void add_strings(struct helper *h, const struct lg_dac_call *call, const struct prepared *p)
{
    for (uint32_t i = 0; i < call->count; i++) {
        const char *const *texts = (const char *const *)(uintptr_t)p->args[i];
        bool is_texts = call->args[i].kind == LG_DAC_STRINGS;
        for (size_t at = 0; is_texts && at < call->args[i].size / sizeof(*texts) && texts[at]; at++) {
            struct lg_dac_string item = { "" };
            strncpy(item.text, texts[at], sizeof(item.text) - 1);
            add_item(h, &item, sizeof(item));
        }
    }
}

static uint32_t keep_object(struct helper *h, void *object)
{
    for (uint32_t i = LG_DAC_OBJECTS_OWN; object && i < LG_DAC_OBJECTS_MAX; i++) {
        if (!h->objects[i]) {
            h->objects[i] = object;
            return i;
        }
    }
    return UINT32_MAX;
}

static any_function *slot_of(struct helper *h, uint32_t object, uint32_t slot, struct lg_com **ret)
{
    *ret = object < LG_DAC_OBJECTS_MAX ? h->objects[object] : NULL;
    return *ret ? (any_function *)(uintptr_t)(*ret)->slots[slot] : NULL;
}

// One of the calls of a message, at `*in`, unless the first has failed. False: it is none.
static bool call_slot(struct helper *h, size_t *in, int32_t *first)
{
    struct lg_dac_call call;
    struct lg_dac_answer answer = { *first < 0 ? LG_E_FAIL : LG_E_NOINTERFACE, UINT32_MAX };
    struct prepared p = { .object = NULL };
    struct lg_com *object;
    size_t at = h->out_len;
    if (h->in_len - *in < sizeof(call) || sizeof(h->out) - at < sizeof(answer))
        return false;
    memcpy(&call, h->in + *in, sizeof(call));
    *in += sizeof(call);
    h->out_len += sizeof(answer);
    if (!prepare_all(h, &call, in, &p))
        return false;
    any_function *function = *first < 0 ? NULL : slot_of(h, call.object, call.slot, &object);
    const uint64_t *a = p.args;
    if (function)
        answer.hresult = function(object, a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    if (function && call.slot == LG_UNKNOWN_RELEASE && call.object >= LG_DAC_OBJECTS_OWN)
        h->objects[call.object] = NULL;
    if (answer.hresult >= 0)
        add_strings(h, &call, &p);
    answer.object = keep_object(h, p.object);
    memcpy(h->out + at, &answer, sizeof(answer));
    *first = at == 0 ? answer.hresult : *first;
    return true;
}

static void call_slots(struct helper *h)
{
    bool ok = true;
    int32_t first = LG_S_OK;
    h->out_len = 0;
    for (size_t in = 0; ok && in < h->in_len;)
        ok = call_slot(h, &in, &first);
    send_part(h);
    if (ok)
        send_to_linger(h, LG_DAC_ANSWER, h->out, h->out_len);
    else
        fail(h, "a call that is too large");
}

static void follow(struct helper *h)
{
    struct lg_dac_follow list;
    struct lg_com *object;
    int32_t hresult = LG_S_OK;
    memcpy(&list, h->in, sizeof(list));
    any_function *function = slot_of(h, list.object, list.slot, &object);
    bool ok = function && list.size <= sizeof(h->part) && list.next_at + sizeof(uint64_t) <= list.size;
    uint64_t at = list.first, mark = 0;
    for (uint64_t i = 0; ok && hresult >= 0 && at && i < list.max; i++) {
        mark = (i & (i - 1)) == 0 ? at : mark; // Brent: a circle is found in its second round.
        memset(h->out, 0, list.size);
        hresult = function(object, at, (uintptr_t)h->out, 0, 0, 0, 0, 0);
        memcpy(&at, h->out + list.next_at, sizeof(at));
        if (hresult >= 0)
            add_item(h, h->out, list.size);
        if (hresult >= 0 && at == mark)
            hresult = LG_E_CIRCLE;
    }
    answer(h, ok ? hresult : LG_E_NOINTERFACE);
}

// ---- stacks ----

static void unmap(struct helper *h)
{
    if (h->mapped)
        munmap(h->mapped, h->mapped_len);
    h->mapped = NULL;
}

// The .NET 10 DAC follows pointers to registers that an exception in its first pass has saved, as if
// they were its own: they lead into the thread's stack. With a copy of it at the same addresses they
// lead to the right values (reference clr.md A.8).
static void map(struct helper *h)
{
    struct lg_dac_range range;
    memcpy(&range, h->in, sizeof(range));
    unmap(h);
    uint64_t start = range.start & ~(uint64_t)(PAGE - 1), end = range.start + range.len;
    size_t len = (size_t)((end - start + PAGE - 1) & ~(uint64_t)(PAGE - 1));
    void *wanted = (void *)(uintptr_t)start;
    void *mapped = range.len <= mapped_max && end > start
                       ? mmap(wanted, len, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)
                       : MAP_FAILED;
    if (mapped != MAP_FAILED && mapped != wanted) { // A kernel before 4.17.
        munmap(mapped, len);
        mapped = MAP_FAILED;
    }
    if (mapped != MAP_FAILED) {
        h->mapped = mapped;
        h->mapped_len = len;
        for (size_t done = 0, n = 1; done < len && n > 0; done += n) {
            size_t left = len - done;
            n = lg_data_target_read(h->target, start + done, (char *)mapped + done,
                                    left < LG_DAC_READ_MAX ? left : LG_DAC_READ_MAX);
        }
    }
    answer(h, mapped == MAP_FAILED ? LG_E_FAIL : LG_S_OK);
}

// ---- the loop ----

static void serve(struct helper *h)
{
    struct lg_dac_head head;
    while (lg_dac_receive(h->options->socket, &head, sizeof(head)) && head.len <= sizeof(h->in)
           && lg_dac_receive(h->options->socket, h->in, head.len)) {
        h->in_len = head.len;
        switch (head.kind) {
        case LG_DAC_START:
            start(h);
            break;
        case LG_DAC_CALL:
            call_slots(h);
            break;
        case LG_DAC_FOLLOW:
            follow(h);
            break;
        case LG_DAC_MAP:
            map(h);
            break;
        default:
            unmap(h);
            answer(h, LG_S_OK);
            break;
        }
    }
}

// Ctrl-C is for linger, which then ends the helper; what faults ends it at once.
static void reset_signals(void)
{
    static const int ignored[] = { SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE, SIGTSTP };
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void lg_dac_helper(const struct lg_dac_helper_options *options)
{
    struct helper *helper = calloc(1, sizeof(*helper));
    if (!helper || !(helper->target = lg_data_target_new(options->socket, options->runtime_base)))
        _exit(1);
    helper->options = options;
    collecting = helper;
    reset_signals();
    // DOTNET_ENABLE_CDAC and the like are for programs, not for who looks at them. Not empty: the DAC's
    // PAL does not expect `environ` to be NULL.
    clearenv();
    setenv("LC_ALL", "C", 1);
    if (!lg_dac_close_others(options->socket, options->file)
        || !lg_dac_limit(options->parent, options->memory, options->cpu_seconds)
        || !lg_dac_jail(LG_DAC_LOADING))
        fail(helper, "the kernel does not let it give up its rights");
    else
        serve(helper);
    _exit(0);
}
