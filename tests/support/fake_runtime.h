// A fake .NET 10 runtime: as much of one as src/clr reads of the GC, its threads and its handles, laid
// out by hand at fixed addresses, so that a test can look at each word and break it.
//
//     image    libcoreclr.so, exports the data descriptor (that of 10.0.9) and g_dacTable
//     heap     one region or segment per generation, and a frozen one; each 64 KiB, of which half is in
//     use threads  1 (main, os id 100), 2 (os id 101), 3 (dead) handles  strong, pinned, weak, dependent
//     with its secondary
//
// With Server GC there are two heaps and two handle tables; the second heap's segments follow the
// first's.
#ifndef LG_TESTS_SUPPORT_FAKE_RUNTIME_H
#define LG_TESTS_SUPPORT_FAKE_RUNTIME_H

#include "support/fake.h"

enum fake_runtime_flags { FAKE_SERVER_GC = 1, FAKE_SEGMENTS_GC = 2 };

#define FR_IMAGE UINT64_C(0x7f0000000000)
#define FR_VARIABLES (FR_IMAGE + FAKE_IMAGE_FREE) // Of the descriptor: variable i at + 8 * i.
#define FR_DESCRIPTOR (FR_IMAGE + FAKE_IMAGE_FREE + 0x400)
#define FR_DAC_TABLE (FR_IMAGE + FAKE_IMAGE_FREE + 0x800)
#define FR_JSON UINT64_C(0x7f0100000000)
#define FR_POINTERS UINT64_C(0x7f0200000000)
#define FR_METHOD_TABLES UINT64_C(0x7f0300000000) // Object, String, object[], Free: 0x100 apart
#define FR_STORE UINT64_C(0x7f0400000000)         // The thread store.
#define FR_THREAD(i) (UINT64_C(0x7f0500000000) + 0x1000 * (uint64_t)(i))
#define FR_LOCALS(i) (UINT64_C(0x7f0600000000) + 0x1000 * (uint64_t)(i))
#define FR_GC UINT64_C(0x7f0700000000)           // GcDacVars; variable i at + 24 + 8 * i.
#define FR_GC_VARIABLES UINT64_C(0x7f0700001000) // What they point at: variable i at + 0x10 * i.
#define FR_GENERATIONS(heap) (UINT64_C(0x7f0700002000) + 0x4000 * (uint64_t)(heap))
#define FR_SEGMENT(heap, i) \
    (UINT64_C(0x7f0800000000) + 0x1000 * (uint64_t)(heap) + 0x100 * (uint64_t)(i))
#define FR_MEMORY(heap, i) \
    (UINT64_C(0x7e0000000000) + 0x1000000 * (uint64_t)(heap) + 0x10000 * (uint64_t)(i))
#define FR_FINALIZE(heap) (UINT64_C(0x7f0900000000) + 0x1000 * (uint64_t)(heap))
#define FR_MAP UINT64_C(0x7f0a00000000)
#define FR_TABLE(slot) (UINT64_C(0x7f0b00000000) + 0x1000 * (uint64_t)(slot))
#define FR_HANDLES(slot) (UINT64_C(0x7f0c00000000) + 0x10000 * (uint64_t)(slot))
#define FR_STACK(i) (UINT64_C(0x7f0d00000000) + 0x100000 * (uint64_t)(i))

enum { FR_SEGMENT_COUNT = 6, FR_USED = 0x8000, FR_GENERATION_SIZE = 0x100 };
enum { FR_FOH = 5 }; // Segments 0 to 4 are those of the generations.

struct lg_target *fake_runtime(unsigned flags);

#endif
