// Whose a mapping is, by its file; and the memory of modules that has none.
#include <string.h>

#include "picture/picture_priv.h"
#include "target/image.h"

const char *lg_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool lg_mapping_is_anonymous(const struct lg_mapping *mapping)
{
    return !mapping->has_file && !mapping->is_shared && (!*mapping->path || mapping->path[0] == '[');
}

static bool ends_with(const char *s, const char *end)
{
    size_t len = strlen(s), n = strlen(end);
    return len >= n && strcmp(s + len - n, end) == 0;
}

static bool is_assembly(const char *path)
{
    return ends_with(path, ".dll") || ends_with(path, ".exe") || ends_with(path, ".winmd");
}

static bool is_shared_memory(const struct lg_mapping *mapping)
{
    static const char *const names[] = { "/dev/shm/", "/SYSV", "/dev/zero",
                                         "/memfd:", "/anon_hugepage" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strncmp(mapping->path, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

// A file is a module's if some mapping of it can be run.
static bool has_code(const struct lg_picture *picture, const struct lg_mapping *mapping)
{
    size_t at = (size_t)(mapping - picture->mappings.all.at), count = picture->mappings.all.len;
    const struct lg_mapping *all = picture->mappings.all.at;
    enum { NEAR = 16 }; // Mappings of one file lie together, with some of bss between them.
    for (size_t i = at > NEAR ? at - NEAR : 0; i < count && i <= at + NEAR; i++) {
        if (all[i].access & LG_EXECUTE && all[i].has_file && strcmp(all[i].path, mapping->path) == 0)
            return true;
    }
    return false;
}

static const struct lg_page_owner *module_owner(struct lg_making *making,
                                                const struct lg_mapping *mapping)
{
    const char *file = lg_base_name(mapping->path);
    struct lg_page_owner owner = { .category = LG_CODE, .module = file };
    if (is_assembly(mapping->path)) {
        owner.kind = has_code(making->picture, mapping) ? "ready-to-run image" : "mapped assembly";
        owner.name = lg_making_format(making, "%s (%s)", file, owner.kind);
        return lg_owner_new(making, &owner);
    }
    owner.kind = mapping->access & LG_EXECUTE ? "module text"
                 : mapping->access & LG_WRITE ? "module data"
                                              : "module read-only data";
    owner.name = lg_making_format(making, "%s %s", file, owner.kind + strlen("module "));
    return lg_owner_new(making, &owner);
}

static const struct lg_page_owner *file_owner(struct lg_making *making, const struct lg_mapping *mapping)
{
    struct lg_page_owner owner = { .category = LG_MAPPED_DATA,
                                   .kind = "mapped file",
                                   .name = mapping->path };
    if (is_assembly(mapping->path)
        || (mapping->path[0] == '/' && has_code(making->picture, mapping) && !is_shared_memory(mapping)))
        return module_owner(making, mapping);
    if (strncmp(mapping->path, "/memfd:doublemapper", 19) == 0)
        owner = (struct lg_page_owner){ LG_OTHER_DATA, "executable memory",
                                        "executable memory, free or unknown" };
    else if (is_shared_memory(mapping))
        owner.kind = "shared memory";
    return lg_owner_new(making, &owner);
}

static bool is_special(const char *path)
{
    return strncmp(path, "[v", 2) == 0 || strcmp(path, "[uprobes]") == 0;
}

const struct lg_page_owner *lg_owner_of_mapping(struct lg_making *making,
                                                const struct lg_mapping *mapping)
{
    const char *path = mapping->path;
    if (mapping->has_file || (path[0] == '/' && !mapping->has_file))
        return file_owner(making, mapping);
    struct lg_page_owner owner = {
        .category = LG_OTHER_DATA,
        .kind = "unknown",
        .name = "anonymous memory of unknown owner",
        .is_unknown = true,
    };
    if (strcmp(path, "[heap]") == 0)
        owner = (struct lg_page_owner){ LG_HEAP, "malloc arena", "main malloc arena [heap]" };
    else if (strcmp(path, "[stack]") == 0)
        owner = (struct lg_page_owner){ LG_STACK, "thread stack", "stack of the main thread" };
    else if (is_special(path))
        owner = (struct lg_page_owner){ LG_CODE, "kernel page", path };
    else if (strncmp(path, "[anon:", 6) == 0 || strncmp(path, "[anon_shmem:", 12) == 0)
        owner = (struct lg_page_owner){ LG_OTHER_DATA, "named by the program", path };
    return lg_owner_new(making, &owner);
}

void lg_making_images(const struct lg_making *making,
                      bool (*each)(const struct lg_image *image, void *data), void *data)
{
    const struct lg_mappings *mappings = &making->picture->mappings;
    for (size_t i = 0; i < mappings->all.len; i++) {
        const struct lg_mapping *mapping = &mappings->all.at[i];
        uint8_t magic[4];
        struct lg_image image;
        if (mapping->path[0] == '/' && mapping->offset == 0 && mapping->sum.resident > 0
            && lg_making_read(making, mapping->start, magic, sizeof(magic))
            && lg_image_locate(making->target, mapping->path, mapping->start, &image)
            && each(&image, data))
            return;
    }
}

static bool claim_bss(const struct lg_image *image, void *data)
{
    struct lg_making *making = data;
    struct lg_page_owner owner = { .category = LG_CODE,
                                   .kind = "module bss",
                                   .module = lg_base_name(image->path) };
    owner.name = lg_making_format(making, "%s bss", owner.module);
    const struct lg_mappings *mappings = &making->picture->mappings;
    const struct lg_page_owner *made = NULL;
    const struct lg_mapping *first = lg_mapping_find(making->picture, image->base);
    for (size_t i = first ? (size_t)(first - mappings->all.at) : mappings->all.len;
         i < mappings->all.len && mappings->all.at[i].start < image->end; i++) {
        const struct lg_mapping *mapping = &mappings->all.at[i];
        if (!lg_mapping_is_anonymous(mapping) || *mapping->path)
            continue;
        made = made ? made : lg_owner_new(making, &owner);
        lg_making_claim(making, mapping->start,
                        image->end < mapping->end ? (image->end + 4095) / 4096 * 4096 : mapping->end,
                        made);
    }
    return making->out_of_memory;
}

void lg_claim_modules(struct lg_making *making)
{
    lg_making_images(making, claim_bss, making);
    lg_making_settle(making);
}
