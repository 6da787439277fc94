// SQLite databases: types, roots, holders, and objects, to be asked in SQL (docs/exports.md).
#include <stdio.h>
#include <time.h>

#include "export/sqlite_priv.h"

static void writing_deinit(struct lite_writing *w)
{
    lite_free(w->lite);
    free(w->type_id);
    lg_vec_free(&w->types);
    lg_holders_free(w->holders);
    free(w->group_of);
    lg_vec_free(&w->groups);
    free(w->listed);
}

// ---- types ----

// Types are numbered as a walk meets them, which is never twice the same: in the file it is by name.
static int by_name(const void *a, const void *b, void *data)
{
    struct lg_clr *clr = data;
    const struct lg_type *x = *(const struct lg_type *const *)a, *y = *(const struct lg_type *const *)b;
    int order = strcmp(lg_clr_type_name(clr, x), lg_clr_type_name(clr, y));
    return order ? order : (x->mt > y->mt) - (x->mt < y->mt);
}

static uint64_t count_of(const struct lite_writing *w, const uint64_t *of, uint32_t id)
{
    return id < w->source->stats->type_count ? of[id] : 0;
}

static struct lg_error *number_types(struct lite_writing *w, const struct lg_retained_group *live)
{
    uint32_t count = lg_clr_type_count(w->clr);
    w->type_id = calloc(count + 1u, sizeof(*w->type_id));
    if (!w->type_id)
        return &lg_no_memory;
    for (uint32_t i = 0; i < count; i++) {
        bool has_some = live[i].count || count_of(w, w->source->stats->counts, i);
        if (has_some && !lg_vec_push(&w->types, lg_clr_type_at(w->clr, i)))
            return &lg_no_memory;
    }
    if (w->types.len)
        qsort_r(w->types.at, w->types.len, sizeof(*w->types.at), by_name, w->clr);
    for (size_t i = 0; i < w->types.len; i++)
        w->type_id[w->types.at[i]->id] = (uint32_t)i + 1;
    return NULL;
}

static uint64_t put_module(struct lite_writing *w, struct lite_table *table, struct lg_map *known,
                           uint64_t address)
{
    const struct lg_module *module = address ? lg_clr_module(w->clr, address) : NULL;
    uint32_t id;
    if (!module)
        return 0;
    if (lg_map_get(known, address, &id))
        return id;
    id = (uint32_t)table->rows + 1;
    lite_number(table, id);
    lite_text(table, module->name);
    lite_text(table, module->path);
    lite_end_row(table);
    if (!lg_map_put(known, address, id))
        lite_fail(w->lite, &lg_no_memory);
    return id;
}

static void put_types(struct lite_writing *w, const struct lg_retained_group *live)
{
    const struct lg_type_stats *stats = w->source->stats;
    struct lite_table table, modules;
    struct lg_map known = { 0 };
    lite_begin(w->lite, &modules, "module", 3);
    lite_begin(w->lite, &table, "type", 11);
    for (size_t i = 0; i < w->types.len && !w->lite->err; i++) {
        const struct lg_type *type = w->types.at[i];
        lite_number(&table, i + 1);
        lite_text(&table, lg_clr_type_name(w->clr, type));
        lite_number(&table, type->mt);
        lite_known(&table, put_module(w, &modules, &known, type->module));
        lite_number(&table, type->base_size);
        lite_number(&table, type->component_size);
        lite_number(&table, count_of(w, stats->counts, type->id));
        lite_number(&table, count_of(w, stats->sizes, type->id));
        lite_number(&table, live[type->id].count);
        lite_number(&table, live[type->id].size);
        lite_number(&table, live[type->id].retained);
        lite_end_row(&table);
    }
    lite_end(&table);
    lite_end(&modules);
    lg_map_free(&known);
}

// ---- small tables ----

static void put_names(struct lite_writing *w)
{
    struct lite_table table;
    lite_begin(w->lite, &table, "generation", 2);
    for (int i = 0; i < LG_GENERATIONS; i++) {
        lite_number(&table, (uint64_t)i);
        lite_text(&table, lg_generation_name((enum lg_generation)i));
        lite_end_row(&table);
    }
    lite_end(&table);
    // What no root reaches is dead only if all roots are known.
    const char *const lives[] = { [LG_ALIVE] = "alive",
                                  [LG_MAYBE_ALIVE] = "maybe",
                                  [LG_DEAD] =
                                      w->source->roots->is_missing_some ? "not reached" : "dead" };
    lite_begin(w->lite, &table, "life", 2);
    for (uint64_t i = 0; i < sizeof(lives) / sizeof(*lives); i++) {
        lite_number(&table, i);
        lite_text(&table, lives[i]);
        lite_end_row(&table);
    }
    lite_end(&table);
}

static void put_owner(struct lite_table *table, const struct lg_owner *owner)
{
    _cleanup_free_ char *label = lg_owner_label(owner);
    const char *kind = owner->is_frozen                ? "frozen"
                       : owner->thread && !owner->name ? "thread"
                                                       : lg_root_kind_name(owner->kind);
    lite_fail(table->lite, label ? NULL : &lg_no_memory);
    lite_text(table, label);
    lite_text(table, kind);
    lite_text(table, owner->name);
    lite_known(table, owner->thread ? owner->thread->os_id : 0);
}

// 0 stands for several at once.
static void put_owners(struct lite_writing *w)
{
    const struct lg_retention *retention = w->source->retention;
    struct lite_table table;
    uint64_t objects = retention->live_count, retained = retention->live_size;
    lite_begin(w->lite, &table, "owner", 7);
    for (size_t i = 0; i < retention->owners.len; i++) {
        uint32_t number = retention->number[retention->node_count + i];
        lite_number(&table, i + 1);
        put_owner(&table, &retention->owners.at[i]);
        lite_number(&table, number ? retention->objects[number] : 0);
        lite_number(&table, number ? retention->size[number] : 0);
        lite_end_row(&table);
        objects -= number ? retention->objects[number] : 0;
        retained -= number ? retention->size[number] : 0;
    }
    lite_number(&table, 0);
    lite_text(&table, "several roots");
    lite_null(&table);
    lite_null(&table);
    lite_null(&table);
    lite_number(&table, objects);
    lite_number(&table, retained);
    lite_end_row(&table);
    lite_end(&table);
}

static uint64_t type_at(const struct lite_writing *w, uint64_t object)
{
    lg_node node = lg_index_node(w->source->reach->graph->index, object);
    return node == LG_NO_NODE ? 0 : type_of_node(w, node);
}

static void put_roots(struct lite_writing *w)
{
    const struct lg_roots *roots = w->source->roots;
    struct lite_table table;
    lite_begin(w->lite, &table, "root", 12);
    for (size_t i = 0; i < roots->all.len && !w->lite->err; i++) {
        const struct lg_root *root = &roots->all.at[i];
        lite_number(&table, i + 1);
        lite_text(&table, lg_root_kind_name(root->kind));
        lite_number(&table, root->object);
        lite_known(&table, type_at(w, root->object));
        lite_known(&table, root->slot);
        lite_text(&table, root->name);
        lite_known(&table, root->thread ? root->thread->os_id : 0);
        lite_text(&table, root->frame);
        lite_text(&table, root->place);
        lite_number(&table, root->conservative);
        lite_number(&table, root->is_pinned);
        lite_number(&table, root->is_interior);
        lite_end_row(&table);
    }
    lite_end(&table);
}

// A .gcdump has none: what it is read as are references for which its objects have no room. Why a core
// tells of none the notes on its roots say.
static void put_handles(struct lite_writing *w)
{
    const struct lg_handle *handles;
    size_t count = 0;
    struct lite_table table;
    if (!lg_clr_info(w->clr)->is_bare)
        lg_error_free(lg_clr_handles(w->clr, &handles, &count));
    lite_begin(w->lite, &table, "handle", 6);
    for (size_t i = 0; i < count && !w->lite->err; i++) {
        lite_number(&table, i + 1);
        lite_number(&table, handles[i].address);
        lite_text(&table, lg_handle_kind_name(handles[i].kind));
        lite_number(&table, handles[i].object);
        lite_known(&table, type_at(w, handles[i].object));
        lite_known(&table, handles[i].secondary);
        lite_end_row(&table);
    }
    lite_end(&table);
}

// ---- what it is about ----

static void put_fact(struct lite_table *table, const char *key, uint64_t value)
{
    lite_text(table, key);
    lite_number(table, value);
    lite_end_row(table);
}

static void put_word(struct lite_table *table, const char *key, const char *value)
{
    lite_text(table, key);
    lite_text(table, value);
    lite_end_row(table);
}

static void put_meta(struct lite_writing *w, const struct lg_export_figures *figures)
{
    const struct lg_target *target = w->source->target;
    const struct lg_walk_result *walk = &w->source->reach->graph->walk;
    struct lite_table table;
    struct tm tm;
    char taken[32] = "";
    if (target->taken.tv_sec && gmtime_r(&target->taken.tv_sec, &tm))
        strftime(taken, sizeof(taken), "%Y-%m-%dT%H:%M:%SZ", &tm);
    lite_begin(w->lite, &table, "meta", 2);
    put_word(&table, "tool", w->source->tool);
    put_word(&table, "target", target->path);
    put_word(&table, "taken", taken[0] ? taken : NULL);
    put_fact(&table, "pid", (uint64_t)target->pid);
    put_fact(&table, "live_count", figures->objects);
    put_fact(&table, "live_size", figures->bytes);
    put_fact(&table, "guessed_count", w->source->reach->live_count - w->source->reach->certain_count);
    put_fact(&table, "references", figures->references);
    put_fact(&table, "rest_count", figures->dead);
    put_fact(&table, "listed_count", w->rows);
    put_fact(&table, "all", !w->listed);
    put_fact(&table, "bad_objects", walk->bad_objects);
    put_fact(&table, "skipped_bytes", walk->skipped_bytes);
    put_fact(&table, "unsettled_objects", walk->unsettled);
    lite_end(&table);
}

// What could not be known.
static void put_notes(struct lite_writing *w)
{
    const struct lg_roots *roots = w->source->roots;
    const struct lg_target *target = w->source->target;
    struct lite_table table;
    lite_begin(w->lite, &table, "note", 1);
    for (size_t i = 0; i < roots->incomplete.len; i++) {
        lite_text(&table, roots->incomplete.at[i]);
        lite_end_row(&table);
    }
    for (size_t i = 0; i < target->notes.len; i++) {
        lite_text(&table, target->notes.at[i]);
        lite_end_row(&table);
    }
    lite_end(&table);
}

static struct lg_error *find_types(struct lite_writing *w, struct lg_retained_group *live)
{
    uint32_t count = lg_clr_type_count(w->clr);
    _cleanup_free_ uint32_t *key = calloc(count + 1u, sizeof(*key));
    if (!key || !live)
        return &lg_no_memory;
    for (uint32_t i = 0; i < count; i++)
        key[i] = i;
    struct lg_error *err = lg_retention_group(w->source->retention, key, live, count);
    return err ? err : number_types(w, live);
}

static struct lg_error *write_file(struct lite_writing *w, const struct lg_retained_group *live,
                                   const char *path, struct lg_export_figures *ret)
{
    struct lg_error *err = lite_create(path, &w->lite);
    if (err)
        return err;
    lite_run(w->lite, sqlite_tables);
    put_types(w, live);
    put_names(w);
    put_owners(w);
    put_roots(w);
    put_handles(w);
    sqlite_put_paths(w);
    sqlite_put_objects(w);
    if (w->source->all) {
        lite_run(w->lite, sqlite_all_tables);
        sqlite_put_edges(w);
    }
    put_meta(w, ret);
    put_notes(w);
    lite_run(w->lite, sqlite_views);
    if (w->source->all)
        lite_run(w->lite, sqlite_all_views);
    ret->listed = w->rows;
    return lite_finish(w->lite, &ret->size);
}

struct lg_error *lg_export_sqlite(const struct lg_export_source *source, const char *path,
                                  struct lg_export_figures *ret)
{
    _cleanup_(writing_deinit) struct lite_writing w = {
        .source = source,
        .heap = source->reach->graph->heap,
        .clr = lg_heap_clr(source->reach->graph->heap),
    };
    _cleanup_free_ struct lg_retained_group *live = calloc(lg_clr_type_count(w.clr) + 1u, sizeof(*live));
    struct lg_error *err = count_live(source, ret);
    if (!err)
        err = find_types(&w, live);
    if (!err)
        err = sqlite_find_paths(&w);
    if (!err && !source->all)
        err = sqlite_choose_objects(&w);
    return err ? err : write_file(&w, live, path, ret);
}
