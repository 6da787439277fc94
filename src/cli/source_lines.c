#include "cli/source_lines.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/elf_file.h"
#include "util/error.h"

enum { METHOD_DEF = 0x06, PATH_SIZE = 4096 };
static const char no_memory[] = "out of memory";

const char *lg_source_file_name(const char *path)
{
    const char *name = path;
    for (const char *c = path; *c; c++) {
        if ((*c == '/' || *c == '\\') && c[1])
            name = c + 1;
    }
    return name;
}

// ---- bytes ----

static bool read_fd(void *data, uint64_t offset, void *buf, size_t len)
{
    return offset <= INT64_MAX && pread(*(int *)data, buf, len, (off_t)offset) == (ssize_t)len;
}

// The directory that paths of the target start from; its links lead nowhere else. That of a process
// that has ended is gone: perhaps it was ours.
static int open_root(const struct lg_source_lines *lines)
{
    enum { HOW = O_PATH | O_DIRECTORY | O_CLOEXEC };
    char path[32];
    int sysroot = lines->clr ? lg_core_sysroot(lg_clr_target(lines->clr)) : -1;
    if (sysroot >= 0)
        return fcntl(sysroot, F_DUPFD_CLOEXEC, 0);
    snprintf(path, sizeof(path), "/proc/%d/root", lines->pid);
    int root = lines->pid ? open(path, HOW) : -1;
    return root >= 0 ? root : open("/", HOW);
}

static int open_file(const struct lg_source_lines *lines, const char *path, uint64_t *size_ret)
{
    int64_t mtime;
    _cleanup_close_ int root = open_root(lines);
    return root < 0 || path[0] != '/' ? -1 : lg_open_regular_below(root, path, size_ret, &mtime);
}

// ---- which assembly ----

static bool knows_guid(const struct lg_source_module *module)
{
    static const uint8_t zeros[16];
    return module->guid && memcmp(module->guid, zeros, 16) != 0;
}

static bool is_same(const struct lg_source_module *module, const struct lg_pe_debug *debug)
{
    return debug->has_id && memcmp(debug->id, module->guid, 16) == 0;
}

// ---- which PDB ----

// Takes the PDB if its id is the one that the assembly says.
static void take(struct lg_source_lines *lines, struct lg_source_pdb *ret, struct lg_pdb *pdb,
                 const struct lg_pe_debug *debug, const char *name)
{
    if (debug->has_id && memcmp(lg_pdb_id(pdb), debug->id, LG_PDB_ID) == 0) {
        ret->pdb = pdb;
        ret->why_not = NULL;
        return;
    }
    ret->why_not = lg_arena_format(&lines->arena, "'%s' is of another build", name);
    lg_pdb_free(pdb);
}

static void refuse(struct lg_source_lines *lines, struct lg_source_pdb *ret, struct lg_error *err,
                   const char *name)
{
    ret->why_not =
        lg_arena_format(&lines->arena, "'%s' cannot be read: %s", name, lg_error_message(err));
    lg_error_free(err);
}

static struct lg_error *read_pdb(int fd, uint64_t size, struct lg_pdb **ret)
{
    char magic[4];
    if (size > LG_PDB_MAX || !read_fd(&fd, 0, magic, 4) || memcmp(magic, "BSJB", 4) != 0)
        return lg_error_new(LG_ERR_UNSUPPORTED, "it is no portable PDB");
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return &lg_no_memory;
    if (read_fd(&fd, 0, bytes, size))
        return lg_pdb_new(bytes, size, ret);
    free(bytes);
    return lg_error_new(LG_ERR_OS, "it cannot be read to its end");
}

static void take_beside(struct lg_source_lines *lines, struct lg_source_pdb *ret,
                        const struct lg_pe_debug *debug)
{
    char path[PATH_SIZE];
    uint64_t size;
    struct lg_pdb *pdb;
    const char *assembly = ret->module.path, *name = lg_source_file_name(debug->path);
    int folder = (int)(lg_source_file_name(assembly) - assembly);
    int len = snprintf(path, sizeof(path), "%.*s%s", folder, assembly, name);
    ret->why_not = "no PDB is in its assembly, or beside it";
    if (!name[0] || len >= (int)sizeof(path))
        return;
    _cleanup_close_ int fd = open_file(lines, path, &size);
    if (fd < 0)
        return;
    struct lg_error *err = read_pdb(fd, size, &pdb);
    if (err)
        refuse(lines, ret, err, name);
    else
        take(lines, ret, pdb, debug, name);
}

static void take_any(struct lg_source_lines *lines, struct lg_source_pdb *ret,
                     const struct lg_pe_source *source, const struct lg_pe_debug *debug)
{
    struct lg_pdb *pdb;
    if (debug->embedded_size == 0) {
        take_beside(lines, ret, debug);
        return;
    }
    struct lg_error *err = lg_pdb_embedded(source, debug, &pdb);
    if (err)
        refuse(lines, ret, err, ret->name);
    else
        take(lines, ret, pdb, debug, "the PDB in its assembly");
}

// ---- modules ----

static bool find_in_memory(struct lg_source_lines *lines, struct lg_source_pdb *ret)
{
    const struct lg_module *module =
        lines->clr && ret->module.address ? lg_clr_module(lines->clr, ret->module.address) : NULL;
    struct lg_pe_debug debug;
    if (!module || !module->image_base)
        return false;
    struct lg_clr_image image = { lg_clr_target(lines->clr), module->image_base };
    const struct lg_pe_source source = { lg_clr_image_read, &image };
    if (!lg_pe_debug(&source, lg_clr_module_is_mapped(lines->clr, module->address), &debug)
        || !debug.has_id || (knows_guid(&ret->module) && !is_same(&ret->module, &debug)))
        return false;
    take_any(lines, ret, &source, &debug);
    return true;
}

static void find_in_file(struct lg_source_lines *lines, struct lg_source_pdb *ret)
{
    uint64_t size;
    struct lg_pe_debug debug;
    _cleanup_close_ int fd = open_file(lines, ret->module.path, &size);
    const struct lg_pe_source source = { read_fd, &fd };
    ret->why_not = "its assembly cannot be read";
    if (fd < 0 || !lg_pe_debug(&source, false, &debug))
        return;
    if (!knows_guid(&ret->module))
        ret->why_not = "nothing tells whether the file of its assembly is the one that was loaded";
    else if (is_same(&ret->module, &debug))
        take_any(lines, ret, &source, &debug);
    else
        ret->why_not =
            lg_arena_format(&lines->arena, "'%s' is not the assembly that was loaded", ret->name);
}

static struct lg_source_pdb *find_pdb(struct lg_source_lines *lines,
                                      const struct lg_source_module *module)
{
    const char *path = module->path ? module->path : "";
    uint64_t hash = lg_hash64(module->address);
    for (const char *c = path; *c; c++)
        hash = lg_hash64(hash ^ (uint8_t)*c);
    for (size_t i = 0; module->guid && i < 16; i++)
        hash = lg_hash64(hash ^ module->guid[i]);
    uint32_t found;
    if (lg_map_get(&lines->by_hash, hash, &found))
        return &lines->modules.at[found];
    struct lg_source_pdb pdb = { .module = *module };
    pdb.module.path = lg_arena_copy(&lines->arena, path, strlen(path));
    if (!pdb.module.path)
        return NULL;
    pdb.name = lg_source_file_name(pdb.module.path);
    if (!find_in_memory(lines, &pdb))
        find_in_file(lines, &pdb);
    if (!pdb.pdb && !pdb.why_not)
        pdb.why_not = no_memory;
    pdb.module.guid = NULL; // The caller's.
    if (lg_vec_push(&lines->modules, pdb)
        && lg_map_put(&lines->by_hash, hash, (uint32_t)lines->modules.len - 1))
        return &lines->modules.at[lines->modules.len - 1];
    lg_pdb_free(pdb.pdb);
    return NULL;
}

struct lg_source_line lg_source_line(struct lg_source_lines *lines,
                                     const struct lg_source_module *module, uint32_t token, uint32_t il)
{
    struct lg_pdb_point point;
    char file[PATH_SIZE];
    if (token >> 24 != METHOD_DEF || (token & 0xffffff) == 0)
        return (struct lg_source_line){ .why_not = "it was made at run time" };
    const struct lg_source_pdb *pdb = find_pdb(lines, module);
    if (!pdb || !pdb->pdb)
        return (struct lg_source_line){ .why_not = pdb ? pdb->why_not : no_memory };
    if (!lg_pdb_find(pdb->pdb, token, il, &point)
        || !lg_pdb_file(pdb->pdb, point.document, file, sizeof(file)))
        return (struct lg_source_line){ .why_not = "its PDB tells no line of it" };
    const char *kept = lg_arena_copy(&lines->arena, file, strlen(file));
    return kept ? (struct lg_source_line){ .file = kept, .line = point.line }
                : (struct lg_source_line){ .why_not = no_memory };
}

void lg_source_lines_deinit(struct lg_source_lines *lines)
{
    for (size_t i = 0; i < lines->modules.len; i++)
        lg_pdb_free(lines->modules.at[i].pdb);
    lg_vec_free(&lines->modules);
    lg_map_free(&lines->by_hash);
    lg_arena_free(&lines->arena);
}
