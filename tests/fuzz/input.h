// The input of a fuzz target as a file that is read in pieces (struct lg_pe_source).
#ifndef LG_TESTS_FUZZ_INPUT_H
#define LG_TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct input {
    const uint8_t *data;
    size_t size;
};

static inline bool read_input(void *data, uint64_t offset, void *buf, size_t len)
{
    const struct input *input = data;
    if (offset > input->size || len > input->size - offset)
        return false;
    memcpy(buf, input->data + offset, len);
    return true;
}

#endif
