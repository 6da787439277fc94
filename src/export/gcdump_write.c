// Writing .gcdump files.
//
// Nodes lie in one blob, and before it where each of them begins: so all are encoded twice, once to be
// measured and once to be written. Beside the graph that takes 8 bytes an object.
#include <limits.h>

#include "export/export_priv.h"
#include "snapshot/gcdump.h"
#include "util/cancel.h"
#include "util/new_file.h"
#include "util/utf8.h"

// What is encoded, and how much; without a file it is only measured.
struct sink {
    struct lg_new_file *file;
    uint64_t len;
    size_t used;
    uint8_t bytes[1 << 16];
    struct lg_error *err; // The first.
};

struct pseudo {
    const char *name;
    LG_VEC(uint32_t) children; // Numbers of nodes in the file.
};

struct writing {
    const struct lg_export_source *source;
    struct lg_clr *clr;
    struct lg_arena arena;
    struct holdings holdings;
    LG_VEC(struct pseudo) pseudo;         // The first nodes; 0 is the root. Each has a type of its own.
    uint64_t *own;                        // [tree->count] sizes by number
    uint32_t *index;                      // [node_count] number in the file
    uint32_t *offset;                     // [count] where each node begins in the blob
    uint32_t count;                       // nodes in the file
    uint32_t *type_index;                 // [type_count] by lg_type.id; 0: none is alive
    uint32_t *type_size;                  // [type_count] of the first that is alive
    LG_VEC(const struct lg_type *) types; // in the order of the file
    uint64_t blob, clamped;
    struct sink sink;
};

static void writing_deinit(struct writing *w)
{
    const struct lg_retention *retention = w->source->retention;
    for (size_t i = 0; i < w->pseudo.len; i++)
        lg_vec_free(&w->pseudo.at[i].children);
    lg_vec_free(&w->pseudo);
    lg_vec_free(&w->holdings.all);
    lg_vec_free(&w->types);
    if (w->own)
        lg_pages_free(w->own, retention->tree->count, sizeof(*w->own));
    if (w->index)
        lg_pages_free(w->index, retention->node_count, sizeof(*w->index));
    if (w->offset)
        lg_pages_free(w->offset, w->count, sizeof(*w->offset));
    free(w->type_index);
    free(w->type_size);
    lg_error_free(w->sink.err);
    lg_arena_free(&w->arena);
}

// ---- putting ----

static void flush(struct sink *sink)
{
    if (sink->file && !sink->err)
        sink->err = lg_new_file_put(sink->file, sink->bytes, sink->used);
    if (!sink->err && lg_cancelled())
        sink->err = &lg_was_cancelled;
    sink->used = 0;
}

static inline void put_u8(struct sink *sink, uint8_t byte)
{
    if (sink->used == sizeof(sink->bytes))
        flush(sink);
    sink->bytes[sink->used++] = byte;
    sink->len++;
}

static void put(struct sink *sink, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        put_u8(sink, ((const uint8_t *)bytes)[i]);
}

static void put_u32(struct sink *sink, uint32_t value)
{
    put(sink, &value, sizeof(value));
}

static void put_u64(struct sink *sink, uint64_t value)
{
    put(sink, &value, sizeof(value));
}

static void put_unit(struct sink *sink, uint32_t unit)
{
    if (unit >= 0x800) {
        put_u8(sink, (uint8_t)(0xe0 | unit >> 12));
        put_u8(sink, (uint8_t)(0x80 | (unit >> 6 & 63)));
        put_u8(sink, (uint8_t)(0x80 | (unit & 63)));
    } else if (unit >= 0x80) {
        put_u8(sink, (uint8_t)(0xc0 | unit >> 6));
        put_u8(sink, (uint8_t)(0x80 | (unit & 63)));
    } else {
        put_u8(sink, (uint8_t)unit);
    }
}

// A count of UTF-16 units, then each of them by itself in UTF-8: a pair of surrogates takes six bytes.
static void put_string(struct sink *sink, const char *text)
{
    uint32_t units = 0;
    for (const uint8_t *p = (const uint8_t *)text; *p;)
        units += lg_utf8_next(&p) >= 0x10000 ? 2 : 1;
    put_u32(sink, units);
    for (const uint8_t *p = (const uint8_t *)text; *p;) {
        uint32_t rune = lg_utf8_next(&p);
        if (rune >= 0x10000) {
            put_unit(sink, 0xd800 + ((rune - 0x10000) >> 10));
            rune = 0xdc00 + (rune & 0x3ff);
        }
        put_unit(sink, rune);
    }
}

// Groups of 7 bits, high ones first, as few as the sign needs; the high bit says that more follow.
static inline void put_int(struct sink *sink, int32_t value)
{
    int groups = 1;
    while (
        groups < 5
        && (value >= (int32_t)(64u << 7 * (groups - 1)) || value < -(int32_t)(64u << 7 * (groups - 1))))
        groups++;
    while (--groups > 0)
        put_u8(sink, (uint8_t)(value >> 7 * groups | 0x80));
    put_u8(sink, (uint8_t)(value & 0x7f));
}

// Begins an object, with its type, which is met for the first time.
static void begin(struct sink *sink, const char *type, uint32_t version, uint32_t min_reader)
{
    const uint8_t tags[3] = { LG_FAST_BEGIN, LG_FAST_BEGIN, LG_FAST_NULL };
    put(sink, tags, sizeof(tags));
    put_u32(sink, version);
    put_u32(sink, min_reader);
    put_string(sink, type);
    put_u8(sink, LG_FAST_END);
}

// ---- roots ----

static bool add_pseudo(struct writing *w, const char *name, uint32_t parent, uint32_t *ret)
{
    *ret = (uint32_t)w->pseudo.len;
    return lg_vec_push(&w->pseudo, ((struct pseudo){ .name = name }))
           && (*ret == 0 || lg_vec_push(&w->pseudo.at[parent].children, *ret));
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

// The tree of what stands for no object. Its leaves get their children later: objects have no numbers
// before it is whole.
static bool add_roots(struct writing *w, uint32_t *leaf /* [holdings] */)
{
    uint32_t root, other = 0, group = 0, at = 0;
    bool ok = add_pseudo(w, LG_GCDUMP_ROOT, 0, &root);
    for (size_t i = 0; i < w->holdings.all.len && ok; i++) {
        const struct holding *holding = &w->holdings.all.at[i], *before = i ? holding - 1 : NULL;
        const struct lg_gcdump_group *kind = &lg_gcdump_groups[holding->group];
        bool is_new = !before || before->group != holding->group;
        if (is_new && kind->is_other && other == 0)
            ok = add_pseudo(w, LG_GCDUMP_OTHER, root, &other);
        if (is_new && ok)
            ok = add_pseudo(w, kind->name, kind->is_other ? other : root, &group);
        if (!holding->name || !kind->child) {
            leaf[i] = group;
            continue;
        }
        if (ok && (is_new || !same_text(before->name, holding->name))) {
            const char *name = lg_arena_format(&w->arena, "%s%s]", kind->child, holding->name);
            ok = name && add_pseudo(w, name, group, &at);
        }
        leaf[i] = at;
    }
    return ok;
}

static struct lg_error *number_nodes(struct writing *w)
{
    const struct lg_export_source *source = w->source;
    uint32_t n = source->retention->node_count;
    _cleanup_free_ uint32_t *leaf = calloc(w->holdings.all.len + 1, sizeof(*leaf));
    w->index = lg_pages_alloc(n, sizeof(*w->index));
    if (!leaf || !w->index || !add_roots(w, leaf))
        return &lg_no_memory;
    if (w->pseudo.len + source->retention->live_count > INT_MAX)
        return lg_error_new(LG_ERR_UNSUPPORTED, "a .gcdump holds at most %d objects", INT_MAX);
    w->count = (uint32_t)w->pseudo.len;
    for (lg_node node = 0; node < n; node++) {
        if (is_live(source, node))
            w->index[node] = w->count++;
    }
    for (size_t i = 0; i < w->holdings.all.len; i++) {
        lg_node node = w->holdings.all.at[i].node;
        if (is_live(source, node) && !lg_vec_push(&w->pseudo.at[leaf[i]].children, w->index[node]))
            return &lg_no_memory;
    }
    w->offset = lg_pages_alloc(w->count, sizeof(*w->offset));
    return w->offset ? NULL : &lg_no_memory;
}

// ---- types ----

static uint32_t size_of(const struct writing *w, lg_node node)
{
    uint64_t size = w->own[w->source->retention->number[node]];
    return size < INT_MAX ? (uint32_t)size : INT_MAX;
}

static int by_name(const void *a, const void *b, void *data)
{
    struct writing *w = data;
    const struct lg_type *x = *(const struct lg_type *const *)a, *y = *(const struct lg_type *const *)b;
    int order = strcmp(lg_clr_type_name(w->clr, x), lg_clr_type_name(w->clr, y));
    return order ? order : (x->mt > y->mt) - (x->mt < y->mt);
}

static struct lg_error *number_types(struct writing *w)
{
    const struct lg_retention *retention = w->source->retention;
    uint32_t count = lg_clr_type_count(w->clr);
    w->type_index = calloc(count + 1u, sizeof(*w->type_index));
    w->type_size = calloc(count + 1u, sizeof(*w->type_size));
    w->own = lg_retention_own_sizes(retention);
    if (!w->type_index || !w->type_size || !w->own)
        return &lg_no_memory;
    for (lg_node node = 0; node < retention->node_count; node++) {
        uint32_t id = retention->own_type[node];
        if (!is_live(w->source, node))
            continue;
        w->clamped += w->own[retention->number[node]] > INT_MAX;
        if (w->type_index[id])
            continue;
        w->type_index[id] = 1;
        w->type_size[id] = size_of(w, node);
        if (!lg_vec_push(&w->types, lg_clr_type_at(w->clr, id)))
            return &lg_no_memory;
    }
    if (w->types.len)
        qsort_r(w->types.at, w->types.len, sizeof(*w->types.at), by_name, w);
    for (size_t i = 0; i < w->types.len; i++)
        w->type_index[w->types.at[i]->id] = (uint32_t)(1 + w->pseudo.len + i);
    return NULL;
}

static void put_types(struct writing *w)
{
    struct sink *sink = &w->sink;
    put_u32(sink, (uint32_t)(1 + w->pseudo.len + w->types.len));
    put_string(sink, "UNDEFINED");
    put_u32(sink, 0);
    put_u32(sink, (uint32_t)-1);
    for (size_t i = 0; i < w->pseudo.len; i++) {
        put_string(sink, w->pseudo.at[i].name);
        put_u32(sink, 0);
        put_u32(sink, (uint32_t)-1);
    }
    for (size_t i = 0; i < w->types.len; i++) {
        const struct lg_type *type = w->types.at[i];
        const struct lg_module *module = type->module ? lg_clr_module(w->clr, type->module) : NULL;
        const char *path = module && module->path[0] ? module->path : module ? module->name : "";
        put_string(sink, lg_clr_type_name(w->clr, type));
        put_u32(sink, w->type_size[type->id]);
        if (path[0])
            put_string(sink, path);
        else
            put_u32(sink, (uint32_t)-1);
    }
}

// ---- nodes ----

static void put_pseudo(struct writing *w, uint32_t at)
{
    const struct pseudo *pseudo = &w->pseudo.at[at];
    put_int(&w->sink, (int32_t)((1 + at) << 1));
    put_int(&w->sink, (int32_t)pseudo->children.len);
    for (size_t i = 0; i < pseudo->children.len; i++)
        put_int(&w->sink, (int32_t)(pseudo->children.at[i] - at));
}

static void put_object(struct writing *w, lg_node node)
{
    const struct lg_graph *forward = w->source->reach->graph->forward;
    uint32_t id = w->source->retention->own_type[node], size = size_of(w, node);
    bool has_size = size != w->type_size[id];
    uint32_t from = forward->edge_start[node], to = forward->edge_start[node + 1];
    put_int(&w->sink, (int32_t)(w->type_index[id] << 1 | has_size));
    if (has_size)
        put_int(&w->sink, (int32_t)size);
    put_int(&w->sink, (int32_t)(to - from));
    for (uint32_t i = from; i < to; i++)
        put_int(&w->sink, (int32_t)(w->index[forward->edges[i]] - w->index[node]));
}

// All of them, after the one that stands for what is not defined.
static void put_nodes(struct writing *w)
{
    uint64_t start = w->sink.len;
    uint32_t at = 0;
    put_int(&w->sink, 0);
    put_int(&w->sink, 0);
    for (; at < w->pseudo.len; at++) {
        w->offset[at] = (uint32_t)(w->sink.len - start);
        put_pseudo(w, at);
    }
    for (lg_node node = 0; node < w->source->retention->node_count && !w->sink.err; node++) {
        if (!is_live(w->source, node))
            continue;
        w->offset[at++] = (uint32_t)(w->sink.len - start);
        put_object(w, node);
    }
    w->blob = w->sink.len - start;
}

static void put_addresses(struct writing *w)
{
    put_u32(&w->sink, w->count);
    for (size_t i = 0; i < w->pseudo.len; i++)
        put_u64(&w->sink, 0);
    for (lg_node node = 0; node < w->source->retention->node_count; node++) {
        if (is_live(w->source, node))
            put_u64(&w->sink, lg_index_address(w->source->reach->graph->index, node));
    }
}

static void put_graph(struct writing *w)
{
    struct sink *sink = &w->sink;
    begin(sink, "Graphs.MemoryGraph", 1, 0);
    put_u64(sink, w->source->retention->live_size);
    put_u32(sink, 0); // The root's node.
    put_types(w);
    put_u32(sink, w->count);
    for (uint32_t i = 0; i < w->count; i++)
        put_u32(sink, w->offset[i]);
    put_u32(sink, (uint32_t)w->blob);
    put_nodes(w);
    put_addresses(w);
    put_u8(sink, LG_FAST_BYTE);
    put_u8(sink, 1); // 64 bits.
    put_u8(sink, LG_FAST_END);
}

// ---- the rest ----

// A segment's end is given for its generation only: that is how a reader knows which it is.
static void put_segment(struct sink *sink, const struct lg_segment *segment, uint32_t *type_at)
{
    uint64_t ends[5] = { 0 };
    uint64_t start = segment->start;
    enum lg_generation generation = segment->generation == LG_FOH ? LG_GEN2 : segment->generation;
    ends[generation] = segment->end;
    if (segment->gen0_start) { // gen2 | gen1 | gen0
        ends[LG_GEN0] = segment->end;
        ends[LG_GEN1] = segment->gen0_start;
        ends[LG_GEN2] = segment->gen1_start;
    }
    if (*type_at) {
        put_u8(sink, LG_FAST_BEGIN);
        put_u8(sink, LG_FAST_REFERENCE);
        put_u32(sink, *type_at);
    } else {
        *type_at = (uint32_t)sink->len + 1;
        begin(sink, "GCHeapDumpSegment", 1, 1);
    }
    put_u64(sink, start);
    put_u64(sink, segment->end);
    for (int i = 0; i < 5; i++)
        put_u64(sink, ends[i]);
    put_u8(sink, LG_FAST_END);
}

static void put_segments(struct writing *w)
{
    size_t count;
    uint64_t size = 0;
    uint32_t type_at = 0;
    const struct lg_segment *segments = lg_clr_segments(w->clr, &count);
    for (size_t i = 0; i < count; i++)
        size += segments[i].end - segments[i].start;
    begin(&w->sink, "DotNetHeapInfo", 0, 0);
    put_u64(&w->sink, size);
    put_u32(&w->sink, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        put_segment(&w->sink, &segments[i], &type_at);
    put_u8(&w->sink, LG_FAST_END);
}

static const char *make_log(struct writing *w, const struct lg_export_figures *figures)
{
    const struct lg_roots *roots = w->source->roots;
    const char *log = lg_arena_format(
        &w->arena, "Written by %s: %llu objects that are alive; %llu dead ones are left out.\n",
        w->source->tool, (unsigned long long)figures->objects, (unsigned long long)figures->dead);
    if (log && w->clamped)
        log = lg_arena_format(
            &w->arena, "%sObjects of 2 GiB and more, which this format cannot hold, have 2 GiB: %llu.\n",
            log, (unsigned long long)w->clamped);
    for (size_t i = 0; i < roots->incomplete.len && log; i++)
        log = lg_arena_format(&w->arena, "%s%s\n", log, roots->incomplete.at[i]);
    return log;
}

static void put_about(struct writing *w, const char *log)
{
    const struct lg_target *target = w->source->target;
    const char *path = target->path ? target->path : "", *base = strrchr(path, '/');
    const uint64_t epoch = UINT64_C(62135596800); // Seconds from year 1 to 1970.
    struct sink *sink = &w->sink;
    put_string(sink, log);
    put_u64(sink,
            (epoch + (uint64_t)target->taken.tv_sec) * 10000000 + (uint64_t)target->taken.tv_nsec / 100);
    put_string(sink, ""); // Machine.
    put_string(sink, base ? base + 1 : path);
    put_u32(sink, (uint32_t)target->pid);
    put_u64(sink, 0); // Committed, working set: unknown.
    put_u64(sink, 0);
    put_u32(sink, 0); // No type is sampled.
}

static void put_file(struct writing *w, const char *log)
{
    const float one = 1;
    struct sink *sink = &w->sink;
    put(sink, LG_GCDUMP_MAGIC, sizeof(LG_GCDUMP_MAGIC) - 1);
    begin(sink, "GCHeapDump", 10, 8);
    put_graph(w);
    put_u8(sink, 1); // 64 bits.
    put(sink, &one, sizeof(one));
    put(sink, &one, sizeof(one));
    put_u8(sink, LG_FAST_NULL); // No JavaScript.
    put_segments(w);
    put_about(w, log);
    put_u8(sink, LG_FAST_SKIP);
    put_u32(sink, 0);
    put_u8(sink, LG_FAST_NULL); // Nothing of COM.
    uint32_t forward = (uint32_t)sink->len;
    put_u8(sink, LG_FAST_STRING);
    put_string(sink, w->source->tool);
    put_u8(sink, LG_FAST_END);
    put_u8(sink, LG_FAST_END);
    uint32_t table = (uint32_t)sink->len;
    put_u32(sink, 1);
    put_u32(sink, forward);
    uint32_t last = (uint32_t)sink->len;
    put_u32(sink, table);
    put_u32(sink, last);
    flush(sink);
}

static struct lg_error *write_file(struct writing *w, const char *path, struct lg_export_figures *ret)
{
    _cleanup_(lg_new_file_freep) struct lg_new_file *file = NULL;
    const char *log = make_log(w, ret);
    if (!log)
        return &lg_no_memory;
    put_nodes(w);
    if (!w->sink.err && w->blob > INT_MAX)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "its nodes would take %llu bytes; a .gcdump holds at most %d",
                            (unsigned long long)w->blob, INT_MAX);
    struct lg_error *err = lg_steal(w->sink.err);
    if (!err)
        err = lg_new_file_create(path, &file);
    if (err)
        return err;
    w->sink.used = 0;
    w->sink.len = 0;
    w->sink.file = file;
    put_file(w, log);
    err = lg_steal(w->sink.err);
    if (!err && w->sink.len > UINT32_MAX)
        err = lg_error_new(LG_ERR_UNSUPPORTED, "a .gcdump holds at most 4 GiB");
    if (!err)
        err = lg_new_file_finish(file);
    ret->size = w->sink.len;
    ret->clamped = w->clamped;
    return err;
}

struct lg_error *lg_export_gcdump(const struct lg_export_source *source, const char *path,
                                  struct lg_export_figures *ret)
{
    _cleanup_free_ struct writing *w = calloc(1, sizeof(*w));
    if (!w)
        return &lg_no_memory;
    w->source = source;
    w->clr = lg_heap_clr(source->reach->graph->heap);
    struct lg_error *err = count_live(source, ret);
    if (!err)
        err = find_holdings(source, &w->arena, &w->holdings);
    if (!err)
        err = number_nodes(w);
    if (!err)
        err = number_types(w);
    if (!err)
        err = write_file(w, path, ret);
    writing_deinit(w);
    return err;
}
