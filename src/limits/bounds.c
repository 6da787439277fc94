// The bounds of one process: its ulimits, and how much of each it uses.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "limits/limits_priv.h"
#include "target/proc.h"

struct lg_error *lg_limits_add(struct lg_limits *limits, struct lg_bound bound)
{
    return lg_vec_push(&limits->bounds, bound) ? NULL : &lg_no_memory;
}

struct lg_amount lg_bound_headroom(const struct lg_bound *bound)
{
    if (bound->limit.kind != LG_KNOWN)
        return (struct lg_amount){ bound->limit.kind };
    if (bound->current.kind != LG_KNOWN)
        return (struct lg_amount){ LG_UNKNOWN };
    return lg_amount(
        bound->limit.value > bound->current.value ? bound->limit.value - bound->current.value : 0);
}

// "Max open files            1024                 1048576              files"
struct lg_amount lg_ulimit_parse(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) != 0 || line[len] != ' ')
            continue;
        const char *value = line + len + strspn(line + len, " ");
        if (strncmp(value, "unlimited", 9) == 0)
            return (struct lg_amount){ LG_UNLIMITED };
        char *end;
        errno = 0;
        uint64_t number = *value >= '0' && *value <= '9' ? strtoull(value, &end, 10) : 0;
        bool good = *value >= '0' && *value <= '9' && errno == 0 && *end == ' ';
        return good ? lg_amount(number) : (struct lg_amount){ LG_UNKNOWN };
    }
    return (struct lg_amount){ LG_UNKNOWN };
}

// ---- how much is used ----

static void close_dirp(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

// Entries of a folder but "." and ".."; unknown and errno.
static struct lg_amount count_entries(int dir, const char *name)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(close_dirp) DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries)
        return (struct lg_amount){ LG_UNKNOWN };
    fd = -1;
    uint64_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(entries)))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    return lg_amount(count);
}

static struct lg_amount count_lines(int dir, const char *name)
{
    size_t len;
    _cleanup_free_ char *text = lg_proc_read_all(dir, name, &len);
    if (!text)
        return (struct lg_amount){ LG_UNKNOWN };
    uint64_t count = 0;
    for (const char *at = text; (at = memchr(at, '\n', len - (size_t)(at - text))); at++)
        count++;
    return lg_amount(count);
}

// Threads of all processes of one real user, as RLIMIT_NPROC counts them.
static struct lg_amount count_user_threads(const struct lg_limits_place *place, int64_t uid)
{
    _cleanup_close_ int fd = openat(place->root, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int again = fd < 0 ? -1 : dup(fd);
    _cleanup_(close_dirp) DIR *proc = again < 0 ? NULL : fdopendir(again);
    const struct dirent *entry;
    uint64_t count = 0;
    while (proc && (entry = readdir(proc))) {
        char path[300], status[LG_PROC_TEXT];
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof(path), "%s/status", entry->d_name);
        if (lg_proc_read(fd, path, status, sizeof(status)) > 0
            && lg_proc_field(status, "Uid", -1) == uid)
            count += (uint64_t)lg_proc_field(status, "Threads", 0);
    }
    return proc ? lg_amount(count) : (struct lg_amount){ LG_UNKNOWN };
}

// ---- rows ----

struct process {
    const struct lg_limits_place *place;
    struct lg_limits *limits;
    char status[LG_PROC_TEXT];
    char *ulimits;
};

static struct lg_error *add_ulimit(struct process *process, const char *line, struct lg_bound bound)
{
    bound.limit = lg_ulimit_parse(process->ulimits, line);
    if (bound.limit.kind == LG_UNKNOWN)
        bound.problem = "/proc/PID/limits does not tell";
    else if (bound.current.kind == LG_UNKNOWN && !bound.problem)
        bound.problem = "/proc/PID/status does not tell how much is used";
    return lg_limits_add(process->limits, bound);
}

static struct lg_error *add_memory_ulimits(struct process *process)
{
    static const struct {
        const char *line, *name, *where, *key, *effect;
        unsigned flags;
    } rows[] = {
        { "Max address space", "address space", "ulimit -v", "VmSize", "mapping memory fails",
          LG_BOUND_BYTES },
        { "Max data size", "data", "ulimit -d", "VmData", "mapping private memory fails",
          LG_BOUND_BYTES | LG_BOUND_GROWTH },
        { "Max stack size", "stack", "ulimit -s", "VmStk",
          "the first thread gets SIGSEGV; other threads' stacks are mapped with this size",
          LG_BOUND_BYTES },
        { "Max locked memory", "locked memory", "ulimit -l", "VmLck", "mlock fails", LG_BOUND_BYTES },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct lg_bound bound = { rows[i].name, rows[i].where, rows[i].flags };
        bound.current = lg_text_amount(process->status, rows[i].key);
        bound.effect = rows[i].effect;
        struct lg_error *err = add_ulimit(process, rows[i].line, bound);
        if (err)
            return err;
    }
    return NULL;
}

static struct lg_error *add_files(struct process *process)
{
    struct lg_bound bound = { "open files", "ulimit -n" };
    bound.current = count_entries(process->place->proc, "fd");
    if (bound.current.kind == LG_UNKNOWN)
        bound.problem = lg_arena_format(&process->limits->arena, "/proc/PID/fd: %m");
    bound.effect = "opening a file or socket fails";
    return add_ulimit(process, "Max open files", bound);
}

// CAP_SYS_RESOURCE (24) and CAP_SYS_ADMIN (21) are above it, and user 0 too (torvalds/linux
// kernel/fork.c @00c65c8, copy_process).
static bool is_above_nproc(const char *status, int64_t uid)
{
    const char *line = strstr(status, "\nCapEff:\t");
    uint64_t caps = line ? strtoull(line + 9, NULL, 16) : 0;
    return uid == 0 || (caps & (UINT64_C(1) << 24 | UINT64_C(1) << 21));
}

static struct lg_error *add_threads(struct process *process)
{
    int64_t uid = lg_proc_field(process->status, "Uid", -1);
    struct lg_bound bound = { "threads of the user", "ulimit -u" };
    bound.current = uid < 0 ? (struct lg_amount){ LG_UNKNOWN } : count_user_threads(process->place, uid);
    bound.effect = "starting a thread or process fails";
    if (is_above_nproc(process->status, uid)) {
        bound.effect = "nothing: root, and who has CAP_SYS_RESOURCE, is above it";
        bound.flags |= LG_BOUND_ADVICE;
    }
    return add_ulimit(process, "Max processes", bound);
}

static struct lg_error *add_core(struct process *process)
{
    struct lg_bound bound = { "core file", "ulimit -c", LG_BOUND_BYTES | LG_BOUND_ADVICE };
    bound.problem = "nothing is used of it until a core is written";
    bound.effect = "a core is cut there; 0: none is written (a pipe in core_pattern is above it)";
    return add_ulimit(process, "Max core file size", bound);
}

static struct lg_error *add_mappings(struct process *process)
{
    struct lg_bound bound = { "mappings", "vm.max_map_count" };
    bound.limit = lg_file_amount(process->place->root, "proc/sys/vm/max_map_count");
    if (bound.limit.kind == LG_UNKNOWN)
        bound.problem = lg_arena_format(&process->limits->arena, "/proc/sys/vm/max_map_count: %m");
    bound.current = count_lines(process->place->proc, "maps");
    if (bound.current.kind == LG_UNKNOWN)
        bound.problem = lg_arena_format(&process->limits->arena, "/proc/PID/maps: %m");
    bound.effect = "mapping memory, or changing its protection, fails";
    return lg_limits_add(process->limits, bound);
}

static void read_affinity(const char *status, struct lg_resources *resources)
{
    const char *line = strstr(status, "\nCpus_allowed:\t");
    if (!line)
        return;
    uint64_t count = 0;
    for (const char *c = line + strlen("\nCpus_allowed:\t"); *c && *c != '\n'; c++) {
        int digit = *c >= '0' && *c <= '9' ? *c - '0' : *c >= 'a' && *c <= 'f' ? *c - 'a' + 10 : 0;
        count += (unsigned)__builtin_popcount((unsigned)digit);
    }
    if (count > 0)
        resources->affinity = lg_amount(count);
}

static void process_deinit(struct process *process)
{
    free(process->ulimits);
}

struct lg_error *lg_process_bounds(const struct lg_limits_place *place, struct lg_limits *limits,
                                   struct lg_resources *resources)
{
    size_t len;
    _cleanup_(process_deinit) struct process process = { .place = place, .limits = limits };
    process.ulimits = lg_proc_read_all(place->proc, "limits", &len);
    if (!process.ulimits && !(process.ulimits = strdup("")))
        return &lg_no_memory;
    lg_proc_read(place->proc, "status", process.status, sizeof(process.status));
    read_affinity(process.status, resources);
    resources->address_space = lg_ulimit_parse(process.ulimits, "Max address space");
    static struct lg_error *(*const rows[])(struct process *) = {
        add_memory_ulimits, add_files, add_threads, add_mappings, add_core,
    };
    struct lg_error *err = NULL;
    for (size_t i = 0; !err && i < sizeof(rows) / sizeof(*rows); i++)
        err = rows[i](&process);
    return err;
}
