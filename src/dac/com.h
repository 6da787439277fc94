// The interfaces of libmscordaccore.so, as plain C sees them: identifiers, slots of vtables, structs.
//
// Numbers from dotnet/diagnostics src/shared/inc/sospriv.idl, xclrdata.idl, clrdata.idl and
// dacprivate.h @3c9f99e, whose layouts the runtime freezes by static_assert (reference clr.md A, B).
#ifndef LG_DAC_COM_H
#define LG_DAC_COM_H

#include <stdint.h>

struct lg_guid {
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];
};

enum {
    LG_S_OK = 0,
    LG_S_FALSE = 1,
    LG_E_NOTIMPL = (int)0x80004001,
    LG_E_NOINTERFACE = (int)0x80004002,
    LG_E_FAIL = (int)0x80004005,
    LG_E_INVALIDARG = (int)0x80070057,
    LG_CORDBG_E_UNSUPPORTED = (int)0x80131c4e,     // no thread store yet
    LG_CORDBG_E_MISSING_EXPORTS = (int)0x80131c4f, // g_dacTable is not there to be read
    LG_CORDBG_E_INCOMPATIBLE = (int)0x80131c30,    // another architecture
    LG_CORDBG_E_NOT_READABLE = (int)0x80131c49,    // memory of the target
    LG_E_CIRCLE = (int)0xa0000001,                 // ours: a list that comes back to where it was
};

// ---- slots ----

enum { LG_UNKNOWN_QUERY = 0, LG_UNKNOWN_RELEASE = 2 };
enum { LG_PROCESS_TASK_BY_TID = 7, LG_PROCESS_CODE_NAME = 15 };
enum { LG_PROCESS_METHODS_AT = 27, LG_PROCESS_NEXT_METHOD_AT, LG_PROCESS_END_METHODS_AT };
enum { LG_METHOD_OFFSETS = 12 };
enum { LG_TASK_STACK_WALK = 11 };
enum { LG_WALK_CONTEXT = 3, LG_WALK_NEXT = 5, LG_WALK_REQUEST = 9 };
enum { LG_REFS_NEXT = 6, LG_REFS_ERRORS = 7 };
enum {
    LG_SOS_THREAD_STORE = 3,
    LG_SOS_DOMAIN_STORE = 4,
    LG_SOS_DOMAINS = 5,
    LG_SOS_DOMAIN = 6,
    LG_SOS_DOMAIN_NAME = 7,
    LG_SOS_ASSEMBLIES = 9,
    LG_SOS_ASSEMBLY = 10,
    LG_SOS_MODULE = 12,
    LG_SOS_MODULE_DATA = 13,
    LG_SOS_MODULE_MAP = 14,
    LG_SOS_ASSEMBLY_MODULES = 15,
    LG_SOS_THREAD = 17,
    LG_SOS_METHOD_DATA = 20,
    LG_SOS_METHOD_FROM_IP = 21,
    LG_SOS_METHOD_NAME = 22,
    LG_SOS_METHOD_FROM_FRAME = 23,
    LG_SOS_JIT_MANAGERS = 27,
    LG_SOS_OBJECT = 33,
    LG_SOS_TYPE_NAME = 36,
    LG_SOS_TYPE = 37,
    LG_SOS_TYPE_FIELDS = 39,
    LG_SOS_FIELD = 42,
    LG_SOS_FRAME_NAME = 43,
    LG_SOS_MODULE_FILE = 45,
    LG_SOS_GC = 46,
    LG_SOS_GC_HEAPS = 47,
    LG_SOS_GC_HEAP = 48,
    LG_SOS_GC_HEAP_STATIC = 49,
    LG_SOS_SEGMENT = 50,
    LG_SOS_DOMAIN_MODULE = 57,
    LG_SOS_THREAD_MODULE = 58,
    LG_SOS_LOADER_HEAP = 67,
    LG_SOS_CODE_HEAPS = 68,
    LG_SOS_STUB_HEAP = 69,
    LG_SOS_GLOBALS = 70,
    LG_SOS_STACK_REFERENCES = 79,
};
enum { LG_SOS6_COLLECTIBLE = 3 };
enum {
    LG_SOS8_GENERATIONS = 3,
    LG_SOS8_GENERATION_TABLE = 4,
    LG_SOS8_FILL_POINTERS = 5,
    LG_SOS8_GENERATION_TABLE_SVR = 6,
    LG_SOS8_FILL_POINTERS_SVR = 7,
    LG_SOS8_LOAD_CONTEXT = 8,
};
enum { LG_SOS12_ALLOC_CONTEXT = 3 };
enum { LG_SOS13_LOADER_HEAP = 3, LG_SOS13_DOMAIN_ALLOCATOR, LG_SOS13_HEAP_NAMES, LG_SOS13_HEAPS };
enum { LG_SOS14_STATICS = 3, LG_SOS14_THREAD_STATICS, LG_SOS14_INITIALIZED };
enum { LG_SOS16_DATAS = 3 };

// IXCLRDataStackWalk::Request(): the address of the runtime's explicit Frame, 0 in a method.
enum { LG_WALK_REQUEST_FRAME = (int)0xf0000000 };
enum { LG_CONTEXT_FULL = 0x10000b, LG_CONTEXT_RSP = 0x98, LG_CONTEXT_RIP = 0xf8 };

// ---- structs ----

struct lg_dacp_stack_ref {
    int32_t has_register, reg, offset, pad;
    uint64_t address, object;
    uint32_t flags, source_type;
    uint64_t source, sp;
};
_Static_assert(sizeof(struct lg_dacp_stack_ref) == 0x38, "SOSStackRefData");
enum { LG_REF_INTERIOR = 1, LG_REF_PINNED = 2 };
enum { LG_REF_FROM_IP, LG_REF_FROM_FRAME };

struct lg_dacp_method {
    int32_t has_native_code, is_dynamic;
    uint16_t slot;
    uint64_t native_code, native_code_slot, method, mt, module;
    uint32_t token, pad;
    uint64_t gc_info, stress_copy, dynamic_object, requested_ip, rejit[6];
    uint32_t rejit_versions, pad2;
};
_Static_assert(sizeof(struct lg_dacp_method) == 0x98, "DacpMethodDescData");

struct lg_dacp_type {
    int32_t is_free, pad;
    uint64_t module, ee_class, parent;
    uint16_t interfaces, methods, vtable_slots, virtuals;
    uint32_t base_size, component_size, token, attributes;
    int32_t is_shared, is_dynamic, has_references, pad2;
};
_Static_assert(sizeof(struct lg_dacp_type) == 0x48, "DacpMethodTableData");

struct lg_dacp_type_fields {
    uint16_t instance, statics, thread_statics;
    uint64_t first;
    uint16_t context_offset, context_size;
};
_Static_assert(sizeof(struct lg_dacp_type_fields) == 0x18, "DacpMethodTableFieldData");

struct lg_dacp_collectible {
    uint64_t loader_allocator;
    int32_t is_collectible, pad;
};
_Static_assert(sizeof(struct lg_dacp_collectible) == 0x10, "DacpMethodTableCollectibleData");

struct lg_dacp_field {
    uint32_t type, sig_type;
    uint64_t type_mt, type_module;
    uint32_t type_token, token;
    uint64_t declaring_mt;
    uint32_t offset;
    int32_t is_thread_static, is_context_static, is_static;
    uint64_t next;
};
_Static_assert(sizeof(struct lg_dacp_field) == 0x40, "DacpFieldDescData");

struct lg_dacp_object {
    uint64_t mt;
    uint32_t kind, pad;
    uint64_t size, element_handle;
    uint32_t element_type, rank;
    uint64_t count, component_size, data, bounds, lower_bounds, rcw, ccw;
};
_Static_assert(sizeof(struct lg_dacp_object) == 0x60, "DacpObjectData");

// Of statics before .NET 9: DacpDomainLocalModuleData and DacpThreadLocalModuleData are of one shape.
struct lg_dacp_local_module {
    uint64_t owner, index, class_data, dynamic_classes, gc_statics, non_gc_statics;
};
_Static_assert(sizeof(struct lg_dacp_local_module) == 0x30, "DacpDomainLocalModuleData");

struct lg_dacp_module {
    uint64_t address, pe_assembly, il_base, metadata, metadata_size, assembly;
    int32_t is_reflection, is_pe_file;
    uint64_t class_index, id;
    uint32_t transient_flags, pad;
    uint64_t typedef_map, typeref_map, method_map, field_map, member_map, file_map, manifest_map;
    uint64_t loader_allocator, thunk_heap, index;
};
_Static_assert(sizeof(struct lg_dacp_module) == 0xa0, "DacpModuleData");

struct lg_dacp_thread_store {
    uint32_t all, unstarted, background, pending, dead, pad;
    uint64_t first, finalizer, gc_thread;
    uint32_t host_config, pad2;
};
_Static_assert(sizeof(struct lg_dacp_thread_store) == 0x38, "DacpThreadStoreData");

struct lg_dacp_thread {
    uint32_t id, os_id, state, preemptive_disabled;
    uint64_t alloc_ptr, alloc_limit, context, domain, frame;
    uint32_t lock_count, pad;
    uint64_t nested_exception, teb, fiber, last_thrown, next;
};
_Static_assert(sizeof(struct lg_dacp_thread) == 0x68, "DacpThreadData");

struct lg_dacp_domain_store {
    uint64_t shared, system;
    uint32_t count, pad;
};
_Static_assert(sizeof(struct lg_dacp_domain_store) == 0x18, "DacpAppDomainStoreData");

struct lg_dacp_domain {
    uint64_t address, security, low_frequency, high_frequency, stubs, local_block, local_modules;
    uint32_t id, assemblies, failed_assemblies, stage;
};
_Static_assert(sizeof(struct lg_dacp_domain) == 0x48, "DacpAppDomainData");

// IXCLRDataModule::Request(LG_MODULE_REQUEST_IMAGE).
enum { LG_MODULE_FLAGS = 31, LG_MODULE_REQUEST = 36, LG_MODULE_REQUEST_IMAGE = (int)0xf0000001 };
enum { LG_MODULE_IS_DYNAMIC = 1 };
struct lg_dacp_module_image {
    int32_t is_dynamic, is_in_memory, is_file_layout, pad;
    uint64_t pe_assembly, base, size, pdb, pdb_size;
};
_Static_assert(sizeof(struct lg_dacp_module_image) == 0x38, "DacpGetModuleData");

struct lg_dacp_jit_manager {
    uint64_t address;
    uint32_t code_type, pad;
    uint64_t heap_list;
};
_Static_assert(sizeof(struct lg_dacp_jit_manager) == 0x18, "DacpJitManagerInfo");

struct lg_dacp_code_heap {
    uint32_t type, pad; // LG_CODE_HEAP_*
    uint64_t heap;      // Loader heap; of a host's: where it begins
    uint64_t current;   // of a host's
};
_Static_assert(sizeof(struct lg_dacp_code_heap) == 0x18, "DacpJitCodeHeapInfo");
enum { LG_CODE_HEAP_LOADER, LG_CODE_HEAP_HOST };

struct lg_dacp_gc {
    int32_t is_server, is_valid;
    uint32_t heaps, max_generation;
};
_Static_assert(sizeof(struct lg_dacp_gc) == 0x10, "DacpGcHeapData");

struct lg_dacp_generation {
    uint64_t segment, allocation_start, alloc_ptr, alloc_limit;
};
struct lg_dacp_gc_heap {
    uint64_t address, alloc_allocated, mark_array, state, next_sweep;
    uint64_t sweep_segment, sweep_start, background_low, background_high;
    struct lg_dacp_generation generations[4];
    uint64_t ephemeral_segment, fill[7], lowest, highest, card_table;
};
_Static_assert(sizeof(struct lg_dacp_gc_heap) == 0x120, "DacpGcHeapDetails");

struct lg_dacp_segment {
    uint64_t address, allocated, committed, reserved, used, mem, next, heap;
    uint64_t high_mark; // Goes in as 0.
    uint64_t flags, background_allocated;
};
_Static_assert(sizeof(struct lg_dacp_segment) == 0x58, "DacpHeapSegmentData");

#endif
