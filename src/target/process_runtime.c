// Which .NET a process runs, if any.
//
//     maps has …/Microsoft.NETCore.App/x.y.z/libcoreclr.so     framework-dependent, of version x.y.z
//     maps has another libcoreclr.so                           self-contained; its file tells the
//     version maps has libmonosgen-2.0.so, or runs mono-sgen           Mono else the executable exports
//     DotNetRuntimeInfo            single-file, with the version in it else it exports
//     DotNetRuntimeDebugHeader                 NativeAOT (reference clr.md A.7, D.8)
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "target/elf_file.h"
#include "target/proc.h"
#include "target/processes_priv.h"
#include "util/reader.h"

enum { PIECE = 64 << 10, LINE_LEN = 8192 };

struct library {
    char path[LINE_LEN]; // "" not found
    dev_t device;
    ino_t inode;
    bool is_deleted, is_mono;
};

// ---- maps ----

static void strip_deleted(char *path, bool *is_deleted)
{
    static const char suffix[] = " (deleted)";
    size_t len = strlen(path), cut = sizeof(suffix) - 1;
    *is_deleted = len > cut && strcmp(path + len - cut, suffix) == 0;
    if (*is_deleted)
        path[len - cut] = '\0';
}

// One line of maps, ended with NUL. True when it settles the question.
static bool look_at_line(char *line, struct library *ret)
{
    unsigned device_major, device_minor;
    unsigned long long inode;
    int path = 0;
    char *slash = strrchr(line, '/');
    bool is_coreclr = slash && strncmp(slash, "/libcoreclr.so", 14) == 0;
    bool is_mono = slash && strncmp(slash, "/libmonosgen-2.0.so", 19) == 0;
    if (!is_coreclr && !is_mono)
        return false;
    if (sscanf(line, "%*x-%*x %*s %*x %x:%x %llu %n", &device_major, &device_minor, &inode, &path) != 3
        || path == 0)
        return false;
    snprintf(ret->path, sizeof(ret->path), "%s", line + path);
    strip_deleted(ret->path, &ret->is_deleted);
    ret->device = makedev(device_major, device_minor);
    ret->inode = inode;
    ret->is_mono = is_mono;
    return is_coreclr;
}

// Looks at all whole lines in `text` and returns how many bytes they take.
static size_t look_at_lines(char *text, size_t len, struct library *ret, bool *found)
{
    size_t done = 0;
    char *newline;
    while (!*found && (newline = memchr(text + done, '\n', len - done))) {
        *newline = '\0';
        *found = look_at_line(text + done, ret);
        done = (size_t)(newline - text) + 1;
    }
    return done;
}

// In pieces: most processes are not .NET, and some have a hundred thousand mappings. False and errno.
static bool scan_maps(int dir, struct library *ret)
{
    char text[PIECE];
    size_t len = 0;
    bool found = false;
    _cleanup_close_ int fd = openat(dir, "maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while (!found) {
        ssize_t n = read(fd, text + len, sizeof(text) - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        len += (size_t)n;
        size_t done = look_at_lines(text, len, ret, &found);
        if (done == 0 && len == sizeof(text))
            done = len; // No path is that long.
        memmove(text, text + done, len - done);
        len -= done;
    }
    return true;
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

// "…/Microsoft.NETCore.App/10.0.12/libcoreclr.so"
static bool version_in_path(const char *path, char *ret, size_t size)
{
    static const char folder[] = "/Microsoft.NETCore.App/";
    const char *at = strstr(path, folder);
    if (!at)
        return false;
    at += sizeof(folder) - 1;
    size_t len = strcspn(at, "/");
    if (len == 0 || len >= size || strcmp(at + len, "/libcoreclr.so") != 0)
        return false;
    memcpy(ret, at, len);
    ret[len] = '\0';
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

// ---- files ----

// Opens what the process sees at `path`, if it still is the file that it has mapped.
static int open_mapped(int dir, const struct library *library)
{
    struct stat st;
    char self[32], path[LINE_LEN + 8];
    snprintf(path, sizeof(path), "root%s", library->path);
    _cleanup_close_ int look = openat(dir, path, O_PATH | O_CLOEXEC);
    // On overlayfs and btrfs the device in maps is not stat's: only the inode is compared.
    if (library->is_deleted || look < 0 || fstat(look, &st) < 0 || !S_ISREG(st.st_mode)
        || st.st_ino != library->inode)
        return -1;
    snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
    return open(self, O_RDONLY | O_CLOEXEC);
}

static void classify(int fd, uint64_t size, struct lg_executable *ret)
{
    struct lg_elf_file file;
    struct lg_image image;
    uint64_t address, symbol_size;
    if (!lg_elf_file_open(fd, size, "exe", &file))
        return;
    struct lg_error *err = lg_image_open(&file.target, "exe", file.image.base, &image);
    lg_error_free(err);
    if (!err && lg_image_symbol(&image, "DotNetRuntimeInfo", &address, &symbol_size)) {
        ret->flavour = LG_FLAVOUR_SINGLE_FILE;
        if (!version_in_info(&file.target, address, ret->version, sizeof(ret->version)))
            ret->version[0] = '\0';
    } else if (!err && lg_image_symbol(&image, "DotNetRuntimeDebugHeader", &address, &symbol_size)
               && !lg_image_symbol(&image, "g_dacTable", &address, &symbol_size)) {
        ret->flavour = LG_FLAVOUR_NATIVEAOT;
    }
    lg_elf_file_close(&file);
}

void lg_executables_free(struct lg_executables *executables)
{
    lg_map_free(&executables->by_file);
    lg_vec_free(&executables->all);
}

// What the executable of the process is: looked up, or looked at once. False when out of memory.
static bool find_executable(int dir, struct lg_executables *executables, struct lg_executable *ret)
{
    struct stat st;
    uint32_t i;
    *ret = (struct lg_executable){ 0 };
    if (fstatat(dir, "exe", &st, 0) < 0 || !S_ISREG(st.st_mode))
        return true;
    uint64_t key = lg_hash64(st.st_dev) ^ st.st_ino;
    if (!lg_map_get(&executables->by_file, key, &i)) {
        i = (uint32_t)executables->all.len;
        _cleanup_close_ int fd = openat(dir, "exe", O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            classify(fd, (uint64_t)st.st_size, ret);
        if (!lg_vec_push(&executables->all, *ret) || !lg_map_put(&executables->by_file, key, i))
            return false;
    }
    *ret = executables->all.at[i];
    return true;
}

// ---- the answer ----

static bool set(char **field, const char *value)
{
    *field = strdup(value);
    return *field != NULL;
}

static bool is_library(int dir, struct lg_process *process, const struct library *library)
{
    char version[32] = "";
    if (!set(&process->runtime_path, library->path))
        return false;
    if (library->is_mono) {
        process->flavour = LG_FLAVOUR_MONO;
        lg_process_problem(process, "Mono does not tell its version");
        return true;
    }
    bool is_shared = version_in_path(library->path, version, sizeof(version));
    process->flavour = is_shared ? LG_FLAVOUR_FRAMEWORK : LG_FLAVOUR_SELF_CONTAINED;
    _cleanup_close_ int fd = is_shared ? -1 : open_mapped(dir, library);
    if (fd >= 0 && !version_in_file(fd, version, sizeof(version)))
        version[0] = '\0';
    if (version[0] == '\0')
        lg_process_problem(process, library->is_deleted
                                        ? "its runtime was removed or replaced on disk: no version"
                                        : "no version can be read from its libcoreclr.so");
    return version[0] == '\0' || set(&process->version, version);
}

static bool is_executable(int dir, struct lg_process *process, const struct lg_executable *executable)
{
    char path[LINE_LEN];
    bool is_deleted;
    if (executable->flavour == LG_FLAVOUR_NONE)
        return true;
    process->flavour = executable->flavour;
    ssize_t n = readlinkat(dir, "exe", path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    strip_deleted(path, &is_deleted);
    if (n > 0 && !set(&process->runtime_path, path))
        return false;
    if (executable->flavour == LG_FLAVOUR_NATIVEAOT)
        lg_process_problem(process, "NativeAOT programs do not tell their version");
    else if (!executable->version[0])
        lg_process_problem(process, "the DotNetRuntimeInfo of its executable tells no version");
    return !executable->version[0] || set(&process->version, executable->version);
}

static bool is_mono(int dir, struct lg_process *process)
{
    char path[LINE_LEN];
    ssize_t n = readlinkat(dir, "exe", path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    const char *slash = strrchr(path, '/');
    if (!slash || (strcmp(slash, "/mono-sgen") != 0 && strcmp(slash, "/mono") != 0))
        return true;
    process->flavour = LG_FLAVOUR_MONO;
    lg_process_problem(process, "Mono does not tell its version");
    return set(&process->runtime_path, path);
}

bool lg_process_find_runtime(int dir, struct lg_process *process, struct lg_executables *executables)
{
    struct library library = { .path = "" };
    struct lg_executable executable;
    if (!scan_maps(dir, &library)) {
        if (errno == EACCES || errno == EPERM)
            lg_process_problem(process,
                               "no right to see what it has mapped: run as its user, as root, or with "
                               "CAP_SYS_PTRACE");
        return true; // Else it is gone.
    }
    if (library.path[0])
        return is_library(dir, process, &library);
    if (!find_executable(dir, executables, &executable) || !is_executable(dir, process, &executable))
        return false;
    return process->flavour != LG_FLAVOUR_NONE || is_mono(dir, process);
}
