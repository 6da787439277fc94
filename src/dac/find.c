// Finding and trusting the DAC. Loading it runs its code with our rights: so it is loaded only if
// whoever could have written it could as well have replaced linger, and it is the one that the runtime
// was built with. A DAC of another build crashes, or answers nonsense (reference clr.md A.1).
#include "dac/find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/elf_file.h"
#include "util/error.h"

#define DAC_NAME "libmscordaccore.so"
#define VERSION_MARK "@(#)Version "

// ---- what the runtime says ----

// DotNetRuntimeInfo, in single-file hosts only: signature, then from 24 on the build-ids of the runtime,
// the DAC and the DBI, each a length and 23 bytes (reference clr.md A.7).
static bool read_info(const struct lg_image *runtime, struct lg_dac_identity *ret)
{
    enum { SIGNATURE = 18, DAC_INDEX = 48, INDEX_SIZE = 24 };
    uint64_t address, size;
    uint8_t info[DAC_INDEX + INDEX_SIZE];
    if (!lg_image_symbol(runtime, "DotNetRuntimeInfo", &address, &size)
        || !lg_target_read_all(runtime->target, address, info, sizeof(info))
        || memcmp(info, "DotNetRuntimeInfo", SIGNATURE) != 0 || info[DAC_INDEX] >= INDEX_SIZE)
        return false;
    ret->build_id_size = info[DAC_INDEX];
    memcpy(ret->build_id, info + DAC_INDEX + 1, ret->build_id_size);
    return ret->build_id_size > 0;
}

// A build without a commit has no name of its own.
static bool read_version(const struct lg_image *image, char *ret, size_t size)
{
    return lg_image_text(image, VERSION_MARK, ret, size) && strstr(ret, "@Commit: ");
}

struct lg_error *lg_dac_identity_read(const struct lg_image *runtime, struct lg_dac_identity *ret)
{
    *ret = (struct lg_dac_identity){ .build_id_size = 0 };
    if (read_info(runtime, ret) || read_version(runtime, ret->version, sizeof(ret->version)))
        return NULL;
    return lg_error_new(LG_ERR_UNSUPPORTED,
                        "'%s' does not say which build it is, so no libmscordaccore.so can be told to "
                        "be its own",
                        runtime->path);
}

// ---- trust ----

static struct lg_error *check_owner(int fd, const char *path)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return lg_error_os(errno, "'%s'", path);
    if (!S_ISREG(st.st_mode))
        return lg_error_new(LG_ERR_UNSUPPORTED, "'%s' is no file", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "'%s' belongs to user %u, who could make it do anything with your rights: "
                            "copy it to where only you can write, and name the copy with --dac",
                            path, st.st_uid);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "'%s' can be written by others than its owner, and would run with your "
                            "rights: 'chmod go-w' it, or name a copy of your own with --dac",
                            path);
    return NULL;
}

static void write_hex(const uint8_t *bytes, size_t size, char *buf)
{
    for (size_t i = 0; i < size; i++)
        snprintf(buf + 2 * i, 3, "%02x", bytes[i]);
}

static struct lg_error *check_build_id(const struct lg_image *image, const char *path,
                                       const struct lg_dac_identity *identity)
{
    uint8_t id[LG_BUILD_ID_MAX];
    char wanted[2 * LG_BUILD_ID_MAX + 1] = "", is[2 * LG_BUILD_ID_MAX + 1] = "none";
    size_t size = lg_image_build_id(image, id);
    if (size == identity->build_id_size && memcmp(id, identity->build_id, size) == 0)
        return NULL;
    write_hex(identity->build_id, identity->build_id_size, wanted);
    write_hex(id, size, is);
    return lg_error_new(LG_ERR_UNSUPPORTED,
                        "'%s' is of another build than the runtime: its build-id is %s, and %s is "
                        "needed: take it from the runtime pack that the program was published with, "
                        "and name it with --dac",
                        path, is, wanted);
}

static struct lg_error *check_version(const struct lg_image *image, const char *path,
                                      const struct lg_dac_identity *identity)
{
    char version[sizeof(identity->version)];
    if (!read_version(image, version, sizeof(version)))
        return lg_error_new(LG_ERR_UNSUPPORTED, "'%s' does not say which runtime it was built with",
                            path);
    if (strcmp(version, identity->version) == 0)
        return NULL;
    return lg_error_new(LG_ERR_UNSUPPORTED,
                        "'%s' is of another build than the runtime: it says '%s', and the runtime "
                        "says '%s': name the one that came with the runtime with --dac",
                        path, version + 4, identity->version + 4);
}

struct lg_error *lg_dac_check(int fd, const char *path, const struct lg_dac_identity *identity)
{
    struct lg_error *err = check_owner(fd, path);
    struct stat st;
    struct lg_elf_file file;
    if (err)
        return err;
    if (fstat(fd, &st) != 0 || !lg_elf_file_open(fd, (uint64_t)st.st_size, path, &file))
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "'%s' is no x86-64 library: name the one that came with the runtime with "
                            "--dac",
                            path);
    err = identity->build_id_size ? check_build_id(&file.image, path, identity)
                                  : check_version(&file.image, path, identity);
    lg_elf_file_close(&file);
    return err;
}

// ---- finding ----

static struct lg_error *open_file(const char *path, int *fd_ret)
{
    // A FIFO in its place would keep us waiting.
    *fd_ret = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return *fd_ret < 0 ? lg_error_os(errno, "'%s'", path) : NULL;
}

static char *name_of(int fd)
{
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';
    return strdup(path);
}

static struct lg_error *cannot_open(int fd, const char *path, const char *whose)
{
    if (fd == -2)
        return lg_error_new(LG_ERR_UNSUPPORTED, "'%s'%s is no file", path, whose);
    return lg_error_os(errno, "'%s'%s", path, whose);
}

// Below the user's directory: where the process saw it, else by its bare name, as all files of a core.
static struct lg_error *open_below(int sysroot, const char *path, int *fd_ret, char **path_ret)
{
    uint64_t size;
    int64_t mtime;
    *fd_ret = lg_open_regular_below(sysroot, path, &size, &mtime);
    if (*fd_ret < 0 && errno == ENOENT)
        *fd_ret = lg_open_regular_below(sysroot, DAC_NAME, &size, &mtime);
    if (*fd_ret < 0)
        return cannot_open(*fd_ret, path, " below the sysroot");
    *path_ret = name_of(*fd_ret);
    return *path_ret ? NULL : &lg_no_memory;
}

// What the process sees at `path`: it may have a root of its own, which links in it are to stay in.
static struct lg_error *open_in_process(int pid, const char *path, int *fd_ret, char **path_ret)
{
    char root_path[32];
    uint64_t size;
    int64_t mtime;
    snprintf(root_path, sizeof(root_path), "/proc/%d/root", pid);
    _cleanup_close_ int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *fd_ret = root < 0 ? -1 : lg_open_regular_below(root, path, &size, &mtime);
    if (*fd_ret < 0)
        return cannot_open(*fd_ret, path, " of the process");
    if (asprintf(path_ret, "%s%s", root_path, path) >= 0)
        return NULL;
    *path_ret = NULL;
    return &lg_no_memory;
}

static struct lg_error *open_seen(const struct lg_target *target, const char *path, int *fd_ret,
                                  char **path_ret)
{
    int sysroot = lg_core_sysroot(target);
    if (sysroot >= 0)
        return open_below(sysroot, path, fd_ret, path_ret);
    if (target->kind == LG_TARGET_PROCESS)
        return open_in_process(target->pid, path, fd_ret, path_ret);
    *path_ret = strdup(path);
    return *path_ret ? open_file(path, fd_ret) : &lg_no_memory;
}

static char *beside(const struct lg_image *runtime)
{
    const char *slash = strrchr(runtime->path, '/');
    char *ret;
    return slash && asprintf(&ret, "%.*s/" DAC_NAME, (int)(slash - runtime->path), runtime->path) >= 0
               ? ret
               : NULL;
}

static struct lg_error *accept(struct lg_error *err, int fd, char *path,
                               const struct lg_dac_identity *identity, int *fd_ret, char **path_ret)
{
    _cleanup_free_ char *own_path = path;
    _cleanup_close_ int own_fd = fd;
    if (!err)
        err = lg_dac_check(fd, path, identity);
    if (err)
        return err;
    *fd_ret = lg_steal_fd(&own_fd);
    *path_ret = lg_steal(own_path);
    return NULL;
}

static struct lg_error *take_given(const char *given, const struct lg_dac_identity *identity,
                                   int *fd_ret, char **path_ret)
{
    int fd = -1;
    char *path = strdup(given);
    struct lg_error *err = path ? open_file(path, &fd) : &lg_no_memory;
    return accept(err, fd, path, identity, fd_ret, path_ret);
}

static struct lg_error *take_seen(const struct lg_target *target, const char *path,
                                  const struct lg_dac_identity *identity, int *fd_ret, char **path_ret)
{
    int fd = -1;
    char *shown = NULL;
    struct lg_error *err = open_seen(target, path, &fd, &shown);
    return accept(err, fd, shown, identity, fd_ret, path_ret);
}

static bool is_done(struct lg_error *err)
{
    lg_error_free(err);
    return !err;
}

// A single-file app has no DAC beside it, but a shared framework of the same build has the same one:
// where the process was, or here; or it lies in the user's directory.
static struct lg_error *find_shared(const struct lg_target *target, const char *version,
                                    const struct lg_dac_identity *identity, int *fd_ret, char **path_ret)
{
    static const char *const folders[] = { "/usr/share/dotnet", "/usr/lib/dotnet", "/usr/lib64/dotnet" };
    char wanted[2 * LG_BUILD_ID_MAX + 1] = "";
    for (size_t i = 0; version && i < sizeof(folders) / sizeof(*folders); i++) {
        _cleanup_free_ char *path = NULL;
        if (asprintf(&path, "%s/shared/Microsoft.NETCore.App/%s/" DAC_NAME, folders[i], version) < 0) {
            path = NULL;
            return &lg_no_memory;
        }
        if (is_done(take_seen(target, path, identity, fd_ret, path_ret))
            || is_done(take_given(path, identity, fd_ret, path_ret)))
            return NULL;
    }
    if (lg_core_sysroot(target) >= 0 && is_done(take_seen(target, DAC_NAME, identity, fd_ret, path_ret)))
        return NULL;
    write_hex(identity->build_id, identity->build_id_size, wanted);
    return lg_error_new(LG_ERR_NOT_FOUND,
                        "a single-file program has no " DAC_NAME " beside it: name one of build-id %s, "
                        "from the runtime pack %s%sthat it was published with, with --dac",
                        wanted, version ? version : "", version ? " " : "");
}

static struct lg_error *missing(const struct lg_image *runtime, const char *version,
                                const struct lg_dac_identity *identity, struct lg_error *err)
{
    bool is_core = runtime->target->kind == LG_TARGET_CORE;
    struct lg_error *sentence =
        lg_error_new(LG_ERR_NOT_FOUND,
                     "no " DAC_NAME " beside the runtime (%s): name that of '%s' with --dac%s: it says "
                     "'%s', and is in the runtime pack %s%sof Microsoft.NETCore.App.Runtime",
                     lg_error_message(err), runtime->path, is_core ? ", or have it below --sysroot" : "",
                     identity->version + strlen("@(#)"), version ? version : "", version ? " " : "");
    lg_error_free(err);
    return sentence;
}

struct lg_error *lg_dac_find(const struct lg_image *runtime, const char *version, const char *given,
                             int *fd_ret, char **path_ret)
{
    struct lg_dac_identity identity;
    struct lg_error *err = lg_dac_identity_read(runtime, &identity);
    if (err)
        return err;
    if (given)
        return take_given(given, &identity, fd_ret, path_ret);
    if (identity.build_id_size)
        return find_shared(runtime->target, version, &identity, fd_ret, path_ret);
    _cleanup_free_ char *path = beside(runtime);
    if (!path)
        return &lg_no_memory;
    err = take_seen(runtime->target, path, &identity, fd_ret, path_ret);
    return err && lg_error_kind(err) == LG_ERR_OS ? missing(runtime, version, &identity, err) : err;
}
