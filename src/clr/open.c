// Opens a runtime: its image, its descriptor, where the rest comes from, and each part in turn.
#include <string.h>

#include "clr/runtime_image.h"
#include "clr/sources.h"

static struct lg_error *open_image(struct lg_clr *clr)
{
    struct lg_error *err = lg_runtime_image_find(clr->target, &clr->image);
    if (err)
        return err;
    clr->info.image = clr->image.path;
    clr->info.image_base = clr->image.base;
    clr->info.single_file = lg_runtime_image_is_single_file(&clr->image);
    clr->info.datas = -1;
    if (lg_runtime_image_version(&clr->image, clr->version, sizeof(clr->version)))
        clr->info.version = clr->version;
    return NULL;
}

// ---- well-known method tables ----

// The first words of a method table: flags and base size (reference clr.md C.2).
struct method_table {
    uint32_t flags, base_size;
};
enum {
    HAS_COMPONENT_SIZE = 1u << 31,
    CATEGORY = 0xe0000,
    CATEGORY_SZARRAY = 0xa0000,
    COMPONENT_SIZE = 0xffff
};
// The kind of a method table tells itself by the size of its components.
static struct lg_error *check_method_table(struct lg_clr *clr, const char *name, uint64_t mt,
                                           uint32_t component_size, bool array)
{
    struct method_table head;
    if (!lg_target_read_all(clr->target, mt, &head, sizeof(head)))
        return lg_error_new(LG_ERR_FAULT, "%s at %#jx: not readable", name, (uintmax_t)mt);
    bool has = head.flags & HAS_COMPONENT_SIZE;
    if (has == (component_size != 0) && (!has || (head.flags & COMPONENT_SIZE) == component_size)
        && (!array || (head.flags & CATEGORY) == CATEGORY_SZARRAY))
        return NULL;
    return lg_error_new(LG_ERR_CORRUPT, "%s at %#jx: flags %#x, base size %u", name, (uintmax_t)mt,
                        head.flags, head.base_size);
}

static struct lg_error *read_method_tables(struct lg_clr *clr)
{
    struct lg_error *err = clr->from.well_known(clr);
    const struct {
        const char *name;
        uint64_t mt;
        uint32_t component_size;
        bool array;
    } known[] = {
        { "FreeObjectMethodTable", clr->info.free_mt, 1, false },
        { "ObjectMethodTable", clr->info.object_mt, 0, false },
        { "StringMethodTable", clr->info.string_mt, 2, false },
        { "ObjectArrayMethodTable", clr->info.object_array_mt, 8, true },
    };
    for (size_t i = 0; !err && i < sizeof(known) / sizeof(*known); i++)
        err =
            check_method_table(clr, known[i].name, known[i].mt, known[i].component_size, known[i].array);
    return err;
}

// ---- opening ----

// What of a core that was to be read is not in it, and why.
static struct lg_error *explain_core(const struct lg_clr *clr, const char *what)
{
    if (clr->target->lost)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            ".NET runtime: %s: the core is cut short: %llu bytes of what it should hold "
                            "are missing",
                            what, (unsigned long long)clr->target->lost);
    if (clr->target->lacks)
        return lg_error_new(LG_ERR_UNSUPPORTED, ".NET runtime: %s: the core was written without %s",
                            what, clr->target->lacks);
    if (clr->descriptor || clr->info.object_mt)
        return lg_error_new(LG_ERR_UNSUPPORTED, ".NET runtime: %s: the core lacks memory (%s)", what,
                            clr->info.single_file
                                ? "of a single-file program createdump --full and gcore keep it all"
                                : "createdump --normal and --triage leave most of it out; --withheap, "
                                  "--full and gcore keep it");
    return lg_error_new(LG_ERR_UNSUPPORTED,
                        ".NET runtime: %s: it is in '%s', which the core leaves to the file on disk: "
                        "that very file must be there, or below '--sysroot DIR'",
                        what, clr->image.path ? clr->image.path : "the runtime's file");
}

// No other try makes a core that was taken too early a later one.
static struct lg_error *too_early(struct lg_error *err)
{
    static const char hint[] = "; try again in a moment";
    const char *message = lg_error_message(err), *end = strstr(message, hint);
    struct lg_error *early =
        lg_error_new(LG_ERR_NOT_FOUND, ".NET runtime: %.*s: the core was taken too early",
                     (int)(end ? end - message : (ptrdiff_t)strlen(message)), message);
    lg_error_free(err);
    return early;
}

// A core lacks what was not asked to be in it, and more often than not that is the cause. A process
// lacks nothing, but its pointers lead nowhere as long as the dynamic linker has not relocated them.
static struct lg_error *explain(struct lg_clr *clr, struct lg_error *err)
{
    if (clr->target->kind == LG_TARGET_PROCESS && lg_error_kind(err) == LG_ERR_FAULT
        && !clr->descriptor) {
        struct lg_error *starting = lg_error_new(
            LG_ERR_NOT_FOUND, ".NET runtime: %s: it is still being loaded; try again in a moment",
            lg_error_message(err));
        lg_error_free(err);
        return starting;
    }
    if (clr->target->kind == LG_TARGET_CORE && clr->target->lost && lg_error_kind(err) != LG_ERR_FAULT) {
        struct lg_error *cut = explain_core(clr, lg_error_message(err));
        lg_error_free(err);
        return cut;
    }
    if (clr->target->kind == LG_TARGET_CORE && lg_error_kind(err) == LG_ERR_NOT_FOUND)
        return too_early(err);
    if (clr->target->kind != LG_TARGET_CORE || lg_error_kind(err) != LG_ERR_FAULT)
        return lg_error_context(err, ".NET runtime");
    struct lg_error *explained = explain_core(clr, lg_error_message(err));
    lg_error_free(err);
    return explained;
}

bool lg_clr_does_without_heap(struct lg_clr *clr, struct lg_error *err)
{
    if (clr->target->kind != LG_TARGET_CORE || lg_error_kind(err) != LG_ERR_FAULT)
        return false;
    struct lg_error *why = explain(clr, err);
    if (!clr->heap_missing)
        clr->heap_missing = strdup(lg_error_message(why));
    clr->info.heap_missing = clr->heap_missing ? clr->heap_missing : "out of memory";
    lg_error_free(why);
    return true;
}

struct lg_error *lg_clr_open(struct lg_target *target, const struct lg_clr_options *options,
                             struct lg_clr **ret)
{
    _cleanup_(lg_clr_freep) struct lg_clr *clr = calloc(1, sizeof(*clr));
    if (!clr)
        return &lg_no_memory;
    clr->target = target;
    static struct lg_error *(*const steps[])(struct lg_clr *) = {
        open_image,        lg_clr_descriptor_open, lg_clr_sources_open, read_method_tables,
        lg_clr_types_open, lg_clr_modules_open,    lg_clr_gc_open,      lg_clr_threads_open,
    };
    struct lg_error *no_memory = lg_clr_told_open(clr, options);
    if (no_memory)
        return no_memory;
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        struct lg_error *err = steps[i](clr);
        bool is_needed = steps[i] == open_image || steps[i] == lg_clr_descriptor_open
                         || steps[i] == lg_clr_sources_open;
        if (err && (is_needed || !lg_clr_does_without_heap(clr, err)))
            return explain(clr, err);
    }
    if (clr->heap_missing)
        lg_target_note(target, "Its objects cannot be read: %s.", clr->heap_missing);
    *ret = lg_steal(clr);
    return NULL;
}

void lg_clr_free(struct lg_clr *clr)
{
    if (!clr)
        return;
    lg_clr_memory_close(clr);
    lg_clr_statics_close(clr);
    lg_clr_fields_close(clr);
    lg_clr_modules_close(clr);
    lg_clr_types_close(clr);
    lg_clr_gc_close(clr);
    lg_clr_told_close(clr);
    lg_vec_free(&clr->threads);
    lg_vec_free(&clr->exceptions);
    lg_vec_free(&clr->handles);
    lg_vec_free(&clr->handle_segments);
    lg_vec_free(&clr->finalizers);
    lg_vec_free(&clr->native_heaps);
    lg_descriptor_free(clr->descriptor);
    lg_clr_stored_close(clr);
    free(clr->heap_missing);
    free(clr);
}

const struct lg_clr_info *lg_clr_info(const struct lg_clr *clr)
{
    return &clr->info;
}

struct lg_target *lg_clr_target(const struct lg_clr *clr)
{
    return clr->target;
}
