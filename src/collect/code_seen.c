#include "collect/code_seen.h"

#include <string.h>

enum {
    METHOD_LOAD_SHORT = 141,
    METHOD_UNLOAD_SHORT = 142,
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

// MethodLoadVerbose and its kin: id, module, start, size, token, flags, type, name, signature. Below the
// level Verbose the three texts are told of generic and dynamic methods only, in events of other ids.
static struct lg_error *read_method(struct lg_codes *codes, const struct lg_event *event,
                                    struct lg_code_seen *ret)
{
    struct lg_reader r = lg_event_payload(event);
    bool is_short = event->kind->id == METHOD_LOAD_SHORT || event->kind->id == METHOD_UNLOAD_SHORT;
    *ret = (struct lg_code_seen){ .method_desc = lg_read_u64(&r), .until = UINT64_MAX };
    ret->module = lg_read_u64(&r);
    ret->start = lg_read_u64(&r);
    ret->size = lg_read_u32(&r);
    ret->token = lg_read_u32(&r);
    lg_read_u32(&r); // flags
    ret->type = is_short ? NULL : keep_text(codes, &r);
    ret->name = is_short ? NULL : keep_text(codes, &r);
    ret->signature = is_short ? NULL : keep_text(codes, &r);
    if (r.failed)
        ret->size = 0;
    return is_short || (ret->type && ret->name && ret->signature) ? NULL : &lg_no_memory;
}

static struct lg_error *add(struct lg_codes *codes, const struct lg_code_seen *code)
{
    codes->is_sorted = false;
    bool is_possible = code->size && code->start <= UINT64_MAX - code->size;
    if (!is_possible || codes->all.len >= CODES_MAX)
        return NULL;
    bool added = lg_map_put(&codes->last_at, code->start, (uint32_t)codes->all.len)
                 && lg_vec_push(&codes->all, *code);
    return added ? NULL : &lg_no_memory;
}

// What was told last of the code at a place, if it has not gone.
static struct lg_code_seen *going_on(struct lg_codes *codes, uint64_t start)
{
    uint32_t i;
    bool known = lg_map_get(&codes->last_at, start, &i);
    return known && codes->all.at[i].until == UINT64_MAX ? &codes->all.at[i] : NULL;
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
    struct lg_code_seen *seen = err ? NULL : going_on(codes, code.start);
    code.until = event->time;
    if (seen && seen->method_desc == code.method_desc) {
        seen->until = event->time;
        return NULL;
    }
    return err ? err : add(codes, &code);
}

// Of the rundown. Of one that was seen to come only the map is new, and perhaps its name.
static struct lg_error *present(struct lg_codes *codes, const struct lg_event *event)
{
    struct lg_code_seen code;
    struct lg_error *err = read_method(codes, event, &code);
    if (!err && code.method_desc == codes->map_method && event->capture_thread == codes->map_thread) {
        code.map = codes->map;
        code.map_count = codes->map_count;
    }
    codes->map_method = 0;
    code.is_at_end = true;
    struct lg_code_seen *seen = err ? NULL : going_on(codes, code.start);
    if (!seen || seen->method_desc != code.method_desc)
        return err ? err : add(codes, &code);
    seen->is_at_end = true;
    if (!seen->name) {
        seen->type = code.type;
        seen->name = code.name;
        seen->signature = code.signature;
    }
    if (code.map_count) {
        seen->map = code.map;
        seen->map_count = code.map_count;
    }
    return NULL;
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
    bool comes = id == METHOD_LOAD || id == METHOD_LOAD_SHORT;
    bool goes = id == METHOD_UNLOAD || id == METHOD_UNLOAD_SHORT;
    if (event->kind->provider == LG_PROVIDER_RUNTIME)
        return comes ? loaded(codes, event) : goes ? unloaded(codes, event) : NULL;
    if (event->kind->provider != LG_PROVIDER_RUNDOWN)
        return NULL;
    return id == RUNDOWN_METHOD   ? present(codes, event)
           : id == RUNDOWN_MAP    ? read_map(codes, event)
           : id == RUNDOWN_MODULE ? read_module(codes, event)
                                  : NULL;
}

void lg_codes_lost(struct lg_codes *codes, const struct lg_event_loss *loss)
{
    if (!codes->lost_until || loss->since < codes->lost_since)
        codes->lost_since = loss->since;
    if (loss->until > codes->lost_until)
        codes->lost_until = loss->until;
}

static int by_start(const void *a, const void *b, void *data)
{
    const struct lg_codes *codes = data;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    uint64_t x = codes->all.at[i].start, y = codes->all.at[j].start;
    return x != y ? (x < y ? -1 : 1) : i < j ? -1 : i > j;
}

static bool sort(struct lg_codes *codes)
{
    size_t count = codes->all.len;
    codes->by_start.len = codes->reach.len = 0;
    for (size_t i = 0; i < count; i++) {
        if (!lg_vec_push(&codes->by_start, (uint32_t)i))
            return false;
    }
    if (count)
        qsort_r(codes->by_start.at, count, sizeof(*codes->by_start.at), by_start, codes);
    for (size_t i = 0, end = 0; i < count; i++) {
        const struct lg_code_seen *code = &codes->all.at[codes->by_start.at[i]];
        uint64_t its_end = code->start + code->size;
        end = its_end > end ? its_end : end;
        if (!lg_vec_push(&codes->reach, end))
            return false;
    }
    codes->is_sorted = true;
    return true;
}

// Where in the order of starts a return address lies: it may be just behind its method.
static size_t starts_before(const struct lg_codes *codes, uint64_t ip)
{
    size_t low = 0, high = codes->by_start.len;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (codes->all.at[codes->by_start.at[mid]].start < ip)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

// When it was there at the latest, for sure: where events are not there, its end may be one of them.
static uint64_t until_of(const struct lg_codes *codes, const struct lg_code_seen *code)
{
    bool is_sure = code->until != UINT64_MAX || code->is_at_end || !codes->lost_until;
    return is_sure ? code->until : codes->lost_since;
}

// When it was there at the earliest, for sure: since what was there before it had gone, and that would
// have been told.
static uint64_t from_of(const struct lg_codes *codes, const struct lg_code_seen *code)
{
    bool is_before = code->from && code->from <= codes->lost_until;
    return is_before ? code->from : codes->lost_until;
}

// Code runs before its event is there: another thread finds it as soon as it is compiled, and the one
// that compiled it tells of it a little later (dotnet/runtime src/coreclr/vm/prestub.cpp,
// JitCompileCodeLocked). So a place belongs to the first code that was seen to go after `first`, or not
// to go, whenever that was told to come.
const struct lg_code_seen *lg_codes_find(struct lg_codes *codes, uint64_t ip, uint64_t first,
                                         uint64_t last)
{
    enum { LOOK_BACK = 256 };
    if (!codes->is_sorted && !sort(codes))
        return NULL;
    const struct lg_code_seen *found = NULL;
    bool is_alone = true;
    uint64_t next_from = UINT64_MAX, next_until = UINT64_MAX; // of the others
    for (size_t i = starts_before(codes, ip), n = 0; i-- > 0 && codes->reach.at[i] >= ip; n++) {
        const struct lg_code_seen *code = &codes->all.at[codes->by_start.at[i]];
        if (n == LOOK_BACK) // Too much has come and gone there.
            return NULL;
        if (ip - 1 - code->start >= code->size || until_of(codes, code) < first)
            continue;
        const struct lg_code_seen *other = code;
        if (!found || until_of(codes, code) < until_of(codes, found)) {
            other = found;
            found = code;
        }
        if (!other)
            continue;
        next_from = other->from < next_from ? other->from : next_from;
        next_until = until_of(codes, other) < next_until ? until_of(codes, other) : next_until;
        is_alone = false;
    }
    if (!found || until_of(codes, found) < last || from_of(codes, found) > first)
        return NULL;
    bool is_sure = is_alone || (next_from > last && next_until > until_of(codes, found));
    return is_sure && found->name ? found : NULL;
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
    lg_vec_free(&codes->by_start);
    lg_vec_free(&codes->reach);
    lg_map_free(&codes->last_at);
    lg_arena_free(&codes->names);
}
