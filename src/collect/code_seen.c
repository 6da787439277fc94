#include "collect/code_seen.h"

#include <string.h>

enum {
    METHOD_LOAD = 143,
    METHOD_UNLOAD = 144,
    RUNDOWN_METHOD = 144,
    RUNDOWN_MAP = 150,
    RUNDOWN_MODULE = 154,
    CODES_MAX = 4 << 20,
    MAPS_MAX = 32 << 20
};

static const char *keep_text(struct lg_codes *codes, struct lg_reader *r)
{
    char text[2048];
    lg_read_wide_text(r, text, sizeof(text));
    return lg_arena_copy(&codes->names, text, strlen(text));
}

// MethodLoadVerbose and its kin: id, module, start, size, token, flags, type, name, signature.
static struct lg_error *read_method(struct lg_codes *codes, const struct lg_event *event,
                                    struct lg_code_seen *ret)
{
    struct lg_reader r = lg_event_payload(event);
    *ret = (struct lg_code_seen){ .method_desc = lg_read_u64(&r), .until = UINT64_MAX };
    ret->module = lg_read_u64(&r);
    ret->start = lg_read_u64(&r);
    ret->size = lg_read_u32(&r);
    ret->token = lg_read_u32(&r);
    lg_read_u32(&r); // flags
    ret->type = keep_text(codes, &r);
    ret->name = keep_text(codes, &r);
    ret->signature = keep_text(codes, &r);
    ret->order = codes->all.len;
    if (r.failed)
        ret->size = 0;
    return ret->type && ret->name && ret->signature ? NULL : &lg_no_memory;
}

static struct lg_error *add(struct lg_codes *codes, const struct lg_code_seen *code)
{
    codes->is_sorted = false;
    if (code->size == 0 || codes->all.len >= CODES_MAX)
        return NULL;
    return lg_vec_push(&codes->all, *code) ? NULL : &lg_no_memory;
}

static struct lg_error *loaded(struct lg_codes *codes, const struct lg_event *event)
{
    struct lg_code_seen code;
    struct lg_error *err = read_method(codes, event, &code);
    code.from = event->time;
    return err ? err : add(codes, &code);
}

static struct lg_error *unloaded(struct lg_codes *codes, const struct lg_event *event)
{
    struct lg_code_seen code;
    struct lg_error *err = read_method(codes, event, &code);
    code.until = event->time;
    for (size_t i = codes->all.len; !err && i-- > 0;) {
        struct lg_code_seen *seen = &codes->all.at[i];
        if (seen->start == code.start && seen->until == UINT64_MAX) {
            seen->until = event->time;
            return NULL;
        }
    }
    return err ? err : add(codes, &code);
}

// Of the rundown. One that was seen to come is here for the second time: only its map is new.
static struct lg_error *present(struct lg_codes *codes, const struct lg_event *event)
{
    struct lg_code_seen code;
    struct lg_error *err = read_method(codes, event, &code);
    if (!err && code.method_desc == codes->map_method && event->capture_thread == codes->map_thread) {
        code.map = codes->map;
        code.map_count = codes->map_count;
    }
    codes->map_method = 0;
    return err ? err : add(codes, &code);
}

// MethodILToNativeMap: id, rejit id, extents, count, IL offsets, native offsets, instance, version of
// the IL. It comes before its method. Offsets of IL that a profiler has put there mean nothing to
// anybody.
static struct lg_error *read_map(struct lg_codes *codes, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    codes->map_method = lg_read_u64(&r);
    codes->map_thread = event->capture_thread;
    lg_read_bytes(&r, 9);
    uint32_t count = lg_read_u16(&r);
    const uint8_t *il = lg_read_bytes(&r, count * 4), *native = lg_read_bytes(&r, count * 4);
    codes->map = (uint32_t)codes->maps.len;
    codes->map_count = 0;
    struct lg_reader rest = r;
    lg_read_u16(&rest);
    if (lg_read_u64(&rest) != 0)
        return NULL;
    if (r.failed || codes->maps.len + count > MAPS_MAX)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct lg_code_map map;
        memcpy(&map.il, il + i * 4, 4);
        memcpy(&map.native, native + i * 4, 4);
        if (!lg_vec_push(&codes->maps, map))
            return &lg_no_memory;
    }
    codes->map_count = count;
    return NULL;
}

// id, assembly, flags, reserved, path of the IL, of the native image, instance, GUID of the PDB, …
static struct lg_error *read_module(struct lg_codes *codes, const struct lg_event *event)
{
    struct lg_reader r = lg_event_payload(event);
    struct lg_code_module module = { .id = lg_read_u64(&r) };
    lg_read_bytes(&r, 16); // assembly, flags, reserved
    module.path = keep_text(codes, &r);
    if (r.failed)
        return NULL;
    char native[8];
    lg_read_wide_text(&r, native, sizeof(native));
    lg_read_u16(&r);
    const void *pdb = lg_read_bytes(&r, sizeof(module.pdb));
    if (pdb)
        memcpy(module.pdb, pdb, sizeof(module.pdb));
    return module.path && lg_vec_push(&codes->modules, module) ? NULL : &lg_no_memory;
}

struct lg_error *lg_codes_event(struct lg_codes *codes, const struct lg_event *event)
{
    uint32_t id = event->kind->id;
    if (event->kind->provider == LG_PROVIDER_RUNTIME)
        return id == METHOD_LOAD     ? loaded(codes, event)
               : id == METHOD_UNLOAD ? unloaded(codes, event)
                                     : NULL;
    if (event->kind->provider != LG_PROVIDER_RUNDOWN)
        return NULL;
    return id == RUNDOWN_METHOD   ? present(codes, event)
           : id == RUNDOWN_MAP    ? read_map(codes, event)
           : id == RUNDOWN_MODULE ? read_module(codes, event)
                                  : NULL;
}

static int by_start(const void *a, const void *b)
{
    const struct lg_code_seen *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

// What the rundown tells of code that was seen to come is put to that.
static void sort(struct lg_codes *codes)
{
    size_t kept = 0;
    if (codes->all.len)
        qsort(codes->all.at, codes->all.len, sizeof(*codes->all.at), by_start);
    for (size_t i = 0; i < codes->all.len; i++) {
        const struct lg_code_seen *code = &codes->all.at[i];
        struct lg_code_seen *last = kept ? &codes->all.at[kept - 1] : NULL;
        bool again = last && last->start == code->start && last->method_desc == code->method_desc
                     && last->until == UINT64_MAX && code->from == 0 && code->until == UINT64_MAX;
        if (again && code->map_count) {
            last->map = code->map;
            last->map_count = code->map_count;
        }
        if (!again)
            codes->all.at[kept++] = *code;
    }
    codes->all.len = kept;
    codes->is_sorted = true;
}

const struct lg_code_seen *lg_codes_find(struct lg_codes *codes, uint64_t ip, uint64_t first,
                                         uint64_t last)
{
    enum { LOOK_BACK = 64 };
    if (!codes->is_sorted)
        sort(codes);
    size_t low = 0, high = codes->all.len;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (codes->all.at[mid].start < ip) // A return address may be just behind its method.
            low = mid + 1;
        else
            high = mid;
    }
    // Code of other times may lie across, and begin nearer.
    const struct lg_code_seen *found = NULL;
    for (size_t i = low, n = 0; i-- > 0 && n < LOOK_BACK; n++) {
        const struct lg_code_seen *code = &codes->all.at[i];
        bool covers = ip - 1 - code->start < code->size,
             overlaps = code->from <= last && code->until >= first;
        if (!covers || !overlaps)
            continue;
        if (found || code->from > first || code->until < last)
            return NULL;
        found = code;
    }
    return found;
}

uint32_t lg_codes_il(const struct lg_codes *codes, const struct lg_code_seen *code, uint64_t ip)
{
    uint32_t offset = (uint32_t)(ip - 1 - code->start), best = 0, il = UINT32_MAX;
    for (uint32_t i = 0; i < code->map_count; i++) {
        const struct lg_code_map *map = &codes->maps.at[code->map + i];
        if (map->native <= offset && map->native >= best) {
            best = map->native;
            il = map->il;
        }
    }
    return il >= 0xfffffffd ? UINT32_MAX : il;
}

const struct lg_code_module *lg_codes_module(const struct lg_codes *codes, uint64_t module)
{
    for (size_t i = 0; i < codes->modules.len; i++) {
        if (codes->modules.at[i].id == module)
            return &codes->modules.at[i];
    }
    return NULL;
}

void lg_codes_deinit(struct lg_codes *codes)
{
    lg_vec_free(&codes->all);
    lg_vec_free(&codes->modules);
    lg_vec_free(&codes->maps);
    lg_arena_free(&codes->names);
}
