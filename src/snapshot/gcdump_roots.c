// The roots of a .gcdump: a walk over the nodes that stand for no object.
#include "collect/collect_priv.h"
#include "snapshot/gcdump_priv.h"

struct step {
    lg_node node;
    const struct lg_gcdump_group *group; // What it, or one above it, is known as; NULL: nothing.
};

struct roots_walk {
    struct gcdump *dump;
    LG_VEC(struct step) todo;
    uint64_t *seen;         // a bit per node
    struct lg_roots *roots; // NULL: only what is frozen is noted.
    uint64_t budget;
};

static void walk_deinit(struct roots_walk *walk)
{
    lg_vec_free(&walk->todo);
    free(walk->seen);
}

static const struct lg_gcdump_group *group_of(const struct gcdump *dump, struct dump_text name,
                                              const struct lg_gcdump_group *above)
{
    for (const struct lg_gcdump_group *group = lg_gcdump_groups; group->name; group++) {
        if (dump_text_is(dump, name, group->name))
            return group;
    }
    return above;
}

// "[static var App.Cache.s_orders]" without what is around the name; "[Dependent Handles]" without its
// brackets.
static const char *root_name(struct roots_walk *walk, struct dump_text text,
                             const struct lg_gcdump_group *group)
{
    struct lg_arena arena = { 0 };
    const char *whole = dump_text(walk->dump, &arena, text), *name = NULL;
    size_t len = whole ? strlen(whole) : 0, head = group && group->child ? strlen(group->child) : 1;
    if (!group || !group->child || strncmp(whole ? whole : "", group->child, head) != 0)
        head = 1;
    size_t shown = len > head + 1 ? len - head - 1 : 0;
    if (whole && shown < walk->budget) {
        walk->budget -= shown;
        name = lg_roots_name(walk->roots, "%.*s", (int)shown, whole + (shown ? head : 0));
    }
    lg_arena_free(&arena);
    return name;
}

static bool add_root(struct roots_walk *walk, struct dump_text text, const struct lg_gcdump_group *group,
                     lg_node object, const char **name)
{
    if (!walk->roots || (group && group->is_frozen)) {
        if (group && group->is_frozen)
            walk->dump->is_frozen[object >> 6] |= UINT64_C(1) << (object & 63);
        return true;
    }
    if (walk->budget < sizeof(struct lg_root))
        return false;
    walk->budget -= sizeof(struct lg_root);
    struct lg_root root = { .object = dump_address(walk->dump, object),
                            .kind = group ? group->kind : LG_ROOT_STRONG,
                            .conservative = group && group->conservative };
    bool is_known = group && dump_text_is(walk->dump, text, group->name);
    if (!is_known && !*name)
        *name = root_name(walk, text, group);
    if (!is_known && !*name)
        return false;
    if (root.kind == LG_ROOT_STACK)
        root.frame = is_known ? NULL : *name;
    else
        root.name = is_known ? NULL : *name;
    return lg_vec_push(&walk->roots->all, root);
}

static struct lg_error *step(struct roots_walk *walk, struct step at)
{
    struct gcdump *dump = walk->dump;
    struct dump_node node;
    const char *name = NULL;
    if (!dump_node(dump, at.node, &node))
        return dump_damaged(dump, "node %u makes no sense", at.node);
    struct dump_text text = dump->types.at[node.type].name;
    at.group = group_of(dump, text, at.group);
    if (dump_text_is(dump, text, "[Dependent Handles]"))
        dump->has_dependents = true;
    for (uint32_t i = 0; i < node.children; i++) {
        lg_node child;
        if (!dump_child(dump, at.node, &node.at, &child))
            return dump_damaged(dump, "a child of node %u makes no sense", at.node);
        if (dump_bit(dump->is_object, child)) {
            if (!add_root(walk, text, at.group, child, &name))
                return walk->budget < sizeof(struct lg_root)
                           ? dump_damaged(dump, "it has more roots than its size allows for")
                           : &lg_no_memory;
            continue;
        }
        if (dump_bit(walk->seen, child))
            continue;
        walk->seen[child >> 6] |= UINT64_C(1) << (child & 63);
        if (!lg_vec_push(&walk->todo, ((struct step){ child, at.group })))
            return &lg_no_memory;
    }
    return NULL;
}

static struct lg_error *walk_roots(struct gcdump *dump, struct lg_roots *roots)
{
    _cleanup_(walk_deinit) struct roots_walk walk = {
        .dump = dump,
        .roots = roots,
        .seen = calloc((size_t)dump->node_count / 64 + 1, sizeof(*walk.seen)),
        .budget = 4 * (uint64_t)lg_reader_left(&dump->file) + (1 << 20),
    };
    if (!walk.seen || !lg_vec_push(&walk.todo, ((struct step){ dump->root, NULL })))
        return &lg_no_memory;
    walk.seen[dump->root >> 6] |= UINT64_C(1) << (dump->root & 63);
    struct lg_error *err = NULL;
    while (walk.todo.len > 0 && !err)
        err = step(&walk, walk.todo.at[--walk.todo.len]);
    return err;
}

struct lg_error *dump_find_frozen(struct gcdump *dump)
{
    return dump_bit(dump->is_object, dump->root) ? dump_damaged(dump, "its root is an object")
                                                 : walk_roots(dump, NULL);
}

static int by_kind(const void *a, const void *b)
{
    const struct lg_root *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    return strcmp(x->name    ? x->name
                  : x->frame ? x->frame
                             : "",
                  y->name    ? y->name
                  : y->frame ? y->frame
                             : "");
}

struct lg_error *dump_roots(struct gcdump *dump, struct lg_roots **ret)
{
    _cleanup_(lg_roots_freep) struct lg_roots *roots = calloc(1, sizeof(*roots));
    struct lg_error *err = roots ? walk_roots(dump, roots) : &lg_no_memory;
    if (!err)
        err = lg_roots_missing(roots, "roots are those that the .gcdump names; what its writer left "
                                      "out is not known");
    if (err)
        return err;
    if (roots->all.len)
        qsort(roots->all.at, roots->all.len, sizeof(*roots->all.at), by_kind);
    *ret = lg_steal(roots);
    return NULL;
}
