// The runtime's data descriptor: where the fields of its structures lie, and the values of its globals.
//
//     DotNetRuntimeContractDescriptor (export):   "DNCCDAC\0" | flags u32 | size u32 | JSON* | count
//     u32, pad | pointers* JSON: types    {"Thread": {"!": size, "OSId": 296, "LinkNext": [112,
//     "pointer"]}, …}
//           globals  {"X": value | [n] | [value, "type"] | [[n], "type"]}    [n]: pointers[n] is the
//           variable's address contracts{"Thread": 1} subDescriptors {"GC": [[n], "pointer"]}   (.NET
//           11): merged in
//
// Layout measured on 9.0.22, 10.0.9, 10.0.12 (reference clr.md D.1); numbers may be strings, hex or
// negative.
#ifndef LG_CLR_DESCRIPTOR_H
#define LG_CLR_DESCRIPTOR_H

#include "target/target.h"
#include "util/error.h"

struct lg_descriptor;

// Errors: magic or flags that are not a 64-bit descriptor's, unreadable, no JSON.
LG_MUST_CHECK struct lg_error *lg_descriptor_read(struct lg_target *target, uint64_t address,
                                                  struct lg_descriptor **ret);
// From JSON and pointer values already in memory: for tests and fuzzing.
LG_MUST_CHECK struct lg_error *lg_descriptor_parse(const char *json, size_t len,
                                                   const uint64_t *pointers, size_t pointer_count,
                                                   struct lg_descriptor **ret);
void lg_descriptor_free(struct lg_descriptor *descriptor); // NULL is allowed
LG_DEFINE_FREEP(lg_descriptor)

// NULL, a snapshot's, has nothing of all this.
bool lg_descriptor_offset(const struct lg_descriptor *d, const char *type, const char *field,
                          uint32_t *ret);
bool lg_descriptor_size(const struct lg_descriptor *d, const char *type, uint32_t *ret);
// A global's value: of an indirect one the address of its variable.
bool lg_descriptor_global(const struct lg_descriptor *d, const char *name, uint64_t *ret);
// The version of a contract; false if there is none. "c1" is 1.
bool lg_descriptor_contract(const struct lg_descriptor *d, const char *name, uint32_t *ret);

#endif
