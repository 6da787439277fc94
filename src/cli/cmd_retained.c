// `retained`: what each object keeps alive, exactly.
#include <inttypes.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/retained.h"

enum { TOP = 20 };

static struct lg_error *parse_by(const char *text, enum lg_retained_by *ret)
{
    static const char *const names[] = { "object", "type",   "namespace", "assembly",
                                         "static", "thread", "root",      "site" };
    *ret = LG_BY_OBJECT;
    for (unsigned i = 0; text && i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum lg_retained_by)i;
            return NULL;
        }
    }
    return text ? lg_error_new(LG_ERR_USAGE,
                               "cannot sum by '%s': expected object, type, namespace, assembly, static, "
                               "thread, root or site",
                               text)
                : NULL;
}

static struct lg_error *parse(const struct lg_args *args, struct lg_retained_query *ret)
{
    *ret = (struct lg_retained_query){
        .contains = lg_args_text(args, "type"),
        .set = lg_args_text(args, "set"),
        .tree = lg_args_number(args, "tree", 0),
        .top = lg_args_number(args, "top", TOP),
        .min = lg_args_number(args, "min", 0),
    };
    struct lg_error *err = lg_args_expect(args, 0, 0);
    if (!err)
        err = parse_by(lg_args_text(args, "by"), &ret->by);
    if (err)
        return err;
    if ((ret->set != NULL) + (lg_args_has(args, "tree") != 0) + (ret->by != LG_BY_OBJECT) > 1)
        return lg_error_new(LG_ERR_USAGE, "-by, -tree and -set are three questions: ask one at a time");
    return NULL;
}

static struct lg_error *check_args(const struct lg_args *args)
{
    struct lg_retained_query query;
    return parse(args, &query);
}

static struct lg_error *answer(const struct lg_retained *retained)
{
    if (retained->query->set)
        return lg_retained_of_set(retained);
    if (retained->query->tree)
        return lg_retained_tree(retained);
    switch (retained->query->by) {
    case LG_BY_OBJECT:
        return lg_retained_objects(retained);
    case LG_BY_TYPE:
    case LG_BY_NAMESPACE:
    case LG_BY_ASSEMBLY:
        return lg_retained_types(retained);
    case LG_BY_SITE:
        return lg_retained_sites(retained);
    default:
        return lg_retained_owners(retained);
    }
}

static void report_total(struct lg_report *report, const struct lg_summary *sum,
                         const struct lg_walk_result *walk, const struct lg_roots *roots)
{
    char count[LG_COMMAS_SIZE], size[LG_COMMAS_SIZE];
    lg_report_line(report, "%s live objects, %s bytes", lg_commas(count, sum->live_count),
                   lg_commas(size, sum->live_size));
    lg_report_fact_number(report, "live_count", sum->live_count);
    lg_report_fact_number(report, "live_size", sum->live_size);
    lg_report_fact_number(report, "guessed_count", sum->guessed);
    lg_session_report_walk(report, walk);
    for (size_t i = 0; i < roots->incomplete.len; i++)
        lg_report_incomplete(report, "%s", roots->incomplete.at[i]);
    if (sum->guessed)
        lg_report_incomplete(report,
                             "%" PRIu64 " live objects are held by words on stacks only, which may be "
                             "no references",
                             sum->guessed);
}

// By what the dominator tree tells.
static struct lg_error *compute(struct lg_retained *retained)
{
    const struct lg_reach *reach = NULL;
    const struct lg_roots *roots = NULL;
    struct lg_error *err = lg_session_retention(retained->session, &retained->retention);
    if (!err)
        err = lg_session_reach(retained->session, &reach);
    if (!err)
        err = lg_session_roots(retained->session, &roots);
    if (err)
        return err;
    retained->clr = lg_session_clr(retained->session);
    retained->heap = lg_session_heap(retained->session);
    err = answer(retained);
    struct lg_summary sum = { .live_count = retained->retention->live_count,
                              .live_size = retained->retention->live_size,
                              .guessed = reach->live_count - reach->certain_count };
    if (!err)
        report_total(retained->report, &sum, &reach->graph->walk, roots);
    return err;
}

// By what a snapshot holds of it.
static struct lg_error *look_up(struct lg_retained *retained, const struct lg_summary *summary)
{
    const struct lg_roots *roots;
    const struct lg_type_stats *stats;
    const struct lg_walk_result *walk;
    struct lg_error *err = lg_session_roots(retained->session, &roots);
    if (!err)
        err = lg_session_stats(retained->session, &stats, &walk);
    if (err)
        return err;
    retained->clr = lg_session_clr(retained->session);
    lg_retained_from_summary(retained, summary);
    report_total(retained->report, summary, walk, roots);
    return NULL;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_retained_query query;
    const struct lg_summary *summary = NULL;
    struct lg_error *err = parse(args, &query);
    if (!err)
        err = lg_session_summary(session, &summary);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("retained");
    if (!report)
        return &lg_no_memory;
    struct lg_retained retained = { .session = session, .query = &query, .report = report };
    err =
        summary && lg_retained_is_in(summary, &query) ? look_up(&retained, summary) : compute(&retained);
    if (err)
        return err;
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "top", LG_OPT_NUMBER, "N", "rows at most, the biggest first; 0: all (default 20)" },
    { "type", LG_OPT_TEXT, "TEXT", "only types (with -by: names) that contain TEXT, wherever they are" },
    { "min", LG_OPT_SIZE, "SIZE", "only what retains at least SIZE bytes" },
    { "by", LG_OPT_TEXT, "KEY",
      "sums: type, namespace, assembly; static, thread, root: what holds; site" },
    { "tree", LG_OPT_ADDRESS, "ADDR", "what the object at ADDR alone keeps alive, a level down" },
    { "set", LG_OPT_TEXT, "TEXT", "what all objects of types that contain TEXT retain together" },
    { 0 },
};

static const char details[] =
    "The retained size of an object is what would go with it: everything that no root reaches but\n"
    "through it. Sizes are exact for the roots that are known. Without options: the biggest objects\n"
    "that no other object retains, and what holds them. Follow one down with -tree.\n"
    "\n"
    "  $ linger retained 4711 -top 5\n"
    "   Retained Objects    Size      Address Class Name\n"
    "  1,600,000  50,000      32 7f9911994720 E1_Node (static Statics.Head)\n"
    "    160,048       2 160,024 7f9911c00048 D2_Loh[] (static Statics.Loh)\n"
    "     68,284   1,059      64 7f99119a54e8 System.Text.Json.Nodes.JsonArray (several roots)\n"
    "     40,024   1,001   8,024 7f991180a848 E4_Many[] (static Statics.Many)\n"
    "     35,174     470      64 7f99119a54a8 System.Text.Json.Nodes.JsonArray (several roots)\n"
    "  53,950 live objects, 2,047,424 bytes";

const struct lg_command lg_cmd_retained = {
    .name = "retained",
    .usage = "[OPTIONS]",
    .summary = "what each object, type, static or thread keeps alive: exact retained sizes",
    .details = details,
    .options = options,
    .needs = LG_NEEDS_HEAP,
    .check = check_args,
    .run = run,
};
