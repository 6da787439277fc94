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

struct lg_dac_type {
    uint64_t mt, module, parent_mt;
    uint64_t ee_class;  // From .NET 9 on the canonical method table in its place.
    uint32_t base_size; // Of System.String too what the method table has; the DAC itself says 2 less.
    uint32_t component_size, token,
        attributes; // token: 0x02rrrrrr, 0 for arrays; attributes: TypeAttributes
    bool is_free, is_shared, has_references, is_collectible;
    bool is_dynamic; // Its statics lie by themselves: before .NET 9 those of generic types.
    uint64_t loader_allocator_handle; // Collectible: the GC handle of its LoaderAllocator; else 0.
    uint64_t load_context;    // Its managed AssemblyLoadContext; 0: the default one, or not told.
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

#endif
