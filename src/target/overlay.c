// What a core lacks, from the files that were mapped.
//
// A file on disk is believed only after a check, because the one at that path may be another one by now:
//
//     ELF   its build-id is the one in the core's memory                              proven
//     PE    TimeDateStamp and SizeOfImage of its header are those in the core         proven
//     both  the core has no header of it, but every mapping that it tells of fits     likely: a note
//           the file's own layout, and the file is older than the core
//     else  the file is not read: a note says which one was expected
//
// With a sysroot the files are looked for below it, then in it by their bare names; the user vouches for
// their dates, which copying changes.
//
// What the process may have written is in no file. Kernel and gdb save whatever was written, so what
// they left out is as in the file. createdump does not: of writable memory that it left out only the
// data of an ELF image is told, relocated by rule and as the file starts it (noted). docs/cores.md has
// the reasons.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "target/core_priv.h"
#include "target/elf_file.h"
#include "target/pe_file.h"
#include "util/arena.h"
#include "util/map.h"

enum { FILES_MAX = 2048, NAMED_MAX = 3, ID_TEXT = 2 * LG_BUILD_ID_MAX + 1, PAGE = 4096 };

struct overlay_file {
    const char *path;
    int fd;
    uint64_t size;
    uint64_t bias; // ELF
    bool is_elf, is_usable, has_initial_data, has_unsure;
    struct lg_elf_file elf;
    struct lg_pe_file pe;
    LG_VEC(uint32_t) ranges; // Where it is mapped, saved or not.
};

// One kind of thing to say about files, said of all of them at once.
struct remark {
    size_t count, assemblies;
    char *names;
};

struct lg_overlay {
    LG_VEC(struct overlay_file) files;
    struct lg_map by_path;
    struct remark missing, replaced, likely, initial, unsure;
    bool out_of_memory;
};

static void remember(struct lg_overlay *overlay, struct remark *remark, const char *path,
                     const char *detail)
{
    char *names;
    if (remark->count++ >= NAMED_MAX)
        return;
    if (asprintf(&names, "%s%s'%s'%s%s%s", remark->names ? remark->names : "", remark->names ? ", " : "",
                 path, *detail ? " (" : "", detail, *detail ? ")" : "")
        < 0) {
        overlay->out_of_memory = true;
        return;
    }
    free(remark->names);
    remark->names = names;
}

static void say(struct lg_core *core, struct remark *remark, const char *what, const char *remedy)
{
    char more[40] = "";
    if (remark->count > NAMED_MAX)
        snprintf(more, sizeof(more), " and %zu more", remark->count - NAMED_MAX);
    if (remark->count > 0)
        lg_target_note(&core->target, "%s: %s%s%s", what, remark->names ? remark->names : "", more,
                       remedy);
    free(remark->names);
    *remark = (struct remark){ 0 };
}

// "3 assemblies and 1 native file"
static void count_kinds(const struct remark *remark, char *text, size_t size)
{
    size_t assemblies = remark->assemblies, native = remark->count - assemblies, len = 0;
    if (assemblies)
        len = (size_t)snprintf(text, size, "%zu assembl%s", assemblies, assemblies == 1 ? "y" : "ies");
    if (native)
        snprintf(text + len, size - len, "%s%zu native file%s", len ? " and " : "", native,
                 native == 1 ? "" : "s");
}

// Of files that are not read: how many of which kind, which first, and what would help.
static void say_unread(struct lg_core *core, struct remark *remark, const char *what,
                       const char *consequence)
{
    char kinds[80] = "", text[320];
    count_kinds(remark, kinds, sizeof(kinds));
    snprintf(text, sizeof(text), "%s (%s)%s", what, kinds, consequence);
    say(core, remark, text,
        core->sysroot < 0 ? " ('--sysroot DIR' reads copies of the files of that machine)" : "");
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// ---- which files, and where ----

static uint64_t hash_path(const char *path)
{
    uint64_t hash = 0xcbf29ce484222325; // FNV-1a
    for (const char *c = path; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
    return hash;
}

// Kernel and createdump mark what is unlinked; the name may belong to another file by now.
static bool may_open(const char *path)
{
    static const char deleted[] = " (deleted)";
    size_t len = strlen(path);
    return path[0] == '/'
           && (len < sizeof(deleted) || strcmp(path + len - (sizeof(deleted) - 1), deleted) != 0);
}

static struct overlay_file *file_of(struct lg_overlay *overlay, const char *path)
{
    uint32_t i;
    uint64_t hash = hash_path(path);
    if (lg_map_get(&overlay->by_path, hash, &i))
        return strcmp(overlay->files.at[i].path, path) == 0 ? &overlay->files.at[i] : NULL;
    if (overlay->files.len == FILES_MAX || !may_open(path))
        return NULL;
    i = (uint32_t)overlay->files.len;
    struct overlay_file file = { .path = path, .fd = -1 };
    if (!lg_vec_push(&overlay->files, file) || !lg_map_put(&overlay->by_path, hash, i)) {
        overlay->out_of_memory = true;
        return NULL;
    }
    return &overlay->files.at[i];
}

static void collect(struct lg_core *core)
{
    struct lg_overlay *overlay = core->overlay;
    for (size_t i = 0; i < core->parts.len; i++) {
        if (core->parts.at[i].file == LG_NONE)
            continue;
        struct overlay_file *file = file_of(overlay, core->target.ranges.at[i].path);
        if (file && !lg_vec_push(&file->ranges, (uint32_t)i))
            overlay->out_of_memory = true;
    }
}

// Whether something of it is not in the core.
static bool is_wanted(const struct lg_core *core, const struct overlay_file *file)
{
    for (size_t i = 0; i < file->ranges.len; i++) {
        const struct lg_range *range = &core->target.ranges.at[file->ranges.at[i]];
        if (range->saved < range->end - range->start)
            return true;
    }
    return false;
}

// ---- is it the one ----

// How the core itself identifies the file: from bytes that were saved, as none of its own are used yet.
struct identity {
    enum { NOTHING, ELF, PE } kind;
    uint64_t base;
    uint8_t build_id[LG_BUILD_ID_MAX];
    size_t build_id_len;
    struct lg_pe_identity pe;
};

static struct identity saved_identity(struct lg_core *core, const struct overlay_file *file)
{
    struct identity id = { 0 };
    for (size_t i = 0; i < file->ranges.len; i++) {
        const struct lg_range *range = &core->target.ranges.at[file->ranges.at[i]];
        struct lg_image image;
        if (range->offset != 0)
            continue;
        id.base = id.base ? id.base : range->start;
        if (lg_image_locate(&core->target, file->path, range->start, &image)) {
            id.kind = ELF;
            id.base = range->start;
            id.build_id_len = lg_image_build_id(&image, id.build_id);
            return id;
        }
        if (lg_pe_identify(&core->target, range->start, &id.pe)) {
            id.kind = PE;
            return id;
        }
    }
    return id;
}

static const char *hex(const uint8_t *id, size_t len, char text[ID_TEXT])
{
    for (size_t i = 0; i < len; i++)
        sprintf(text + 2 * i, "%02x", id[i]);
    return text;
}

static void describe(const struct identity *id, char *text, size_t size)
{
    char id_text[ID_TEXT] = "";
    if (id->kind == ELF && id->build_id_len)
        snprintf(text, size, "build-id %s", hex(id->build_id, id->build_id_len, id_text));
    else if (id->kind == PE)
        snprintf(text, size, "TimeDateStamp 0x%08x, SizeOfImage 0x%x", id->pe.time_date_stamp,
                 id->pe.size_of_image);
    else
        *text = 0;
}

static bool is_assembly(const struct overlay_file *file, const struct identity *id)
{
    return id->kind == PE || (id->kind == NOTHING && strstr(file->path, ".dll"));
}

static bool looks_like_code(const struct lg_core *core, const struct overlay_file *file,
                            const struct identity *id)
{
    if (id->kind != NOTHING || strstr(file->path, ".so") || strstr(file->path, ".dll"))
        return true;
    for (size_t i = 0; i < file->ranges.len; i++) {
        if (core->target.ranges.at[file->ranges.at[i]].access & LG_EXECUTE)
            return true;
    }
    return false;
}

// The saved part of the image's first page, which nothing relocates, is the file's.
static bool same_first_page(struct lg_core *core, const struct overlay_file *file, uint64_t base)
{
    uint8_t saved[PAGE], bytes[PAGE];
    size_t len = lg_target_read(&core->target, base, saved, sizeof(saved));
    return pread(file->fd, bytes, len, 0) == (ssize_t)len && memcmp(saved, bytes, len) == 0;
}

// Every mapping of the file shows bytes that the file has, at a distance that its headers ask for.
static bool fits(const struct lg_core *core, const struct overlay_file *file)
{
    size_t fitting = 0;
    for (size_t i = 0; i < file->ranges.len; i++) {
        uint32_t entry = core->parts.at[file->ranges.at[i]].file;
        const struct lg_core_file *map = &core->files.at[entry];
        if (i > 0 && entry == core->parts.at[file->ranges.at[i - 1]].file)
            continue;
        uint64_t end = map->offset + (map->end - map->start);
        if (end < map->offset || end > (file->size + PAGE - 1) / PAGE * PAGE)
            return false;
        if (file->is_elf ? lg_elf_file_has_mapping(&file->elf, map->offset, map->end - map->start)
                         : lg_pe_has_mapping(&file->pe, file->size, map->offset, map->end - map->start))
            fitting++;
        else if (!file->is_elf)
            return false;
    }
    return fitting > 0;
}

enum verdict { IS_THE_ONE, IS_LIKELY, IS_ANOTHER };

static enum verdict judge(struct lg_core *core, const struct overlay_file *file,
                          const struct identity *expected, struct identity *actual, int64_t mtime)
{
    actual->kind = file->is_elf ? ELF : PE;
    if (file->is_elf)
        actual->build_id_len = lg_image_build_id(&file->elf.image, actual->build_id);
    else
        actual->pe = file->pe.identity;

    if (expected->kind == NOTHING || (expected->kind == ELF && expected->build_id_len == 0)) {
        bool in_time = core->sysroot >= 0 || mtime <= core->target.taken.tv_sec;
        bool likely = in_time && fits(core, file)
                      && (expected->kind == NOTHING
                          || (file->is_elf && same_first_page(core, file, expected->base)));
        return likely ? IS_LIKELY : IS_ANOTHER;
    }
    if (expected->kind != actual->kind)
        return IS_ANOTHER;
    bool same = file->is_elf
                    ? expected->build_id_len == actual->build_id_len
                          && memcmp(expected->build_id, actual->build_id, actual->build_id_len) == 0
                    : lg_pe_same(&expected->pe, &actual->pe);
    return same ? IS_THE_ONE : IS_ANOTHER;
}

static void tell_another(struct lg_overlay *overlay, const struct overlay_file *file,
                         const struct identity *expected, const struct identity *actual)
{
    char was[160], is[160], text[400];
    describe(expected, was, sizeof(was));
    describe(actual, is, sizeof(is));
    snprintf(text, sizeof(text), "has %s, the core %s", *is ? is : "no id",
             *was ? was : "does not tell");
    overlay->replaced.assemblies += is_assembly(file, expected);
    remember(overlay, &overlay->replaced, file->path, text);
}

static void tell_missing(struct lg_core *core, const struct overlay_file *file,
                         const struct identity *expected, int errnum)
{
    struct lg_overlay *overlay = core->overlay;
    char id[160], text[256];
    const char *reason = errnum == ENOENT || errnum == 0 ? "" : strerror(errnum);
    describe(expected, id, sizeof(id));
    snprintf(text, sizeof(text), "%s%s%s", id, *id && *reason ? ": " : "", reason);
    if (!looks_like_code(core, file, expected))
        return;
    overlay->missing.assemblies += is_assembly(file, expected);
    remember(overlay, &overlay->missing, file->path, text);
}

// The PT_LOAD that a range shows, or NULL.
static const Elf64_Phdr *load_of(const struct overlay_file *file, const struct lg_range *range)
{
    for (size_t i = 0; i < file->elf.loads.len; i++) {
        const Elf64_Phdr *ph = &file->elf.loads.at[i];
        uint64_t address = range->start - file->bias, start = ph->p_vaddr / PAGE * PAGE;
        if (address >= start && address < ph->p_vaddr + ph->p_memsz
            && address - ph->p_vaddr == range->offset - ph->p_offset)
            return ph;
    }
    return NULL;
}

// Whether data is to be told from the file: then as the dynamic linker left it.
static bool needs_relocations(const struct lg_core *core, const struct overlay_file *file)
{
    for (size_t i = 0; i < file->ranges.len; i++) {
        const struct lg_range *range = &core->target.ranges.at[file->ranges.at[i]];
        const Elf64_Phdr *load = load_of(file, range);
        if (load && load->p_flags & PF_W && range->saved < range->end - range->start)
            return true;
    }
    return false;
}

// The bias follows from where the image's first page is.
static bool locate(const struct lg_core *core, struct overlay_file *file,
                   const struct identity *expected)
{
    if (!file->is_elf)
        return true;
    file->bias = expected->base - file->elf.image.base;
    return expected->base != 0
           && (!needs_relocations(core, file) || lg_elf_file_read_relocations(&file->elf));
}

static int open_file(const struct lg_core *core, struct overlay_file *file, int64_t *mtime_ret)
{
    if (core->sysroot < 0)
        return lg_open_regular(file->path, &file->size, mtime_ret);
    int fd = lg_open_regular_below(core->sysroot, file->path, &file->size, mtime_ret);
    if (fd < 0 && errno == ENOENT)
        fd = lg_open_regular_below(core->sysroot, base_name(file->path), &file->size, mtime_ret);
    return fd;
}

static void identify(struct lg_core *core, struct overlay_file *file)
{
    struct lg_overlay *overlay = core->overlay;
    struct identity expected = saved_identity(core, file), actual = { 0 };
    int64_t mtime = 0;
    errno = 0;
    file->fd = open_file(core, file, &mtime);
    if (file->fd < 0) {
        tell_missing(core, file, &expected, errno);
        return;
    }
    file->is_elf = lg_elf_file_open(file->fd, file->size, file->path, &file->elf);
    if (!file->is_elf && !lg_pe_file_open(file->fd, file->size, &file->pe)) {
        if (looks_like_code(core, file, &expected))
            tell_another(overlay, file, &expected, &actual);
        return;
    }
    enum verdict verdict = judge(core, file, &expected, &actual, mtime);
    if (verdict == IS_ANOTHER) {
        tell_another(overlay, file, &expected, &actual);
        return;
    }
    file->is_usable = locate(core, file, &expected);
    if (!file->is_usable)
        remember(overlay, &overlay->replaced, file->path, "its relocations make no sense");
    else if (verdict == IS_LIKELY)
        remember(overlay, &overlay->likely, base_name(file->path), "");
}

// ---- what may be read of it ----

// Past the relocated read-only part, data may have changed since the file was loaded.
static bool is_changeable(const struct overlay_file *file, const struct lg_range *range)
{
    Elf64_Phdr relro;
    return !lg_image_header(&file->elf.image, PT_GNU_RELRO, &relro)
           || range->end - file->bias > (relro.p_vaddr + relro.p_memsz + PAGE - 1) / PAGE * PAGE;
}

static void admit_range(struct lg_core *core, struct overlay_file *file, uint32_t i)
{
    const struct lg_range *range = &core->target.ranges.at[i];
    struct lg_core_part *part = &core->parts.at[i];
    const struct lg_core_file *map = &core->files.at[part->file];
    if (range->saved == range->end - range->start)
        return;
    const Elf64_Phdr *load = file->is_elf ? load_of(file, range) : NULL;
    bool is_writable = load           ? load->p_flags & PF_W
                       : file->is_elf ? range->access == 0 || range->access & LG_WRITE
                                      : lg_pe_is_writable(&file->pe, map->offset, map->end - map->start);
    if (is_writable && !core->saves_changes) {
        if (!load) {
            file->has_unsure |= file->is_elf;
            return;
        }
        file->has_initial_data |= is_changeable(file, range);
    }
    part->overlay = (uint32_t)(file - core->overlay->files.at);
}

static void admit(struct lg_core *core, struct overlay_file *file)
{
    for (size_t i = 0; i < file->ranges.len; i++)
        admit_range(core, file, file->ranges.at[i]);
    if (file->has_initial_data)
        remember(core->overlay, &core->overlay->initial, base_name(file->path), "");
    if (file->has_unsure)
        remember(core->overlay, &core->overlay->unsure, base_name(file->path), "");
}

bool lg_overlay_open(struct lg_core *core)
{
    struct lg_overlay *overlay = core->overlay = calloc(1, sizeof(*overlay));
    if (!overlay)
        return false;
    collect(core);
    for (size_t i = 0; i < overlay->files.len; i++) {
        struct overlay_file *file = &overlay->files.at[i];
        if (is_wanted(core, file))
            identify(core, file);
        if (!file->is_usable) {
            lg_closep(&file->fd);
            file->fd = -1;
        }
    }
    for (size_t i = 0; i < overlay->files.len; i++) {
        if (overlay->files.at[i].is_usable)
            admit(core, &overlay->files.at[i]);
    }
    say_unread(core, &overlay->missing, "mapped files are missing or cannot be read",
               ", so what the core did not save of them is unknown");
    say_unread(core, &overlay->replaced, "files on disk are not the ones that were mapped",
               ", and are not read");
    say(core, &overlay->likely,
        core->sysroot < 0 ? "identity not proven, as the core has no header of them; read from disk, as "
                            "layout and date fit"
                          : "identity not proven, as the core has no header of them; read below the "
                            "sysroot, as the layout fits",
        "");
    say(core, &overlay->unsure,
        "the dump does not tell whether parts of a program with bundled assemblies were written to, so "
        "what is in them, names of types included, is unknown (createdump --full keeps them)",
        "");
    say(core, &overlay->initial, "variables that the dump left out are read as the file starts them",
        "");
    return !overlay->out_of_memory;
}

void lg_overlay_close(struct lg_core *core)
{
    struct lg_overlay *overlay = core->overlay;
    if (!overlay)
        return;
    for (size_t i = 0; i < overlay->files.len; i++) {
        struct overlay_file *file = &overlay->files.at[i];
        lg_elf_file_close(&file->elf);
        lg_pe_file_close(&file->pe);
        lg_vec_free(&file->ranges);
        lg_closep(&file->fd);
    }
    lg_vec_free(&overlay->files);
    lg_map_free(&overlay->by_path);
    free(overlay);
}

// ---- reading ----

size_t lg_overlay_read(const struct lg_core *core, size_t i, uint64_t address, void *buf, size_t len)
{
    uint32_t index = core->parts.at[i].overlay;
    if (index == LG_NONE)
        return 0;
    const struct overlay_file *file = &core->overlay->files.at[index];
    const struct lg_range *range = &core->target.ranges.at[i];
    const Elf64_Phdr *load = file->is_elf ? load_of(file, range) : NULL;
    if (load && load->p_flags & PF_W) {
        // Behind the file's part of a data segment come variables that start as zeros: not in any file.
        uint64_t end = file->bias + load->p_vaddr + load->p_filesz;
        if (address >= end)
            return 0;
        len = len < end - address ? len : end - address;
    }
    uint64_t offset = range->offset + (address - range->start);
    if (offset > INT64_MAX)
        return 0;
    ssize_t n = pread(file->fd, buf, len, (off_t)offset);
    if (n <= 0)
        return 0;
    return file->is_elf ? lg_elf_file_relocate(&file->elf, file->bias, address, buf, (size_t)n)
                        : (size_t)n;
}
