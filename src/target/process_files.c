// What files are, and who users are, looked up once in a listing of hundreds of processes.
//
//     a libcoreclr.so       exports mono_jit_init: Mono under CoreCLR's name; else its version is in it
//     an executable         exports DotNetRuntimeInfo: single-file, with the version in it
//                           exports DotNetRuntimeDebugHeader and no g_dacTable: NativeAOT (clr.md A.7,
//                           D.8)
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "target/elf_file.h"
#include "target/processes_priv.h"
#include "util/reader.h"

void lg_known_init(struct lg_known *known)
{
    *known = (struct lg_known){ 0 };
    pthread_mutex_init(&known->lock, NULL);
}

void lg_known_deinit(struct lg_known *known)
{
    for (size_t i = 0; i < known->users.len; i++)
        free(known->users.at[i]);
    lg_vec_free(&known->users);
    lg_map_free(&known->by_uid);
    lg_vec_free(&known->files);
    lg_map_free(&known->by_file);
    pthread_mutex_destroy(&known->lock);
}

// ---- versions ----

bool lg_version_from_build(unsigned major, unsigned minor, unsigned build, char *ret, size_t size)
{
    // 10.0.1226.42308: the third number is the patch and the year's last two digits, as
    // in 10.0.926.27113 of 10.0.9 (reference clr.md A.7). 3.1 and older count otherwise
    // ("4.700.20.11803").
    if (major < 5 || major > 99)
        return false;
    snprintf(ret, size, "%u.%u.%u", major, minor, build / 100);
    return true;
}

// "@(#)Version 10.0.1226.42308 @Commit: …" is somewhere in the read-only data (reference clr.md A.1).
static bool version_in_file(int fd, char *ret, size_t size)
{
    static const char mark[] = "@(#)Version ";
    enum { OVERLAP = 64, STEP = 1 << 20, FILE_MAX = 256 << 20 };
    _cleanup_free_ char *buf = malloc(STEP + OVERLAP + 1);
    ssize_t n;
    for (off_t at = 0; buf && at < FILE_MAX && (n = pread(fd, buf, STEP + OVERLAP, at)) > 0;
         at += STEP) {
        buf[n] = '\0';
        for (char *hit = buf; (hit = memmem(hit, (size_t)(buf + n - hit), mark, sizeof(mark) - 1));
             hit++) {
            unsigned major, minor, build, revision;
            if (sscanf(hit + sizeof(mark) - 1, "%4u.%4u.%8u.%8u", &major, &minor, &build, &revision)
                == 4)
                return lg_version_from_build(major, minor, build, ret, size);
        }
    }
    return false;
}

// DotNetRuntimeInfo (reference clr.md A.7): signature of 18 bytes, version at 20, the runtime's own
// four-part version at 96 from version 2 on.
static bool version_in_info(struct lg_target *file, uint64_t info, char *ret, size_t size)
{
    char signature[18];
    uint32_t version, parts[3];
    return lg_target_read_all(file, info, signature, sizeof(signature))
           && memcmp(signature, "DotNetRuntimeInfo", 18) == 0 && lg_target_u32(file, info + 20, &version)
           && version >= 2 && lg_target_read_all(file, info + 96, parts, sizeof(parts))
           && lg_version_from_build(parts[0], parts[1], parts[2], ret, size);
}

// The compiler's own version, which is that of the runtime it links: "…\0.NET: ilc 10.0.12-servicing.2…"
// in the section .comment (measured on 10.0.12), which ends up behind all that is loaded.
static bool version_of_compiler(int fd, uint64_t size, char *ret, size_t ret_size)
{
    static const char mark[] = ".NET: ilc ";
    enum { TAIL = 256 << 10 };
    uint64_t at = size > TAIL ? size - TAIL : 0;
    _cleanup_free_ char *buf = malloc(TAIL + 1);
    ssize_t n = buf ? pread(fd, buf, TAIL, (off_t)at) : -1;
    char *hit = n > 0 ? memmem(buf, (size_t)n, mark, sizeof(mark) - 1) : NULL;
    unsigned major, minor, patch;
    if (!hit)
        return false;
    buf[n] = '\0';
    if (sscanf(hit + sizeof(mark) - 1, "%2u.%2u.%4u", &major, &minor, &patch) != 3)
        return false;
    snprintf(ret, ret_size, "%u.%u.%u", major, minor, patch);
    return true;
}

// ---- what a file is ----

static bool exports(const struct lg_image *image, const char *name)
{
    uint64_t address, size;
    return lg_image_symbol(image, name, &address, &size);
}

static void look_at_executable(struct lg_elf_file *file, const struct lg_image *image,
                               struct lg_known_file *ret)
{
    uint64_t info, size;
    if (lg_image_symbol(image, "DotNetRuntimeInfo", &info, &size)) {
        ret->flavour = LG_FLAVOUR_SINGLE_FILE;
        if (!version_in_info(&file->target, info, ret->version, sizeof(ret->version)))
            ret->version[0] = '\0';
    } else if (exports(image, "DotNetRuntimeDebugHeader") && !exports(image, "g_dacTable")) {
        ret->flavour = LG_FLAVOUR_NATIVEAOT;
        if (!version_of_compiler(file->fd, file->size, ret->version, sizeof(ret->version)))
            ret->version[0] = '\0';
    }
}

static void look_at_file(int fd, uint64_t size, bool is_library, struct lg_known_file *ret)
{
    struct lg_elf_file file;
    struct lg_image image;
    if (is_library && !version_in_file(fd, ret->version, sizeof(ret->version)))
        ret->version[0] = '\0';
    if (!lg_elf_file_open(fd, size, "file", &file))
        return;
    struct lg_error *err = lg_image_open(&file.target, "file", file.image.base, &image);
    if (!err && is_library)
        ret->flavour = exports(&image, "mono_jit_init") ? LG_FLAVOUR_MONO : ret->flavour;
    else if (!err)
        look_at_executable(&file, &image, ret);
    lg_error_free(err);
    lg_elf_file_close(&file);
}

// Under the lock: who comes for the same file meanwhile waits, and finds it.
static bool find_file(struct lg_known *known, const struct stat *st, int dir, const char *name,
                      bool is_library, struct lg_known_file *ret)
{
    uint32_t i;
    uint64_t key = lg_hash64(st->st_dev) ^ st->st_ino << 1 ^ is_library;
    if (lg_map_get(&known->by_file, key, &i)) {
        *ret = known->files.at[i];
        return true;
    }
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        look_at_file(fd, (uint64_t)st->st_size, is_library, ret);
    return lg_vec_push(&known->files, *ret)
           && lg_map_put(&known->by_file, key, (uint32_t)known->files.len - 1);
}

bool lg_known_file_find(struct lg_known *known, const struct stat *st, int dir, const char *name,
                        bool is_library, struct lg_known_file *ret)
{
    *ret = (struct lg_known_file){ .flavour = is_library ? LG_FLAVOUR_SELF_CONTAINED : LG_FLAVOUR_NONE };
    pthread_mutex_lock(&known->lock);
    bool good = find_file(known, st, dir, name, is_library, ret);
    pthread_mutex_unlock(&known->lock);
    return good;
}

// ---- users ----

static char *user_name(uid_t uid)
{
    char buf[4096], *number;
    struct passwd pw, *found = NULL;
    if (getpwuid_r(uid, &pw, buf, sizeof(buf), &found) == 0 && found)
        return strdup(pw.pw_name);
    return asprintf(&number, "%u", (unsigned)uid) < 0 ? NULL : number; // Of a container's own users.
}

static const char *find_user(struct lg_known *known, uid_t uid)
{
    uint32_t i;
    if (lg_map_get(&known->by_uid, uid, &i))
        return known->users.at[i];
    char *name = user_name(uid);
    if (!name || !lg_vec_push(&known->users, name)) {
        free(name);
        return NULL;
    }
    return lg_map_put(&known->by_uid, uid, (uint32_t)known->users.len - 1) ? name : NULL;
}

char *lg_known_user(struct lg_known *known, uid_t uid)
{
    pthread_mutex_lock(&known->lock);
    const char *name = find_user(known, uid);
    char *copy = name ? strdup(name) : NULL;
    pthread_mutex_unlock(&known->lock);
    return copy;
}
