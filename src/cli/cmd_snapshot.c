// `snapshot`: the object graph in a file, to be asked later and elsewhere.
#include <inttypes.h>

#include "cli/cmd.h"
#include "cli/limits_report.h"
#include "cli/retained.h"
#include "picture/picture.h"

static struct lg_error *check_args(const struct lg_args *args)
{
    struct lg_error *err = lg_args_expect(args, 0, 0);
    if (err || lg_args_has(args, "o"))
        return err;
    return lg_error_new(LG_ERR_USAGE, "expected '-o FILE': where to write the snapshot");
}

static struct lg_error *find_once(struct lg_session *session, struct lg_arena *arena,
                                  struct lg_summary *summary, struct lg_snapshot_source *ret)
{
    lg_vec_free(&summary->rows);
    struct lg_error *err = lg_retained_summarise(session, arena, summary);
    if (!err)
        err = lg_session_stats(session, &ret->stats, &ret->walk);
    if (!err)
        err = lg_session_roots(session, &ret->roots);
    if (!err)
        err = lg_session_graph(session, &ret->graph);
    ret->target = lg_session_target(session);
    ret->heap = lg_session_heap(session);
    ret->summary = summary;
    return err;
}

// Any of these may take another copy of a process, and then the ones before are void: all are to be of
// one.
static struct lg_error *find_all(struct lg_session *session, struct lg_arena *arena,
                                 struct lg_summary *summary, struct lg_snapshot_source *ret)
{
    enum { TRIES = 5 };
    unsigned before = 0, after = lg_session_pauses(session).count;
    struct lg_error *err = NULL;
    for (int i = 0; i < TRIES && before != after && !err; i++) {
        before = after;
        err = find_once(session, arena, summary, ret);
        after = lg_session_pauses(session).count;
    }
    if (!err && ret->graph == NULL)
        err = find_once(session, arena, summary, ret); // A core: there are no pauses.
    return err;
}

// What is told of the process around its heap. What cannot be known has a reason instead.
struct surroundings {
    struct lg_picture *picture;
    struct lg_limits limits;
    struct lg_error *no_dac, *no_picture, *no_limits;
};

static void surroundings_deinit(struct surroundings *s)
{
    lg_picture_free(s->picture);
    lg_limits_deinit(&s->limits);
    lg_error_free(s->no_dac);
    lg_error_free(s->no_picture);
    lg_error_free(s->no_limits);
}

static const char *reason(const struct lg_error *err)
{
    return err ? lg_error_message(err) : NULL;
}

static void look_around(struct lg_session *session, struct surroundings *s,
                        struct lg_snapshot_source *ret)
{
    s->no_dac = lg_session_dac(session, &ret->dac);
    s->no_picture = lg_session_picture(session, !ret->contents, &s->picture);
    s->no_limits = lg_limits_of_session(session, &s->limits);
    ret->no_dac = reason(s->no_dac);
    ret->no_picture = reason(s->no_picture);
    ret->no_limits = reason(s->no_limits);
    ret->picture = s->picture;
    ret->limits = &s->limits;
}

static void report_figures(struct lg_report *report, const char *path,
                           const struct lg_snapshot_figures *figures)
{
    char size[LG_COMMAS_SIZE], objects[LG_COMMAS_SIZE], references[LG_COMMAS_SIZE];
    lg_report_line(report, "%s: %s bytes; %s objects, %s references", path,
                   lg_commas(size, figures->size), lg_commas(objects, figures->objects),
                   lg_commas(references, figures->references));
    lg_report_fact_text(report, "file", path);
    lg_report_fact_number(report, "file_size", figures->size);
    lg_report_fact_number(report, "objects", figures->objects);
    lg_report_fact_number(report, "bytes", figures->bytes);
    lg_report_fact_number(report, "references", figures->references);
    lg_report_fact_number(report, "page_bytes", figures->page_bytes);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    const char *path = lg_args_text(args, "o");
    struct lg_snapshot_source source = { .tool = "linger " LINGER_VERSION,
                                         .contents = lg_args_has(args, "contents") };
    struct lg_snapshot_figures figures;
    struct lg_summary summary = { 0 };
    struct lg_arena arena = { 0 };
    _cleanup_(surroundings_deinit) struct surroundings surroundings = { .picture = NULL };
    struct lg_error *err = check_args(args);
    if (!err && lg_session_snapshot(session))
        err = lg_error_new(LG_ERR_USAGE, "the target is a snapshot already");
    if (!err)
        err = find_all(session, &arena, &summary, &source);
    if (!err)
        look_around(session, &surroundings, &source);
    if (!err)
        err = lg_snapshot_write(&source, path, &figures);
    lg_vec_free(&summary.rows);
    lg_arena_free(&arena);
    _cleanup_(lg_report_freep) struct lg_report *report = err ? NULL : lg_report_new("snapshot");
    if (err || !report)
        return err ? err : &lg_no_memory;
    report_figures(report, path, &figures);
    for (size_t i = 0; i < source.roots->incomplete.len; i++)
        lg_report_incomplete(report, "%s", source.roots->incomplete.at[i]);
    lg_session_report_walk(report, source.walk);
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "o", LG_OPT_TEXT, "FILE", "where to write it; takes the place of what is there" },
    { "contents", LG_OPT_FLAG, NULL, "with values of fields and strings: several times as big" },
    { 0 },
};

static const char details[] =
    "Objects, their types and references, roots with their names, the histogram and what retains\n"
    "most, in one file. Commands take it for a target, and answer as they would have then, as far\n"
    "as it goes: 'linger dumpheap FILE -stat'. Without --contents it holds no values of fields and\n"
    "no strings; names of types, fields, statics and modules it does hold. docs/format-snapshot.md\n"
    "is the format; 'info' tells what is in a file.\n"
    "\n"
    "  $ linger snapshot 4711 -o before.snap\n"
    "  before.snap: 582,288 bytes; 53,934 objects, 56,866 references";

const struct lg_command lg_cmd_snapshot = {
    .name = "snapshot",
    .usage = "[--contents] -o FILE",
    .summary = "write the object graph to a file that the other commands read like a core",
    .details = details,
    .options = options,
    .needs = LG_NEEDS_HEAP,
    .writes_file = true,
    .looks = true,
    .check = check_args,
    .run = run,
};
