// The sources that the DAC is (sources.h).
#include "clr/sources.h"

#include "clr/told.h"

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

// ---- types ----

bool lg_told_may_have_statics(const struct lg_mt *m)
{
    return true;
}

bool lg_told_class(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m, struct lg_class *ret)
{
    const struct lg_dac_type *told = lg_told_type(clr, mt);
    if (!told || told->ee_class != m->ee_class)
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

bool lg_told_static_bases(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m,
                          struct lg_static_bases *ret)
{
    const struct lg_dac_type *told = lg_told_type(clr, mt);
    struct lg_dac_statics bases;
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = told && dac ? lg_dac_statics_read(dac, told, &bases) : no_dac();
    lg_told_end(clr);
    if (!err)
        *ret = (struct lg_static_bases){ bases.gc, bases.non_gc, bases.is_initialized };
    lg_error_free(err);
    return !err;
}

struct lg_error *lg_told_threads(struct lg_clr *clr)
{
    return no_dac();
}
void lg_told_thread_counts(struct lg_clr *clr, struct lg_thread_counts *ret) {}
struct lg_error *lg_told_modules(struct lg_clr *clr, lg_add_module *add)
{
    return no_dac();
}
bool lg_told_module(struct lg_clr *clr, uint64_t module, struct lg_module_facts *ret)
{
    return false;
}
bool lg_told_module_types(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data)
{
    return false;
}
uint64_t lg_told_thread_base(struct lg_clr *clr, uint64_t mt, const struct lg_managed_thread *thread)
{
    return 0;
}
