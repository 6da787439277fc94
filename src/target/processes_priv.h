// For processes.c, process_facts.c and process_runtime.c.
#ifndef LG_TARGET_PROCESSES_PRIV_H
#define LG_TARGET_PROCESSES_PRIV_H

#include "target/processes.h"
#include "util/map.h"

// What the executables of one listing are, by device and inode: fifty workers share one.
struct lg_executables {
    struct lg_map by_file;
    LG_VEC(struct lg_executable) all;
};
struct lg_executable {
    enum lg_flavour flavour; // NONE, SINGLE_FILE, NATIVEAOT
    char version[32];        // "" unknown
};
void lg_executables_free(struct lg_executables *executables);

// Sets flavour, runtime path and version of the process whose /proc directory is `dir`. False when out
// of memory. A right that is missing becomes `process->problem`.
bool lg_process_find_runtime(int dir, struct lg_process *process, struct lg_executables *executables);

// All the rest: names, user, numbers. False when out of memory.
bool lg_process_read_facts(int dir, struct lg_process *process);
// Name and command line, of which hidden processes too are known by. False when out of memory.
bool lg_process_read_name(int dir, struct lg_process *process);

// The container's short id in a cgroup file, owned; NULL if there is none.
char *lg_container_id(const char *cgroup);

// Says why something is unknown; the first reason stays.
void lg_process_problem(struct lg_process *process, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

// The version in a build's own string, as people know it: "10.0.1226.42308" is 10.0.12. False if it is
// of another form.
bool lg_version_from_build(unsigned major, unsigned minor, unsigned build, char *ret, size_t size);

#endif
