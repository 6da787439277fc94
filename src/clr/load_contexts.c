// Where code was loaded to: LoaderAllocators, AssemblyLoadContexts, the AppDomain.
#include "clr/sources.h"
#include "clr/stored.h"
#include "clr/told.h"

uint64_t lg_clr_loader_module(struct lg_clr *clr, const struct lg_type *type)
{
    const struct lg_stored_type *stored = lg_clr_stored_type(clr, type);
    struct lg_mt m;
    uint64_t module;
    if (stored)
        return stored->loader_module;
    if (clr->off.MethodTableAuxiliaryData_LoaderModule == LG_NO_OFFSET) // Of most types it is that.
        return lg_clr_module(clr, type->module) ? type->module : 0;
    if (!lg_mt_read(clr, type->mt, &m)
        || !lg_clr_pointer(clr, m.auxiliary, clr->off.MethodTableAuxiliaryData_LoaderModule, &module)
        || !lg_clr_module(clr, module))
        return 0;
    return module;
}

uint64_t lg_clr_loader_allocator(struct lg_clr *clr, const struct lg_type *type)
{
    const struct lg_stored_type *stored = lg_clr_stored_type(clr, type);
    if (stored)
        return stored->loader_allocator;
    uint64_t module = type->flags & LG_TYPE_COLLECTIBLE ? lg_clr_loader_module(clr, type) : 0;
    uint64_t allocator;
    return module && lg_clr_pointer(clr, module, clr->off.Module_LoaderAllocator, &allocator) ? allocator
                                                                                              : 0;
}

// The DAC tells it of the type itself, generic ones over collectible arguments too.
uint64_t lg_clr_loader_handle(struct lg_clr *clr, const struct lg_type *type)
{
    const struct lg_stored_type *stored = lg_clr_stored_type(clr, type);
    if (stored)
        return stored->loader_handle;
    const struct lg_dac_type *told =
        type->flags & LG_TYPE_COLLECTIBLE
                && clr->off.MethodTableAuxiliaryData_LoaderModule == LG_NO_OFFSET
            ? lg_told_type(clr, type->mt)
            : NULL;
    return told ? told->loader_allocator_handle : 0;
}

// AssemblyBinder.AssemblyLoadContext is a GC handle (dotnet/runtime
// src/coreclr/debug/daccess/request.cpp GetAssemblyLoadContext @release/10.0).
bool lg_clr_load_context(struct lg_clr *clr, uint64_t module, struct lg_load_context *ret)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t assembly, handle;
    const struct lg_stored_module *stored = lg_clr_stored_module(clr, module);
    *ret = stored ? stored->context : (struct lg_load_context){ 0 };
    if (stored)
        return stored->has_context;
    if (off->AssemblyBinder_AssemblyLoadContext == LG_NO_OFFSET)
        return lg_clr_module(clr, module) && lg_told_load_context(clr, module, &ret->object);
    if (!lg_clr_module(clr, module) || !lg_clr_pointer(clr, module, off->Module_PEAssembly, &assembly)
        || !lg_clr_pointer(clr, assembly, off->PEAssembly_AssemblyBinder, &ret->binder)
        || !lg_target_u64(clr->target, ret->binder + off->AssemblyBinder_AssemblyLoadContext, &handle))
        return false;
    return handle == 0 || lg_target_u64(clr->target, handle, &ret->object);
}

void lg_clr_domain(struct lg_clr *clr, struct lg_domain *ret)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t name;
    *ret = clr->stored ? clr->stored->domain : (struct lg_domain){ 0 };
    if (clr->stored)
        return;
    if (off->AppDomain_FriendlyName == LG_NO_OFFSET
        || off->SystemDomain_GlobalLoaderAllocator == LG_NO_OFFSET) {
        lg_told_domain(clr, ret);
        return;
    }
    lg_clr_global_pointer(clr, "AppDomain", &ret->address);
    if (ret->address && lg_clr_pointer(clr, ret->address, off->AppDomain_FriendlyName, &name))
        ret->name = lg_clr_utf16(clr, name);
    if (!lg_clr_global_pointer(clr, "SystemDomain", &ret->system_domain)
        || off->SystemDomain_GlobalLoaderAllocator == LG_NO_OFFSET)
        return;
    ret->loader_allocator = ret->system_domain + off->SystemDomain_GlobalLoaderAllocator;
    lg_clr_pointer(clr, ret->loader_allocator, off->LoaderAllocator_LowFrequencyHeap,
                   &ret->low_frequency_heap);
    lg_clr_pointer(clr, ret->loader_allocator, off->LoaderAllocator_HighFrequencyHeap,
                   &ret->high_frequency_heap);
    lg_clr_pointer(clr, ret->loader_allocator, off->LoaderAllocator_StubHeap, &ret->stub_heap);
}
