// The GC's versioned variables: `GcDacVars`, what the GC publishes for the DAC of its own version.
//
//     g_dacTable (export)         GcDacVars v2.x: 24-byte header, then pointers to variables
//     +---+---+- - -+---+        +----------------------------+-----+-----+- - -+-----+
//     |   |   |  e  |   |  *e -> | major u8, minor u8, pad    | [0] | [1] |     | [37]|
//     +---+---+- - -+---+        | size of a generation u64   +-----+-----+- - -+-----+
//                                | number of generations u64  |  in the order of gcinterface.dacvars.def
//                                +----------------------------+
//
// Workstation GC: the entries are the addresses of static members. Server GC: the per-heap entries are
// null, and each gc_heap has its fields at gc_heap_field_offsets[] (reference clr.md D.4, measured on
// 8.0.30, 9.0.22, 10.0.9, 10.0.12; dotnet/runtime src/coreclr/gc/gcinterface.dacvars.def @05ebade).
#ifndef LG_CLR_GC_VARS_H
#define LG_CLR_GC_VARS_H

#include "clr/clr_priv.h"

enum lg_gc_var {
    LG_GC_BUILD_VARIANT,
    LG_GC_BUILT_WITH_SVR,
    LG_GC_GENERATION_TABLE = 3,
    LG_GC_CURRENT_C_GC_STATE = 6,
    LG_GC_EPHEMERAL_HEAP_SEGMENT = 7,
    LG_GC_ALLOC_ALLOCATED = 12,
    LG_GC_FINALIZE_QUEUE = 15,
    LG_GC_N_HEAPS = 19,
    LG_GC_G_HEAPS,
    LG_GC_STRUCTURES_INVALID_CNT,
    LG_GC_HANDLE_TABLE_MAP = 26,
    LG_GC_HEAP_FIELD_OFFSETS,
    LG_GC_GENERATION_FIELD_OFFSETS,
    LG_GC_BOOKKEEPING_START,
    LG_GC_GLOBAL_REGIONS_TO_DECOMMIT,
    LG_GC_GLOBAL_FREE_HUGE_REGIONS,
    LG_GC_FREE_REGIONS,
    LG_GC_FREEABLE_SOH_SEGMENT, // from v2.2 on
    LG_GC_FREEABLE_UOH_SEGMENT,
    LG_GC_COUNTS, // A value: total_bookkeeping_elements in its low half, count_free_region_kinds above.
    LG_GC_CARD_TABLE_INFO_SIZE,    // A value.
    LG_GC_DYNAMIC_ADAPTATION_MODE, // from v2.4 on
    LG_GC_VARS,
};

// Which heap's, in the order of gc_heap_field_offsets[].
enum lg_gc_field {
    LG_GC_FIELD_ALLOC_ALLOCATED = 0,
    LG_GC_FIELD_EPHEMERAL_HEAP_SEGMENT = 1,
    LG_GC_FIELD_FINALIZE_QUEUE = 2,
    LG_GC_FIELD_GENERATION_TABLE = 18,
    LG_GC_FIELD_FREEABLE_SOH_SEGMENT, // from v2.2 on
    LG_GC_FIELD_FREEABLE_UOH_SEGMENT,
    LG_GC_FIELD_FREE_REGIONS,
    LG_GC_FIELDS,
};

struct lg_gc_vars {
    uint64_t address; // 0: there are none, and nothing of this is known.
    unsigned major, minor;
    uint64_t generation_size;
    uint64_t vars[LG_GC_VARS];           // 0: null, or not in this version.
    int32_t field_offsets[LG_GC_FIELDS]; // Server GC. Negative: absent.
    int32_t allocation_context, start_segment,
        allocation_start; // In a generation; the last -1 with regions.
};

// Does the runtime say where they are? 3.1 does not.
bool lg_gc_vars_are_there(const struct lg_clr *clr);
// Errors: NOT_FOUND (the GC is not initialised yet), UNSUPPORTED (another version), CORRUPT.
LG_MUST_CHECK struct lg_error *lg_gc_vars_read(struct lg_clr *clr, struct lg_gc_vars **ret);

// The address of a variable of heap `i`; 0: there is none.
uint64_t lg_gc_field(const struct lg_clr *clr, size_t heap, enum lg_gc_field field);

// One more queue, from its words (finalizers.c), if they can be that.
enum { LG_GC_FILLS = 7, LG_GC_FILL_ARRAY = LG_GC_FILLS, LG_GC_FILL_END, LG_GC_FILL_WORDS };
LG_MUST_CHECK struct lg_error *lg_gc_add_finalizers(struct lg_clr *clr, uint64_t at,
                                                    const uint64_t words[LG_GC_FILL_WORDS]);

#endif
