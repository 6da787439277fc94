// Stacks with their weights for flame graphs: estimated bytes that are alive, or with -all that were
// made. Samples without a name for a frame keep the frame.
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/alloc.h"
#include "cli/take.h"

static bool ends(const char *path, const char *with)
{
    size_t n = strlen(path), m = strlen(with);
    return n >= m && strcmp(path + n - m, with) == 0;
}

bool lg_alloc_can_export(const char *path)
{
    return ends(path, ".folded") || ends(path, ".speedscope.json") || ends(path, ".pb.gz")
           || ends(path, ".nettrace") || lg_alloc_is_snapshot(path);
}

bool lg_alloc_is_snapshot(const char *path)
{
    return ends(path, ".snap");
}

static double weight_of(const struct lg_alloc_run *run, const struct lg_alloc_query *query,
                        const struct lg_alloc_site *site)
{
    return query->all || !run->is_frozen || run->why_not ? site->made_bytes : site->bytes;
}

static const char *name_of(const struct lg_alloc_frame *frame)
{
    return frame->method ? frame->method : "(unknown code)";
}

// "outermost;…;innermost;Type bytes", a line each; what parts them is replaced.
static void put_folded(FILE *out, const char *text)
{
    for (; *text; text++)
        fputc(*text == ';' ? ':' : *text == '\n' ? ' ' : *text, out);
}

// "App.Orders.Add (Orders.cs:17)"
static void put_folded_frame(FILE *out, const struct lg_alloc_frame *frame)
{
    char place[512];
    put_folded(out, name_of(frame));
    if (!frame->source.file)
        return;
    fputs(" (", out);
    put_folded(out, lg_alloc_place(frame, place, sizeof(place)));
    fputc(')', out);
}

static void write_folded(const struct lg_alloc_run *run, const struct lg_alloc_query *query,
                         const struct lg_alloc_sites *sites, FILE *out)
{
    for (size_t i = 0; i < sites->all.len; i++) {
        const struct lg_alloc_site *site = &sites->all.at[i];
        for (uint32_t n = site->stack_count; n-- > 0;) {
            put_folded_frame(out, &sites->names.frames.at[sites->stacks.at[site->stack + n]]);
            fputc(';', out);
        }
        put_folded(out, site->type ? site->type : "?");
        fprintf(out, " %.0f\n", weight_of(run, query, site));
    }
}

static void put_json(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        if ((unsigned char)*text < 0x20)
            fprintf(out, "\\u%04x", *text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

// Frames are those of the names, then one for each site's type.
static void write_speedscope(const struct lg_alloc_run *run, const struct lg_alloc_query *query,
                             const struct lg_alloc_sites *sites, FILE *out)
{
    double total = 0;
    fputs(
        "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"linger\",\n"
        "\"shared\":{\"frames\":[",
        out);
    for (size_t i = 0; i < sites->names.frames.len; i++) {
        const struct lg_alloc_frame *frame = &sites->names.frames.at[i];
        fputs(i ? ",\n{\"name\":" : "\n{\"name\":", out);
        put_json(out, name_of(frame));
        const char *file = frame->source.file ? frame->source.file : frame->module;
        if (file) {
            fputs(",\"file\":", out);
            put_json(out, file);
        }
        if (frame->source.file)
            fprintf(out, ",\"line\":%" PRIu32, frame->source.line);
        fputc('}', out);
    }
    for (size_t i = 0; i < sites->all.len; i++) {
        fputs(i || sites->names.frames.len ? ",\n{\"name\":" : "\n{\"name\":", out);
        put_json(out, sites->all.at[i].type ? sites->all.at[i].type : "?");
        fputc('}', out);
        total += weight_of(run, query, &sites->all.at[i]);
    }
    fprintf(out,
            "]},\n\"profiles\":[{\"type\":\"sampled\",\"name\":\"allocations\",\"unit\":\"bytes\","
            "\"startValue\":0,\"endValue\":%.0f,\"samples\":[",
            total);
    for (size_t i = 0; i < sites->all.len; i++) {
        const struct lg_alloc_site *site = &sites->all.at[i];
        fputs(i ? ",\n[" : "\n[", out);
        for (uint32_t n = site->stack_count; n-- > 0;)
            fprintf(out, "%" PRIu32 ",", sites->stacks.at[site->stack + n]);
        fprintf(out, "%zu]", sites->names.frames.len + i);
    }
    fputs("],\"weights\":[", out);
    for (size_t i = 0; i < sites->all.len; i++)
        fprintf(out, "%s%.0f", i ? "," : "", weight_of(run, query, &sites->all.at[i]));
    fputs("]}]}\n", out);
}

static struct lg_error *write_text(const struct lg_alloc_run *run, const struct lg_alloc_query *query,
                                   const struct lg_alloc_sites *sites, const char *path)
{
    _cleanup_(lg_new_file_freep) struct lg_new_file *out = NULL;
    struct lg_error *err = lg_new_file_create(path, &out);
    if (err)
        return err;
    if (ends(path, ".folded"))
        write_folded(run, query, sites, out->file);
    else
        write_speedscope(run, query, sites, out->file);
    return ferror(out->file) ? lg_error_os(errno, "writing '%s'", path) : lg_new_file_finish(out);
}

static struct lg_error *write_snapshot(struct lg_session *session, const struct lg_alloc_run *run,
                                       const char *path)
{
    struct lg_snapshot_figures figures;
    if (!lg_alloc_knows(run))
        return lg_error_new(LG_ERR_UNSUPPORTED, "there is nothing to write a snapshot of: %s",
                            run->why_not ? run->why_not : "a file has no memory");
    return lg_take_snapshot(session, path, &figures);
}

struct lg_error *lg_alloc_export(struct lg_session *session, struct lg_alloc_run *run,
                                 const struct lg_alloc_query *query, const char *path)
{
    struct lg_alloc_query stacks = *query;
    struct lg_alloc_sites sites = { 0 };
    bool is_pprof = ends(path, ".pb.gz");
    stacks.by = LG_ALLOC_BY_STACK;
    stacks.all |= is_pprof; // It has both.
    if (ends(path, ".nettrace"))
        return NULL; // It was written as it came.
    if (lg_alloc_is_snapshot(path))
        return write_snapshot(session, run, path);
    struct lg_error *err = lg_alloc_sites_find(session, run, &stacks, &sites);
    if (!err)
        err = is_pprof ? lg_alloc_pprof(run, &sites, path) : write_text(run, query, &sites, path);
    lg_alloc_sites_deinit(&sites);
    return err;
}
