// Any bytes in the place of any part of a snapshot, with checksums that agree: opening is refused, or
// all that can be asked is answered within bounds.
//
//     u8 where | edit | edit | …      edit: u8 chunk, u16 offset, u8 how many, that many bytes
//
// The snapshot that is edited is that of a made-up runtime (fake_objects.h), made once. `where` bit 0:
// the file is cut behind the last edit, and its size set to what is left. What checksums find is
// test_snapshot.c's; here they are made right again, so that what lies behind them is reached.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/limits_report.h"
#include "cli/retained.h"
#include "cli/session.h"
#include "limits/limits.h"
#include "picture/picture.h"
#include "snapshot/snapshot.h"
#include "support/fake_made.h"
#include "support/fake_objects.h"
#include "support/snapshot_fix.h"
#include "util/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

// ---- the file ----

static uint8_t *original;
static size_t original_size;

static void must_do(struct lg_error *err)
{
    if (err)
        fprintf(stderr, "%s\n", lg_error_message(err));
    must(!err);
}

static void load(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &st) == 0);
    original_size = (size_t)st.st_size;
    original = malloc(original_size);
    must(original && read(fd, original, original_size) == (ssize_t)original_size);
    close(fd);
}

static void make_original(void)
{
    char path[] = "/tmp/linger-fuzz-snapshot.XXXXXX";
    int fd = mkstemp(path);
    struct lg_session *session = lg_session_new();
    struct lg_picture *picture = NULL;
    struct lg_limits limits = { .arena = { NULL } };
    struct lg_snapshot_source source = { .tool = "fuzz", .no_dac = "none", .limits = &limits };
    struct lg_snapshot_figures figures;
    struct lg_summary summary = { 0 };
    struct lg_arena arena = { 0 };
    must(fd >= 0 && session);
    close(fd);
    must_do(lg_session_use_dac(session, "none"));
    must_do(lg_session_adopt(session, fake_runtime_with_objects(0)));
    must_do(lg_retained_summarise(session, &arena, &summary));
    must_do(lg_session_stats(session, &source.stats, &source.walk));
    must_do(lg_session_roots(session, &source.roots));
    must_do(lg_session_graph(session, &source.graph));
    source.target = lg_session_target(session);
    source.heap = lg_session_heap(session);
    source.summary = &summary;
    must_do(lg_session_picture(session, true, &picture));
    must_do(lg_limits_of_session(session, &limits));
    source.picture = picture;
    struct lg_made *made = fake_made(FAKE_MADE_START);
    must(made);
    source.made = made;
    must_do(lg_snapshot_write(&source, path, &figures));
    lg_made_free(made);
    load(path);
    unlink(path);
    lg_vec_free(&summary.rows);
    lg_picture_free(picture);
    lg_limits_deinit(&limits);
    lg_arena_free(&arena);
    lg_session_free(session);
}

// ---- edits ----

static void edit(uint8_t *file, struct lg_reader *r)
{
    uint32_t count = snapshot_chunk_count(file);
    while (lg_reader_left(r) >= 4) {
        uint8_t *chunk = snapshot_entry(file, lg_read_u8(r) % count);
        uint64_t size = snapshot_get(chunk + 16), offset = lg_read_u16(r), len = lg_read_u8(r);
        offset = size ? offset % size : 0;
        len = len < lg_reader_left(r) ? len : lg_reader_left(r);
        const uint8_t *bytes = lg_read_bytes(r, len);
        memcpy(file + snapshot_get(chunk + 8) + offset, bytes,
               len < size - offset ? len : size - offset);
    }
}

// A chunk that is shorter than it was.
static void shorten(uint8_t *file, uint8_t how)
{
    uint32_t count = snapshot_chunk_count(file);
    uint8_t *chunk = snapshot_entry(file, how / 2 % count);
    snapshot_put(chunk + 16, snapshot_get(chunk + 16) / 2);
}

// ---- asking ----

static void count_reference(void *self, uint64_t offset, uint64_t target)
{
    (void)offset;
    (void)target;
    ++*(uint64_t *)self;
}

struct walked {
    struct lg_heap *heap;
    uint64_t references, end;
};

static bool see(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct walked *walked = self;
    must(object->address >= segment->start && object->address < segment->end);
    must(object->address >= walked->end || object->address < segment->start);
    walked->end = object->address + object->size;
    lg_heap_references(walked->heap, object, count_reference, &walked->references);
    return true;
}

// All of it is there, in order, and nothing outside is spoken of.
static void ask_made(struct lg_snapshot *snapshot)
{
    struct lg_made *made = NULL;
    lg_error_free(lg_snapshot_made(snapshot, &made));
    for (size_t i = 0; made && i < made->sites.len; i++) {
        const struct lg_made_site *site = &made->sites.at[i];
        must(site->own <= site->count);
        for (uint32_t k = 0; k < site->count; k++)
            must(made->stacks.at[site->stack + k] < made->frames.len);
    }
    for (size_t i = 0; made && i < made->objects.len; i++) {
        const struct lg_made_object *object = &made->objects.at[i];
        must(object->site < made->sites.len && object->share > 0 && object->share <= 1);
        must(i == 0 || object->address > object[-1].address);
        must(lg_made_find(made, object->address) == object);
    }
    lg_made_free(made);
}

static struct lg_error *ask(struct lg_snapshot *snapshot, struct lg_clr *clr, struct lg_heap *heap)
{
    struct lg_type_stats stats = { 0 };
    struct lg_walk_result walk;
    struct lg_roots *roots = NULL;
    struct lg_heap_graph *graph = NULL;
    const struct lg_summary *summary;
    struct lg_picture *picture = NULL;
    struct lg_limits limits = { .arena = { NULL } };
    const char *dac;
    struct walked walked = { .heap = heap };
    struct lg_error *err = lg_heap_walk(heap, NULL, see, &walked, &walk);
    if (!err)
        err = lg_snapshot_stats(snapshot, clr, &stats, &walk);
    if (!err)
        err = lg_snapshot_roots(snapshot, clr, &roots);
    if (!err)
        err = lg_snapshot_summary(snapshot, &summary);
    ask_made(snapshot);
    lg_error_free(lg_snapshot_dac(snapshot, &dac));
    lg_error_free(lg_snapshot_limits(snapshot, &limits));
    lg_limits_deinit(&limits);
    lg_error_free(lg_snapshot_picture(snapshot, &picture));
    for (size_t i = 0; picture && i < picture->parts.len; i++) {
        const struct lg_part *part = &picture->parts.at[i];
        must(part->owner->name && picture->mappings.all.at[part->mapping].path);
    }
    lg_picture_free(picture);
    if (!err)
        err = lg_heap_graph_build(heap, LG_GRAPH_FORWARD, &graph);
    if (!err)
        must_do(lg_graph_check(graph->forward));
    for (uint32_t id = 0; id < lg_clr_type_count(clr); id++)
        must(lg_clr_type_name(clr, lg_clr_type_at(clr, id)) != NULL);
    lg_heap_graph_free(graph);
    lg_roots_free(roots);
    lg_type_stats_deinit(&stats);
    return err;
}

static struct lg_error *open_and_ask(const uint8_t *file)
{
    struct lg_snapshot *snapshot;
    struct lg_clr *clr = NULL;
    struct lg_heap *heap = NULL;
    struct lg_error *err = lg_snapshot_of("x", file, original_size, &snapshot);
    if (err)
        return err;
    err = lg_snapshot_clr(snapshot, &clr);
    if (!err)
        err = lg_heap_open(clr, &heap);
    if (!err)
        err = ask(snapshot, clr, heap);
    lg_heap_free(heap);
    lg_clr_free(clr);
    lg_target_free(lg_snapshot_target(snapshot));
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lg_reader r = lg_reader(data, size);
    if (!original)
        make_original();
    uint8_t *file = malloc(original_size);
    must(file);
    memcpy(file, original, original_size);
    uint8_t how = lg_read_u8(&r);
    edit(file, &r);
    if (how & 1)
        shorten(file, how);
    snapshot_fix(file);
    struct lg_error *err = open_and_ask(file);
    must(size > 0 || !err); // Without edits it is a snapshot.
    lg_error_free(err);
    free(file);
    return 0;
}
