#include "limits/limits_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "target/proc.h"

const char *lg_size_text(char buf[LG_SIZE_TEXT], uint64_t bytes)
{
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double size = (double)bytes;
    size_t unit = 0;
    for (; size >= 1024 && unit + 1 < sizeof(units) / sizeof(*units); unit++)
        size /= 1024;
    bool whole = unit == 0 || size >= 100 || size == (double)(uint64_t)size;
    snprintf(buf, LG_SIZE_TEXT, whole ? "%.0f %s" : "%.1f %s", size, units[unit]);
    return buf;
}

static bool note(struct lg_limits *limits, const char *sentence)
{
    return sentence && lg_vec_push(&limits->notes, sentence);
}

// ---- what to read ----

static void input_deinit(struct lg_settings_input *input)
{
    free(input->environment.block);
    lg_vec_free(&input->app_context.all);
    lg_vec_free(&input->runtime_config.all);
}

static struct lg_error *read_environment(const struct lg_limits_subject *subject,
                                         struct lg_limits *limits, struct lg_settings_input *input)
{
    struct lg_environment *environment = &input->environment;
    if (subject->place) {
        environment->block = lg_proc_read_all(subject->place->proc, "environ", &environment->len);
        if (!environment->block)
            input->environment_problem =
                lg_arena_format(&limits->arena, "/proc/PID/environ cannot be read: %m");
        return NULL;
    }
    struct lg_error *err = lg_environment_from_stack(subject->target, environment);
    if (!environment->block)
        input->environment_problem = "the core's stack does not lead to the environment";
    return err;
}

static struct lg_error *read_facts(const struct lg_limits_subject *subject,
                                   struct lg_settings_input *input)
{
    struct lg_error *err = subject->clr ? lg_gc_facts_read(subject->clr, &input->facts) : NULL;
    if (!err && subject->place)
        lg_gc_facts_read_threads(subject->place, &input->facts);
    return err;
}

static struct lg_error *read_settings(const struct lg_limits_subject *subject, struct lg_limits *limits,
                                      struct lg_settings_input *input)
{
    struct lg_error *err = read_environment(subject, limits, input);
    if (!err)
        err = read_facts(subject, input);
    input->app_context.problem = "the runtime's memory cannot be read";
    input->runtime_config.problem = "a core does not hold the app's runtimeconfig.json";
    if (!err && subject->clr)
        err = lg_app_context_read(subject->clr, &limits->arena, &input->app_context);
    if (!err && subject->place)
        err = lg_runtime_config_read(subject->place, &limits->arena, &input->runtime_config);
    return err ? err : lg_settings_evaluate(input, limits);
}

// ---- what could not be known ----

static void note_inputs(const struct lg_limits_subject *subject, const struct lg_settings_input *input,
                        struct lg_limits *limits)
{
    struct lg_arena *arena = &limits->arena;
    if (subject->problem)
        note(limits,
             lg_arena_format(arena, "the runtime's memory could not be read: %s", subject->problem));
    if (input->environment_problem)
        note(limits, lg_arena_format(arena, "environment: %s", input->environment_problem));
    if (!input->app_context.known && subject->clr)
        note(limits, lg_arena_format(arena, "properties of the host: %s", input->app_context.problem));
    // What AppContext holds is what was in the file.
    if (!input->app_context.known && !input->runtime_config.known)
        note(limits, lg_arena_format(arena, "settings of the app: %s", input->runtime_config.problem));
}

static void note_core(struct lg_limits *limits)
{
    note(limits, "a core does not tell which control groups, ulimits and memory the process had: there "
                 "are no bounds, and no defaults that come from them");
}

// ---- the GC's own limit ----

static struct lg_error *add_hard_limit(const struct lg_settings_input *input, struct lg_limits *limits)
{
    struct lg_bound bound = { "managed heap", "GCHeapHardLimit", LG_BOUND_BYTES | LG_BOUND_GROWTH,
                              limits->hard_limit, input->facts.committed };
    bound.effect = "OutOfMemoryException, after a full collection";
    if (bound.limit.kind == LG_UNKNOWN)
        bound.problem = "see the setting";
    else if (bound.current.kind == LG_UNKNOWN)
        bound.problem = "the GC's memory could not be read";
    return lg_limits_add(limits, bound);
}

// ---- all of it ----

static struct lg_error *read_bounds(const struct lg_limits_place *place, struct lg_limits *limits,
                                    struct lg_resources *resources)
{
    struct lg_error *err = lg_cgroup_bounds(place, limits, resources);
    if (!err)
        err = lg_system_bounds(place, limits, resources);
    return err ? err : lg_process_bounds(place, limits, resources);
}

static struct lg_error *read_all(const struct lg_limits_subject *subject, struct lg_limits *limits)
{
    _cleanup_(input_deinit) struct lg_settings_input input = { .is_core = !subject->place };
    input.facts.datas = -1;
    struct lg_error *err = subject->place ? read_bounds(subject->place, limits, &input.resources) : NULL;
    if (!err && subject->is_dotnet)
        err = read_settings(subject, limits, &input);
    if (!err && subject->is_dotnet)
        err = add_hard_limit(&input, limits);
    if (err)
        return err;
    if (subject->is_dotnet)
        note_inputs(subject, &input, limits);
    else if (subject->is_unknown && subject->problem)
        note(limits, lg_arena_format(&limits->arena, "whether it runs .NET, and how, cannot be told: %s",
                                     subject->problem));
    if (subject->other_runtime)
        note(limits, lg_arena_format(&limits->arena, "it runs %s: how its GC is set is not known",
                                     subject->other_runtime));
    if (!subject->place)
        note_core(limits);
    return NULL;
}

struct lg_error *lg_limits_read(const struct lg_limits_subject *subject, struct lg_limits *ret)
{
    struct lg_limits limits = { .arena = { NULL } };
    struct lg_error *err = read_all(subject, &limits);
    if (err) {
        lg_limits_deinit(&limits);
        return err;
    }
    *ret = limits;
    return NULL;
}

void lg_limits_deinit(struct lg_limits *limits)
{
    lg_vec_free(&limits->bounds);
    lg_vec_free(&limits->settings);
    lg_vec_free(&limits->notes);
    lg_arena_free(&limits->arena);
}

// ---- the nearest ----

const struct lg_bound *lg_limits_nearest(const struct lg_limits *limits)
{
    const struct lg_bound *nearest = NULL;
    for (size_t i = 0; i < limits->bounds.len; i++) {
        const struct lg_bound *bound = &limits->bounds.at[i];
        struct lg_amount headroom = lg_bound_headroom(bound);
        if ((bound->flags & LG_BOUND_GROWTH) && headroom.kind == LG_KNOWN
            && (!nearest || headroom.value < lg_bound_headroom(nearest).value))
            nearest = bound;
    }
    return nearest;
}

static double used_part(const struct lg_bound *bound)
{
    return bound->limit.value ? (double)bound->current.value / (double)bound->limit.value : 1;
}

const struct lg_bound *lg_limits_nearest_count(const struct lg_limits *limits)
{
    const struct lg_bound *nearest = NULL;
    for (size_t i = 0; i < limits->bounds.len; i++) {
        const struct lg_bound *bound = &limits->bounds.at[i];
        if (!(bound->flags & (LG_BOUND_BYTES | LG_BOUND_ADVICE))
            && lg_bound_headroom(bound).kind == LG_KNOWN
            && (!nearest || used_part(bound) > used_part(nearest)))
            nearest = bound;
    }
    return nearest;
}
