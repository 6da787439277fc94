// Roots on the stacks of threads.
//
// The DAC unwinds managed frames and tells in which slots and registers references are. Where there is
// none, and for a thread that it cannot tell about, every word that points into an object counts: what
// is found then is never too little, but may be too much. What the DAC is known to leave out (reference
// clr.md B.6) is added here, or said:
//
//     a thread that was running managed code        its innermost frame counts word by word too
//     native code of the runtime, between and       counts word by word: there it protects references
//     around managed frames                         by itself (GCPROTECT)
//     methods of collectible assemblies             keep their LoaderAllocator
//
// What was found word by word is marked: it may be left over.
#include <string.h>

#include "collect/collect_priv.h"

// A word that points at an object or into one. Interior pointers are as good as any: spans and by-refs.
static uint64_t object_of_word(struct collector *c, uint64_t word)
{
    if (!lg_heap_segment_at(c->heap, word))
        return 0;
    lg_node node = lg_index_before(c->index, word);
    struct lg_object object;
    if (node == LG_NO_NODE || !lg_heap_object_at(c->heap, lg_index_address(c->index, node), &object)
        || word - object.address >= object.size)
        return 0;
    return object.address;
}

// ---- word by word ----

static struct lg_error *scan_registers(struct collector *c, const struct lg_managed_thread *thread)
{
    struct lg_error *err = NULL;
    for (unsigned i = 0; i < LG_REGISTERS && !err; i++) {
        const char *name = lg_target_register_name(c->target, i);
        if (!name)
            continue;
        uint64_t object = object_of_word(c, thread->thread->registers[i]);
        struct lg_root root = { object, 0, LG_ROOT_STACK, true, name, thread };
        if (object)
            err = lg_roots_add(c, root);
    }
    return err;
}

// Words from `start` to `end`, but those that are known for what they are.
static struct lg_error *scan(struct collector *c, const struct lg_managed_thread *thread, uint64_t start,
                             uint64_t end, const struct lg_map *known)
{
    struct lg_error *err = NULL;
    uint64_t slot = (start + 7) & ~UINT64_C(7);
    for (; slot < end && end - slot >= 8 && !err; slot += 8) {
        const uint8_t *bytes = window_at(&c->window, slot, 8, end);
        if (!bytes)
            return lg_roots_missing(c->roots,
                                    "the stack of thread 0x%x ends at 0x%llx, before its mapping does",
                                    thread->os_id, (unsigned long long)slot);
        uint64_t word;
        uint32_t unused;
        memcpy(&word, bytes, sizeof(word));
        uint64_t object = object_of_word(c, word);
        struct lg_root root = { object, slot, LG_ROOT_STACK, true, NULL, thread };
        if (object && !lg_map_get(known, slot, &unused))
            err = lg_roots_add(c, root);
    }
    return err;
}

static struct lg_error *scan_all(struct collector *c, const struct lg_managed_thread *thread)
{
    const struct lg_map none = { .slots = NULL };
    struct lg_error *err = scan_registers(c, thread);
    if (!err)
        err = scan(c, thread, thread->stack_low, thread->stack_high, &none);
    if (!err && thread->stack_is_cut)
        err = lg_roots_missing(c->roots, "the stack of thread 0x%x was searched up to 0x%llx only",
                               thread->os_id, (unsigned long long)thread->stack_high);
    return err;
}

// ---- as the DAC tells ----

struct precise {
    struct collector *c;
    const struct lg_managed_thread *thread;
    const struct lg_dac_stack *stack;
    LG_VEC(const char *) names; // Of frames, as far as they have roots; kept by the roots.
    struct lg_map slots;        // That the DAC told of.
    uint64_t *wild;
};
static void precise_deinit(struct precise *p)
{
    lg_map_free(&p->slots);
    lg_vec_free(&p->names);
}

// What a frame is called, once for all of its roots.
static struct lg_error *frame_name(struct precise *p, size_t frame, const char **ret)
{
    const struct lg_dac_frame *f = &p->stack->frames.at[frame];
    while (p->names.len <= frame) {
        if (!lg_vec_push(&p->names, NULL))
            return &lg_no_memory;
    }
    if (!p->names.at[frame] && f->name)
        p->names.at[frame] = lg_roots_name(p->c->roots, "%s", f->name);
    else if (!p->names.at[frame] && f->kind)
        p->names.at[frame] = lg_roots_name(p->c->roots, "[%s]", f->kind);
    *ret = p->names.at[frame];
    return *ret || (!f->name && !f->kind) ? NULL : &lg_no_memory;
}

static struct lg_error *place_in_frame(struct precise *p, size_t frame, struct lg_root *root)
{
    if (frame >= p->stack->frames.len)
        return NULL;
    root->sp = p->stack->frames.at[frame].sp;
    root->ip = p->stack->frames.at[frame].ip;
    return frame_name(p, frame, &root->frame);
}

static struct lg_error *add_ref(struct precise *p, const struct lg_dac_ref *ref)
{
    if (ref->slot && !lg_map_put(&p->slots, ref->slot, 0))
        return &lg_no_memory;
    if (ref->object == 0)
        return NULL;
    bool exact = lg_roots_is_object(p->c, ref->object);
    uint64_t object = exact ? ref->object : ref->is_interior ? object_of_word(p->c, ref->object) : 0;
    if (!object) {
        *p->wild += !ref->is_interior; // A by-ref may lead outside the heap.
        return NULL;
    }
    struct lg_root root = { .object = object,
                            .slot = ref->slot,
                            .kind = LG_ROOT_STACK,
                            .thread = p->thread,
                            .is_interior = ref->is_interior,
                            .is_pinned = ref->is_pinned };
    if (ref->place[0] && !(root.place = lg_roots_name(p->c->roots, "%s", ref->place)))
        return &lg_no_memory;
    root.name = ref->slot ? NULL : root.place;
    struct lg_error *err = place_in_frame(p, ref->frame, &root);
    return err ? err : lg_roots_add(p->c, root);
}

// A method that is being run keeps its assembly, though no slot says so.
static struct lg_error *add_loader(struct precise *p, size_t frame)
{
    struct collector *c = p->c;
    const struct lg_dac_frame *f = &p->stack->frames.at[frame];
    if (c->loader_objects.count == 0 || !f->method || f->frame)
        return NULL;
    uint64_t mt = lg_dac_method_table(c->dac, f->method);
    const struct lg_type *type = mt ? lg_clr_type(c->clr, mt) : NULL;
    uint64_t object = type && type->flags & LG_TYPE_COLLECTIBLE
                          ? lg_loader_object(c->clr, &c->loader_objects, type)
                          : 0;
    if (!object || !lg_roots_is_object(c, object))
        return NULL;
    struct lg_root root = {
        .object = object, .slot = f->sp, .kind = LG_ROOT_FRAME, .thread = p->thread
    };
    struct lg_error *err = place_in_frame(p, frame, &root);
    return err ? err : lg_roots_add(c, root);
}

// What lies between two managed frames belongs to the inner one, unless a Frame of the runtime says that
// native code was called there. Around all of them there is native code in any case.
static struct lg_error *scan_native(struct precise *p)
{
    uint64_t start = p->thread->stack_low;
    bool is_native = true;
    // Where a thread was stopped in managed code need not be a place that the JIT has described.
    struct lg_error *err = p->thread->cooperative ? scan_registers(p->c, p->thread) : NULL;
    bool skips_leaf = p->thread->cooperative;
    for (size_t i = 0; i < p->stack->frames.len && !err; i++) {
        const struct lg_dac_frame *frame = &p->stack->frames.at[i];
        if (frame->frame) {
            is_native = true;
            continue;
        }
        if (skips_leaf) { // It counts with what it has called.
            skips_leaf = false;
            continue;
        }
        if (is_native)
            err = scan(p->c, p->thread, start, frame->sp, &p->slots);
        start = frame->sp;
        is_native = false;
    }
    return err ? err : scan(p->c, p->thread, start, p->thread->stack_high, &p->slots);
}

static struct lg_error *add_stack(struct collector *c, const struct lg_managed_thread *thread,
                                  const struct lg_dac_stack *stack, uint64_t *wild)
{
    _cleanup_(
        precise_deinit) struct precise p = { .c = c, .thread = thread, .stack = stack, .wild = wild };
    struct lg_error *err = NULL;
    for (size_t i = 0; i < stack->refs.len && !err; i++)
        err = add_ref(&p, &stack->refs.at[i]);
    for (size_t i = 0; i < stack->frames.len && !err; i++)
        err = add_loader(&p, i);
    return err ? err : scan_native(&p);
}

static struct lg_error *collect_stack(struct collector *c, const struct lg_managed_thread *thread,
                                      uint64_t *wild)
{
    _cleanup_(lg_dac_stack_deinit) struct lg_dac_stack stack = { .cut = NULL };
    if (!c->dac)
        return scan_all(c, thread);
    struct lg_error *err = lg_dac_stack_read(c->dac, thread->os_id, thread->stack_low,
                                             thread->stack_high, LG_DAC_FRAMES | LG_DAC_REFS, &stack);
    enum lg_error_kind kind = err ? lg_error_kind(err) : LG_ERR_OS;
    if (err && kind != LG_ERR_CORRUPT && kind != LG_ERR_UNSUPPORTED)
        return err;
    if (!err && !stack.cut)
        return add_stack(c, thread, &stack, wild);
    struct lg_error *said =
        lg_roots_incomplete(c->roots, "the stack roots of thread 0x%x are conservative: %s",
                            thread->os_id, err ? lg_error_message(err) : stack.cut);
    lg_error_free(err);
    return said ? said : scan_all(c, thread);
}

// ---- all threads ----

static struct lg_error *say_how(struct collector *c, uint64_t wild)
{
    if (!c->dac)
        return lg_roots_incomplete(
            c->roots, "stack roots are conservative: every word that points into an object counts (%s)",
            c->no_dac ? c->no_dac : "no libmscordaccore.so");
    struct lg_error *err =
        lg_roots_incomplete(c->roots, "stack roots are those of managed frames; in frames of native "
                                      "code every word that points into an "
                                      "object counts (conservative)");
    if (!err && wild)
        err = lg_roots_missing(c->roots, "%llu stack slots that should hold objects hold something else",
                               (unsigned long long)wild);
    return err;
}

struct lg_error *lg_roots_collect_stacks(struct collector *c)
{
    const struct lg_managed_thread *threads;
    size_t count, missing = 0;
    uint64_t wild = 0;
    struct lg_error *err = lg_clr_threads(c->clr, &threads, &count);
    if (!err && c->dac)
        err = lg_loader_objects_find(c->heap, &c->loader_objects);
    for (size_t i = 0; i < count && !err; i++) {
        if (threads[i].thread && threads[i].thread->has_registers && threads[i].stack_high)
            err = collect_stack(c, &threads[i], &wild);
        else
            missing += !lg_managed_thread_is_gone(&threads[i]);
    }
    if (!err && missing)
        err = lg_roots_missing(c->roots, "the stacks of %zu managed threads could not be read", missing);
    return err ? err : say_how(c, wild);
}
