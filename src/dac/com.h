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
};

// ---- slots ----

enum { LG_UNKNOWN_QUERY = 0, LG_UNKNOWN_RELEASE = 2 };
enum { LG_PROCESS_TASK_BY_TID = 7 };
enum { LG_TASK_STACK_WALK = 11 };
enum { LG_WALK_CONTEXT = 3, LG_WALK_NEXT = 5, LG_WALK_REQUEST = 9 };
enum { LG_REFS_NEXT = 6, LG_REFS_ERRORS = 7 };
enum {
    LG_SOS_THREAD_STORE = 3,
    LG_SOS_THREAD = 17,
    LG_SOS_METHOD_DATA = 20,
    LG_SOS_METHOD_FROM_IP = 21,
    LG_SOS_METHOD_NAME = 22,
    LG_SOS_METHOD_FROM_FRAME = 23,
    LG_SOS_FRAME_NAME = 43,
    LG_SOS_STACK_REFERENCES = 79,
};

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

#endif
