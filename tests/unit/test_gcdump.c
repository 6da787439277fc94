// .gcdump files: of a made-up runtime with objects, read back, and damaged in every way.
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/session.h"
#include "export/export.h"
#include "snapshot/checksum.h"
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

static char path[] = "/tmp/linger-test-gcdump.XXXXXX";

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

static struct file write_dump(unsigned flags, struct lg_export_figures *ret)
{
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    struct lg_export_source source = { .tool = "test" };
    assert_ok(lg_session_use_dac(session, "none"));
    assert_ok(lg_session_adopt(session, fake_runtime_with_objects(flags)));
    assert_ok(lg_session_retention(session, &source.retention));
    assert_ok(lg_session_reach(session, &source.reach));
    assert_ok(lg_session_roots(session, &source.roots));
    source.target = lg_session_target(session);
    assert_ok(lg_export_gcdump(&source, path, ret));
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    struct file file = { malloc((size_t)st.st_size), (size_t)st.st_size };
    assert_int_equal(read(fd, file.bytes, file.size), file.size);
    close(fd);
    return file;
}

// What is to be known of a dump, in one number.
struct digest {
    struct lg_heap *heap;
    uint64_t hash, objects, references;
};

static void mix_reference(void *self, uint64_t offset, uint64_t to)
{
    struct digest *digest = self;
    digest->hash = lg_checksum_step(digest->hash, to);
    digest->references++;
}

static bool mix_object(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct digest *digest = self;
    if (object->type->flags & LG_TYPE_FREE)
        return true;
    const char *name = lg_clr_type_name(lg_heap_clr(digest->heap), object->type);
    digest->hash = lg_checksum_step(digest->hash, object->address);
    digest->hash = lg_checksum_step(digest->hash, object->size);
    digest->hash = lg_checksum_step(digest->hash, lg_checksum(name, strlen(name)));
    lg_heap_references(digest->heap, object, mix_reference, digest);
    digest->objects++;
    return true;
}

// Everything is asked: an answer, or an error.
static struct lg_error *ask(const struct file *file, struct digest *ret)
{
    struct lg_snapshot *snapshot;
    struct lg_walk_result walk;
    struct lg_clr *clr = NULL;
    struct lg_heap *heap = NULL;
    struct lg_roots *roots = NULL;
    struct lg_error *err = lg_snapshot_of("x", file->bytes, file->size, &snapshot);
    if (err)
        return err;
    *ret = (struct digest){ .hash = 1 };
    err = lg_snapshot_clr(snapshot, &clr);
    if (!err)
        err = lg_heap_open(clr, &heap);
    ret->heap = heap;
    if (!err)
        err = lg_heap_walk(heap, NULL, mix_object, ret, &walk);
    if (!err)
        assert_true(lg_walk_is_exact(&walk)); // Whatever is in it: what was opened is a whole heap.
    if (!err)
        err = lg_snapshot_roots(snapshot, clr, &roots);
    for (size_t i = 0; !err && i < roots->all.len; i++)
        ret->hash = lg_checksum_step(ret->hash, roots->all.at[i].object + roots->all.at[i].kind);
    lg_roots_free(roots);
    lg_heap_free(heap);
    lg_clr_free(clr);
    lg_target_free(lg_snapshot_target(snapshot));
    return err;
}

static void what_is_read_is_what_was_written(void **state)
{
    static const unsigned flags[] = { 0, FAKE_SERVER_GC, FAKE_SEGMENTS_GC };
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        struct lg_export_figures figures;
        struct digest digest;
        _cleanup_(file_deinit) struct file file = write_dump(flags[i], &figures);
        assert_ok(ask(&file, &digest));
        assert_true(digest.objects > 10);
        assert_int_equal(digest.objects, figures.objects);
        assert_true(digest.references <= figures.references); // Those of handles are no object's.
        assert_int_equal(file.size, figures.size);
    }
}

static void every_cut_is_an_error(void **state)
{
    struct lg_export_figures figures;
    struct digest digest;
    _cleanup_(file_deinit) struct file file = write_dump(0, &figures);
    for (size_t size = 0; size < file.size; size++) {
        // A copy that ends where its memory does: reading behind the end is found.
        struct file cut = { malloc(size ? size : 1), size };
        memcpy(cut.bytes, file.bytes, size);
        struct lg_error *err = ask(&cut, &digest);
        assert_non_null(err);
        assert_true(strlen(lg_error_message(err)) > 0);
        lg_error_free(err);
        file_deinit(&cut);
    }
}

// There are no checksums in it: what is changed is an error, or another heap, but a whole one.
static void whatever_is_changed_stays_a_heap_or_is_an_error(void **state)
{
    struct lg_export_figures figures;
    struct digest digest;
    uint64_t random = 88172645463325252;
    unsigned errors = 0, answers = 0;
    _cleanup_(file_deinit) struct file file = write_dump(0, &figures);
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        size_t at = random % file.size;
        uint8_t before = file.bytes[at];
        file.bytes[at] ^= (uint8_t)(1 + (random >> 40) % 255);
        struct lg_error *err = ask(&file, &digest);
        errors += err != NULL;
        answers += !err;
        lg_error_free(err);
        file.bytes[at] = before;
    }
    assert_true(errors > 100 && answers > 100);
}

// ---- made up ----

struct made {
    LG_VEC(uint8_t) bytes;
};

static void add(struct made *made, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        assert_true(lg_vec_push(&made->bytes, ((const uint8_t *)bytes)[i]));
}

static void add_u8(struct made *made, uint8_t value)
{
    add(made, &value, 1);
}

static void add_u32(struct made *made, uint32_t value)
{
    add(made, &value, sizeof(value));
}

static void add_u64(struct made *made, uint64_t value)
{
    add(made, &value, sizeof(value));
}

static void add_text(struct made *made, const char *text)
{
    add_u32(made, (uint32_t)strlen(text));
    add(made, text, strlen(text));
}

static void add_begin(struct made *made, const char *type, uint32_t version, uint32_t min_reader)
{
    add(made, "\4\4\1", 3);
    add_u32(made, version);
    add_u32(made, min_reader);
    add_text(made, type);
    add_u8(made, 6);
}

static void add_type(struct made *made, const char *name, uint32_t size)
{
    add_text(made, name);
    add_u32(made, size);
    add_u32(made, UINT32_MAX);
}

// One object with many references, all to the one behind it, and others of its type that have none but
// are of 2 GiB, as they say.
static struct made make_huge(uint32_t children, uint32_t others)
{
    const uint32_t size = 0x7ffffff8;
    struct made made = { 0 }, blob = { 0 };
    LG_VEC(uint32_t) offsets = { 0 };
    const uint8_t undefined[] = { 0, 0 }, root[] = { 1 << 1, 1, 1 };
    add(&blob, undefined, sizeof(undefined));
    assert_true(lg_vec_push(&offsets, (uint32_t)blob.bytes.len));
    add(&blob, root, sizeof(root));
    for (uint32_t i = 0; i <= others; i++) {
        uint32_t count = i == 0 ? children : 0;
        assert_true(lg_vec_push(&offsets, (uint32_t)blob.bytes.len));
        add_u8(&blob, 2 << 1);
        for (int shift = 28; shift > 0; shift -= 7)
            add_u8(&blob, (uint8_t)(count >> shift | 0x80));
        add_u8(&blob, count & 0x7f);
        for (uint32_t k = 0; k < count; k++)
            add_u8(&blob, 1);
    }
    add(&made, "\x14\0\0\0!FastSerialization.1", 24);
    add_begin(&made, "GCHeapDump", 10, 8);
    add_begin(&made, "Graphs.MemoryGraph", 1, 0);
    add_u64(&made, 0);
    add_u32(&made, 0);
    add_u32(&made, 3);
    add_type(&made, "UNDEFINED", UINT32_MAX);
    add_type(&made, "[.NET Roots]", 0);
    add_type(&made, "Huge", size);
    add_u32(&made, (uint32_t)offsets.len);
    add(&made, offsets.at, offsets.len * sizeof(*offsets.at));
    add_u32(&made, (uint32_t)blob.bytes.len);
    add(&made, blob.bytes.at, blob.bytes.len);
    add_u32(&made, (uint32_t)offsets.len);
    for (uint64_t i = 0; i < offsets.len; i++)
        add_u64(&made, i ? (i << 31) + (UINT64_C(1) << 40) : 0);
    add(&made, "\x08\1\6\1", 4);
    add(&made, "\0\0\x80\x3f\0\0\x80\x3f\1\1", 10);
    for (int i = 0; i < 3; i++) {
        add_text(&made, "");
        if (i == 0)
            add_u64(&made, 0);
    }
    add_u32(&made, 1);
    add_u64(&made, 0);
    add_u64(&made, 0);
    add_u32(&made, 0);
    add(&made, "\x0c\0\0\0\0\1\x0d", 7);
    add_text(&made, "made up");
    add(&made, "\6\6", 2);
    uint32_t table = (uint32_t)made.bytes.len;
    add_u32(&made, 0);
    uint32_t last = (uint32_t)made.bytes.len;
    add_u32(&made, table);
    add_u32(&made, last);
    lg_vec_free(&blob.bytes);
    lg_vec_free(&offsets);
    return made;
}

// What a file of a megabyte says of its objects' sizes does not make reading it take days.
static void huge_objects_with_room_for_everything_are_refused(void **state)
{
    struct lg_snapshot *snapshot;
    struct made few = make_huge(1000, 10), many = make_huge(1 << 20, 1 << 14);
    assert_ok(lg_snapshot_of("few", few.bytes.at, few.bytes.len, &snapshot));
    assert_int_equal(lg_snapshot_about(snapshot)->figures.objects, 11);
    assert_int_equal(lg_snapshot_about(snapshot)->figures.references, 1000);
    lg_target_free(lg_snapshot_target(snapshot));
    assert_error(lg_snapshot_of("many", many.bytes.at, many.bytes.len, &snapshot), LG_ERR_CORRUPT,
                 "'many' is damaged: its objects have room for far more references than it tells of");
    lg_vec_free(&few.bytes);
    lg_vec_free(&many.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_what_was_written),
        cmocka_unit_test(every_cut_is_an_error),
        cmocka_unit_test(whatever_is_changed_stays_a_heap_or_is_an_error),
        cmocka_unit_test(huge_objects_with_room_for_everything_are_refused),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
