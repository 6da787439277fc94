// What each setting comes to in this process, in words.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "limits/settings_priv.h"

// ---- helpers ----

static const char *format(struct lg_evaluation *e, const char *text, ...)
    __attribute__((__format__(__printf__, 2, 3)));
static const char *format(struct lg_evaluation *e, const char *text, ...)
{
    va_list args;
    char buf[512];
    va_start(args, text);
    vsnprintf(buf, sizeof(buf), text, args);
    va_end(args);
    return lg_arena_copy(&e->limits->arena, buf, strlen(buf));
}

static const char *number_text(struct lg_evaluation *e, uint64_t value)
{
    return format(e, "%" PRIu64, value);
}

// What was found goes away with the environment.
static const char *copy_text(struct lg_evaluation *e, const struct lg_found *found)
{
    bool set = found->state == LG_SET;
    return set ? lg_arena_copy(&e->limits->arena, found->text, strlen(found->text)) : "";
}

static void set_bytes(struct lg_evaluation *e, uint64_t bytes, struct lg_setting *setting)
{
    setting->value = number_text(e, bytes);
    setting->bytes = lg_amount(bytes);
}

static void set_switch(bool on, struct lg_setting *setting)
{
    setting->value = on ? "true" : "false";
}

// The runtime's memory says `there`; another place may have asked for something else.
static void set_from_memory(struct lg_evaluation *e, const struct lg_found *found, bool there,
                            const char *why, struct lg_setting *setting)
{
    set_switch(there, setting);
    setting->source = LG_SOURCE_MEMORY;
    if (found->state == LG_SET && (found->number != 0) != there)
        setting->differs = format(e, "%s asks for %s; %s", found->from, there ? "false" : "true", why);
}

static bool is_server(const struct lg_evaluation *e)
{
    return e->input->facts.known
               ? e->input->facts.server
               : e->found[LG_KNOB_SERVER].state == LG_SET && e->found[LG_KNOB_SERVER].number;
}

static bool needs_server(struct lg_evaluation *e, struct lg_setting *setting)
{
    if (is_server(e))
        return false;
    setting->effect = "no effect: only server GC goes by it";
    return true;
}

// ---- flavour ----

void lg_settle_server(struct lg_evaluation *e, const struct lg_found *found, struct lg_setting *setting)
{
    if (e->input->facts.known)
        set_from_memory(e, found, e->input->facts.server,
                        "the runtime runs the other GC, as it does on a single processor", setting);
    else if (found->state != LG_NOT_KNOWN)
        set_switch(found->number, setting);
    if (setting->value)
        setting->effect = is_server(e)
                              ? "server GC: a heap and a GC thread for each processor, larger "
                                "budgets"
                              : "workstation GC: one heap, collected by the thread that allocates";
}

void lg_settle_concurrent(struct lg_evaluation *e, const struct lg_found *found,
                          struct lg_setting *setting)
{
    const struct lg_gc_facts *facts = &e->input->facts;
    bool on = found->state != LG_SET || found->number;
    if (found->state == LG_NOT_KNOWN && !facts->has_bgc_thread)
        return;
    if (facts->has_bgc_thread)
        set_from_memory(e, found, true, "a thread .NET BGC is there", setting);
    else
        set_switch(on, setting);
    setting->effect = on || facts->has_bgc_thread ? "gen2 is collected while the program runs"
                                                  : "every collection of gen2 stops the program";
}

void lg_settle_datas(struct lg_evaluation *e, const struct lg_found *found, struct lg_setting *setting)
{
    const struct lg_gc_facts *facts = &e->input->facts;
    bool has_memory = facts->known && facts->server && facts->datas >= 0;
    uint64_t mode = has_memory ? (uint64_t)facts->datas : found->state == LG_SET ? found->number : 1;
    if (!has_memory && found->state == LG_NOT_KNOWN)
        return;
    setting->value = number_text(e, mode);
    if (has_memory && found->state == LG_SET && found->number != mode)
        setting->differs = format(e,
                                  "%s asks for %" PRIu64 "; the runtime has %" PRIu64
                                  " (with GCHeapCount the number of heaps is fixed)",
                                  found->from, found->number, mode);
    if (has_memory)
        setting->source = LG_SOURCE_MEMORY;
    if (!needs_server(e, setting))
        setting->effect = mode ? "DATAS: the number of heaps follows the load"
                               : "no DATAS: the number of heaps is fixed";
}

struct lg_amount lg_processors(const struct lg_evaluation *e)
{
    const struct lg_resources *r = &e->input->resources;
    const struct lg_found *found = &e->found[LG_KNOB_PROCESSORS];
    if (found->state == LG_SET)
        return lg_amount(found->number);
    if (found->state == LG_NOT_KNOWN || r->affinity.kind != LG_KNOWN)
        return (struct lg_amount){ LG_UNKNOWN };
    if (r->quota.kind == LG_UNKNOWN)
        return (struct lg_amount){ LG_UNKNOWN };
    uint64_t quota =
        r->quota.kind == LG_KNOWN ? r->quota.value / 1000 + (r->quota.value % 1000 != 0) : UINT64_MAX;
    quota = quota ? quota : 1;
    return lg_amount(quota < r->affinity.value ? quota : r->affinity.value);
}

void lg_settle_processors(struct lg_evaluation *e, const struct lg_found *found,
                          struct lg_setting *setting)
{
    const struct lg_resources *r = &e->input->resources;
    struct lg_amount count = lg_processors(e);
    if (count.kind != LG_KNOWN)
        return;
    setting->value = number_text(e, count.value);
    if (found->state == LG_SET)
        setting->effect = "the runtime counts so many processors, whatever there are";
    else if (r->quota.kind == LG_KNOWN)
        setting->effect = format(
            e, "it may run on %" PRIu64 " processors, and its control group on %" PRIu64 ".%03" PRIu64,
            r->affinity.value, r->quota.value / 1000, r->quota.value % 1000);
    else
        setting->effect = format(e, "it may run on %" PRIu64 " processors; no quota", r->affinity.value);
}

void lg_settle_heap_count(struct lg_evaluation *e, const struct lg_found *found,
                          struct lg_setting *setting)
{
    const struct lg_gc_facts *facts = &e->input->facts;
    struct lg_amount processors = lg_processors(e);
    if (facts->known) {
        setting->value = number_text(e, facts->heap_count);
        setting->source = LG_SOURCE_MEMORY;
    } else if (found->state == LG_SET && found->number) {
        setting->value = number_text(e, found->number);
    }
    if (!is_server(e) && facts->known)
        setting->effect = "workstation GC has one heap";
    else if (facts->known && found->state == LG_SET && found->number)
        setting->effect = format(e, "heaps in use now; %s", found->from);
    else if (facts->known && processors.kind == LG_KNOWN)
        setting->effect = format(
            e, "heaps in use now, of at most one for each of %" PRIu64 " processors", processors.value);
    else if (facts->known)
        setting->effect = "heaps in use now";
    else
        setting->effect = found->problem;
}

void lg_settle_max_heap_count(struct lg_evaluation *e, const struct lg_found *found,
                              struct lg_setting *setting)
{
    if (found->state == LG_NOT_KNOWN)
        return;
    setting->value = number_text(e, found->number);
    if (!needs_server(e, setting))
        setting->effect = found->number ? "DATAS uses no more heaps" : "no limit but the processors";
}

void lg_settle_no_affinitize(struct lg_evaluation *e, const struct lg_found *found,
                             struct lg_setting *setting)
{
    const struct lg_gc_facts *facts = &e->input->facts;
    if (found->state == LG_NOT_KNOWN)
        return;
    set_switch(found->number, setting);
    if (needs_server(e, setting))
        return;
    if (facts->gc_threads.kind == LG_KNOWN && facts->gc_threads.value)
        setting->effect = format(e, "%" PRIu64 " of %" PRIu64 " GC threads are bound to one processor",
                                 facts->pinned.value, facts->gc_threads.value);
    else
        setting->effect = found->number ? "GC threads run on any processor"
                                        : "each GC thread is bound to one processor";
}

void lg_settle_affinity(struct lg_evaluation *e, const struct lg_found *found,
                        struct lg_setting *setting)
{
    bool is_mask = strcmp(setting->name, "GCHeapAffinitizeMask") == 0;
    if (found->state == LG_NOT_KNOWN)
        return;
    bool set = found->state == LG_SET;
    setting->value = is_mask ? format(e, "0x%" PRIx64, found->number) : copy_text(e, found);
    if (!needs_server(e, setting))
        setting->effect = set ? "GC threads run on these processors only"
                              : "GC threads run on all processors of the process";
}

// ---- the hard limit ----

static const char *range_words(const struct lg_evaluation *e)
{
    return e->range_fits ? "; the address range that the GC set aside bears it out" : "";
}

static const char *limit_words(struct lg_evaluation *e, bool given)
{
    char limit[LG_SIZE_TEXT], total[LG_SIZE_TEXT];
    lg_size_text(limit, e->hard_limit.value);
    lg_size_text(total, e->total.value);
    if (!given)
        return format(e, "75 %% of the %s that the container leaves%s", total, range_words(e));
    return format(e, "the managed heap takes at most %s%s", limit, range_words(e));
}

static void doubt_limit(struct lg_evaluation *e, struct lg_setting *setting)
{
    char there[LG_SIZE_TEXT], expected[LG_SIZE_TEXT];
    lg_size_text(there, e->input->facts.range.value);
    lg_size_text(expected, e->expected.value);
    setting->effect =
        format(e,
               "unknown: the GC set aside %s of addresses on starting, and with what is set "
               "now it would have been %s: the container or the program changed the limit",
               there, expected);
}

void lg_settle_limit(struct lg_evaluation *e, const struct lg_found *found, struct lg_setting *setting)
{
    if (lg_property_get(&e->input->app_context, "GCHeapHardLimit"))
        setting->effect = "unknown: the program has set AppContext's GCHeapHardLimit, for "
                          "GC.RefreshMemoryLimit";
    else if (e->range_differs)
        doubt_limit(e, setting);
    if (setting->effect)
        return;
    if (e->hard_limit.kind == LG_UNKNOWN) {
        setting->effect =
            found->problem ? found->problem : "unknown: so is the memory that the container leaves";
        return;
    }
    bool own = found->state == LG_SET && found->number && e->hard_limit.value == found->number;
    set_bytes(e, e->hard_limit.value, setting);
    if (e->hard_limit.kind == LG_UNLIMITED)
        setting->effect =
            format(e, "no limit: the managed heap grows as long as there is memory%s", range_words(e));
    else if (e->hard_limit_given && !own)
        setting->effect = format(e, "%s (from the settings below)", limit_words(e, true));
    else
        setting->effect = limit_words(e, e->hard_limit_given);
    if (e->hard_limit_given && !own && found->state != LG_SET)
        setting->source = LG_SOURCE_DEFAULT;
}

void lg_settle_limit_percent(struct lg_evaluation *e, const struct lg_found *found,
                             struct lg_setting *setting)
{
    if (found->state == LG_NOT_KNOWN)
        return;
    setting->value = number_text(e, found->number);
    bool total = strcmp(setting->name, "GCHeapHardLimitPercent") == 0;
    uint64_t percent = (uint32_t)found->number;
    bool hidden = total && (e->found[LG_KNOB_LIMIT].number || e->object_heap_limits);
    if (!percent) {
        setting->effect = "not set";
    } else if (total && percent >= 100) {
        setting->effect = "no effect: it is not below 100";
    } else if (hidden) {
        setting->effect = "no effect: a limit in bytes, or one of each heap, goes before";
    } else if (e->total.kind == LG_KNOWN) {
        unsigned __int128 bytes = (unsigned __int128)e->total.value * percent / 100;
        char part[LG_SIZE_TEXT], all[LG_SIZE_TEXT];
        setting->bytes = lg_amount((uint64_t)bytes);
        setting->effect = format(e, "%s of %s", lg_size_text(part, (uint64_t)bytes),
                                 lg_size_text(all, e->total.value));
    } else {
        setting->effect = "of the memory that the container or the machine has";
    }
}

void lg_settle_limit_part(struct lg_evaluation *e, const struct lg_found *found,
                          struct lg_setting *setting)
{
    char size[LG_SIZE_TEXT];
    bool soh = strstr(setting->name, "SOH"), loh = strstr(setting->name, "LOH");
    const struct lg_found *percent = &e->found[soh   ? LG_KNOB_LIMIT_SOH_PERCENT
                                               : loh ? LG_KNOB_LIMIT_LOH_PERCENT
                                                     : LG_KNOB_LIMIT_POH_PERCENT];
    if (found->state == LG_NOT_KNOWN)
        return;
    uint64_t bytes = found->number;
    bool computed =
        !bytes && e->object_heap_limits && percent->state == LG_SET && e->total.kind == LG_KNOWN;
    if (computed)
        bytes = (uint64_t)((unsigned __int128)e->total.value * (uint32_t)percent->number / 100);
    set_bytes(e, bytes, setting);
    if (computed)
        setting->source = LG_SOURCE_DEFAULT;
    setting->effect = bytes ? format(e, "this part of the heap takes at most %s%s",
                                     lg_size_text(size, bytes), computed ? ", by its percentage" : "")
                            : "not set";
}

void lg_settle_physical(struct lg_evaluation *e, const struct lg_found *found,
                        struct lg_setting *setting)
{
    if (e->total.kind != LG_KNOWN) {
        setting->effect = "unknown: neither the machine nor the control groups of then can be asked";
        return;
    }
    set_bytes(e, e->total.value, setting);
    if (found->state == LG_SET && found->number)
        setting->effect = "the GC takes this for the memory that there is";
    else
        setting->effect = e->restricted ? "what the control groups leave" : "all memory of the machine";
}

void lg_settle_high_memory(struct lg_evaluation *e, const struct lg_found *found,
                           struct lg_setting *setting)
{
    char size[LG_SIZE_TEXT];
    if (!e->high_percent)
        return;
    setting->value = number_text(e, e->high_percent);
    if (e->total.kind != LG_KNOWN) {
        setting->effect = "from this load on the GC compacts and gives memory back";
        return;
    }
    uint64_t bytes = (uint64_t)((double)e->high_percent / 100 * (double)e->total.value);
    setting->bytes = lg_amount(bytes);
    setting->effect =
        format(e, "from %s in use on, the GC compacts and gives memory back", lg_size_text(size, bytes));
}

void lg_settle_conserve(struct lg_evaluation *e, const struct lg_found *found,
                        struct lg_setting *setting)
{
    if (found->state == LG_NOT_KNOWN)
        return;
    setting->value = number_text(e, found->number);
    int32_t given = (int32_t)found->number; // As wide as the GC keeps it.
    int level = given < 0 ? 0 : given > 9 ? 9 : given;
    setting->effect =
        level ? format(e, "gen2 is compacted when more than %d %% of it is free", (10 - level) * 10)
              : "off: gen2 is compacted when the GC finds it worth while";
}

void lg_settle_retain_vm(struct lg_evaluation *e, const struct lg_found *found,
                         struct lg_setting *setting)
{
    if (found->state == LG_NOT_KNOWN)
        return;
    set_switch(found->number, setting);
    setting->effect = found->number ? "free regions are kept and not given back to the system"
                                    : "free regions are given back after a while";
}

// ---- budgets and sizes ----

void lg_settle_gen0_size(struct lg_evaluation *e, const struct lg_found *found,
                         struct lg_setting *setting)
{
    enum { LEAST = 64 << 10 };
    char size[LG_SIZE_TEXT];
    if (found->state == LG_NOT_KNOWN)
        return;
    if (found->state == LG_SET && found->number >= LEAST) {
        set_bytes(e, found->number, setting);
        setting->effect = format(e, "a heap is collected when %s or more have been allocated on it",
                                 lg_size_text(size, found->number));
        return;
    }
    if (found->state == LG_SET)
        setting->differs = format(e, "%s is less than 64 KiB, and ignored", found->from);
    setting->effect = "computed from the size of the processor's caches; not to be read from outside";
}

void lg_settle_gen0_max(struct lg_evaluation *e, const struct lg_found *found,
                        struct lg_setting *setting)
{
    char size[LG_SIZE_TEXT];
    if (found->state == LG_NOT_KNOWN)
        return;
    if (found->state == LG_SET && found->number) {
        set_bytes(e, found->number, setting);
        setting->effect =
            format(e, "gen0 of a heap gets no budget above %s", lg_size_text(size, found->number));
        return;
    }
    setting->effect = "computed from the size of the processor's caches; not to be read from outside";
}

void lg_settle_loh_threshold(struct lg_evaluation *e, const struct lg_found *found,
                             struct lg_setting *setting)
{
    enum { LEAST = 85000 };
    if (found->state == LG_NOT_KNOWN)
        return;
    bool below = found->state == LG_SET && found->number < LEAST;
    set_bytes(e, found->number < LEAST ? LEAST : found->number, setting);
    setting->effect =
        format(e, "objects of %s bytes and more go to the large object heap", setting->value);
    if (below)
        setting->differs = format(e, "%s is below the least value, 85000", found->from);
}

void lg_settle_region_range(struct lg_evaluation *e, const struct lg_found *found,
                            struct lg_setting *setting)
{
    const struct lg_gc_facts *facts = &e->input->facts;
    char size[LG_SIZE_TEXT];
    if (facts->known && !facts->regions) {
        setting->effect = "none: this GC has segments";
        return;
    }
    if (facts->range.kind == LG_KNOWN) {
        set_bytes(e, facts->range.value, setting);
        setting->source = LG_SOURCE_MEMORY;
    } else if (found->state == LG_SET && found->number) {
        set_bytes(e, found->number, setting);
    } else if (e->expected.kind == LG_KNOWN) {
        set_bytes(e, e->expected.value, setting);
    }
    if (setting->value)
        setting->effect = format(e, "%s of addresses are set aside for the heap: more it can never have",
                                 lg_size_text(size, setting->bytes.value));
}

void lg_settle_region_size(struct lg_evaluation *e, const struct lg_found *found,
                           struct lg_setting *setting)
{
    const struct lg_gc_facts *facts = &e->input->facts;
    char size[LG_SIZE_TEXT];
    if (facts->known && !facts->regions) {
        setting->effect = "none: this GC has segments";
        return;
    }
    if (facts->region_size.kind == LG_KNOWN) {
        set_bytes(e, facts->region_size.value, setting);
        setting->source = LG_SOURCE_MEMORY;
    } else if (found->state == LG_SET && found->number) {
        set_bytes(e, found->number, setting);
    }
    if (setting->value)
        setting->effect = format(e, "the heap of small objects grows and shrinks by %s",
                                 lg_size_text(size, setting->bytes.value));
}

void lg_settle_large_pages(struct lg_evaluation *e, const struct lg_found *found,
                           struct lg_setting *setting)
{
    char size[LG_SIZE_TEXT];
    if (found->state == LG_NOT_KNOWN)
        return;
    set_switch(found->number, setting);
    bool has = e->input->facts.huge_pages.kind == LG_KNOWN;
    if (!found->number)
        setting->effect = "off";
    else if (has)
        setting->effect = format(e, "%s of the process are in huge pages, committed from the start",
                                 lg_size_text(size, e->input->facts.huge_pages.value));
    else
        setting->effect = "the heap is committed from the start";
}

void lg_settle_gc_name(struct lg_evaluation *e, const struct lg_found *found, struct lg_setting *setting)
{
    const struct lg_gc_facts *facts = &e->input->facts;
    if (found->state == LG_NOT_KNOWN)
        return;
    setting->value = copy_text(e, found);
    if (found->state == LG_SET)
        setting->effect = "this GC is loaded in place of the runtime's own";
    else
        setting->effect = "the runtime's own GC";
    if (facts->known && !facts->regions)
        setting->effect = "a GC with segments is loaded";
}

void lg_settle_tiered(struct lg_evaluation *e, const struct lg_found *found, struct lg_setting *setting)
{
    if (found->state == LG_NOT_KNOWN)
        return;
    bool on = found->state != LG_SET || found->number;
    set_switch(on, setting);
    setting->effect = on ? "methods are compiled quickly first, and again when they are hot"
                         : "methods are compiled once, optimised: no code is made twice";
}
