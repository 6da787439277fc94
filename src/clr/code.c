// From a code address to the MethodDesc that it belongs to, or leads to.
//
//     precode stub     recognised by its bytes; its data lies one page further on
//     jitted code      range section -> heap -> nibble map -> start of the method; the word before it
//                      points to the code header, which names the MethodDesc
//     ReadyToRun code  range section -> module -> table of functions -> hash of entry points
//
// Contracts PrecodeStubs 3 and ExecutionManager 2 (dotnet/runtime docs/design/datacontracts @006ccbc).
// The result is a MethodDesc that its chunk vouches for, or 0: never a guess.
#include <string.h>

#include "clr/sources.h"

static bool has_contract(struct lg_clr *clr, const char *name, uint32_t version)
{
    uint32_t have;
    return lg_descriptor_contract(clr->descriptor, name, &have) && have == version;
}

// A field of a structure by its name in the descriptor.
static bool read_u64(struct lg_clr *clr, uint64_t base, const char *type, const char *field,
                     uint64_t *ret)
{
    uint32_t offset;
    return lg_descriptor_offset(clr->descriptor, type, field, &offset)
           && lg_target_u64(clr->target, base + offset, ret);
}

static bool read_u32(struct lg_clr *clr, uint64_t base, const char *type, const char *field,
                     uint32_t *ret)
{
    uint32_t offset;
    return lg_descriptor_offset(clr->descriptor, type, field, &offset)
           && lg_target_u32(clr->target, base + offset, ret);
}

static bool read_u8(struct lg_clr *clr, uint64_t base, const char *type, const char *field, uint8_t *ret)
{
    uint32_t offset;
    return lg_descriptor_offset(clr->descriptor, type, field, &offset)
           && lg_target_u8(clr->target, base + offset, ret);
}

static bool address_of(struct lg_clr *clr, uint64_t base, const char *type, const char *field,
                       uint64_t *ret)
{
    uint32_t offset;
    bool known = lg_descriptor_offset(clr->descriptor, type, field, &offset);
    *ret = known ? base + offset : 0;
    return known;
}

// ---- precode ----

enum { STUB_BYTES_MAX = 24 };

// Does the code look like the machine's stub, but for the bytes that differ from stub to stub?
static bool matches(struct lg_clr *clr, uint64_t machine, const char *size_field,
                    const char *bytes_field, const char *ignored_field, uint64_t code)
{
    static const char type[] = "PrecodeMachineDescriptor";
    uint8_t size, want[STUB_BYTES_MAX], ignored[STUB_BYTES_MAX], have[STUB_BYTES_MAX];
    uint64_t bytes_at, ignored_at;
    if (!read_u8(clr, machine, type, size_field, &size) || size == 0 || size > STUB_BYTES_MAX
        || !address_of(clr, machine, type, bytes_field, &bytes_at)
        || !address_of(clr, machine, type, ignored_field, &ignored_at)
        || !lg_target_read_all(clr->target, bytes_at, want, size)
        || !lg_target_read_all(clr->target, ignored_at, ignored, size)
        || !lg_target_read_all(clr->target, code, have, size))
        return false;
    for (uint8_t i = 0; i < size; i++) {
        if (!ignored[i] && want[i] != have[i])
            return false;
    }
    return true;
}

static bool is_type(struct lg_clr *clr, uint64_t machine, const char *field, uint8_t type)
{
    uint8_t want;
    return read_u8(clr, machine, "PrecodeMachineDescriptor", field, &want) && want == type;
}

static uint64_t stub_method(struct lg_clr *clr, uint64_t machine, uint64_t data)
{
    uint8_t type;
    uint64_t param, md = 0;
    if (!read_u8(clr, data, "StubPrecodeData", "Type", &type) || type == 0
        || !read_u64(clr, data, "StubPrecodeData", "SecretParam", &param))
        return 0;
    if (is_type(clr, machine, "StubPrecodeType", type)
        || is_type(clr, machine, "PInvokeImportPrecodeType", type))
        return param;
    if (is_type(clr, machine, "ThisPointerRetBufPrecodeType", type))
        read_u64(clr, param, "ThisPtrRetBufPrecodeData", "MethodDesc", &md);
    return md;
}

static uint64_t precode_method(struct lg_clr *clr, uint64_t code)
{
    uint64_t platform, machine, md = 0;
    uint32_t page;
    if (!has_contract(clr, "PrecodeStubs", 3)
        || !lg_descriptor_global(clr->descriptor, "PlatformMetadata", &platform)
        || !address_of(clr, platform, "PlatformMetadata", "PrecodeMachineDescriptor", &machine)
        || !read_u32(clr, machine, "PrecodeMachineDescriptor", "StubCodePageSize", &page))
        return 0;
    if (matches(clr, machine, "StubPrecodeSize", "StubBytes", "StubIgnoredBytes", code))
        return stub_method(clr, machine, code + page);
    if (matches(clr, machine, "FixupStubPrecodeSize", "FixupBytes", "FixupIgnoredBytes", code))
        read_u64(clr, code + page, "FixupPrecodeData", "MethodDesc", &md);
    return md;
}

// ---- range sections ----

enum { SECTION_CODE_HEAP = 2, SECTION_RANGE_LIST = 4 };
struct section {
    uint64_t begin, heap, module;
    uint32_t flags;
};

static bool read_section(struct lg_clr *clr, uint64_t address, struct section *ret)
{
    static const char type[] = "RangeSection";
    uint64_t deleted;
    return read_u64(clr, address, type, "NextForDelete", &deleted) && deleted == 0
           && read_u64(clr, address, type, "RangeBegin", &ret->begin)
           && read_u64(clr, address, type, "HeapList", &ret->heap)
           && read_u64(clr, address, type, "R2RModule", &ret->module)
           && read_u32(clr, address, type, "Flags", &ret->flags);
}

// Five levels of 256 entries, by bits 49-56 … 17-24 of the address; bit 0 of an entry is a flag. The
// last level's entries head lists of fragments.
static bool find_fragments(struct lg_clr *clr, uint64_t code, uint64_t *ret)
{
    uint64_t map, at;
    if (!has_contract(clr, "ExecutionManager", 2)
        || !lg_descriptor_global(clr->descriptor, "ExecutionManagerCodeRangeMapAddress", &map)
        || !address_of(clr, map, "RangeSectionMap", "TopLevelData", &at))
        return false;
    for (unsigned shift = 49;; shift -= 8) {
        uint64_t entry;
        if (!lg_target_u64(clr->target, at + 8 * (code >> shift & 0xff), &entry)
            || (entry & ~UINT64_C(1)) == 0)
            return false;
        at = entry & ~UINT64_C(1);
        if (shift == 17)
            break;
    }
    *ret = at;
    return true;
}

static bool find_section(struct lg_clr *clr, uint64_t code, struct section *ret)
{
    enum { FRAGMENTS_MAX = 4096 };
    static const char type[] = "RangeSectionFragment";
    uint64_t at, begin, end, section;
    if (!find_fragments(clr, code, &at))
        return false;
    for (unsigned i = 0; at && i < FRAGMENTS_MAX; i++) {
        if (!read_u64(clr, at, type, "RangeBegin", &begin)
            || !read_u64(clr, at, type, "RangeEndOpen", &end))
            return false;
        if (code >= begin && code < end)
            return read_u64(clr, at, type, "RangeSection", &section) && read_section(clr, section, ret);
        if (!read_u64(clr, at, type, "Next", &at))
            return false;
        at &= ~UINT64_C(1);
    }
    return false;
}

// ---- jitted code ----

// A nibble for each 32 bytes of code, eight to a u32, the first in the topmost bits: 0, no method begins
// here; 1-8, one begins at 4 * (nibble - 1). A u32 whose lowest nibble is 9-12 is wholly within one
// method and tells its start: the other bits, plus 4 * (nibble - 9).
enum { BUCKET = 32, PER_UNIT = 8 };

static bool decode_pointer(uint32_t unit, uint64_t *ret)
{
    uint32_t nibble = unit & 15;
    if (nibble <= 8)
        return false;
    *ret = (unit & ~15u) + ((nibble - 9) << 2);
    return true;
}

// The last start in a unit at or before nibble `last`.
static bool last_start(uint32_t unit, uint64_t unit_index, unsigned last, uint64_t *ret)
{
    for (unsigned i = last + 1; i-- > 0;) {
        uint32_t nibble = unit >> (4 * (PER_UNIT - 1 - i)) & 15;
        if (nibble) {
            *ret = (unit_index * PER_UNIT + i) * BUCKET + (nibble - 1) * 4;
            return true;
        }
    }
    return false;
}

// Offset of the method that covers `offset`, both from the map's base.
static bool find_start(struct lg_clr *clr, uint64_t units, uint64_t offset, uint64_t *ret)
{
    uint64_t bucket = offset / BUCKET, index = bucket / PER_UNIT;
    unsigned at = bucket % PER_UNIT;
    uint32_t unit;
    if (!lg_target_u32(clr->target, units + 4 * index, &unit))
        return false;
    if (decode_pointer(unit, ret))
        return *ret <= offset;
    if (last_start(unit, index, at, ret) && *ret <= offset)
        return true;
    if (at > 0 && last_start(unit, index, at - 1, ret))
        return true;
    if (index == 0 || !lg_target_u32(clr->target, units + 4 * (index - 1), &unit))
        return false;
    return decode_pointer(unit, ret) ? *ret <= offset : last_start(unit, index - 1, PER_UNIT - 1, ret);
}

static uint64_t jitted_method(struct lg_clr *clr, const struct section *section, uint64_t code)
{
    static const char type[] = "CodeHeapListNode";
    uint64_t start, end, base, units, offset, header, stub_last, md = 0;
    if (!read_u64(clr, section->heap, type, "StartAddress", &start)
        || !read_u64(clr, section->heap, type, "EndAddress", &end)
        || !read_u64(clr, section->heap, type, "MapBase", &base)
        || !read_u64(clr, section->heap, type, "HeaderMap", &units) || code < start || code > end
        || code < base || !find_start(clr, units, code - base, &offset)
        || !lg_target_u64(clr->target, base + offset - 8, &header)
        || !lg_descriptor_global(clr->descriptor, "StubCodeBlockLast", &stub_last)
        || header <= stub_last) // a block of stubs, not a method
        return 0;
    read_u64(clr, header, "RealCodeHeader", "MethodDesc", &md);
    return md;
}

// ---- ReadyToRun code ----

struct functions {
    uint64_t at, base;
    uint32_t count, size, begin; // of one; offset of BeginAddress
};

static bool begin_of(struct lg_clr *clr, const struct functions *f, uint32_t i, uint32_t *ret)
{
    return lg_target_u32(clr->target, f->at + (uint64_t)i * f->size + f->begin, ret);
}

// The last function that begins at or before `rva`; they are sorted.
static bool find_function(struct lg_clr *clr, const struct functions *f, uint64_t rva, uint32_t *ret)
{
    uint32_t low = 0, high = f->count, begin;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (!begin_of(clr, f, mid, &begin))
            return false;
        if (begin <= rva)
            low = mid + 1;
        else
            high = mid;
    }
    *ret = low - 1;
    return low > 0;
}

// The runtime's PtrHashMap (src/coreclr/vm/hash.h): buckets of four keys and four values, the number of
// buckets in the place of the first one. Values are stored shifted right by one; bit 63 of the first
// says that a key that belongs here was put further on.
static uint64_t hash_lookup(struct lg_clr *clr, uint64_t map, uint64_t key)
{
    enum { SLOTS = 4, PROBES_MAX = 1 << 16 };
    struct {
        uint64_t keys[SLOTS], values[SLOTS];
    } bucket;
    uint64_t buckets, mask;
    uint32_t count, bucket_size = lg_clr_size(clr, "Bucket");
    if (bucket_size != sizeof(bucket) || !read_u64(clr, map, "HashMap", "Buckets", &buckets)
        || !lg_descriptor_global(clr->descriptor, "HashMapValueMask", &mask)
        || !lg_target_u32(clr->target, buckets, &count) || count < 2)
        return 0;
    uint32_t seed = (uint32_t)(key >> 2), step = 1 + ((uint32_t)(key >> 5) + 1) % (count - 1);
    for (uint32_t i = 0; i < count && i < PROBES_MAX; i++, seed += step) {
        if (!lg_target_read_all(clr->target, buckets + sizeof(bucket) * (1 + (uint64_t)(seed % count)),
                                &bucket, sizeof(bucket)))
            return 0;
        for (unsigned k = 0; k < SLOTS; k++) {
            if (bucket.keys[k] == key)
                return (bucket.values[k] & mask) << 1;
        }
        if (!(bucket.values[0] & ~mask))
            return 0;
    }
    return 0;
}

static bool read_functions(struct lg_clr *clr, uint64_t info, uint64_t base, struct functions *ret)
{
    static const char type[] = "ReadyToRunInfo";
    ret->base = base;
    ret->size = lg_clr_size(clr, "RuntimeFunction");
    return ret->size != 0
           && lg_descriptor_offset(clr->descriptor, "RuntimeFunction", "BeginAddress", &ret->begin)
           && read_u64(clr, info, type, "RuntimeFunctions", &ret->at)
           && read_u32(clr, info, type, "NumRuntimeFunctions", &ret->count) && ret->count < 1u << 24;
}

// The map of entry points is the composite image's, which for an ordinary image is the image itself. A
// funclet has no entry of its own: its method is the nearest function before it that has one. Cold parts
// are not looked for: they lie behind all hot ones, and the wrong method would be found.
static uint64_t r2r_method(struct lg_clr *clr, const struct section *section, uint64_t code)
{
    enum { FUNCLETS_MAX = 64 };
    uint64_t info, composite, map;
    uint32_t i, begin, cold = 1;
    struct functions f;
    if (!read_u64(clr, section->module, "Module", "ReadyToRunInfo", &info) || info == 0
        || !read_u64(clr, info, "ReadyToRunInfo", "CompositeInfo", &composite)
        || !address_of(clr, composite, "ReadyToRunInfo", "EntryPointToMethodDescMap", &map)
        || !read_functions(clr, info, section->begin, &f)
        || !read_u32(clr, info, "ReadyToRunInfo", "NumHotColdMap", &cold) || cold != 0
        || !find_function(clr, &f, code - f.base, &i))
        return 0;
    for (unsigned n = 0; n < FUNCLETS_MAX; n++, i--) {
        uint64_t md = begin_of(clr, &f, i, &begin) ? hash_lookup(clr, map, f.base + begin) : 0;
        if (md || i == 0)
            return md;
    }
    return 0;
}

uint64_t lg_clr_method_from_code(struct lg_clr *clr, uint64_t code)
{
    struct section section;
    if (!has_contract(clr, "ExecutionManager", 2))
        return code ? lg_told_method_from_code(clr, code) : 0;
    uint64_t md = code ? precode_method(clr, code) : 0;
    if (!md && code && find_section(clr, code, &section)) {
        if (section.module)
            md = r2r_method(clr, &section, code);
        else if (section.flags & SECTION_CODE_HEAP)
            md = jitted_method(clr, &section, code);
    }
    return lg_method_exists(clr, md) ? md : 0;
}
