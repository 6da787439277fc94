// Any bytes in a target's memory, opened as an image, are refused, or their symbols and build-id can be
// asked for.
#include <string.h>

#include "support/fake.h"
#include "target/image.h"

enum { BASE = 0x10000000, SIZE_MAX_USED = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(lg_target_freep) struct lg_target *fake = fake_new();
    fake_map(fake, BASE, BASE + SIZE_MAX_USED, LG_READ, "/x", 0);
    fake_bytes(fake, BASE, data, size < SIZE_MAX_USED ? size : SIZE_MAX_USED);

    struct lg_image image;
    struct lg_error *err = lg_image_open(fake, "/x", BASE, &image);
    lg_error_free(err);
    if (err)
        return 0;
    uint64_t address, symbol_size;
    uint8_t id[LG_BUILD_ID_MAX];
    lg_image_symbol(&image, "g_dacTable", &address, &symbol_size);
    lg_image_symbol(&image, "", &address, &symbol_size);
    if (lg_image_build_id(&image, id) > sizeof(id) || image.end <= image.base)
        abort();
    return 0;
}
