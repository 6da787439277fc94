// linger's side of the helper: requests, and what it answers while they are open.
#ifndef LG_DAC_HOST_H
#define LG_DAC_HOST_H

#include "dac/com.h"
#include "dac/dac.h"
#include "dac/wire.h"
#include "target/image.h"
#include "util/map.h"

struct lg_dac_reply {
    uint8_t bytes[LG_DAC_LEN_MAX];
    size_t len;
};

struct lg_dac {
    struct lg_target *target; // Borrowed.
    struct lg_image image;
    struct lg_dac_options options;
    char *given; // options.file
    char *path;  // of what was loaded

    int socket; // -1: no helper runs
    int pid;
    uint64_t rss;                // Of linger when the helper came from it.
    unsigned starts, all_starts; // Of helpers, since one lived long; ever.
    unsigned answers;            // Of the one that runs.
    bool wanted_more;            // It asked for memory that is not there; for callers to clear.
    struct lg_dac_reply reply;
    LG_VEC(uint8_t) parts; // Of the request before: the items of its list.

    struct lg_map name_of_method; // -> index of names, UINT32_MAX: it has none
    LG_VEC(char *) names;
    struct lg_map origin_of_code; // instruction -> index of origins
    LG_VEC(struct lg_dac_origin) origins;
    uint64_t free_mt, string_mt;   // 0: not asked for yet
    struct lg_map instance_fields; // method table -> how many, with inherited ones
    struct lg_map load_context_of; // module -> index of load_contexts
    LG_VEC(uint64_t) load_contexts;
};

struct lg_dac_arg {
    enum lg_dac_arg_kind kind;
    uint64_t value;
    const void *in;
    void *out;
    uint32_t size;
};
#define LG_VALUE(v) \
    { \
        .kind = LG_DAC_VALUE, .value = (uint64_t)(v) \
    }
#define LG_OUT(pointer, len) \
    { \
        .kind = LG_DAC_OUT, .out = (pointer), .size = (uint32_t)(len) \
    }
#define LG_IN(pointer, len) \
    { \
        .kind = LG_DAC_IN, .in = (pointer), .size = (uint32_t)(len) \
    }
#define LG_OBJECT \
    { \
        .kind = LG_DAC_OBJECT \
    }
#define LG_CALLBACK \
    { \
        .kind = LG_DAC_CALLBACK \
    }
#define LG_STRINGS(pointer, len) \
    { \
        .kind = LG_DAC_STRINGS, .out = (pointer), .size = (uint32_t)(len) \
    }

struct lg_dac_result {
    int32_t hresult;
    uint32_t object; // UINT32_MAX: none
};
// Several calls in one message: what goes to and fro is dear, not the call. If the first fails, the
// others are not done. An error is the helper's end.
struct lg_dac_step {
    uint32_t object, slot;
    size_t count;
    struct lg_dac_arg args[LG_DAC_ARGS_MAX];
    struct lg_dac_result result;
};
LG_MUST_CHECK struct lg_error *lg_dac_steps(struct lg_dac *dac, struct lg_dac_step *steps, size_t count);
// One of them. What the DAC answered is in `ret`.
LG_MUST_CHECK struct lg_error *lg_dac_call(struct lg_dac *dac, uint32_t object, uint32_t slot,
                                           const struct lg_dac_arg *args, size_t count,
                                           struct lg_dac_result *ret);
#define LG_DAC_CALL(dac, object, slot, ret, ...) \
    lg_dac_call((dac), (object), (slot), (const struct lg_dac_arg[]){ __VA_ARGS__ }, \
                sizeof((const struct lg_dac_arg[]){ __VA_ARGS__ }) / sizeof(struct lg_dac_arg), (ret))
// Has all structs of a list in `dac->parts`, until the next request: fewer than `max`, or it goes on.
LG_MUST_CHECK struct lg_error *lg_dac_follow(struct lg_dac *dac, const struct lg_dac_follow *list,
                                             int32_t *hresult_ret);
// Zeros if it fails.
LG_MUST_CHECK struct lg_error *lg_dac_method_data(struct lg_dac *dac, uint64_t method,
                                                  struct lg_dacp_method *ret);
// Gives an interface back. UINT32_MAX is none.
void lg_dac_release(struct lg_dac *dac, uint32_t object);

// Has the helper hold a copy of this memory at its own address. `*ok_ret`: there was room for it.
LG_MUST_CHECK struct lg_error *lg_dac_map(struct lg_dac *dac, uint64_t start, uint64_t end,
                                          bool *ok_ret);

#endif
