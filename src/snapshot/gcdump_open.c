// A .gcdump as a target: a snapshot that knows of shapes only, and of fewer of those.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "snapshot/gcdump_priv.h"
#include "snapshot/snapshot_priv.h"
#include "util/pages.h"

static size_t read_memory(struct lg_target *target, uint64_t address, void *buf, size_t len)
{
    return dump_read(((struct lg_snapshot *)target)->dump, address, buf, len);
}

static const struct lg_target_ops ops = { .read = read_memory, .close = snapshot_close };

// What whoever reads a report of it should know.
static void add_notes(const struct gcdump *dump, struct lg_target *target)
{
    enum { DOTNET_GCDUMP_MOST = 10000000 };
    lg_target_note(target,
                   "a .gcdump holds objects that were alive, their types and references, and names of "
                   "roots: no fields%s and no threads",
                   dump->has_generations ? "" : ", no generations");
    if (dump->count_multiplier != 1 || dump->size_multiplier != 1 || dump->is_sampled)
        lg_target_note(target, "it is a sample of a heap: counts and sizes are those of the sample");
    if (dump->node_count >= DOTNET_GCDUMP_MOST && dump->node_count < DOTNET_GCDUMP_MOST + 100000)
        lg_target_note(target,
                       "it has %u nodes: dotnet-gcdump stops at 10,000,000, so some may be missing",
                       dump->node_count);
    if (dump->undefined)
        lg_target_note(target, "%llu objects are referred to in it but not described: they are left out",
                       (unsigned long long)dump->undefined);
    if (dump->dropped)
        lg_target_note(target, "%llu references of objects lead to what is no object: they are left out",
                       (unsigned long long)dump->dropped);
    if (dump->has_dependents)
        lg_target_note(
            target, "what dependent handles refer to is rooted in it, also where the handle's object is "
                    "dead");
}

static bool add_ranges(const struct gcdump *dump, struct lg_target *target)
{
    bool ok = true;
    for (size_t i = 0; i < dump->heap.len && ok; i++) {
        const struct lg_segment *segment = &dump->heap.at[i];
        struct lg_range range = { .start = segment->start,
                                  .end = segment->end,
                                  .saved = segment->end - segment->start,
                                  .access = LG_READ | LG_WRITE,
                                  .path = "" };
        ok = lg_vec_push(&target->ranges, range);
    }
    return ok;
}

static struct lg_error *describe(struct lg_snapshot *snapshot)
{
    const struct gcdump *dump = snapshot->dump;
    struct lg_target *target = &snapshot->target;
    struct lg_snapshot_about *about = &snapshot->about.about;
    const uint64_t epoch = UINT64_C(62135596800) * 10000000; // 1970, in ticks from year 1.
    target->ops = &ops;
    target->kind = LG_TARGET_SNAPSHOT;
    target->pid = dump->pid;
    target->path = strdup(dump->path);
    target->pause_ms = -1;
    target->has_no_values = true;
    if (dump->ticks > epoch && dump->ticks < 2 * epoch) {
        target->taken.tv_sec = (time_t)((dump->ticks - epoch) / 10000000);
        target->taken.tv_nsec = (long)((dump->ticks - epoch) % 10000000 * 100);
    }
    *about = (struct lg_snapshot_about){
        .tool = dump_text(dump, &snapshot->arena, dump->tool),
        .kind = LG_TARGET_PROCESS,
        .pid = dump->pid,
        .path = dump_text(dump, &snapshot->arena, dump->process),
        .log = dump_text(dump, &snapshot->arena, dump->log),
        .taken = target->taken,
        .is_gcdump = true,
        .figures = { .size = lg_reader_left(&dump->file),
                     .objects = dump->count,
                     .bytes = dump->bytes,
                     .references = dump->references },
    };
    if (!target->path || !about->tool || !about->path || !about->log || !add_ranges(dump, target))
        return &lg_no_memory;
    add_notes(dump, target);
    return NULL;
}

static struct lg_error *open_dump(struct lg_snapshot *snapshot)
{
    struct gcdump *dump = snapshot->dump;
    struct lg_error *err = dump_parse(dump);
    if (!err)
        err = dump_look(dump, &snapshot->arena, &snapshot->stored);
    if (!err)
        err = dump_find_frozen(dump);
    if (!err)
        err = dump_lay_out(dump, &snapshot->stored);
    return err ? err : describe(snapshot);
}

struct lg_error *snapshot_of_gcdump(const char *name, const void *bytes, size_t size, void *owned,
                                    struct lg_snapshot **ret)
{
    struct gcdump *dump = calloc(1, sizeof(*dump));
    struct lg_snapshot *snapshot = NULL;
    struct lg_error *err = dump ? snapshot_new(&snapshot) : &lg_no_memory;
    if (err) {
        free(dump);
        if (owned)
            lg_pages_free(owned, size, 1);
        return err;
    }
    snapshot->dump = dump;
    snapshot->target.ops = &ops;
    dump->file = lg_reader(bytes, size);
    dump->owned = owned;
    dump->path = strdup(name);
    for (int i = 0; i < RESUMES; i++)
        pthread_mutex_init(&dump->resumes[i].lock, NULL);
    err = dump->path ? open_dump(snapshot) : &lg_no_memory;
    if (err)
        lg_target_free(&snapshot->target);
    else
        *ret = snapshot;
    return err;
}

// All of it is read at once, not mapped: a file that is cut meanwhile is an error, and no SIGBUS.
struct lg_error *snapshot_open_gcdump(const char *path, struct lg_snapshot **ret)
{
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return lg_error_os(errno, "open '%s'", path);
    size_t size = (size_t)st.st_size, done = 0;
    uint8_t *bytes = lg_pages_alloc(size, 1);
    if (!bytes)
        return &lg_no_memory;
    for (ssize_t n = 1; done < size && n > 0; done += n > 0 ? (size_t)n : 0)
        n = pread(fd, bytes + done, size - done, (off_t)done);
    if (done == size)
        return snapshot_of_gcdump(path, bytes, size, bytes, ret);
    lg_pages_free(bytes, size, 1);
    return lg_error_new(LG_ERR_CORRUPT, "'%s' has %zu bytes, of which %zu can be read", path, size,
                        done);
}
