// `clrstack`: the managed stacks of all threads, and where in them references are.
#include <inttypes.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/source_lines.h"
#include "cli/support.h"
#include "util/cancel.h"

enum { NAME_KEPT = 1024 };

static const struct lg_column ref_columns[] = {
    { "place", "", LG_CELL_TEXT },     { "slot", "", LG_CELL_ADDRESS }, { "value", "", LG_CELL_ADDRESS },
    { "object", "", LG_CELL_ADDRESS }, { "mt", "", LG_CELL_ADDRESS },   { "type", "", LG_CELL_TEXT },
    { "interior", "", LG_CELL_BOOL },  { "pinned", "", LG_CELL_BOOL },
};
static const struct lg_column frame_columns[] = {
    { "sp", "", LG_CELL_ADDRESS },       { "ip", "", LG_CELL_ADDRESS },
    { "frame", "", LG_CELL_ADDRESS },    { "kind", "", LG_CELL_TEXT },
    { "method", "", LG_CELL_TEXT },      { "method_desc", "", LG_CELL_ADDRESS },
    { "il", "", LG_CELL_COUNT },         { "file", "", LG_CELL_TEXT },
    { "line", "", LG_CELL_COUNT },       { "no_line", "", LG_CELL_TEXT },
    { "references", "", LG_CELL_TABLE },
};
static const struct lg_column thread_columns[] = {
    { "os_id", "OSID", LG_CELL_COUNT },      { "managed_id", "ID", LG_CELL_COUNT },
    { "thread", "THREAD", LG_CELL_ADDRESS }, { "name", "NAME", LG_CELL_TEXT },
    { "missing", "MISSING", LG_CELL_TEXT },  { "frames", "FRAMES", LG_CELL_TABLE },
};
static const struct lg_table_spec ref_spec = LG_TABLE_SPEC("references", ref_columns, 0);
static const struct lg_table_spec frame_spec = LG_TABLE_SPEC("frames", frame_columns, 0);
static const struct lg_table_spec thread_spec =
    LG_TABLE_SPEC("threads", thread_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

struct printer {
    struct lg_report *report;
    struct lg_heap *heap;
    struct lg_clr *clr;
    struct lg_session *session;
    struct lg_table *table;
    struct lg_dac *dac; // NULL: a snapshot has its stacks from one, and not its code
    struct lg_source_lines lines;
    bool refs;
};

static void cell_address(struct lg_table *table, uint64_t address)
{
    if (address)
        lg_cell_number(table, address);
    else
        lg_cell_null(table);
}

// ---- references ----

// The object that a reference leads to. Null, and what leads outside the heap, is none.
static bool find_object(const struct printer *printer, const struct lg_dac_ref *ref,
                        struct lg_object *object)
{
    if (!ref->object || !lg_heap_segment_at(printer->heap, ref->object))
        return false;
    return ref->is_interior ? lg_heap_object_containing(printer->heap, ref->object, object)
                            : lg_heap_object_at(printer->heap, ref->object, object);
}

static void write_ref(const struct printer *printer, const struct lg_dac_ref *ref,
                      const struct lg_object *object)
{
    char slot[32] = "";
    if (ref->slot)
        snprintf(slot, sizeof(slot), "%016" PRIx64, ref->slot);
    lg_report_line(printer->report, "        %s%s%s", ref->place[0] ? ref->place : "slot",
                   ref->slot ? ": " : ":", slot);
    lg_report_line(printer->report, "          -> %012" PRIx64 "     %s%s%s",
                   object ? object->address : ref->object,
                   object ? lg_clr_type_name(printer->clr, object->type) : "",
                   ref->is_interior ? " (interior)" : "", ref->is_pinned ? " (pinned)" : "");
}

static void add_ref(const struct printer *printer, struct lg_table *table, const struct lg_dac_ref *ref,
                    const struct lg_object *object)
{
    lg_cell_text(table, ref->place[0] ? ref->place : NULL);
    cell_address(table, ref->slot);
    lg_cell_number(table, ref->object);
    cell_address(table, object ? object->address : 0);
    cell_address(table, object ? object->type->mt : 0);
    lg_cell_name(table, object ? lg_clr_type_name(printer->clr, object->type) : NULL);
    lg_cell_bool(table, ref->is_interior);
    lg_cell_bool(table, ref->is_pinned);
}

static void report_refs(const struct printer *printer, struct lg_table *frames,
                        const struct lg_dac_stack *stack, size_t frame)
{
    struct lg_table *table = lg_cell_table(frames, &ref_spec);
    for (size_t i = 0; i < stack->refs.len; i++) {
        const struct lg_dac_ref *ref = &stack->refs.at[i];
        struct lg_object object;
        if (ref->frame != frame || !ref->object)
            continue;
        bool found = find_object(printer, ref, &object);
        write_ref(printer, ref, found ? &object : NULL);
        add_ref(printer, table, ref, found ? &object : NULL);
    }
}

// ---- frames ----

struct place {
    struct lg_source_line line;
    uint32_t il; // UINT32_MAX: not known
};

// Where a frame stands: a return address is behind its call. The innermost one, and one that was
// interrupted, stand at what comes next.
static bool is_at_next(const struct lg_dac_stack *stack, size_t i)
{
    static const char *const kinds[] = { "FaultingExceptionFrame", "ResumableFrame",
                                         "RedirectedThreadFrame", "SoftwareExceptionFrame" };
    if (i == 0)
        return true;
    const char *before = stack->frames.at[i - 1].kind;
    for (size_t k = 0; before && k < sizeof(kinds) / sizeof(*kinds); k++) {
        if (strcmp(before, kinds[k]) == 0)
            return true;
    }
    return false;
}

// The runtime's own Frames are of no line, nor is native code.
static struct lg_error *find_place(struct printer *printer, const struct lg_dac_stack *stack, size_t i,
                                   struct place *ret)
{
    const struct lg_dac_frame *frame = &stack->frames.at[i];
    struct lg_dac_origin origin;
    *ret = (struct place){ .il = UINT32_MAX };
    if (frame->frame || !frame->method)
        return NULL;
    ret->line.why_not = "a snapshot keeps none";
    if (!printer->dac)
        return NULL;
    struct lg_error *err =
        lg_dac_origin(printer->dac, frame->method, frame->ip - !is_at_next(stack, i), &origin);
    enum lg_error_kind kind = err ? lg_error_kind(err) : LG_ERR_OS;
    if (err && kind != LG_ERR_CORRUPT && kind != LG_ERR_UNSUPPORTED)
        return err;
    if (err) { // What the frames are is known all the same.
        ret->line.why_not = "the DAC fails at it";
        lg_error_free(err);
        return NULL;
    }
    ret->il = origin.il;
    ret->line.why_not = "the runtime tells no IL offset of it";
    if (origin.il == UINT32_MAX)
        return NULL;
    const struct lg_module *module = lg_clr_module(printer->clr, origin.module);
    const struct lg_source_module where = { .address = origin.module,
                                            .path = module ? module->path : NULL };
    ret->line = lg_source_line(&printer->lines, &where, origin.token, origin.il);
    return NULL;
}

// The runtime's own Frames are in brackets; SOS prints what belongs to them in lower case.
static void write_frame(const struct printer *printer, const struct lg_dac_frame *frame,
                        const struct lg_source_line *line)
{
    char place[4200] = "";
    if (line->file)
        snprintf(place, sizeof(place), " [%s @ %u]", line->file, line->line);
    if (frame->frame)
        lg_report_line(printer->report, "%016" PRIX64 " %016" PRIx64 " [%s: %016" PRIx64 "] %s",
                       frame->sp, frame->ip, frame->kind ? frame->kind : "Frame", frame->frame,
                       frame->name ? frame->name : "");
    else
        lg_report_line(printer->report, "%016" PRIX64 " %016" PRIX64 " %s%s", frame->sp, frame->ip,
                       frame->name ? frame->name : "<unknown>", place);
}

static void cell_place(struct lg_table *table, const struct place *place)
{
    if (place->il != UINT32_MAX)
        lg_cell_number(table, place->il);
    else
        lg_cell_null(table);
    lg_cell_text(table, place->line.file);
    if (place->line.file)
        lg_cell_number(table, place->line.line);
    else
        lg_cell_null(table);
    lg_cell_text(table, place->line.why_not);
}

static struct lg_error *report_frame(struct printer *printer, struct lg_table *table,
                                     const struct lg_dac_stack *stack, size_t i)
{
    const struct lg_dac_frame *frame = &stack->frames.at[i];
    struct place place;
    struct lg_error *err = find_place(printer, stack, i, &place);
    if (err)
        return err;
    // What is called before the first managed frame has no method and no Frame: native code.
    write_frame(printer, frame, &place.line);
    lg_cell_number(table, frame->sp);
    lg_cell_number(table, frame->ip);
    cell_address(table, frame->frame);
    lg_cell_name(table, frame->kind);
    lg_cell_text(table, frame->name);
    cell_address(table, frame->method);
    cell_place(table, &place);
    if (printer->refs)
        report_refs(printer, table, stack, i);
    else
        lg_cell_null(table);
    return NULL;
}

// ---- threads ----

static void begin_thread(const struct printer *printer, const struct lg_managed_thread *thread,
                         const char *missing)
{
    lg_report_line(printer->report, "OS Thread Id: 0x%" PRIx32, thread->os_id);
    lg_cell_number(printer->table, thread->os_id);
    lg_cell_number(printer->table, thread->id);
    lg_cell_number(printer->table, thread->address);
    _cleanup_free_ char *name = lg_thread_name(printer->clr, thread, NAME_KEPT);
    lg_cell_text(printer->table, name);
    lg_cell_text(printer->table, missing);
    if (missing)
        lg_report_incomplete(printer->report, "thread 0x%" PRIx32 ": %s", thread->os_id, missing);
}

static struct lg_error *report_stack(struct printer *printer, const struct lg_managed_thread *thread,
                                     const struct lg_dac_stack *stack)
{
    struct lg_error *err = NULL;
    begin_thread(printer, thread, stack->cut);
    struct lg_table *table = lg_cell_table(printer->table, &frame_spec);
    if (stack->frames.len > 0)
        lg_report_line(printer->report, "        Child SP               IP Call Site");
    for (size_t i = 0; i < stack->frames.len && !err; i++)
        err = report_frame(printer, table, stack, i);
    return err;
}

static struct lg_error *report_thread(struct printer *printer, const struct lg_managed_thread *thread)
{
    _cleanup_(lg_told_stack_deinit) struct lg_told_stack told = { .missing = NULL };
    unsigned wanted = LG_DAC_FRAMES | (printer->refs ? LG_DAC_REFS : 0);
    struct lg_error *err = lg_session_stack(printer->session, thread, wanted, &told);
    if (err)
        return err;
    if (!told.missing)
        return report_stack(printer, thread, &told.stack);
    begin_thread(printer, thread, told.missing); // The others may well have theirs.
    lg_cell_table(printer->table, &frame_spec);
    return NULL;
}

static struct lg_error *report_threads(struct printer *printer, const struct lg_args *args)
{
    const struct lg_managed_thread *threads;
    size_t count, shown = 0;
    uint64_t only = lg_args_number(args, "thread", 0);
    struct lg_error *err = lg_clr_threads(printer->clr, &threads, &count);
    printer->table = lg_report_table(printer->report, &thread_spec);
    for (size_t i = 0; i < count && !err; i++) {
        if (lg_managed_thread_is_gone(&threads[i]) || (only && threads[i].os_id != only))
            continue;
        err = report_thread(printer, &threads[i]);
        shown++;
        if (!err && lg_cancelled())
            err = &lg_was_cancelled;
    }
    if (!err && only && shown == 0)
        err = lg_error_new(LG_ERR_NOT_FOUND, "no managed thread 0x%" PRIx64 "; 'clrstack' lists them",
                           only);
    return err;
}

static struct lg_error *check_args(const struct lg_args *args)
{
    return lg_args_expect(args, 0, 0);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    const char *dac;
    struct lg_error *err = lg_session_stacks_by(session, &dac);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("clrstack");
    if (!report)
        return &lg_no_memory;
    struct printer printer = { .report = report,
                               .heap = lg_session_heap(session),
                               .clr = lg_session_clr(session),
                               .session = session,
                               .refs = lg_args_has(args, "gc") };
    struct lg_target *target = lg_clr_target(printer.clr);
    printer.lines.clr = printer.clr;
    printer.lines.pid = target->kind == LG_TARGET_PROCESS ? target->pid : 0;
    lg_report_fact_text(report, "dac", dac);
    lg_report_nameless(report, printer.clr, "threads");
    if (!lg_session_snapshot(session))
        err = lg_session_dac(session, &printer.dac);
    if (!err)
        err = report_threads(&printer, args);
    lg_source_lines_deinit(&printer.lines);
    if (err)
        return err;
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "gc", LG_OPT_FLAG, NULL, "with each frame's references: where they are, and to what" },
    { "thread", LG_OPT_ADDRESS, "OSID", "only this thread, as the runtime numbers it (hex)" },
    { "all", LG_OPT_FLAG, NULL, NULL }, // SOS's word for what happens anyway.
    { 0 },
};

static const char details[] =
    "Frames of managed methods, the innermost first, and in brackets the runtime's own between them.\n"
    "-gc adds where each frame keeps references, as the JIT described it: a slot beside a register,\n"
    "or a register. An interior one leads into an object.\n"
    "\n"
    "It takes the runtime's own libmscordaccore.so, which must be beside it, or be named by --dac;\n"
    "it runs in a process of its own that can neither open files nor reach the network.\n"
    "\n"
    "  $ linger clrstack 3370 -gc -thread d34\n"
    "  OS Thread Id: 0xd34\n"
    "          Child SP               IP Call Site\n"
    "  00007F5A8A1FCB50 00007f67000a3f16 [InlinedCallFrame: 00007f5a8a1fcb50]\n"
    "  00007F5A8A1FCB40 00007F6680AAA7F1 System.Threading.Thread.Sleep(Int32)\n"
    "  00007F5A8A1FCBE0 00007F668189768E Threads.Wait(A4_Local) [/_/tests/e2e/apps/Roots/Threads.cs @ "
    "43]\n"
    "          rbp-8: 00007f5a8a1fcbe8\n"
    "            -> 7f5aa99a6318     A4_Local\n"
    "  ...";

const struct lg_command lg_cmd_clrstack = {
    .name = "clrstack",
    .usage = "[-gc] [-thread OSID]",
    .summary = "the managed stacks of all threads",
    .details = details,
    .options = options,
    .beyond_graph = "stacks",
    .needs = LG_NEEDS_HEAP,
    .without_objects = true,
    .check = check_args,
    .run = run,
};
