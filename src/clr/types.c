// The method tables seen so far.
//
// Reading is lock-free: an open-addressing table of (method table, id), whose slots are written once, id
// first, and chunks of types that never move. Only adding takes the lock. A table that has grown is
// replaced, not freed: another thread may still be looking at it (all the old ones together are smaller
// than the new one).
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "clr/sources.h"
#include "clr/told.h"
#include "util/map.h"

enum {
    CHUNK = 1024,
    CHUNKS = 1024, // 2^20 types: more than that is damage
    BITS_FIRST = 10,
    SPAN_MAX = 256, // of what we read of a MethodTable or an EEClass
};

struct slot {
    _Atomic uint64_t mt; // 0: free
    _Atomic uint32_t id;
};
struct index {
    struct index *before; // The smaller one it took the place of.
    unsigned bits;
    struct slot slots[];
};

struct lg_type_table {
    _Atomic(struct index *) index;
    _Atomic uint32_t count;
    _Atomic(struct lg_type *) chunks[CHUNKS];
    pthread_mutex_t lock;
    uint32_t span, class_span; // bytes of a MethodTable, of an EEClass that are read
    struct lg_arena arena;
    struct lg_name_cache names;
    struct lg_instantiations *instantiations;
};

// ---- method tables ----

// Bytes to read for all of `fields` at once.
static uint32_t span_of(const uint32_t *fields, size_t count)
{
    uint32_t span = 0;
    for (size_t i = 0; i < count; i++) {
        if (fields[i] != LG_NO_OFFSET && fields[i] + 8 > span)
            span = fields[i] + 8;
    }
    return span;
}

static uint32_t head_span(const struct lg_offsets *off)
{
    const uint32_t fields[] = {
        off->MethodTable_MTFlags,     off->MethodTable_BaseSize,
        off->MethodTable_MTFlags2,    off->MethodTable_EEClassOrCanonMT,
        off->MethodTable_Module,      off->MethodTable_ParentMethodTable,
        off->MethodTable_PerInstInfo, off->MethodTable_AuxiliaryData,
    };
    return span_of(fields, sizeof(fields) / sizeof(*fields));
}

static uint32_t class_span(const struct lg_offsets *off)
{
    const uint32_t fields[] = {
        off->EEClass_MethodTable,     off->EEClass_FieldDescList,         off->EEClass_NumInstanceFields,
        off->EEClass_NumStaticFields, off->EEClass_NumThreadStaticFields,
    };
    return span_of(fields, sizeof(fields) / sizeof(*fields));
}

static uint32_t get_u32(const uint8_t *bytes, uint32_t offset)
{
    uint32_t v;
    memcpy(&v, bytes + offset, sizeof(v));
    return v;
}

static uint64_t get_u64(const uint8_t *bytes, uint32_t offset)
{
    uint64_t v = 0;
    if (offset != LG_NO_OFFSET)
        memcpy(&v, bytes + offset, sizeof(v));
    return v;
}

// What a method table does not tell of itself: before .NET 9 the module of a generic type is elsewhere,
// and row numbers have 16 bits, the last of which says that it is not enough.
static void ask_for_rest(struct lg_clr *clr, uint64_t mt, struct lg_mt *m)
{
    bool overflows = clr->rid_shift == 16 && m->rid == UINT16_MAX;
    bool elsewhere = clr->asks_for_modules && lg_mt_is_generic(m);
    const struct lg_dac_type *told = overflows || elsewhere ? lg_told_type(clr, mt) : NULL;
    if (overflows)
        m->rid = told ? told->token & 0xffffff : 0;
    if (elsewhere)
        m->module = told ? told->module : 0;
}

bool lg_mt_read_head(struct lg_clr *clr, uint64_t mt, struct lg_mt *ret)
{
    const struct lg_offsets *off = &clr->off;
    uint8_t head[SPAN_MAX];
    if (clr->stored || mt == 0 || (mt & 7)
        || !lg_target_read_all(clr->target, mt, head, clr->types->span))
        return false;
    *ret = (struct lg_mt){
        .flags = get_u32(head, off->MethodTable_MTFlags),
        .base_size = get_u32(head, off->MethodTable_BaseSize),
        .flags2 = get_u32(head, off->MethodTable_MTFlags2),
        .ee_class = get_u64(head, off->MethodTable_EEClassOrCanonMT),
        .module = get_u64(head, off->MethodTable_Module),
        .parent = get_u64(head, off->MethodTable_ParentMethodTable),
        .per_inst_info = get_u64(head, off->MethodTable_PerInstInfo),
        .auxiliary = get_u64(head, off->MethodTable_AuxiliaryData),
    };
    ret->rid = ret->flags2 >> clr->rid_shift;
    ret->canonical = mt;
    // Tagged in bit 0 (in bit 1 before .NET 9): the canonical method table, which has the EEClass.
    if (ret->ee_class & 3) {
        ret->canonical = ret->ee_class & ~UINT64_C(3);
        return lg_target_u64(clr->target, ret->canonical + off->MethodTable_EEClassOrCanonMT,
                             &ret->ee_class);
    }
    return true;
}

// The EEClass points back to the canonical method table; the free object's has none.
bool lg_mt_read(struct lg_clr *clr, uint64_t mt, struct lg_mt *ret)
{
    uint64_t back;
    if (!lg_mt_read_head(clr, mt, ret))
        return false;
    if (ret->ee_class == 0 && mt == clr->info.free_mt)
        return true;
    if (ret->ee_class == 0 || (ret->ee_class & 7)
        || !lg_target_u64(clr->target, ret->ee_class + clr->off.EEClass_MethodTable, &back)
        || back != ret->canonical)
        return false;
    ask_for_rest(clr, mt, ret);
    return true;
}

static uint16_t get_u16(const uint8_t *bytes, uint32_t offset)
{
    uint16_t v = 0;
    if (offset != LG_NO_OFFSET)
        memcpy(&v, bytes + offset, sizeof(v));
    return v;
}

bool lg_contracts_class(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m, struct lg_class *ret)
{
    const struct lg_offsets *off = &clr->off;
    uint8_t bytes[SPAN_MAX];
    if (!lg_target_read_all(clr->target, m->ee_class, bytes, clr->types->class_span))
        return false;
    *ret = (struct lg_class){
        .mt = get_u64(bytes, off->EEClass_MethodTable),
        .list = get_u64(bytes, off->EEClass_FieldDescList),
        .instance = get_u16(bytes, off->EEClass_NumInstanceFields),
        .statics = get_u16(bytes, off->EEClass_NumStaticFields),
        .thread_statics = get_u16(bytes, off->EEClass_NumThreadStaticFields),
    };
    return true;
}

bool lg_class_read(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m, struct lg_class *ret)
{
    return m->ee_class != 0 && (m->ee_class & 7) == 0 && clr->from.class(clr, mt, m, ret);
}

// A generic type's dictionaries, one for each generic class from the base down: the last one begins with
// the type's own arguments.
//
//     per_inst_info - 8: GenericsDictInfo     per_inst_info: dictionary* | dictionary* | …
size_t lg_mt_arguments(struct lg_clr *clr, const struct lg_mt *m, uint64_t args[LG_TYPE_ARGS])
{
    enum { DICT_INFO = 8, NUM_DICTS_9 = 4 }; // .NET 9's descriptor leaves NumDicts out.
    uint32_t num_dicts = clr->off.GenericsDictInfo_NumDicts;
    uint64_t info = m->per_inst_info - DICT_INFO, dictionary;
    uint16_t dicts, count;
    if (!lg_mt_is_generic(m)
        || !lg_target_u16(clr->target, info + (num_dicts == LG_NO_OFFSET ? NUM_DICTS_9 : num_dicts),
                          &dicts)
        || !lg_target_u16(clr->target, info + clr->off.GenericsDictInfo_NumTypeArgs, &count)
        || dicts == 0 || count > LG_TYPE_ARGS
        || !lg_target_u64(clr->target, m->per_inst_info + 8 * (dicts - 1u), &dictionary)
        || !lg_target_read_all(clr->target, dictionary, args, count * sizeof(*args)))
        return 0;
    return count;
}

// The flag has moved with .NET 9, and the bit it had means another thing now. Without a descriptor the
// DAC has the last word; where it fails, what the type keeps alive is unknown.
static uint16_t collectible_flags(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m)
{
    if (clr->from.well_known == lg_contracts_well_known)
        return m->flags & LG_MT_COLLECTIBLE ? LG_TYPE_COLLECTIBLE : 0;
    if (!(m->flags & (LG_MT_COLLECTIBLE | LG_MT_COLLECTIBLE_8)))
        return 0;
    const struct lg_dac_type *told = lg_told_type(clr, mt);
    return !told ? LG_TYPE_MAYBE_COLLECTIBLE : told->is_collectible ? LG_TYPE_COLLECTIBLE : 0;
}

static uint16_t type_flags(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m)
{
    uint16_t flags = collectible_flags(clr, mt, m);
    if (m->flags & LG_MT_CONTAINS_POINTERS)
        flags |= LG_TYPE_REFERENCES;
    if (m->flags & LG_MT_HAS_FINALIZER)
        flags |= LG_TYPE_FINALIZER;
    if (lg_mt_is_array(m))
        flags |= LG_TYPE_ARRAY | (m->flags & LG_MT_SZARRAY ? LG_TYPE_SZARRAY : 0);
    else if ((m->flags & LG_MT_CATEGORY) == LG_MT_VALUE_TYPE)
        flags |= LG_TYPE_VALUE;
    if (mt == clr->info.string_mt)
        flags |= LG_TYPE_STRING;
    if (mt == clr->info.free_mt)
        flags |= LG_TYPE_FREE;
    return flags;
}

uint32_t lg_mt_rank(struct lg_clr *clr, const struct lg_mt *m)
{
    enum { HEAD = 24, BOUNDS = 8 }; // Base sizes: of an array's header, of the bounds of one dimension.
    uint8_t rank = 1;
    if (m->flags & LG_MT_SZARRAY)
        return 1;
    if (clr->off.ArrayClass_Rank == LG_NO_OFFSET)
        return m->base_size > HEAD && m->base_size <= HEAD + 32 * BOUNDS ? (m->base_size - HEAD) / BOUNDS
                                                                         : 1;
    lg_target_u8(clr->target, m->ee_class + clr->off.ArrayClass_Rank, &rank);
    return rank;
}

static bool read_type(struct lg_clr *clr, uint64_t mt, struct lg_type *ret)
{
    struct lg_mt m;
    if (!lg_mt_read(clr, mt, &m))
        return false;
    bool array = lg_mt_is_array(&m);
    *ret = (struct lg_type){
        .mt = mt,
        .base_size = m.base_size,
        .component_size = m.flags & LG_MT_HAS_COMPONENT_SIZE ? (uint16_t)m.flags : 0,
        .flags = type_flags(clr, mt, &m),
        .rank = array ? lg_mt_rank(clr, &m) : 0,
        .token = array || mt == clr->info.free_mt ? 0 : 0x02000000 | m.rid,
        .parent_mt = m.parent,
        .module = m.module,
        .ee_class = m.ee_class,
        .element_handle = array ? m.per_inst_info : 0,
    };
    return true;
}

// ---- the table ----

static struct index *new_index(unsigned bits)
{
    struct index *index = calloc(1, sizeof(*index) + (sizeof(struct slot) << bits));
    if (index)
        index->bits = bits;
    return index;
}

// The slot of `mt`, or the free one where it belongs.
static struct slot *find_slot(struct index *index, uint64_t mt)
{
    uint64_t mask = (UINT64_C(1) << index->bits) - 1;
    uint64_t i = lg_hash64(mt) & mask;
    for (uint64_t at;
         (at = atomic_load_explicit(&index->slots[i].mt, memory_order_acquire)) != 0 && at != mt;)
        i = (i + 1) & mask;
    return &index->slots[i];
}

static struct lg_type *entry_at(struct lg_type_table *types, uint32_t id)
{
    struct lg_type *chunk = atomic_load_explicit(&types->chunks[id / CHUNK], memory_order_acquire);
    return &chunk[id % CHUNK];
}

static const struct lg_type *look_up(struct lg_type_table *types, uint64_t mt)
{
    struct index *index = atomic_load_explicit(&types->index, memory_order_acquire);
    struct slot *slot = find_slot(index, mt);
    if (atomic_load_explicit(&slot->mt, memory_order_acquire) != mt)
        return NULL;
    return entry_at(types, atomic_load_explicit(&slot->id, memory_order_relaxed));
}

static void put(struct index *index, uint64_t mt, uint32_t id)
{
    struct slot *slot = find_slot(index, mt);
    atomic_store_explicit(&slot->id, id, memory_order_relaxed);
    atomic_store_explicit(&slot->mt, mt, memory_order_release);
}

// Keeps the table at most half full. Under the lock.
static struct index *grown_index(struct lg_type_table *types, uint32_t count)
{
    struct index *index = atomic_load(&types->index);
    if (count < 1u << index->bits >> 1)
        return index;
    struct index *grown = new_index(index->bits + 1);
    if (!grown)
        return NULL;
    grown->before = index;
    for (uint32_t id = 0; id < count; id++)
        put(grown, entry_at(types, id)->mt, id);
    atomic_store_explicit(&types->index, grown, memory_order_release);
    return grown;
}

static const struct lg_type *add(struct lg_type_table *types, const struct lg_type *type)
{
    uint32_t id = atomic_load(&types->count);
    struct index *index = id < CHUNK * CHUNKS ? grown_index(types, id) : NULL;
    if (!index)
        return NULL;
    if (id % CHUNK == 0) {
        struct lg_type *chunk = calloc(CHUNK, sizeof(*chunk));
        if (!chunk)
            return NULL;
        atomic_store_explicit(&types->chunks[id / CHUNK], chunk, memory_order_release);
    }
    struct lg_type *entry = entry_at(types, id);
    *entry = *type;
    entry->id = id;
    put(index, type->mt, id);
    atomic_store_explicit(&types->count, id + 1, memory_order_release);
    return entry;
}

const struct lg_type *lg_clr_type(struct lg_clr *clr, uint64_t mt)
{
    if (mt == 0)
        return NULL;
    const struct lg_type *type = look_up(clr->types, mt);
    struct lg_type read;
    if (type || !read_type(clr, mt, &read))
        return type;
    pthread_mutex_lock(&clr->types->lock);
    type = look_up(clr->types, mt);
    if (!type)
        type = add(clr->types, &read);
    pthread_mutex_unlock(&clr->types->lock);
    return type;
}

bool lg_clr_types_put(struct lg_clr *clr, const struct lg_type *type)
{
    return type->mt != 0 && !look_up(clr->types, type->mt) && add(clr->types, type);
}

const struct lg_type *lg_clr_type_at(struct lg_clr *clr, uint32_t id)
{
    return id < lg_clr_type_count(clr) ? entry_at(clr->types, id) : NULL;
}

uint32_t lg_clr_type_count(struct lg_clr *clr)
{
    return atomic_load_explicit(&clr->types->count, memory_order_acquire);
}

struct lg_arena *lg_type_arena(struct lg_clr *clr)
{
    return &clr->types->arena;
}

struct lg_name_cache *lg_type_names(struct lg_clr *clr)
{
    return &clr->types->names;
}

struct lg_instantiations *lg_type_instantiations(struct lg_clr *clr)
{
    return clr->types->instantiations;
}

struct lg_error *lg_clr_types_open(struct lg_clr *clr)
{
    uint32_t span = head_span(&clr->off), of_class = class_span(&clr->off);
    if (span > SPAN_MAX || of_class > SPAN_MAX)
        return lg_error_new(LG_ERR_CORRUPT, "descriptor: a MethodTable or EEClass of more than %d bytes",
                            SPAN_MAX);
    struct lg_type_table *types = clr->types = calloc(1, sizeof(*types));
    if (!types)
        return &lg_no_memory;
    pthread_mutex_init(&types->lock, NULL);
    struct index *index = new_index(BITS_FIRST);
    atomic_init(&types->index, index);
    types->instantiations = lg_instantiations_new();
    if (!index || !types->instantiations)
        return &lg_no_memory; // lg_clr_types_close frees what there is.
    types->span = span;
    types->class_span = of_class;
    return NULL;
}

void lg_clr_types_close(struct lg_clr *clr)
{
    struct lg_type_table *types = clr->types;
    if (!types)
        return;
    for (struct index *index = atomic_load(&types->index), *before; index; index = before) {
        before = index->before;
        free(index);
    }
    for (unsigned i = 0; i < CHUNKS; i++)
        free(atomic_load(&types->chunks[i]));
    pthread_mutex_destroy(&types->lock);
    lg_arena_free(&types->arena);
    lg_instantiations_free(types->instantiations);
    lg_map_free(&types->names.by_handle);
    lg_vec_free(&types->names.at);
    free(types);
    clr->types = NULL;
}
