// Modules: where they come from, their metadata, their maps from tokens to method tables.
//
//     AppDomain.DomainAssemblyList: block {next, size, [element*]} -> DomainAssembly {Assembly*} ->
//     Module Module -> PEAssembly -> PEImage -> LoadedImageLayout {base, size, flags} -> metadata Module
//     -> DynamicMetadata {size, bytes}              made by Reflection.Emit
//
// Metadata is fetched once per module, in one read. A module without is one whose names are unknown, not
// an error.
#include <inttypes.h>
#include <string.h>

#include "clr/types_priv.h"
#include "metadata/pe.h"

enum {
    METADATA_MAX = 512 << 20,
    ASSEMBLIES_MAX = 1 << 16,
    BLOCKS_MAX = 1 << 12, // of any list
    PATH_UNITS = 4096,
    LAYOUT_MAPPED = 1, // PEImageLayout.Flags
};

struct module {
    struct lg_module module;
    const char *label;
    bool metadata_read, has_metadata;
    struct lg_metadata metadata;
    void *bytes; // of the metadata
};

struct lg_module_list {
    struct lg_map by_address; // -> index in `all`
    LG_VEC(struct module *) all;
    LG_VEC(const struct lg_module *) listed; // of the AppDomain
    bool list_read;
};

// ---- strings ----

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    unsigned tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    for (unsigned i = tail; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    static const uint8_t first[] = { 0, 0xc0, 0xe0, 0xf0 };
    out[0] = (char)(first[tail] | c);
    return tail + 1;
}

// A lone surrogate becomes U+FFFD.
static void convert(struct lg_text *text, const uint16_t *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t c = units[i];
        bool pair = (c & 0xfc00) == 0xd800 && i + 1 < count && (units[i + 1] & 0xfc00) == 0xdc00;
        if (pair)
            c = 0x10000 + ((c & 0x3ff) << 10 | (units[++i] & 0x3ff));
        else if ((c & 0xf800) == 0xd800)
            c = 0xfffd;
        char utf8[4];
        lg_text_add_len(text, utf8, put_utf8(utf8, c));
    }
}

const char *lg_clr_utf16(struct lg_clr *clr, uint64_t address)
{
    uint16_t units[256];
    struct lg_text text = { 0 };
    for (size_t done = 0; address && done < PATH_UNITS; done += sizeof(units) / sizeof(*units)) {
        size_t bytes = lg_target_read(clr->target, address + done * 2, units, sizeof(units)), n = 0;
        while (n < bytes / 2 && units[n])
            n++;
        convert(&text, units, n);
        if (n < sizeof(units) / sizeof(*units))
            break;
    }
    const char *s = text.len ? lg_arena_copy(lg_type_arena(clr), text.at, text.len) : NULL;
    lg_text_deinit(&text);
    return s ? s : "";
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// ---- one module ----

static void read_image(struct lg_clr *clr, struct lg_module *m, uint32_t *flags_ret)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t assembly, image, layout;
    uint32_t size = 0;
    *flags_ret = 0;
    if (off->PEImageLayout_Base == LG_NO_OFFSET || off->Module_PEAssembly == LG_NO_OFFSET) {
        lg_clr_pointer(clr, m->address, off->Module_Base, &m->image_base); // .NET 9
        return;
    }
    if (!lg_clr_pointer(clr, m->address, off->Module_PEAssembly, &assembly)
        || !lg_clr_pointer(clr, assembly, off->PEAssembly_PEImage, &image)
        || !lg_clr_pointer(clr, image, off->PEImage_LoadedImageLayout, &layout))
        return;
    lg_clr_pointer(clr, layout, off->PEImageLayout_Base, &m->image_base);
    if (off->PEImageLayout_Size != LG_NO_OFFSET)
        lg_target_u32(clr->target, layout + off->PEImageLayout_Size, &size);
    if (off->PEImageLayout_Flags != LG_NO_OFFSET)
        lg_target_u32(clr->target, layout + off->PEImageLayout_Flags, flags_ret);
    m->image_size = size;
}

static void read_module(struct lg_clr *clr, struct lg_module *m)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t path, name, dynamic;
    uint32_t flags;
    uint8_t collectible = 0;
    lg_clr_pointer(clr, m->address, off->Module_LoaderAllocator, &m->loader_allocator);
    lg_clr_pointer(clr, m->address, off->Module_Path, &path);
    lg_clr_pointer(clr, m->address, off->Module_FileName, &name);
    m->path = lg_clr_utf16(clr, path);
    m->name = m->path[0] ? file_name(m->path) : file_name(lg_clr_utf16(clr, name));
    read_image(clr, m, &flags);
    m->is_dynamic =
        lg_clr_pointer(clr, m->address, off->Module_DynamicMetadata, &dynamic) || m->image_base == 0;
    if (off->Assembly_IsCollectible != LG_NO_OFFSET)
        lg_target_u8(clr->target, m->assembly + off->Assembly_IsCollectible, &collectible);
    m->is_collectible = collectible != 0;
}

// A module is what its assembly points back to.
static bool is_module(struct lg_clr *clr, uint64_t address, uint64_t *assembly_ret)
{
    uint64_t back;
    return address != 0 && (address & 7) == 0
           && lg_clr_pointer(clr, address, clr->off.Module_Assembly, assembly_ret)
           && lg_clr_pointer(clr, *assembly_ret, clr->off.Assembly_Module, &back) && back == address;
}

static struct module *find_module(struct lg_clr *clr, uint64_t address)
{
    struct lg_module_list *list = clr->modules;
    uint64_t assembly;
    uint32_t i;
    if (lg_map_get(&list->by_address, address, &i))
        return list->all.at[i];
    if (!is_module(clr, address, &assembly))
        return NULL;
    struct module *module = calloc(1, sizeof(*module));
    if (!module || !lg_vec_push(&list->all, module)) {
        free(module);
        return NULL;
    }
    module->module = (struct lg_module){ .address = address, .assembly = assembly };
    read_module(clr, &module->module);
    if (!lg_map_put(&list->by_address, address, (uint32_t)list->all.len - 1))
        return NULL; // It stays in `all`, to be freed.
    return module;
}

const struct lg_module *lg_clr_module(struct lg_clr *clr, uint64_t module)
{
    struct module *m = find_module(clr, module);
    return m ? &m->module : NULL;
}

// ---- metadata ----

struct image {
    struct lg_target *target;
    uint64_t base;
};

static bool read_image_bytes(void *data, uint64_t offset, void *buf, size_t len)
{
    const struct image *image = data;
    return lg_target_read_all(image->target, image->base + offset, buf, len);
}

static bool take_metadata(struct lg_clr *clr, struct module *m, uint64_t address, uint64_t size)
{
    if (size == 0 || size > METADATA_MAX)
        return false;
    _cleanup_free_ void *copy = malloc(size);
    if (!copy || !lg_target_read_all(clr->target, address, copy, size))
        return false;
    struct lg_error *err = lg_metadata_init(&m->metadata, copy, size);
    lg_error_free(err);
    if (err)
        return false;
    m->bytes = lg_steal(copy);
    return true;
}

static bool read_image_metadata(struct lg_clr *clr, struct module *m, bool mapped)
{
    struct image image = { clr->target, m->module.image_base };
    struct lg_pe_source source = { read_image_bytes, &image };
    struct lg_pe pe;
    struct lg_error *err = lg_pe_read(&source, mapped, &pe);
    lg_error_free(err);
    return !err && take_metadata(clr, m, image.base + pe.metadata, pe.metadata_size);
}

static bool read_dynamic_metadata(struct lg_clr *clr, struct module *m)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t dynamic;
    uint32_t size;
    return off->DynamicMetadata_Size != LG_NO_OFFSET && off->DynamicMetadata_Data != LG_NO_OFFSET
           && lg_clr_pointer(clr, m->module.address, off->Module_DynamicMetadata, &dynamic)
           && lg_target_u32(clr->target, dynamic + off->DynamicMetadata_Size, &size)
           && take_metadata(clr, m, dynamic + off->DynamicMetadata_Data, size);
}

static bool read_metadata(struct lg_clr *clr, struct module *m)
{
    struct lg_module again = m->module;
    uint32_t flags;
    if (read_dynamic_metadata(clr, m))
        return true;
    if (m->module.image_base == 0)
        return false;
    read_image(clr, &again, &flags);
    bool mapped = flags & LAYOUT_MAPPED;
    // .NET 9 does not say which: the other layout's headers make no sense.
    return read_image_metadata(clr, m, mapped) || read_image_metadata(clr, m, !mapped);
}

static const struct lg_metadata *metadata_of(struct lg_clr *clr, struct module *m)
{
    if (m && !m->metadata_read) {
        m->metadata_read = true;
        m->has_metadata = read_metadata(clr, m);
    }
    return m && m->has_metadata ? &m->metadata : NULL;
}

const struct lg_metadata *lg_module_metadata(struct lg_clr *clr, uint64_t module)
{
    return metadata_of(clr, find_module(clr, module));
}

uint64_t lg_module_rva(struct lg_clr *clr, uint64_t module, uint32_t rva)
{
    struct module *m = find_module(clr, module);
    if (!m || m->module.image_base == 0)
        return 0;
    struct lg_module again = m->module;
    struct image image = { clr->target, m->module.image_base };
    struct lg_pe_source source = { read_image_bytes, &image };
    uint32_t flags;
    uint64_t offset;
    read_image(clr, &again, &flags);
    bool found = lg_pe_offset(&source, flags & LAYOUT_MAPPED, rva, &offset);
    return found ? image.base + offset : 0;
}

const char *lg_module_label(struct lg_clr *clr, uint64_t module)
{
    static const char unknown[] = "<unknown_module>";
    struct module *m = find_module(clr, module);
    if (!m || m->label)
        return m ? m->label : unknown;
    const struct lg_metadata *md = metadata_of(clr, m);
    const char *name = md ? lg_metadata_assembly_name(md) : NULL;
    if (!m->module.name[0] && (!name || !name[0]))
        name = lg_arena_format(lg_type_arena(clr), "<module_%" PRIx64 ">", module);
    m->label = m->module.name[0] ? m->module.name : name ? name : unknown;
    return m->label;
}

// ---- the AppDomain's list ----

// .NET 10's elements are DomainAssembly*, whose first word is the Assembly*; the descriptor does not say
// so (reference clr.md D.3). An element that is an Assembly itself is taken too.
static struct module *module_of_element(struct lg_clr *clr, uint64_t element)
{
    uint64_t first = 0, module;
    if (element == 0)
        return NULL;
    lg_target_u64(clr->target, element, &first);
    const uint64_t candidates[] = { first, element };
    for (unsigned i = 0; i < 2; i++) {
        struct module *m =
            candidates[i] && lg_clr_pointer(clr, candidates[i], clr->off.Assembly_Module, &module)
                ? find_module(clr, module)
                : NULL;
        if (m && m->module.assembly == candidates[i])
            return m;
    }
    return NULL;
}

static struct lg_error *list_block(struct lg_clr *clr, uint64_t block, uint32_t count, uint32_t *unread)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t element;
        if (!lg_target_u64(clr->target, block + clr->off.ArrayListBlock_ArrayStart + 8 * (uint64_t)i,
                           &element)) {
            *unread += count - i;
            return NULL;
        }
        struct module *m = module_of_element(clr, element);
        *unread += element && !m;
        if (m && !lg_vec_push(&clr->modules->listed, &m->module))
            return &lg_no_memory;
    }
    return NULL;
}

static struct lg_error *read_list(struct lg_clr *clr)
{
    uint64_t domain;
    uint32_t left;
    if (!lg_clr_global_pointer(clr, "AppDomain", &domain))
        return clr->heap_missing ? lg_error_new(LG_ERR_UNSUPPORTED, "%s", clr->heap_missing)
                                 : lg_error_new(LG_ERR_NOT_FOUND, "the runtime has no AppDomain yet");
    uint64_t list = domain + clr->off.AppDomain_DomainAssemblyList;
    if (!lg_target_u32(clr->target, list + clr->off.ArrayListBase_Count, &left))
        return lg_error_new(LG_ERR_FAULT, "the AppDomain's list of assemblies is not readable");
    if (left > ASSEMBLIES_MAX)
        return lg_error_new(LG_ERR_CORRUPT, "the AppDomain has %u assemblies", left);

    uint64_t block = list + clr->off.ArrayListBase_FirstBlock;
    uint32_t count = left, unread = 0;
    for (unsigned i = 0; block && left > 0 && i < BLOCKS_MAX; i++) {
        uint32_t size;
        if (!lg_target_u32(clr->target, block + clr->off.ArrayListBlock_Size, &size))
            break;
        size = size < left ? size : left;
        struct lg_error *err = list_block(clr, block, size, &unread);
        if (err)
            return err;
        left -= size;
        lg_target_u64(clr->target, block + clr->off.ArrayListBlock_Next, &block);
    }
    if (unread + left > 0)
        lg_target_note(clr->target, "%u of the %u assemblies that the runtime lists cannot be read.",
                       unread + left, count);
    return NULL;
}

struct lg_error *lg_clr_modules(struct lg_clr *clr, const struct lg_module *const **ret,
                                size_t *count_ret)
{
    if (!clr->modules->list_read) {
        clr->modules->listed.len = 0;
        struct lg_error *err = read_list(clr);
        if (err)
            return err;
        clr->modules->list_read = true;
    }
    *ret = clr->modules->listed.at;
    *count_ret = clr->modules->listed.len;
    return NULL;
}

uint64_t lg_module_corelib(struct lg_clr *clr)
{
    struct lg_mt m;
    return lg_mt_read(clr, clr->info.object_mt, &m) ? m.module : 0;
}

// ---- lookup maps ----

struct map_block {
    uint64_t next, table, mask;
    uint32_t count;
};

static bool read_block(struct lg_clr *clr, uint64_t address, struct map_block *ret)
{
    const struct lg_offsets *off = &clr->off;
    return lg_target_u64(clr->target, address + off->ModuleLookupMap_Next, &ret->next)
           && lg_target_u64(clr->target, address + off->ModuleLookupMap_TableData, &ret->table)
           && lg_target_u64(clr->target, address + off->ModuleLookupMap_SupportedFlagsMask, &ret->mask)
           && lg_target_u32(clr->target, address + off->ModuleLookupMap_Count, &ret->count);
}

uint64_t lg_module_lookup(struct lg_clr *clr, uint64_t module, uint32_t map, uint32_t rid)
{
    if (map == LG_NO_OFFSET)
        return 0;
    uint64_t address = module + map, mask = 0, value;
    struct map_block block;
    for (unsigned i = 0; address && i < BLOCKS_MAX && read_block(clr, address, &block); i++) {
        mask = i == 0 ? block.mask : mask; // The first block's holds for all.
        if (rid < block.count) {
            bool known = lg_target_u64(clr->target, block.table + 8 * (uint64_t)rid, &value);
            return known ? value & ~mask : 0;
        }
        rid -= block.count;
        address = block.next;
    }
    return 0;
}

enum { PIECE = 512 };

// The entries of one block, whose first is of `rid`.
static bool walk_block(struct lg_clr *clr, const struct map_block *block, uint32_t rid,
                       void (*each)(void *data, uint32_t rid, uint64_t handle), void *data)
{
    uint64_t values[PIECE];
    for (uint32_t at = 0; at < block->count;) {
        uint32_t n = block->count - at < PIECE ? block->count - at : PIECE;
        if (!lg_target_read_all(clr->target, block->table + 8 * (uint64_t)at, values, 8 * n))
            return false;
        for (uint32_t k = 0; k < n; k++, at++) {
            if (values[k] & ~block->mask)
                each(data, rid + at, values[k] & ~block->mask);
        }
    }
    return true;
}

bool lg_module_types(struct lg_clr *clr, uint64_t module,
                     void (*each)(void *data, uint32_t rid, uint64_t handle), void *data)
{
    enum { RIDS = 1 << 24 };
    uint64_t address = module + clr->off.Module_TypeDefToMethodTableMap, mask = 0;
    uint32_t rid = 0;
    for (unsigned i = 0; address; i++) {
        struct map_block block;
        if (i == BLOCKS_MAX || !read_block(clr, address, &block) || block.count > RIDS - rid)
            return false;
        mask = i == 0 ? block.mask : mask;
        block.mask = mask;
        if (!walk_block(clr, &block, rid, each, data))
            return false;
        rid += block.count;
        address = block.next;
    }
    return true;
}

// One chain of entries; adds to `seen`. False if it cannot be followed to its end.
static bool walk_chain(struct lg_clr *clr, uint64_t entry, uint32_t *seen,
                       void (*each)(void *data, uint32_t rid, uint64_t handle), void *data)
{
    enum { ENTRIES_MAX = 1 << 22 };
    const struct lg_offsets *off = &clr->off;
    uint64_t value;
    while (entry && !(entry & 1)) {
        if ((*seen)++ >= ENTRIES_MAX
            || !lg_target_u64(clr->target, entry + off->EETypeHashTable_VolatileEntryValue, &value))
            return false;
        if (value & ~UINT64_C(1))
            each(data, 0, value & ~UINT64_C(1));
        if (!lg_target_u64(clr->target, entry + off->EETypeHashTable_VolatileEntryNextEntry, &entry))
            return false;
    }
    return true;
}

// dotnet/runtime src/coreclr/vm/dacenumerablehash.h: an array of bucket heads behind three words
// (length, next table, end sentinel); a chain ends at a word whose bit 0 is set. The handle's own bit 0
// is a flag.
bool lg_module_instantiations(struct lg_clr *clr, uint64_t module,
                              void (*each)(void *data, uint32_t rid, uint64_t handle), void *data)
{
    enum { SLOT_LENGTH = 0, SPECIAL_SLOTS = 3, BUCKETS_MAX = 1 << 22 };
    const struct lg_offsets *off = &clr->off;
    uint64_t table, buckets, length, heads[PIECE];
    uint32_t seen = 0;
    bool whole = true;
    if (off->EETypeHashTable_Buckets == LG_NO_OFFSET
        || off->EETypeHashTable_VolatileEntryValue == LG_NO_OFFSET
        || off->EETypeHashTable_VolatileEntryNextEntry == LG_NO_OFFSET
        || off->Module_AvailableTypeParams == LG_NO_OFFSET
        || !lg_target_u64(clr->target, module + off->Module_AvailableTypeParams, &table))
        return false;
    if (!table)
        return true; // None yet.
    if (!lg_clr_pointer(clr, table, off->EETypeHashTable_Buckets, &buckets)
        || !lg_target_u64(clr->target, buckets + 8 * SLOT_LENGTH, &length) || length > BUCKETS_MAX)
        return false;
    for (uint64_t i = 0; i < length; i += PIECE) {
        size_t n = length - i < PIECE ? (size_t)(length - i) : PIECE;
        if (!lg_target_read_all(clr->target, buckets + 8 * (SPECIAL_SLOTS + i), heads, 8 * n))
            return false;
        for (size_t k = 0; k < n; k++)
            whole &= walk_chain(clr, heads[k], &seen, each, data);
    }
    return whole;
}

// ---- opening ----

struct lg_error *lg_clr_modules_open(struct lg_clr *clr)
{
    clr->modules = calloc(1, sizeof(*clr->modules));
    return clr->modules ? NULL : &lg_no_memory;
}

void lg_clr_modules_close(struct lg_clr *clr)
{
    struct lg_module_list *list = clr->modules;
    if (!list)
        return;
    for (size_t i = 0; i < list->all.len; i++) {
        lg_metadata_deinit(&list->all.at[i]->metadata);
        free(list->all.at[i]->bytes);
        free(list->all.at[i]);
    }
    lg_vec_free(&list->all);
    lg_vec_free(&list->listed);
    lg_map_free(&list->by_address);
    free(list);
    clr->modules = NULL;
}
