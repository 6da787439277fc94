// Modules and their metadata: in the image, or, made by Reflection.Emit, in Module.DynamicMetadata
// {size, bytes}.
//
// Metadata is fetched once per module, in one read. A module without is one whose names are unknown, not
// an error.
#include <inttypes.h>
#include <string.h>

#include "clr/types_priv.h"
#include "metadata/pe.h"

enum {
    METADATA_MAX = 512 << 20,
    PATH_UNITS = 4096,
};

struct module {
    struct lg_module_facts facts;
    const char *label;
    bool is_listed; // by the AppDomain
    bool metadata_read, has_metadata;
    struct lg_metadata metadata;
    void *bytes; // of the metadata
};

struct lg_module_list {
    struct lg_map by_address; // -> index in `all`
    LG_VEC(struct module *) all;
    LG_VEC(const struct lg_module *) listed; // of the AppDomain
    bool list_read;
};

// ---- strings ----

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    unsigned tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    for (unsigned i = tail; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    static const uint8_t first[] = { 0, 0xc0, 0xe0, 0xf0 };
    out[0] = (char)(first[tail] | c);
    return tail + 1;
}

// A lone surrogate becomes U+FFFD.
static void convert(struct lg_text *text, const uint16_t *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t c = units[i];
        bool pair = (c & 0xfc00) == 0xd800 && i + 1 < count && (units[i + 1] & 0xfc00) == 0xdc00;
        if (pair)
            c = 0x10000 + ((c & 0x3ff) << 10 | (units[++i] & 0x3ff));
        else if ((c & 0xf800) == 0xd800)
            c = 0xfffd;
        char utf8[4];
        lg_text_add_len(text, utf8, put_utf8(utf8, c));
    }
}

const char *lg_clr_utf16(struct lg_clr *clr, uint64_t address)
{
    uint16_t units[256];
    struct lg_text text = { 0 };
    for (size_t done = 0; address && done < PATH_UNITS; done += sizeof(units) / sizeof(*units)) {
        size_t bytes = lg_target_read(clr->target, address + done * 2, units, sizeof(units)), n = 0;
        while (n < bytes / 2 && units[n])
            n++;
        convert(&text, units, n);
        if (n < sizeof(units) / sizeof(*units))
            break;
    }
    const char *s = text.len ? lg_arena_copy(lg_type_arena(clr), text.at, text.len) : NULL;
    lg_text_deinit(&text);
    return s ? s : "";
}

const char *lg_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// ---- one module ----

static struct module *find_module(struct lg_clr *clr, uint64_t address)
{
    struct lg_module_list *list = clr->modules;
    struct lg_module_facts facts = { 0 };
    uint32_t i;
    if (lg_map_get(&list->by_address, address, &i))
        return list->all.at[i];
    if (address == 0 || (address & 7) || !clr->from.module(clr, address, &facts))
        return NULL;
    struct module *module = calloc(1, sizeof(*module));
    if (!module || !lg_vec_push(&list->all, module)) {
        free(module);
        return NULL;
    }
    module->facts = facts;
    if (!lg_map_put(&list->by_address, address, (uint32_t)list->all.len - 1))
        return NULL; // It stays in `all`, to be freed.
    return module;
}

const struct lg_module *lg_clr_module(struct lg_clr *clr, uint64_t module)
{
    struct module *m = find_module(clr, module);
    return m ? &m->facts.module : NULL;
}

// ---- metadata ----

bool lg_clr_image_read(void *data, uint64_t offset, void *buf, size_t len)
{
    const struct lg_clr_image *image = data;
    return lg_target_read_all(image->target, image->base + offset, buf, len);
}

static bool take_metadata(struct lg_clr *clr, struct module *m, uint64_t address, uint64_t size)
{
    if (size == 0 || size > METADATA_MAX)
        return false;
    _cleanup_free_ void *copy = malloc(size);
    if (!copy || !lg_target_read_all(clr->target, address, copy, size))
        return false;
    struct lg_error *err = lg_metadata_init(&m->metadata, copy, size);
    lg_error_free(err);
    if (err)
        return false;
    m->bytes = lg_steal(copy);
    return true;
}

static bool read_image_metadata(struct lg_clr *clr, struct module *m, bool mapped)
{
    struct lg_clr_image image = { clr->target, m->facts.module.image_base };
    struct lg_pe_source source = { lg_clr_image_read, &image };
    struct lg_pe pe;
    struct lg_error *err = lg_pe_read(&source, mapped, &pe);
    lg_error_free(err);
    return !err && take_metadata(clr, m, image.base + pe.metadata, pe.metadata_size);
}

static bool read_dynamic_metadata(struct lg_clr *clr, struct module *m)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t dynamic;
    uint32_t size;
    return off->DynamicMetadata_Size != LG_NO_OFFSET && off->DynamicMetadata_Data != LG_NO_OFFSET
           && lg_clr_pointer(clr, m->facts.module.address, off->Module_DynamicMetadata, &dynamic)
           && lg_target_u32(clr->target, dynamic + off->DynamicMetadata_Size, &size)
           && take_metadata(clr, m, dynamic + off->DynamicMetadata_Data, size);
}

static bool read_metadata(struct lg_clr *clr, struct module *m)
{
    struct lg_module_facts *facts = &m->facts;
    if (read_dynamic_metadata(clr, m)
        || (facts->metadata && take_metadata(clr, m, facts->metadata, facts->metadata_size)))
        return true;
    if (facts->module.image_base == 0)
        return false;
    if (read_image_metadata(clr, m, facts->is_mapped))
        return true;
    // Where nobody says which layout it is: the other one's headers make no sense.
    facts->is_mapped ^= read_image_metadata(clr, m, !facts->is_mapped);
    return m->bytes != NULL;
}

// Of cores it is said of all files at once what is missing (target/overlay.c).
static void say_nameless(struct lg_clr *clr, const struct module *m)
{
    if (clr->target->kind == LG_TARGET_PROCESS && m->facts.module.path && m->facts.module.path[0])
        lg_target_note(clr->target,
                       "'%s' makes no sense in memory, so its types have no names: its file was written "
                       "to or cut while it was mapped",
                       m->facts.module.path);
}

static const struct lg_metadata *metadata_of(struct lg_clr *clr, struct module *m)
{
    if (m && !m->metadata_read) {
        m->metadata_read = true;
        m->has_metadata = read_metadata(clr, m);
        if (!m->has_metadata)
            say_nameless(clr, m);
    }
    return m && m->has_metadata ? &m->metadata : NULL;
}

const struct lg_metadata *lg_module_metadata(struct lg_clr *clr, uint64_t module)
{
    return metadata_of(clr, find_module(clr, module));
}

bool lg_clr_module_is_mapped(struct lg_clr *clr, uint64_t module)
{
    struct module *m = find_module(clr, module);
    metadata_of(clr, m); // Tells which layout it is where nobody else does.
    return m && m->facts.is_mapped;
}

uint64_t lg_module_rva(struct lg_clr *clr, uint64_t module, uint32_t rva)
{
    struct module *m = find_module(clr, module);
    if (!m || m->facts.module.image_base == 0)
        return 0;
    bool mapped = lg_clr_module_is_mapped(clr, module);
    struct lg_clr_image image = { clr->target, m->facts.module.image_base };
    struct lg_pe_source source = { lg_clr_image_read, &image };
    uint64_t offset;
    return lg_pe_offset(&source, mapped, rva, &offset) ? image.base + offset : 0;
}

const char *lg_module_label(struct lg_clr *clr, uint64_t module)
{
    static const char unknown[] = "<unknown_module>";
    struct module *m = find_module(clr, module);
    if (!m || m->label)
        return m ? m->label : unknown;
    const struct lg_metadata *md = metadata_of(clr, m);
    const char *name = md ? lg_metadata_assembly_name(md) : NULL;
    if (!m->facts.module.name[0] && (!name || !name[0]))
        name = lg_arena_format(lg_type_arena(clr), "<module_%" PRIx64 ">", module);
    m->label = m->facts.module.name[0] ? m->facts.module.name : name ? name : unknown;
    return m->label;
}

// ---- the AppDomain's list ----

// A list that bites its tail comes to modules that it has told already.
static bool list_module(struct lg_clr *clr, uint64_t address)
{
    struct module *m = find_module(clr, address);
    if (!m || m->is_listed || !lg_vec_push(&clr->modules->listed, &m->facts.module))
        return false;
    m->is_listed = true;
    return true;
}

struct lg_error *lg_clr_modules(struct lg_clr *clr, const struct lg_module *const **ret,
                                size_t *count_ret)
{
    if (!clr->modules->list_read) {
        clr->modules->listed.len = 0;
        for (size_t i = 0; i < clr->modules->all.len; i++)
            clr->modules->all.at[i]->is_listed = false;
        struct lg_error *err =
            clr->from.modules ? clr->from.modules(clr, list_module)
                              : lg_error_new(LG_ERR_UNSUPPORTED,
                                             "the runtime's data descriptor does not list modules, and "
                                             "there is no DAC that does");
        if (err)
            return err;
        clr->modules->list_read = true;
    }
    *ret = clr->modules->listed.at;
    *count_ret = clr->modules->listed.len;
    return NULL;
}

uint64_t lg_module_corelib(struct lg_clr *clr)
{
    struct lg_mt m;
    return lg_mt_read(clr, clr->info.object_mt, &m) ? m.module : 0;
}

uint64_t lg_module_type(struct lg_clr *clr, uint64_t module, uint32_t token)
{
    return clr->from.module_type ? clr->from.module_type(clr, module, token) : 0;
}

bool lg_module_types(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data)
{
    return clr->from.module_types && clr->from.module_types(clr, module, each, data);
}

bool lg_module_instantiations(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data)
{
    return clr->from.module_instantiations && clr->from.module_instantiations(clr, module, each, data);
}

// ---- opening ----

struct lg_error *lg_clr_modules_open(struct lg_clr *clr)
{
    clr->modules = calloc(1, sizeof(*clr->modules));
    return clr->modules ? NULL : &lg_no_memory;
}

void lg_clr_modules_close(struct lg_clr *clr)
{
    struct lg_module_list *list = clr->modules;
    if (!list)
        return;
    for (size_t i = 0; i < list->all.len; i++) {
        lg_metadata_deinit(&list->all.at[i]->metadata);
        free(list->all.at[i]->bytes);
        free(list->all.at[i]);
    }
    lg_vec_free(&list->all);
    lg_vec_free(&list->listed);
    lg_map_free(&list->by_address);
    free(list);
    clr->modules = NULL;
}
