// Nodes of a .gcdump, checked one by one, and the types of those that are objects.
//
// dotnet-gcdump makes several types of one when instances are big, "System.Byte[] (Bytes > 10K)": they
// become one again.
#include <stdio.h>

#include "snapshot/checksum.h"
#include "snapshot/gcdump_priv.h"
#include "util/cancel.h"
#include "util/map.h"

enum { TYPES_MAX = 1 << 20 }; // Objects lie above their numbers.

struct look {
    struct gcdump *dump;
    struct lg_arena *arena;
    struct lg_stored *stored;
    struct lg_map types, modules; // Hash of the text -> lg_type.id, index of the module.
    LG_VEC(uint32_t) first;       // by lg_type.id: the type in the file that it was made of
    uint64_t budget;
};

static void look_deinit(struct look *look)
{
    lg_map_free(&look->types);
    lg_map_free(&look->modules);
    lg_vec_free(&look->first);
}

static struct lg_error *spend(struct look *look, uint64_t bytes)
{
    if (bytes > look->budget || look->stored->types.len >= TYPES_MAX)
        return dump_damaged(look->dump, "it has more types than its size allows for");
    look->budget -= bytes;
    return NULL;
}

// ---- types ----

static struct dump_text without_size_class(const struct gcdump *dump, struct dump_text name)
{
    static const char *const classes[] = { " (Bytes > 1K)", " (Bytes > 10K)", " (Bytes > 100K)",
                                           " (Bytes > 1M)" };
    for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
        size_t len = strlen(classes[i]);
        if (name.len > len && memcmp(dump->file.start + name.at + name.len - len, classes[i], len) == 0)
            name.len -= (uint32_t)len;
    }
    return name;
}

static bool same(const struct gcdump *dump, struct dump_text a, struct dump_text b)
{
    return a.len == b.len && memcmp(dump->file.start + a.at, dump->file.start + b.at, a.len) == 0;
}

static uint64_t hash(const struct gcdump *dump, struct dump_text text)
{
    return lg_checksum(dump->file.start + text.at, text.len);
}

static struct lg_error *module_of(struct look *look, struct dump_text path, uint64_t *ret)
{
    uint32_t index;
    uint64_t key = hash(look->dump, path);
    *ret = 0;
    if (path.len == 0)
        return NULL;
    if (!lg_map_get(&look->modules, key, &index)) {
        struct lg_stored_module module = { 0 };
        struct lg_error *err = spend(look, 2 * sizeof(module) + path.len);
        if (err)
            return err;
        index = (uint32_t)look->stored->modules.len;
        const char *text = dump_text(look->dump, look->arena, path), *slash, *back;
        if (!text || !lg_map_put(&look->modules, key, index))
            return &lg_no_memory;
        slash = strrchr(text, '/');
        back = strrchr(text, '\\');
        module.module.path = text;
        module.module.name = slash > back ? slash + 1 : back ? back + 1 : text;
        module.module.address = 8 * ((uint64_t)index + 1); // As aligned as those of real ones.
        if (!lg_vec_push(&look->stored->modules, module))
            return &lg_no_memory;
    }
    *ret = 8 * ((uint64_t)index + 1);
    return NULL;
}

static struct lg_error *add_type(struct look *look, const char *name, uint64_t module)
{
    enum { COST = 400 }; // What is kept of a type, here and in the runtime that is made of it.
    uint32_t id = (uint32_t)look->stored->types.len;
    struct lg_stored_type type = {
        .type = { .mt = dump_method_table(id), .id = id, .module = module },
    };
    struct lg_error *err = spend(look, COST + strlen(name));
    if (!err
        && (!lg_vec_push(&look->stored->types, type)
            || !lg_vec_push(&look->stored->names, ((struct lg_stored_name){ type.type.mt, name }))
            || !lg_vec_push(&look->dump->shapes, ((struct dump_shape){ .least = UINT32_MAX }))
            || !lg_vec_push(&look->first, 0)))
        err = &lg_no_memory;
    return err;
}

// The type that another one, but for its size class, was made of before; false if there is none. Types
// of one name and module are two: of two load contexts.
static bool find_class(const struct look *look, struct dump_text name, uint64_t *key,
                       const struct dump_type *type, uint32_t *ret)
{
    const struct gcdump *dump = look->dump;
    enum { PROBES = 8 };
    for (int i = 0; i < PROBES && lg_map_get(&look->types, *key, ret); i++, ++*key) {
        const struct dump_type *other = &dump->types.at[look->first.at[*ret]];
        if (same(dump, without_size_class(dump, other->name), name)
            && same(dump, other->module, type->module))
            return !same(dump, other->name, type->name);
    }
    return false;
}

// Which type of ours one of the file is.
static struct lg_error *identify(struct look *look, uint32_t index)
{
    struct gcdump *dump = look->dump;
    struct dump_type *type = &dump->types.at[index];
    struct dump_text name = without_size_class(dump, type->name);
    uint64_t key = hash(dump, name) ^ lg_hash64(hash(dump, type->module)), module;
    uint32_t id, ignored;
    if (find_class(look, name, &key, type, &id)) {
        type->id = id + 1;
        return NULL;
    }
    struct lg_error *err = module_of(look, type->module, &module);
    const char *text = err ? NULL : dump_text(dump, look->arena, name);
    if (!err && !text)
        err = &lg_no_memory;
    id = (uint32_t)look->stored->types.len;
    if (!err)
        err = add_type(look, text, module);
    if (err)
        return err;
    look->first.at[id] = index;
    type->id = id + 1;
    return lg_map_get(&look->types, key, &ignored) || lg_map_put(&look->types, key, id) ? NULL
                                                                                        : &lg_no_memory;
}

// ---- nodes ----

static struct lg_error *look_at_head(struct look *look, lg_node i)
{
    struct gcdump *dump = look->dump;
    struct dump_node node;
    uint64_t address = dump_address(dump, i);
    if (!dump_node(dump, i, &node))
        return dump_damaged(dump, "node %u makes no sense", i);
    if (node.type == 0 && address)
        dump->undefined++;
    if (address == 0 || dump->types.at[node.type].is_pseudo)
        return NULL;
    if (address % 8 != 0 || address >> 63 || address < dump_method_table(TYPES_MAX))
        return dump_damaged(dump, "0x%llx is no address of an object", (unsigned long long)address);
    if (node.size < 17) // Rounded up the least there is: 24.
        return dump_damaged(dump, "the object at 0x%llx has %u bytes, fewer than any can have",
                            (unsigned long long)address, node.size);
    dump->is_object[i >> 6] |= UINT64_C(1) << (i & 63);
    dump->count++;
    dump->bytes += node.size;
    return dump->types.at[node.type].id ? NULL : identify(look, node.type);
}

// Records do not overlap: or a short file could tell of endless children.
static struct lg_error *look_at_children(struct look *look, lg_node i, uint64_t *decoded)
{
    struct gcdump *dump = look->dump;
    struct dump_node node;
    uint32_t objects = 0;
    if (!dump_node(dump, i, &node))
        return dump_damaged(dump, "node %u makes no sense", i);
    const uint8_t *start = node.at;
    bool is_object = dump_bit(dump->is_object, i);
    for (uint32_t k = 0; k < node.children; k++) {
        lg_node child;
        if (!dump_child(dump, i, &node.at, &child))
            return dump_damaged(dump, "a child of node %u makes no sense", i);
        objects += dump_bit(dump->is_object, child);
    }
    *decoded += (uint64_t)(node.at - start);
    if (*decoded > dump->blob_len)
        return dump_damaged(dump, "nodes of it overlap");
    if (!is_object)
        return NULL;
    struct dump_shape *shape = &dump->shapes.at[dump->types.at[node.type].id - 1];
    shape->least = node.size < shape->least ? node.size : shape->least;
    shape->most = node.size > shape->most ? node.size : shape->most;
    shape->odd |= node.size;
    shape->children_max = objects > shape->children_max ? objects : shape->children_max;
    dump->references += objects;
    dump->dropped += node.children - objects;
    return NULL;
}

static struct lg_error *each_node(struct look *look)
{
    struct gcdump *dump = look->dump;
    uint64_t decoded = 0;
    struct lg_error *err = NULL;
    for (lg_node i = 0; i < dump->node_count && !err; i++)
        err = look_at_head(look, i);
    for (lg_node i = 0; i < dump->node_count && !err; i++) {
        err = look_at_children(look, i, &decoded);
        if (!err && i % (1 << 20) == 0 && lg_cancelled())
            err = &lg_was_cancelled;
    }
    return err;
}

// ---- shapes ----

// Objects of one size need no length; strings are of 22 bytes and two for each character.
static void decide(const char *name, struct dump_shape *shape, struct lg_type *type)
{
    bool is_string = strcmp(name, "System.String") == 0 && shape->odd % 2 == 0 && shape->least >= 22
                     && shape->children_max == 0;
    size_t len = strlen(name);
    shape->first = 16;
    if (is_string) {
        shape->base = 22;
        shape->component = 2;
        type->flags = LG_TYPE_STRING;
    } else if (shape->least == shape->most && shape->least % 8 == 0) {
        shape->base = shape->least;
        shape->first = 8;
    } else {
        shape->base = 16;
        shape->component = 1;
    }
    if (len > 1 && name[len - 1] == ']')
        type->flags |= LG_TYPE_ARRAY;
    if (shape->children_max)
        type->flags |= LG_TYPE_REFERENCES;
    type->base_size = shape->base;
    type->component_size = shape->component;
}

static void tell_of_types(struct look *look)
{
    struct lg_stored *stored = look->stored;
    struct lg_clr_info *info = &stored->info;
    stored->types.at[0].type.flags = LG_TYPE_FREE;
    stored->types.at[0].type.base_size = 24;
    stored->types.at[0].type.component_size = 1;
    for (size_t i = 1; i < stored->types.len; i++) {
        const char *name = stored->names.at[i].name;
        struct lg_type *type = &stored->types.at[i].type;
        decide(name, &look->dump->shapes.at[i], type);
        if (strcmp(name, "System.String") == 0)
            info->string_mt = type->mt;
        if (strcmp(name, "System.Object") == 0)
            info->object_mt = type->mt;
        if (strcmp(name, "System.Object[]") == 0)
            info->object_array_mt = type->mt;
    }
    info->free_mt = dump_method_table(0);
    info->mt_mask = ~UINT64_C(7);
    info->regions = true;
    info->datas = -1;
    info->is_bare = true;
    info->no_generations = !look->dump->segments.len;
}

struct lg_error *dump_look(struct gcdump *dump, struct lg_arena *arena, struct lg_stored *ret)
{
    _cleanup_(look_deinit) struct look look = {
        .dump = dump,
        .arena = arena,
        .stored = ret,
        .budget = 3 * (uint64_t)lg_reader_left(&dump->file) + (64 << 10),
    };
    size_t words = (size_t)dump->node_count / 64 + 1;
    dump->is_object = calloc(words, sizeof(*dump->is_object));
    dump->is_frozen = calloc(words, sizeof(*dump->is_frozen));
    if (!dump->is_object || !dump->is_frozen)
        return &lg_no_memory;
    struct lg_error *err = add_type(&look, "Free", 0);
    if (!err)
        err = each_node(&look);
    if (!err)
        tell_of_types(&look);
    return err;
}
