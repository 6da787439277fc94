// Frames and references of a thread's stack, as the DAC tells them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dac/host.h"
#include "util/error.h"
#include "util/utf16.h"

enum { REFS_PIECE = 64, NAME_MAX_UNITS = 2048 };

struct reader {
    struct lg_dac *dac;
    struct lg_dac_stack *stack;
    uint64_t low, high;
    uint32_t os_id;
    bool has_ended;      // There is no frame where the walk stands.
    uint64_t sp_before;  // Of the method before: each lies above the one that it has called.
    size_t frame_before; // Of the reference before: they come frame by frame.
};

// ---- names ----

// The caller's; NULL: out of memory.
static char *narrow(const uint16_t *units, size_t room)
{
    size_t len = 0;
    while (len < room && units[len])
        len++;
    char *text = malloc(LG_UTF8_SIZE(len));
    if (text)
        lg_utf8_from_utf16(text, LG_UTF8_SIZE(len), units, len);
    return text;
}

// A name by the slot that gives it; NULL if there is none. Kept by `key`, which no two slots share.
static struct lg_error *name_of(struct lg_dac *dac, uint32_t slot, uint64_t key, const char **ret)
{
    uint32_t index;
    *ret = NULL;
    if (lg_map_get(&dac->name_of_method, key, &index)) {
        *ret = index == UINT32_MAX ? NULL : dac->names.at[index];
        return NULL;
    }
    uint16_t units[NAME_MAX_UNITS];
    uint32_t needed;
    struct lg_dac_result result;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS, slot, &result, LG_VALUE(key), LG_VALUE(NAME_MAX_UNITS),
                    LG_OUT(units, sizeof(units)), LG_OUT(&needed, sizeof(needed)));
    if (err)
        return err;
    bool there = result.hresult >= 0 && units[0];
    char *name = there ? narrow(units, NAME_MAX_UNITS) : NULL;
    index = there ? (uint32_t)dac->names.len : UINT32_MAX;
    if ((there && !name) || (name && !lg_vec_push(&dac->names, name))) {
        free(name);
        return &lg_no_memory;
    }
    *ret = name;
    return lg_map_put(&dac->name_of_method, key, index) ? NULL : &lg_no_memory;
}

// One address from another.
static struct lg_error *translate(struct lg_dac *dac, uint32_t slot, uint64_t from, uint64_t *ret)
{
    struct lg_dac_result result;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS, slot, &result, LG_VALUE(from), LG_OUT(ret, sizeof(*ret)));
    if (result.hresult < 0)
        *ret = 0;
    return err;
}

// ---- frames ----

static struct lg_error *name_frame(struct reader *r, struct lg_dac_frame *frame)
{
    uint64_t vtable;
    struct lg_error *err = NULL;
    if (frame->frame && lg_target_u64(r->dac->target, frame->frame, &vtable))
        err = name_of(r->dac, LG_SOS_FRAME_NAME, vtable, &frame->kind);
    if (!err)
        err = frame->frame ? translate(r->dac, LG_SOS_METHOD_FROM_FRAME, frame->frame, &frame->method)
                           : translate(r->dac, LG_SOS_METHOD_FROM_IP, frame->ip, &frame->method);
    if (!err && frame->method)
        err = name_of(r->dac, LG_SOS_METHOD_NAME, frame->method, &frame->name);
    return err;
}

// More than a stack has room for: each frame has a return address, each reference a word or one of the
// registers that its frame has saved. What goes on after that goes in circles.
static size_t most(const struct reader *r)
{
    return (size_t)((r->high - r->low) / 8 * 2 + 64);
}

static bool is_on_stack(const struct reader *r, uint64_t address)
{
    return address >= r->low && address < r->high;
}

// Where the walk stands. Every frame has its place on this thread's stack: one that has not is made up.
static struct lg_error *read_frame(struct reader *r, uint32_t walk)
{
    uint8_t context[LG_DAC_CONTEXT_SIZE];
    uint32_t size;
    struct lg_dac_frame frame = { 0 };
    struct lg_dac_result got, asked = { .hresult = 0 };
    struct lg_error *err = LG_DAC_CALL(r->dac, walk, LG_WALK_CONTEXT, &got, LG_VALUE(LG_CONTEXT_FULL),
                                       LG_VALUE(sizeof(context)), LG_OUT(&size, sizeof(size)),
                                       LG_OUT(context, sizeof(context)));
    if (!err)
        err = LG_DAC_CALL(r->dac, walk, LG_WALK_REQUEST, &asked,
                          LG_VALUE((uint32_t)LG_WALK_REQUEST_FRAME), LG_VALUE(0), LG_VALUE(0),
                          LG_VALUE(sizeof(frame.frame)), LG_OUT(&frame.frame, sizeof(frame.frame)));
    if (err)
        return err;
    if (got.hresult < 0) {
        r->stack->cut = "the DAC does not tell where a frame is";
        return NULL;
    }
    r->has_ended = got.hresult == LG_S_FALSE; // Nothing managed ever ran on it (3.1 says so only here).
    if (r->has_ended)
        return NULL;
    memcpy(&frame.ip, context + LG_CONTEXT_RIP, sizeof(frame.ip));
    memcpy(&frame.sp, context + LG_CONTEXT_RSP, sizeof(frame.sp));
    frame.frame = asked.hresult < 0 ? 0 : frame.frame;
    if (!is_on_stack(r, frame.sp) || (frame.frame && !is_on_stack(r, frame.frame))) {
        r->stack->cut = "the DAC tells of a frame that does not lie on the thread's stack";
        return NULL;
    }
    if (!frame.frame && frame.sp <= r->sp_before) {
        r->stack->cut = "the DAC tells of a frame that lies below the one before";
        return NULL;
    }
    r->sp_before = frame.frame ? r->sp_before : frame.sp;
    frame.sp = frame.frame ? frame.frame : frame.sp;
    err = name_frame(r, &frame);
    if (!err && !lg_vec_push(&r->stack->frames, frame))
        err = &lg_no_memory;
    return err;
}

static struct lg_error *read_walk(struct reader *r, uint32_t walk)
{
    struct lg_dac_result next = { .hresult = LG_S_OK };
    while (next.hresult == LG_S_OK && !r->stack->cut && !r->has_ended) {
        struct lg_error *err = read_frame(r, walk);
        if (!err && !r->stack->cut && !r->has_ended)
            err = lg_dac_call(r->dac, walk, LG_WALK_NEXT, NULL, 0, &next);
        if (err)
            return err;
        if (r->stack->frames.len >= most(r))
            r->stack->cut = "the DAC tells of more frames than a stack can have";
    }
    if (next.hresult < 0 && !r->stack->cut)
        r->stack->cut = "the DAC cannot unwind it further";
    return NULL;
}

static struct lg_error *read_frames(struct reader *r)
{
    struct lg_dac_result task, walk = { .object = UINT32_MAX };
    struct lg_error *err = LG_DAC_CALL(r->dac, LG_DAC_PROCESS, LG_PROCESS_TASK_BY_TID, &task,
                                       LG_VALUE(r->os_id), LG_OBJECT);
    if (err)
        return err;
    const uint32_t all_frames = 0xf; // CLRDATA_SIMPFRAME_*
    if (task.hresult >= 0 && task.object != UINT32_MAX)
        err =
            LG_DAC_CALL(r->dac, task.object, LG_TASK_STACK_WALK, &walk, LG_VALUE(all_frames), LG_OBJECT);
    if (!err && walk.object != UINT32_MAX && walk.hresult >= 0)
        err = read_walk(r, walk.object);
    else if (!err)
        r->stack->cut = "the DAC knows no stack of it";
    lg_dac_release(r->dac, walk.object);
    lg_dac_release(r->dac, task.object);
    return err;
}

// ---- references ----

// The numbers of x86-64 instructions (reference clr.md A.6).
static const char *register_name(int32_t number)
{
    static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
    return number >= 0 && (size_t)number < sizeof(names) / sizeof(*names) ? names[number] : NULL;
}

static bool is_of(const struct lg_dac_frame *frame, const struct lg_dacp_stack_ref *ref)
{
    if (ref->source_type == LG_REF_FROM_FRAME)
        return frame->frame && frame->frame == ref->source;
    return !frame->frame && frame->ip == ref->source && frame->sp == ref->sp;
}

static size_t frame_of(struct reader *r, const struct lg_dacp_stack_ref *ref)
{
    size_t count = r->stack->frames.len;
    for (size_t i = 0; i < count; i++) {
        size_t at = (r->frame_before + i) % count;
        if (is_of(&r->stack->frames.at[at], ref))
            return r->frame_before = at;
    }
    return SIZE_MAX;
}

static struct lg_error *add_ref(struct reader *r, const struct lg_dacp_stack_ref *from)
{
    struct lg_dac_ref ref = {
        .slot = from->address,
        .object = from->object,
        .is_interior = from->flags & LG_REF_INTERIOR,
        .is_pinned = from->flags & LG_REF_PINNED,
        .frame = frame_of(r, from),
    };
    const char *name = from->has_register ? register_name(from->reg) : NULL;
    if (name && from->address)
        snprintf(ref.place, sizeof(ref.place), "%s%c%x", name, from->offset < 0 ? '-' : '+',
                 from->offset < 0 ? 0u - (unsigned)from->offset : (unsigned)from->offset);
    else if (name)
        snprintf(ref.place, sizeof(ref.place), "%s", name);
    return lg_vec_push(&r->stack->refs, ref) ? NULL : &lg_no_memory;
}

static struct lg_error *read_enumerator(struct reader *r, uint32_t refs)
{
    struct lg_dacp_stack_ref piece[REFS_PIECE];
    uint32_t fetched = 1;
    struct lg_error *err = NULL;
    while (fetched > 0 && !err) {
        struct lg_dac_result result;
        err = LG_DAC_CALL(r->dac, refs, LG_REFS_NEXT, &result, LG_VALUE(REFS_PIECE),
                          LG_OUT(piece, sizeof(piece)), LG_OUT(&fetched, sizeof(fetched)));
        // S_FALSE is for more, S_OK for the last: what counts is how many came (reference clr.md A.3).
        if (err || result.hresult < 0 || fetched > REFS_PIECE) {
            if (!err)
                r->stack->cut = "the DAC cannot tell all references";
            return err;
        }
        for (uint32_t i = 0; i < fetched && !err; i++)
            err = add_ref(r, &piece[i]);
        if (r->stack->refs.len > most(r)) {
            r->stack->cut = "the DAC tells of more references than a stack can have";
            return err;
        }
    }
    return err;
}

static struct lg_error *read_refs(struct reader *r)
{
    struct lg_dac_result refs;
    struct lg_error *err =
        LG_DAC_CALL(r->dac, LG_DAC_SOS, LG_SOS_STACK_REFERENCES, &refs, LG_VALUE(r->os_id), LG_OBJECT);
    if (err)
        return err;
    if (refs.hresult >= 0 && refs.object != UINT32_MAX)
        err = read_enumerator(r, refs.object);
    else
        r->stack->cut = "the DAC knows no references of it";
    lg_dac_release(r->dac, refs.object);
    return err;
}

// ---- all of it ----

static int major_version(const struct lg_dac *dac)
{
    return dac->options.version ? atoi(dac->options.version) : 0;
}

// .NET 10 needs a copy of the stack where it is; without, an exception in flight crashes the DAC. Older
// ones do not, and unknown ones may.
static struct lg_error *map_stack(struct reader *r)
{
    bool ok = false;
    struct lg_error *err = lg_dac_map(r->dac, r->low, r->high, &ok);
    int major = major_version(r->dac);
    if (!err && !ok && (major == 0 || major >= 10))
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "the DAC needs a copy of the stack at its own address, which is taken");
    return err;
}

struct lg_error *lg_dac_stack_read(struct lg_dac *dac, uint32_t os_id, uint64_t low, uint64_t high,
                                   unsigned wanted, struct lg_dac_stack *ret)
{
    _cleanup_(lg_dac_stack_deinit) struct lg_dac_stack stack = { .cut = NULL };
    struct reader r = { .dac = dac, .stack = &stack, .low = low, .high = high, .os_id = os_id };
    struct lg_error *err = map_stack(&r);
    dac->wanted_more = false;
    if (!err)
        err = read_frames(&r);
    if (!err && wanted & LG_DAC_REFS)
        err = read_refs(&r);
    if (err)
        return err;
    // Of a Frame whose description it cannot read it tells no references, and not that there may be
    // some.
    if (dac->wanted_more && wanted & LG_DAC_REFS && !stack.cut)
        stack.cut = "the DAC wanted memory that is not there, so references of it may be missing";
    *ret = stack;
    stack = (struct lg_dac_stack){ .cut = NULL };
    return NULL;
}

struct lg_error *lg_dac_method_data(struct lg_dac *dac, uint64_t method, struct lg_dacp_method *ret)
{
    uint32_t needed;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_METHOD_DATA, &result, LG_VALUE(method),
                                       LG_VALUE(0), LG_OUT(ret, sizeof(*ret)), LG_VALUE(0), LG_VALUE(0),
                                       LG_OUT(&needed, sizeof(needed)));
    if (err || result.hresult < 0)
        *ret = (struct lg_dacp_method){ 0 };
    return err;
}

uint64_t lg_dac_method_table(struct lg_dac *dac, uint64_t method)
{
    struct lg_dacp_method data;
    lg_error_free(lg_dac_method_data(dac, method, &data));
    return data.mt;
}
