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

enum { RESULTS_MAX = 1 << 16, PAGE = 4096 };
static const uint64_t mapped_max = UINT64_C(64) << 20;

struct helper {
    const struct lg_dac_helper_options *options;
    struct lg_data_target *target;
    struct lg_com *objects[LG_DAC_OBJECTS_MAX];
    void *mapped;
    size_t mapped_len;
    uint8_t in[LG_DAC_LEN_MAX], out[RESULTS_MAX];
};

static void answer(struct helper *h, int32_t hresult, uint32_t object, size_t len)
{
    struct lg_dac_answer answer = { hresult, object };
    const struct lg_dac_piece pieces[] = { { &answer, sizeof(answer) }, { h->out, len } };
    if (!lg_dac_send(h->options->socket, LG_DAC_ANSWER, pieces, 2))
        _exit(0);
}

static void fail(struct helper *h, const char *sentence)
{
    struct lg_dac_piece piece = { sentence, strnlen(sentence, 500) };
    if (!lg_dac_send(h->options->socket, LG_DAC_FAILED, &piece, 1))
        _exit(0);
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

static int32_t create(struct helper *h, void *library)
{
    typedef int32_t create_function(const struct lg_guid *iid, struct lg_com *target, void **ret);
    typedef int32_t query_function(void *self, const struct lg_guid *iid, void **ret);
    static const struct lg_guid process = {
        0x5c552ab6, 0xfc09, 0x4cb3, { 0x8e, 0x36, 0x22, 0xfa, 0x03, 0xc7, 0x98, 0xb7 }
    };
    static const struct lg_guid sos = {
        0x436f00f2, 0xb42a, 0x4b9f, { 0x87, 0x0c, 0xe7, 0x3d, 0xb6, 0x6a, 0xe9, 0x30 }
    };
    create_function *create_instance =
        (create_function *)(uintptr_t)dlsym(library, "CLRDataCreateInstance");
    if (!create_instance)
        return LG_E_NOINTERFACE;
    void *object = NULL;
    int32_t hresult = create_instance(&process, lg_data_target_interface(h->target), &object);
    if (hresult < 0 || !object)
        return hresult < 0 ? hresult : LG_E_FAIL;
    h->objects[LG_DAC_PROCESS] = object;
    query_function *query = (query_function *)(uintptr_t)h->objects[LG_DAC_PROCESS]->slots[0];
    hresult = query(object, &sos, &object);
    h->objects[LG_DAC_SOS] = object;
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
        answer(h, hresult, UINT32_MAX, 0);
}

// ---- calls ----

// All arguments are integers or pointers, so one prototype serves: the System V ABI passes them the same
// way, and what a function does not take it does not see.
typedef int32_t any_function(struct lg_com *self, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                             uint64_t, uint64_t);

struct prepared {
    uint64_t args[LG_DAC_ARGS_MAX];
    size_t out_len;
    void *object;
};

static bool prepare(struct helper *h, const struct lg_dac_call *call, struct prepared *ret)
{
    size_t in = sizeof(*call);
    for (uint32_t i = 0; i < call->count; i++) {
        uint32_t size = call->args[i].size;
        switch (call->args[i].kind) {
        case LG_DAC_VALUE:
            ret->args[i] = call->args[i].value;
            break;
        case LG_DAC_IN:
            if (size > sizeof(h->in) - in)
                return false;
            ret->args[i] = (uintptr_t)h->in + in;
            in += (size + 7) & ~UINT32_C(7);
            break;
        case LG_DAC_OUT:
            if (size > sizeof(h->out) - ret->out_len)
                return false;
            ret->args[i] = (uintptr_t)h->out + ret->out_len;
            memset(h->out + ret->out_len, 0, size);
            ret->out_len += (size + 7) & ~UINT32_C(7);
            break;
        default:
            ret->args[i] = (uintptr_t)&ret->object;
            break;
        }
    }
    return true;
}

static uint32_t keep_object(struct helper *h, void *object)
{
    for (uint32_t i = LG_DAC_SOS + 1; object && i < LG_DAC_OBJECTS_MAX; i++) {
        if (!h->objects[i]) {
            h->objects[i] = object;
            return i;
        }
    }
    return UINT32_MAX;
}

static void call_slot(struct helper *h)
{
    struct lg_dac_call call;
    struct prepared p = { .out_len = 0 };
    memcpy(&call, h->in, sizeof(call));
    struct lg_com *object = call.object < LG_DAC_OBJECTS_MAX ? h->objects[call.object] : NULL;
    if (!object || call.count > LG_DAC_ARGS_MAX || !prepare(h, &call, &p)) {
        answer(h, LG_E_INVALIDARG, UINT32_MAX, 0);
        return;
    }
    any_function *function = (any_function *)(uintptr_t)object->slots[call.slot];
    const uint64_t *a = p.args;
    int32_t hresult = function(object, a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    if (call.slot == LG_UNKNOWN_RELEASE && call.object > LG_DAC_SOS)
        h->objects[call.object] = NULL;
    answer(h, hresult, keep_object(h, p.object), p.out_len);
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
    answer(h, mapped == MAP_FAILED ? LG_E_FAIL : LG_S_OK, UINT32_MAX, 0);
}

// ---- the loop ----

static void serve(struct helper *h)
{
    struct lg_dac_head head;
    while (lg_dac_receive(h->options->socket, &head, sizeof(head)) && head.len <= sizeof(h->in)
           && lg_dac_receive(h->options->socket, h->in, head.len)) {
        switch (head.kind) {
        case LG_DAC_START:
            start(h);
            break;
        case LG_DAC_CALL:
            call_slot(h);
            break;
        case LG_DAC_MAP:
            map(h);
            break;
        default:
            unmap(h);
            answer(h, LG_S_OK, UINT32_MAX, 0);
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
