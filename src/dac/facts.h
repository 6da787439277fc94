// Facts about a runtime, as its own DAC tells them: types, fields, statics, threads, modules, the GC's
// heaps. What is told once per type or segment; objects are read without it.
//
// Each answer is copied and checked: lists end, counts are bounded, addresses that would be used are
// addresses. Functions return an error of kind LG_ERR_NOT_FOUND where the DAC does not tell (no such
// thing, or its version does not know the question), and others where its helper ended (dac.h).
//
// The DAC is wrong at times (reference clr.md A.9, B.1): names of collectible types, see below.
#ifndef LG_DAC_FACTS_H
#define LG_DAC_FACTS_H

#include "dac/dac.h"

// A vector (util/vec.h), and what frees it at the end of a scope.
#define LG_DAC_LIST(name, type) \
    struct name { \
        type *at; \
        size_t len, cap; \
    }; \
    static inline void name##_deinit(struct name *list) \
    { \
        lg_vec_free(list); \
    }

// ---- types ----

struct lg_dac_well_known {
    uint64_t array_mt; // Of object[].
    uint64_t string_mt, object_mt, exception_mt, free_mt;
};
LG_MUST_CHECK struct lg_error *lg_dac_well_known_read(struct lg_dac *dac, struct lg_dac_well_known *ret);

#define LG_DAC_NOT_TOLD UINT64_MAX
struct lg_dac_type {
    uint64_t mt, module, parent_mt;
    uint64_t ee_class;  // From .NET 9 on the canonical method table in its place.
    uint32_t base_size; // Of System.String too what the method table has; the DAC itself says 2 less.
    uint32_t component_size, token,
        attributes; // token: 0x02rrrrrr, 0 for arrays; attributes: TypeAttributes
    bool is_free, is_shared, has_references, is_collectible;
    bool is_dynamic; // Its statics lie by themselves: before .NET 9 those of generic types.
    uint64_t loader_allocator_handle; // Collectible: the GC handle of its LoaderAllocator; else 0.
    uint64_t
        load_context; // Its managed AssemblyLoadContext; 0: the default one; LG_DAC_NOT_TOLD on 3.1.
    uint16_t instance_fields; // With those of its base types.
    uint16_t static_fields;   // Thread statics too.
    uint16_t thread_static_fields;
    uint64_t first_field; // FieldDesc
};
LG_MUST_CHECK struct lg_error *lg_dac_type_read(struct lg_dac *dac, uint64_t mt,
                                                struct lg_dac_type *ret);

// "System.Collections.Generic.Dictionary`2[[System.String, System.Private.CoreLib],[Node, hook]]". The
// caller's. NOT_FOUND: also where the DAC says "<Unloaded Type>", which it says of types that are alive.
LG_MUST_CHECK struct lg_error *lg_dac_type_name(struct lg_dac *dac, uint64_t mt, char **ret);

struct lg_dac_array {
    uint64_t element_handle;     // TypeHandle
    uint32_t element_type, rank; // CorElementType
};
// Of the type of this object.
LG_MUST_CHECK struct lg_error *lg_dac_array_type(struct lg_dac *dac, uint64_t object,
                                                 struct lg_dac_array *ret);

// ---- fields and statics ----

struct lg_dac_field {
    uint64_t address;      // FieldDesc
    uint64_t declaring_mt; // Of generic types the canonical one.
    uint64_t type_mt;      // 0: not loaded, or not told.
    uint64_t type_module;
    uint32_t token, type_token; // 0x04rrrrrr, 0x02rrrrrr
    uint32_t offset;            // Instance: from object + 8. Static: from its base.
    uint8_t element, sig_type;  // CorElementType, as the FieldDesc has it, and as the signature has it
    bool is_static, is_thread_static;
};
LG_DAC_LIST(lg_dac_fields, struct lg_dac_field)
// Those that the type itself declares, in the order of the FieldDescs: instance fields, then statics.
LG_MUST_CHECK struct lg_error *lg_dac_fields_read(struct lg_dac *dac, const struct lg_dac_type *type,
                                                  struct lg_dac_fields *ret);

// Where statics lie: references and boxed values at gc + offset, others at non_gc + offset. 0: none.
struct lg_dac_statics {
    uint64_t gc, non_gc;
    bool is_initialized; // The class constructor has run.
};
LG_MUST_CHECK struct lg_error *lg_dac_statics_read(struct lg_dac *dac, const struct lg_dac_type *type,
                                                   struct lg_dac_statics *ret);
// The same of a thread's own statics. NOT_FOUND: also where it has none yet.
LG_MUST_CHECK struct lg_error *lg_dac_thread_statics_read(struct lg_dac *dac,
                                                          const struct lg_dac_type *type,
                                                          uint64_t thread, struct lg_dac_statics *ret);

// ---- threads ----

struct lg_dac_thread {
    uint64_t address;                // Of the runtime's Thread.
    uint32_t id, os_id, state;       // Managed number; in the target's PID namespace; TS_*
    bool is_cooperative;             // Was running managed code.
    uint64_t alloc_ptr, alloc_limit; // 0: none
    uint64_t domain, frame;          // frame: the innermost explicit Frame
    uint64_t last_thrown_handle, nested_exception, teb;
};
LG_DAC_LIST(lg_dac_thread_list, struct lg_dac_thread)
struct lg_dac_threads {
    struct lg_dac_thread_list list;
    uint32_t all, unstarted, background, pending, dead; // `all` is the length of the list: checked.
    uint64_t finalizer;                                 // Address of the finalizer's Thread, or 0.
};
static inline void lg_dac_threads_deinit(struct lg_dac_threads *threads)
{
    lg_dac_thread_list_deinit(&threads->list);
}
LG_MUST_CHECK struct lg_error *lg_dac_threads_read(struct lg_dac *dac, struct lg_dac_threads *ret);

// ---- domains and modules ----

struct lg_dac_domain {
    uint64_t address, low_frequency_heap, high_frequency_heap, stub_heap;
    uint64_t system_domain;
    char *name; // "clrhost"; NULL: none
};
static inline void lg_dac_domain_deinit(struct lg_dac_domain *domain)
{
    free(domain->name);
}
// The first AppDomain, which since .NET Core is the only one.
LG_MUST_CHECK struct lg_error *lg_dac_domain_read(struct lg_dac *dac, struct lg_dac_domain *ret);

LG_DAC_LIST(lg_dac_addresses, uint64_t)
// Addresses of the modules of all assemblies of all domains, each once.
LG_MUST_CHECK struct lg_error *lg_dac_modules_read(struct lg_dac *dac, struct lg_dac_addresses *ret);

struct lg_dac_module {
    uint64_t address, assembly, pe_assembly;
    uint64_t image_base, image_size; // 0: it has none, or it is not told.
    uint64_t metadata, metadata_size;
    uint64_t loader_allocator, thunk_heap;
    uint64_t index; // Of statics before .NET 9.
    char *path;     // NULL: it came from no file, or in a single-file app.
    bool is_dynamic, is_in_memory, is_file_layout; // Reflection.Emit; from bytes; as in the file
};
static inline void lg_dac_module_deinit(struct lg_dac_module *module)
{
    free(module->path);
}
LG_MUST_CHECK struct lg_error *lg_dac_module_read(struct lg_dac *dac, uint64_t address,
                                                  struct lg_dac_module *ret);

struct lg_dac_module_type {
    uint64_t mt;
    uint32_t token; // 0x02rrrrrr
};
LG_DAC_LIST(lg_dac_module_types, struct lg_dac_module_type)
// Those that have been loaded. Not instantiations of generic types, and not arrays.
LG_MUST_CHECK struct lg_error *lg_dac_module_types_read(struct lg_dac *dac, uint64_t module,
                                                        struct lg_dac_module_types *ret);

// ---- the GC's heaps ----

struct lg_dac_generation {
    uint64_t first_segment;
    uint64_t allocation_start; // Where it begins in its segment, if it is one of several there.
    uint64_t alloc_ptr, alloc_limit;
};
enum { LG_DAC_GENERATIONS = 5, LG_DAC_FILL_POINTERS = 7 };
struct lg_dac_gc_heap {
    uint64_t address; // 0: workstation GC
    uint64_t alloc_allocated, ephemeral_segment;
    struct lg_dac_generation generations[LG_DAC_GENERATIONS]; // 0 1 2 LOH POH
    uint32_t generation_count;                                // 4 before .NET 5: no POH
    uint32_t fill_count;                                      // 6 before .NET 5, else 7
    uint64_t fill[LG_DAC_FILL_POINTERS]; // Ends of the finalizer queue's runs (reference clr.md B.2).
};
LG_DAC_LIST(lg_dac_gc_heaps, struct lg_dac_gc_heap)
struct lg_dac_gc {
    bool is_server;
    bool is_valid; // No GC is moving things about.
    uint32_t max_generation;
    int datas;                       // Dynamic adaptation mode; -1: not told.
    uint64_t alloc_ptr, alloc_limit; // The global allocation context; 0: none, or not told.
    struct lg_dac_gc_heaps heaps;
};
static inline void lg_dac_gc_deinit(struct lg_dac_gc *gc)
{
    lg_dac_gc_heaps_deinit(&gc->heaps);
}
LG_MUST_CHECK struct lg_error *lg_dac_gc_read(struct lg_dac *dac, struct lg_dac_gc *ret);

struct lg_dac_segment {
    uint64_t address;
    uint64_t start, allocated, used, committed, reserved;
    uint64_t heap;  // Address of its GC heap, 0 with workstation GC.
    uint64_t flags; // heap_segment_flags_*; 1: read-only, frozen
};
LG_DAC_LIST(lg_dac_segments, struct lg_dac_segment)
// A list of segments or regions from its first one on, in order.
LG_MUST_CHECK struct lg_error *lg_dac_segments_read(struct lg_dac *dac, uint64_t first,
                                                    struct lg_dac_segments *ret);

// ---- methods ----

// "System.Threading.Monitor.Wait(System.Object, Int32)". The caller's.
LG_MUST_CHECK struct lg_error *lg_dac_method_name(struct lg_dac *dac, uint64_t method, char **ret);
// The MethodDesc whose code an address lies in. NOT_FOUND: also of stubs that lead to it.
LG_MUST_CHECK struct lg_error *lg_dac_method_from_ip(struct lg_dac *dac, uint64_t ip, uint64_t *ret);

// What the runtime calls the code at an address: its method's name, of stubs that lead to a method too.
// The caller's.
LG_MUST_CHECK struct lg_error *lg_dac_code_name(struct lg_dac *dac, uint64_t ip, char **ret);

// ---- native memory of the runtime ----

struct lg_dac_block {
    char kind[32]; // "LowFrequencyHeap", "LoaderCodeHeap"
    uint64_t start, size;
    uint64_t used_end; // Of a host's code heap; else 0: not told.
    bool is_current;   // The one that is being filled.
};
LG_DAC_LIST(lg_dac_blocks, struct lg_dac_block)
// The loader heaps of a domain: since .NET 8 those of its LoaderAllocator, before that the three of its
// own and those of its stubs.
LG_MUST_CHECK struct lg_error *lg_dac_domain_heaps_read(struct lg_dac *dac, uint64_t domain,
                                                        struct lg_dac_blocks *ret);
// Those of one LoaderAllocator: lg_dac_module.loader_allocator. NOT_FOUND before .NET 8.
LG_MUST_CHECK struct lg_error *lg_dac_allocator_heaps_read(struct lg_dac *dac, uint64_t loader_allocator,
                                                           struct lg_dac_blocks *ret);
// JIT code.
LG_MUST_CHECK struct lg_error *lg_dac_code_heaps_read(struct lg_dac *dac, struct lg_dac_blocks *ret);

#endif
