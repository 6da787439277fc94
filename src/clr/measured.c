// Structures of .NET 8 and 9 that neither descriptor nor DAC tell of, as .NET 10's descriptor has them:
// looked for where they should be, and believed only if all that they say of themselves holds.
//
//     Module ... -> EETypeHashTable { module | heap | buckets | count }   instantiations and arrays
//     Thread ... -> ThreadLocalData { counts | Object[] | handles | thread | in-flight }   (.NET 9)
//
// The table points back at its module, its chains have as many entries as it counts, and every entry is
// a method table of a generic type or of an array, or a TypeDesc. A thread's data holds the Object[]
// that the DAC gives for a thread static. If there is not one place for either, it stays unknown.
#include <string.h>

#include "clr/sources.h"
#include "clr/told.h"

enum {
    MODULE_WORDS = 256,
    THREAD_WORDS = 160,
    BUCKETS = 16,
    COUNT = 24,
    ENTRIES_MIN = 8, // Fewer prove nothing.
    GONE = 0xc00,    // lg_managed_thread.state: dead, or not started
};

// ---- instantiations ----

struct entries {
    struct lg_clr *clr;
    uint32_t count, wrong;
};

static void check_entry(void *data, uint32_t rid, uint64_t handle)
{
    struct entries *e = data;
    struct lg_mt m;
    e->count++;
    if (!(handle & 2))
        e->wrong += !lg_mt_read(e->clr, handle, &m) || (!lg_mt_is_array(&m) && !lg_mt_is_generic(&m));
}

// Is the table of instantiations at module + `at`? Its buckets begin behind two words of its own, or
// three: then the third marks the end of a chain, in bit 0, which no pointer has.
static bool is_table(struct lg_clr *clr, uint64_t module, uint32_t at)
{
    uint64_t table, back, buckets, third;
    uint32_t count;
    if (!lg_clr_pointer(clr, module, at, &table) || (table & 7)
        || !lg_target_u64(clr->target, table, &back) || back != module
        || !lg_target_u32(clr->target, table + COUNT, &count) || count < ENTRIES_MIN
        || !lg_target_u64(clr->target, table + BUCKETS, &buckets)
        || !lg_target_u64(clr->target, buckets + 16, &third))
        return false;
    clr->bucket_words = third & 1 ? 3 : 2;
    clr->off.Module_AvailableTypeParams = at;
    struct entries e = { .clr = clr };
    return lg_contracts_instantiations(clr, module, check_entry, &e) && e.wrong == 0 && e.count == count;
}

static void find_table(struct lg_clr *clr, uint64_t module)
{
    unsigned found = 0, words = 0;
    uint32_t at = LG_NO_OFFSET;
    for (unsigned i = 0; i < MODULE_WORDS; i++) {
        if (!is_table(clr, module, i * 8))
            continue;
        found++;
        at = i * 8;
        words = clr->bucket_words;
    }
    clr->bucket_words = words;
    clr->off.Module_AvailableTypeParams = found == 1 ? at : LG_NO_OFFSET;
}

bool lg_measured_instantiations(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data)
{
    struct lg_offsets *off = &clr->off;
    if (!clr->is_table_sought) {
        clr->is_table_sought = true;
        off->EETypeHashTable_Buckets = BUCKETS;
        off->EETypeHashTable_Count = COUNT;
        off->EETypeHashTable_VolatileEntryValue = 0;
        off->EETypeHashTable_VolatileEntryNextEntry = 8;
        find_table(clr, lg_module_corelib(clr));
    }
    return off->Module_AvailableTypeParams != LG_NO_OFFSET
           && lg_contracts_instantiations(clr, module, each, data);
}

// ---- metadata ----

// A ReflectionModule of .NET 8 and older keeps a copy of its metadata for debuggers:
//
//     Module ... -> SBuffer { size u32 | allocated u32 | flags u32 | bytes }
//
// which is it if its bytes begin as metadata does.
bool lg_measured_metadata(struct lg_clr *clr, uint64_t module, uint64_t *ret, uint64_t *size_ret)
{
    struct {
        uint32_t size, allocated, flags, pad;
        uint64_t bytes;
    } buffer;
    enum { MAGIC = 0x424a5342, SIZE_MIN = 64 }; // "BSJB"
    for (unsigned word = 0; word < MODULE_WORDS; word++) {
        uint64_t at;
        uint32_t magic;
        if (!lg_clr_pointer(clr, module, word * 8, &at) || (at & 7)
            || !lg_target_read_all(clr->target, at, &buffer, sizeof(buffer)) || buffer.size < SIZE_MIN
            || buffer.size > buffer.allocated || !lg_target_u32(clr->target, buffer.bytes, &magic)
            || magic != MAGIC)
            continue;
        *ret = buffer.bytes;
        *size_ret = buffer.size;
        return true;
    }
    return false;
}

// ---- thread statics ----

enum {
    DATA_COUNT = 0,
    HANDLE_COUNT = 4,
    DATA_ARRAY = 8,
    HANDLE_ARRAY = 16,
    DATA_THREAD = 24,
    IN_FLIGHT = 32
};

// A ThreadLocalData says which thread it is of, and its array is an Object[] with room for its count.
static bool is_thread_data(struct lg_clr *clr, const struct lg_managed_thread *thread, uint64_t data)
{
    uint64_t back, array, mt;
    uint32_t count, room;
    if (data == 0 || (data & 7) || !lg_target_u64(clr->target, data + DATA_THREAD, &back)
        || back != thread->address || !lg_target_u64(clr->target, data + DATA_ARRAY, &array)
        || !lg_target_u32(clr->target, data + DATA_COUNT, &count))
        return false;
    if (array == 0)
        return count == 0;
    return lg_target_u64(clr->target, array, &mt)
           && (mt & clr->info.mt_mask) == clr->info.object_array_mt
           && lg_target_u32(clr->target, array + 8, &room) && room <= count;
}

// The one place that holds it in every thread that has one; at least one has an array.
void lg_thread_data_measure(struct lg_clr *clr)
{
    unsigned found = 0, at = 0;
    for (unsigned word = 0; word < THREAD_WORDS; word++) {
        size_t some = 0, i = 0;
        for (; i < clr->threads.len; i++) {
            uint64_t data = 0;
            const struct lg_managed_thread *thread = &clr->threads.at[i];
            if (!(thread->state & GONE) && lg_clr_pointer(clr, thread->address, word * 8, &data)
                && !is_thread_data(clr, thread, data))
                break;
            some += data != 0;
        }
        if (i < clr->threads.len || some == 0)
            continue;
        found++;
        at = word * 8;
    }
    if (found != 1)
        return;
    struct lg_offsets *off = &clr->off;
    off->Thread_ThreadLocalDataPtr = at;
    off->ThreadLocalData_NonCollectibleTlsDataCount = DATA_COUNT;
    off->ThreadLocalData_CollectibleTlsDataCount = HANDLE_COUNT;
    off->ThreadLocalData_NonCollectibleTlsArrayData = DATA_ARRAY;
    off->ThreadLocalData_CollectibleTlsArrayData = HANDLE_ARRAY;
    off->ThreadLocalData_InFlightData = IN_FLIGHT;
    off->InFlightTLSData_Next = 0;
    off->InFlightTLSData_TlsIndex = 8;
    off->InFlightTLSData_TLSData = 16;
}

// From .NET 9 on nothing else holds what a thread's statics hold; before, handles do.
size_t lg_thread_data_missing(const struct lg_clr *clr)
{
    const char *version = clr->info.version;
    size_t count = 0;
    if (clr->off.Thread_ThreadLocalDataPtr != LG_NO_OFFSET || (version && atoi(version) < 9))
        return 0;
    for (size_t i = 0; i < clr->threads.len; i++)
        count += !(clr->threads.at[i].state & GONE);
    return count;
}
