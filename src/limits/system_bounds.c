// The bounds of the machine: memory, what may be promised of it, and threads.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "limits/limits_priv.h"
#include "target/proc.h"

enum { NEVER_OVERCOMMIT = 2 };

static struct lg_error *add_memory(struct lg_limits *limits, const char *meminfo, const char *problem)
{
    struct lg_amount total = lg_text_amount(meminfo, "MemTotal");
    struct lg_amount available = lg_text_amount(meminfo, "MemAvailable");
    struct lg_bound bound = { "physical memory", "MemTotal - MemAvailable",
                              LG_BOUND_BYTES | LG_BOUND_GROWTH, total };
    if (total.kind == LG_KNOWN && available.kind == LG_KNOWN && available.value <= total.value)
        bound.current = lg_amount(total.value - available.value);
    if (bound.current.kind == LG_UNKNOWN)
        bound.problem = problem ? problem : "/proc/meminfo does not tell";
    bound.effect = "memory is swapped out, then the kernel kills a process of the machine";
    return lg_limits_add(limits, bound);
}

static struct lg_error *add_swap(struct lg_limits *limits, const char *meminfo)
{
    struct lg_amount total = lg_text_amount(meminfo, "SwapTotal");
    struct lg_amount unused = lg_text_amount(meminfo, "SwapFree");
    if (total.kind != LG_KNOWN || total.value == 0 || unused.kind != LG_KNOWN
        || unused.value > total.value)
        return NULL;
    struct lg_bound bound = { "swap", "SwapTotal - SwapFree", LG_BOUND_BYTES | LG_BOUND_ADVICE, total,
                              lg_amount(total.value - unused.value) };
    bound.effect = "nothing more is swapped out";
    return lg_limits_add(limits, bound);
}

// In the other modes of overcommit nothing fails at CommitLimit.
static struct lg_error *add_commit(const struct lg_limits_place *place, struct lg_limits *limits,
                                   const char *meminfo)
{
    struct lg_amount mode = lg_file_amount(place->root, "proc/sys/vm/overcommit_memory");
    struct lg_bound bound = { "committed memory", "vm.overcommit_memory", LG_BOUND_BYTES };
    bound.current = lg_text_amount(meminfo, "Committed_AS");
    if (mode.kind == LG_KNOWN && mode.value == NEVER_OVERCOMMIT) {
        bound.flags |= LG_BOUND_GROWTH;
        bound.limit = lg_text_amount(meminfo, "CommitLimit");
        bound.effect = "mapping private memory fails, on the whole machine";
    } else if (mode.kind == LG_KNOWN) {
        bound.limit = (struct lg_amount){ LG_UNLIMITED };
        bound.effect = mode.value == 1 ? "nothing is refused (mode 1)"
                                       : "only what is obviously too much is refused (mode 0)";
    }
    if (bound.limit.kind == LG_UNKNOWN)
        bound.problem = "/proc/sys/vm/overcommit_memory or /proc/meminfo does not tell";
    else if (bound.current.kind == LG_UNKNOWN)
        bound.problem = "/proc/meminfo does not tell";
    return lg_limits_add(limits, bound);
}

// "0.42 0.31 0.25 3/412 12345": running, and all threads of the machine.
static struct lg_amount count_threads(const struct lg_limits_place *place)
{
    char text[128];
    uint64_t count;
    if (lg_proc_read(place->root, "proc/loadavg", text, sizeof(text)) > 0
        && sscanf(text, "%*s %*s %*s %*[0-9]/%" SCNu64, &count) == 1)
        return lg_amount(count);
    return (struct lg_amount){ LG_UNKNOWN };
}

static struct lg_error *add_threads(const struct lg_limits_place *place, struct lg_limits *limits)
{
    static const struct {
        const char *name, *where, *path;
    } rows[] = {
        { "threads of the machine", "kernel.threads-max", "proc/sys/kernel/threads-max" },
        { "thread ids", "kernel.pid_max", "proc/sys/kernel/pid_max" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct lg_bound bound = { rows[i].name, rows[i].where };
        bound.limit = lg_file_amount(place->root, rows[i].path);
        bound.current = count_threads(place);
        if (bound.limit.kind == LG_UNKNOWN)
            bound.problem = lg_arena_format(&limits->arena, "/%s does not tell", rows[i].path);
        else if (bound.current.kind == LG_UNKNOWN)
            bound.problem = "/proc/loadavg does not tell";
        bound.effect = "starting a thread or process fails, on the whole machine";
        struct lg_error *err = lg_limits_add(limits, bound);
        if (err)
            return err;
    }
    return NULL;
}

struct lg_error *lg_system_bounds(const struct lg_limits_place *place, struct lg_limits *limits,
                                  struct lg_resources *resources)
{
    char meminfo[LG_PROC_TEXT];
    const char *problem = NULL;
    if (lg_proc_read(place->root, "proc/meminfo", meminfo, sizeof(meminfo)) <= 0)
        problem = lg_arena_format(&limits->arena, "/proc/meminfo: %m");
    resources->physical = lg_text_amount(meminfo, "MemTotal");
    struct lg_error *err = add_memory(limits, meminfo, problem);
    if (!err)
        err = add_swap(limits, meminfo);
    if (!err)
        err = add_commit(place, limits, meminfo);
    return err ? err : add_threads(place, limits);
}
