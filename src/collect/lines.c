// Routes in words that survive a recompilation: lg_routes_line().
#include <stdio.h>
#include <string.h>

#include "collect/names.h"
#include "collect/routes.h"
#include "util/error.h"

enum { STEPS_MAX = 256, NAME_BYTES = 1024 };

void lg_line_deinit(struct lg_line *line)
{
    lg_vec_free(&line->steps);
}

// ---- edges ----

// From a root's own object to the route's; of a long route the last STEPS_MAX.
struct edges {
    struct lg_edge at[STEPS_MAX];
    bool repeats[STEPS_MAX];
    uint32_t route[STEPS_MAX]; // behind the edge
    size_t count;
    const struct lg_root *root;
    bool is_cut;
};

static const char *label_of(const struct lg_routes *routes, uint32_t label)
{
    return label < routes->labels.all.len ? routes->labels.all.at[label] : "?";
}

static void read_edges(const struct lg_routes *routes, uint32_t route, struct edges *ret)
{
    struct lg_clr *clr = routes->ways.clr;
    size_t count = 0;
    const struct lg_route *step = &routes->all.at[route];
    for (; step->before != LG_NO_ROUTE; step = &routes->all.at[step->before]) {
        const struct lg_route *holder = &routes->all.at[step->before];
        if (count == STEPS_MAX) {
            ret->is_cut = true;
            continue;
        }
        ret->at[count] =
            (struct lg_edge){ lg_clr_type_at(clr, holder->type), label_of(routes, step->label) };
        ret->route[count] = (uint32_t)(step - routes->all.at);
        ret->repeats[count++] = holder->repeats;
    }
    for (size_t i = 0, k = count; i + 1 < k; i++) { // The root's first.
        struct lg_edge edge = ret->at[i];
        bool repeats = ret->repeats[i];
        uint32_t behind = ret->route[i];
        ret->at[i] = ret->at[--k];
        ret->repeats[i] = ret->repeats[k];
        ret->route[i] = ret->route[k];
        ret->route[k] = behind;
        ret->at[k] = edge;
        ret->repeats[k] = repeats;
    }
    ret->count = count;
    ret->root = step->label == UINT32_MAX ? NULL : &routes->roots->all.at[step->label];
}

struct lg_error *lg_routes_steps(struct lg_routes *routes, uint32_t route, struct lg_line *ret)
{
    _cleanup_free_ struct edges *edges = calloc(1, sizeof(*edges));
    if (!edges)
        return &lg_no_memory;
    read_edges(routes, route, edges);
    *ret = (struct lg_line){ .root = edges->root, .is_cut = edges->is_cut };
    for (size_t i = 0, taken; i < edges->count; i += taken) {
        struct lg_line_step step = { .type = edges->at[i].type, .rest = "" };
        if (!lg_way_find(&routes->ways, edges->at + i, edges->count - i, &taken, &step.way, &step.rest))
            return &lg_no_memory;
        step.repeats = taken == 0 && edges->repeats[i];
        taken += taken == 0;
        step.label = edges->at[i + taken - 1].label;
        step.route = edges->route[i + taken - 1];
        if (!lg_vec_push(&ret->steps, step))
            return &lg_no_memory;
    }
    return NULL;
}

// ---- words ----

void lg_line_step_text(const struct lg_routes *routes, const struct lg_line_step *step, char *buf,
                       size_t size)
{
    char type[NAME_BYTES] = "?", rest[NAME_BYTES];
    const char *raw = step->type ? lg_clr_type_name(routes->ways.clr, step->type) : "?";
    size_t ignored;
    lg_name_type(raw, type, sizeof(type));
    const char *label = step->way ? step->rest : step->label;
    if (!step->way && strncmp(label, "StateMachine.", 13) == 0 && lg_name_state_machine(raw, &ignored))
        label += 13;
    lg_name_normalise(label, rest, sizeof(rest));
    if (step->way)
        snprintf(buf, size, "%s %s%s", step->way->called ? step->way->called : type, step->way->says,
                 rest);
    else if (rest[0] == '[')
        snprintf(buf, size, "%s items%s", type, rest[1] ? rest + 2 : "");
    else if (strchr(rest, ' ') && !strchr(rest, '<')) // No name: "dependent handle".
        snprintf(buf, size, "%s (%s)", type, rest);
    else
        snprintf(buf, size, "%s.%s", type, rest);
}

static void root_text(const struct lg_root *root, char *buf, size_t size)
{
    static const char *const kinds[LG_ROOT_KINDS] = {
        "static",
        "thread static",
        "strong handle",
        "pinned handle",
        "async pinned handle",
        "sized ref handle",
        "ref counted handle",
        "finalizer queue",
        "thread",
        "stack",
    };
    char name[NAME_BYTES] = "";
    bool is_named = root && root->kind <= LG_ROOT_THREAD_STATIC && root->name;
    if (is_named)
        lg_name_normalise(root->name, name, sizeof(name));
    snprintf(buf, size, "%s%s%s", root ? kinds[root->kind] : "frozen heap", is_named ? " " : "", name);
}

struct lg_error *lg_routes_line(struct lg_routes *routes, uint32_t route, uint32_t *ret)
{
    if (lg_map_get(&routes->line_of, route, ret))
        return NULL;
    _cleanup_(lg_line_deinit) struct lg_line line = { 0 };
    struct lg_error *err = lg_routes_steps(routes, route, &line);
    if (err)
        return err;
    _cleanup_free_ char *text = malloc((line.steps.len + 1) * (2 * NAME_BYTES + 8));
    if (!text)
        return &lg_no_memory;
    root_text(line.root, text, 2 * NAME_BYTES);
    size_t len = strlen(text);
    if (line.is_cut)
        len += (size_t)sprintf(text + len, " ...");
    for (size_t i = 0; i < line.steps.len; i++) {
        len += (size_t)sprintf(text + len, " -> ");
        lg_line_step_text(routes, &line.steps.at[i], text + len, 2 * NAME_BYTES);
        len += strlen(text + len);
    }
    if (!lg_text_id(routes, &routes->lines, text, ret) || !lg_map_put(&routes->line_of, route, *ret))
        return &lg_no_memory;
    return NULL;
}
