// For processes.c, process_facts.c and process_runtime.c.
#ifndef LG_TARGET_PROCESSES_PRIV_H
#define LG_TARGET_PROCESSES_PRIV_H

#include <pthread.h>
#include <sys/stat.h>

#include "target/processes.h"
#include "util/map.h"

// What files are, by device and inode, and who users are, for one listing: fifty workers share them.
// Thread-safe.
struct lg_known_file {
    enum lg_flavour flavour; // NONE, SINGLE_FILE, NATIVEAOT; of a libcoreclr.so SELF_CONTAINED or MONO
    char version[32];        // "" unknown
};
struct lg_known {
    pthread_mutex_t lock;
    struct lg_map by_file, by_uid;
    LG_VEC(struct lg_known_file) files;
    LG_VEC(char *) users;
};
void lg_known_init(struct lg_known *known);
void lg_known_deinit(struct lg_known *known);

// What the file `name` of `dir` is, whose stat is `st`; `is_library`: a libcoreclr.so, else an
// executable. False when out of memory.
bool lg_known_file_find(struct lg_known *known, const struct stat *st, int dir, const char *name,
                        bool is_library, struct lg_known_file *ret);
// Its name, or its number; owned. NULL when out of memory.
char *lg_known_user(struct lg_known *known, uid_t uid);

// Sets flavour, runtime path, base and version of the process whose /proc directory is `dir`. False when
// out of memory. A right that is missing becomes `process->problem`.
bool lg_process_find_runtime(int dir, struct lg_process *process, struct lg_known *known);

// All the rest: names, user, numbers. False when out of memory.
bool lg_process_read_facts(int dir, struct lg_process *process, struct lg_known *known);
// Whose maps we may not read could still be .NET, if what everybody may see of it says so.
bool lg_process_may_be_dotnet(int dir, const struct lg_process *process);

// The container's short id in a cgroup file, owned; NULL if there is none.
char *lg_container_id(const char *cgroup);

// Says why something is unknown; the first reason stays.
void lg_process_problem(struct lg_process *process, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

// The version in a build's own string, as people know it: "10.0.1226.42308" is 10.0.12. False if it is
// of another form.
bool lg_version_from_build(unsigned major, unsigned minor, unsigned build, char *ret, size_t size);

#endif
