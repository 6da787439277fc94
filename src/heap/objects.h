// One object: what lies in it, by name.
#ifndef LG_HEAP_OBJECTS_H
#define LG_HEAP_OBJECTS_H

#include "heap/heap.h"

// The object at an address that is known to be one's: no walk, only its method table and length.
bool lg_object_read(struct lg_clr *clr, uint64_t address, struct lg_object *ret);
// The bits of an instance field, by name, up to 8 bytes; false: there is none, or it is not readable.
bool lg_object_field(struct lg_clr *clr, const struct lg_object *object, const char *name,
                     uint64_t *ret);
// A string in a field, at most `max` chars of it, owned; NULL: none.
char *lg_object_string(struct lg_clr *clr, const struct lg_object *object, const char *name, size_t max);

// Reads the bytes; false when they are not there, or the element has no size of its own.
bool lg_value_read(struct lg_target *target, unsigned element, uint64_t address, uint64_t *ret);

// The chars of a string object, at most `max` of them; `*total_ret` is how many it has. NULL when it
// cannot be read; else the caller's.
uint16_t *lg_string_read(struct lg_target *target, uint64_t address, size_t max, uint32_t *count_ret,
                         uint32_t *total_ret);
// The same as UTF-8, with "…" behind it when it was cut.
char *lg_string_text(struct lg_target *target, uint64_t address, size_t max);

#endif
