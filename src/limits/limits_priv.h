// For the files of src/limits.
#ifndef LG_LIMITS_LIMITS_PRIV_H
#define LG_LIMITS_LIMITS_PRIV_H

#include "limits/limits.h"
#include "util/error.h"

// ---- files.c: small files of a hostile tree ----

enum { LG_FILE_MAX = 1 << 20 };
// All of a regular file, or its first LG_FILE_MAX bytes, with a NUL. `path` is taken within `root`:
// symbolic links do not lead out of it. NULL and errno; else the caller's.
char *lg_file_read(int root, const char *path, size_t *len_ret);
bool lg_file_exists(int root, const char *path); // In the same way; folders too.
// A file that holds one number, or "max", which is LG_UNLIMITED. Unknown and errno (0: it holds
// something else).
struct lg_amount lg_file_amount(int root, const char *path);
// "key:   123 kB" or "key 123" at the start of a line; the number, times 1024 for kB.
struct lg_amount lg_text_amount(const char *text, const char *key);

// ---- environment.c ----

// `key=value` strings, each with its NUL; as /proc/PID/environ has them.
struct lg_environment {
    char *block; // NULL: unknown
    size_t len;
};
// The value, in the block; NULL: not set, or empty, which is the same to the runtime.
const char *lg_environment_get(const struct lg_environment *environment, const char *name);
// From the stack of the first thread, where the kernel put it; `block` stays NULL if it is not there.
LG_MUST_CHECK struct lg_error *lg_environment_from_stack(struct lg_target *target,
                                                         struct lg_environment *ret);

// ---- properties: app_context.c and runtime_config.c ----

struct lg_property {
    const char *name, *value; // Text as the runtime has it: "true", "209715200", "0xC800000".
};
struct lg_properties {
    LG_VEC(struct lg_property) all;
    bool known;
    const char *path;    // Of the file.
    const char *problem; // Why unknown.
};
const char *lg_property_get(const struct lg_properties *properties, const char *name);

// `configProperties` of a runtimeconfig.json. Strings go into `arena`.
LG_MUST_CHECK struct lg_error *
lg_runtime_config_parse(const char *text, size_t len, struct lg_arena *arena, struct lg_properties *ret);
// The path of the file that the app was started with, from its command line and executable, or NULL.
const char *lg_runtime_config_path(const char *args, size_t len, const char *exe,
                                   struct lg_arena *arena);
// Finds and reads it. What goes wrong is ret->problem.
LG_MUST_CHECK struct lg_error *lg_runtime_config_read(const struct lg_limits_place *place,
                                                      struct lg_arena *arena, struct lg_properties *ret);
// What AppContext holds: the properties of the host, and what the program has set since.
LG_MUST_CHECK struct lg_error *lg_app_context_read(struct lg_clr *clr, struct lg_arena *arena,
                                                   struct lg_properties *ret);

// ---- cgroup.c ----

enum lg_cgroup_controller { LG_CGROUP_MEMORY, LG_CGROUP_PIDS, LG_CGROUP_CPU, LG_CGROUP_CONTROLLERS };
// Where one controller's files are: the folder of the process's group is `mount` + `group`, that of its
// parent one name less, up to `mount`, of which nothing is seen that is above it.
struct lg_cgroup {
    unsigned version;          // 1, 2; 0: there is none, or it is mounted nowhere
    const char *mount, *group; // "/sys/fs/cgroup/memory", "/docker/4f24"; "" is the mount itself
};
// `cgroup` and `mountinfo` are files of /proc/PID; for `mountinfo` ours may stand in. Of several mounts
// the one that shows most of the tree is the first (`nth` 0). Strings go to the arena.
LG_MUST_CHECK struct lg_error *lg_cgroup_parse(const char *cgroup, const char *mountinfo,
                                               enum lg_cgroup_controller controller, size_t nth,
                                               struct lg_arena *arena, struct lg_cgroup *ret);

// What the runtime makes of its control groups and the machine.
struct lg_resources {
    struct lg_amount cgroup_memory; // The least limit that it sees; LG_UNLIMITED.
    struct lg_amount physical;      // MemTotal
    struct lg_amount address_space; // ulimit -v
    struct lg_amount affinity;      // Processors that it may run on.
    struct lg_amount quota;         // Thousandths of a processor.
};
LG_MUST_CHECK struct lg_error *lg_cgroup_bounds(const struct lg_limits_place *place,
                                                struct lg_limits *limits,
                                                struct lg_resources *resources);

// ---- bounds.c, system_bounds.c ----

LG_MUST_CHECK struct lg_error *lg_limits_add(struct lg_limits *limits, struct lg_bound bound);
// The ulimits in /proc/PID/limits; "Max open files" is one. Unknown: no such line.
struct lg_amount lg_ulimit_parse(const char *text, const char *name);
LG_MUST_CHECK struct lg_error *lg_process_bounds(const struct lg_limits_place *place,
                                                 struct lg_limits *limits,
                                                 struct lg_resources *resources);
LG_MUST_CHECK struct lg_error *lg_system_bounds(const struct lg_limits_place *place,
                                                struct lg_limits *limits,
                                                struct lg_resources *resources);

// ---- runtime_facts.c ----

// What the runtime's memory tells of its GC.
struct lg_gc_facts {
    bool known;
    bool server, regions;
    uint32_t heap_count;
    int datas;                           // -1 unknown
    struct lg_amount range, region_size; // Address space set aside; a basic region.
    struct lg_amount committed;          // By the GC, in its own count.
    bool has_bgc_thread;                 // A thread ".NET BGC" is there.
    struct lg_amount gc_threads, pinned; // Threads ".NET Server GC", and how many have one processor.
    struct lg_amount huge_pages;         // Bytes in them.
};
LG_MUST_CHECK struct lg_error *lg_gc_facts_read(struct lg_clr *clr, struct lg_gc_facts *ret);
void lg_gc_facts_read_threads(const struct lg_limits_place *place, struct lg_gc_facts *facts);

// ---- settings.c ----

// All that the settings are made of.
struct lg_settings_input {
    bool is_core;
    struct lg_environment environment;
    const char *environment_problem;
    struct lg_properties app_context, runtime_config;
    struct lg_resources resources;
    struct lg_gc_facts facts;
};
LG_MUST_CHECK struct lg_error *lg_settings_evaluate(const struct lg_settings_input *input,
                                                    struct lg_limits *limits);

#endif
