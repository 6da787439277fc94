// The sources that the DAC is (sources.h).
#include "clr/sources.h"

#include <string.h>

#include "clr/told.h"
#include "util/search.h"

static struct lg_error *no_dac(void)
{
    return lg_error_new(LG_ERR_UNSUPPORTED, "the DAC is not there any more");
}

struct lg_error *lg_told_well_known(struct lg_clr *clr)
{
    struct lg_dac_well_known known;
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_well_known_read(dac, &known) : no_dac();
    lg_told_end(clr);
    if (err)
        return err;
    clr->info.free_mt = known.free_mt;
    clr->info.object_mt = known.object_mt;
    clr->info.string_mt = known.string_mt;
    clr->info.object_array_mt = known.array_mt;
    return NULL;
}

// ---- threads ----

static struct lg_managed_thread thread_of(const struct lg_dac_thread *t, uint64_t finalizer)
{
    enum { MAX_TID = 1 << 22 }; // Above: 0xbaadf00d and the like: gone
    return (struct lg_managed_thread){
        .address = t->address,
        .id = t->id,
        .os_id = t->os_id <= MAX_TID ? t->os_id : 0,
        .state = t->state,
        .cooperative = t->is_cooperative,
        .last_thrown_handle = t->last_thrown_handle,
        .alloc_ptr = t->alloc_ptr,
        .alloc_limit = t->alloc_limit,
        .is_finalizer = finalizer && t->address == finalizer,
    };
}

// Threads without a context of their own share the global one (reference clr.md C.5).
static struct lg_error *read_global_context(struct lg_clr *clr, struct lg_dac *dac)
{
    struct lg_dac_gc gc = { 0 };
    struct lg_error *err = lg_dac_gc_read(dac, &gc);
    struct lg_alloc_context context = { gc.alloc_ptr, gc.alloc_limit };
    lg_dac_gc_deinit(&gc);
    if (err && lg_error_kind(err) != LG_ERR_NOT_FOUND)
        return err;
    lg_error_free(err);
    if (!context.ptr || context.ptr > context.limit)
        return NULL;
    return lg_vec_push(&clr->contexts, context) ? NULL : &lg_no_memory;
}

struct lg_error *lg_told_threads(struct lg_clr *clr)
{
    struct lg_dac_threads threads = { 0 };
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_threads_read(dac, &threads) : no_dac();
    for (size_t i = 0; !err && i < threads.list.len; i++) {
        if (!lg_vec_push(&clr->threads, thread_of(&threads.list.at[i], threads.finalizer)))
            err = &lg_no_memory;
    }
    if (!err)
        err = read_global_context(clr, dac);
    lg_told_end(clr);
    lg_dac_threads_deinit(&threads);
    return err;
}

void lg_told_thread_counts(struct lg_clr *clr, struct lg_thread_counts *ret)
{
    struct lg_dac_threads threads = { 0 };
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_threads_read(dac, &threads) : no_dac();
    lg_told_end(clr);
    if (!err)
        *ret = (struct lg_thread_counts){ threads.all, threads.unstarted, threads.background,
                                          threads.pending, threads.dead };
    lg_dac_threads_deinit(&threads);
    lg_error_free(err);
}

// ---- modules ----

struct lg_error *lg_told_modules(struct lg_clr *clr, lg_add_module *add)
{
    struct lg_dac_addresses modules = { 0 };
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_modules_read(dac, &modules) : no_dac();
    lg_told_end(clr);
    size_t unread = 0;
    for (size_t i = 0; !err && i < modules.len; i++)
        unread += !add(clr, modules.at[i]);
    clr->modules_lost = unread;
    if (unread > 0)
        lg_target_note(clr->target, "%zu of the %zu modules that the runtime lists cannot be read.",
                       unread, modules.len);
    lg_dac_addresses_deinit(&modules);
    return err;
}

static const char *keep(struct lg_clr *clr, const char *text)
{
    const char *copy = text ? lg_arena_copy(lg_type_arena(clr), text, strlen(text)) : NULL;
    return copy ? copy : "";
}

// Collectible code has a LoaderAllocator of its own; all other shares CoreLib's.
static bool is_collectible(struct lg_clr *clr, const struct lg_dac_module *m)
{
    const struct lg_dac_type *object = lg_told_type(clr, clr->info.object_mt);
    struct lg_dac_module corelib = { 0 };
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac && object ? lg_dac_module_read(dac, object->module, &corelib) : no_dac();
    lg_told_end(clr);
    bool differs = !err && m->loader_allocator && corelib.loader_allocator != m->loader_allocator;
    lg_error_free(err);
    lg_dac_module_deinit(&corelib);
    return differs;
}

bool lg_told_module(struct lg_clr *clr, uint64_t module, struct lg_module_facts *ret)
{
    struct lg_dac_module m = { 0 };
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_module_read(dac, module, &m) : no_dac();
    lg_told_end(clr);
    if (!err) {
        const char *path = keep(clr, m.path);
        *ret = (struct lg_module_facts){
            .module = {
                .address = module,
                .assembly = m.assembly,
                .loader_allocator = m.loader_allocator,
                .path = path,
                .name = lg_file_name(path),
                .image_base = m.image_base,
                .image_size = m.image_size,
                .is_dynamic = m.is_dynamic,
                .is_collectible = is_collectible(clr, &m),
            },
            .is_mapped = !m.is_file_layout,
            .metadata = m.metadata,
            .metadata_size = m.metadata_size,
        };
        if (m.is_dynamic && !m.metadata)
            lg_measured_metadata(clr, module, &ret->metadata, &ret->metadata_size);
    }
    lg_dac_module_deinit(&m);
    bool told = !err;
    lg_error_free(err);
    return told;
}

bool lg_told_module_types(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data)
{
    const struct lg_dac_module_types *types = lg_told_types_of(clr, module);
    for (size_t i = 0; types && i < types->len; i++)
        each(data, types->at[i].token & 0xffffff, types->at[i].mt);
    return types != NULL;
}

static uint64_t type_def(struct lg_clr *clr, uint64_t module, uint32_t token)
{
    const struct lg_dac_module_types *types = lg_told_types_of(clr, module);
    size_t low = lg_first_not(types ? types->len : 0, i, types->at[i].token < token);
    return types && low < types->len && types->at[low].token == token ? types->at[low].mt : 0;
}

// The module that an assembly is called by; 0: none that is loaded.
static uint64_t module_named(struct lg_clr *clr, const char *name)
{
    const struct lg_module *const *modules;
    size_t count = 0;
    struct lg_error *err = name ? lg_clr_modules(clr, &modules, &count) : NULL;
    uint64_t found = 0;
    for (size_t i = 0; !err && i < count && !found; i++) {
        const struct lg_metadata *md = lg_module_metadata(clr, modules[i]->address);
        const char *its = md ? lg_metadata_assembly_name(md) : NULL;
        if (its && strcmp(its, name) == 0)
            found = modules[i]->address;
    }
    lg_error_free(err);
    return found;
}

static uint64_t type_named(struct lg_clr *clr, uint64_t module, const struct lg_md_type_ref *ref)
{
    const struct lg_metadata *md = module ? lg_module_metadata(clr, module) : NULL;
    uint32_t rid = md ? lg_metadata_find_type(md, 0, ref->name_space, ref->name) : 0;
    return rid ? type_def(clr, module, (uint32_t)LG_MD_TYPE_DEF << 24 | rid) : 0;
}

// By name: in the assembly that it says, or in CoreLib, to which most of System is forwarded. Nested
// types stay unknown.
static uint64_t type_ref(struct lg_clr *clr, uint64_t module, uint32_t rid)
{
    const struct lg_metadata *md = lg_module_metadata(clr, module);
    struct lg_md_type_ref ref;
    if (!md || !lg_metadata_type_ref(md, rid, &ref) || ref.scope >> 24 != LG_MD_ASSEMBLY_REF)
        return 0;
    uint64_t mt =
        type_named(clr, module_named(clr, lg_metadata_assembly_ref(md, ref.scope & 0xffffff)), &ref);
    return mt ? mt : type_named(clr, lg_module_corelib(clr), &ref);
}

uint64_t lg_told_module_type(struct lg_clr *clr, uint64_t module, uint32_t token)
{
    return token >> 24 == LG_MD_TYPE_REF ? type_ref(clr, module, token & 0xffffff)
                                         : type_def(clr, module, token);
}

// ---- types ----

bool lg_told_may_have_statics(const struct lg_mt *m)
{
    return true;
}

bool lg_told_class(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m, struct lg_class *ret)
{
    const struct lg_dac_type *told = lg_told_type(clr, mt);
    // From .NET 9 on the DAC calls the canonical method table the class.
    if (!told || (told->ee_class != m->ee_class && told->ee_class != m->canonical))
        return false;
    *ret = (struct lg_class){
        .mt = m->canonical,
        .list = told->first_field,
        .instance = told->instance_fields,
        .statics = told->static_fields,
        .thread_statics = told->thread_static_fields,
    };
    return true;
}

// NOT_FOUND is an answer: there are none.
static struct lg_error *none_is_zero(struct lg_error *err, struct lg_dac_statics *ret, bool *none_ret)
{
    *none_ret = err && lg_error_kind(err) == LG_ERR_NOT_FOUND;
    if (err && !*none_ret)
        return err;
    if (err)
        *ret = (struct lg_dac_statics){ 0 };
    lg_error_free(err);
    return NULL;
}

// .NET 8 and older.
static void note_nameless(struct lg_clr *clr)
{
    if (!clr->has_nameless_statics)
        lg_target_note(clr->target, "Statics of generic types, and of types made at run time, have no "
                                    "names: the DAC of this runtime does not tell where they lie. What "
                                    "they hold is told as held by handles.");
    clr->has_nameless_statics = true;
}

bool lg_told_static_bases(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m,
                          struct lg_static_bases *ret)
{
    const struct lg_dac_type *told = lg_told_type(clr, mt);
    struct lg_dac_statics bases = { 0 };
    bool none = false;
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err =
        told && dac ? none_is_zero(lg_dac_statics_read(dac, told, &bases), &bases, &none) : no_dac();
    lg_told_end(clr);
    *ret = (struct lg_static_bases){ bases.gc, bases.non_gc, bases.is_initialized };
    if (none && told->is_dynamic)
        note_nameless(clr);
    lg_told_failed(clr, err);
    lg_error_free(err);
    return !err;
}

uint64_t lg_told_thread_base(struct lg_clr *clr, uint64_t mt, const struct lg_managed_thread *thread)
{
    const struct lg_dac_type *told = lg_told_type(clr, mt);
    struct lg_dac_statics bases = { 0 };
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err =
        told && dac ? lg_dac_thread_statics_read(dac, told, thread->address, &bases) : no_dac();
    lg_told_end(clr);
    uint64_t base = err ? 0 : bases.gc;
    lg_told_failed(clr, err);
    lg_error_free(err);
    return base;
}

// ---- domains ----

// All types of a module are of one load context, so any of them tells.
bool lg_told_load_context(struct lg_clr *clr, uint64_t module, uint64_t *ret)
{
    const struct lg_dac_module_types *types = lg_told_types_of(clr, module);
    const struct lg_dac_type *told = types && types->len > 0 ? lg_told_type(clr, types->at[0].mt) : NULL;
    bool is_told = told && told->load_context != LG_DAC_NOT_TOLD;
    *ret = is_told ? told->load_context : 0;
    return is_told;
}

void lg_told_domain(struct lg_clr *clr, struct lg_domain *ret)
{
    struct lg_dac_domain domain = { 0 };
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_domain_read(dac, &domain) : no_dac();
    lg_told_end(clr);
    if (!err)
        *ret = (struct lg_domain){
            .address = domain.address,
            .name = domain.name ? keep(clr, domain.name) : NULL,
            .system_domain = domain.system_domain,
            .low_frequency_heap = domain.low_frequency_heap,
            .high_frequency_heap = domain.high_frequency_heap,
            .stub_heap = domain.stub_heap,
        };
    lg_dac_domain_deinit(&domain);
    lg_error_free(err);
}
