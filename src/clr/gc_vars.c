#include "clr/gc_vars.h"

#include <string.h>

// The table had 129 pointers on 10.0.9 and 158 on 9.0.22 (reference clr.md D.4).
enum { MAX_TABLE = 512, HEADER = 24, KNOWN_MAJOR = 2, USUAL_INDEX = 19 };

struct header {
    uint8_t major, minor, pad[6];
    uint64_t generation_size, generations;
};

// Are these the first bytes of GcDacVars? The entries of g_dacTable have no names and their order
// changes, but nothing else there looks like it.
static bool is_header(const struct header *h)
{
    return h->generations == LG_GC_GENERATION_COUNT && h->generation_size >= 0x40
           && h->generation_size < 4096 && h->generation_size % 8 == 0 && h->major > 0 && h->major < 64;
}

static bool read_header(struct lg_target *target, uint64_t entry, struct header *header,
                        uint64_t *address)
{
    return entry && lg_target_u64(target, entry, address) && *address
           && lg_target_read_all(target, *address, header, sizeof(*header)) && is_header(header);
}

bool lg_gc_vars_are_there(const struct lg_clr *clr)
{
    uint64_t address, size;
    return lg_image_symbol(&clr->image, "g_dacTable", &address, &size);
}

static struct lg_error *read_table(struct lg_clr *clr, uint64_t table[MAX_TABLE], size_t *count_ret)
{
    uint64_t address, size;
    if (!lg_image_symbol(&clr->image, "g_dacTable", &address, &size))
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "'%s' exports no g_dacTable: the GC's variables cannot be found",
                            clr->image.path);
    size_t count = size / 8 < MAX_TABLE ? size / 8 : MAX_TABLE;
    if (!lg_target_read_all(clr->target, address, table, count * 8))
        return lg_error_new(LG_ERR_FAULT, "g_dacTable of '%s' at %#jx: not readable", clr->image.path,
                            (uintmax_t)address);
    *count_ret = count;
    return NULL;
}

static struct lg_error *find(struct lg_clr *clr, struct lg_gc_vars *gc)
{
    uint64_t table[MAX_TABLE];
    size_t count = 0;
    struct lg_error *err = read_table(clr, table, &count);
    if (err)
        return err;
    struct header h, other = { 0 };
    uint64_t other_address = 0;
    for (size_t i = 0; i <= count; i++) { // The usual place first, then all of them.
        size_t at = i == 0 ? USUAL_INDEX : i - 1;
        uint64_t address;
        if (at >= count || !read_header(clr->target, table[at], &h, &address))
            continue;
        if (h.major == KNOWN_MAJOR) {
            *gc = (struct lg_gc_vars){ .address = address,
                                       .major = h.major,
                                       .minor = h.minor,
                                       .generation_size = h.generation_size };
            return NULL;
        }
        other = h;
        other_address = address;
    }
    if (other_address)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "GcDacVars at %#jx: version %u.%u, of which only %d is known",
                            (uintmax_t)other_address, other.major, other.minor, KNOWN_MAJOR);
    return lg_error_new(
        LG_ERR_NOT_FOUND,
        "no GcDacVars behind g_dacTable: the runtime has no GC heap yet; try again in a moment");
}

static size_t count_of_version(unsigned minor)
{
    return minor >= 4   ? LG_GC_VARS
           : minor >= 2 ? LG_GC_DYNAMIC_ADAPTATION_MODE
                        : LG_GC_FREEABLE_SOH_SEGMENT;
}

static struct lg_error *read_offsets(struct lg_clr *clr, struct lg_gc_vars *gc)
{
    int32_t generation[3];
    uint64_t at = gc->vars[LG_GC_GENERATION_FIELD_OFFSETS];
    if (!lg_target_read_all(clr->target, at, generation, sizeof(generation)))
        return lg_error_new(LG_ERR_FAULT, "generation_field_offsets at %#jx: not readable",
                            (uintmax_t)at);
    gc->allocation_context = generation[0];
    gc->start_segment = generation[1];
    gc->allocation_start = generation[2];
    for (int i = 0; i < 3; i++) {
        if (generation[i] < (i == 2 ? -1 : 0)
            || generation[i] + (int64_t)8 > (int64_t)gc->generation_size)
            return lg_error_new(
                LG_ERR_CORRUPT,
                "generation_field_offsets at %#jx: [%d] is %d of a generation of %ju bytes",
                (uintmax_t)at, i, generation[i], (uintmax_t)gc->generation_size);
    }
    for (int i = 0; i < LG_GC_FIELDS; i++)
        gc->field_offsets[i] = -1;
    at = gc->vars[LG_GC_HEAP_FIELD_OFFSETS];
    size_t count = gc->minor >= 2 ? LG_GC_FIELDS : LG_GC_FIELD_GENERATION_TABLE + 1;
    if (at
        && !lg_target_read_all(clr->target, at, gc->field_offsets, count * sizeof(gc->field_offsets[0])))
        return lg_error_new(LG_ERR_FAULT, "gc_heap_field_offsets at %#jx: not readable", (uintmax_t)at);
    return NULL;
}

struct lg_error *lg_gc_vars_read(struct lg_clr *clr, struct lg_gc_vars **ret)
{
    _cleanup_free_ struct lg_gc_vars *gc = calloc(1, sizeof(*gc));
    if (!gc)
        return &lg_no_memory;
    struct lg_error *err = find(clr, gc);
    if (err)
        return err;
    size_t count = count_of_version(gc->minor);
    if (!lg_target_read_all(clr->target, gc->address + HEADER, gc->vars, count * sizeof(gc->vars[0])))
        return lg_error_new(LG_ERR_FAULT, "GcDacVars at %#jx: not readable", (uintmax_t)gc->address);
    err = read_offsets(clr, gc);
    if (!err)
        *ret = lg_steal(gc);
    return err;
}

static uint64_t static_field(const struct lg_gc_vars *gc, enum lg_gc_field field)
{
    switch (field) {
    case LG_GC_FIELD_ALLOC_ALLOCATED:
        return gc->vars[LG_GC_ALLOC_ALLOCATED];
    case LG_GC_FIELD_EPHEMERAL_HEAP_SEGMENT:
        return gc->vars[LG_GC_EPHEMERAL_HEAP_SEGMENT];
    case LG_GC_FIELD_FINALIZE_QUEUE:
        return gc->vars[LG_GC_FINALIZE_QUEUE];
    case LG_GC_FIELD_GENERATION_TABLE:
        return gc->vars[LG_GC_GENERATION_TABLE];
    case LG_GC_FIELD_FREEABLE_SOH_SEGMENT:
        return gc->vars[LG_GC_FREEABLE_SOH_SEGMENT];
    case LG_GC_FIELD_FREEABLE_UOH_SEGMENT:
        return gc->vars[LG_GC_FREEABLE_UOH_SEGMENT];
    case LG_GC_FIELD_FREE_REGIONS:
        return gc->vars[LG_GC_FREE_REGIONS];
    default:
        return 0;
    }
}

uint64_t lg_gc_field(const struct lg_clr *clr, size_t heap, enum lg_gc_field field)
{
    if (!clr->info.server)
        return static_field(clr->gc, field);
    int32_t offset = clr->gc->field_offsets[field];
    return offset < 0 ? 0 : clr->gc_heaps.at[heap].address + (uint32_t)offset;
}
