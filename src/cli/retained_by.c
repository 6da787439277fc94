// `retained -by`: sums over types and their groups, and over what holds objects from outside.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/retained.h"

static const struct lg_column type_columns[] = {
    { "retained", "Retained", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "size", "Size", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "count", "Count", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "type", "Class Name", LG_CELL_TEXT, -1 },
};
static const struct lg_column group_columns[] = {
    { "retained", "Retained", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "size", "Size", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "count", "Count", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "name", "Name", LG_CELL_TEXT, -1 },
};
static const struct lg_column owner_columns[] = {
    { "retained", "Retained", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "objects", "Objects", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "kind", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "name", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "thread", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "held_by", "Held by", LG_CELL_TEXT, -1 },
};
static const struct lg_table_spec type_spec = LG_TABLE_SPEC("types", type_columns, LG_TABLE_MAIN);
static const struct lg_table_spec group_spec = LG_TABLE_SPEC("groups", group_columns, LG_TABLE_MAIN);
static const struct lg_table_spec owner_spec = LG_TABLE_SPEC("owners", owner_columns, LG_TABLE_MAIN);

// ---- types, namespaces, assemblies ----

// Names of groups, each once.
struct names {
    LG_VEC(char *) all;
    uint32_t *key; // by lg_type.id
};
static void names_deinit(struct names *names)
{
    for (size_t i = 0; i < names->all.len; i++)
        free(names->all.at[i]);
    lg_vec_free(&names->all);
    free(names->key);
}

// "System.Collections.Generic" of "System.Collections.Generic.List<App.Order>[]"; "" for none.
static size_t namespace_length(const char *name)
{
    size_t end = strcspn(name, "<+[");
    while (end > 0 && name[end] != '.')
        end--;
    return end;
}

static const char *group_name(const struct lg_retained *retained, const struct lg_type *type,
                              size_t *len_ret)
{
    const char *name = lg_clr_type_name(retained->clr, type);
    *len_ret = strlen(name);
    if (retained->query->by == LG_BY_NAMESPACE)
        *len_ret = namespace_length(name);
    if (retained->query->by == LG_BY_ASSEMBLY) {
        const struct lg_module *module = lg_clr_module(retained->clr, type->module);
        name = module && *module->name ? module->name : "<unknown>";
        *len_ret = strlen(name);
    }
    return name;
}

// Few groups hold many types: the last one is tried first, then all.
static bool find_key(struct names *names, const char *name, size_t len, uint32_t last, uint32_t *ret)
{
    size_t count = names->all.len;
    for (size_t i = 0; i < count; i++) {
        size_t at = (last + i) % count;
        if (strncmp(names->all.at[at], name, len) == 0 && !names->all.at[at][len]) {
            *ret = (uint32_t)at;
            return true;
        }
    }
    char *copy = strndup(name, len);
    if (!copy || !lg_vec_push(&names->all, copy)) {
        free(copy);
        return false;
    }
    *ret = (uint32_t)count;
    return true;
}

static struct lg_error *name_groups(const struct lg_retained *retained, struct names *ret)
{
    uint32_t count = lg_clr_type_count(retained->clr), last = 0;
    ret->key = calloc(count + 1u, sizeof(*ret->key));
    if (!ret->key)
        return &lg_no_memory;
    for (uint32_t i = 0; i < count; i++) {
        size_t len;
        const char *name = group_name(retained, lg_clr_type_at(retained->clr, i), &len);
        if (retained->query->by
            == LG_BY_TYPE) { // Each its own: two assemblies may have one of the same name.
            ret->key[i] = i;
        } else if (!find_key(ret, name, len, last, &ret->key[i])) {
            return &lg_no_memory;
        }
        last = ret->key[i];
    }
    return NULL;
}

static bool is_wanted(const struct lg_retained *retained, const struct lg_retained_group *group,
                      const char *name)
{
    const struct lg_retained_query *query = retained->query;
    return group->count > 0 && group->retained >= query->min
           && (!query->contains || strstr(name, query->contains));
}

// A group under its name. Types are numbered as the walk meets them, which is never twice the same: rows
// that retain the same are told by name.
struct named {
    const char *name;
    uint64_t mt; // 0: a group of several
    uint32_t key;
};

static int by_name(const void *a, const void *b)
{
    const struct named *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : (left->mt > right->mt) - (left->mt < right->mt);
}

static struct named *sort_names(const struct lg_retained *retained, const struct names *names,
                                uint32_t count)
{
    struct named *ret = calloc(count + 1u, sizeof(*ret));
    for (uint32_t i = 0; ret && i < count; i++) {
        const struct lg_type *type =
            retained->query->by == LG_BY_TYPE ? lg_clr_type_at(retained->clr, i) : NULL;
        ret[i] = type ? (struct named){ lg_clr_type_name(retained->clr, type), type->mt, i }
                      : (struct named){ names->all.at[i], 0, i };
    }
    if (ret)
        qsort(ret, count, sizeof(*ret), by_name);
    return ret;
}

struct lg_error *lg_retained_types(const struct lg_retained *retained)
{
    bool by_type = retained->query->by == LG_BY_TYPE;
    _cleanup_(names_deinit) struct names names = { 0 };
    struct lg_error *err = name_groups(retained, &names);
    if (err)
        return err;
    uint32_t count = by_type ? lg_clr_type_count(retained->clr) : (uint32_t)names.all.len;
    _cleanup_free_ struct lg_retained_group *groups = calloc(count + 1u, sizeof(*groups));
    _cleanup_free_ struct named *sorted = sort_names(retained, &names, count);
    _cleanup_(lg_top_deinit) struct lg_top top = { .limit = retained->query->top };
    err = groups && sorted ? lg_retention_group(retained->retention, names.key, groups, count)
                           : &lg_no_memory;
    for (uint32_t i = 0; i < count && !err; i++) {
        const struct lg_retained_group *group = &groups[sorted[i].key];
        if (is_wanted(retained, group, sorted[i].name) && !lg_top_offer(&top, group->retained, i))
            err = &lg_no_memory;
    }
    if (err)
        return err;
    lg_top_sort(&top);
    struct lg_table *table = lg_report_table(retained->report, by_type ? &type_spec : &group_spec);
    for (size_t i = 0; i < top.kept.len; i++) {
        const struct named *named = &sorted[top.kept.at[i].value];
        lg_cell_number(table, groups[named->key].retained);
        lg_cell_number(table, groups[named->key].size);
        lg_cell_number(table, groups[named->key].count);
        lg_cell_text(table, *named->name ? named->name : "(no namespace)");
    }
    lg_report_truncated(retained->report, by_type ? "types" : "groups", top.offered - top.kept.len);
    return NULL;
}

// ---- owners ----

static bool is_wanted_owner(const struct lg_retained *retained, const struct lg_owner *owner)
{
    switch (retained->query->by) {
    case LG_BY_STATIC:
        return owner->name != NULL;
    case LG_BY_THREAD:
        return owner->thread && !owner->name;
    default:
        return true;
    }
}

static void add_owner(const struct lg_retained *retained, struct lg_table *table, uint32_t number)
{
    const struct lg_owner *owner = lg_retention_owner(retained->retention, number);
    _cleanup_free_ char *label = owner ? lg_owner_label(owner) : strdup("several roots");
    lg_cell_number(table, number ? retained->retention->size[number] : 0);
    lg_cell_number(table, number ? retained->retention->objects[number] : 0);
    if (owner && !owner->is_frozen)
        lg_cell_name(table, owner->thread && !owner->name ? "thread" : lg_root_kind_name(owner->kind));
    else
        lg_cell_name(table, owner ? "frozen" : NULL);
    lg_cell_name(table, owner ? owner->name : NULL);
    if (owner && owner->thread)
        lg_cell_number(table, owner->thread->os_id);
    else
        lg_cell_null(table);
    lg_cell_text(table, label);
}

struct lg_error *lg_retained_owners(const struct lg_retained *retained)
{
    const struct lg_retention *retention = retained->retention;
    _cleanup_(lg_top_deinit) struct lg_top top = { .limit = retained->query->top };
    uint64_t shared = retention->live_size;
    for (uint32_t i = 1; i < retention->tree->count; i++) {
        const struct lg_owner *owner = lg_retention_owner(retention, i);
        if (!owner)
            continue;
        shared -= retention->size[i];
        _cleanup_free_ char *label = lg_owner_label(owner);
        bool named = !retained->query->contains || (label && strstr(label, retained->query->contains));
        if (named && is_wanted_owner(retained, owner) && retention->size[i] >= retained->query->min
            && !lg_top_offer(&top, retention->size[i], i))
            return &lg_no_memory;
    }
    lg_top_sort(&top);
    struct lg_table *table = lg_report_table(retained->report, &owner_spec);
    for (size_t i = 0; i < top.kept.len; i++)
        add_owner(retained, table, top.kept.at[i].value);
    lg_report_truncated(retained->report, "owners", top.offered - top.kept.len);
    char text[LG_COMMAS_SIZE];
    lg_report_line(retained->report, "%s bytes are held by several roots: they are no single one's.",
                   lg_commas(text, shared));
    lg_report_fact_number(retained->report, "shared_size", shared);
    return NULL;
}
