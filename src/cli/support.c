#include "cli/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/values.h"

// ---- arguments ----

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool lg_address_parse(const char *text, uint64_t *ret)
{
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        text += 2;
    uint64_t value = 0;
    unsigned digits = 0, ticks = 0;
    for (; *text; text++) {
        int digit = hex_digit(*text);
        if (*text == '`' && digits > 0 && ticks++ == 0)
            continue;
        if (digit < 0 || value >> 60 != 0)
            return false;
        value = value << 4 | (unsigned)digit;
        digits++;
    }
    *ret = value;
    return digits > 0;
}

struct lg_error *lg_range_parse(const char *start, const char *end, struct lg_walk_filter *ret)
{
    ret->start = ret->end = 0;
    if (!start)
        return NULL;
    if (!lg_address_parse(start, &ret->start))
        return lg_error_new(LG_ERR_USAGE, "invalid start address '%s': expected hex", start);
    if (!end)
        return NULL;
    bool is_length = *end == 'L' || *end == 'l';
    uint64_t value;
    if (!lg_address_parse(end + is_length, &value))
        return lg_error_new(LG_ERR_USAGE, "invalid end address '%s': expected hex, or L and a length",
                            end);
    if (is_length && value > UINT64_MAX - ret->start)
        return lg_error_new(LG_ERR_USAGE, "invalid length '%s': the range would wrap around", end);
    ret->end = is_length ? ret->start + value : value;
    if (ret->end <= ret->start)
        return lg_error_new(LG_ERR_USAGE, "start address must be before end address: '%s' < '%s'", start,
                            end);
    return NULL;
}

struct lg_error *lg_generation_parse(const char *name, uint32_t *ret)
{
    static const struct {
        const char *name;
        enum lg_generation generation;
    } names[] = {
        { "gen0", LG_GEN0 },  { "gen1", LG_GEN1 }, { "gen2", LG_GEN2 },
        { "loh", LG_LOH },    { "large", LG_LOH }, { "poh", LG_POH },
        { "pinned", LG_POH }, { "foh", LG_FOH },   { "frozen", LG_FOH },
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcasecmp(names[i].name, name) == 0) {
            *ret = UINT32_C(1) << names[i].generation;
            return NULL;
        }
    }
    return lg_error_new(LG_ERR_USAGE,
                        "unknown generation '%s': only gen0, gen1, gen2, loh (large), poh (pinned) and "
                        "foh (frozen) are supported",
                        name);
}

bool lg_filter_is_set(const struct lg_walk_filter *filter)
{
    return filter->start || filter->end || filter->heap || filter->segment || filter->generations;
}

// A segment of the segments GC holds several generations: gen0 and gen1 lie in the last one of gen2.
static bool has_generation(const struct lg_segment *segment, uint32_t wanted)
{
    if (!wanted || wanted & UINT32_C(1) << segment->generation)
        return true;
    return (wanted & 1 && segment->gen0_start) || (wanted & 2 && segment->gen1_start);
}

bool lg_filter_has_segment(const struct lg_walk_filter *filter, const struct lg_segment *segment)
{
    if (filter->heap && filter->heap != segment->heap + 1)
        return false;
    if (filter->segment && filter->segment != segment->address
        && (filter->segment < segment->start || filter->segment >= segment->reserved))
        return false;
    if (filter->start >= segment->end && filter->start > 0)
        return false;
    if (filter->end && filter->end <= segment->start)
        return false;
    return has_generation(segment, filter->generations);
}

static bool any_segment(struct lg_clr *clr, const struct lg_walk_filter *filter)
{
    size_t count;
    const struct lg_segment *segments = lg_clr_segments(clr, &count);
    for (size_t i = 0; i < count; i++) {
        if (lg_filter_has_segment(filter, &segments[i]))
            return true;
    }
    return false;
}

static struct lg_error *check_filter(struct lg_clr *clr, const struct lg_walk_filter *filter)
{
    const struct lg_clr_info *info = lg_clr_info(clr);
    uint32_t heaps = info->heap_count;
    if (!lg_filter_is_set(filter))
        return NULL;
    if (filter->generations && info->no_generations)
        return lg_error_new(LG_ERR_UNSUPPORTED, "this .gcdump does not hold generations");
    if (info->is_bare && (filter->heap || filter->segment))
        return lg_error_new(LG_ERR_UNSUPPORTED, "a .gcdump does not hold the heaps of the runtime");
    if (filter->heap > heaps)
        return lg_error_new(LG_ERR_NOT_FOUND, "no GC heap with index of %" PRIu32 ": there are %" PRIu32,
                            filter->heap - 1, heaps);
    struct lg_walk_filter segment = { .segment = filter->segment };
    if (filter->segment && !any_segment(clr, &segment))
        return lg_error_new(LG_ERR_NOT_FOUND, "no segment at 0x%" PRIx64 ": 'eeheap -gc' lists them",
                            filter->segment);
    struct lg_walk_filter range = { .start = filter->start, .end = filter->end };
    if (any_segment(clr, &range))
        return NULL;
    return lg_error_new(LG_ERR_NOT_FOUND, "no segments or objects in range 0x%" PRIx64 "-0x%" PRIx64,
                        filter->start, filter->end ? filter->end : UINT64_MAX);
}

static struct lg_error *parse_range_and_generation(const struct lg_args *args,
                                                   struct lg_walk_filter *ret)
{
    size_t count = lg_args_count(args);
    if (count > 2)
        return lg_error_new(LG_ERR_USAGE, "'%s': expected at most a start and an end address",
                            lg_args_at(args, 2));
    struct lg_error *err = lg_range_parse(count > 0 ? lg_args_at(args, 0) : NULL,
                                          count > 1 ? lg_args_at(args, 1) : NULL, ret);
    if (!err && lg_args_text(args, "gen"))
        err = lg_generation_parse(lg_args_text(args, "gen"), &ret->generations);
    return err;
}

struct lg_target_options lg_target_options_parse(const struct lg_args *args)
{
    return (struct lg_target_options){ .max_pause_ms = (double)lg_args_number(args, "max-pause", 0),
                                       .max_cow = lg_args_number(args, "max-cow", 0),
                                       .collect = lg_args_has_target_option(args, "gc")
                                                      ? LG_COLLECT_FIRST
                                                      : LG_COLLECT_NOT,
                                       .sysroot = lg_args_text(args, "sysroot") };
}

struct lg_error *lg_check_address(const struct lg_args *args)
{
    uint64_t address;
    struct lg_error *err = lg_args_expect(args, 1, 1);
    return err ? err : lg_args_address(args, 0, &address);
}

struct lg_error *lg_check_filter(const struct lg_args *args)
{
    struct lg_walk_filter filter = { 0 };
    return parse_range_and_generation(args, &filter);
}

struct lg_error *lg_filter_parse(const struct lg_session *session, const struct lg_args *args,
                                 struct lg_walk_filter *ret)
{
    struct lg_walk_filter filter = { 0 };
    struct lg_error *err = parse_range_and_generation(args, &filter);
    if (err)
        return err;
    if (lg_args_has(args, "heap")) {
        uint64_t heap = lg_args_number(args, "heap", 0);
        filter.heap = heap < UINT32_MAX ? (uint32_t)heap + 1 : UINT32_MAX;
    }
    filter.segment = lg_args_number(args, "segment", 0);
    *ret = filter;
    return check_filter(lg_session_clr(session), &filter);
}

// ---- text ----

const char *lg_commas(char buf[LG_COMMAS_SIZE], uint64_t value)
{
    char *p = buf + LG_COMMAS_SIZE;
    *--p = 0;
    for (unsigned digits = 0; value > 0 || digits == 0; value /= 10) {
        if (digits > 0 && digits % 3 == 0)
            *--p = ',';
        *--p = (char)('0' + value % 10);
        digits++;
    }
    return p;
}

// ---- objects ----

// The managed Thread (dotnet/runtime System.Threading.Thread) is what the runtime's own has a handle of.
char *lg_thread_name(struct lg_clr *clr, const struct lg_managed_thread *thread, size_t max)
{
    uint64_t address;
    struct lg_object object;
    bool known = lg_target_u64(lg_clr_target(clr), thread->exposed_handle, &address)
                 && lg_object_read(clr, address, &object);
    return known ? lg_object_string(clr, &object, "_name", max) : NULL;
}

void lg_report_nameless(struct lg_report *report, struct lg_clr *clr, const char *what)
{
    if (lg_clr_target(clr)->has_no_values)
        lg_report_incomplete(report,
                             "the names of %s are unknown: they are strings, and the snapshot was taken "
                             "without --contents",
                             what);
}

const char *lg_object_generation(const struct lg_heap *heap, uint64_t address)
{
    const struct lg_segment *segment = lg_heap_segment_at(heap, address);
    return segment ? lg_generation_name(lg_segment_generation(segment, address)) : NULL;
}

struct lg_error *lg_object_require(struct lg_heap *heap, uint64_t address, struct lg_object *ret)
{
    struct lg_object near;
    bool looks_like_one = lg_heap_object_at(heap, address, ret);
    bool is_near = lg_heap_segment_at(heap, address) && lg_heap_object_containing(heap, address, &near);
    // In a damaged heap a walk need not come to it.
    if (looks_like_one && (!is_near || near.address == address))
        return NULL;
    if (!lg_heap_segment_at(heap, address))
        return lg_error_new(LG_ERR_NOT_FOUND, "0x%" PRIx64 " is no object: it lies outside the GC heap",
                            address);
    if (!is_near)
        return lg_error_new(LG_ERR_NOT_FOUND, "0x%" PRIx64 " is no object: nothing is allocated there",
                            address);
    if (near.type->flags & LG_TYPE_FREE)
        return lg_error_new(LG_ERR_NOT_FOUND,
                            "0x%" PRIx64 " is no object: %" PRIu64 " bytes from 0x%" PRIx64
                            " on are free",
                            address, near.size, near.address);
    if (near.address == address) // It is one after all: the first look found no memory to look with.
        return &lg_no_memory;
    return lg_error_new(
        LG_ERR_NOT_FOUND, "0x%" PRIx64 " is no object: it lies at +0x%" PRIx64 " in 0x%" PRIx64 ", %s",
        address, address - near.address, near.address, lg_clr_type_name(lg_heap_clr(heap), near.type));
}
