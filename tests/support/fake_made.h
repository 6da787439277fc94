// Where objects of a made-up process were made, for snapshots that hold it.
#ifndef LG_TEST_FAKE_MADE_H
#define LG_TEST_FAKE_MADE_H

#include <stdlib.h>

#include "collect/made.h"

enum {
    FAKE_MADE_START = 0x7000,
    FAKE_MADE_FRAMES = 6,
    FAKE_MADE_SITES = 4,
    FAKE_MADE_OBJECTS = 40,
    FAKE_MADE_STEP = 0x1018
};

// NULL when out of memory. Object i lies at `start` + i steps.
static inline struct lg_made *fake_made(uint64_t start)
{
    struct lg_made *made = calloc(1, sizeof(*made));
    bool ok = made != NULL;
    if (ok) {
        made->sampling = "AllocationSampled";
        made->ms = 30000;
        made->samples = 1234;
    }
    for (uint32_t i = 0; i < FAKE_MADE_FRAMES && ok; i++) {
        const struct lg_made_frame frame = { .method = i == 5 ? NULL : &"?????App.Shop.Submit"[5 - i],
                                             .module = i % 2 ? "App.dll" : "System.Private.CoreLib.dll",
                                             .file = i % 2 ? "/src/Shop.cs" : NULL,
                                             .il = i % 3 ? i * 100 : UINT32_MAX,
                                             .line = i % 2 ? 10 * i : 0 };
        ok = lg_vec_push(&made->frames, frame);
    }
    for (uint32_t i = 0; i < FAKE_MADE_SITES && ok; i++) {
        const struct lg_made_site site = { (uint32_t)made->stacks.len, i, i ? 1 : 0 };
        for (uint32_t k = 0; k < i && ok; k++)
            ok = lg_vec_push(&made->stacks, (i + k) % FAKE_MADE_FRAMES);
        ok = ok && lg_vec_push(&made->sites, site);
    }
    for (uint32_t i = 0; i < FAKE_MADE_OBJECTS && ok; i++) {
        const struct lg_made_object object = { start + (uint64_t)i * FAKE_MADE_STEP, i % FAKE_MADE_SITES,
                                               1.0 / (i + 1) };
        ok = lg_vec_push(&made->objects, object);
    }
    if (!ok)
        lg_made_free(made);
    return ok ? made : NULL;
}

#endif
