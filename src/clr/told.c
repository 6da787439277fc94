#include "clr/told.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "util/map.h"

// Types are kept in chunks that never move: pointers to them are given away.
enum { CHUNK = 256, CHUNKS = 4096 };

struct lg_told {
    pthread_mutex_t lock;
    struct lg_dac *dac;
    char *file;            // As the options have it.
    struct lg_error *none; // Why there is no DAC; NULL: there is one, or nobody asked yet.
    struct lg_map by_mt;   // -> 1 + number of the type; 0: it is none
    atomic_size_t unanswered;
    uint32_t count;
    struct lg_dac_type *chunks[CHUNKS];
    LG_VEC(struct types_of *) modules;
};

struct types_of {
    uint64_t module;
    bool is_told;
    struct lg_dac_module_types types;
};

// ---- the DAC ----

static struct lg_error *open_dac(struct lg_clr *clr)
{
    struct lg_told *told = clr->told;
    if (told->file && strcmp(told->file, "none") == 0)
        return lg_error_new(LG_ERR_UNSUPPORTED, "--dac none says to go without the DAC");
    const struct lg_dac_options options = { .file = told->file, .version = clr->info.version };
    return lg_dac_open(clr->target, clr->image.path, clr->image.base, &options, &told->dac);
}

static struct lg_error *get_dac(struct lg_clr *clr, struct lg_dac **ret)
{
    struct lg_told *told = clr->told;
    struct lg_error *err = told->dac || told->none ? NULL : open_dac(clr);
    enum lg_error_kind kind = err ? lg_error_kind(err) : LG_ERR_UNSUPPORTED;
    if (kind == LG_ERR_CANCELLED || kind == LG_ERR_NO_MEMORY)
        return err;
    if (err)
        told->none = err;
    *ret = told->dac;
    return told->dac ? NULL : lg_error_new(LG_ERR_UNSUPPORTED, "%s", lg_error_message(told->none));
}

struct lg_error *lg_clr_dac(struct lg_clr *clr, struct lg_dac **ret)
{
    pthread_mutex_lock(&clr->told->lock);
    struct lg_error *err = get_dac(clr, ret);
    pthread_mutex_unlock(&clr->told->lock);
    return err;
}

struct lg_error *lg_clr_use_dac(struct lg_clr *clr, const char *file)
{
    struct lg_told *told = clr->told;
    char *copy = file ? strdup(file) : NULL;
    if (file && !copy)
        return &lg_no_memory;
    free(told->file);
    told->file = copy;
    lg_dac_free(told->dac);
    told->dac = NULL;
    lg_error_free(told->none);
    told->none = NULL;
    return NULL;
}

struct lg_dac *lg_told_begin(struct lg_clr *clr)
{
    struct lg_dac *dac = NULL;
    pthread_mutex_lock(&clr->told->lock);
    struct lg_error *err = get_dac(clr, &dac);
    lg_error_free(err);
    return dac;
}

void lg_told_end(struct lg_clr *clr)
{
    pthread_mutex_unlock(&clr->told->lock);
}

void lg_told_failed(struct lg_clr *clr, const struct lg_error *err)
{
    if (err && lg_error_kind(err) != LG_ERR_NOT_FOUND)
        atomic_fetch_add(&clr->told->unanswered, 1);
}

size_t lg_told_unanswered(const struct lg_clr *clr)
{
    return atomic_load(&clr->told->unanswered);
}

// ---- types ----

static struct lg_dac_type *add(struct lg_told *told, const struct lg_dac_type *type)
{
    struct lg_dac_type **chunk = &told->chunks[told->count / CHUNK];
    if (told->count == CHUNK * CHUNKS || (!*chunk && !(*chunk = calloc(CHUNK, sizeof(**chunk)))))
        return NULL;
    struct lg_dac_type *entry = &(*chunk)[told->count % CHUNK];
    *entry = *type;
    told->count++;
    return entry;
}

static const struct lg_dac_type *ask(struct lg_clr *clr, uint64_t mt)
{
    struct lg_told *told = clr->told;
    struct lg_dac *dac = NULL;
    struct lg_dac_type type;
    const struct lg_dac_type *kept = NULL;
    struct lg_error *err = get_dac(clr, &dac);
    if (!err)
        err = lg_dac_type_read(dac, mt, &type);
    bool is_final = !err || lg_error_kind(err) == LG_ERR_NOT_FOUND;
    if (!err)
        kept = add(told, &type);
    lg_told_failed(clr, err);
    lg_error_free(err);
    if (is_final) // What does not fit is asked for again.
        (void)!lg_map_put(&told->by_mt, mt, kept ? told->count : 0);
    return kept;
}

const struct lg_dac_type *lg_told_type(struct lg_clr *clr, uint64_t mt)
{
    struct lg_told *told = clr->told;
    const struct lg_dac_type *type = NULL;
    uint32_t n;
    if (mt == 0 || (mt & 7))
        return NULL;
    pthread_mutex_lock(&told->lock);
    if (!lg_map_get(&told->by_mt, mt, &n))
        type = ask(clr, mt);
    else if (n > 0)
        type = &told->chunks[(n - 1) / CHUNK][(n - 1) % CHUNK];
    pthread_mutex_unlock(&told->lock);
    return type;
}

static int by_token(const void *a, const void *b)
{
    const struct lg_dac_module_type *x = a, *y = b;
    return (x->token > y->token) - (x->token < y->token);
}

const struct lg_dac_module_types *lg_told_types_of(struct lg_clr *clr, uint64_t module)
{
    struct lg_told *told = clr->told;
    for (size_t i = 0; i < told->modules.len; i++) {
        if (told->modules.at[i]->module == module)
            return told->modules.at[i]->is_told ? &told->modules.at[i]->types : NULL;
    }
    struct types_of *of = calloc(1, sizeof(*of));
    if (!of || !lg_vec_push(&told->modules, of)) {
        free(of);
        return NULL;
    }
    of->module = module;
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_module_types_read(dac, module, &of->types) : NULL;
    lg_told_end(clr);
    of->is_told = dac && !err;
    lg_error_free(err);
    if (of->types.len > 0)
        qsort(of->types.at, of->types.len, sizeof(*of->types.at), by_token);
    return of->is_told ? &of->types : NULL;
}

// ---- opening ----

struct lg_error *lg_clr_told_open(struct lg_clr *clr, const struct lg_clr_options *options)
{
    struct lg_told *told = clr->told = calloc(1, sizeof(*told));
    if (!told)
        return &lg_no_memory;
    pthread_mutex_init(&told->lock, NULL);
    clr->without_descriptor = options && options->without_descriptor;
    const char *file = options ? options->dac : "none";
    if (file && !(told->file = strdup(file)))
        return &lg_no_memory;
    return NULL;
}

void lg_clr_told_close(struct lg_clr *clr)
{
    struct lg_told *told = clr->told;
    if (!told)
        return;
    lg_dac_free(told->dac);
    lg_error_free(told->none);
    free(told->file);
    lg_map_free(&told->by_mt);
    for (size_t i = 0; i < told->modules.len; i++) {
        lg_dac_module_types_deinit(&told->modules.at[i]->types);
        free(told->modules.at[i]);
    }
    lg_vec_free(&told->modules);
    for (unsigned i = 0; i < CHUNKS && told->chunks[i]; i++)
        free(told->chunks[i]);
    pthread_mutex_destroy(&told->lock);
    free(told);
    clr->told = NULL;
}
