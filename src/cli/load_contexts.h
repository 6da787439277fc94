// AssemblyLoadContexts as a user knows them: by name, and whether they are to be unloaded.
#ifndef LG_CLI_LOAD_CONTEXTS_H
#define LG_CLI_LOAD_CONTEXTS_H

#include "cli/support.h"

enum lg_context_state { LG_CONTEXT_ALIVE, LG_CONTEXT_UNLOADING, LG_CONTEXT_UNKNOWN };

struct lg_context {
    struct lg_object object; // The AssemblyLoadContext.
    uint64_t binder;         // What the runtime knows it as.
    char *name;              // Owned; NULL: it has none.
    bool collectible;
    enum lg_context_state state;
    uint32_t assemblies; // Loaded into it now.
};
void lg_context_deinit(struct lg_context *context);

// False: the object is none.
bool lg_context_read(struct lg_clr *clr, const struct lg_object *object, struct lg_context *ret);
const char *lg_context_state_name(enum lg_context_state state); // NULL: unknown

struct lg_contexts {
    LG_VEC(struct lg_context) all; // In order of their id in the program: the default one is first.
};
void lg_contexts_deinit(struct lg_contexts *contexts);
// Every one that has not been collected: each has a GC handle from its constructor on.
LG_MUST_CHECK struct lg_error *lg_contexts_find(struct lg_heap *heap, struct lg_contexts *ret);

// The name of the context that a module is in, owned: "Default", "Plugin", "<no name>"; NULL: not known.
char *lg_context_of_module(struct lg_clr *clr, uint64_t module);
// The name of the collectible context that a type lives in, owned; NULL: it is not collectible, or in
// none with a name. "Plugin", or "<no name>".
char *lg_context_of_type(struct lg_clr *clr, const struct lg_type *type);

#endif
