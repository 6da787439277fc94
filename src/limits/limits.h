// What bounds a process, and how its GC was told to behave.
//
//     bounds      how much of something it may have, and has: its control groups, its ulimits, the
//                 machine, the GC's own limit
//     settings    what the GC goes by, where each value comes from, and what it means here
//
// Nothing is stopped and nothing but /proc, the control groups' files, the app's runtimeconfig.json and
// the runtime's memory is read. Values of the runtime's memory win over files. What cannot be known has
// no value, and a reason.
#ifndef LG_LIMITS_LIMITS_H
#define LG_LIMITS_LIMITS_H

#include "clr/clr.h"
#include "util/arena.h"

enum lg_amount_kind { LG_UNKNOWN, LG_KNOWN, LG_UNLIMITED };
struct lg_amount {
    enum lg_amount_kind kind;
    uint64_t value; // LG_KNOWN only, else 0.
};
static inline struct lg_amount lg_amount(uint64_t value)
{
    return (struct lg_amount){ LG_KNOWN, value };
}

enum lg_bound_flags {
    LG_BOUND_BYTES = 1,  // Else a count.
    LG_BOUND_GROWTH = 2, // More memory in use comes nearer to it: the smallest headroom is of these.
    LG_BOUND_ADVICE = 4, // Not a wall: memory is taken back, or the process is slowed down, there.
};
struct lg_bound {
    const char *name;  // "cgroup memory"
    const char *where; // What sets it: "/docker/4f24 memory.max", "ulimit -n"
    unsigned flags;
    struct lg_amount limit, current;
    const char *problem; // Why limit or current is unknown; NULL.
    const char *effect;  // What happens there: "the kernel kills a process of the group"
};
// limit - current, not below 0; LG_UNLIMITED without a limit.
struct lg_amount lg_bound_headroom(const struct lg_bound *bound);

enum lg_source {
    LG_SOURCE_UNKNOWN,
    LG_SOURCE_MEMORY,         // The runtime's own variables.
    LG_SOURCE_ENVIRONMENT,    // As it was when the process started: that is when the GC reads it.
    LG_SOURCE_APP_CONTEXT,    // Properties that the host gave the runtime, as it holds them.
    LG_SOURCE_RUNTIME_CONFIG, // The file, where the runtime does not tell.
    LG_SOURCE_DEFAULT,        // Computed as the runtime computes it.
};
const char *lg_source_name(enum lg_source source); // "runtimeconfig.json"; NULL: unknown

struct lg_setting {
    const char *name;  // "GCHeapHardLimit": DOTNET_GCHeapHardLimit in the environment
    const char *value; // "209715200"; NULL: unknown
    enum lg_source source;
    const char *from;       // "DOTNET_GCHeapHardLimit=C800000"; NULL
    struct lg_amount bytes; // What it means in bytes, where that is what it means.
    const char *effect;     // A sentence without a stop; why the value is unknown, too.
    const char *differs;    // Another place says otherwise: which, and what; NULL
};

struct lg_limits {
    struct lg_arena arena; // Of all strings.
    LG_VEC(struct lg_bound) bounds;
    LG_VEC(struct lg_setting) settings; // None without a .NET runtime.
    LG_VEC(const char *) notes;         // What could not be known: sentences.
    struct lg_amount hard_limit;        // Of the managed heap; LG_UNLIMITED: none.
    struct lg_amount total_available;   // GCMemoryInfo.TotalAvailableMemoryBytes
    struct lg_amount high_memory;       // GCMemoryInfo.HighMemoryLoadThresholdBytes
};

// Where to look: descriptors of "/" and of /proc/PID there. Borrowed. Tests have a folder of their own.
struct lg_limits_place {
    int root, proc;
};

// `place` NULL: a core. `target` NULL: its memory may not be read, which `problem` says. `clr` NULL: no
// .NET runtime in it, or none that can be read, which `problem` says too.
struct lg_limits_subject {
    const struct lg_limits_place *place;
    struct lg_target *target;
    struct lg_clr *clr;
    bool is_dotnet, is_unknown; // Unknown: whether it is.
    const char *problem;
    const char *other_runtime; // "nativeaot", "mono": .NET, but no runtime whose settings we know; NULL
};
LG_MUST_CHECK struct lg_error *lg_limits_read(const struct lg_limits_subject *subject,
                                              struct lg_limits *ret);
void lg_limits_deinit(struct lg_limits *limits);

// The bound that more memory hits first: the smallest headroom among LG_BOUND_GROWTH; NULL: none is
// known. And among counts, the one of which the largest part is used.
const struct lg_bound *lg_limits_nearest(const struct lg_limits *limits);
const struct lg_bound *lg_limits_nearest_count(const struct lg_limits *limits);

enum { LG_SIZE_TEXT = 32 };
// "1.5 GiB", "212 MiB", "64 KiB", "17 bytes": for sentences.
const char *lg_size_text(char buf[LG_SIZE_TEXT], uint64_t bytes);

#endif
