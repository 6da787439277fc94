// Opening snapshots.
#include "limits/limits.h"
#include "picture/picture.h"
#include "snapshot/gcdump_priv.h"
#include "snapshot/snapshot_priv.h"

void snapshot_close(struct lg_target *target)
{
    struct lg_snapshot *snapshot = (struct lg_snapshot *)target;
    lg_stored_deinit(&snapshot->stored);
    memos_deinit(&snapshot->memos);
    blanks_deinit(&snapshot->blanks);
    frames_deinit(&snapshot->frames);
    lg_vec_free(&snapshot->about.notes);
    lg_vec_free(&snapshot->runs);
    for (size_t i = 0; i < snapshot->descs.len; i++)
        free(snapshot->descs.at[i]);
    lg_vec_free(&snapshot->descs);
    lg_vec_free(&snapshot->types);
    free(snapshot->shapes.by_code);
    for (int i = 0; i < CACHED; i++) {
        free(snapshot->cached[i].bytes);
        pthread_mutex_destroy(&snapshot->cached[i].lock);
    }
    lg_vec_free(&snapshot->summary.rows);
    lg_arena_free(&snapshot->arena);
    dump_free(snapshot->dump);
    lg_chunk_file_free(snapshot->file);
    lg_vec_free(&snapshot->images);
    free(snapshot);
}

static const struct lg_target_ops ops = { .read = snapshot_read,
                                          .knows = snapshot_knows,
                                          .close = snapshot_close };

static struct lg_error *makes_no_sense(const struct lg_snapshot *snapshot, const char *chunk)
{
    return lg_error_new(LG_ERR_CORRUPT, "snapshot '%s': chunk %s makes no sense", snapshot->file->path,
                        chunk);
}

// ---- the heap ----

static bool add_range(struct lg_snapshot *snapshot, uint64_t start, uint64_t end)
{
    struct lg_target *target = &snapshot->target;
    struct lg_range *last = target->ranges.len ? &target->ranges.at[target->ranges.len - 1] : NULL;
    if (last && last->end == start) {
        last->end = end;
        last->saved = last->end - last->start;
        return true;
    }
    struct lg_range range = {
        .start = start,
        .end = end,
        .saved = end - start,
        .access = LG_READ | LG_WRITE,
        .path = "",
    };
    return lg_vec_push(&target->ranges, range);
}

static struct lg_error *read_runs(struct lg_snapshot *snapshot)
{
    struct lg_reader r, pages;
    struct lg_error *err = lg_chunk_read(snapshot->file, CHUNK_RUNS, &r);
    if (!err)
        err = lg_chunk_read(snapshot->file, CHUNK_PAGE, &pages);
    if (err)
        return err;
    snapshot->pages = pages.start;
    snapshot->page_count = lg_reader_left(&pages) / LG_PAGE_RECORD;
    uint64_t page = 0, end = 0;
    while (lg_reader_left(&r) > 0) {
        struct run run = { lg_read_u64(&r), lg_read_u64(&r), lg_read_u64(&r) };
        if (r.failed || run.start < end || run.start >= run.end || run.start % 8 != 0
            || run.page != page)
            return makes_no_sense(snapshot, "RUNS");
        uint64_t count = (run.end - run.start - 1) / LG_PAGE_SIZE + 1;
        if (count > snapshot->page_count - page)
            return makes_no_sense(snapshot, "RUNS");
        page += count;
        end = run.end;
        if (!lg_vec_push(&snapshot->runs, run) || !add_range(snapshot, run.start, run.end))
            return &lg_no_memory;
    }
    lg_chunk_drop(snapshot->file, CHUNK_RUNS);
    if (page != snapshot->page_count || lg_reader_left(&pages) % LG_PAGE_RECORD != 0)
        return makes_no_sense(snapshot, "PAGE");
    return lg_chunk_place(snapshot->file, CHUNK_HEAP, &snapshot->heap);
}

static int by_start(const void *a, const void *b)
{
    const struct lg_range *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

// Stacks, among the runs.
static struct lg_error *read_blanks(struct lg_snapshot *snapshot)
{
    struct lg_target *target = &snapshot->target;
    struct lg_error *err = lg_table_read(snapshot->file, CHUNK_STAK, &snapshot->arena, &snapshot->budget,
                                         io_blanks, &snapshot->blanks);
    for (size_t i = 0; i < snapshot->blanks.all.len && !err; i++) {
        if (!add_range(snapshot, snapshot->blanks.all.at[i].start, snapshot->blanks.all.at[i].end))
            err = &lg_no_memory;
    }
    if (target->ranges.len > 1)
        qsort(target->ranges.at, target->ranges.len, sizeof(*target->ranges.at), by_start);
    for (size_t i = 1; i < target->ranges.len && !err; i++) {
        if (target->ranges.at[i].start < target->ranges.at[i - 1].end)
            err = makes_no_sense(snapshot, "STAK");
    }
    return err;
}

static void io_code(struct lg_table_io *io, struct lg_type *type, void *data)
{
    const struct lg_snapshot *snapshot = data;
    uint32_t id = type->id;
    LG_IO(io, id);
    io->failed |= id >= snapshot->stored.types.len;
    if (!io->failed)
        *type = snapshot->stored.types.at[id].type;
}

static void io_codes(struct lg_table_io *io, void *data)
{
    struct lg_snapshot *snapshot = data;
    LG_IO_VEC(io, &snapshot->types, io_code, snapshot);
}

// GCDescs are in the memos: they have to be there by now.
static struct lg_error *make_shapes(struct lg_snapshot *snapshot)
{
    struct lg_shapes *shapes = &snapshot->shapes;
    shapes->count = (uint32_t)snapshot->types.len;
    shapes->by_code = calloc(shapes->count + 1u, sizeof(*shapes->by_code));
    if (!shapes->by_code)
        return &lg_no_memory;
    for (uint32_t i = 0; i < shapes->count; i++) {
        struct gc_desc *desc = NULL;
        const struct lg_type *type = &snapshot->types.at[i];
        struct lg_error *err = gc_desc_read(&snapshot->target, type, &desc);
        bool is_fatal = err && lg_error_kind(err) == LG_ERR_NO_MEMORY;
        lg_error_free(err); // Its references were unknown when the snapshot was taken.
        if (is_fatal || !lg_vec_push(&snapshot->descs, desc)) {
            free(desc);
            return &lg_no_memory;
        }
        uint64_t taken = desc ? sizeof(*desc) + desc->runs * sizeof(*desc->run) : 0;
        if (taken > snapshot->budget)
            return makes_no_sense(snapshot, "CODE");
        snapshot->budget -= taken;
        shapes->by_code[i] = (struct lg_shape){ type, desc };
    }
    return NULL;
}

// ---- opening ----

static struct lg_error *describe(struct lg_snapshot *snapshot)
{
    struct lg_target *target = &snapshot->target;
    struct lg_snapshot_about *about = &snapshot->about.about;
    target->kind = LG_TARGET_SNAPSHOT;
    target->pid = about->pid;
    target->path = strdup(snapshot->file->path);
    target->taken = about->taken;
    target->pause_ms = -1;
    target->has_no_values = !about->has_contents;
    about->figures.size = snapshot->file->size;
    for (size_t i = 0; i < snapshot->about.notes.len; i++)
        lg_target_note(target, "%s", snapshot->about.notes.at[i]);
    return target->path ? NULL : &lg_no_memory;
}

static struct lg_error *read_images(struct lg_snapshot *snapshot)
{
    struct lg_error *err = lg_table_read(snapshot->file, CHUNK_IMAG, &snapshot->arena, &snapshot->budget,
                                         io_images, &snapshot->images);
    for (size_t i = 0; i < snapshot->images.len; i++)
        snapshot->images.at[i].target = &snapshot->target;
    snapshot->target.images = snapshot->images.at;
    snapshot->target.image_count = snapshot->images.len;
    return err;
}

static struct lg_error *read_all(struct lg_snapshot *snapshot)
{
    struct lg_chunk_file *file = snapshot->file;
    struct lg_arena *arena = &snapshot->arena;
    uint64_t *budget = &snapshot->budget;
    *budget = 3 * file->size + (64 << 10);
    struct lg_error *err = lg_table_read(file, CHUNK_META, arena, budget, io_about, &snapshot->about);
    if (!err)
        err = describe(snapshot);
    if (!err)
        err = read_images(snapshot);
    if (!err)
        err = facts_read(file, arena, budget, &snapshot->stored);
    if (!err)
        err = lg_table_read(file, CHUNK_MEMO, arena, budget, io_memos, &snapshot->memos);
    if (!err)
        err = lg_table_read(file, CHUNK_CODE, arena, budget, io_codes, snapshot);
    if (!err)
        err = make_shapes(snapshot); // Before there are runs: memory is the memos then.
    if (!err)
        err = read_runs(snapshot);
    if (!err)
        err = read_blanks(snapshot);
    snapshot->stored.info = snapshot->about.info;
    snapshot->stored.has_last_gc = snapshot->about.has_last_gc;
    snapshot->stored.last_gc = snapshot->about.last_gc;
    return err;
}

struct lg_error *snapshot_new(struct lg_snapshot **ret)
{
    struct lg_snapshot *snapshot = *ret = calloc(1, sizeof(*snapshot));
    for (int i = 0; snapshot && i < CACHED; i++)
        pthread_mutex_init(&snapshot->cached[i].lock, NULL);
    return snapshot ? NULL : &lg_no_memory;
}

static struct lg_error *open_file(struct lg_chunk_file *file, struct lg_snapshot **ret)
{
    struct lg_snapshot *snapshot;
    struct lg_error *err = snapshot_new(&snapshot);
    if (err) {
        lg_chunk_file_free(file);
        return err;
    }
    snapshot->file = file;
    snapshot->target.ops = &ops;
    err = read_all(snapshot);
    if (err)
        lg_target_free(&snapshot->target);
    else
        *ret = snapshot;
    return err;
}

bool lg_snapshot_is_one(const char *path)
{
    return lg_file_begins(path, LG_CHUNKS_MAGIC, sizeof(LG_CHUNKS_MAGIC) - 1)
           || lg_file_begins(path, LG_GCDUMP_MAGIC, sizeof(LG_GCDUMP_MAGIC) - 1);
}

struct lg_error *lg_snapshot_open(const char *path, struct lg_snapshot **ret)
{
    struct lg_chunk_file *file;
    if (lg_file_begins(path, LG_GCDUMP_MAGIC, sizeof(LG_GCDUMP_MAGIC) - 1))
        return snapshot_open_gcdump(path, ret);
    struct lg_error *err = lg_chunk_file_open(path, &file);
    return err ? err : open_file(file, ret);
}

struct lg_error *lg_snapshot_of(const char *name, const void *bytes, size_t size,
                                struct lg_snapshot **ret)
{
    struct lg_chunk_file *file;
    size_t len = sizeof(LG_GCDUMP_MAGIC) - 1;
    if (size >= len && memcmp(bytes, LG_GCDUMP_MAGIC, len) == 0)
        return snapshot_of_gcdump(name, bytes, size, NULL, ret);
    struct lg_error *err = lg_chunk_file_of(name, bytes, size, &file);
    return err ? err : open_file(file, ret);
}

struct lg_target *lg_snapshot_target(struct lg_snapshot *snapshot)
{
    return &snapshot->target;
}

struct lg_error *lg_snapshot_clr(struct lg_snapshot *snapshot, struct lg_clr **ret)
{
    return lg_clr_open_stored(&snapshot->target, &snapshot->stored, ret);
}

// ---- asking ----

const struct lg_snapshot_about *lg_snapshot_about(const struct lg_snapshot *snapshot)
{
    return &snapshot->about.about;
}

bool lg_snapshot_chunk(const struct lg_snapshot *snapshot, size_t i, char name[5], uint64_t *size_ret)
{
    if (!snapshot->file || i >= snapshot->file->chunks.len)
        return false;
    lg_chunk_name(snapshot->file->chunks.at[i].id, name);
    *size_ret = snapshot->file->chunks.at[i].size;
    return true;
}

bool lg_snapshot_has_findings(const struct lg_snapshot *snapshot)
{
    return snapshot && !snapshot->dump;
}

struct lg_error *lg_snapshot_stats(struct lg_snapshot *snapshot, struct lg_clr *clr,
                                   struct lg_type_stats *ret, struct lg_walk_result *walk_ret)
{
    _cleanup_(stats_io_deinit) struct stats_io stats = { .clr = clr };
    struct lg_error *err =
        lg_table_read(snapshot->file, CHUNK_HIST, &snapshot->arena, &snapshot->budget, io_stats, &stats);
    if (err)
        return err;
    *ret = (struct lg_type_stats){ .counts = stats.counts.at,
                                   .sizes = stats.sizes.at,
                                   .type_count = (uint32_t)stats.counts.len };
    memcpy(&ret->big_free, &stats.big_free, sizeof(ret->big_free));
    *walk_ret = stats.walk;
    memset(&stats, 0, sizeof(stats)); // They are the caller's.
    return NULL;
}

struct lg_error *lg_snapshot_roots(struct lg_snapshot *snapshot, struct lg_clr *clr,
                                   struct lg_roots **ret)
{
    if (snapshot->dump)
        return dump_roots(snapshot->dump, ret);
    _cleanup_(lg_roots_freep) struct lg_roots *roots = calloc(1, sizeof(*roots));
    struct roots_io io = { .roots = roots };
    struct lg_error *err = roots ? lg_clr_threads(clr, &io.threads, &io.thread_count) : &lg_no_memory;
    if (!err)
        err = lg_table_read(snapshot->file, CHUNK_ROOT, &snapshot->arena, &snapshot->budget, io_roots,
                            &io);
    if (!err)
        *ret = lg_steal(roots);
    return err;
}

struct lg_error *lg_snapshot_summary(struct lg_snapshot *snapshot, const struct lg_summary **ret)
{
    *ret = NULL;
    if (snapshot->dump)
        return NULL;
    struct lg_error *err = snapshot->has_summary
                               ? NULL
                               : lg_table_read(snapshot->file, CHUNK_RETA, &snapshot->arena,
                                               &snapshot->budget, io_summary, &snapshot->summary);
    snapshot->has_summary |= !err;
    *ret = &snapshot->summary;
    return err;
}

static struct lg_error *beyond_graph(const char *what)
{
    return lg_error_new(LG_ERR_UNSUPPORTED, "a .gcdump does not hold %s", what);
}

// Each time anew: whoever asks may change it.
struct lg_error *lg_snapshot_picture(struct lg_snapshot *snapshot, struct lg_picture **ret)
{
    if (snapshot->dump)
        return beyond_graph("the memory picture of its process");
    uint64_t budget = 3 * snapshot->file->size;
    _cleanup_(lg_picture_freep) struct lg_picture *picture = calloc(1, sizeof(*picture));
    struct picture_io io = { .picture = picture };
    if (!picture)
        return &lg_no_memory;
    struct lg_error *err =
        lg_table_read(snapshot->file, CHUNK_PICT, &picture->names, &budget, io_picture, &io);
    if (!err && io.missing)
        err = lg_error_new(LG_ERR_UNSUPPORTED, "snapshot '%s' does not hold the memory picture: %s",
                           snapshot->file->path, io.missing);
    if (!err)
        *ret = lg_steal(picture);
    return err;
}

struct lg_error *lg_snapshot_limits(struct lg_snapshot *snapshot, struct lg_limits *ret)
{
    if (snapshot->dump)
        return beyond_graph("what bounds its process");
    uint64_t budget = 3 * snapshot->file->size;
    struct lg_limits limits = { .arena = { NULL } };
    struct limits_io io = { .limits = &limits };
    struct lg_error *err =
        lg_table_read(snapshot->file, CHUNK_LIMI, &limits.arena, &budget, io_limits, &io);
    if (!err && io.missing)
        err = lg_error_new(LG_ERR_UNSUPPORTED, "snapshot '%s' does not hold what bounds its process: %s",
                           snapshot->file->path, io.missing);
    if (err)
        lg_limits_deinit(&limits);
    else
        *ret = limits;
    return err;
}

struct lg_error *lg_snapshot_dac(struct lg_snapshot *snapshot, const char **path_ret)
{
    if (snapshot->dump)
        return beyond_graph("stacks");
    struct frames *frames = &snapshot->frames;
    struct lg_error *err = snapshot->has_frames
                               ? NULL
                               : lg_table_read(snapshot->file, CHUNK_FRAM, &snapshot->arena,
                                               &snapshot->budget, io_frames, frames);
    if (err) {
        frames_deinit(frames);
        return err;
    }
    snapshot->has_frames = true;
    if (!frames->dac)
        return lg_error_new(LG_ERR_UNSUPPORTED, "snapshot '%s' does not hold the frames of stacks: %s",
                            snapshot->file->path, frames->missing ? frames->missing : "no reason given");
    *path_ret = frames->dac;
    return NULL;
}

const struct lg_told_stack *lg_snapshot_stack(const struct lg_snapshot *snapshot, size_t thread)
{
    static const struct lg_told_stack unknown = { .missing = (char *)"it was not told of" };
    return thread < snapshot->frames.all.len ? &snapshot->frames.all.at[thread] : &unknown;
}

struct lg_error *lg_snapshot_damage(const struct lg_snapshot *snapshot)
{
    uint64_t damaged = atomic_load(&((struct lg_snapshot *)snapshot)->damaged);
    if (damaged == 0)
        return NULL;
    struct lg_page page = lg_page_read(snapshot->pages + (damaged - 1) * LG_PAGE_RECORD);
    return lg_error_new(LG_ERR_CORRUPT,
                        "snapshot '%s' is damaged: page %llu of chunk HEAP, %u bytes from %llu on in it",
                        snapshot->file->path, (unsigned long long)damaged - 1, page.length,
                        (unsigned long long)page.offset);
}

static struct lg_error *check_chunk(struct lg_snapshot *snapshot, uint32_t id)
{
    struct lg_reader ignored;
    struct lg_error *err =
        id == CHUNK_HEAP ? NULL : lg_chunk_read(snapshot->file, id, &ignored); // By page.
    if (id != CHUNK_PAGE)                                                      // It is in use.
        lg_chunk_drop(snapshot->file, id);
    return err;
}

struct lg_error *lg_snapshot_check(struct lg_snapshot *snapshot)
{
    _cleanup_free_ uint8_t *bytes = malloc(LG_PAGE_SIZE);
    struct lg_error *err = bytes ? NULL : &lg_no_memory;
    for (size_t i = 0; snapshot->file && i < snapshot->file->chunks.len && !err; i++)
        err = check_chunk(snapshot, snapshot->file->chunks.at[i].id);
    for (size_t i = 0; i < snapshot->runs.len && !err; i++) {
        const struct run *run = &snapshot->runs.at[i];
        uint64_t count = (run->end - run->start - 1) / LG_PAGE_SIZE + 1;
        for (uint64_t page = 0; page < count && !err; page++) {
            snapshot_decode(snapshot, run, run->page + page, bytes);
            err = lg_snapshot_damage(snapshot);
        }
    }
    return err;
}
