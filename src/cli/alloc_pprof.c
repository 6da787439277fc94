// Sites for pprof: a sample for each type and stack, with estimates of what is alive and of what was
// made by the names that Go's heap profiles have; types and holders are labels.
#include <inttypes.h>
#include <string.h>

#include "cli/alloc.h"
#include "export/pprof_write.h"

struct writing {
    const struct lg_alloc_run *run;
    const struct lg_alloc_sites *sites;
    struct lg_pprof *pprof;
    bool is_alive; // It is known what is.
    LG_VEC(const char *) modules;
    LG_VEC(uint64_t) locations; // of one sample
};

static void put_value_types(struct writing *w)
{
    if (w->is_alive) {
        lg_pprof_value_type(w->pprof, "inuse_objects", "count");
        lg_pprof_value_type(w->pprof, "inuse_space", "bytes");
    }
    lg_pprof_value_type(w->pprof, "alloc_objects", "count");
    lg_pprof_value_type(w->pprof, "alloc_space", "bytes");
}

static bool put_site(struct writing *w, const struct lg_alloc_site *site)
{
    const uint64_t values[] = { (uint64_t)(site->count + 0.5), (uint64_t)(site->bytes + 0.5),
                                (uint64_t)(site->made_count + 0.5), (uint64_t)(site->made_bytes + 0.5) };
    w->locations.len = 0;
    for (uint32_t i = 0; i < site->stack_count; i++) {
        if (!lg_vec_push(&w->locations, w->sites->stacks.at[site->stack + i] + UINT64_C(1)))
            return false;
    }
    const struct lg_pprof_sample sample = { .locations = w->locations.at,
                                            .location_count = w->locations.len,
                                            .values = w->is_alive ? values : values + 2,
                                            .value_count = w->is_alive ? 4 : 2,
                                            .labels = { { "type", site->type },
                                                        { "holder", site->holder } } };
    lg_pprof_sample(w->pprof, &sample);
    return true;
}

// The number of a module: 0 for none.
static bool module_of(struct writing *w, const char *module, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; module && i < w->modules.len && !*ret; i++)
        *ret = strcmp(w->modules.at[i], module) == 0 ? i + 1 : 0;
    if (!module || *ret)
        return true;
    *ret = w->modules.len + 1;
    lg_pprof_mapping(w->pprof, *ret, module);
    return lg_vec_push(&w->modules, module);
}

// A location and a function of the same number for each frame.
static bool put_frames(struct writing *w)
{
    for (size_t i = 0; i < w->sites->names.frames.len; i++) {
        const struct lg_alloc_frame *frame = &w->sites->names.frames.at[i];
        uint64_t mapping;
        if (!module_of(w, frame->module, &mapping))
            return false;
        lg_pprof_location(w->pprof, i + 1, mapping, i + 1, frame->source.file ? frame->source.line : 0);
        lg_pprof_function(w->pprof, i + 1, frame->method ? frame->method : "(unknown code)",
                          frame->source.file);
    }
    return true;
}

static struct lg_error *write_all(struct writing *w)
{
    char text[256];
    uint64_t size;
    bool ok = true;
    put_value_types(w);
    for (size_t i = 0; i < w->sites->all.len && ok; i++)
        ok = put_site(w, &w->sites->all.at[i]);
    if (!ok || !put_frames(w))
        return &lg_no_memory;
    snprintf(text, sizeof(text),
             "linger " LINGER_VERSION ": estimates from %" PRIu64 " sampled allocations, %" PRIu64
             " of them alive",
             w->run->samples.samples, w->sites->alive);
    lg_pprof_comment(w->pprof, text);
    if (w->run->pid)
        lg_pprof_duration(w->pprof, (uint64_t)(w->run->seconds * 1e9));
    return lg_pprof_finish(w->pprof, w->is_alive ? "inuse_space" : "alloc_space", &size);
}

struct lg_error *lg_alloc_pprof(const struct lg_alloc_run *run, const struct lg_alloc_sites *sites,
                                const char *path)
{
    struct writing w = { .run = run, .sites = sites, .is_alive = run->is_frozen && !run->why_not };
    struct lg_error *err = lg_pprof_new(path, &w.pprof);
    if (!err)
        err = write_all(&w);
    lg_pprof_free(w.pprof);
    lg_vec_free(&w.modules);
    lg_vec_free(&w.locations);
    return err;
}
