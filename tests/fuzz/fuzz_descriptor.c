// Any text, as a data descriptor in a target's memory, with sub-descriptors that may be itself: refused,
// or every question is answered within its bounds.
//
//     u8 × 4: where pointers 0 to 3 lead | u8 count, count × { u8 offset, u8 bits }: damage to the
//     header | text
#include <string.h>

#include "clr/descriptor.h"
#include "support/fake.h"
#include "util/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADER UINT64_C(0x10000)
#define POINTERS UINT64_C(0x10100)
#define VARIABLES UINT64_C(0x10200) // Two descriptors, one of them damaged, and nothing.
#define WHOLE UINT64_C(0x10300)
#define TEXT UINT64_C(0x20000)

enum { POINTER_COUNT = 4, DAMAGE_MAX = 8 };

static void add_header(struct lg_target *fake, uint64_t at, size_t len)
{
    fake_string(fake, at, "DNCCDAC");
    fake_u32(fake, at + 8, 1);
    fake_u32(fake, at + 12, (uint32_t)len);
    fake_u64(fake, at + 16, TEXT);
    fake_u64(fake, at + 24, POINTER_COUNT);
    fake_u64(fake, at + 32, POINTERS);
}

static void add_pointers(struct lg_target *fake, struct lg_reader *r)
{
    static const uint64_t leads[] = {
        0, VARIABLES, VARIABLES + 8, VARIABLES + 16, TEXT, UINT64_MAX - 3
    };
    for (uint64_t i = 0; i < POINTER_COUNT; i++)
        fake_u64(fake, POINTERS + 8 * i, leads[lg_read_u8(r) % (sizeof(leads) / sizeof(*leads))]);
    fake_u64(fake, VARIABLES, HEADER);
    fake_u64(fake, VARIABLES + 8, WHOLE);
    fake_u64(fake, VARIABLES + 16, 0x666000);
}

static void damage(struct lg_target *fake, struct lg_reader *r)
{
    unsigned count = lg_read_u8(r) % (DAMAGE_MAX + 1);
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = HEADER + lg_read_u8(r) % 40;
        uint8_t byte;
        lg_target_u8(fake, at, &byte);
        fake_u8(fake, at, byte ^ lg_read_u8(r));
    }
}

static void ask(const struct lg_descriptor *d)
{
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lg_reader r = lg_reader(data, size);
    _cleanup_(lg_target_freep) struct lg_target *fake = fake_new();
    _cleanup_(lg_descriptor_freep) struct lg_descriptor *d = NULL;
    add_pointers(fake, &r);
    add_header(fake, HEADER, 0);
    damage(fake, &r);
    size_t len = r.failed ? 0 : lg_reader_left(&r);
    fake_bytes(fake, TEXT, data + size - len, len);
    fake_u32(fake, HEADER + 12, (uint32_t)len);
    add_header(fake, WHOLE, len);
    struct lg_error *err = lg_descriptor_read(fake, HEADER, &d);
    lg_error_free(err);
    if (!err)
        ask(d);
    return 0;
}
