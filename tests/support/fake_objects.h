// A fake runtime (fake_runtime.h) with something on its heap, so that whole commands run on it: in every
// segment chains of object arrays, objects, strings, and a free block to its end. There are no modules:
// types have no names.
#ifndef LG_TESTS_SUPPORT_FAKE_OBJECTS_H
#define LG_TESTS_SUPPORT_FAKE_OBJECTS_H

#include "support/fake_runtime.h"

#define FO_CLASSES UINT64_C(0x7f0e00000000)

struct lg_target *fake_runtime_with_objects(unsigned flags);
// The `i`th object array of a segment; the first holds the second, and so on.
uint64_t fake_chain(uint64_t heap, uint64_t segment, uint64_t i);

#endif
