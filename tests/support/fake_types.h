// Types of a fake runtime: two modules with metadata, and method tables laid by hand.
//
//     System.Private.CoreLib   Object, String, Int32, __Canon
//     App                      Node { next, count, pair, s_root, s_number, t_local }
//                              Outer<T> { value, items }, Outer<T>+Inner<U> { both }, Pair<A, B>
//
// Offsets are those of the descriptor of 10.0.9, which fake_runtime() has.
#ifndef LG_TESTS_SUPPORT_FAKE_TYPES_H
#define LG_TESTS_SUPPORT_FAKE_TYPES_H

#include "support/fake_runtime.h"

#define FT_START UINT64_C(0x7d0000000000)
#define FT_END UINT64_C(0x7d5000000000)
#define FT_MODULE(i) (FT_START + 0x10000 * (uint64_t)(i))
#define FT_ASSEMBLY(i) (FT_MODULE(i) + 0x2000)
#define FT_IMAGE(i) (UINT64_C(0x7d1000000000) + 0x10000 * (uint64_t)(i))
#define FT_APP_DOMAIN UINT64_C(0x7d2000000000)
#define FT_MT(k) (UINT64_C(0x7d3000000000) + 0x1000 * (uint64_t)(k) + 0x100)
#define FT_DESC(k) (UINT64_C(0x7d4000000000) + 0x100 * (uint64_t)(k)) // TypeDescs
#define FT_STATICS UINT64_C(0x7d4000010000)                           // Node's GC statics
#define FT_NON_GC (FT_STATICS + 0x100)
#define FT_TLS UINT64_C(0x7d4000020000) // of thread 1: ThreadLocalData, Object[], the entry

enum fake_type_index {
    FT_INT32,
    FT_NODE,
    FT_OUTER_STRING,       // Outer<String>
    FT_INNER,              // Outer<Int32>+Inner<String>
    FT_PAIR_CANON,         // Pair<__Canon, Int32>
    FT_OUTER_STRING_ARRAY, // Outer<String>[]
    FT_NODE_MATRIX,        // Node[,]
    FT_CANON,
    FT_TYPE_COUNT
};
enum { FT_POINTER, FT_BYREF, FT_FUNCTION, FT_VARIABLE }; // FT_DESC

#define FT_OBJECT FR_METHOD_TABLES
#define FT_STRING (FR_METHOD_TABLES + 0x100)
#define FT_OBJECT_ARRAY (FR_METHOD_TABLES + 0x200)

// Adds them to any fake_runtime().
void fake_types_add(struct lg_target *target);
struct lg_target *fake_types(void);

#endif
