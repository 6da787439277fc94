// What the runtime in a target says about itself: GC heaps and segments, types, fields, statics,
// handles, finalizer queues, threads, modules.
//
// It comes from up to three places (docs/architecture.md):
//
//     contracts   the runtime's own data descriptor, read through the target's memory: all of .NET 10,
//     and
//                 heap, names and handles of .NET 9
//     dac         the runtime's own libmscordaccore.so (dac/dac.h): what a descriptor does not tell, or,
//                 where there is none, all that is told once per type, module and thread
//     ourselves   in every case what there is much of: objects, references, segments, handles,
//     FieldDescs.
//                 Each private layout is guarded by a self-check; one that does not hold is an error
//                 that names it, never a number
//
// All results are plain structs and live as long as the `struct lg_clr`. Functions marked thread-safe
// may be called from several threads at once; the rest belong to one thread. The DAC is asked under a
// lock, so what is thread-safe is so with it, too: walkers only wait for each other at the first object
// of a type that it has to be asked about. When the target is retaken (lg_target_retake), the `struct
// lg_clr` is void: free it and open another.
#ifndef LG_CLR_CLR_H
#define LG_CLR_CLR_H

#include "dac/dac.h"
#include "target/image.h"
#include "target/target.h"

struct lg_clr;

// ---- opening ----

// Finds the runtime among the target's images (libcoreclr.so, or any image that exports the descriptor).
// Errors name what is there instead: no .NET, NativeAOT, Mono, a runtime too old for the descriptor
// and without a DAC that can be had (UNSUPPORTED; it names the file that would help), one that is still
// starting (no thread store or no GC heap yet: NOT_FOUND).
struct lg_clr_options {
    const char *dac; // The file to use; NULL: the runtime's own, where it lies; "none": do without.
    bool without_descriptor; // As if the runtime had none: for tests that compare the sources.
};
LG_MUST_CHECK struct lg_error *lg_clr_open(struct lg_target *target,
                                           const struct lg_clr_options *options, struct lg_clr **ret);
void lg_clr_free(struct lg_clr *clr); // NULL is allowed
LG_DEFINE_FREEP(lg_clr)

struct lg_clr_info {
    const char *version;  // "10.0.12"; NULL if nothing in the target tells
    const char *provider; // "contracts", "contracts+dac", "dac"
    const char *image;    // path of the image with the runtime in it
    uint64_t image_base;
    bool single_file;
    bool server;  // Server GC
    bool regions; // else segments
    uint32_t heap_count;
    int datas;           // dynamic_adaptation_mode; -1 unknown
    bool gc_in_progress; // the GC's structures are in motion: walked, the heap shows what is no object
    // A core may hold the runtime and not its objects: why they cannot be read, and what would have kept
    // them. Then segments may be missing too. NULL: they are there.
    const char *heap_missing;
    bool is_bare;        // A graph alone (.gcdump): nothing is known of fields, and nothing above is.
    bool no_generations; // Generations are not known: all objects are told as of gen2.
    uint64_t free_mt, string_mt, object_mt, object_array_mt;
    uint64_t mt_mask; // AND with the first word of an object: the GC borrows its low bits
};
const struct lg_clr_info *lg_clr_info(const struct lg_clr *clr);
struct lg_target *lg_clr_target(const struct lg_clr *clr);

// The DAC of the runtime, the only one there is of a target: started when first asked for, by us or by
// the caller. The error says why there is none, and is the same each time.
LG_MUST_CHECK struct lg_error *lg_clr_dac(struct lg_clr *clr, struct lg_dac **ret);
// Which file that is from now on, as in the options. What it told so far stays.
LG_MUST_CHECK struct lg_error *lg_clr_use_dac(struct lg_clr *clr, const char *file);

// ---- the GC heap ----

enum lg_generation { LG_GEN0, LG_GEN1, LG_GEN2, LG_LOH, LG_POH, LG_FOH, LG_GENERATIONS };
const char *lg_generation_name(enum lg_generation generation); // "gen0" "gen1" "gen2" "loh" "poh" "foh"

//     start            end           committed          reserved
//       |    objects    |     free     |    no memory     |
struct lg_segment {
    uint64_t address; // Of the runtime's own heap_segment.
    uint64_t start, end, committed,
        reserved;   // start: first object; end: `allocated`, or alloc_allocated
    uint64_t flags; // heap_segment_flags_*; 1 = read-only (frozen)
    uint32_t heap;
    enum lg_generation generation; // Of the list it is in; frozen ones are LG_FOH.
    uint64_t gen1_start,
        gen0_start; // Ephemeral segment of the segments GC: where these begin in it; else 0.
    bool ephemeral; // Its end is alloc_allocated.
};
// By `start`; none overlap, and start <= end <= committed <= reserved: both checked.
const struct lg_segment *lg_clr_segments(const struct lg_clr *clr, size_t *count_ret);
enum lg_generation lg_segment_generation(const struct lg_segment *segment, uint64_t address);

struct lg_gc_heap {
    uint64_t address; // gc_heap*; 0 with workstation GC
    uint64_t alloc_allocated, ephemeral_segment;
    uint64_t allocation_start[5]; // per generation; segments GC only, else 0
};
const struct lg_gc_heap *lg_clr_gc_heaps(const struct lg_clr *clr, size_t *count_ret);

// [ptr, limit) is unused, and the 24 bytes behind `limit` too (clr.md C.5). By `ptr`.
struct lg_alloc_context {
    uint64_t ptr, limit;
};
const struct lg_alloc_context *lg_clr_alloc_contexts(const struct lg_clr *clr, size_t *count_ret);

// ---- types ----

enum lg_type_flags {
    LG_TYPE_REFERENCES = 1, // has a GCDesc (ContainsGCPointers)
    LG_TYPE_ARRAY = 2,      // of any rank
    LG_TYPE_SZARRAY = 4,    // rank 1, lower bound 0
    LG_TYPE_STRING = 8,
    LG_TYPE_FREE = 16,
    LG_TYPE_FINALIZER = 32,
    LG_TYPE_COLLECTIBLE = 64,
    LG_TYPE_VALUE = 128,             // value type: an object of it is boxed
    LG_TYPE_MAYBE_COLLECTIBLE = 256, // the DAC could not say
};

// Size of an object, as ClrMD and SOS count it: `count` is the uint32 at object + 8; the next object
// follows at that size rounded up to 8. None is smaller than 24, the empty string included.
static inline uint64_t lg_object_size(uint32_t base_size, uint32_t component_size, uint32_t count)
{
    uint64_t size = base_size + (uint64_t)component_size * count;
    return size < 24 ? 24 : size;
}

// Read once per method table.
struct lg_type {
    uint64_t mt;
    uint32_t id; // Dense, from 0, in order of first use.
    uint32_t base_size;
    uint16_t component_size; // 0: neither array nor string
    uint16_t flags;          // enum lg_type_flags
    uint32_t rank;           // arrays, else 0
    uint32_t token;          // 0x02rrrrrr; 0 for arrays
    uint64_t parent_mt, module, ee_class;
    uint64_t element_handle; // TypeHandle, arrays only
};

// The type of a method table, or NULL if that is none (aligned, readable, its EEClass points back).
// Thread-safe; the pointer stays valid.
const struct lg_type *lg_clr_type(struct lg_clr *clr, uint64_t mt);
const struct lg_type *lg_clr_type_at(struct lg_clr *clr,
                                     uint32_t id); // by `id`, NULL past the end; thread-safe
uint32_t lg_clr_type_count(struct lg_clr *clr);    // thread-safe

// "System.Collections.Generic.Dictionary<System.String, App.Order>", "Outer<System.Int32>+Inner",
// "App.Order[,]", "Free". Never NULL: what cannot be named is "Module!0x0200001a" or
// "<unknown_type_7f10…>".
const char *lg_clr_type_name(struct lg_clr *clr, const struct lg_type *type);
// The same of any TypeHandle: type parameters, pointers, by-refs, function pointers too.
const char *lg_clr_handle_name(struct lg_clr *clr, uint64_t type_handle);

// CorElementType (ECMA-335 II.23.1.16), as far as fields need it.
enum lg_element {
    LG_ELEM_BOOLEAN = 2,
    LG_ELEM_CHAR,
    LG_ELEM_I1,
    LG_ELEM_U1,
    LG_ELEM_I2,
    LG_ELEM_U2,
    LG_ELEM_I4,
    LG_ELEM_U4,
    LG_ELEM_I8,
    LG_ELEM_U8,
    LG_ELEM_R4,
    LG_ELEM_R8,
    LG_ELEM_STRING,
    LG_ELEM_PTR,
    LG_ELEM_BYREF,
    LG_ELEM_VALUETYPE,
    LG_ELEM_CLASS,
    LG_ELEM_VAR,
    LG_ELEM_ARRAY,
    LG_ELEM_GENERICINST,
    LG_ELEM_TYPEDBYREF,
    LG_ELEM_I = 24,
    LG_ELEM_U,
    LG_ELEM_FNPTR = 27,
    LG_ELEM_OBJECT,
    LG_ELEM_SZARRAY,
    LG_ELEM_MVAR,
};
bool lg_element_is_reference(unsigned element); // STRING, CLASS, ARRAY, OBJECT, SZARRAY
uint32_t lg_element_size(unsigned element);     // of a primitive, pointer or reference; 0 of VALUETYPE

struct lg_field {
    const char *name;
    const char *type_name; // From the signature; NULL if it cannot be decoded.
    uint64_t type_mt;      // Method table of the field's type where it is known, else 0.
    uint64_t declaring_mt;
    uint32_t token; // 0x04rrrrrr
    uint32_t
        offset; // Instance: from the object's first field (object + 8 + offset). Static: from its base.
    uint8_t element; // enum lg_element, as FieldDesc has it (an enum: its primitive)
    bool is_static, is_thread_static, is_rva;
    bool initialized; // Statics: the class constructor has run.
    uint64_t address; // Statics: of the slot (GC or non-GC), of the data for RVA; 0: none yet, or thread
                      // static.
};
// All fields of a type: base classes first; within a class instance fields, then statics, in FieldDesc
// order. Also of value types that are never boxed (elements of arrays, fields of fields).
LG_MUST_CHECK struct lg_error *lg_clr_fields(struct lg_clr *clr, const struct lg_type *type,
                                             const struct lg_field **ret, size_t *count_ret);

// The native LoaderAllocator that keeps a collectible type's code; 0 if the type is not collectible, or
// the chain AuxiliaryData.LoaderModule -> Module.LoaderAllocator is not readable.
uint64_t lg_clr_loader_allocator(struct lg_clr *clr, const struct lg_type *type);

// The GC handle of the managed LoaderAllocator of a collectible type, where the DAC tells it; else 0.
uint64_t lg_clr_loader_handle(struct lg_clr *clr, const struct lg_type *type);

struct lg_module {
    uint64_t address, assembly, loader_allocator;
    const char *path; // "" for in-memory, dynamic and single-file modules
    const char *name; // simple file name where there is one, else ""
    uint64_t image_base, image_size;
    bool is_dynamic, is_collectible;
};
const struct lg_module *lg_clr_module(struct lg_clr *clr, uint64_t module); // NULL if it is none
// The bytes of an image in the target, as lg_pe_source reads them: `data` is a struct lg_clr_image.
struct lg_clr_image {
    struct lg_target *target;
    uint64_t base;
};
bool lg_clr_image_read(void *data, uint64_t offset, void *buf, size_t len);
LG_MUST_CHECK struct lg_error *lg_clr_modules(struct lg_clr *clr, const struct lg_module *const **ret,
                                              size_t *count_ret);

// Whether its image lies in memory as the loader maps it (an RVA is an offset), or as in its file.
bool lg_clr_module_is_mapped(struct lg_clr *clr, uint64_t module);

// The module whose LoaderAllocator a type lives with: its own, or for List<Plugin.Order> the plug-in's;
// 0 unknown.
uint64_t lg_clr_loader_module(struct lg_clr *clr, const struct lg_type *type);

// The AssemblyLoadContext that a module was loaded into, as its binder in the runtime knows it.
// `object`: the managed AssemblyLoadContext, 0 if there is none. False if descriptor or memory do not
// tell.
struct lg_load_context {
    uint64_t binder, object;
};
bool lg_clr_load_context(struct lg_clr *clr, uint64_t module, struct lg_load_context *ret);

// The one AppDomain, and the SystemDomain with the loader heaps that are everybody's. Unknown: 0, NULL.
struct lg_domain {
    uint64_t address;
    const char *name;
    uint64_t system_domain, loader_allocator, low_frequency_heap, high_frequency_heap, stub_heap;
};
void lg_clr_domain(struct lg_clr *clr, struct lg_domain *ret);

// "Namespace.Type.Method" of a MethodDesc, or NULL if it cannot be told.
const char *lg_clr_method_name(struct lg_clr *clr, uint64_t method_desc);
// A lambda that the compiler has put into a closure class ("<>c__DisplayClass12_3"), or into another of
// the same method:
// "<Foo>b__1". NULL: none, or its metadata is not there.
const char *lg_clr_closure_method(struct lg_clr *clr, const struct lg_type *type);
// The MethodDesc that a code address (a delegate's _methodPtr or _methodPtrAux) belongs to or leads to;
// 0 unknown.
uint64_t lg_clr_method_from_code(struct lg_clr *clr, uint64_t code);

// ---- roots ----

enum lg_handle_kind { // The runtime's HNDTYPE_* (clr.md B.3).
    LG_HANDLE_WEAK_SHORT,
    LG_HANDLE_WEAK_LONG,
    LG_HANDLE_STRONG,
    LG_HANDLE_PINNED,
    LG_HANDLE_VARIABLE,
    LG_HANDLE_REFCOUNTED,
    LG_HANDLE_DEPENDENT,
    LG_HANDLE_ASYNC_PINNED,
    LG_HANDLE_SIZED_REF,
    LG_HANDLE_WEAK_NATIVE_COM,
    LG_HANDLE_WEAK_INTERIOR_POINTER,
    LG_HANDLE_CROSS_REFERENCE,
    LG_HANDLE_KINDS,
};
struct lg_handle {
    uint64_t address;   // Of the slot.
    uint64_t object;    // Never 0.
    uint64_t secondary; // Dependent: the secondary object; weak interior pointer: where the pointer is.
                        // 0: none.
    enum lg_handle_kind kind;
    uint32_t slot; // Of the handle table: a processor under Server GC.
};
// Does a handle of this kind keep its object alive by itself? A ref-counted one does only while its
// count is above 0, which no runtime tells from outside: it counts as strong here, and callers say
// so.
bool lg_handle_is_strong(enum lg_handle_kind kind);
const char *lg_handle_kind_name(enum lg_handle_kind kind); // "weak-short", "async-pinned"
// By `address`.
LG_MUST_CHECK struct lg_error *lg_clr_handles(struct lg_clr *clr, const struct lg_handle **ret,
                                              size_t *count_ret);

// One per GC heap. fill[] are the ends of consecutive runs of one array of object pointers:
//     array   fill[0] POH   [1] LOH   [2] gen2   [3] gen1   [4] gen0   [5] critical   [6] f-reachable
// Objects before fill[4] are registered (weak); those from fill[4] to fill[6] are f-reachable: roots.
struct lg_finalizer_queue {
    uint64_t array;
    uint64_t fill[7];
};
LG_MUST_CHECK struct lg_error *
lg_clr_finalizer_queues(struct lg_clr *clr, const struct lg_finalizer_queue **ret, size_t *count_ret);

struct lg_managed_thread {
    uint64_t address; // Of the runtime's Thread.
    uint32_t id;      // ManagedThreadId
    uint32_t os_id;   // In the target's own PID namespace; 0: not started, or gone.
    uint32_t state;   // TS_*: 0x800 dead, 0x400 unstarted, 0x200 background
    bool cooperative; // was running managed code
    uint64_t exposed_handle, last_thrown_handle; // GC handles, 0 if none
    uint64_t exception_tracker;                  // The newest exception that is on its way; 0: none.
    uint64_t tls_array;             // NonCollectible thread statics: an Object[], and a root; 0 if none
    const struct lg_thread *thread; // Registers, or NULL
    uint64_t stack_low, stack_high; // [sp - red zone, end of the mapping that sp lies in); 0 if unknown
    bool stack_is_cut; // It goes on behind stack_high: more than anyone should look through.
    uint64_t alloc_ptr, alloc_limit; // Its allocation context; 0: none.
    bool is_finalizer;
};
// Has not been started, or has ended: it has no stack.
static inline bool lg_managed_thread_is_gone(const struct lg_managed_thread *thread)
{
    return thread->os_id == 0 || thread->state & 0xc00;
}
LG_MUST_CHECK struct lg_error *lg_clr_threads(struct lg_clr *clr, const struct lg_managed_thread **ret,
                                              size_t *count_ret);

// An exception that the runtime keeps for a thread.
struct lg_exception {
    uint64_t slot; // Of its handle, or of the runtime's own variable.
    uint64_t object;
    const struct lg_managed_thread *thread;
    bool is_on_its_way; // Thrown, and its handler has not ended. Else: the last one, may be over.
};
// Of all threads. With an error those before it are told too.
LG_MUST_CHECK struct lg_error *lg_clr_exceptions(struct lg_clr *clr, const struct lg_exception **ret,
                                                 size_t *count_ret);

// What the runtime has counted; UINT32_MAX: not told.
struct lg_thread_counts {
    uint32_t all, unstarted, background, pending, dead;
};
void lg_clr_thread_counts(struct lg_clr *clr, struct lg_thread_counts *ret);

// A static field that holds a reference (or, of a value type, a boxed object).
struct lg_static {
    uint64_t slot; // Where the reference is.
    uint64_t mt;   // Declaring type.
    const char *field;
    uint32_t token;
    uint8_t element;
    const struct lg_managed_thread *thread; // Thread statics; else NULL.
};
// Every static and thread-static slot of every type that is known: the modules' TypeDef maps, their
// tables of instantiations, and every method table asked for so far (walk the heap first: instantiations
// with live instances are then known). By `slot`.
LG_MUST_CHECK struct lg_error *lg_clr_statics(struct lg_clr *clr, const struct lg_static **ret,
                                              size_t *count_ret);
// Whether it told all; else the target has notes of what it could not read.
bool lg_clr_statics_are_whole(const struct lg_clr *clr);
// Types have become known: what lg_clr_statics() told is void if that may tell more now.
void lg_clr_statics_renew(struct lg_clr *clr);
// The static whose slot is at `address`, or NULL. Valid after lg_clr_statics.
const struct lg_static *lg_clr_static_at(struct lg_clr *clr, uint64_t address);

// Objects that thread-static storage keeps alive beside the named slots: each thread's arrays, in-flight
// data.
struct lg_thread_root {
    uint64_t slot, object;
    const struct lg_managed_thread *thread;
};
LG_MUST_CHECK struct lg_error *lg_clr_thread_roots(struct lg_clr *clr, const struct lg_thread_root **ret,
                                                   size_t *count_ret);

// ---- native memory of the runtime, as far as descriptor and memory map tell ----

struct lg_native_heap {
    const char *owner; // "System Domain", "Module LoaderAllocator", "JIT Manager"
    uint64_t owner_address;
    const char *kind;               // "LowFrequencyHeap", "LoaderCodeHeap"
    uint64_t start, reserved, used; // UINT64_MAX: unknown
};
LG_MUST_CHECK struct lg_error *lg_clr_native_heaps(struct lg_clr *clr, const struct lg_native_heap **ret,
                                                   size_t *count_ret);

#endif
