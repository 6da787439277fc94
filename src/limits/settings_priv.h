// For settings.c and settings_effects.c.
#ifndef LG_LIMITS_SETTINGS_PRIV_H
#define LG_LIMITS_SETTINGS_PRIV_H

#include "limits/limits_priv.h"

enum lg_knob {
    LG_KNOB_SERVER,
    LG_KNOB_CONCURRENT,
    LG_KNOB_DATAS,
    LG_KNOB_HEAP_COUNT,
    LG_KNOB_MAX_HEAP_COUNT,
    LG_KNOB_NO_AFFINITIZE,
    LG_KNOB_AFFINITIZE_MASK,
    LG_KNOB_AFFINITIZE_RANGES,
    LG_KNOB_PROCESSORS,
    LG_KNOB_LIMIT,
    LG_KNOB_LIMIT_PERCENT,
    LG_KNOB_LIMIT_SOH,
    LG_KNOB_LIMIT_LOH,
    LG_KNOB_LIMIT_POH,
    LG_KNOB_LIMIT_SOH_PERCENT,
    LG_KNOB_LIMIT_LOH_PERCENT,
    LG_KNOB_LIMIT_POH_PERCENT,
    LG_KNOB_PHYSICAL,
    LG_KNOB_HIGH_MEMORY,
    LG_KNOB_CONSERVE,
    LG_KNOB_RETAIN_VM,
    LG_KNOB_GEN0_SIZE,
    LG_KNOB_GEN0_MAX,
    LG_KNOB_LOH_THRESHOLD,
    LG_KNOB_REGION_RANGE,
    LG_KNOB_REGION_SIZE,
    LG_KNOB_LARGE_PAGES,
    LG_KNOB_GC_NAME,
    LG_KNOB_GC_PATH,
    LG_KNOB_TIERED,
    LG_KNOBS,
};

// What was asked for, and where.
enum lg_found_state { LG_NOT_SET, LG_SET, LG_NOT_KNOWN };
struct lg_found {
    enum lg_found_state state;
    uint64_t number;  // LG_SET; 0 or 1 of what is on or off.
    const char *text; // LG_SET of what is text.
    enum lg_source source;
    const char *from, *differs;
    const char *problem; // LG_NOT_KNOWN
};

struct lg_evaluation {
    const struct lg_settings_input *input;
    struct lg_limits *limits;
    struct lg_found found[LG_KNOBS];
    struct lg_amount total;         // Physical memory, as the GC sees it.
    bool restricted;                // By a container.
    struct lg_amount hard_limit;    // LG_UNLIMITED: none.
    bool hard_limit_given;          // By a setting; else it is 75 % of the container's.
    bool object_heap_limits;        // SOH, LOH and POH have limits of their own.
    struct lg_amount expected;      // The range that the GC would have set aside with these.
    bool range_fits, range_differs; // With what is in its memory; neither: cannot be told.
    uint64_t high_percent;          // 0 unknown
};

// Fills a setting whose name, source, from and differs are there from `found`; it may know better.
typedef void lg_settle(struct lg_evaluation *e, const struct lg_found *found,
                       struct lg_setting *setting);
lg_settle lg_settle_server, lg_settle_concurrent, lg_settle_datas, lg_settle_heap_count,
    lg_settle_max_heap_count, lg_settle_no_affinitize, lg_settle_affinity, lg_settle_processors,
    lg_settle_limit, lg_settle_limit_percent, lg_settle_limit_part, lg_settle_physical,
    lg_settle_high_memory, lg_settle_conserve, lg_settle_retain_vm, lg_settle_gen0_size,
    lg_settle_gen0_max, lg_settle_loh_threshold, lg_settle_region_range, lg_settle_region_size,
    lg_settle_large_pages, lg_settle_gc_name, lg_settle_tiered;

// How many processors the runtime counts.
struct lg_amount lg_processors(const struct lg_evaluation *e);

#endif
