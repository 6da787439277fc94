#include "target/processes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/proc.h"
#include "target/processes_priv.h"
#include "util/error.h"
#include "util/parallel.h"

const char *lg_flavour_name(enum lg_flavour flavour)
{
    static const char *const names[] = {
        [LG_FLAVOUR_NONE] = "none",
        [LG_FLAVOUR_FRAMEWORK] = "framework-dependent",
        [LG_FLAVOUR_SELF_CONTAINED] = "self-contained",
        [LG_FLAVOUR_SINGLE_FILE] = "single-file",
        [LG_FLAVOUR_NATIVEAOT] = "nativeaot",
        [LG_FLAVOUR_MONO] = "mono",
    };
    return names[flavour];
}

void lg_process_problem(struct lg_process *process, const char *format, ...)
{
    va_list args;
    if (process->problem)
        return;
    va_start(args, format);
    if (vasprintf(&process->problem, format, args) < 0)
        process->problem = NULL;
    va_end(args);
}

void lg_process_deinit(struct lg_process *process)
{
    free(process->name);
    free(process->command);
    free(process->user);
    free(process->container);
    free(process->problem);
    free(process->runtime_path);
    free(process->version);
    *process = (struct lg_process){ 0 };
}

void lg_processes_free(struct lg_processes *processes)
{
    for (size_t i = 0; i < processes->all.len; i++)
        lg_process_deinit(&processes->all.at[i]);
    lg_vec_free(&processes->all);
}

static struct lg_process unknown(int pid)
{
    return (struct lg_process){
        .pid = pid, .ns_pid = pid, .start_ticks = -1, .rss = -1, .threads = -1, .uptime_s = -1
    };
}

// Neither a zombie nor a kernel thread, which has no executable and no arguments.
static bool is_program(int dir, const struct lg_process *process)
{
    char state = lg_proc_state(dir, "stat");
    return state != 0 && state != 'Z' && state != 'X' && process->command && *process->command;
}

// `*ret` with flavour NONE and no name: not .NET, or gone. False when out of memory.
static bool look_at(int pid, struct lg_known *known, struct lg_process *ret)
{
    *ret = unknown(pid);
    _cleanup_close_ int dir = lg_proc_open(pid);
    if (dir < 0)
        return true;
    if (!lg_process_find_runtime(dir, ret, known))
        return false;
    if (ret->flavour == LG_FLAVOUR_NONE && !ret->problem)
        return true;
    if (!lg_process_read_facts(dir, ret, known))
        return false;
    bool listed =
        is_program(dir, ret) && (ret->flavour != LG_FLAVOUR_NONE || lg_process_may_be_dotnet(dir, ret));
    if (!listed)
        lg_process_deinit(ret);
    return true;
}

// ---- all of them ----

static int by_rss(const void *a, const void *b)
{
    const struct lg_process *x = a, *y = b;
    return x->rss != y->rss ? (x->rss < y->rss) - (x->rss > y->rss)
                            : (x->pid > y->pid) - (x->pid < y->pid);
}

static void close_dirp(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

struct listing {
    LG_VEC(int) pids;
    struct lg_process *found; // [pids.len]
    struct lg_known known;
    atomic_bool failed; // out of memory
};

static struct lg_error *list_pids(struct listing *listing)
{
    _cleanup_(close_dirp) DIR *proc = opendir("/proc");
    if (!proc)
        return lg_error_os(errno, "open '/proc'");
    const struct dirent *entry;
    while ((entry = readdir(proc))) {
        if (isdigit((unsigned char)entry->d_name[0])
            && !lg_vec_push(&listing->pids, atoi(entry->d_name)))
            return &lg_no_memory;
    }
    return NULL;
}

static void look_at_one(void *data, size_t i, size_t worker)
{
    struct listing *listing = data;
    if (!look_at(listing->pids.at[i], &listing->known, &listing->found[i])) {
        lg_process_deinit(&listing->found[i]);
        atomic_store(&listing->failed, true);
    }
}

static struct lg_error *look_at_all(struct listing *listing, struct lg_processes *ret)
{
    listing->found = calloc(listing->pids.len + 1, sizeof(*listing->found));
    if (!listing->found)
        return &lg_no_memory;
    lg_parallel(listing->pids.len, look_at_one, listing);
    for (size_t i = 0; i < listing->pids.len; i++) {
        if (listing->found[i].name && !lg_vec_push(&ret->all, listing->found[i])) {
            lg_process_deinit(&listing->found[i]);
            atomic_store(&listing->failed, true);
        }
    }
    return atomic_load(&listing->failed) ? &lg_no_memory : NULL;
}

struct lg_error *lg_processes_list(struct lg_processes *ret)
{
    struct listing listing = { 0 };
    struct lg_processes found = { 0 };
    lg_known_init(&listing.known);
    struct lg_error *err = list_pids(&listing);
    if (!err)
        err = look_at_all(&listing, &found);
    lg_known_deinit(&listing.known);
    lg_vec_free(&listing.pids);
    free(listing.found);
    if (err) {
        lg_processes_free(&found);
        return err;
    }
    if (found.all.len)
        qsort(found.all.at, found.all.len, sizeof(*found.all.at), by_rss);
    *ret = found;
    return NULL;
}

// ---- one ----

struct lg_error *lg_process_read(int pid, struct lg_process *ret)
{
    _cleanup_close_ int dir = lg_proc_open(pid);
    if (dir < 0)
        return errno == ENOENT ? lg_error_new(LG_ERR_NOT_FOUND, "no process %d", pid)
                               : lg_error_os(errno, "process %d", pid);
    struct lg_known known;
    struct lg_process process = unknown(pid);
    lg_known_init(&known);
    bool good =
        lg_process_find_runtime(dir, &process, &known) && lg_process_read_facts(dir, &process, &known);
    lg_known_deinit(&known);
    if (!good) {
        lg_process_deinit(&process);
        return &lg_no_memory;
    }
    *ret = process;
    return NULL;
}

// ---- families ----

static size_t index_of(const struct lg_processes *processes, int pid)
{
    for (size_t i = 0; i < processes->all.len; i++) {
        if (processes->all.at[i].pid == pid)
            return i;
    }
    return SIZE_MAX;
}

// Up through parents that are not in the list: shells, `dotnet run`, a container's shim. The bound is
// for numbers that are given anew meanwhile and lead in a circle.
size_t lg_process_parent(const struct lg_processes *processes, size_t i)
{
    enum { GENERATIONS_MAX = 64 };
    int pid = processes->all.at[i].ppid;
    for (int n = 0; n < GENERATIONS_MAX && pid > 0; n++) {
        size_t parent = index_of(processes, pid);
        if (parent != SIZE_MAX)
            return parent == i ? SIZE_MAX : parent;
        _cleanup_close_ int dir = lg_proc_open(pid);
        pid = dir < 0 ? 0 : (int)lg_proc_stat(dir, "stat", 4, 0);
    }
    return SIZE_MAX;
}
