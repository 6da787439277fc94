// What the GC was told, found as the runtime finds it (dotnet/runtime src/coreclr/vm/gcenv.ee.cpp,
// clrconfignative; each rule measured on 10.0.12 against GC.GetConfigurationVariables()):
//
//     number    DOTNET_X, hexadecimal, if it is set and not empty, else COMPlus_X; what is no number
//               there is no setting at all, and hides the property
//     property  System.GC.X, as C has numbers: 209715200, 0xC800000, 0310; what is none is 0
//     switch    DOTNET_X is a number, or off; the property is "true", or off
//     Server, RetainVM, TieredCompilation    a variable that is no number hides nothing
//     Concurrent                             the property "true" wins over the variable
#include "limits/limits_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "limits/settings_priv.h"

enum kind { NUMBER, SWITCH, EARLY_SWITCH, CONCURRENT, TEXT, PROCESSORS };

static const struct knob {
    const char *name, *property;
    enum kind kind;
    lg_settle *settle;
} knobs[LG_KNOBS] = {
    [LG_KNOB_SERVER] = { "gcServer", "System.GC.Server", EARLY_SWITCH, lg_settle_server },
    [LG_KNOB_CONCURRENT] = { "gcConcurrent", "System.GC.Concurrent", CONCURRENT, lg_settle_concurrent },
    [LG_KNOB_DATAS] = { "GCDynamicAdaptationMode", "System.GC.DynamicAdaptationMode", NUMBER,
                        lg_settle_datas },
    [LG_KNOB_HEAP_COUNT] = { "GCHeapCount", "System.GC.HeapCount", NUMBER, lg_settle_heap_count },
    [LG_KNOB_MAX_HEAP_COUNT] = { "GCMaxHeapCount", "System.GC.MaxHeapCount", NUMBER,
                                 lg_settle_max_heap_count },
    [LG_KNOB_NO_AFFINITIZE] = { "GCNoAffinitize", "System.GC.NoAffinitize", SWITCH,
                                lg_settle_no_affinitize },
    [LG_KNOB_AFFINITIZE_MASK] = { "GCHeapAffinitizeMask", "System.GC.HeapAffinitizeMask", NUMBER,
                                  lg_settle_affinity },
    [LG_KNOB_AFFINITIZE_RANGES] = { "GCHeapAffinitizeRanges", "System.GC.HeapAffinitizeRanges", TEXT,
                                    lg_settle_affinity },
    [LG_KNOB_PROCESSORS] = { "PROCESSOR_COUNT", NULL, PROCESSORS, lg_settle_processors },
    [LG_KNOB_LIMIT] = { "GCHeapHardLimit", "System.GC.HeapHardLimit", NUMBER, lg_settle_limit },
    [LG_KNOB_LIMIT_PERCENT] = { "GCHeapHardLimitPercent", "System.GC.HeapHardLimitPercent", NUMBER,
                                lg_settle_limit_percent },
    [LG_KNOB_LIMIT_SOH] = { "GCHeapHardLimitSOH", "System.GC.HeapHardLimitSOH", NUMBER,
                            lg_settle_limit_part },
    [LG_KNOB_LIMIT_LOH] = { "GCHeapHardLimitLOH", "System.GC.HeapHardLimitLOH", NUMBER,
                            lg_settle_limit_part },
    [LG_KNOB_LIMIT_POH] = { "GCHeapHardLimitPOH", "System.GC.HeapHardLimitPOH", NUMBER,
                            lg_settle_limit_part },
    [LG_KNOB_LIMIT_SOH_PERCENT] = { "GCHeapHardLimitSOHPercent", "System.GC.HeapHardLimitSOHPercent",
                                    NUMBER, lg_settle_limit_percent },
    [LG_KNOB_LIMIT_LOH_PERCENT] = { "GCHeapHardLimitLOHPercent", "System.GC.HeapHardLimitLOHPercent",
                                    NUMBER, lg_settle_limit_percent },
    [LG_KNOB_LIMIT_POH_PERCENT] = { "GCHeapHardLimitPOHPercent", "System.GC.HeapHardLimitPOHPercent",
                                    NUMBER, lg_settle_limit_percent },
    [LG_KNOB_PHYSICAL] = { "GCTotalPhysicalMemory", NULL, NUMBER, lg_settle_physical },
    [LG_KNOB_HIGH_MEMORY] = { "GCHighMemPercent", "System.GC.HighMemoryPercent", NUMBER,
                              lg_settle_high_memory },
    [LG_KNOB_CONSERVE] = { "GCConserveMemory", "System.GC.ConserveMemory", NUMBER, lg_settle_conserve },
    [LG_KNOB_RETAIN_VM] = { "GCRetainVM", "System.GC.RetainVM", EARLY_SWITCH, lg_settle_retain_vm },
    [LG_KNOB_GEN0_SIZE] = { "GCgen0size", NULL, NUMBER, lg_settle_gen0_size },
    [LG_KNOB_GEN0_MAX] = { "GCGen0MaxBudget", "System.GC.Gen0MaxBudget", NUMBER, lg_settle_gen0_max },
    [LG_KNOB_LOH_THRESHOLD] = { "GCLOHThreshold", "System.GC.LOHThreshold", NUMBER,
                                lg_settle_loh_threshold },
    [LG_KNOB_REGION_RANGE] = { "GCRegionRange", "System.GC.RegionRange", NUMBER,
                               lg_settle_region_range },
    [LG_KNOB_REGION_SIZE] = { "GCRegionSize", "System.GC.RegionSize", NUMBER, lg_settle_region_size },
    [LG_KNOB_LARGE_PAGES] = { "GCLargePages", "System.GC.LargePages", SWITCH, lg_settle_large_pages },
    [LG_KNOB_GC_NAME] = { "GCName", "System.GC.Name", TEXT, lg_settle_gc_name },
    [LG_KNOB_GC_PATH] = { "GCPath", "System.GC.Path", TEXT, lg_settle_gc_name },
    [LG_KNOB_TIERED] = { "TieredCompilation", "System.Runtime.TieredCompilation", EARLY_SWITCH,
                         lg_settle_tiered },
};

const char *lg_source_name(enum lg_source source)
{
    static const char *const names[] = {
        NULL, "runtime", "environment", "AppContext", "runtimeconfig.json", "default"
    };
    return names[source];
}

// ---- looking up ----

// The variable, and in `*from` "DOTNET_X=value".
static const char *find_variable(const struct lg_evaluation *e, const char *name, const char **from)
{
    static const char *const prefixes[] = { "DOTNET_", "COMPlus_" };
    for (size_t i = 0; i < 2; i++) {
        char full[96];
        snprintf(full, sizeof(full), "%s%s", prefixes[i], name);
        const char *value = lg_environment_get(&e->input->environment, full);
        if (value) {
            *from = lg_arena_format(&e->limits->arena, "%s=%s", full, value);
            return value;
        }
    }
    return NULL;
}

static bool parse(const char *text, int base, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, base);
    return end != text && errno == 0;
}

static const struct lg_properties *properties(const struct lg_evaluation *e)
{
    return e->input->app_context.known ? &e->input->app_context : &e->input->runtime_config;
}

static const char *place_of(const struct lg_evaluation *e)
{
    return e->input->app_context.known ? "AppContext" : "runtimeconfig.json";
}

static const char *find_property(const struct lg_evaluation *e, const char *name)
{
    return name ? lg_property_get(properties(e), name) : NULL;
}

// What the file says now and the runtime was not given.
static const char *compare_file(const struct lg_evaluation *e, const struct knob *knob)
{
    const struct lg_settings_input *in = e->input;
    if (!knob->property || !in->app_context.known || !in->runtime_config.known)
        return NULL;
    const char *held = lg_property_get(&in->app_context, knob->property);
    const char *file = lg_property_get(&in->runtime_config, knob->property);
    if (held == file || (held && file && strcmp(held, file) == 0))
        return NULL;
    return lg_arena_format(&e->limits->arena, "%s is %s in %s now", knob->property,
                           file ? file : "not set", in->runtime_config.path);
}

static void set_number(const struct lg_evaluation *e, const struct knob *knob, const char *property,
                       struct lg_found *found)
{
    bool is_switch = knob->kind != NUMBER && knob->kind != PROCESSORS;
    found->state = LG_SET;
    if (is_switch)
        found->number = strcmp(property, "true") == 0;
    else if (!parse(property, 0, &found->number))
        found->number = 0;
    found->text = property;
    found->source = e->input->app_context.known ? LG_SOURCE_APP_CONTEXT : LG_SOURCE_RUNTIME_CONFIG;
    found->from = lg_arena_format(&e->limits->arena, "%s=%s", knob->property, property);
    found->differs = compare_file(e, knob);
}

static bool use_variable(const struct knob *knob, const char *value, struct lg_found *found)
{
    if (knob->kind == PROCESSORS) // Decimal, unlike all others, from 1 to 65535.
        return parse(value, 10, &found->number) && found->number > 0 && found->number <= 0xffff;
    if (knob->kind == TEXT)
        return true;
    bool is_number = parse(value, 16, &found->number);
    if (knob->kind != NUMBER)
        found->number = is_number && found->number != 0;
    return is_number || knob->kind == SWITCH;
}

static void set_variable(const struct lg_evaluation *e, const struct knob *knob, const char *value,
                         const char *property, struct lg_found *found)
{
    found->state = LG_SET;
    found->source = LG_SOURCE_ENVIRONMENT;
    found->text = value;
    if (property && strcmp(property, value) != 0)
        found->differs = lg_arena_format(&e->limits->arena, "%s is %s in %s; the environment wins",
                                         knob->property, property, place_of(e));
}

static void set_unknown(const struct lg_evaluation *e, const char *problem, struct lg_found *found)
{
    found->state = LG_NOT_KNOWN;
    found->problem = problem ? problem : "it is not known where it would be set";
}

static struct lg_found find(const struct lg_evaluation *e, const struct knob *knob)
{
    struct lg_found found = { LG_NOT_SET };
    const char *from = NULL;
    const char *variable = find_variable(e, knob->name, &from);
    const char *property = find_property(e, knob->property);
    bool forced = knob->kind == CONCURRENT && property && strcmp(property, "true") == 0;
    if (variable && !forced && use_variable(knob, variable, &found)) {
        set_variable(e, knob, variable, property, &found);
        found.from = from;
        return found;
    }
    bool hides = variable && knob->kind == NUMBER;
    if (!e->input->environment.block && !forced)
        set_unknown(e, e->input->environment_problem, &found);
    else if (property && !hides)
        set_number(e, knob, property, &found);
    else if (knob->property && !properties(e)->known && !hides)
        set_unknown(e, properties(e)->problem, &found);
    if (found.state == LG_NOT_SET)
        found.differs = compare_file(e, knob);
    if (variable && !found.differs)
        found.differs = lg_arena_format(
            &e->limits->arena,
            forced ? "%s is set, but System.GC.Concurrent wins" : "%s is set, but is no number", from);
    return found;
}

// ---- memory, as the GC computes it on starting (src/coreclr/gc/init.cpp @939c5ae) ----

static void at_most(struct lg_amount *amount, struct lg_amount other)
{
    if (other.kind == LG_KNOWN && other.value < amount->value)
        amount->value = other.value;
}

// A limit of the container above the machine's memory makes it a container all the same.
static void compute_total(struct lg_evaluation *e)
{
    const struct lg_resources *r = &e->input->resources;
    const struct lg_found *given = &e->found[LG_KNOB_PHYSICAL];
    if (given->state == LG_NOT_KNOWN || (given->state != LG_SET && r->cgroup_memory.kind == LG_UNKNOWN))
        return;
    if (given->state == LG_SET && given->number > 0) {
        e->total = lg_amount(given->number);
        e->restricted = true;
        return;
    }
    if (r->physical.kind != LG_KNOWN)
        return;
    e->total = r->physical;
    e->restricted = r->cgroup_memory.kind == LG_KNOWN;
    if (!e->restricted)
        return;
    at_most(&e->total, r->cgroup_memory);
    at_most(&e->total, r->address_space);
}

static uint64_t number(const struct lg_evaluation *e, enum lg_knob knob)
{
    return e->found[knob].state == LG_SET ? e->found[knob].number : 0;
}

// The GC keeps percentages in 32 bits, whatever was written.
static uint64_t percentage(const struct lg_evaluation *e, enum lg_knob knob)
{
    return (uint32_t)number(e, knob);
}

static uint64_t percent_of_total(const struct lg_evaluation *e, uint64_t percent)
{
    unsigned __int128 product = (unsigned __int128)e->total.value * percent;
    return (uint64_t)(product / 100);
}

// Limits that contradict each other keep the runtime from starting: whatever runs has none of those.
static uint64_t given_limit(struct lg_evaluation *e)
{
    uint64_t parts =
        number(e, LG_KNOB_LIMIT_SOH) + number(e, LG_KNOB_LIMIT_LOH) + number(e, LG_KNOB_LIMIT_POH);
    uint64_t percents[] = { percentage(e, LG_KNOB_LIMIT_SOH_PERCENT),
                            percentage(e, LG_KNOB_LIMIT_LOH_PERCENT),
                            percentage(e, LG_KNOB_LIMIT_POH_PERCENT) };
    for (size_t i = 0; parts == 0 && i < 3; i++)
        e->object_heap_limits |= percents[i] != 0;
    for (size_t i = 0; e->object_heap_limits && i < 3; i++)
        parts += percent_of_total(e, percents[i]);
    e->object_heap_limits = parts != 0;
    if (parts)
        return parts;
    uint64_t limit = number(e, LG_KNOB_LIMIT), percent = percentage(e, LG_KNOB_LIMIT_PERCENT);
    return limit ? limit : percent < 100 ? percent_of_total(e, percent) : 0;
}

static void compute_limit(struct lg_evaluation *e)
{
    for (enum lg_knob k = LG_KNOB_LIMIT; k <= LG_KNOB_LIMIT_POH_PERCENT; k++) {
        if (e->found[k].state == LG_NOT_KNOWN)
            return;
    }
    uint64_t limit = given_limit(e);
    e->hard_limit_given = limit != 0;
    if (e->total.kind != LG_KNOWN && !number(e, LG_KNOB_LIMIT))
        return; // Percents are of what is not known, and so is whether there is a container.
    if (!limit && e->restricted) {
        uint64_t least = 20 << 20;
        limit = percent_of_total(e, 75) > least ? percent_of_total(e, 75) : least;
    }
    e->hard_limit = limit ? lg_amount(limit) : (struct lg_amount){ LG_UNLIMITED };
}

static void compute_high_memory(struct lg_evaluation *e)
{
    const struct lg_found *found = &e->found[LG_KNOB_HIGH_MEMORY];
    struct lg_amount processors = lg_processors(e);
    uint64_t percent = percentage(e, LG_KNOB_HIGH_MEMORY);
    if (found->state == LG_NOT_KNOWN)
        return;
    if (percent) {
        e->high_percent = percent < 99 ? percent : 99;
    } else if (e->total.kind == LG_KNOWN && e->total.value < UINT64_C(80) << 30) {
        e->high_percent = 90;
    } else if (e->total.kind == LG_KNOWN && processors.kind == LG_KNOWN) {
        uint64_t left = 3 + (uint64_t)(47.0F / (float)processors.value);
        e->high_percent = 100 - (left < 10 ? left : 10);
    }
}

// The address range that these would have made the GC set aside.
static void compute_range(struct lg_evaluation *e)
{
    const struct lg_gc_facts *facts = &e->input->facts;
    const uint64_t floor = UINT64_C(256) << 30;
    if (!facts->known || e->input->resources.address_space.kind != LG_UNLIMITED
        || e->found[LG_KNOB_REGION_RANGE].state == LG_NOT_KNOWN || e->hard_limit.kind == LG_UNKNOWN
        || number(e, LG_KNOB_REGION_RANGE))
        return;
    uint64_t factor = e->object_heap_limits ? 1 : number(e, LG_KNOB_LARGE_PAGES) ? 2 : 5;
    uint64_t twice = e->total.value * 2;
    bool none = e->hard_limit.kind == LG_UNLIMITED;
    uint64_t machine = facts->server == (twice > floor) ? twice : floor;
    if (none ? e->total.kind != LG_KNOWN || twice < e->total.value
             : e->hard_limit.value > UINT64_MAX / 8)
        return;
    e->expected = lg_amount(none ? machine : e->hard_limit.value * factor);
    if (facts->range.kind != LG_KNOWN || facts->region_size.kind != LG_KNOWN)
        return;
    // Whole regions only; the range begins and ends where one can.
    uint64_t slack = 2 * facts->region_size.value, there = facts->range.value;
    e->range_fits = there <= e->expected.value + slack && there + slack >= e->expected.value;
    e->range_differs = !e->range_fits;
}

static void publish(struct lg_evaluation *e)
{
    struct lg_limits *limits = e->limits;
    // What the runtime's memory does not bear out is not the limit, whatever files say.
    bool doubt = e->range_differs || lg_property_get(&e->input->app_context, "GCHeapHardLimit");
    limits->hard_limit = doubt ? (struct lg_amount){ LG_UNKNOWN } : e->hard_limit;
    if (!doubt && e->hard_limit.kind == LG_KNOWN)
        limits->total_available = e->hard_limit;
    else if (!doubt && e->hard_limit.kind == LG_UNLIMITED)
        limits->total_available = e->total;
    if (!doubt && e->high_percent && e->total.kind == LG_KNOWN)
        limits->high_memory =
            lg_amount((uint64_t)((double)e->high_percent / 100 * (double)e->total.value));
}

static struct lg_error *settle(struct lg_evaluation *e, enum lg_knob knob)
{
    const struct lg_found *found = &e->found[knob];
    struct lg_setting setting = {
        .name = knobs[knob].name,
        .source = found->state == LG_SET       ? found->source
                  : found->state == LG_NOT_SET ? LG_SOURCE_DEFAULT
                                               : LG_SOURCE_UNKNOWN,
        .from = found->from,
        .differs = found->differs,
    };
    knobs[knob].settle(e, found, &setting);
    if (!setting.value)
        setting.source = LG_SOURCE_UNKNOWN;
    if (!setting.value && !setting.effect)
        setting.effect = found->problem ? found->problem : "unknown";
    return lg_vec_push(&e->limits->settings, setting) ? NULL : &lg_no_memory;
}

struct lg_error *lg_settings_evaluate(const struct lg_settings_input *input, struct lg_limits *limits)
{
    struct lg_evaluation e = { .input = input, .limits = limits };
    for (enum lg_knob k = 0; k < LG_KNOBS; k++)
        e.found[k] = find(&e, &knobs[k]);
    compute_total(&e);
    compute_limit(&e);
    compute_high_memory(&e);
    compute_range(&e);
    publish(&e);
    for (enum lg_knob k = 0; k < LG_KNOBS; k++) {
        struct lg_error *err = settle(&e, k);
        if (err)
            return err;
    }
    return NULL;
}
