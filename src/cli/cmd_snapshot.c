// `snapshot`: the object graph in a file, to be asked later and elsewhere.
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "cli/cmd.h"
#include "cli/limits_report.h"
#include "cli/retained.h"
#include "cli/take.h"
#include "export/export.h"
#include "picture/picture.h"

static const char tool[] = "linger " LINGER_VERSION;

// What the end of a file's name asks for, beside a snapshot of our own.
struct format {
    const char *ending;
    lg_export *write;
    bool has_dead; // Counts what is dead, too, and may list it.
};
static const struct format formats[] = {
    { ".gcdump", lg_export_gcdump },
    { ".pb.gz", lg_export_pprof },
    { ".sqlite", lg_export_sqlite, .has_dead = true },
};

static const struct format *format_of(const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        size_t end = strlen(formats[i].ending);
        if (len > end && strcasecmp(path + len - end, formats[i].ending) == 0)
            return &formats[i];
    }
    return NULL;
}

static struct lg_error *check_args(const struct lg_args *args)
{
    struct lg_error *err = lg_args_expect(args, 0, 0);
    if (err)
        return err;
    const char *path = lg_args_text(args, "o");
    if (!path)
        return lg_error_new(LG_ERR_USAGE, "expected '-o FILE': where to write the snapshot");
    const struct format *format = format_of(path);
    if (format && lg_args_has(args, "contents"))
        return lg_error_new(LG_ERR_USAGE, "a %s holds no values: --contents is for snapshots of linger",
                            format->ending);
    if (lg_args_has(args, "all") && !(format && format->has_dead))
        return lg_error_new(LG_ERR_USAGE,
                            "--all is for .sqlite files: others hold all there is in them");
    return NULL;
}

// What is asked of a session; `export` or `snapshot` is what is written.
struct found {
    const struct format *format; // NULL: a snapshot.
    struct lg_arena arena;
    struct lg_summary summary;
    struct lg_snapshot_source snapshot;
    struct lg_export_source export;
};
static void found_deinit(struct found *found)
{
    lg_vec_free(&found->summary.rows);
    lg_arena_free(&found->arena);
}

static struct lg_error *find_for_export(struct lg_session *session, bool stats,
                                        struct lg_export_source *ret)
{
    const struct lg_walk_result *ignored; // The graph's is told.
    struct lg_error *err = stats ? lg_session_stats(session, &ret->stats, &ignored) : NULL;
    if (!err)
        err = lg_session_retention(session, &ret->retention);
    if (!err)
        err = lg_session_reach(session, &ret->reach);
    if (!err)
        err = lg_session_roots(session, &ret->roots);
    ret->target = lg_session_target(session);
    return err;
}

static struct lg_error *find_once(struct lg_session *session, struct found *found)
{
    struct lg_snapshot_source *ret = &found->snapshot;
    lg_vec_free(&found->summary.rows);
    if (found->format)
        return find_for_export(session, found->format->has_dead, &found->export);
    struct lg_error *err = lg_retained_summarise(session, &found->arena, &found->summary);
    if (!err)
        err = lg_session_stats(session, &ret->stats, &ret->walk);
    if (!err)
        err = lg_session_roots(session, &ret->roots);
    if (!err)
        err = lg_session_index(session, &ret->graph);
    if (!err)
        err = lg_session_made(session, &ret->made);
    ret->target = lg_session_target(session);
    ret->heap = lg_session_heap(session);
    ret->summary = &found->summary;
    return err;
}

// Any of these may take another copy of a process, and then the ones before are void: all are to be of
// one.
static struct lg_error *find_all(struct lg_session *session, struct found *found)
{
    enum { TRIES = 5 };
    unsigned before = 0, after = lg_session_pauses(session).count;
    struct lg_error *err = NULL;
    for (int i = 0; i < TRIES && before != after && !err; i++) {
        before = after;
        err = find_once(session, found);
        after = lg_session_pauses(session).count;
    }
    if (!err && after == 0)
        err = find_once(session, found); // A core: there are no pauses.
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
                           const struct lg_export_figures *figures)
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
}

static void report_dead(struct lg_report *report, const struct found *found,
                        const struct lg_export_figures *figures)
{
    char dead_text[LG_COMMAS_SIZE], listed_text[LG_COMMAS_SIZE];
    const char *dead = lg_commas(dead_text, figures->dead);
    const char *listed = lg_commas(listed_text, figures->listed);
    lg_report_fact_number(report, "dead", figures->dead);
    if (!found->format->has_dead) {
        lg_report_line(report, "Dead objects are left out: %s.", dead);
        return;
    }
    lg_report_fact_number(report, "listed", figures->listed);
    if (found->export.all)
        lg_report_line(report, "All objects have a row each, also those that no root reaches: %s.",
                       dead);
    else
        lg_report_line(report,
                       "%s of them have a row each: those that retain most. --all lists all, also those "
                       "that no root reaches (%s), and references.",
                       listed, dead);
}

static struct lg_error *export(struct lg_session *session, struct found *found, const char *path,
                               struct lg_report *report)
{
    struct lg_export_figures figures = { 0 };
    struct lg_error *err = find_all(session, found);
    lg_session_does(session, "writing the file");
    if (!err)
        err = found->format->write(&found->export, path, &figures);
    lg_session_does(session, NULL);
    if (err)
        return err;
    report_figures(report, path, &figures);
    report_dead(report, found, &figures);
    if (figures.clamped)
        lg_report_incomplete(report, "%" PRIu64 " objects of 2 GiB and more are in it with 2 GiB",
                             figures.clamped);
    for (size_t i = 0; i < found->export.roots->incomplete.len; i++)
        lg_report_incomplete(report, "%s", found->export.roots->incomplete.at[i]);
    lg_session_report_walk(report, &found->export.reach->graph->walk);
    return NULL;
}

// `followed`: with where its sampled objects were made, or not at all.
static struct lg_error *write_snapshot(struct lg_session *session, struct found *found, bool followed,
                                       const char *path, struct lg_snapshot_figures *ret)
{
    _cleanup_(surroundings_deinit) struct surroundings surroundings = { .picture = NULL };
    struct lg_error *err = NULL;
    if (lg_session_snapshot(session))
        err = lg_error_new(LG_ERR_USAGE, "the target is a snapshot already");
    if (!err)
        err = find_all(session, found);
    if (!err && followed && !found->snapshot.made)
        err = lg_error_new(LG_ERR_FAULT, "another copy of the process had to be taken: where objects "
                                         "were made is not known of it");
    if (!err)
        look_around(session, &surroundings, &found->snapshot);
    lg_session_does(session, "writing the file");
    if (!err)
        err = lg_snapshot_write(&found->snapshot, path, ret);
    lg_session_does(session, NULL);
    return err;
}

struct lg_error *lg_take_snapshot(struct lg_session *session, const char *path,
                                  struct lg_snapshot_figures *ret)
{
    _cleanup_(found_deinit) struct found found = { .snapshot = { .tool = tool } };
    return write_snapshot(session, &found, true, path, ret);
}

static struct lg_error *snapshot(struct lg_session *session, struct found *found, const char *path,
                                 struct lg_report *report)
{
    struct lg_snapshot_figures figures;
    struct lg_error *err = write_snapshot(session, found, false, path, &figures);
    if (err)
        return err;
    const struct lg_export_figures common = {
        .size = figures.size,
        .objects = figures.objects,
        .bytes = figures.bytes,
        .references = figures.references,
    };
    report_figures(report, path, &common);
    lg_report_fact_number(report, "page_bytes", figures.page_bytes);
    for (size_t i = 0; i < found->snapshot.roots->incomplete.len; i++)
        lg_report_incomplete(report, "%s", found->snapshot.roots->incomplete.at[i]);
    lg_session_report_walk(report, found->snapshot.walk);
    return NULL;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    const char *path = lg_args_text(args, "o");
    struct lg_error *err = check_args(args);
    if (err)
        return err;
    _cleanup_(found_deinit) struct found found = {
        .format = format_of(path),
        .snapshot = { .tool = tool, .contents = lg_args_has(args, "contents") },
        .export = { .tool = tool, .all = lg_args_has(args, "all") },
    };
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("snapshot");
    if (!report)
        return &lg_no_memory;
    err = found.format ? export(session, &found, path, report) : snapshot(session, &found, path, report);
    if (!err && lg_report_failed(report))
        err = &lg_no_memory;
    if (!err)
        *ret = lg_steal(report);
    return err;
}

static bool writes_file(const char *path)
{
    return *path != 0;
}

static const struct lg_option options[] = {
    { "o", LG_OPT_TEXT, "FILE", "where to write it; takes the place of what is there" },
    { "contents", LG_OPT_FLAG, NULL, "with values of fields and strings: several times as big" },
    { "all", LG_OPT_FLAG, NULL, "every object and reference, in a .sqlite file" },
    { 0 },
};

static const char details[] =
    "Objects, their types and references, roots with their names, the histogram and what retains\n"
    "most, in one file; also stacks with the references of their frames, finalization queues,\n"
    "domains, whose the resident memory is (vadump), bounds and GC settings (limits). Commands take it "
    "for a target, and answer as they would have then, as far\n"
    "as it goes: 'linger dumpheap FILE -stat'. Without --contents it holds no values of fields and\n"
    "no strings; names of types, fields, statics and modules it does hold. docs/format-snapshot.md\n"
    "is the format; 'info' tells what is in a file.\n"
    "\n"
    "A FILE that ends in .gcdump becomes one that PerfView and Visual Studio open: what is alive, its\n"
    "references and roots. Such files, of dotnet-gcdump too, are targets as well (docs/exports.md).\n"
    "One that ends in .pb.gz becomes a heap profile for pprof, by dominator path, and one that ends in\n"
    ".sqlite a database: types, roots, who holds what, and the objects that retain most, or with --all\n"
    "every object and reference; in views that answer the common questions.\n"
    "\n"
    "  $ linger snapshot 4711 -o before.snap\n"
    "  before.snap: 582,288 bytes; 53,934 objects, 56,866 references";

const struct lg_command lg_cmd_snapshot = {
    .name = "snapshot",
    .usage = "[--contents] [--all] -o FILE",
    .summary = "write the object graph to a file that the other commands read like a core",
    .details = details,
    .options = options,
    .needs = LG_NEEDS_HEAP,
    .writes_file = writes_file,
    .looks = true,
    .check = check_args,
    .run = run,
};
