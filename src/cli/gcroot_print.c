// What `gcroot` and `pathto` say of paths: as SOS has it (reference sos-commands.md 4.1), with sections
// of our own for statics, and with each hop's field or element. A path through a list of a thousand
// nodes is told in a few lines; JSON has all of it.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/gcroot.h"
#include "cli/load_contexts.h"
#include "util/cancel.h"

enum { NAME_SHOWN = 64, NAME_KEPT = 1024 }; // Chars of a thread's name: in text, in JSON.

static const struct lg_column hop_columns[] = {
    { "address", "", LG_CELL_ADDRESS },   { "mt", "", LG_CELL_ADDRESS },
    { "type", "", LG_CELL_TEXT },         { "field", "", LG_CELL_TEXT },
    { "link", "", LG_CELL_TEXT },         { "skipped", "", LG_CELL_COUNT },
    { "load_context", "", LG_CELL_TEXT }, { "meaning", "", LG_CELL_TEXT },
};
static const struct lg_column root_columns[] = {
    { "kind", "KIND", LG_CELL_TEXT },
    { "slot", "SLOT", LG_CELL_ADDRESS },
    { "name", "NAME", LG_CELL_TEXT },
    { "thread", "THREAD", LG_CELL_COUNT },
    { "thread_name", "THREAD_NAME", LG_CELL_TEXT },
    { "frame", "FRAME", LG_CELL_TEXT },
    { "place", "PLACE", LG_CELL_TEXT },
    { "register", "REGISTER", LG_CELL_TEXT },
    { "interior", "INTERIOR", LG_CELL_BOOL },
    { "conservative", "CONSERVATIVE", LG_CELL_BOOL },
    { "words", "WORDS", LG_CELL_COUNT },
    { "length", "LENGTH", LG_CELL_COUNT },
    { "path", "PATH", LG_CELL_TABLE },
};
const struct lg_table_spec lg_path_spec =
    LG_TABLE_SPEC("path", hop_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);
static const struct lg_table_spec root_spec =
    LG_TABLE_SPEC("roots", root_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

struct printer {
    struct lg_report *report;
    struct lg_clr *clr;
    struct lg_table *table;
};

// ---- text ----

static const char *type_name(const struct printer *printer, const struct lg_hop *hop)
{
    return hop->object.type ? lg_clr_type_name(printer->clr, hop->object.type) : "<unknown>";
}

static const char *handle_name(enum lg_root_kind kind)
{
    switch (kind) {
    case LG_ROOT_PINNED:
        return "pinned";
    case LG_ROOT_ASYNC_PINNED:
        return "async pinned";
    case LG_ROOT_SIZED_REF:
        return "sized ref";
    case LG_ROOT_REFCOUNTED:
        return "ref counted";
    default:
        return "strong";
    }
}

static void write_title(const struct printer *printer, const struct lg_chain *chain)
{
    static const char *const titles[] = {
        [LG_SECTION_STATICS] = "Statics:",
        [LG_SECTION_THREAD_STATICS] = "Thread statics:",
        [LG_SECTION_HANDLES] = "HandleTable:",
        [LG_SECTION_FINALIZER] = "Finalizer Queue:",
    };
    if (chain->section == LG_SECTION_THREAD && !chain->root->thread)
        lg_report_line(printer->report, "Unknown thread:"); // Of a .gcdump.
    else if (chain->section == LG_SECTION_THREAD)
        lg_report_line(printer->report, "Thread %" PRIx32 ":", chain->root->thread->os_id);
    else
        lg_report_line(printer->report, "%s", titles[chain->section]);
}

// "thread 1a2c 'worker'"
static void describe_thread(const struct printer *printer, const struct lg_managed_thread *thread,
                            char *buf, size_t size)
{
    _cleanup_free_ char *name = thread ? lg_thread_name(printer->clr, thread, NAME_SHOWN) : NULL;
    if (!thread)
        snprintf(buf, size, "unknown thread");
    else
        snprintf(buf, size, "thread %" PRIx32 "%s%s%s", thread->os_id, name ? " '" : "",
                 name ? name : "", name ? "'" : "");
}

// What is in brackets behind the address of the root.
static void describe(const struct printer *printer, const struct lg_chain *chain, char *buf, size_t size)
{
    const struct lg_root *root = chain->root;
    char thread[300];
    describe_thread(printer, root->thread, thread, sizeof(thread));
    switch (chain->section) {
    case LG_SECTION_STATICS:
        snprintf(buf, size, "static %s", root->name ? root->name : "without a name");
        return;
    case LG_SECTION_THREAD_STATICS:
        snprintf(buf, size, "%s%s, %s", root->name ? "thread static " : "thread static table",
                 root->name ? root->name : "", thread);
        return;
    case LG_SECTION_HANDLES:
        snprintf(buf, size, "%s handle", handle_name(root->kind));
        return;
    case LG_SECTION_FINALIZER:
        snprintf(buf, size, "finalizer root");
        return;
    case LG_SECTION_THREAD:
        break;
    }
    const char *what = root->kind == LG_ROOT_FRAME   ? root->name ? root->name : "of the thread itself"
                       : root->slot || !root->thread ? "stack"
                                                     : "register";
    int len = snprintf(buf, size, "%s%s, %s", what, root->conservative ? ", conservative" : "", thread);
    if (chain->others && len > 0 && (size_t)len < size)
        snprintf(buf + len, size - (size_t)len, ", and %" PRIu32 " more words", chain->others);
}

// As SOS has it: the frame, then where in it.
static void write_in_frame(const struct printer *printer, const struct lg_root *root,
                           const struct lg_root *before)
{
    if (!root->thread) { // Of a .gcdump: the method is all there is.
        lg_report_line(printer->report, "    %s", root->frame);
        return;
    }
    if (!before || before->thread != root->thread || before->sp != root->sp || before->ip != root->ip)
        lg_report_line(printer->report, "    %012" PRIx64 " %012" PRIx64 " %s", root->sp, root->ip,
                       root->frame);
    const char *flags = root->is_interior && root->is_pinned ? " (interior, pinned)"
                        : root->is_interior                  ? " (interior)"
                        : root->is_pinned                    ? " (pinned)"
                                                             : "";
    if (root->kind == LG_ROOT_FRAME)
        lg_report_line(printer->report, "        (the method that is being run)");
    else if (root->slot)
        lg_report_line(printer->report, "        %s: %016" PRIx64 "%s",
                       root->place ? root->place : "slot", root->slot, flags);
    else
        lg_report_line(printer->report, "        %s:%s", root->place ? root->place : "register", flags);
}

static void write_root(const struct printer *printer, const struct lg_chain *chain,
                       const struct lg_chain *before)
{
    const struct lg_root *root = chain->root;
    if (root->frame) {
        write_in_frame(printer, root, before ? before->root : NULL);
        return;
    }
    char what[1024];
    describe(printer, chain, what, sizeof(what));
    if (!root->slot && root->name)
        lg_report_line(printer->report, "    %-16s (%s)", root->name, what);
    else
        lg_report_line(printer->report, "    %016" PRIx64 " (%s)", root->slot, what);
}

// The field or element that leads to the next: "[_items]", "[17]", "[3].value".
static void bracket(const struct lg_hop *hop, char *buf, size_t size)
{
    buf[0] = 0;
    if (hop->has_link && hop->link == LG_LINK_FIELD)
        snprintf(buf, size, " [%s]", hop->label);
    else if (hop->has_link && hop->link == LG_LINK_ELEMENT)
        snprintf(buf, size, " %s", hop->label);
}

static void write_hop(const struct printer *printer, const struct lg_path *path, size_t i)
{
    const struct lg_hop *hop = &path->hops.at[i], *before = i > 0 ? hop - 1 : NULL;
    char extra[600];
    bracket(hop, extra, sizeof(extra));
    bool by_handle = before && before->has_link && before->link == LG_LINK_DEPENDENT;
    bool by_loader = before && before->has_link && before->link == LG_LINK_LOADER;
    _cleanup_free_ char *name =
        hop->object.type ? lg_context_of_type(printer->clr, hop->object.type) : NULL;
    const char *means = hop->meaning;
    lg_report_line(printer->report, "          -> %012" PRIx64 "     %s%s%s%s%s%s%s%s%s%s",
                   hop->object.address, type_name(printer, hop), by_handle ? " (dependent handle)" : "",
                   by_loader ? " (loader allocator)" : "", extra, means ? " (" : "", means ? means : "",
                   means ? ")" : "", name ? " (load context " : "", name ? name : "", name ? ")" : "");
}

static bool same_hop(const void *self, size_t a, size_t b)
{
    const struct lg_path *path = self;
    const struct lg_hop *x = &path->hops.at[a], *y = &path->hops.at[b];
    if (x->object.type != y->object.type || x->has_link != y->has_link
        || (x->has_link && x->link != y->link))
        return false;
    return x->label == y->label || (x->label && y->label && strcmp(x->label, y->label) == 0);
}

// "… 996 more of Node [next] …"
static void write_repeated(const struct printer *printer, const struct lg_path *path,
                           const struct lg_repeat *repeat, uint64_t objects)
{
    char text[1024] = "";
    size_t len = 0;
    for (size_t i = repeat->start; i < repeat->start + repeat->period && len < sizeof(text); i++) {
        char extra[600];
        bracket(&path->hops.at[i], extra, sizeof(extra));
        int n = snprintf(text + len, sizeof(text) - len, "%s%s%s", i > repeat->start ? ", " : "",
                         type_name(printer, &path->hops.at[i]), extra);
        len += n > 0 ? (size_t)n : 0;
    }
    lg_report_line(printer->report, "             … %" PRIu64 " more of %s …", objects, text);
}

static uint64_t skipped_in(const struct lg_path *path, size_t from, size_t to)
{
    uint64_t skipped = 0;
    for (size_t i = from; i < to; i++)
        skipped += path->hops.at[i].skipped;
    return skipped;
}

// A run of equal hops: the first round, how many follow, and the last round.
static size_t write_run(const struct printer *printer, const struct lg_path *path,
                        const struct lg_repeat *repeat)
{
    size_t end = repeat->start + repeat->period * repeat->times;
    size_t middle = repeat->start + repeat->period, last = end - repeat->period;
    for (size_t i = repeat->start; i < middle; i++)
        write_hop(printer, path, i);
    uint64_t skipped = skipped_in(path, repeat->start, end);
    write_repeated(printer, path, repeat, last - middle + skipped);
    for (size_t i = last; i < end; i++)
        write_hop(printer, path, i);
    return end;
}

void lg_path_write(struct lg_report *report, struct lg_clr *clr, const struct lg_path *path)
{
    const struct printer of_path = { .report = report, .clr = clr }, *printer = &of_path;
    for (size_t i = 0; i < path->hops.len;) {
        struct lg_repeat repeat = lg_repeat_at(i, path->hops.len, same_hop, path);
        if (repeat.times > 0) {
            i = write_run(printer, path, &repeat);
            continue;
        }
        write_hop(printer, path, i);
        if (path->hops.at[i].skipped)
            lg_report_line(printer->report, "             … %" PRIu64 " more objects …",
                           path->hops.at[i].skipped);
        i++;
    }
    lg_report_line(printer->report, "%s", "");
}

// ---- JSON ----

static void cell_text_if(struct lg_table *table, bool known, const char *text)
{
    if (known)
        lg_cell_text(table, text);
    else
        lg_cell_null(table);
}

void lg_path_add(struct lg_table *table, struct lg_clr *clr, const struct lg_path *path)
{
    for (size_t i = 0; i < path->hops.len; i++) {
        const struct lg_hop *hop = &path->hops.at[i];
        bool is_place = hop->has_link && (hop->link == LG_LINK_FIELD || hop->link == LG_LINK_ELEMENT);
        lg_cell_number(table, hop->object.address);
        if (hop->object.type)
            lg_cell_number(table, hop->object.type->mt);
        else
            lg_cell_null(table);
        lg_cell_name(table, hop->object.type ? lg_clr_type_name(clr, hop->object.type) : NULL);
        cell_text_if(table, is_place, hop->label);
        if (hop->has_link)
            lg_cell_name(table, lg_link_name(hop->link));
        else
            lg_cell_null(table);
        lg_cell_number(table, hop->skipped);
        _cleanup_free_ char *context =
            hop->object.type ? lg_context_of_type(clr, hop->object.type) : NULL;
        lg_cell_text(table, context);
        lg_cell_text(table, hop->meaning);
    }
}

static void add_root(const struct printer *printer, const struct lg_chain *chain,
                     const struct lg_path *path)
{
    struct lg_table *table = printer->table;
    const struct lg_root *root = chain->root;
    bool is_register = root->kind == LG_ROOT_STACK && !root->slot;
    lg_cell_name(table, lg_root_kind_name(root->kind));
    if (root->slot)
        lg_cell_number(table, root->slot);
    else
        lg_cell_null(table);
    cell_text_if(table, root->name && !is_register, root->name);
    if (root->thread)
        lg_cell_number(table, root->thread->os_id);
    else
        lg_cell_null(table);
    _cleanup_free_ char *thread =
        root->thread ? lg_thread_name(printer->clr, root->thread, NAME_KEPT) : NULL;
    lg_cell_text(table, thread);
    cell_text_if(table, root->frame != NULL, root->frame);
    cell_text_if(table, root->place != NULL, root->place);
    cell_text_if(table, is_register, root->name);
    lg_cell_bool(table, root->is_interior);
    lg_cell_bool(table, root->conservative);
    lg_cell_number(table, chain->others + 1);
    lg_cell_number(table, chain->hops);
    lg_path_add(lg_cell_table(table, &lg_path_spec), printer->clr, path);
}

// ---- all of it ----

static struct lg_error *report_chain(const struct printer *printer, struct lg_path_reader *reader,
                                     const struct lg_chain *chain, const struct lg_chain *before,
                                     uint64_t *skipped)
{
    _cleanup_(lg_path_deinit) struct lg_path path = { 0 };
    struct lg_error *err = lg_path_read(reader, chain, &path);
    if (err)
        return err;
    bool is_new =
        !before || before->section != chain->section
        || (chain->section == LG_SECTION_THREAD && before->root->thread != chain->root->thread);
    if (is_new)
        write_title(printer, chain);
    write_root(printer, chain, before);
    lg_path_write(printer->report, printer->clr, &path);
    add_root(printer, chain, &path);
    *skipped += skipped_in(&path, 0, path.hops.len);
    return NULL;
}

struct lg_error *lg_chains_report(struct lg_report *report, const struct lg_heap_graph *graph,
                                  const struct lg_paths *paths, const struct lg_chains *chains,
                                  uint64_t limit)
{
    _cleanup_(lg_path_reader_deinit) struct lg_path_reader reader = { .graph = graph, .paths = paths };
    const struct printer printer = { report, lg_heap_clr(graph->heap),
                                     lg_report_table(report, &root_spec) };
    size_t len = chains->all.len, shown = limit && limit < len ? (size_t)limit : len;
    uint64_t skipped = 0; // Objects left out of all paths.
    for (size_t i = 0; i < shown; i++) {
        struct lg_error *err = report_chain(&printer, &reader, &chains->all.at[i],
                                            i > 0 ? &chains->all.at[i - 1] : NULL, &skipped);
        if (!err && lg_cancelled())
            err = &lg_was_cancelled;
        if (err)
            return err;
    }
    lg_report_truncated(report, "roots", len - shown);
    lg_report_truncated(report, "path", skipped);
    return NULL;
}
