// Which static field a slot belongs to.
//
//     MethodTable.AuxiliaryData - 24   DynamicStaticsInfo { GC base, non-GC base }    (contracts.c)
//                               - 40   ThreadStaticsInfo { non-GC index, GC index }
//     Thread.ThreadLocalDataPtr -> ThreadLocalData { counts, Object[] of Object[], handles of Object[],
//                                  in-flight list }
//
// A static's slot is GC base + its FieldDesc's offset, and lies in the middle of a pinned Object[]. A
// thread static's is the entry of its type's index + offset, and the entry is an Object[]. Where the
// descriptor does not tell of these, the DAC gives the bases, of each type and thread.
#include <string.h>

#include "clr/sources.h"
#include "clr/told.h"
#include "util/search.h"

enum {
    SLOTS_MAX = 1 << 24,
    TLS_NONCOLLECTIBLE = 0, // TLSIndex: type << 24 | index
    TLS_COLLECTIBLE = 1,
    TLS_ENTRIES_MAX = 1 << 16,
    IN_FLIGHT_MAX = 1 << 12,
    GONE = 0xc00, // lg_managed_thread.state: dead, or not started
};

// A type whose statics some threads have.
struct tls_type {
    uint64_t mt;
    uint32_t index;
    struct lg_mt head;
    struct lg_own_fields fields; // statics only; owned
};

struct lg_static_list {
    LG_VEC(struct lg_static) all;
    LG_VEC(struct lg_thread_root) roots;
    bool read, roots_read;
    uint32_t type_count; // How many types were known when it was read.
    size_t gaps;         // Types, modules and threads that could not be read.
    bool is_noted;       // They have been told.
};

struct survey {
    struct lg_clr *clr;
    struct lg_static_list *list;
    struct lg_map seen;     // method tables
    struct lg_map instance; // method table -> its number of instance fields
    LG_VEC(struct tls_type) tls;
    LG_VEC(uint64_t) more; // base classes to look at
    uint32_t thread_info_size;
    bool no_memory;
    size_t cut_modules;     // Modules whose types could not all be listed.
    size_t cut_threads;     // Threads whose thread statics could not all be read.
    size_t unanswered;      // What the DAC was asked for in vain.
    size_t unread;          // Types whose statics are unknown, and
    struct lg_error *first; // why, of the first.
};

static void survey_deinit(struct survey *s)
{
    for (size_t i = 0; i < s->tls.len; i++)
        free(s->tls.at[i].fields.at);
    lg_vec_free(&s->tls);
    lg_vec_free(&s->more);
    lg_map_free(&s->seen);
    lg_map_free(&s->instance);
    lg_error_free(s->first);
}

static void add_slot(struct survey *s, const struct lg_static *slot)
{
    if (s->list->all.len >= SLOTS_MAX || !lg_vec_push(&s->list->all, *slot))
        s->no_memory = true;
}

// ---- types ----

static uint16_t instance_fields(struct survey *s, uint64_t mt)
{
    struct lg_mt m;
    struct lg_class c;
    uint32_t n = 0;
    if (mt == 0 || lg_map_get(&s->instance, mt, &n))
        return (uint16_t)n;
    if (lg_mt_read_head(s->clr, mt, &m) && lg_class_read(s->clr, mt, &m, &c))
        n = c.instance;
    if (!lg_map_put(&s->instance, mt, n))
        s->no_memory = true;
    return (uint16_t)n;
}

static uint32_t read_tls_index(struct survey *s, const struct lg_mt *m)
{
    const struct lg_offsets *off = &s->clr->off;
    uint32_t index = 0;
    if (s->clr->from.thread_base)
        return 1; // It knows without.
    if (s->thread_info_size == 0 || off->ThreadStaticsInfo_GCTlsIndex == LG_NO_OFFSET
        || !lg_target_u32(s->clr->target,
                          m->auxiliary - s->thread_info_size + off->ThreadStaticsInfo_GCTlsIndex, &index)
        || index == UINT32_MAX)
        return 0;
    return index & 0xffffff ? index : 0;
}

static void add_statics(struct survey *s, uint64_t mt, const struct lg_mt *m, uint64_t gc,
                        const struct lg_own_fields *fields)
{
    const struct lg_metadata *md = lg_module_metadata(s->clr, m->module);
    for (size_t i = 0; i < fields->count; i++) {
        const struct lg_field_desc *f = &fields->at[i];
        if (!f->is_static || f->is_thread_static || f->is_rva || !lg_field_is_gc(f)
            || f->offset > LG_FIELD_OFFSET_LAST)
            continue;
        struct lg_static slot = {
            .slot = gc + f->offset,
            .mt = mt,
            .field = lg_field_name(s->clr, md, f->rid),
            .token = 0x04000000 | f->rid,
            .element = f->element,
        };
        add_slot(s, &slot);
    }
}

static void keep_error(struct survey *s, struct lg_error *err)
{
    s->unread++;
    if (err == &lg_no_memory)
        s->no_memory = true;
    else if (!s->first)
        s->first = err;
    else
        lg_error_free(err);
}

// Reads the static fields of a type that has some, and files them where its slots are.
static void survey_class(struct survey *s, uint64_t mt, const struct lg_mt *m)
{
    struct lg_class c;
    if (!lg_class_read(s->clr, mt, m, &c) || c.mt != m->canonical || c.statics == 0)
        return;
    uint64_t gc = c.statics > c.thread_statics ? lg_static_bases_read(s->clr, mt, m).gc : 0;
    uint32_t index = c.thread_statics ? read_tls_index(s, m) : 0;
    if (!gc && !index)
        return;
    struct lg_own_fields fields;
    struct lg_error *err =
        lg_field_descs_read(s->clr, m, &c, instance_fields(s, m->parent), true, &fields);
    if (err) {
        keep_error(s, err);
        return;
    }
    if (gc)
        add_statics(s, mt, m, gc, &fields);
    if (index && lg_vec_push(&s->tls, (struct tls_type){ mt, index, *m, fields }))
        return;
    s->no_memory |= index != 0;
    free(fields.at);
}

static void survey_type(struct survey *s, uint64_t mt)
{
    struct lg_mt m;
    uint32_t once;
    if ((mt & 7) || lg_map_get(&s->seen, mt, &once))
        return;
    if (!lg_map_put(&s->seen, mt, 1))
        s->no_memory = true;
    if (!lg_mt_read_head(s->clr, mt, &m) || lg_mt_is_array(&m))
        return;
    if (m.parent && !lg_map_get(&s->seen, m.parent, &once) && !lg_vec_push(&s->more, m.parent))
        s->no_memory = true;
    if (s->clr->from.may_have_statics(&m))
        survey_class(s, mt, &m);
}

static void each_type(void *data, uint32_t rid, uint64_t handle)
{
    struct survey *s = data;
    if (!s->no_memory)
        survey_type(s, handle);
}

static struct lg_error *survey_types(struct survey *s)
{
    const struct lg_module *const *modules;
    size_t count;
    struct lg_error *err = lg_clr_modules(s->clr, &modules, &count);
    if (err)
        return err;
    for (size_t i = 0; i < count; i++) {
        bool types = lg_module_types(s->clr, modules[i]->address, each_type, s);
        bool instantiations = lg_module_instantiations(s->clr, modules[i]->address, each_type, s)
                              || !s->clr->from.module_instantiations;
        s->cut_modules += !types || !instantiations;
    }
    for (uint32_t id = 0; id < lg_clr_type_count(s->clr); id++) {
        each_type(s, 0, lg_clr_type_at(s->clr, id)->mt);
        s->list->type_count = id + 1;
    }
    while (s->more.len > 0)
        each_type(s, 0, s->more.at[--s->more.len]);
    return s->no_memory ? &lg_no_memory : NULL;
}

// ---- threads ----

// What one thread has for thread statics.
struct tls {
    const struct lg_managed_thread *thread;
    uint64_t entries[TLS_ENTRIES_MAX]; // of the non-collectible Object[], from index 0 of a TLSIndex
    uint32_t count;
    uint64_t handles, in_flight;
    uint32_t handle_count;
    bool is_cut; // There are entries that cannot be read.
};

static uint64_t object_of_handle(struct lg_clr *clr, uint64_t handle)
{
    uint64_t object = 0;
    handle &= ~UINT64_C(1);
    return handle && lg_target_u64(clr->target, handle, &object) ? object : 0;
}

// Thread statics lie in Object[]s and nowhere else: what is none is not followed.
static bool is_object_array(struct lg_clr *clr, uint64_t object)
{
    uint64_t mt;
    return object && (object & 7) == 0 && lg_target_u64(clr->target, object, &mt)
           && (mt & clr->info.mt_mask) == clr->info.object_array_mt;
}

// The count counts the first, unused indices too, and the array has no room for them (reference clr.md
// D.6): index i is element i - unused. False if there are some that cannot be read.
static bool read_entries(struct lg_clr *clr, uint64_t array, uint32_t count, struct tls *tls)
{
    uint64_t unused, data_offset;
    tls->count = 0;
    if (!lg_descriptor_global(clr->descriptor, "NumberOfTlsOffsetsNotUsedInNoncollectibleArray", &unused)
        || !lg_descriptor_global(clr->descriptor, "PtrArrayOffsetToDataArray", &data_offset)
        || unused > 64 || data_offset > 64)
        return count == 0;
    if (count <= unused)
        return true;
    if (count > TLS_ENTRIES_MAX || !is_object_array(clr, array))
        return false;
    memset(tls->entries, 0, unused * sizeof(*tls->entries));
    if (!lg_target_read_all(clr->target, array + data_offset, tls->entries + unused,
                            (count - unused) * sizeof(*tls->entries)))
        return false;
    tls->count = count;
    return true;
}

static uint64_t thread_local_data(struct lg_clr *clr, const struct lg_managed_thread *thread)
{
    uint64_t data;
    lg_clr_u64(clr, thread->address, clr->off.Thread_ThreadLocalDataPtr, &data);
    return data;
}

static bool read_tls(struct lg_clr *clr, const struct lg_managed_thread *thread, struct tls *tls)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t data = thread_local_data(clr, thread), array;
    uint32_t count;
    tls->thread = thread;
    if (!data)
        return false;
    lg_clr_u64(clr, data, off->ThreadLocalData_NonCollectibleTlsArrayData, &array);
    lg_clr_u32(clr, data, off->ThreadLocalData_NonCollectibleTlsDataCount, &count);
    lg_clr_u64(clr, data, off->ThreadLocalData_CollectibleTlsArrayData, &tls->handles);
    lg_clr_u32(clr, data, off->ThreadLocalData_CollectibleTlsDataCount, &tls->handle_count);
    lg_clr_u64(clr, data, off->ThreadLocalData_InFlightData, &tls->in_flight);
    tls->is_cut = !read_entries(clr, array, count, tls);
    return true;
}

struct in_flight {
    uint32_t index;
    uint64_t data; // TLSData: of .NET 9 and 10 a handle
};

static bool next_in_flight(struct lg_clr *clr, uint64_t *node, struct in_flight *ret)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t at = *node;
    return at && lg_clr_u32(clr, at, off->InFlightTLSData_TlsIndex, &ret->index)
           && lg_clr_u64(clr, at, off->InFlightTLSData_TLSData, &ret->data)
           && lg_clr_u64(clr, at, off->InFlightTLSData_Next, node);
}

// The Object[] of an in-flight entry, through its handle (dotnet/runtime
// src/coreclr/vm/threadstatics.cpp, hTLSData; measured on 10.0.12) or, as before that,
// directly.
static uint64_t in_flight_object(struct lg_clr *clr, const struct in_flight *entry, bool *direct_ret)
{
    uint64_t object = object_of_handle(clr, entry->data);
    *direct_ret = false;
    if (is_object_array(clr, object))
        return object;
    *direct_ret = is_object_array(clr, entry->data);
    return *direct_ret ? entry->data : 0;
}

static uint64_t find_in_flight(struct lg_clr *clr, const struct tls *tls, uint32_t index)
{
    uint64_t node = tls->in_flight;
    struct in_flight entry;
    bool direct;
    for (unsigned i = 0; i < IN_FLIGHT_MAX && next_in_flight(clr, &node, &entry); i++) {
        if (entry.index == index)
            return in_flight_object(clr, &entry, &direct);
    }
    return 0;
}

// The Object[] that holds one type's GC thread statics on one thread; 0: none yet.
static uint64_t find_entry(struct lg_clr *clr, const struct tls *tls, uint32_t raw_index)
{
    uint32_t kind = raw_index >> 24, i = raw_index & 0xffffff;
    uint64_t object = 0, handle;
    if (kind == TLS_NONCOLLECTIBLE && i < tls->count)
        object = tls->entries[i];
    else if (kind == TLS_COLLECTIBLE && i < tls->handle_count
             && lg_target_u64(clr->target, tls->handles + 8 * (uint64_t)i, &handle))
        object = object_of_handle(clr, handle);
    if (!object)
        object = find_in_flight(clr, tls, raw_index);
    return is_object_array(clr, object) ? object : 0;
}

static void add_thread_statics(struct survey *s, const struct tls_type *type, uint64_t entry,
                               const struct lg_managed_thread *thread)
{
    const struct lg_metadata *md = lg_module_metadata(s->clr, type->head.module);
    for (size_t i = 0; i < type->fields.count; i++) {
        const struct lg_field_desc *f = &type->fields.at[i];
        if (!f->is_thread_static || !lg_field_is_gc(f) || f->offset > LG_FIELD_OFFSET_LAST)
            continue;
        struct lg_static slot = {
            .slot = entry + f->offset, // counts from the entry's start, not from its first element
            .mt = type->mt,
            .field = lg_field_name(s->clr, md, f->rid),
            .token = 0x04000000 | f->rid,
            .element = f->element,
            .thread = thread,
        };
        add_slot(s, &slot);
    }
}

static struct lg_error *ask_for_threads(struct survey *s, const struct lg_managed_thread *threads,
                                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (threads[i].state & GONE)
            continue;
        for (size_t t = 0; t < s->tls.len && !s->no_memory; t++) {
            const struct tls_type *type = &s->tls.at[t];
            uint64_t base = s->clr->from.thread_base(s->clr, type->mt, &threads[i]);
            if (base)
                add_thread_statics(s, type, base, &threads[i]);
        }
    }
    return s->no_memory ? &lg_no_memory : NULL;
}

static struct lg_error *survey_threads(struct survey *s)
{
    const struct lg_managed_thread *threads;
    size_t count;
    _cleanup_free_ struct tls *tls = s->tls.len ? malloc(sizeof(*tls)) : NULL;
    struct lg_error *err = lg_clr_threads(s->clr, &threads, &count);
    if (err || s->tls.len == 0)
        return err;
    if (!tls)
        return &lg_no_memory;
    if (s->clr->from.thread_base)
        return ask_for_threads(s, threads, count);
    for (size_t i = 0; i < count; i++) {
        if (!read_tls(s->clr, &threads[i], tls))
            continue;
        s->cut_threads += tls->is_cut;
        for (size_t t = 0; t < s->tls.len && !s->no_memory; t++) {
            uint64_t entry = find_entry(s->clr, tls, s->tls.at[t].index);
            if (entry)
                add_thread_statics(s, &s->tls.at[t], entry, &threads[i]);
        }
    }
    return s->no_memory ? &lg_no_memory : NULL;
}

// ---- the list ----

static int by_slot(const void *a, const void *b)
{
    const struct lg_static *x = a, *y = b;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return (x->mt > y->mt) - (x->mt < y->mt);
}

// One owner per slot.
static void sort_slots(struct lg_static_list *list)
{
    size_t kept = 0;
    if (list->all.len > 0)
        qsort(list->all.at, list->all.len, sizeof(*list->all.at), by_slot);
    for (size_t i = 0; i < list->all.len; i++) {
        if (kept == 0 || list->all.at[kept - 1].slot != list->all.at[i].slot)
            list->all.at[kept++] = list->all.at[i];
    }
    list->all.len = kept;
}

static void tell_gaps(const struct survey *s)
{
    if (s->unread > 0)
        lg_target_note(s->clr->target, "The statics of %zu types could not be read: %s.", s->unread,
                       s->first ? lg_error_message(s->first) : "out of memory");
    if (s->cut_modules > 0)
        lg_target_note(s->clr->target,
                       "The types of %zu modules could not all be listed: statics may be missing.",
                       s->cut_modules);
    if (s->cut_threads > 0)
        lg_target_note(s->clr->target, "The thread statics of %zu threads could not be read.",
                       s->cut_threads);
    if (s->unanswered > 0)
        lg_target_note(s->clr->target,
                       "The DAC has left %zu questions unanswered: statics may be missing.",
                       s->unanswered);
}

static struct lg_error *read_statics(struct lg_clr *clr, struct lg_static_list *list)
{
    _cleanup_(survey_deinit) struct survey s = {
        .clr = clr,
        .list = list,
        .thread_info_size = lg_clr_size(clr, "ThreadStaticsInfo"),
    };
    if (!clr->from.static_bases || !clr->from.class || !clr->from.modules) {
        list->gaps = 1; // Opening has said why.
        list->read = true;
        return NULL;
    }
    list->all.len = 0;
    size_t unanswered = lg_told_unanswered(clr);
    struct lg_error *err = survey_types(&s);
    if (!err)
        err = survey_threads(&s);
    s.unanswered = lg_told_unanswered(clr) - unanswered;
    s.cut_threads += lg_thread_data_missing(clr);
    if (!err && list->all.len == 0 && s.first)
        err = lg_steal(s.first);
    if (err)
        return lg_error_context(err, "statics");
    list->gaps = s.unread + s.cut_modules + s.cut_threads + s.unanswered + clr->modules_lost;
    if (list->gaps > 0 && !list->is_noted)
        tell_gaps(&s);
    list->is_noted |= list->gaps > 0;
    sort_slots(list);
    list->read = true;
    return NULL;
}

static struct lg_error *get_list(struct lg_clr *clr, struct lg_static_list **ret)
{
    if (!clr->statics && !(clr->statics = calloc(1, sizeof(*clr->statics))))
        return &lg_no_memory;
    *ret = clr->statics;
    return NULL;
}

struct lg_error *lg_clr_statics(struct lg_clr *clr, const struct lg_static **ret, size_t *count_ret)
{
    struct lg_static_list *list = NULL;
    struct lg_error *err = get_list(clr, &list);
    if (!err && !list->read)
        err = read_statics(clr, list);
    if (err)
        return err;
    *ret = list->all.at;
    *count_ret = list->all.len;
    return NULL;
}

struct lg_error *lg_clr_statics_put(struct lg_clr *clr, const struct lg_static *statics, size_t count,
                                    const struct lg_thread_root *roots, size_t root_count,
                                    bool are_whole)
{
    struct lg_static_list *list = NULL;
    struct lg_error *err = get_list(clr, &list);
    bool ok = !err;
    for (size_t i = 0; i < count && ok; i++)
        ok = lg_vec_push(&list->all, statics[i]);
    for (size_t i = 0; i < root_count && ok; i++)
        ok = lg_vec_push(&list->roots, roots[i]);
    if (!ok)
        return &lg_no_memory;
    sort_slots(list);
    list->gaps = !are_whole;
    list->is_noted = list->read = list->roots_read = true;
    return NULL;
}

bool lg_clr_statics_are_whole(const struct lg_clr *clr)
{
    return clr->statics && clr->statics->read && clr->statics->gaps == 0;
}

void lg_clr_statics_renew(struct lg_clr *clr)
{
    if (clr->statics && !clr->stored && clr->statics->type_count != lg_clr_type_count(clr))
        clr->statics->read = false;
}

const struct lg_static *lg_clr_static_at(struct lg_clr *clr, uint64_t address)
{
    if (!clr->statics || clr->statics->all.len == 0)
        return NULL;
    const struct lg_static *at = clr->statics->all.at;
    size_t low = lg_first_not(clr->statics->all.len, i, at[i].slot < address);
    return low < clr->statics->all.len && at[low].slot == address ? &at[low] : NULL;
}

// ---- what threads keep beside the named slots ----

static struct lg_error *add_root(struct lg_static_list *list, uint64_t slot, uint64_t object,
                                 const struct lg_managed_thread *thread)
{
    if (object == 0)
        return NULL;
    struct lg_thread_root root = { slot, object, thread };
    return lg_vec_push(&list->roots, root) ? NULL : &lg_no_memory;
}

static struct lg_error *add_thread_roots(struct lg_clr *clr, struct lg_static_list *list,
                                         const struct lg_managed_thread *thread)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t data = thread_local_data(clr, thread), array, node;
    struct in_flight entry;
    if (!data)
        return NULL;
    lg_clr_u64(clr, data, off->ThreadLocalData_NonCollectibleTlsArrayData, &array);
    struct lg_error *err =
        add_root(list, data + off->ThreadLocalData_NonCollectibleTlsArrayData, array, thread);
    lg_clr_u64(clr, data, off->ThreadLocalData_InFlightData, &node);
    for (unsigned i = 0; !err && i < IN_FLIGHT_MAX; i++) {
        uint64_t at = node;
        bool direct;
        if (!next_in_flight(clr, &node, &entry))
            break;
        uint64_t object = in_flight_object(clr, &entry, &direct); // By handle: the handle is the root.
        err = add_root(list, at + off->InFlightTLSData_TLSData, direct ? object : 0, thread);
    }
    return err;
}

struct lg_error *lg_clr_thread_roots(struct lg_clr *clr, const struct lg_thread_root **ret,
                                     size_t *count_ret)
{
    const struct lg_managed_thread *threads;
    struct lg_static_list *list = NULL;
    size_t count = 0;
    struct lg_error *err = get_list(clr, &list);
    if (!err && !list->roots_read)
        err = lg_clr_threads(clr, &threads, &count);
    if (!err && !list->roots_read)
        list->roots.len = 0;
    for (size_t i = 0; !err && i < count; i++)
        err = add_thread_roots(clr, list, &threads[i]);
    if (err)
        return err;
    list->roots_read = true;
    *ret = list->roots.at;
    *count_ret = list->roots.len;
    return NULL;
}

void lg_clr_statics_close(struct lg_clr *clr)
{
    if (!clr->statics)
        return;
    lg_vec_free(&clr->statics->all);
    lg_vec_free(&clr->statics->roots);
    free(clr->statics);
    clr->statics = NULL;
}
