// Snapshots: of a made-up runtime with objects, read back, damaged in every way, and told lies.
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "allocated.h"
#include "cli/limits_report.h"
#include "cli/retained.h"
#include "cli/session.h"
#include "limits/limits.h"
#include "picture/picture.h"
#include "snapshot/snapshot_priv.h"
#include "support/fake_made.h"
#include "support/fake_objects.h"
#include "support/snapshot_fix.h"

struct file {
    uint8_t *bytes;
    size_t size;
};
static void file_deinit(struct file *file)
{
    free(file->bytes);
}

static struct file read_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    struct file file = { malloc((size_t)st.st_size), (size_t)st.st_size };
    assert_int_equal(read(fd, file.bytes, file.size), file.size);
    close(fd);
    return file;
}

// What there is to know of a heap, in one number: its objects, references, roots, types and histogram.
struct digest {
    uint64_t hash, objects;
    struct lg_heap *heap;
};

static void mix(struct digest *digest, uint64_t value)
{
    digest->hash = lg_checksum_step(digest->hash, value);
}

static void mix_text(struct digest *digest, const char *text)
{
    mix(digest, text ? lg_checksum(text, strlen(text)) : 1);
}

static void mix_reference(void *self, uint64_t offset, uint64_t target)
{
    mix(self, offset);
    mix(self, target);
}

static bool mix_object(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct digest *digest = self;
    mix(digest, object->address);
    mix(digest, object->size);
    mix(digest, object->type->mt);
    mix(digest, segment->address);
    lg_heap_references(digest->heap, object, mix_reference, digest);
    digest->objects++;
    return true;
}

// In any order: which type was met first is chance.
static void mix_types(struct digest *digest, struct lg_clr *clr, const struct lg_type_stats *stats)
{
    uint64_t sum = 0;
    for (uint32_t id = 0; id < lg_clr_type_count(clr); id++) {
        const struct lg_type *type = lg_clr_type_at(clr, id);
        const struct lg_field *fields;
        struct digest of_type = { .hash = 1 };
        size_t count;
        mix(&of_type, type->mt);
        mix(&of_type, id < stats->type_count ? stats->counts[id] : 0);
        mix(&of_type, id < stats->type_count ? stats->sizes[id] : 0);
        mix_text(&of_type, lg_clr_type_name(clr, type));
        struct lg_error *err = lg_clr_fields(clr, type, &fields, &count);
        for (size_t i = 0; !err && i < count; i++) {
            mix_text(&of_type, fields[i].name);
            mix(&of_type, fields[i].offset);
            mix(&of_type, fields[i].address);
        }
        lg_error_free(err);
        sum += of_type.hash;
    }
    mix(digest, sum);
}

static void mix_roots(struct digest *digest, const struct lg_roots *roots)
{
    for (size_t i = 0; i < roots->all.len; i++) {
        const struct lg_root *root = &roots->all.at[i];
        mix(digest, root->object);
        mix(digest, root->slot);
        mix(digest, root->kind);
        mix_text(digest, root->name);
        mix(digest, root->thread ? root->thread->os_id : 0);
    }
    for (size_t i = 0; i < roots->incomplete.len; i++)
        mix_text(digest, roots->incomplete.at[i]);
}

static void mix_retention(struct digest *digest, const struct lg_retention *retention)
{
    mix(digest, retention->live_size);
    for (uint32_t i = 0; i < retention->tree->count; i++) {
        mix(digest, lg_retention_address(retention, i));
        mix(digest, retention->size[i]);
    }
}

// Through a session, as commands ask. `types` false: other types may have become known to it.
static struct lg_error *digest_session(struct lg_session *session, struct digest *ret)
{
    const struct lg_type_stats *stats;
    const struct lg_walk_result *walk;
    const struct lg_retention *retention;
    const struct lg_roots *roots;
    struct digest digest = { .hash = 1 };
    struct lg_error *err = lg_session_stats(session, &stats, &walk);
    if (!err)
        err = lg_session_retention(session, &retention);
    if (!err)
        err = lg_session_roots(session, &roots);
    if (err)
        return err;
    digest.heap = lg_session_heap(session);
    struct lg_walk_result again;
    err = lg_heap_walk(digest.heap, NULL, mix_object, &digest, &again);
    if (err)
        return err;
    mix(&digest, walk->objects);
    mix_types(&digest, lg_session_clr(session), stats);
    mix_roots(&digest, roots);
    mix_retention(&digest, retention);
    *ret = digest;
    return lg_session_damage(session);
}

// Writes a snapshot of the made-up runtime, and tells what is to be found in it.
static struct digest write_snapshot(const char *path, unsigned flags, bool contents)
{
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    struct lg_picture *picture = NULL;
    struct lg_limits limits = { .arena = { NULL } };
    struct lg_snapshot_source source = {
        .tool = "test", .contents = contents, .no_dac = "none", .limits = &limits
    };
    struct lg_snapshot_figures figures;
    struct lg_summary summary = { 0 };
    struct lg_arena arena = { 0 };
    struct digest digest;
    assert_ok(lg_session_use_dac(session, "none"));
    assert_ok(lg_session_adopt(session, fake_runtime_with_objects(flags)));
    assert_ok(lg_retained_summarise(session, &arena, &summary));
    assert_ok(lg_session_stats(session, &source.stats, &source.walk));
    assert_ok(lg_session_roots(session, &source.roots));
    assert_ok(lg_session_graph(session, &source.graph));
    source.target = lg_session_target(session);
    source.heap = lg_session_heap(session);
    source.summary = &summary;
    assert_ok(lg_session_picture(session, !contents, &picture));
    assert_ok(lg_limits_of_session(session, &limits));
    source.picture = picture;
    struct lg_made *made = fake_made(FAKE_MADE_START);
    assert_non_null(made);
    source.made = made;
    assert_ok(lg_snapshot_write(&source, path, &figures));
    lg_made_free(made);
    assert_int_equal(figures.objects, source.walk->objects);
    assert_int_equal(figures.references, source.graph->edge_count);
    assert_ok(digest_session(session, &digest)); // By now every type is known that the file has.
    lg_vec_free(&summary.rows);
    lg_picture_free(picture);
    lg_limits_deinit(&limits);
    lg_arena_free(&arena);
    return digest;
}

static char path[] = "/tmp/linger-test-snapshot.XXXXXX";

static int make_path(void **state)
{
    int fd = mkstemp(path);
    close(fd);
    return fd < 0;
}

static int remove_path(void **state)
{
    return unlink(path);
}

static void reads_back(unsigned flags, bool contents)
{
    struct digest written = write_snapshot(path, flags, contents), read;
    assert_true(written.objects > 100);
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    assert_ok(lg_session_open(session, path, &(struct lg_target_options){ 0 }));
    assert_ok(digest_session(session, &read));
    assert_int_equal(read.objects, written.objects);
    assert_int_equal(read.hash, written.hash);
    assert_int_equal(lg_session_target(session)->has_no_values, !contents);
    assert_ok(lg_snapshot_check((struct lg_snapshot *)lg_session_snapshot(session)));
}

static void what_is_read_is_what_was_written(void **state)
{
    reads_back(0, false);
    reads_back(FAKE_SERVER_GC, false);
    reads_back(FAKE_SEGMENTS_GC, false);
}

static void contents_are_there_if_asked_for(void **state)
{
    reads_back(0, true);
}

static void the_same_heap_gives_the_same_file(void **state)
{
    write_snapshot(path, 0, false);
    _cleanup_(file_deinit) struct file once = read_file(path);
    write_snapshot(path, 0, false);
    _cleanup_(file_deinit) struct file twice = read_file(path);
    assert_int_equal(once.size, twice.size);
    assert_memory_equal(once.bytes, twice.bytes, once.size);
}

static bool contains(const struct file *file, const void *what, size_t len)
{
    return memmem(file->bytes, file->size, what, len) != NULL;
}

static void no_string_is_in_a_file_of_shapes(void **state)
{
    static const char utf16[] = "f\0a\0k\0e\0 \0t\0e\0x\0t"; // Of every string of the made-up heap.
    write_snapshot(path, 0, false);
    _cleanup_(file_deinit) struct file shapes = read_file(path);
    assert_false(contains(&shapes, utf16, sizeof(utf16)));
    assert_false(contains(&shapes, "fake text", 9));
    write_snapshot(path, 0, true);
    _cleanup_(file_deinit) struct file contents = read_file(path);
    assert_true(contains(&contents, utf16, sizeof(utf16)));
}

static void only_a_file_is_replaced(void **state)
{
    char fifo[sizeof(path) + 8], link[sizeof(path) + 8];
    struct lg_chunk_writer *writer = NULL;
    struct stat st;
    snprintf(fifo, sizeof(fifo), "%s.fifo", path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    struct lg_error *err = lg_chunk_writer_new(fifo, &writer);
    assert_true(lstat(fifo, &st) == 0 && S_ISFIFO(st.st_mode));
    unlink(fifo);
    assert_non_null(err);
    assert_int_equal(lg_error_kind(err), LG_ERR_USAGE);
    assert_non_null(strstr(lg_error_message(err), "is no regular file"));
    lg_error_free(err);
    snprintf(link, sizeof(link), "%s.link", path);
    assert_int_equal(symlink(path, link), 0);
    write_snapshot(link, 0, false);
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    unlink(link);
    _cleanup_(file_deinit) struct file file = read_file(path);
    assert_memory_equal(file.bytes, LG_CHUNKS_MAGIC, 8);
}

// ---- damage ----

// Some of them each time, all on demand (tests/fuzz/README.md): the first are always the same.
static int rounds(int all)
{
    return getenv("LINGER_ALL_DAMAGE") ? all : all / 5;
}

static void mix_made(struct digest *digest, const struct lg_made *made)
{
    for (size_t i = 0; made && i < made->frames.len; i++) {
        const struct lg_made_frame *frame = &made->frames.at[i];
        mix_text(digest, frame->method ? frame->method : frame->module ? frame->module : "?");
        mix_text(digest, frame->file ? frame->file : "?");
        mix(digest, frame->il ^ (uint64_t)frame->line << 32);
    }
    for (size_t i = 0; made && i < made->objects.len; i++) {
        const struct lg_made_object *object = &made->objects.at[i];
        const struct lg_made_site *site = &made->sites.at[object->site];
        mix(digest, object->address ^ (uint64_t)(object->share * 1e15) ^ site->own);
        for (uint32_t k = 0; k < site->count; k++)
            mix(digest, made->stacks.at[site->stack + k]);
    }
}

static struct lg_error *mix_surroundings(struct digest *digest, struct lg_snapshot *snapshot)
{
    struct lg_picture *picture = NULL;
    struct lg_limits limits = { .arena = { NULL } };
    const char *dac;
    struct lg_error *err = lg_snapshot_picture(snapshot, &picture);
    if (!err)
        err = lg_snapshot_limits(snapshot, &limits);
    for (size_t i = 0; picture && i < picture->parts.len; i++) {
        mix(digest, picture->parts.at[i].sum.resident);
        mix_text(digest, picture->parts.at[i].owner->name);
        mix_text(digest, picture->mappings.all.at[picture->parts.at[i].mapping].path);
    }
    mix(digest, limits.settings.len);
    lg_picture_free(picture);
    lg_limits_deinit(&limits);
    if (err)
        return err;
    struct lg_made *made = NULL;
    err = lg_snapshot_made(snapshot, &made);
    mix_made(digest, made);
    lg_made_free(made);
    if (!err)
        err = lg_snapshot_dac(snapshot, &dac);
    bool is_none = err && lg_error_kind(err) == LG_ERR_UNSUPPORTED; // As it was written.
    if (is_none)
        lg_error_free(err);
    return is_none ? NULL : err;
}

// Opens bytes as a snapshot and asks everything: an answer, or an error.
static struct lg_error *ask(const struct file *file, struct digest *ret)
{
    struct lg_snapshot *snapshot;
    struct lg_type_stats stats = { 0 };
    struct lg_walk_result walk;
    const struct lg_summary *summary;
    struct digest digest = { .hash = 1 };
    struct lg_clr *clr = NULL;
    struct lg_heap *heap = NULL;
    struct lg_roots *roots = NULL;
    struct lg_error *err = lg_snapshot_of("x", file->bytes, file->size, &snapshot);
    struct lg_target *target = err ? NULL : lg_snapshot_target(snapshot);
    if (!err)
        err = lg_snapshot_clr(snapshot, &clr);
    if (!err)
        err = lg_heap_open(clr, &heap);
    digest.heap = heap;
    if (!err)
        err = lg_heap_walk(heap, NULL, mix_object, &digest, &walk);
    if (!err)
        err = lg_snapshot_stats(snapshot, clr, &stats, &walk);
    if (!err)
        err = lg_snapshot_roots(snapshot, clr, &roots);
    if (!err)
        err = lg_snapshot_summary(snapshot, &summary);
    if (!err)
        err = mix_surroundings(&digest, snapshot);
    if (!err) {
        mix_types(&digest, clr, &stats);
        mix_roots(&digest, roots);
        mix(&digest, walk.objects);
        mix(&digest, summary->live_size);
        err = lg_snapshot_damage(snapshot);
    }
    *ret = digest;
    lg_type_stats_deinit(&stats);
    lg_roots_free(roots);
    lg_heap_free(heap);
    lg_clr_free(clr);
    lg_target_free(target);
    return err;
}

// What asking an undamaged file takes, whatever its size: buffers of walks and pages.
static int64_t base;

// As `right` has it, which the first call sets. Counts errors. No more is allocated for a damaged file
// than for a whole one and four times the file.
static void same_or_error(const struct file *file, struct digest *right, unsigned *errors)
{
    struct digest digest;
    allocated = most_allocated = 0;
    struct lg_error *err = ask(file, &digest);
    if (!right->hash) {
        assert_ok(err);
        *right = digest;
        base = most_allocated;
    }
    assert_true(most_allocated <= base + 4 * (int64_t)file->size);
    if (!err)
        assert_int_equal(digest.hash, right->hash);
    else
        assert_true(strlen(lg_error_message(err)) > 0);
    *errors += err != NULL;
    lg_error_free(err);
}

static void every_cut_is_an_error(void **state)
{
    write_snapshot(path, 0, false);
    _cleanup_(file_deinit) struct file file = read_file(path);
    struct digest right = { 0 };
    unsigned errors = 0, cuts = 0;
    same_or_error(&file, &right, &errors);
    assert_int_equal(errors, 0);
    for (size_t size = 0; size < file.size; size++, cuts++) {
        // A copy that ends where its memory does: reading behind the end is found.
        struct file cut = { malloc(size ? size : 1), size };
        memcpy(cut.bytes, file.bytes, size);
        same_or_error(&cut, &right, &errors);
        file_deinit(&cut);
    }
    assert_int_equal(errors, cuts);
}

static void every_changed_byte_is_found_or_changes_nothing(void **state)
{
    const int flips = rounds(100000);
    write_snapshot(path, 0, false);
    _cleanup_(file_deinit) struct file file = read_file(path);
    struct digest right = { 0 };
    unsigned errors = 0;
    uint64_t seed = 7;
    same_or_error(&file, &right, &errors);
    for (int i = 0; i < flips; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = (size_t)(seed >> 20) % file.size;
        uint8_t flip = (uint8_t)(1 + (seed >> 12) % 255);
        file.bytes[at] ^= flip;
        same_or_error(&file, &right, &errors);
        file.bytes[at] ^= flip;
    }
    assert_true(errors > (unsigned)flips / 10 * 9); // What is left are the zeros between chunks.
}

// Checksums find what damage does; what somebody wants to be believed has them right.
static void lies_are_bounded(void **state)
{
    const int lies = rounds(20000);
    write_snapshot(path, 0, false);
    _cleanup_(file_deinit) struct file file = read_file(path);
    struct digest right = { 0 }, digest;
    unsigned errors = 0, refused = 0;
    uint64_t seed = 11;
    same_or_error(&file, &right, &errors);
    struct file lie = { malloc(file.size), file.size };
    for (int i = 0; i < lies; i++) {
        memcpy(lie.bytes, file.bytes, file.size);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint8_t *entry =
            snapshot_entry(lie.bytes, (unsigned)(seed >> 40) % snapshot_chunk_count(lie.bytes));
        uint64_t size = snapshot_get(entry + 16);
        if (size == 0)
            continue;
        for (unsigned k = 0; k < 1 + (seed >> 60) % 3; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            lie.bytes[snapshot_get(entry + 8) + (seed >> 20) % size] ^=
                (uint8_t)(1 + (seed >> 12) % 255);
        }
        snapshot_fix(lie.bytes);
        allocated = most_allocated = 0;
        struct lg_error *err = ask(&lie, &digest);
        assert_true(most_allocated <= base + 4 * (int64_t)file.size);
        refused += err != NULL;
        lg_error_free(err);
    }
    file_deinit(&lie);
    assert_true(refused > (unsigned)lies / 10
                && refused < (unsigned)lies); // Names and numbers may be any.
}

static void a_file_that_is_cut_while_it_is_open_is_an_error(void **state)
{
    struct lg_snapshot *snapshot = NULL;
    struct lg_picture *picture = NULL;
    uint8_t byte;
    write_snapshot(path, 0, false);
    assert_ok(lg_snapshot_open(path, &snapshot));
    struct lg_target *target = lg_snapshot_target(snapshot);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(lg_target_read(target, target->ranges.at[0].start, &byte, 1), 0);
    struct lg_error *err = lg_snapshot_damage(snapshot);
    assert_non_null(err);
    assert_non_null(strstr(lg_error_message(err), "is damaged: page "));
    lg_error_free(err);
    err = lg_snapshot_picture(snapshot, &picture);
    assert_non_null(err);
    assert_int_equal(lg_error_kind(err), LG_ERR_CORRUPT);
    assert_non_null(strstr(lg_error_message(err), "chunk PICT, "));
    assert_non_null(strstr(lg_error_message(err), "cannot be read whole"));
    lg_error_free(err);
    lg_target_free(target);
}

static void another_version_is_refused(void **state)
{
    struct lg_snapshot *snapshot = NULL;
    write_snapshot(path, 0, false);
    _cleanup_(file_deinit) struct file file = read_file(path);
    file.bytes[8] = 1;
    snapshot_fix(file.bytes);
    assert_error(lg_snapshot_of("x", file.bytes, file.size, &snapshot), LG_ERR_UNSUPPORTED,
                 "snapshot 'x' is of format version 1; this linger reads version 2");
}

// ---- memos ----

static void add_memo(struct memos *memos, uint64_t address, uint32_t length)
{
    static const uint8_t memory[] = "abcdefghijklmnopqrstuvwxyz"; // From 100 on.
    assert_true(lg_vec_push(&memos->all, (struct memo){ address, length, memory + (address - 100) }));
}

static void memos_that_overlap_lose_nothing(void **state)
{
    _cleanup_(memos_deinit) struct memos memos = { .all = { NULL } };
    char bytes[27] = "..........................";
    add_memo(&memos, 110, 4);
    add_memo(&memos, 100, 4);
    add_memo(&memos, 102, 5); // Goes on behind the one before.
    add_memo(&memos, 104, 2); // Within it.
    add_memo(&memos, 112, 8); // Twice over its end.
    add_memo(&memos, 114, 1);
    add_memo(&memos, 110, 2); // The same start.
    memos_sort(&memos);
    for (size_t i = 1; i < memos.all.len; i++)
        assert_true(memos.all.at[i].address >= memos.all.at[i - 1].address + memos.all.at[i - 1].length);
    memos_overlay(&memos, 100, (uint8_t *)bytes, 26);
    assert_string_equal(bytes, "abcdefg...klmnopqrst......");
    assert_true(memos_cover(&memos, 110, 2));
    assert_false(memos_cover(&memos, 107, 1));
}

static void where_objects_were_made_is_read_as_it_was_written(void **state)
{
    write_snapshot(path, 0, false);
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    _cleanup_(lg_made_freep) struct lg_made *written = fake_made(FAKE_MADE_START);
    const struct lg_made *made;
    struct digest right = { .hash = 1 }, digest = right;
    assert_ok(lg_session_open(session, path, &(struct lg_target_options){ 0 }));
    assert_ok(lg_session_made(session, &made));
    mix_made(&right, written);
    mix_made(&digest, made);
    assert_int_equal(digest.hash, right.hash);
    assert_ptr_equal(lg_made_find(made, FAKE_MADE_START + 3 * FAKE_MADE_STEP), &made->objects.at[3]);
    assert_null(lg_made_find(made, FAKE_MADE_START + 8));
}

static void damage_is_named(void **state)
{
    write_snapshot(path, 0, false);
    _cleanup_(file_deinit) struct file file = read_file(path);
    struct lg_snapshot *snapshot = NULL;
    file.bytes[0] ^= 1;
    assert_error(lg_snapshot_of("x", file.bytes, file.size, &snapshot), LG_ERR_UNSUPPORTED,
                 "'x' is no snapshot of linger");
    file.bytes[0] ^= 1;
    file.bytes[16] ^= 1;
    assert_error(lg_snapshot_of("x", file.bytes, file.size, &snapshot), LG_ERR_CORRUPT,
                 "snapshot 'x' is damaged: its header does not have the checksum that it should");
    file.bytes[16] ^= 1;
    char cut[100];
    snprintf(cut, sizeof(cut), "snapshot 'x' is damaged: it has %zu of %zu bytes", file.size - 1,
             file.size);
    assert_error(lg_snapshot_of("x", file.bytes, file.size - 1, &snapshot), LG_ERR_CORRUPT, cut);
    file.bytes[48] ^= 1; // HEAP is the first chunk: its first page.
    assert_ok(lg_snapshot_of("x", file.bytes, file.size, &snapshot));
    struct lg_error *err = lg_snapshot_check(snapshot);
    assert_non_null(err);
    assert_int_equal(lg_error_kind(err), LG_ERR_CORRUPT);
    assert_non_null(strstr(lg_error_message(err), "snapshot 'x' is damaged: page 0 of chunk HEAP"));
    lg_error_free(err);
    lg_target_free(lg_snapshot_target(snapshot));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_what_was_written),
        cmocka_unit_test(contents_are_there_if_asked_for),
        cmocka_unit_test(the_same_heap_gives_the_same_file),
        cmocka_unit_test(no_string_is_in_a_file_of_shapes),
        cmocka_unit_test(only_a_file_is_replaced),
        cmocka_unit_test(every_cut_is_an_error),
        cmocka_unit_test(every_changed_byte_is_found_or_changes_nothing),
        cmocka_unit_test(lies_are_bounded),
        cmocka_unit_test(a_file_that_is_cut_while_it_is_open_is_an_error),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(memos_that_overlap_lose_nothing),
        cmocka_unit_test(where_objects_were_made_is_read_as_it_was_written),
        cmocka_unit_test(damage_is_named),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
