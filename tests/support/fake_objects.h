// A fake runtime with types (fake_types.h) and with objects on its heap, so that whole commands run on
// it. Every segment begins with turns of a chain:
//
//     Object[3]   { the next turn's Object[], Node, String }
//     Node        { next: the next turn's Object[] }
//     String      "fake text"
//
// and a free block reaches to its end. The static App.Node.s_root holds the first Node of generation 2.
#ifndef LG_TESTS_SUPPORT_FAKE_OBJECTS_H
#define LG_TESTS_SUPPORT_FAKE_OBJECTS_H

#include "support/fake_types.h"

enum { FO_TURNS = 20, FO_TURN = 136, FO_NODE = 48, FO_STRING = 96 }; // Offsets within a turn.

struct lg_target *fake_runtime_with_objects(unsigned flags);

#endif
