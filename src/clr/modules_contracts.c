// Modules as the data descriptor leads to them.
//
//     AppDomain.DomainAssemblyList: block {next, size, [element*]} -> DomainAssembly {Assembly*} ->
//     Module Module -> PEAssembly -> PEImage -> LoadedImageLayout {base, size, flags}
#include "clr/sources.h"

enum {
    ASSEMBLIES_MAX = 1 << 16,
    BLOCKS_MAX = 1 << 12, // of any list
    LAYOUT_MAPPED = 1,    // PEImageLayout.Flags
};

static void read_image(struct lg_clr *clr, struct lg_module_facts *facts)
{
    const struct lg_offsets *off = &clr->off;
    struct lg_module *m = &facts->module;
    uint64_t assembly, image, layout;
    uint32_t size = 0, flags = 0;
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
        lg_target_u32(clr->target, layout + off->PEImageLayout_Flags, &flags);
    m->image_size = size;
    facts->is_mapped = flags & LAYOUT_MAPPED;
}

static void read_module(struct lg_clr *clr, struct lg_module_facts *facts)
{
    const struct lg_offsets *off = &clr->off;
    struct lg_module *m = &facts->module;
    uint64_t path, name, dynamic, shared;
    uint8_t collectible = 0;
    lg_clr_pointer(clr, m->address, off->Module_LoaderAllocator, &m->loader_allocator);
    lg_clr_pointer(clr, m->address, off->Module_Path, &path);
    lg_clr_pointer(clr, m->address, off->Module_FileName, &name);
    m->path = lg_clr_utf16(clr, path);
    m->name = m->path[0] ? lg_file_name(m->path) : lg_file_name(lg_clr_utf16(clr, name));
    read_image(clr, facts);
    m->is_dynamic =
        lg_clr_pointer(clr, m->address, off->Module_DynamicMetadata, &dynamic) || m->image_base == 0;
    if (off->Assembly_IsCollectible != LG_NO_OFFSET)
        lg_target_u8(clr->target, m->assembly + off->Assembly_IsCollectible, &collectible);
    else // It has a LoaderAllocator of its own; all other code shares CoreLib's.
        collectible = lg_clr_pointer(clr, lg_module_corelib(clr), off->Module_LoaderAllocator, &shared)
                      && m->loader_allocator && shared != m->loader_allocator;
    m->is_collectible = collectible != 0;
}

// .NET 9's descriptor does not tell of assemblies. What has an image, or metadata of its own, is a
// module.
static bool has_contents(struct lg_clr *clr, uint64_t address)
{
    enum { MZ = 0x5a4d };
    uint64_t base, dynamic;
    uint16_t magic;
    if (lg_clr_pointer(clr, address, clr->off.Module_Base, &base))
        return lg_target_u16(clr->target, base, &magic) && magic == MZ;
    return lg_clr_pointer(clr, address, clr->off.Module_DynamicMetadata, &dynamic);
}

// A module is what its assembly points back to.
static bool is_module(struct lg_clr *clr, uint64_t address, uint64_t *assembly_ret)
{
    uint64_t back;
    if (address == 0 || (address & 7)
        || !lg_clr_pointer(clr, address, clr->off.Module_Assembly, assembly_ret))
        return false;
    if (clr->off.Assembly_Module == LG_NO_OFFSET)
        return has_contents(clr, address);
    return lg_clr_pointer(clr, *assembly_ret, clr->off.Assembly_Module, &back) && back == address;
}

bool lg_contracts_module(struct lg_clr *clr, uint64_t module, struct lg_module_facts *ret)
{
    uint64_t assembly;
    if (!is_module(clr, module, &assembly))
        return false;
    *ret = (struct lg_module_facts){ .module = { .address = module, .assembly = assembly } };
    read_module(clr, ret);
    return true;
}

// ---- the AppDomain's list ----

// .NET 10's elements are DomainAssembly*, whose first word is the Assembly*; the descriptor does not say
// so (reference clr.md D.3). An element that is an Assembly itself is taken too.
static uint64_t module_of_element(struct lg_clr *clr, uint64_t element)
{
    uint64_t first = 0, module, assembly;
    lg_target_u64(clr->target, element, &first);
    const uint64_t candidates[] = { first, element };
    for (unsigned i = 0; i < 2; i++) {
        if (candidates[i] && lg_clr_pointer(clr, candidates[i], clr->off.Assembly_Module, &module)
            && is_module(clr, module, &assembly) && assembly == candidates[i])
            return module;
    }
    return 0;
}

static void list_block(struct lg_clr *clr, uint64_t block, uint32_t count, lg_add_module *add,
                       uint32_t *unread)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t element;
        if (!lg_target_u64(clr->target, block + clr->off.ArrayListBlock_ArrayStart + 8 * (uint64_t)i,
                           &element)) {
            *unread += count - i;
            return;
        }
        uint64_t module = element ? module_of_element(clr, element) : 0;
        *unread += element && (!module || !add(clr, module));
    }
}

struct lg_error *lg_contracts_modules(struct lg_clr *clr, lg_add_module *add)
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
        list_block(clr, block, size, add, &unread);
        left -= size;
        lg_target_u64(clr->target, block + clr->off.ArrayListBlock_Next, &block);
    }
    clr->modules_lost = unread + left;
    if (unread + left > 0)
        lg_target_note(
            clr->target,
            "%u of the %u assemblies that the runtime lists cannot be read, or are told twice.",
            unread + left, count);
    return NULL;
}
