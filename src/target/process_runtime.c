// Which .NET a process runs, if any.
//
//     maps has …/Microsoft.NETCore.App/x.y.z/libcoreclr.so      framework-dependent, of version x.y.z
//     maps has another libcoreclr.so                            self-contained, or Mono: the file tells
//     its executable says so itself (process_files.c)           single-file, NativeAOT
//     maps has libmonosgen-2.0.so, or it runs mono-sgen         Mono
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "target/proc.h"
#include "target/processes_priv.h"

enum { PIECE = 64 << 10, LINE_LEN = 8192 };

struct library {
    char path[LINE_LEN]; // "" not found
    dev_t device;
    ino_t inode;
    uint64_t base; // Where its first byte is mapped; 0: not seen.
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
    unsigned long long start, offset, inode;
    int path = 0;
    char *slash = strrchr(line, '/');
    bool is_coreclr = slash && strncmp(slash, "/libcoreclr.so", 14) == 0;
    bool is_mono = slash && strncmp(slash, "/libmonosgen-2.0.so", 19) == 0;
    if (!is_coreclr && !is_mono)
        return false;
    if (sscanf(line, "%llx-%*x %*s %llx %x:%x %llu %n", &start, &offset, &device_major, &device_minor,
               &inode, &path)
            != 5
        || path == 0 || (offset != 0 && ret->path[0]))
        return false;
    snprintf(ret->path, sizeof(ret->path), "%s", line + path);
    strip_deleted(ret->path, &ret->is_deleted);
    ret->device = makedev(device_major, device_minor);
    ret->inode = inode;
    ret->is_mono = is_mono;
    ret->base = offset == 0 ? start : 0;
    return is_coreclr && offset == 0;
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

// ---- files ----

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

// Finds what the process sees at `path`, if it still is the file that it has mapped. Not opened: O_PATH.
static int look_at_mapped(int dir, const struct library *library, struct stat *ret)
{
    char path[LINE_LEN + 8];
    snprintf(path, sizeof(path), "root%s", library->path);
    _cleanup_close_ int look = openat(dir, path, O_PATH | O_CLOEXEC);
    // On overlayfs and btrfs the device in maps is not stat's: only the inode is compared.
    if (library->is_deleted || look < 0 || fstat(look, ret) < 0 || !S_ISREG(ret->st_mode)
        || ret->st_ino != library->inode)
        return -1;
    return lg_steal_fd(&look);
}

// ---- the answer ----

static bool set(char **field, const char *value)
{
    *field = strdup(value);
    return *field != NULL;
}

static bool is_mono(struct lg_process *process, const char *path)
{
    process->flavour = LG_FLAVOUR_MONO;
    lg_process_problem(process, "Mono does not tell its version");
    return set(&process->runtime_path, path);
}

// A libcoreclr.so that is not of the shared framework: what its file says.
static bool is_own_library(int dir, struct lg_process *process, const struct library *library,
                           struct lg_known *known)
{
    struct stat st;
    char name[32];
    struct lg_known_file file = { .flavour = LG_FLAVOUR_SELF_CONTAINED };
    _cleanup_close_ int fd = look_at_mapped(dir, library, &st);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    if (fd >= 0 && !lg_known_file_find(known, &st, AT_FDCWD, name, true, &file))
        return false;
    if (file.flavour == LG_FLAVOUR_MONO)
        return is_mono(process, library->path);
    process->flavour = file.flavour;
    if (file.version[0] == '\0')
        lg_process_problem(process, library->is_deleted
                                        ? "its runtime was removed or replaced on disk"
                                        : "no version can be read from its libcoreclr.so");
    return set(&process->runtime_path, library->path)
           && (file.version[0] == '\0' || set(&process->version, file.version));
}

static bool is_library(int dir, struct lg_process *process, const struct library *library,
                       struct lg_known *known)
{
    char version[32];
    if (library->is_mono)
        return is_mono(process, library->path);
    process->runtime_base = library->base;
    if (!version_in_path(library->path, version, sizeof(version)))
        return is_own_library(dir, process, library, known);
    process->flavour = LG_FLAVOUR_FRAMEWORK;
    return set(&process->runtime_path, library->path) && set(&process->version, version);
}

// Where the kernel put the executable: it told the process where the program headers are (getauxval(3)),
// which start behind the ELF header.
static uint64_t executable_base(int dir)
{
    Elf64_auxv_t auxv[64];
    ssize_t n = lg_proc_read(dir, "auxv", (char *)auxv, sizeof(auxv));
    for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*auxv); i++) {
        if (auxv[i].a_type == AT_PHDR)
            return auxv[i].a_un.a_val - sizeof(Elf64_Ehdr);
    }
    return 0;
}

static bool is_executable(int dir, struct lg_process *process, const struct lg_known_file *file)
{
    char path[LINE_LEN];
    bool is_deleted;
    ssize_t n = readlinkat(dir, "exe", path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    strip_deleted(path, &is_deleted);
    process->flavour = file->flavour;
    if (file->flavour == LG_FLAVOUR_SINGLE_FILE)
        process->runtime_base = executable_base(dir);
    if (!file->version[0])
        lg_process_problem(process, file->flavour == LG_FLAVOUR_NATIVEAOT
                                        ? "its executable was stripped of its compiler's version"
                                        : "the DotNetRuntimeInfo of its executable tells no version");
    return (n <= 0 || set(&process->runtime_path, path))
           && (!file->version[0] || set(&process->version, file->version));
}

static bool runs_mono(int dir, struct lg_process *process)
{
    char path[LINE_LEN];
    ssize_t n = readlinkat(dir, "exe", path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    const char *slash = strrchr(path, '/');
    if (!slash || (strcmp(slash, "/mono-sgen") != 0 && strcmp(slash, "/mono") != 0))
        return true;
    return is_mono(process, path);
}

// What the executable says of itself. False when out of memory.
static bool find_in_executable(int dir, struct lg_process *process, struct lg_known *known)
{
    struct stat st;
    struct lg_known_file file = { 0 };
    if (fstatat(dir, "exe", &st, 0) == 0 && S_ISREG(st.st_mode)
        && !lg_known_file_find(known, &st, dir, "exe", false, &file))
        return false;
    return file.flavour == LG_FLAVOUR_NONE ? runs_mono(dir, process)
                                           : is_executable(dir, process, &file);
}

bool lg_process_find_runtime(int dir, struct lg_process *process, struct lg_known *known)
{
    struct library library = { .path = "" };
    if (!scan_maps(dir, &library)) {
        if (errno == EACCES || errno == EPERM)
            lg_process_problem(process,
                               "no right to see what it has mapped: run as its user, as root, or with "
                               "CAP_SYS_PTRACE");
        return true; // Else it is gone.
    }
    return library.path[0] ? is_library(dir, process, &library, known)
                           : find_in_executable(dir, process, known);
}
