// Where each fact comes from: the data descriptor as far as it goes, and the DAC for the rest.
#include "clr/sources.h"

#include "clr/gc_vars.h"
#include "clr/told.h"

static const struct lg_sources contracts = {
    .well_known = lg_contracts_well_known,
    .threads = lg_contracts_threads,
    .thread_counts = lg_contracts_thread_counts,
    .modules = lg_contracts_modules,
    .module = lg_contracts_module,
    .module_type = lg_contracts_module_type,
    .module_types = lg_contracts_module_types,
    .module_instantiations = lg_contracts_instantiations,
    .may_have_statics = lg_contracts_may_have_statics,
    .class = lg_contracts_class,
    .static_bases = lg_contracts_static_bases,
};

// Does it tell of the type system at all? Then of threads and the heap too.
static bool has_descriptor(const struct lg_clr *clr)
{
    return clr->off.MethodTable_BaseSize != LG_NO_OFFSET;
}

static bool lists_modules(const struct lg_offsets *off)
{
    return off->AppDomain_DomainAssemblyList != LG_NO_OFFSET && off->ArrayListBase_Count != LG_NO_OFFSET
           && off->ArrayListBase_FirstBlock != LG_NO_OFFSET && off->ArrayListBlock_Next != LG_NO_OFFSET
           && off->ArrayListBlock_Size != LG_NO_OFFSET && off->ArrayListBlock_ArrayStart != LG_NO_OFFSET
           && off->Assembly_Module != LG_NO_OFFSET;
}

static bool maps_tokens(const struct lg_offsets *off)
{
    return off->ModuleLookupMap_Next != LG_NO_OFFSET && off->ModuleLookupMap_Count != LG_NO_OFFSET
           && off->ModuleLookupMap_SupportedFlagsMask != LG_NO_OFFSET;
}

static bool tells_fields(const struct lg_offsets *off)
{
    return off->EEClass_FieldDescList != LG_NO_OFFSET && off->EEClass_NumInstanceFields != LG_NO_OFFSET
           && off->EEClass_NumStaticFields != LG_NO_OFFSET;
}

static bool tells_statics(const struct lg_clr *clr)
{
    return lg_clr_size(clr, "DynamicStaticsInfo") != 0
           && clr->off.MethodTable_AuxiliaryData != LG_NO_OFFSET
           && clr->off.DynamicStaticsInfo_GCStatics != LG_NO_OFFSET
           && clr->off.DynamicStaticsInfo_NonGCStatics != LG_NO_OFFSET;
}

// What the descriptor does not tell has no source, or the DAC. How many that are.
static unsigned replace(struct lg_clr *clr, bool dac)
{
    struct lg_sources *from = &clr->from;
    unsigned count = 0;
    if (!lists_modules(&clr->off)) {
        from->modules = dac ? lg_told_modules : NULL;
        count++;
    }
    if (!maps_tokens(&clr->off)) {
        from->module_type = dac ? lg_told_module_type : NULL;
        from->module_types = dac ? lg_told_module_types : NULL;
        from->module_instantiations = lg_measured_instantiations;
        count++;
    }
    if (!tells_fields(&clr->off)) {
        from->class = dac ? lg_told_class : NULL;
        count++;
    }
    if (!tells_statics(clr)) {
        from->static_bases = dac ? lg_told_static_bases : NULL;
        from->thread_base = dac ? lg_told_thread_base : NULL;
        count++;
    }
    return count;
}

static struct lg_error *complete(struct lg_clr *clr)
{
    clr->from = contracts;
    clr->info.provider = "contracts";
    if (replace(clr, false) == 0)
        return NULL;
    struct lg_dac *dac;
    struct lg_error *err = lg_clr_dac(clr, &dac);
    if (err && lg_error_kind(err) != LG_ERR_UNSUPPORTED)
        return err;
    if (err)
        lg_target_note(
            clr->target,
            "Fields and statics are unknown: the data descriptor of runtime %s does not tell of "
            "them, and there is no DAC that would: %s.",
            clr->info.version ? clr->info.version : "(of unknown version)", lg_error_message(err));
    else
        clr->info.provider = "contracts+dac";
    replace(clr, !err);
    lg_error_free(err);
    return NULL;
}

// Without a descriptor the DAC gives all, and from it the layouts of what there is much of.
static struct lg_error *do_without(struct lg_clr *clr)
{
    static const struct lg_sources told = {
        .well_known = lg_told_well_known,
        .threads = lg_told_threads,
        .thread_counts = lg_told_thread_counts,
        .modules = lg_told_modules,
        .module = lg_told_module,
        .module_type = lg_told_module_type,
        .module_types = lg_told_module_types,
        .module_instantiations = lg_measured_instantiations,
        .may_have_statics = lg_told_may_have_statics,
        .class = lg_told_class,
        .static_bases = lg_told_static_bases,
        .thread_base = lg_told_thread_base,
    };
    struct lg_dac *dac;
    struct lg_error *err = lg_clr_dac(clr, &dac);
    if (err)
        return lg_error_context(
            err,
            "runtime %s has no data descriptor, so what it is made of has to be asked of "
            "its libmscordaccore.so",
            clr->info.version ? clr->info.version : "(of unknown version)");
    clr->from = told;
    if (!lg_gc_vars_are_there(clr)) {
        clr->from.gc = lg_told_gc;
        clr->from.finalizers = lg_told_finalizers;
    }
    clr->info.provider = "dac";
    return lg_clr_layouts_measure(clr);
}

struct lg_error *lg_clr_sources_open(struct lg_clr *clr)
{
    return has_descriptor(clr) ? complete(clr) : do_without(clr);
}
