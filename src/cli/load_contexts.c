// Fields of System.Runtime.Loader.AssemblyLoadContext: dotnet/runtime src/libraries/
// System.Private.CoreLib/src/System/Runtime/Loader/AssemblyLoadContext.cs @release/10.0. Its constructor
// makes a GC handle of itself, weak if it is collectible, and Unload() makes that a strong one.
#include "cli/load_contexts.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_CHARS = 256, BASES_MAX = 16 };

void lg_context_deinit(struct lg_context *context)
{
    free(context->name);
}

void lg_contexts_deinit(struct lg_contexts *contexts)
{
    for (size_t i = 0; i < contexts->all.len; i++)
        lg_context_deinit(&contexts->all.at[i]);
    lg_vec_free(&contexts->all);
}

const char *lg_context_state_name(enum lg_context_state state)
{
    static const char *const names[] = { "alive", "unloading", NULL };
    return names[state];
}

static bool is_context_type(struct lg_clr *clr, const struct lg_type *type)
{
    for (unsigned i = 0; type && i < BASES_MAX; i++) {
        if (strcmp(lg_clr_type_name(clr, type), "System.Runtime.Loader.AssemblyLoadContext") == 0)
            return true;
        type = type->parent_mt ? lg_clr_type(clr, type->parent_mt) : NULL;
    }
    return false;
}

bool lg_context_read(struct lg_clr *clr, const struct lg_object *object, struct lg_context *ret)
{
    uint64_t state, collectible;
    if (!is_context_type(clr, object->type))
        return false;
    *ret = (struct lg_context){ .object = *object, .state = LG_CONTEXT_UNKNOWN };
    lg_object_field(clr, object, "_nativeAssemblyLoadContext", &ret->binder);
    ret->collectible = lg_object_field(clr, object, "_isCollectible", &collectible) && collectible;
    if (lg_object_field(clr, object, "_state", &state) && state <= LG_CONTEXT_UNLOADING)
        ret->state = (enum lg_context_state)state;
    ret->name = lg_object_string(clr, object, "_name", NAME_MAX_CHARS);
    return true;
}

static bool has_object(const struct lg_contexts *contexts, uint64_t address)
{
    for (size_t i = 0; i < contexts->all.len; i++) {
        if (contexts->all.at[i].object.address == address)
            return true;
    }
    return false;
}

static struct lg_error *add_context(struct lg_clr *clr, const struct lg_object *object,
                                    struct lg_contexts *contexts)
{
    struct lg_context context;
    if (has_object(contexts, object->address) || !lg_context_read(clr, object, &context))
        return NULL;
    if (lg_vec_push(&contexts->all, context))
        return NULL;
    lg_context_deinit(&context);
    return &lg_no_memory;
}

static struct lg_error *count_assemblies(struct lg_clr *clr, struct lg_contexts *contexts)
{
    const struct lg_module *const *modules;
    size_t count;
    struct lg_error *err = lg_clr_modules(clr, &modules, &count);
    for (size_t i = 0; !err && i < count; i++) {
        struct lg_load_context loaded;
        bool known = lg_clr_load_context(clr, modules[i]->address, &loaded);
        for (size_t k = 0; known && k < contexts->all.len; k++)
            contexts->all.at[k].assemblies += contexts->all.at[k].object.address == loaded.object;
    }
    return err;
}

struct id {
    uint64_t id;
    struct lg_context context;
};

static int compare_ids(const void *a, const void *b)
{
    const struct id *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static struct lg_error *sort(struct lg_clr *clr, struct lg_contexts *contexts)
{
    size_t len = contexts->all.len;
    _cleanup_free_ struct id *ids = calloc(len ? len : 1, sizeof(*ids));
    if (!ids)
        return &lg_no_memory;
    for (size_t i = 0; i < len; i++) {
        ids[i].context = contexts->all.at[i];
        lg_object_field(clr, &ids[i].context.object, "_id", &ids[i].id);
    }
    qsort(ids, len, sizeof(*ids), compare_ids);
    for (size_t i = 0; i < len; i++)
        contexts->all.at[i] = ids[i].context;
    return NULL;
}

struct lg_error *lg_contexts_find(struct lg_heap *heap, struct lg_contexts *ret)
{
    struct lg_clr *clr = lg_heap_clr(heap);
    const struct lg_handle *handles;
    size_t count;
    _cleanup_(lg_contexts_deinit) struct lg_contexts found = { 0 };
    struct lg_error *err = lg_clr_handles(clr, &handles, &count);
    for (size_t i = 0; !err && i < count; i++) {
        struct lg_object object;
        if (lg_heap_object_at(heap, handles[i].object, &object))
            err = add_context(clr, &object, &found);
    }
    if (!err)
        err = count_assemblies(clr, &found);
    if (!err)
        err = sort(clr, &found);
    if (err)
        return err;
    *ret = found;
    found = (struct lg_contexts){ 0 };
    return NULL;
}

static bool context_of_module(struct lg_clr *clr, uint64_t module, struct lg_context *ret)
{
    struct lg_load_context loaded;
    struct lg_object object;
    return lg_clr_load_context(clr, module, &loaded) && loaded.object
           && lg_object_read(clr, loaded.object, &object) && lg_context_read(clr, &object, ret);
}

static char *name_of(struct lg_context *context)
{
    return context->name ? lg_steal(context->name) : strdup("<no name>");
}

char *lg_context_of_module(struct lg_clr *clr, uint64_t module)
{
    struct lg_context context;
    struct lg_load_context loaded;
    if (!context_of_module(clr, module, &context)) {
        bool is_default = lg_clr_load_context(clr, module, &loaded) && !loaded.object;
        return is_default ? strdup("Default") : NULL;
    }
    // Of a snapshot without strings the name is unknown, which is not none.
    bool is_unknown = !context.name && lg_clr_target(clr)->has_no_values;
    char *name = is_unknown ? NULL : name_of(&context);
    lg_context_deinit(&context);
    return name;
}

char *lg_context_of_type(struct lg_clr *clr, const struct lg_type *type)
{
    struct lg_context context;
    if (!(type->flags & LG_TYPE_COLLECTIBLE)
        || !context_of_module(clr, lg_clr_loader_module(clr, type), &context))
        return NULL;
    char *name = context.collectible ? name_of(&context) : NULL;
    lg_context_deinit(&context);
    return name;
}
