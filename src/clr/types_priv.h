// For types.c, names.c, fields.c, statics.c, methods.c, modules.c: what they ask of each other.
#ifndef LG_CLR_TYPES_PRIV_H
#define LG_CLR_TYPES_PRIV_H

#include "clr/clr_priv.h"
#include "metadata/metadata.h"
#include "util/arena.h"
#include "util/map.h"
#include "util/reader.h"
#include "util/vec.h"

// The head of a method table, read at once.
struct lg_mt {
    uint32_t flags, base_size, flags2, rid;
    uint64_t ee_class, canonical; // EEClass; the method table that it points back to
    uint64_t module, parent, per_inst_info, auxiliary;
};
// False unless `mt` is a method table: aligned, readable, its EEClass points back to its canonical one.
bool lg_mt_read(struct lg_clr *clr, uint64_t mt, struct lg_mt *ret);
// The same without asking the EEClass: for those who read that next, and compare.
bool lg_mt_read_head(struct lg_clr *clr, uint64_t mt, struct lg_mt *ret);

// What of an EEClass tells of its fields, read at once. Fields whose place is unknown stay 0.
struct lg_class {
    uint64_t mt, list;                          // back pointer; FieldDescs
    uint16_t instance, statics, thread_statics; // instance: with the base classes'; statics: with the
                                                // thread statics
};
bool lg_class_read(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m, struct lg_class *ret);

// MTFlags (dotnet/runtime src/coreclr/vm/methodtable.h, WFLAGS_HIGH_ENUM and WFLAGS_LOW_ENUM;
// measured: reference clr.md C.2).
enum {
    LG_MT_HAS_COMPONENT_SIZE = 1u << 31,
    LG_MT_CONTAINS_POINTERS = 0x01000000,
    LG_MT_COLLECTIBLE = 0x00200000,
    LG_MT_COLLECTIBLE_8 = 0x10000000, // until .NET 8
    LG_MT_HAS_FINALIZER = 0x00100000,
    LG_MT_CATEGORY = 0x000c0000, // of the two bits
    LG_MT_VALUE_TYPE = 0x00040000,
    LG_MT_ARRAY = 0x00080000,
    LG_MT_SZARRAY = 0x00020000, // with LG_MT_ARRAY
    LG_MT_GENERICS = 0x30,      // low word, without HAS_COMPONENT_SIZE only
    LG_MT_GENERIC_DEFINITION = 0x30,
};
enum { LG_MT2_DYNAMIC_STATICS = 2 };

static inline bool lg_mt_is_array(const struct lg_mt *m)
{
    return (m->flags & LG_MT_HAS_COMPONENT_SIZE) && (m->flags & LG_MT_CATEGORY) == LG_MT_ARRAY;
}
static inline bool lg_mt_is_generic(const struct lg_mt *m)
{
    return !(m->flags & LG_MT_HAS_COMPONENT_SIZE) && (m->flags & LG_MT_GENERICS);
}

uint32_t lg_mt_rank(struct lg_clr *clr, const struct lg_mt *m); // Of an array.

// Generic arguments of an instantiation: TypeHandles. How many were read (at most LG_TYPE_ARGS).
enum { LG_TYPE_ARGS = 64 };
size_t lg_mt_arguments(struct lg_clr *clr, const struct lg_mt *m, uint64_t args[LG_TYPE_ARGS]);

// Strings that live as long as the runtime. NULL when memory runs out. One thread only.
struct lg_arena *lg_type_arena(struct lg_clr *clr);
// Names by TypeHandle; names.c fills it.
struct lg_name_cache {
    struct lg_map by_handle; // -> index in `at`
    LG_VEC(const char *) at; // NULL: being made
    size_t bytes;
    uint64_t primitives[LG_ELEM_MVAR + 1]; // method tables; 0: not asked, 1: unknown
    uint64_t canon;                        // System.__Canon, likewise
};
struct lg_name_cache *lg_type_names(struct lg_clr *clr);

// ---- text.c: a string that grows up to a limit, then says so with "…" ----
enum { LG_TEXT_MAX = 16 << 10 };
struct lg_text {
    char *at;
    size_t len, cap;
    bool full; // What is added from here on is dropped.
};
void lg_text_add(struct lg_text *text, const char *s);
void lg_text_add_len(struct lg_text *text, const char *s, size_t len);
void lg_text_format(struct lg_text *text, const char *format, ...) LG_PRINTF(2, 3);

void lg_text_deinit(struct lg_text *text);

// ---- names.c ----

// What one name may cost: a hostile target can make types of types without end.
struct lg_namer {
    struct lg_clr *clr;
    unsigned depth, steps;
};
enum { LG_NAME_DEPTH = 48, LG_NAME_STEPS = 4096 };
// False when the name has become too deep or too long to make: "…" is added then. Each true is to be
// followed by lg_namer_leave.
bool lg_namer_enter(struct lg_namer *namer, struct lg_text *text);
void lg_namer_leave(struct lg_namer *namer);

void lg_name_handle(struct lg_namer *namer, struct lg_text *text, uint64_t handle);
// "Namespace.Outer<A>+Inner<B>" of the names "Inner`1", "Outer`1": innermost first.
void lg_name_nested(struct lg_text *text, const char *name_space, const char *const *names, size_t n,
                    size_t count, void (*argument)(void *data, size_t i), void *data);
// The same of a TypeDef whose `count` generic arguments `argument(data, i)` adds.
void lg_name_type_def(struct lg_text *text, const struct lg_metadata *md, uint32_t rid, size_t count,
                      void (*argument)(void *data, size_t i), void *data);

// ---- signatures.c ----

// Where a signature stands: its tokens are of `module`, its type variables are `args`.
struct lg_sig_scope {
    struct lg_clr *clr;
    uint64_t module;
    const struct lg_metadata *md;
    const uint64_t *args;
    size_t arg_count;
    unsigned *steps; // lg_signature_mt counts them here: a TypeSpec may name itself, and more than once.
};
// The type at the cursor, as lg_name_handle would name it.
void lg_name_signature(struct lg_namer *namer, struct lg_text *text, const struct lg_sig_scope *scope,
                       struct lg_reader *r);
// The method table of the type at the cursor, where it is known, else 0. `*exact_ret` false: it is the
// shared form of a value type that was never loaded as such, right in its layout only.
uint64_t lg_signature_mt(const struct lg_sig_scope *scope, struct lg_reader *r, bool *exact_ret);

// ---- modules.c ----

// The pointer in a field of the runtime's at `base`; false, and 0, if the descriptor has no such field,
// it is not readable, or null.
static inline bool lg_clr_pointer(const struct lg_clr *clr, uint64_t base, uint32_t offset,
                                  uint64_t *ret)
{
    *ret = 0;
    return offset != LG_NO_OFFSET && lg_target_u64(clr->target, base + offset, ret) && *ret != 0;
}

// The same of a number, which may be 0.
static inline bool lg_clr_u32(const struct lg_clr *clr, uint64_t base, uint32_t offset, uint32_t *ret)
{
    *ret = 0;
    return offset != LG_NO_OFFSET && lg_target_u32(clr->target, base + offset, ret);
}

static inline bool lg_clr_u64(const struct lg_clr *clr, uint64_t base, uint32_t offset, uint64_t *ret)
{
    *ret = 0;
    return offset != LG_NO_OFFSET && lg_target_u64(clr->target, base + offset, ret);
}

// A NUL-terminated UTF-16 string of the target, as UTF-8 that lives as long as `clr`; "" if there is
// none.
const char *lg_clr_utf16(struct lg_clr *clr, uint64_t address);

// What there is to know of a module without looking into its image.
struct lg_module_facts {
    struct lg_module module;
    bool is_mapped; // As the loader maps it: an RVA is an offset. Else as in the file, or unknown.
    uint64_t metadata, metadata_size; // 0: to be found in the image
};

// The metadata of a module, or NULL: a file that was replaced, memory that was not saved.
const struct lg_metadata *lg_module_metadata(struct lg_clr *clr, uint64_t module);
// Calls `each` with every method table of a module's TypeDef map (rid), and of its table of
// instantiations (rid 0, a TypeHandle: array, instantiation or TypeDesc). False: not all of them, or
// nobody tells.
bool lg_module_types(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data);
bool lg_module_instantiations(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data);
const char *lg_file_name(const char *path); // Behind the last slash.
// What to call a module in "Module!0x0200001a": never NULL.
const char *lg_module_label(struct lg_clr *clr, uint64_t module);
// The method table of a TypeDef or TypeRef of a module; 0 if there is none, or nobody tells.
uint64_t lg_module_type(struct lg_clr *clr, uint64_t module, uint32_t token);
// Where an RVA of a module's image lies; 0 if the image is unknown or has no such place.
uint64_t lg_module_rva(struct lg_clr *clr, uint64_t module, uint32_t rva);
// CoreLib: the module of System.Object; 0 if unknown.
uint64_t lg_module_corelib(struct lg_clr *clr);

// ---- instantiations.c ----

// The method table of a generic instantiation, or of an array with lower bound 0, among those that the
// runtime's tables or lg_clr_type have shown; 0 if there is none.
uint64_t lg_instantiation_find(struct lg_clr *clr, uint64_t module, uint32_t rid, const uint64_t *args,
                               size_t count);
uint64_t lg_array_find(struct lg_clr *clr, uint64_t element_handle);
struct lg_instantiations;
struct lg_instantiations *lg_instantiations_new(void); // NULL: out of memory
void lg_instantiations_free(struct lg_instantiations *known);
struct lg_instantiations *lg_type_instantiations(struct lg_clr *clr); // types.c keeps them

// ---- methods.c ----

// Is this a MethodDesc: does its chunk have a method table?
bool lg_method_exists(struct lg_clr *clr, uint64_t md);

// ---- fields.c ----

// One FieldDesc, 16 bytes (reference clr.md D.6; dotnet/runtime src/coreclr/vm/field.h):
//
//     enclosing method table u64 | token:24 static:1 thread-static:1 rva:1 … | offset:27 element:5
enum { LG_FIELD_DESC = 16, LG_FIELD_OFFSET_LAST = (1 << 27) - 7 }; // above: not a place
struct lg_field_desc {
    uint64_t enclosing;
    uint32_t rid, offset;
    uint8_t element;
    bool is_static, is_thread_static, is_rva;
};
// A class's own fields: instance fields, then statics. Owned by the caller; NULL if there are none.
// Errors: unreadable, or a FieldDesc that belongs to another class.
struct lg_own_fields {
    struct lg_field_desc *at;
    size_t count;
};
LG_MUST_CHECK struct lg_error *lg_own_fields_read(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m,
                                                  struct lg_own_fields *ret);
// From the EEClass already read, and the number of the base class's instance fields; `skip_instance`
// leaves out the instance fields.
LG_MUST_CHECK struct lg_error *lg_field_descs_read(struct lg_clr *clr, const struct lg_mt *m,
                                                   const struct lg_class *c, uint16_t base_instance,
                                                   bool skip_instance, struct lg_own_fields *ret);
// Do GC statics hold this field: a reference, or a struct in its box?
static inline bool lg_field_is_gc(const struct lg_field_desc *f)
{
    return lg_element_is_reference(f->element) || f->element == LG_ELEM_VALUETYPE;
}
// Where a class keeps its statics; zero where it has none yet.
struct lg_static_bases {
    uint64_t gc, non_gc;
    bool initialized;
};
struct lg_static_bases lg_static_bases_read(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m);
// Name of a field; "<field_0400001b>" if its module has no metadata. Never NULL.
const char *lg_field_name(struct lg_clr *clr, const struct lg_metadata *md, uint32_t rid);
// Sizes of the structures in front of MethodTableAuxiliaryData; 0: the descriptor does not tell.
uint32_t lg_clr_size(const struct lg_clr *clr, const char *type);

// ---- stored.c: what a snapshot knows; NULL: it is none, or does not know it ----
const struct lg_stored_type *lg_clr_stored_type(const struct lg_clr *clr, const struct lg_type *type);
const struct lg_stored_module *lg_clr_stored_module(const struct lg_clr *clr, uint64_t module);
// Each file puts what it is given where it would have put what it read. False: out of memory, or a type
// that is there already.
bool lg_clr_types_put(struct lg_clr *clr, const struct lg_type *type);
bool lg_clr_names_put(struct lg_clr *clr, uint64_t handle, const char *name);
bool lg_clr_fields_put(struct lg_clr *clr, uint64_t mt, struct lg_field *fields,
                       size_t count); // takes them if true
LG_MUST_CHECK struct lg_error *lg_clr_statics_put(struct lg_clr *clr, const struct lg_static *statics,
                                                  size_t count, const struct lg_thread_root *roots,
                                                  size_t root_count, bool are_whole);

#endif
