// Control groups, of both versions, up the tree.
//
//     /proc/PID/cgroup       "4:memory:/docker/4f24" (v1, a line for each hierarchy)   "0::/docker/4f24"
//     (v2) /proc/PID/mountinfo    "34 30 0:31 ROOT MOUNT rw - cgroup cgroup rw,memory"      "… - cgroup2
//     …"
//
// The files of a group lie in MOUNT plus the group's path without ROOT. Both files are as the reader
// sees them, so group and ROOT fit together; MOUNT of our own mountinfo is our own folder, and with it
// the tree goes up to the machine's root; with the target's mountinfo, up to its container's.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "limits/limits_priv.h"
#include "target/proc.h"

enum { LEVELS_MAX = 64, PATH_LEN = 4096, MOUNTS_MAX = 8 };

// No limit in v1 is the largest multiple of a page; the runtime takes anything from here on for it
// (dotnet/runtime src/coreclr/gc/unix/cgroup.cpp @0204545).
#define NO_LIMIT UINT64_C(0x7fffffff00000000)

// ---- parsing ----

// Is `name` one of the words of a list with commas?
static bool has_word(const char *list, size_t len, const char *name)
{
    size_t name_len = strlen(name);
    for (const char *end = list + len; list < end;) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        size_t n = (size_t)((comma ? comma : end) - list);
        if (n == name_len && memcmp(list, name, n) == 0)
            return true;
        list += n + 1;
    }
    return false;
}

static const char *controller_name(enum lg_cgroup_controller controller)
{
    static const char *const names[] = { "memory", "pids", "cpu" };
    return names[controller];
}

// The next line of `*text`, which moves behind it; false at the end.
static bool next_line(const char **text, const char **line, size_t *len)
{
    if (!**text)
        return false;
    *line = *text;
    *len = strcspn(*text, "\n");
    *text += *len + ((*text)[*len] == '\n');
    return true;
}

// The path of the group that the controller has the process in, and its version; NULL: none.
static const char *find_group(const char *cgroup, const char *controller, struct lg_arena *arena,
                              unsigned *version_ret)
{
    const char *line, *found = NULL;
    size_t len, found_len = 0;
    *version_ret = 0;
    while (next_line(&cgroup, &line, &len)) {
        const char *first = memchr(line, ':', len);
        const char *second = first ? memchr(first + 1, ':', len - (size_t)(first + 1 - line)) : NULL;
        if (!second)
            continue;
        size_t list_len = (size_t)(second - first) - 1;
        bool is_v2 = list_len == 0 && first == line + 1 && *line == '0';
        if (!is_v2 && !has_word(first + 1, list_len, controller))
            continue;
        if (is_v2 && *version_ret == 1)
            continue; // Hybrid: the controller is in a hierarchy of its own.
        *version_ret = is_v2 ? 2 : 1;
        found = second + 1;
        found_len = len - (size_t)(found - line);
    }
    return found ? lg_arena_copy(arena, found, found_len) : NULL;
}

// Field `n` from 0 of a line whose fields are parted by blanks; NULL: it has fewer.
static const char *field(const char *line, size_t len, unsigned n, size_t *field_len)
{
    const char *end = line + len;
    for (unsigned i = 0; line < end; i++) {
        const char *blank = memchr(line, ' ', (size_t)(end - line));
        *field_len = (size_t)((blank ? blank : end) - line);
        if (i == n)
            return line;
        line += *field_len + 1;
    }
    return NULL;
}

// \040 and its like are blanks, tabs, line ends and backslashes in a path of mountinfo.
static char *unescape(const char *s, size_t len, struct lg_arena *arena)
{
    char *copy = lg_arena_copy(arena, s, len);
    size_t n = 0;
    for (size_t i = 0; copy && i < len; n++) {
        bool octal = copy[i] == '\\' && i + 3 < len && strspn(copy + i + 1, "01234567") >= 3;
        copy[n] = octal ? (char)((copy[i + 1] - '0') * 64 + (copy[i + 2] - '0') * 8 + copy[i + 3] - '0')
                        : copy[i];
        i += octal ? 4 : 1;
    }
    if (copy)
        copy[n] = '\0';
    return copy;
}

struct mount {
    const char *root, *at;
};

// Is this a line of the hierarchy that has the controller?
static bool is_hierarchy(const char *line, size_t len, unsigned version, const char *controller)
{
    const char *dash = memmem(line, len, " - ", 3);
    size_t type_len = 0, options_len = 0, left = dash ? len - (size_t)(dash + 3 - line) : 0;
    const char *type = dash ? field(dash + 3, left, 0, &type_len) : NULL;
    const char *options = dash ? field(dash + 3, left, 2, &options_len) : NULL;
    if (!type || !options)
        return false;
    if (version == 2)
        return type_len == 7 && memcmp(type, "cgroup2", 7) == 0;
    return type_len == 6 && memcmp(type, "cgroup", 6) == 0 && has_word(options, options_len, controller);
}

static bool is_prefix(const char *root, const char *group)
{
    size_t len = strlen(root);
    return strcmp(root, "/") == 0
           || (strncmp(root, group, len) == 0 && (group[len] == '/' || group[len] == '\0'));
}

// Mounts that show the group, the one with most of the tree above it first. One may hide another, so
// there are several to try.
struct mounts {
    struct mount at[MOUNTS_MAX];
    size_t count;
};

static void insert(struct mounts *mounts, struct mount mount)
{
    size_t i = mounts->count < MOUNTS_MAX ? mounts->count++ : MOUNTS_MAX - 1;
    for (; i > 0 && strlen(mounts->at[i - 1].root) > strlen(mount.root); i--)
        mounts->at[i] = mounts->at[i - 1];
    mounts->at[i] = mount;
}

// False when out of memory.
static bool find_mounts(const char *mountinfo, const char *group, unsigned version,
                        const char *controller, struct lg_arena *arena, struct mounts *ret)
{
    const char *line;
    size_t len;
    while (next_line(&mountinfo, &line, &len)) {
        size_t root_len, at_len;
        const char *root = field(line, len, 3, &root_len), *at = field(line, len, 4, &at_len);
        if (!root || !at || !is_hierarchy(line, len, version, controller))
            continue;
        struct mount mount = { unescape(root, root_len, arena), unescape(at, at_len, arena) };
        if (!mount.root || !mount.at)
            return false;
        if (is_prefix(mount.root, group))
            insert(ret, mount);
    }
    return true;
}

// A group outside of the reader's own cgroup namespace is "/../…": no folder of ours is its.
static bool is_plain(const char *group)
{
    return *group == '/' && !strstr(group, "/../") && strcmp(group, "/..") != 0
           && strlen(group) < PATH_LEN / 2;
}

struct lg_error *lg_cgroup_parse(const char *cgroup, const char *mountinfo,
                                 enum lg_cgroup_controller controller, size_t nth,
                                 struct lg_arena *arena, struct lg_cgroup *ret)
{
    unsigned version;
    const char *name = controller_name(controller);
    const char *group = find_group(cgroup, name, arena, &version);
    struct mounts mounts = { .count = 0 };
    *ret = (struct lg_cgroup){ .version = 0 };
    if (!group)
        return version ? &lg_no_memory : NULL;
    if (!is_plain(group))
        return NULL;
    if (!find_mounts(mountinfo, group, version, name, arena, &mounts))
        return &lg_no_memory;
    if (nth >= mounts.count)
        return NULL;
    struct mount mount = mounts.at[nth];
    size_t skip = strcmp(mount.root, "/") == 0 ? 0 : strlen(mount.root);
    *ret = (struct lg_cgroup){ version, mount.at, group + skip };
    if (strcmp(ret->group, "/") == 0)
        ret->group = "";
    return NULL;
}

// ---- reading up the tree ----

struct walk {
    const struct lg_limits_place *place;
    int root; // Where `cgroup.mount` is a path.
    struct lg_cgroup cgroup;
    struct lg_limits *limits;
    bool is_hidden;       // There is such a group, but its folder is not where it should be.
    char group[PATH_LEN]; // Of this level; "" is the mount.
};

static struct lg_amount read_amount(const struct walk *walk, const char *file)
{
    char path[2 * PATH_LEN];
    snprintf(path, sizeof(path), "%s%s/%s", walk->cgroup.mount, walk->group, file);
    return lg_file_amount(walk->root, path);
}

// A limit of v1 that is none says so.
static struct lg_amount read_limit(const struct walk *walk, const char *file)
{
    struct lg_amount limit = read_amount(walk, file);
    return limit.kind == LG_KNOWN && walk->cgroup.version == 1 && limit.value > NO_LIMIT
               ? (struct lg_amount){ LG_UNLIMITED }
               : limit;
}

// Is the group's folder there, or is something else mounted in its place?
static bool is_there(const struct walk *walk)
{
    char path[2 * PATH_LEN];
    snprintf(path, sizeof(path), "%s%s/cgroup.procs", walk->cgroup.mount, walk->group);
    return lg_file_exists(walk->root, path);
}

static bool go_up(struct walk *walk)
{
    char *slash = strrchr(walk->group, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

// What the group uses and the kernel would not just take back: without the file pages that nobody has
// used for long, as the runtime and container tools count.
static struct lg_amount read_memory_usage(const struct walk *walk)
{
    bool v1 = walk->cgroup.version == 1;
    struct lg_amount usage = read_amount(walk, v1 ? "memory.usage_in_bytes" : "memory.current");
    char path[2 * PATH_LEN];
    size_t len;
    snprintf(path, sizeof(path), "%s%s/memory.stat", walk->cgroup.mount, walk->group);
    _cleanup_free_ char *stat = lg_file_read(walk->root, path, &len);
    if (usage.kind != LG_KNOWN || !stat)
        return usage;
    struct lg_amount inactive = lg_text_amount(stat, v1 ? "total_inactive_file" : "inactive_file");
    if (inactive.kind == LG_KNOWN)
        usage.value -= inactive.value < usage.value ? inactive.value : usage.value;
    return usage;
}

static struct lg_error *add_bound(struct walk *walk, struct lg_bound bound, const char *file)
{
    struct lg_arena *arena = &walk->limits->arena;
    bound.where = lg_arena_format(arena, "%s %s", *walk->group ? walk->group : "/", file);
    if (!bound.where)
        return &lg_no_memory;
    if (bound.limit.kind == LG_UNKNOWN)
        bound.problem = "the group's files cannot be read";
    else if (bound.current.kind == LG_UNKNOWN)
        bound.problem = "the group does not tell what it uses";
    return lg_limits_add(walk->limits, bound);
}

static struct lg_error *add_memory_level(struct walk *walk, bool even_unlimited)
{
    bool v1 = walk->cgroup.version == 1;
    const char *file = v1 ? "memory.limit_in_bytes" : "memory.max";
    const char *high_file = v1 ? "memory.soft_limit_in_bytes" : "memory.high";
    const char *swap_file = v1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max";
    struct lg_amount usage = read_memory_usage(walk), limit = read_limit(walk, file);
    // The root of v2, and a group without the controller, have no such file.
    if (limit.kind == LG_UNKNOWN && errno == ENOENT && is_there(walk))
        limit.kind = LG_UNLIMITED;
    struct lg_bound memory = { "cgroup memory", NULL, LG_BOUND_BYTES | LG_BOUND_GROWTH,         limit,
                               usage,           NULL, "the kernel kills a process of the group" };
    struct lg_bound high = { "cgroup memory high",
                             NULL,
                             LG_BOUND_BYTES | LG_BOUND_ADVICE,
                             read_limit(walk, high_file),
                             usage,
                             NULL,
                             v1 ? "memory is taken back when the machine has little"
                                : "memory is taken back, and the group slowed down" };
    struct lg_bound swap = {
        v1 ? "cgroup memory+swap" : "cgroup swap",
        NULL,
        LG_BOUND_BYTES,
        read_limit(walk, swap_file),
        read_amount(walk, v1 ? "memory.memsw.usage_in_bytes" : "memory.swap.current"),
        NULL,
        v1 ? "the kernel kills a process of the group" : "nothing more is swapped out"
    };
    struct lg_error *err = NULL;
    if (memory.limit.kind == LG_KNOWN || even_unlimited)
        err = add_bound(walk, memory, file);
    if (!err && high.limit.kind == LG_KNOWN)
        err = add_bound(walk, high, high_file);
    if (!err && swap.limit.kind == LG_KNOWN)
        err = add_bound(walk, swap, swap_file);
    return err;
}

static struct lg_error *add_pids_level(struct walk *walk, bool even_unlimited)
{
    struct lg_bound pids = { "cgroup threads",
                             NULL,
                             0,
                             read_limit(walk, "pids.max"),
                             read_amount(walk, "pids.current"),
                             NULL,
                             "no further thread or process can be started in the group" };
    return pids.limit.kind == LG_KNOWN ? add_bound(walk, pids, "pids.max") : NULL;
}

static bool has_limit(const struct lg_limits *limits, size_t from)
{
    for (size_t i = from; i < limits->bounds.len; i++) {
        if (limits->bounds.at[i].limit.kind == LG_KNOWN)
            return true;
    }
    return false;
}

// Every level that has a limit; if none has, the lowest that could, so that its usage is there.
static struct lg_error *walk_up(struct walk *walk,
                                struct lg_error *(*add)(struct walk *walk, bool even_unlimited))
{
    size_t before = walk->limits->bounds.len;
    snprintf(walk->group, sizeof(walk->group), "%s", walk->cgroup.group);
    for (unsigned n = 0; n < LEVELS_MAX; n++) {
        struct lg_error *err = add(walk, false);
        if (err)
            return err;
        if (!go_up(walk))
            break;
    }
    if (has_limit(walk->limits, before))
        return NULL;
    snprintf(walk->group, sizeof(walk->group), "%s", walk->cgroup.group);
    return add(walk, true);
}

// ---- what the runtime sees of it ----

static void at_most(struct lg_amount *amount, struct lg_amount other)
{
    if (other.kind == LG_KNOWN && (amount->kind != LG_KNOWN || other.value < amount->value))
        *amount = other;
}

// In v1 the kernel says what holds in the end, whatever the container sees of the tree.
static struct lg_amount hierarchical_limit(const struct walk *walk)
{
    char path[2 * PATH_LEN];
    size_t len;
    snprintf(path, sizeof(path), "%s%s/memory.stat", walk->cgroup.mount, walk->group);
    _cleanup_free_ char *stat = lg_file_read(walk->root, path, &len);
    struct lg_amount limit = { LG_UNKNOWN };
    if (stat)
        limit = lg_text_amount(stat, "hierarchical_memory_limit");
    return limit.kind == LG_KNOWN && limit.value > NO_LIMIT ? (struct lg_amount){ LG_UNLIMITED } : limit;
}

// In v2 the runtime goes up to its own mount.
static struct lg_amount runtime_limit(struct walk *walk)
{
    struct lg_amount least = { LG_UNLIMITED };
    snprintf(walk->group, sizeof(walk->group), "%s", walk->cgroup.group);
    if (walk->cgroup.version == 1)
        return hierarchical_limit(walk);
    for (unsigned n = 0; n < LEVELS_MAX; n++) {
        at_most(&least, read_limit(walk, "memory.max"));
        if (!go_up(walk))
            break;
    }
    return least;
}

// Thousandths of a processor, rounded up.
static struct lg_amount quota_of(uint64_t quota, uint64_t period)
{
    if (period == 0 || quota > UINT64_MAX / 1000)
        return (struct lg_amount){ LG_UNKNOWN };
    return lg_amount((quota * 1000 + period - 1) / period);
}

static struct lg_amount read_quota(const struct walk *walk)
{
    if (walk->cgroup.version == 1) {
        // -1, which is no number here, is no quota.
        struct lg_amount quota = read_amount(walk, "cpu.cfs_quota_us");
        struct lg_amount period = read_amount(walk, "cpu.cfs_period_us");
        return quota.kind == LG_KNOWN && period.kind == LG_KNOWN ? quota_of(quota.value, period.value)
                                                                 : (struct lg_amount){ LG_UNLIMITED };
    }
    char path[2 * PATH_LEN];
    size_t len;
    uint64_t quota, period;
    snprintf(path, sizeof(path), "%s%s/cpu.max", walk->cgroup.mount, walk->group);
    _cleanup_free_ char *text = lg_file_read(walk->root, path, &len);
    if (!text || sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) != 2)
        return (struct lg_amount){ LG_UNLIMITED };
    return quota_of(quota, period);
}

static struct lg_amount least_quota(struct walk *walk)
{
    struct lg_amount least = { LG_UNLIMITED };
    snprintf(walk->group, sizeof(walk->group), "%s", walk->cgroup.group);
    for (unsigned n = 0; n < LEVELS_MAX; n++) {
        at_most(&least, read_quota(walk));
        if (walk->cgroup.version == 1 || !go_up(walk))
            break; // In v1 the runtime looks at its own group only.
    }
    return least;
}

// ---- all of it ----

struct files {
    char *cgroup, *ours, *theirs;
};

static void files_deinit(struct files *files)
{
    free(files->cgroup);
    free(files->ours);
    free(files->theirs);
}

static struct lg_error *find(const struct files *files, enum lg_cgroup_controller controller,
                             bool theirs, struct walk *walk)
{
    const char *mountinfo = theirs ? files->theirs : files->ours;
    walk->cgroup.version = 0;
    for (size_t nth = 0; mountinfo && nth < MOUNTS_MAX; nth++) {
        struct lg_error *err = lg_cgroup_parse(files->cgroup, mountinfo, controller, nth,
                                               &walk->limits->arena, &walk->cgroup);
        if (err || !walk->cgroup.version)
            return err;
        snprintf(walk->group, sizeof(walk->group), "%s", walk->cgroup.group);
        walk->is_hidden = !is_there(walk);
        if (!walk->is_hidden)
            return NULL;
    }
    walk->cgroup.version = 0;
    return NULL;
}

// Our own mounts lead furthest up; where we have none of the hierarchy, the target's do.
static struct lg_error *find_widest(const struct files *files, enum lg_cgroup_controller controller,
                                    int theirs_root, struct walk *walk)
{
    walk->is_hidden = false;
    walk->root = walk->place->root;
    struct lg_error *err = find(files, controller, false, walk);
    if (err || walk->cgroup.version || theirs_root < 0)
        return err;
    walk->root = theirs_root;
    return find(files, controller, true, walk);
}

static struct lg_amount none_or_unknown(const struct walk *walk)
{
    return (struct lg_amount){ walk->is_hidden ? LG_UNKNOWN : LG_UNLIMITED };
}

static struct lg_error *read_for_runtime(const struct files *files, int theirs_root, struct walk *walk,
                                         struct lg_resources *resources)
{
    walk->is_hidden = false;
    walk->cgroup.version = 0;
    walk->root = theirs_root;
    struct lg_error *err = theirs_root < 0 ? NULL : find(files, LG_CGROUP_MEMORY, true, walk);
    if (!err && !walk->cgroup.version)
        err = find_widest(files, LG_CGROUP_MEMORY, theirs_root, walk);
    // With v1 at /sys/fs/cgroup the runtime does not look at v2 (cgroup.cpp, FindCGroupVersion).
    bool seen = walk->cgroup.version == 1
                || (walk->cgroup.version == 2 && strcmp(walk->cgroup.mount, "/sys/fs/cgroup") == 0);
    resources->cgroup_memory = seen ? runtime_limit(walk) : none_or_unknown(walk);
    if (!err)
        err = find_widest(files, LG_CGROUP_CPU, theirs_root, walk);
    if (!err)
        resources->quota = walk->cgroup.version ? least_quota(walk) : none_or_unknown(walk);
    return err;
}

// What holds in the end may come from a group above all that can be seen: inside of a container.
static struct lg_error *add_unseen(struct walk *walk, size_t before)
{
    struct lg_amount limit = { LG_UNKNOWN }, least = { LG_UNLIMITED };
    snprintf(walk->group, sizeof(walk->group), "%s", walk->cgroup.group);
    if (walk->cgroup.version == 1)
        limit = hierarchical_limit(walk);
    for (size_t i = before; i < walk->limits->bounds.len; i++) {
        if (walk->limits->bounds.at[i].flags & LG_BOUND_GROWTH)
            at_most(&least, walk->limits->bounds.at[i].limit);
    }
    if (limit.kind != LG_KNOWN || (least.kind == LG_KNOWN && least.value <= limit.value))
        return NULL;
    return lg_limits_add(walk->limits, (struct lg_bound){ "cgroup memory",
                                                          "a group above: hierarchical_memory_limit",
                                                          LG_BOUND_BYTES | LG_BOUND_GROWTH,
                                                          limit,
                                                          { LG_UNKNOWN },
                                                          "what the group above uses cannot be seen",
                                                          "the kernel kills a process of the group" });
}

static struct lg_error *add_unknown(struct lg_limits *limits, const char *problem)
{
    return lg_limits_add(limits, (struct lg_bound){ "cgroup memory",
                                                    "/proc/PID/cgroup",
                                                    LG_BOUND_BYTES | LG_BOUND_GROWTH,
                                                    { LG_UNKNOWN },
                                                    { LG_UNKNOWN },
                                                    problem,
                                                    "the kernel kills a process of the group" });
}

struct lg_error *lg_cgroup_bounds(const struct lg_limits_place *place, struct lg_limits *limits,
                                  struct lg_resources *resources)
{
    size_t len;
    _cleanup_(files_deinit) struct files files = {
        .cgroup = lg_proc_read_all(place->proc, "cgroup", &len),
        .ours = lg_proc_read_all(place->root, "proc/self/mountinfo", &len),
        .theirs = lg_proc_read_all(place->proc, "mountinfo", &len),
    };
    if (!files.cgroup)
        return add_unknown(limits, lg_arena_format(&limits->arena, "/proc/PID/cgroup: %m"));
    _cleanup_close_ int theirs_root = openat(place->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct walk walk = { .place = place, .root = place->root, .limits = limits };
    struct lg_error *err = find_widest(&files, LG_CGROUP_MEMORY, theirs_root, &walk);
    size_t before = limits->bounds.len;
    if (!err && walk.cgroup.version)
        err = walk_up(&walk, add_memory_level);
    else if (!err)
        err = add_unknown(limits, "its group of the memory controller is nowhere to be seen");
    if (!err && walk.cgroup.version)
        err = add_unseen(&walk, before);
    if (!err)
        err = find_widest(&files, LG_CGROUP_PIDS, theirs_root, &walk);
    if (!err && walk.cgroup.version)
        err = walk_up(&walk, add_pids_level);
    return err ? err : read_for_runtime(&files, theirs_root, &walk, resources);
}
