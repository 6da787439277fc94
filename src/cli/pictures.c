#include "cli/pictures.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "collect/holders.h"
#include "util/error.h"

// Everything of one picture: nothing of it is of another copy.
struct whole {
    struct lg_clr *clr;
    const struct lg_type_stats *stats; // NULL: not asked for
    const struct lg_walk_result *walk;
    const struct lg_retention *retention; // NULL: not asked for
    const struct lg_reach *reach;
    const struct lg_roots *roots;
    bool counts_dead;               // Because it is asked for, or because nothing is known to be dead.
    struct lg_retained_group *live; // [type_count] by type
    uint32_t type_count;
    struct lg_holders *holders; // NULL: not asked for
};
static void whole_deinit(struct whole *whole)
{
    free(whole->live);
    lg_holders_free(whole->holders);
}

// ---- looking ----

static struct lg_error *look_once(const struct lg_pictures *pictures, struct lg_session *session,
                                  struct whole *ret)
{
    struct lg_error *err = NULL;
    if (pictures->graph)
        err = lg_session_retention(session, &ret->retention);
    if (!err && pictures->graph)
        err = lg_session_reach(session, &ret->reach);
    if (!err && pictures->graph)
        err = lg_session_roots(session, &ret->roots);
    ret->counts_dead = !err && (pictures->all || !pictures->graph || ret->roots->is_missing_some);
    if (!err && ret->counts_dead)
        err = lg_session_stats(session, &ret->stats, &ret->walk);
    return err;
}

// Each of these may take another copy of a process, and then what came before is void.
static struct lg_error *look(const struct lg_pictures *pictures, struct lg_session *session,
                             struct whole *ret)
{
    enum { TRIES = 5 };
    unsigned before = UINT_MAX, after = lg_session_pauses(session).count;
    struct lg_error *err = NULL;
    for (int i = 0; i < TRIES && before != after && !err; i++) {
        before = after;
        err = look_once(pictures, session, ret);
        after = lg_session_pauses(session).count;
    }
    if (!err && before != after)
        err = lg_error_new(LG_ERR_CORRUPT, "no copy of it could be walked exactly, %d times", TRIES);
    ret->clr = lg_session_clr(session);
    if (!err && pictures->graph)
        ret->walk = &ret->reach->graph->walk;
    return err;
}

// ---- types ----

static const char *assembly_of(struct lg_clr *clr, const struct lg_type *type)
{
    const struct lg_module *module = type ? lg_clr_module(clr, type->module) : NULL;
    return module ? module->name : "";
}

static struct lg_row names_of(struct lg_clr *clr, uint32_t type_id)
{
    const struct lg_type *type = lg_clr_type_at(clr, type_id);
    return (struct lg_row){ .type = type ? lg_clr_type_name(clr, type) : "<unknown>",
                            .assembly = assembly_of(clr, type),
                            .held = "",
                            .before = LG_NO_ROW };
}

bool lg_pictures_add_type(struct lg_pictures *pictures, struct lg_clr *clr, uint32_t type_id,
                          struct lg_amount amount)
{
    struct lg_row names = names_of(clr, type_id);
    uint32_t ignored;
    return lg_comparison_add(&pictures->types, &names, amount, &ignored);
}

static struct lg_error *find_live(struct whole *whole)
{
    uint32_t count = whole->type_count = lg_clr_type_count(whole->clr);
    _cleanup_free_ uint32_t *key = calloc(count + 1u, sizeof(*key));
    whole->live = calloc(count + 1u, sizeof(*whole->live));
    if (!key || !whole->live)
        return &lg_no_memory;
    for (uint32_t i = 0; i < count; i++)
        key[i] = i;
    return whole->retention ? lg_retention_group(whole->retention, key, whole->live, count) : NULL;
}

// All of a type, dead ones too.
static struct lg_amount all_of(const struct whole *whole, uint32_t id)
{
    const struct lg_type *type = lg_clr_type_at(whole->clr, id);
    bool counted =
        whole->stats && id < whole->stats->type_count && type && !(type->flags & LG_TYPE_FREE);
    return counted ? (struct lg_amount){ whole->stats->counts[id], whole->stats->sizes[id],
                                         whole->live[id].retained }
                   : (struct lg_amount){ 0 };
}

static struct lg_amount amount_of(const struct lg_retained_group *group)
{
    return (struct lg_amount){ group->count, group->size, group->retained };
}

static bool add_types(struct lg_pictures *pictures, const struct whole *whole)
{
    bool ok = true;
    lg_comparison_begin(&pictures->types);
    for (uint32_t i = 0; i < whole->type_count && ok; i++) {
        struct lg_amount amount = whole->counts_dead ? all_of(whole, i) : amount_of(&whole->live[i]);
        if (amount.count)
            ok = lg_pictures_add_type(pictures, whole->clr, i, amount);
    }
    return ok && lg_comparison_end(&pictures->types);
}

// ---- holders ----

static struct lg_error *add_lines(struct lg_pictures *pictures, const struct whole *whole)
{
    const struct lg_holders *holders = whole->holders;
    struct lg_routes *routes = holders->routes;
    size_t count = routes->all.len;
    struct lg_error *err = NULL;
    _cleanup_free_ uint32_t *rows = calloc(count + 1, sizeof(*rows));
    if (!rows)
        return &lg_no_memory;
    for (uint32_t i = 0, line; i < count && !err; i++) {
        const struct lg_route *route = &routes->all.at[i];
        struct lg_row names = names_of(whole->clr, route->type);
        names.before = route->before == LG_NO_ROUTE ? LG_NO_ROW : rows[route->before];
        rows[i] = names.before;
        if (!holders->sums[i].count)
            continue;
        err = lg_routes_line(routes, i, &line);
        names.held = err ? "" : routes->lines.all.at[line];
        if (!err
            && !lg_comparison_add(&pictures->holders, &names, amount_of(&holders->sums[i]), &rows[i]))
            err = &lg_no_memory;
    }
    return err;
}

static bool add_dead(struct lg_pictures *pictures, const struct whole *whole)
{
    bool ok = true;
    for (uint32_t i = 0; i < whole->type_count && ok; i++) {
        struct lg_amount all = all_of(whole, i);
        struct lg_row names = names_of(whole->clr, i);
        uint32_t ignored;
        names.held = "no root";
        struct lg_amount dead = { all.count - whole->live[i].count, all.size - whole->live[i].size, 0 };
        if (all.count > whole->live[i].count)
            ok = lg_comparison_add(&pictures->holders, &names, dead, &ignored);
    }
    return ok;
}

static struct lg_error *add_holders(struct lg_pictures *pictures, const struct whole *whole)
{
    lg_comparison_begin(&pictures->holders);
    struct lg_error *err = add_lines(pictures, whole);
    bool ok =
        (!whole->counts_dead || add_dead(pictures, whole)) && lg_comparison_end(&pictures->holders);
    return err ? err : ok ? NULL : &lg_no_memory;
}

// ---- about a picture ----

static const char *keep(struct lg_pictures *pictures, const char *text)
{
    return text ? lg_arena_copy(&pictures->arena, text, strlen(text)) : NULL;
}

bool lg_pictures_add_about(struct lg_pictures *pictures, const struct lg_session *session,
                           bool counts_dead)
{
    char taken[32];
    struct lg_picture_about about = { .target = lg_session_about(session, taken),
                                      .counts_dead = counts_dead,
                                      .has_fields = !lg_clr_info(lg_session_clr(session))->is_bare };
    struct lg_report_target *target = &about.target;
    target->path = keep(pictures, target->path);
    target->runtime = keep(pictures, target->runtime);
    target->provider = keep(pictures, target->provider);
    target->taken = keep(pictures, target->taken);
    const struct lg_gc_asked *collected = lg_session_collected(session);
    if (collected)
        about.collected = *collected;
    about.at = (double)pictures->taken.len;
    about.total = lg_comparison_total(&pictures->types, pictures->types.pictures - 1);
    return lg_vec_push(&pictures->taken, about);
}

static bool add_note(struct lg_pictures *pictures, const char *sentence)
{
    struct lg_picture_note *note = NULL;
    for (size_t i = 0; i < pictures->notes.len && !note; i++) {
        if (strcmp(pictures->notes.at[i].sentence, sentence) == 0)
            note = &pictures->notes.at[i];
    }
    if (!note) {
        struct lg_picture_note new = { .sentence = keep(pictures, sentence) };
        if (!new.sentence || !lg_vec_push(&pictures->notes, new))
            return false;
        note = &pictures->notes.at[pictures->notes.len - 1];
    }
    uint32_t picture = (uint32_t)pictures->taken.len - 1;
    bool is_said = note->of.len && note->of.at[note->of.len - 1] == picture;
    return is_said || lg_vec_push(&note->of, picture);
}

static bool add_notes(struct lg_pictures *pictures, struct lg_session *session,
                      const struct whole *whole)
{
    const struct lg_target *target = lg_session_target(session);
    _cleanup_(lg_report_freep) struct lg_report *walk = lg_report_new("diff");
    bool ok = walk != NULL;
    if (ok)
        lg_session_report_walk(walk, whole->walk);
    for (size_t i = 0; ok && i < lg_report_note_count(walk); i++)
        ok = add_note(pictures, lg_report_note(walk, i));
    for (size_t i = 0; ok && i < target->notes.len; i++)
        ok = add_note(pictures, target->notes.at[i]);
    for (size_t i = 0; ok && whole->roots && i < whole->roots->incomplete.len; i++)
        ok = add_note(pictures, whole->roots->incomplete.at[i]);
    if (ok && whole->counts_dead && !pictures->all)
        ok = add_note(pictures, whole->roots ? "nothing is known to be dead, so all objects count"
                                             : "dead objects count, too: -graph leaves them out");
    return ok;
}

static struct lg_error *count(struct lg_pictures *pictures, struct lg_session *session,
                              const struct whole *whole)
{
    if (!add_types(pictures, whole))
        return &lg_no_memory;
    struct lg_error *err = whole->holders ? add_holders(pictures, whole) : NULL;
    if (err)
        return err;
    bool ok = lg_pictures_add_about(pictures, session, whole->counts_dead)
              && add_notes(pictures, session, whole);
    return ok ? NULL : &lg_no_memory;
}

struct lg_error *lg_pictures_take(struct lg_pictures *pictures, struct lg_session *session,
                                  const char *hint, bool *is_taken_ret)
{
    _cleanup_(whole_deinit) struct whole whole = { 0 };
    struct lg_error *err = look(pictures, session, &whole);
    if (!err)
        err = find_live(&whole);
    if (!err && pictures->graph && !pictures->types_only)
        err = lg_holders_find(whole.reach, whole.roots, whole.retention, &whole.holders);
    err = lg_session_judge(session, err, hint);
    *is_taken_ret = !err;
    return err ? err : lg_session_judge(session, count(pictures, session, &whole), hint);
}

void lg_pictures_deinit(struct lg_pictures *pictures)
{
    lg_comparison_deinit(&pictures->types);
    lg_comparison_deinit(&pictures->holders);
    lg_vec_free(&pictures->taken);
    for (size_t i = 0; i < pictures->notes.len; i++)
        lg_vec_free(&pictures->notes.at[i].of);
    lg_vec_free(&pictures->notes);
    lg_arena_free(&pictures->arena);
}
