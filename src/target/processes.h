// The processes of this machine, from /proc alone.
#ifndef LG_TARGET_PROCESSES_H
#define LG_TARGET_PROCESSES_H

#include "target/target.h"

enum lg_flavour {
    LG_FLAVOUR_NONE,
    LG_FLAVOUR_FRAMEWORK,
    LG_FLAVOUR_SELF_CONTAINED,
    LG_FLAVOUR_SINGLE_FILE,
    LG_FLAVOUR_NATIVEAOT,
    LG_FLAVOUR_MONO
};

// One process. Strings are owned; NULL is unknown, and `problem` then says why. Numbers below 0 are
// unknown.
struct lg_process {
    int pid, ns_pid;
    int ppid;            // of its parent, 0: none that is visible
    int64_t start_ticks; // since boot; with `pid` it is the process, whoever has the number later
    char *name, *command, *user, *container, *problem;
    char *runtime_path;    // The file that holds the runtime: libcoreclr.so, or the executable itself.
    uint64_t runtime_base; // Where that file's first byte is mapped; 0: not known.
    char *version;         // "10.0.12", as far as files and paths tell
    enum lg_flavour flavour;
    int64_t rss, threads; // bytes; count
    double uptime_s;
};

struct lg_processes {
    LG_VEC(struct lg_process) all;
};

// Every .NET process that /proc shows, of all PID and mount namespaces, largest RSS first. Zombies and
// kernel threads are passed over. Of those that may not be looked into, the ones whose names, threads or
// diagnostics sockets give them away. On all processors.
LG_MUST_CHECK struct lg_error *lg_processes_list(struct lg_processes *ret);
// Fills `ret` for one PID whatever it runs; `flavour` is NONE if it is not .NET.
LG_MUST_CHECK struct lg_error *lg_process_read(int pid, struct lg_process *ret);
void lg_process_deinit(struct lg_process *process);
void lg_processes_free(struct lg_processes *processes); // frees the contents only
// The app in a command line of the host, whose words end in NULs: app.dll in "dotnet exec --depsfile x
// app.dll arg"; in "dotnet build x.dll" there is none (NULL).
const char *lg_dotnet_app(const char *args, size_t len);
// The nearest of its parents that is in the list, by its index; SIZE_MAX: none.
size_t lg_process_parent(const struct lg_processes *processes, size_t i);
const char *lg_flavour_name(enum lg_flavour flavour); // as output.md spells it

#endif
