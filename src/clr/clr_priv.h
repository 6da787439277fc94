// For the files of src/clr: what an opened runtime is made of.
//
// open.c opens it: image, descriptor, sources, and then each part. Each other file owns one member and
// fills it on first use.
#ifndef LG_CLR_CLR_PRIV_H
#define LG_CLR_CLR_PRIV_H

#include "clr/clr.h"
#include "clr/descriptor.h"
#include "util/error.h"

// Offsets taken from the descriptor once, on opening. R: every descriptor has it, else opening fails; O:
// optional, LG_NO_OFFSET when absent and the feature that needs it says so.
// clang-format off
#define LG_OFFSETS(R, O) \
    R(Object, m_pMethTab) \
    R(Array, m_NumComponents) \
    R(String, m_FirstChar) R(String, m_StringLength) \
    R(MethodTable, MTFlags) R(MethodTable, BaseSize) R(MethodTable, MTFlags2) \
    R(MethodTable, EEClassOrCanonMT) R(MethodTable, Module) R(MethodTable, ParentMethodTable) \
    R(MethodTable, PerInstInfo) O(MethodTable, AuxiliaryData) \
    R(EEClass, MethodTable) O(EEClass, FieldDescList) O(EEClass, NumInstanceFields) \
    O(EEClass, NumStaticFields) O(EEClass, NumThreadStaticFields) O(EEClass, CorTypeAttr) \
    O(EEClass, InternalCorElementType) \
    O(ArrayClass, Rank) \
    O(MethodTableAuxiliaryData, LoaderModule) \
    O(DynamicStaticsInfo, GCStatics) O(DynamicStaticsInfo, NonGCStatics) \
    O(ThreadStaticsInfo, GCTlsIndex) O(ThreadStaticsInfo, NonGCTlsIndex) \
    R(GenericsDictInfo, NumTypeArgs) O(GenericsDictInfo, NumDicts) \
    R(TypeDesc, TypeAndFlags) \
    O(ParamTypeDesc, TypeArg) \
    O(TypeVarTypeDesc, Module) O(TypeVarTypeDesc, Token) \
    O(FnPtrTypeDesc, NumArgs) O(FnPtrTypeDesc, RetAndArgTypes) \
    R(Module, Assembly) O(Module, PEAssembly) O(Module, Base) O(Module, Flags) \
    R(Module, LoaderAllocator) O(Module, DynamicMetadata) O(Module, Path) O(Module, FileName) \
    O(Module, AvailableTypeParams) R(Module, TypeDefToMethodTableMap) \
    O(Module, TypeRefToMethodTableMap) O(Module, MethodDefToDescMap) \
    R(ModuleLookupMap, TableData) O(ModuleLookupMap, Next) O(ModuleLookupMap, Count) \
    O(ModuleLookupMap, SupportedFlagsMask) \
    O(EETypeHashTable, Buckets) O(EETypeHashTable, Count) O(EETypeHashTable, VolatileEntryValue) \
    O(EETypeHashTable, VolatileEntryNextEntry) \
    O(Assembly, Module) O(Assembly, IsCollectible) \
    O(PEAssembly, PEImage) O(PEAssembly, AssemblyBinder) \
    O(AssemblyBinder, AssemblyLoadContext) \
    O(PEImage, LoadedImageLayout) \
    O(PEImageLayout, Base) O(PEImageLayout, Size) O(PEImageLayout, Flags) \
    O(DynamicMetadata, Size) O(DynamicMetadata, Data) \
    O(AppDomain, DomainAssemblyList) O(AppDomain, FriendlyName) \
    O(ArrayListBase, Count) O(ArrayListBase, FirstBlock) \
    O(ArrayListBlock, Next) O(ArrayListBlock, Size) O(ArrayListBlock, ArrayStart) \
    O(SystemDomain, GlobalLoaderAllocator) \
    O(LoaderAllocator, HighFrequencyHeap) O(LoaderAllocator, LowFrequencyHeap) \
    O(LoaderAllocator, StubHeap) \
    R(ThreadStore, FirstThreadLink) R(ThreadStore, ThreadCount) \
    O(ThreadStore, UnstartedCount) O(ThreadStore, BackgroundCount) O(ThreadStore, PendingCount) \
    O(ThreadStore, DeadCount) \
    R(Thread, Id) R(Thread, OSId) R(Thread, State) R(Thread, PreemptiveGCDisabled) \
    R(Thread, RuntimeThreadLocals) R(Thread, LinkNext) O(Thread, GCHandle) \
    O(Thread, LastThrownObject) O(Thread, ThreadLocalDataPtr) O(Thread, Frame) \
    O(Thread, ExceptionTracker) \
    R(RuntimeThreadLocals, AllocContext) \
    O(EEAllocContext, GCAllocationContext) \
    R(GCAllocContext, Pointer) R(GCAllocContext, Limit) \
    O(ThreadLocalData, NonCollectibleTlsArrayData) O(ThreadLocalData, NonCollectibleTlsDataCount) \
    O(ThreadLocalData, CollectibleTlsArrayData) O(ThreadLocalData, CollectibleTlsDataCount) \
    O(ThreadLocalData, InFlightData) \
    O(InFlightTLSData, Next) O(InFlightTLSData, TlsIndex) O(InFlightTLSData, TLSData) \
    O(ExceptionInfo, ThrownObject) O(ExceptionInfo, PreviousNestedInfo) \
    O(MethodDesc, ChunkIndex) O(MethodDesc, Slot) O(MethodDesc, Flags) \
    O(MethodDesc, Flags3AndTokenRemainder) \
    O(MethodDescChunk, MethodTable) O(MethodDescChunk, FlagsAndTokenRange) \
    O(RangeSectionMap, TopLevelData) \
    O(RangeSectionFragment, RangeBegin) O(RangeSectionFragment, RangeEndOpen) \
    O(RangeSectionFragment, RangeSection) O(RangeSectionFragment, Next) \
    O(RangeSection, RangeBegin) O(RangeSection, RangeEndOpen) O(RangeSection, NextForDelete) \
    O(RangeSection, JitManager) O(RangeSection, Flags) O(RangeSection, HeapList) \
    O(RangeSection, R2RModule) \
    O(RealCodeHeader, MethodDesc) \
    O(CodeHeapListNode, Next) O(CodeHeapListNode, StartAddress) O(CodeHeapListNode, EndAddress) \
    O(CodeHeapListNode, MapBase) O(CodeHeapListNode, HeaderMap)
// clang-format on

#define LG_NO_OFFSET UINT32_MAX
#define LG_OFFSET_MEMBER(type, field) uint32_t type##_##field;
struct lg_offsets {
    LG_OFFSETS(LG_OFFSET_MEMBER, LG_OFFSET_MEMBER)
};

// Where what no offset leads to comes from: the one place that tells descriptor and DAC apart. Chosen on
// opening, each by itself, by what the descriptor has and whether there is a DAC (sources.c).
struct lg_mt;
struct lg_class;
struct lg_static_bases;
struct lg_module_facts;
typedef void (*lg_each_type)(void *data, uint32_t rid, uint64_t handle);
typedef bool lg_add_module(struct lg_clr *clr, uint64_t module); // False: it is none, or known.
struct lg_sources {
    // info.free_mt and the other three.
    struct lg_error *(*well_known)(struct lg_clr *clr);
    // Fills clr->threads, and adds their allocation contexts.
    struct lg_error *(*threads)(struct lg_clr *clr);
    void (*thread_counts)(struct lg_clr *clr, struct lg_thread_counts *ret);
    // Addresses of the modules of the AppDomain.
    struct lg_error *(*modules)(struct lg_clr *clr, lg_add_module *add);
    // What there is to know of one; false: it is none.
    bool (*module)(struct lg_clr *clr, uint64_t module, struct lg_module_facts *ret);
    uint64_t (*module_type)(struct lg_clr *clr, uint64_t module, uint32_t token);
    bool (*module_types)(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data);
    bool (*module_instantiations)(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data);
    // Fields and statics of a type: may it have statics at all, what its class has, where its statics
    // lie.
    bool (*may_have_statics)(const struct lg_mt *m);
    bool (*class)(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m, struct lg_class *ret);
    bool (*static_bases)(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m,
                         struct lg_static_bases *ret);
    // Where a type's thread statics are on a thread, 0: nowhere; NULL: statics.c reads it by itself.
    uint64_t (*thread_base)(struct lg_clr *clr, uint64_t mt, const struct lg_managed_thread *thread);
    // Opens clr->gc, and fills the GC's modes, clr->gc_heaps and clr->generations; clr->finalizers.
    // NULL: GcDacVars tell.
    struct lg_error *(*gc)(struct lg_clr *clr);
    struct lg_error *(*finalizers)(struct lg_clr *clr);
};

// Where a generation of a heap begins, and its own allocation context.
struct lg_gc_generation {
    uint64_t first_segment; // 0: it has none, or the runtime no such generation.
    struct lg_alloc_context context;
};
enum { LG_GC_GENERATION_COUNT = 5 };

struct lg_gc_vars;     // gc.c
struct lg_told;        // told.c
struct lg_type_table;  // types.c: method table -> lg_type, names
struct lg_module_list; // modules.c
struct lg_field_cache; // fields.c
struct lg_static_list; // statics.c
struct lg_memory;      // memory.c
struct lg_stored;      // stored.c

struct lg_clr {
    struct lg_target *target; // Borrowed.
    struct lg_clr_info info;
    char version[64];                 // info.version, if there is one
    char *heap_missing;               // info.heap_missing
    struct lg_image image;            // with the runtime in it
    struct lg_descriptor *descriptor; // Empty if the runtime has none.
    struct lg_offsets off;
    unsigned rid_shift;        // Of a method table's MTFlags2: where the token's row begins.
    unsigned bucket_words;     // Before the first bucket of a hash table.
    bool is_table_sought;      // measured.c has looked for the tables of instantiations
    bool asks_for_modules;     // Of generic types: their method table does not tell their module.
    bool has_nameless_statics; // That has been said.
    bool without_descriptor;
    struct lg_sources from;
    struct lg_told *told;

    struct lg_gc_vars *gc;
    LG_VEC(struct lg_gc_heap) gc_heaps;
    unsigned generation_count;                   // Of a heap: LG_GC_GENERATION_COUNT, or fewer.
    LG_VEC(struct lg_gc_generation) generations; // generation_count per heap
    LG_VEC(struct lg_segment) segments;
    LG_VEC(struct lg_alloc_context) contexts;
    LG_VEC(struct lg_managed_thread) threads;
    LG_VEC(struct lg_exception) exceptions; // exceptions.c
    LG_VEC(struct lg_handle) handles;
    bool handles_read;
    LG_VEC(uint64_t) handle_segments; // filled with the handles
    LG_VEC(struct lg_finalizer_queue) finalizers;
    bool finalizers_read;
    LG_VEC(struct lg_native_heap) native_heaps;
    bool native_heaps_read;
    size_t
        modules_lost; // That the runtime lists, and that could not be read: their statics are missing.

    struct lg_type_table *types;
    struct lg_module_list *modules;
    struct lg_field_cache *fields;
    struct lg_static_list *statics;
    struct lg_memory *memory; // NULL until asked for
    struct lg_stored *stored; // Of a snapshot, else NULL: then there is no descriptor, and no `gc`.
};

// The pointer in an indirect global; false if there is no such global or it is not readable.
bool lg_clr_global_pointer(const struct lg_clr *clr, const char *name, uint64_t *ret);

// An error of reading the heap of a core: is it one that leaves the rest readable? Then it is kept as
// info.heap_missing, and freed.
bool lg_clr_does_without_heap(struct lg_clr *clr, struct lg_error *err);

// Each file's part of opening and closing. `open` runs in this order in open.c: told, sources, types,
// modules, gc, threads.
LG_MUST_CHECK struct lg_error *lg_clr_told_open(struct lg_clr *clr,
                                                const struct lg_clr_options *options); // told.c
void lg_clr_told_close(struct lg_clr *clr);
LG_MUST_CHECK struct lg_error *lg_clr_sources_open(struct lg_clr *clr);    // sources.c
LG_MUST_CHECK struct lg_error *lg_clr_descriptor_open(struct lg_clr *clr); // contracts.c
LG_MUST_CHECK struct lg_error *lg_clr_layouts_measure(struct lg_clr *clr); // layouts.c
LG_MUST_CHECK struct lg_error *lg_clr_types_open(struct lg_clr *clr);      // types.c
void lg_clr_types_close(struct lg_clr *clr);
LG_MUST_CHECK struct lg_error *lg_clr_modules_open(struct lg_clr *clr); // modules.c
void lg_clr_modules_close(struct lg_clr *clr);
void lg_clr_fields_close(struct lg_clr *clr);                      // fields.c
void lg_clr_statics_close(struct lg_clr *clr);                     // statics.c
void lg_clr_memory_close(struct lg_clr *clr);                      // memory.c
void lg_clr_stored_close(struct lg_clr *clr);                      // stored.c
LG_MUST_CHECK struct lg_error *lg_clr_gc_open(struct lg_clr *clr); // gc.c: variables, heaps, segments
void lg_clr_gc_close(struct lg_clr *clr);
// An error unless the GC's variables and heaps are known: a core may lack them.
LG_MUST_CHECK struct lg_error *lg_clr_gc_needed(const struct lg_clr *clr);
LG_MUST_CHECK struct lg_error *
lg_clr_threads_open(struct lg_clr *clr); // threads.c: threads, alloc contexts

#endif
