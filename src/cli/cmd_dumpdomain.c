// `dumpdomain`: the AppDomain's assemblies. Text is that of SOS (reference sos-outputs/dumpdomain.txt);
// an assembly that is not in the default load context says in which it is.
#include <inttypes.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/load_contexts.h"

static const struct lg_column assembly_columns[] = {
    { "assembly", "ASSEMBLY", LG_CELL_ADDRESS },
    { "module", "MODULE", LG_CELL_ADDRESS },
    { "path", "PATH", LG_CELL_TEXT },
    { "dynamic", "DYNAMIC", LG_CELL_BOOL },
    { "collectible", "COLLECTIBLE", LG_CELL_BOOL },
    { "load_context", "LOAD_CONTEXT", LG_CELL_TEXT },
};
static const struct lg_table_spec assembly_spec =
    LG_TABLE_SPEC("assemblies", assembly_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

static void report_heaps(struct lg_report *report, const struct lg_domain *domain)
{
    lg_report_line(report, "LowFrequencyHeap:   %016" PRIX64, domain->low_frequency_heap);
    lg_report_line(report, "HighFrequencyHeap:  %016" PRIX64, domain->high_frequency_heap);
    lg_report_line(report, "StubHeap:           %016" PRIX64, domain->stub_heap);
}

static void report_domains(struct lg_report *report, const struct lg_domain *domain)
{
    lg_report_line(report, "%s", "--------------------------------------");
    lg_report_line(report, "System Domain:      %016" PRIx64, domain->system_domain);
    report_heaps(report, domain);
    lg_report_line(report, "%s", "--------------------------------------");
    lg_report_line(report, "Domain 1:           %016" PRIx64, domain->address);
    report_heaps(report, domain);
    lg_report_line(report, "Name:               %s",
                   domain->name && *domain->name ? domain->name : "None");
    lg_report_fact_address(report, "system_domain", domain->system_domain);
    lg_report_fact_address(report, "domain", domain->address);
    lg_report_fact_text(report, "name", domain->name);
}

static void report_assembly(struct lg_report *report, struct lg_table *table,
                            const struct lg_module *module, const char *path, const char *context)
{
    lg_report_line(report, "Assembly:           %016" PRIx64 "%s [%s]", module->assembly,
                   module->is_dynamic ? " (Dynamic)" : "", path);
    if (context && strcmp(context, "Default") != 0)
        lg_report_line(report, "LoadContext:        %s", context);
    lg_report_line(report, "%s", "  Module");
    lg_report_line(report, "  %016" PRIx64 "    %s", module->address,
                   module->is_dynamic ? "Dynamic Module" : path);
    lg_report_line(report, "%s", "");
    lg_cell_number(table, module->assembly);
    lg_cell_number(table, module->address);
    lg_cell_text(table, *path ? path : NULL);
    lg_cell_bool(table, module->is_dynamic);
    lg_cell_bool(table, module->is_collectible);
    lg_cell_text(table, context);
}

static struct lg_error *check_args(const struct lg_args *args)
{
    return lg_args_expect(args, 0, 0);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_clr *clr = lg_session_clr(session);
    const struct lg_module *const *modules;
    struct lg_domain domain;
    size_t count;
    struct lg_error *err = lg_clr_modules(clr, &modules, &count);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("dumpdomain");
    if (!report)
        return &lg_no_memory;
    lg_clr_domain(clr, &domain);
    report_domains(report, &domain);
    struct lg_table *table = lg_report_table(report, &assembly_spec);
    for (size_t i = 0; i < count; i++) {
        const char *path = *modules[i]->path ? modules[i]->path : modules[i]->name;
        _cleanup_free_ char *context = lg_context_of_module(clr, modules[i]->address);
        report_assembly(report, table, modules[i], path, context);
    }
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const char details[] =
    "An assembly that is not in the default load context says in which it is "
    "(LoadContext); dumpalc has\n"
    "more about those.\n"
    "\n"
    "  $ linger dumpdomain 4711\n"
    "  --------------------------------------\n"
    "  System Domain:      00007fcf50acce00\n"
    "  LowFrequencyHeap:   00007FCF50ACCE20\n"
    "  HighFrequencyHeap:  00007FCF50ACCE98\n"
    "  StubHeap:           00007FCF50ACCF10\n"
    "  --------------------------------------\n"
    "  Domain 1:           000055be8d6f5860\n"
    "  LowFrequencyHeap:   00007FCF50ACCE20\n"
    "  StubHeap:           00007FCF50ACCF10\n"
    "  Name:               clrhost\n"
    "  Assembly:           000055be8d71fdd0 "
    "[/usr/share/dotnet/shared/Microsoft.NETCore.App/10.0.12/System.Private.CoreLib.dll]\n"
    "    Module\n"
    "  …\n"
    "  Assembly:           000055be8d730f40 [/app/Plugins.dll]\n"
    "  LoadContext:        leaky\n"
    "    Module\n"
    "    00007fced27ac010    /app/Plugins.dll";

const struct lg_command lg_cmd_dumpdomain = {
    .name = "dumpdomain",
    .usage = "",
    .summary = "the assemblies, and the load context that each is in",
    .details = details,
    .beyond_graph = "domains",
    .needs = LG_NEEDS_HEAP,
    .without_objects = true,
    .check = check_args,
    .run = run,
};
