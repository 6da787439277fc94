// Any text, read as a data descriptor, is refused or answers every question within its bounds.
#include <string.h>

#include "clr/descriptor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t pointers[] = { 0, 0x1000, 0x2000, 0x3000 };
    _cleanup_(lg_descriptor_freep) struct lg_descriptor *d = NULL;
    struct lg_error *err = lg_descriptor_parse((const char *)data, size, pointers, 4, &d);
    lg_error_free(err);
    if (err)
        return 0;
    static const char *const names[] = { "Thread", "OSId", "LinkNext", "AppDomain",
                                         "Object", "a",    "!",        "" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        uint32_t small = 0;
        uint64_t value;
        for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
            if (lg_descriptor_offset(d, names[i], names[k], &small) && small > INT32_MAX)
                abort();
        }
        lg_descriptor_size(d, names[i], &small);
        lg_descriptor_global(d, names[i], &value);
        lg_descriptor_contract(d, names[i], &small);
    }
    return 0;
}
