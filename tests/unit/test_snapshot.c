// Snapshots: of a made-up runtime with objects, read back, damaged in every way, and told lies.
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/retained.h"
#include "cli/session.h"
#include "snapshot/checksum.h"
#include "snapshot/chunks.h"
#include "snapshot/snapshot.h"
#include "support/fake_objects.h"

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
    struct lg_snapshot_source source = { .tool = "test", .contents = contents };
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
    assert_ok(lg_snapshot_write(&source, path, &figures));
    assert_int_equal(figures.objects, source.walk->objects);
    assert_int_equal(figures.references, source.graph->reversed->edge_count);
    assert_ok(digest_session(session, &digest)); // By now every type is known that the file has.
    lg_vec_free(&summary.rows);
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

// Opens bytes as a snapshot and asks everything: the same answer, or an error. Counts errors.
static void same_or_error(const struct file *file, const struct digest *right, unsigned *errors)
{
    struct lg_snapshot *snapshot;
    struct lg_type_stats stats = { 0 };
    struct lg_walk_result walk;
    const struct lg_summary *summary;
    struct digest digest = { .hash = 1 };
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    _cleanup_(lg_heap_freep) struct lg_heap *heap = NULL;
    _cleanup_(lg_roots_freep) struct lg_roots *roots = NULL;
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
    if (!err) {
        mix_types(&digest, clr, &stats);
        mix_roots(&digest, roots);
        mix(&digest, walk.objects);
        mix(&digest, summary->live_size);
        err = lg_snapshot_damage(snapshot);
    }
    if (!err && right->hash)
        assert_int_equal(digest.hash, right->hash);
    *errors += err != NULL;
    if (err)
        assert_true(strlen(lg_error_message(err)) > 0);
    if (!err && !right->hash)
        ((struct digest *)right)->hash = digest.hash;
    lg_error_free(err);
    lg_type_stats_deinit(&stats);
    lg_roots_free(lg_steal(roots));
    lg_heap_free(lg_steal(heap));
    lg_clr_free(lg_steal(clr));
    lg_target_free(target);
}

static void every_cut_is_an_error(void **state)
{
    write_snapshot(path, 0, false);
    _cleanup_(file_deinit) struct file file = read_file(path);
    const struct digest right = { 0 };
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
    enum { FLIPS = 100000 };
    write_snapshot(path, 0, false);
    _cleanup_(file_deinit) struct file file = read_file(path);
    const struct digest right = { 0 };
    unsigned errors = 0;
    uint64_t seed = 7;
    same_or_error(&file, &right, &errors);
    for (int i = 0; i < FLIPS; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = (size_t)(seed >> 20) % file.size;
        uint8_t flip = (uint8_t)(1 + (seed >> 12) % 255);
        file.bytes[at] ^= flip;
        same_or_error(&file, &right, &errors);
        file.bytes[at] ^= flip;
    }
    assert_true(errors > FLIPS * 9 / 10); // What is left are the zeros between chunks.
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
        cmocka_unit_test(damage_is_named),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
