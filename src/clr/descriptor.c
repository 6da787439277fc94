#include "clr/descriptor.h"

#include <string.h>

#include "util/json_read.h"

// Sizes that no descriptor comes near (10.0.12: 10,563 bytes, 24 pointers; reference clr.md D.2), and
// that a broken one may not exceed.
enum { MAX_JSON = 1 << 20, MAX_POINTERS = 1 << 16, MAX_PARTS = 8 };

#define MAGIC UINT64_C(0x0043414443434e44) // "DNCCDAC\0"

// A descriptor and its sub-descriptors: each has its own pointers, to which its indices refer.
struct part {
    struct lg_json *json;
    const struct lg_json *types, *globals, *contracts;
    uint64_t *pointers;
    size_t pointer_count;
};
struct lg_descriptor {
    struct part parts[MAX_PARTS];
    size_t part_count;
};

static bool pointer_at(const struct part *part, const struct lg_json *index, uint64_t *ret)
{
    uint64_t i;
    if (lg_json_len(index) != 1 || !lg_json_u64(lg_json_item(index, 0), &i) || i >= part->pointer_count)
        return false;
    *ret = part->pointers[i];
    return true;
}

// The four spellings: value | [index] | [value, "type"] | [[index], "type"].
static bool value_of(const struct part *part, const struct lg_json *value, uint64_t *ret)
{
    if (lg_json_len(value) == 2 && lg_json_string(lg_json_item(value, 1)))
        value = lg_json_item(value, 0);
    if (lg_json_kind(value) == LG_JSON_ARRAY)
        return pointer_at(part, value, ret);
    return lg_json_u64(value, ret);
}

static bool small_number(const struct lg_json *value, uint32_t *ret)
{
    uint64_t n;
    if (!lg_json_u64(value, &n) || n > INT32_MAX)
        return false;
    *ret = (uint32_t)n;
    return true;
}

bool lg_descriptor_offset(const struct lg_descriptor *d, const char *type, const char *field,
                          uint32_t *ret)
{
    for (size_t i = 0; d && i < d->part_count; i++) {
        const struct lg_json *value = lg_json_member(lg_json_member(d->parts[i].types, type), field);
        if (lg_json_kind(value) == LG_JSON_ARRAY)
            value = lg_json_item(value, 0);
        if (value && small_number(value, ret))
            return true;
    }
    return false;
}

bool lg_descriptor_size(const struct lg_descriptor *d, const char *type, uint32_t *ret)
{
    return lg_descriptor_offset(d, type, "!", ret);
}

bool lg_descriptor_global(const struct lg_descriptor *d, const char *name, uint64_t *ret)
{
    for (size_t i = 0; d && i < d->part_count; i++) {
        const struct lg_json *value = lg_json_member(d->parts[i].globals, name);
        if (value && value_of(&d->parts[i], value, ret))
            return true;
    }
    return false;
}

// .NET 11 writes "c1": version 1 of CoreCLR's algorithm; "n1" would be NativeAOT's, which is another.
bool lg_descriptor_contract(const struct lg_descriptor *d, const char *name, uint32_t *ret)
{
    for (size_t i = 0; d && i < d->part_count; i++) {
        const struct lg_json *value = lg_json_member(d->parts[i].contracts, name);
        const char *s = lg_json_string(value);
        if (s && *s == 'c') {
            char *end;
            unsigned long n = strtoul(s + 1, &end, 10);
            if (end == s + 1 || *end || n > INT32_MAX)
                continue;
            *ret = (uint32_t)n;
            return true;
        }
        if (value && small_number(value, ret))
            return true;
    }
    return false;
}

// Takes `pointers` over, whatever comes of it.
static struct lg_error *add_part(struct lg_descriptor *d, const char *json, size_t len,
                                 uint64_t *pointers, size_t pointer_count)
{
    struct part *part = &d->parts[d->part_count];
    *part = (struct part){ .pointers = pointers, .pointer_count = pointer_count };
    d->part_count++;
    struct lg_error *err = lg_json_parse(json, len, &part->json);
    if (err)
        return lg_error_context(err, "data descriptor");
    part->types = lg_json_member(part->json, "types");
    part->globals = lg_json_member(part->json, "globals");
    part->contracts = lg_json_member(part->json, "contracts");
    if (lg_json_kind(part->types) != LG_JSON_OBJECT && lg_json_kind(part->globals) != LG_JSON_OBJECT)
        return lg_error_new(LG_ERR_CORRUPT, "data descriptor: neither types nor globals in it");
    return NULL;
}

struct lg_error *lg_descriptor_parse(const char *json, size_t len, const uint64_t *pointers,
                                     size_t pointer_count, struct lg_descriptor **ret)
{
    _cleanup_(lg_descriptor_freep) struct lg_descriptor *d = calloc(1, sizeof(*d));
    uint64_t *copy = calloc(pointer_count + 1, sizeof(*copy));
    if (!d || !copy) {
        free(copy);
        return &lg_no_memory;
    }
    if (pointer_count > 0)
        memcpy(copy, pointers, pointer_count * sizeof(*copy));
    struct lg_error *err = add_part(d, json, len, copy, pointer_count);
    if (!err)
        *ret = lg_steal(d);
    return err;
}

void lg_descriptor_free(struct lg_descriptor *descriptor)
{
    if (!descriptor)
        return;
    for (size_t i = 0; i < descriptor->part_count; i++) {
        lg_json_free(descriptor->parts[i].json);
        free(descriptor->parts[i].pointers);
    }
    free(descriptor);
}

// struct ContractDescriptor of a 64-bit runtime, 40 bytes (reference clr.md D.1, measured).
struct header {
    uint64_t magic;
    uint32_t flags, json_size; // flags: bit 0 is always set, bit 1 says 32-bit
    uint64_t json;
    uint32_t pointer_count, pad;
    uint64_t pointers;
};

static struct lg_error *check_header(const struct header *h, uint64_t address)
{
    if (h->magic != MAGIC)
        return lg_error_new(LG_ERR_CORRUPT, "data descriptor at %#jx: its magic number is %#jx",
                            (uintmax_t)address, (uintmax_t)h->magic);
    if ((h->flags & 3) != 1)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "data descriptor at %#jx: flags %#x are not a 64-bit runtime's",
                            (uintmax_t)address, h->flags);
    if (h->json_size > MAX_JSON || h->pointer_count > MAX_POINTERS)
        return lg_error_new(LG_ERR_CORRUPT, "data descriptor at %#jx: %u bytes of JSON, %u pointers",
                            (uintmax_t)address, h->json_size, h->pointer_count);
    return NULL;
}

static struct lg_error *read_part(struct lg_descriptor *d, struct lg_target *target, uint64_t address)
{
    struct header h;
    if (!lg_target_read_all(target, address, &h, sizeof(h)))
        return lg_error_new(LG_ERR_FAULT, "data descriptor at %#jx: not readable", (uintmax_t)address);
    struct lg_error *err = check_header(&h, address);
    if (err)
        return err;
    _cleanup_free_ char *json = malloc(h.json_size + (size_t)1);
    _cleanup_free_ uint64_t *pointers = calloc(h.pointer_count + (size_t)1, sizeof(*pointers));
    if (!json || !pointers)
        return &lg_no_memory;
    if (!lg_target_read_all(target, h.json, json, h.json_size)
        || !lg_target_read_all(target, h.pointers, pointers, h.pointer_count * sizeof(*pointers)))
        return lg_error_new(
            LG_ERR_FAULT,
            "data descriptor at %#jx: its JSON at %#jx or its pointers at %#jx are not readable",
            (uintmax_t)address, (uintmax_t)h.json, (uintmax_t)h.pointers);
    return add_part(d, json, h.json_size, lg_steal(pointers), h.pointer_count);
}

// The addresses of the sub-descriptors of one part: each is behind a pointer variable, which is null
// until what it describes is initialised (dotnet/runtime ContractDescriptorParser, reference D.1).
struct pending {
    struct lg_target *target;
    const struct part *part;
    uint64_t at[MAX_PARTS];
    size_t count;
};

static bool add_pending(const char *key, const struct lg_json *value, void *data)
{
    struct pending *pending = data;
    uint64_t variable, address;
    if (pending->count < MAX_PARTS && value_of(pending->part, value, &variable)
        && lg_target_u64(pending->target, variable, &address) && address)
        pending->at[pending->count++] = address;
    return false;
}

// Sub-descriptors of sub-descriptors too. A part that names itself ends at the cap.
static struct lg_error *read_sub_descriptors(struct lg_descriptor *d, struct lg_target *target)
{
    for (size_t i = 0; i < d->part_count; i++) {
        struct pending pending = { .target = target, .part = &d->parts[i] };
        lg_json_members_each(lg_json_member(d->parts[i].json, "subDescriptors"), add_pending, &pending);
        for (size_t k = 0; k < pending.count && d->part_count < MAX_PARTS; k++) {
            struct lg_error *err = read_part(d, target, pending.at[k]);
            if (err)
                return err;
        }
    }
    return NULL;
}

struct lg_error *lg_descriptor_read(struct lg_target *target, uint64_t address,
                                    struct lg_descriptor **ret)
{
    _cleanup_(lg_descriptor_freep) struct lg_descriptor *d = calloc(1, sizeof(*d));
    if (!d)
        return &lg_no_memory;
    struct lg_error *err = read_part(d, target, address);
    if (!err)
        err = read_sub_descriptors(d, target);
    if (!err)
        *ret = lg_steal(d);
    return err;
}
