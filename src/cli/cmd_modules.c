// `modules`: every image in the process, native and managed, with where it lies and what it is.
//
// Text is that of SOS: base, size, path. `-v` adds what tells one build from another.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/load_contexts.h"
#include "target/image.h"

static const struct lg_column module_columns[] = {
    { "base", "", LG_CELL_ADDRESS },     { "size", "", LG_CELL_BYTES },
    { "path", "", LG_CELL_TEXT },        { "managed", "", LG_CELL_BOOL },
    { "build_id", "", LG_CELL_TEXT },    { "module", "", LG_CELL_ADDRESS },
    { "assembly", "", LG_CELL_ADDRESS }, { "dynamic", "", LG_CELL_BOOL },
    { "collectible", "", LG_CELL_BOOL }, { "load_context", "", LG_CELL_TEXT },
};
static const struct lg_table_spec module_spec =
    LG_TABLE_SPEC("modules", module_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

struct entry {
    uint64_t base, size;
    const char *path;
    uint8_t id[LG_BUILD_ID_MAX];
    size_t id_len;
    const struct lg_module *managed; // NULL: native
};
struct listing {
    struct lg_clr *clr;
    struct lg_report *report;
    LG_VEC(struct entry) all;
    const char *name; // Only paths that contain it; NULL: all.
    bool verbose, failed;
};
static void listing_deinit(struct listing *listing)
{
    lg_vec_free(&listing->all);
}

static void add(struct listing *listing, struct entry entry)
{
    if (!listing->name || strstr(entry.path, listing->name))
        listing->failed |= !lg_vec_push(&listing->all, entry);
}

static bool add_image(const struct lg_image *image, void *data)
{
    struct listing *listing = data;
    struct entry entry = { .base = image->base,
                           .size = image->end > image->base ? image->end - image->base : 0,
                           .path = image->path };
    entry.id_len = lg_image_build_id(image, entry.id);
    add(listing, entry);
    return listing->failed;
}

static struct lg_error *add_managed(struct listing *listing)
{
    const struct lg_module *const *modules;
    size_t count;
    struct lg_error *err = lg_clr_modules(listing->clr, &modules, &count);
    for (size_t i = 0; !err && i < count; i++) {
        const struct lg_module *m = modules[i];
        add(listing, (struct entry){ .base = m->image_base,
                                     .size = m->image_size,
                                     .path = *m->path ? m->path : m->name,
                                     .managed = m });
    }
    return err;
}

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    uint64_t m = x->managed ? x->managed->address : 0, n = y->managed ? y->managed->address : 0;
    return m < n ? -1 : m > n;
}

static void write_text(struct listing *listing, size_t number, const struct entry *entry, const char *id,
                       const char *context)
{
    struct lg_report *report = listing->report;
    const char *path = *entry->path ? entry->path : "(Dynamic)";
    if (!listing->verbose) {
        lg_report_line(report, "%016" PRIX64 " %08" PRIX64 " %s", entry->base, entry->size, path);
        return;
    }
    lg_report_line(report, "%zu %s", number, path);
    lg_report_line(report, "    Address:         %016" PRIX64, entry->base);
    lg_report_line(report, "    ImageSize:       %08" PRIX64, entry->size);
    lg_report_line(report, "    IsManaged:       %s", entry->managed ? "True" : "False");
    if (!entry->managed) {
        lg_report_line(report, "    BuildId:         %s", *id ? id : "<none>");
        return;
    }
    lg_report_line(report, "    Module:          %016" PRIx64, entry->managed->address);
    lg_report_line(report, "    Assembly:        %016" PRIx64, entry->managed->assembly);
    lg_report_line(report, "    IsCollectible:   %s", entry->managed->is_collectible ? "True" : "False");
    lg_report_line(report, "    LoadContext:     %s", context ? context : "<unknown>");
}

static void add_row(struct lg_table *table, const struct entry *entry, const char *id,
                    const char *context)
{
    const struct lg_module *m = entry->managed;
    lg_cell_number(table, entry->base);
    lg_cell_number(table, entry->size);
    lg_cell_text(table, *entry->path ? entry->path : NULL);
    lg_cell_bool(table, m != NULL);
    lg_cell_text(table, *id ? id : NULL);
    if (m) {
        lg_cell_number(table, m->address);
        lg_cell_number(table, m->assembly);
        lg_cell_bool(table, m->is_dynamic);
        lg_cell_bool(table, m->is_collectible);
    } else {
        for (int i = 0; i < 4; i++)
            lg_cell_null(table);
    }
    lg_cell_text(table, context);
}

static void report_entries(struct listing *listing)
{
    struct lg_table *table = lg_report_table(listing->report, &module_spec);
    for (size_t i = 0; i < listing->all.len; i++) {
        const struct entry *entry = &listing->all.at[i];
        char id[2 * LG_BUILD_ID_MAX + 1] = "";
        for (size_t k = 0; k < entry->id_len; k++)
            snprintf(id + 2 * k, 3, "%02x", entry->id[k]);
        _cleanup_free_ char *context =
            entry->managed ? lg_context_of_module(listing->clr, entry->managed->address) : NULL;
        write_text(listing, i, entry, id, context);
        add_row(table, entry, id, context);
    }
}

static struct lg_error *check_args(const struct lg_args *args)
{
    return lg_args_expect(args, 0, 0);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("modules");
    if (!report)
        return &lg_no_memory;
    _cleanup_(listing_deinit) struct listing listing = { .clr = lg_session_clr(session),
                                                         .report = report,
                                                         .name = lg_args_text(args, "name"),
                                                         .verbose = lg_args_has(args, "v") };
    lg_images_each(lg_session_target(session), add_image, &listing);
    struct lg_error *err = add_managed(&listing);
    if (err)
        return err;
    if (listing.all.len)
        qsort(listing.all.at, listing.all.len, sizeof(*listing.all.at), compare);
    report_entries(&listing);
    if (listing.failed || lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "name", LG_OPT_TEXT, "TEXT", "only images whose path contains TEXT" },
    { "v", LG_OPT_FLAG, NULL, "also build-id, module, assembly and load context" },
    { 0 },
};

static const char details[] = "Base address, size in hex, path. Managed assemblies are those the "
                              "runtime has loaded; their images\n"
                              "may lie in the middle of a single file.\n"
                              "\n"
                              "  $ linger modules 4711 -name Plugins\n"
                              "  000055BE61618000 000157E4 /app/Plugins\n"
                              "  00007FCF5121E000 00002800 /app/Plugins.dll\n"
                              "  00007FCF5121E000 00002800 /app/Plugins.dll\n"
                              "  00007FCF5121E000 00002800 /app/Plugins.dll\n"
                              "  00007FCF5121E000 00002800 /app/Plugins.dll";

const struct lg_command lg_cmd_modules = {
    .name = "modules",
    .usage = "[-name TEXT] [-v]",
    .summary = "the images in the process, native and managed",
    .details = details,
    .options = options,
    .beyond_graph = "modules as they were loaded",
    .needs = LG_NEEDS_HEAP,
    .without_objects = true,
    .check = check_args,
    .run = run,
};
