// A heap profile for pprof (github.com/google/pprof proto/profile.proto), gzip-compressed: a sample for
// each dominator path, with the objects at its end and their own size, so that what a viewer sums up
// over a path is what it retains.
#include "export/paths.h"
#include "export/pprof_write.h"

struct writing {
    const struct lg_export_source *source;
    struct lg_arena arena;
    struct paths paths;
    uint32_t *id;            // [label_count] of location and function; 0: not used
    LG_VEC(uint32_t) labels; // by id - 1: in the order of first use
    struct lg_pprof *pprof;
};

static bool put_path(struct writing *w, const struct path *path)
{
    uint64_t locations[PATH_DEPTH + 1], values[] = { path->count, path->size };
    struct lg_pprof_sample sample = { .locations = locations, .values = values, .value_count = 2 };
    for (const struct path *at = path; at != w->paths.all.at; at = &w->paths.all.at[at->parent]) {
        if (!w->id[at->label]) {
            if (!lg_vec_push(&w->labels, at->label))
                return false;
            w->id[at->label] = (uint32_t)w->labels.len;
        }
        locations[sample.location_count++] = w->id[at->label]; // The leaf comes first.
    }
    lg_pprof_sample(w->pprof, &sample);
    return true;
}

// A location and a function of the same number for each label.
static bool put_labels(struct writing *w)
{
    for (uint32_t id = 1; id <= w->labels.len; id++) {
        const char *name = path_label(w->source, &w->paths, &w->arena, w->labels.at[id - 1]);
        if (!name)
            return false;
        lg_pprof_location(w->pprof, id, 0, id, 0);
        lg_pprof_function(w->pprof, id, name, NULL);
    }
    return true;
}

static bool put_comments(struct writing *w, const struct lg_export_figures *figures)
{
    const struct lg_roots *roots = w->source->roots;
    const char *first = lg_arena_format(
        &w->arena, "%s: %llu live objects by dominator path; %llu dead ones left out", w->source->tool,
        (unsigned long long)figures->objects, (unsigned long long)figures->dead);
    if (!first)
        return false;
    lg_pprof_comment(w->pprof, first);
    for (size_t i = 0; i < roots->incomplete.len; i++)
        lg_pprof_comment(w->pprof, roots->incomplete.at[i]);
    return true;
}

static struct lg_error *write_file(struct writing *w, const char *path, struct lg_export_figures *ret)
{
    struct lg_error *err = lg_pprof_new(path, &w->pprof);
    if (err)
        return err;
    lg_pprof_value_type(w->pprof, "inuse_objects", "count");
    lg_pprof_value_type(w->pprof, "inuse_space", "bytes");
    bool ok = true;
    for (size_t i = 1; i < w->paths.all.len && ok; i++)
        ok = w->paths.all.at[i].count == 0 || put_path(w, &w->paths.all.at[i]);
    if (!ok || !put_labels(w) || !put_comments(w, ret))
        return &lg_no_memory;
    return lg_pprof_finish(w->pprof, "inuse_space", &ret->size);
}

struct lg_error *lg_export_pprof(const struct lg_export_source *source, const char *path,
                                 struct lg_export_figures *ret)
{
    struct writing w = { .source = source };
    struct lg_error *err = count_live(source, ret);
    if (!err)
        err = paths_find(source, &w.paths);
    w.id = err ? NULL : calloc(w.paths.label_count, sizeof(*w.id));
    if (!err && !w.id)
        err = &lg_no_memory;
    if (!err)
        err = write_file(&w, path, ret);
    lg_pprof_free(w.pprof);
    free(w.id);
    lg_vec_free(&w.labels);
    paths_deinit(&w.paths);
    lg_arena_free(&w.arena);
    return err;
}
