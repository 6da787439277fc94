// What a runtime has told, as plain lists that can be written down, and a runtime made of them again:
// the provider `snapshot`. Of such a one nothing is read but what lies in its target's memory.
#ifndef LG_CLR_STORED_H
#define LG_CLR_STORED_H

#include "clr/clr.h"
#include "clr/memory.h"
#include "util/arena.h"

struct lg_stored_type {
    struct lg_type type;
    uint64_t loader_module, loader_allocator, loader_handle; // as lg_clr_loader_module() … have them
    bool has_fields;
    LG_VEC(struct lg_field) fields;
};

struct lg_stored_name {
    uint64_t handle;
    const char *name;
};

struct lg_stored_module {
    struct lg_module module;
    bool is_listed, has_context;
    struct lg_load_context context;
};

struct lg_stored {
    struct lg_arena texts; // Of what is gathered, as far as the runtime does not keep them.
    struct lg_clr_info info;
    LG_VEC(struct lg_segment) segments;
    LG_VEC(struct lg_gc_heap) gc_heaps;
    LG_VEC(struct lg_alloc_context) contexts;
    LG_VEC(struct lg_stored_type) types; // read: by lg_type.id; gathered: by method table
    LG_VEC(uint32_t) numbers;            // gathered: in that list, by lg_type.id
    LG_VEC(struct lg_stored_name) names;
    LG_VEC(struct lg_stored_module) modules;
    uint16_t machine;                    // as lg_target has it
    LG_VEC(struct lg_thread) os_threads; // those of the target; of registers what leads into the heap
    LG_VEC(struct lg_managed_thread) threads; // thread: of the list above
    struct lg_thread_counts counts;
    LG_VEC(struct lg_static) statics; // threads: of the list above
    bool statics_are_whole;
    LG_VEC(struct lg_thread_root) thread_roots;
    LG_VEC(struct lg_handle) handles;
    LG_VEC(struct lg_finalizer_queue) finalizers;
    const char *no_finalizers; // why they are not known; NULL: they are
    struct lg_domain domain;
    bool has_last_gc;
    double last_gc; // seconds before the snapshot was taken
    LG_VEC(struct lg_native_heap) native_heaps;
    const char *no_committed; // the same
    struct lg_gc_committed committed;
};
void lg_stored_deinit(struct lg_stored *stored);

// Everything that `clr` tells; texts stay its own. What it cannot tell is left out. Types that only
// fields and elements have are asked for, and so become known.
LG_MUST_CHECK struct lg_error *lg_stored_gather(struct lg_clr *clr, struct lg_stored *ret);

// A runtime that tells this; takes it over, after an error too. Texts must outlive it.
LG_MUST_CHECK struct lg_error *lg_clr_open_stored(struct lg_target *target, struct lg_stored *stored,
                                                  struct lg_clr **ret);

#endif
