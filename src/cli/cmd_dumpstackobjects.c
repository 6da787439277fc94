// `dumpstackobjects`: every word on a stack, and every register, that is the address of an object.
//
// Needs no DAC, and says more than is certain: such a word may be left over (clrstack -gc is exact).
#include <inttypes.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/support.h"
#include "heap/window.h"
#include "util/cancel.h"

static const struct lg_column object_columns[] = {
    { "slot", "", LG_CELL_ADDRESS }, { "register", "", LG_CELL_TEXT }, { "object", "", LG_CELL_ADDRESS },
    { "mt", "", LG_CELL_ADDRESS },   { "type", "", LG_CELL_TEXT },
};
static const struct lg_column thread_columns[] = {
    { "os_id", "OSID", LG_CELL_COUNT },
    { "managed_id", "ID", LG_CELL_COUNT },
    { "objects", "OBJECTS", LG_CELL_TABLE },
};
static const struct lg_table_spec object_spec = LG_TABLE_SPEC("objects", object_columns, 0);
static const struct lg_table_spec thread_spec =
    LG_TABLE_SPEC("threads", thread_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

struct listing {
    struct lg_report *report;
    struct lg_heap *heap;
    struct lg_clr *clr;
    struct lg_table *threads, *objects;
    struct window window;
};

// `slot` 0: in the register of that name.
static void add_word(struct listing *l, uint64_t word, uint64_t slot, const char *name)
{
    struct lg_object object;
    // What was collected may still look like an object, in memory that is free by now.
    if (!lg_heap_segment_at(l->heap, word) || !lg_heap_object_at(l->heap, word, &object)
        || !lg_heap_object_containing(l->heap, word, &object) || object.address != word
        || object.type->flags & LG_TYPE_FREE)
        return;
    const char *type = lg_clr_type_name(l->clr, object.type);
    if (slot)
        lg_report_line(l->report, "    %012" PRIx64 "     %012" PRIx64 " %s", slot, word, type);
    else
        lg_report_line(l->report, "%16s     %012" PRIx64 " %s", name, word, type);
    if (slot)
        lg_cell_number(l->objects, slot);
    else
        lg_cell_null(l->objects);
    lg_cell_name(l->objects, name);
    lg_cell_number(l->objects, word);
    lg_cell_number(l->objects, object.type->mt);
    lg_cell_name(l->objects, type);
}

static void list_words(struct listing *l, const struct lg_managed_thread *thread)
{
    for (unsigned i = 0; i < LG_REGISTERS; i++) {
        const char *name = lg_target_register_name(lg_clr_target(l->clr), i);
        if (name)
            add_word(l, thread->thread->registers[i], 0, name);
    }
    uint64_t slot = (thread->stack_low + 7) & ~UINT64_C(7);
    for (; slot < thread->stack_high && thread->stack_high - slot >= 8 && !lg_cancelled(); slot += 8) {
        const uint8_t *bytes = window_at(&l->window, slot, 8, thread->stack_high);
        uint64_t word;
        if (!bytes) {
            lg_report_incomplete(l->report,
                                 "the stack of thread 0x%" PRIx32 " ends at 0x%" PRIx64
                                 ", before its mapping does",
                                 thread->os_id, slot);
            return;
        }
        memcpy(&word, bytes, sizeof(word));
        add_word(l, word, slot, NULL);
    }
    if (thread->stack_is_cut)
        lg_report_incomplete(l->report,
                             "the stack of thread 0x%" PRIx32 " was searched up to 0x%" PRIx64 " only",
                             thread->os_id, thread->stack_high);
}

static void list_thread(struct listing *l, const struct lg_managed_thread *thread)
{
    bool known = thread->thread && thread->thread->has_registers && thread->stack_high;
    if (thread->thread)
        lg_report_line(l->report, "OS Thread Id: 0x%" PRIx32 " (%zu)", thread->os_id,
                       (size_t)(thread->thread - lg_clr_target(l->clr)->threads.at));
    else
        lg_report_line(l->report, "OS Thread Id: 0x%" PRIx32, thread->os_id);
    lg_cell_number(l->threads, thread->os_id);
    lg_cell_number(l->threads, thread->id);
    l->objects = lg_cell_table(l->threads, &object_spec);
    if (!known) {
        lg_report_incomplete(l->report, "thread 0x%" PRIx32 ": its registers or its stack are not known",
                             thread->os_id);
        return;
    }
    lg_report_line(l->report, "          SP/REG           Object Name");
    list_words(l, thread);
}

static struct lg_error *list(struct listing *l, uint64_t only)
{
    const struct lg_managed_thread *threads;
    size_t count, shown = 0;
    struct lg_error *err = lg_clr_threads(l->clr, &threads, &count);
    l->threads = lg_report_table(l->report, &thread_spec);
    for (size_t i = 0; i < count && !err && !lg_cancelled(); i++) {
        if (lg_managed_thread_is_gone(&threads[i]) || (only && threads[i].os_id != only))
            continue;
        list_thread(l, &threads[i]);
        shown++;
    }
    if (!err && lg_cancelled())
        err = &lg_was_cancelled;
    if (!err && only && shown == 0)
        err = lg_error_new(LG_ERR_NOT_FOUND, "no managed thread 0x%" PRIx64 "; 'clrthreads' lists them",
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
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("dumpstackobjects");
    if (!report)
        return &lg_no_memory;
    struct listing listing = { .report = report,
                               .heap = lg_session_heap(session),
                               .clr = lg_session_clr(session) };
    struct lg_error *err = window_init(&listing.window, lg_session_target(session));
    if (!err)
        err = list(&listing, lg_args_number(args, "thread", 0));
    window_deinit(&listing.window);
    if (!err)
        *ret = lg_steal(report);
    return err;
}

static const struct lg_option options[] = {
    { "thread", LG_OPT_ADDRESS, "OSID", "only this thread, as the runtime numbers it (hex)" },
    { "verify", LG_OPT_FLAG, NULL, "accepted for habit's sake: only objects are listed anyway" },
    { 0 },
};

static const char details[] =
    "A word may be left over from a call that has returned: clrstack -gc tells what is in use.\n"
    "\n"
    "  $ linger dso 3370 -thread d34\n"
    "  OS Thread Id: 0xd34 (18)\n"
    "            SP/REG           Object Name\n"
    "      7f5a8a1fcbe8     7f5aa99a6318 A4_Local\n"
    "  ...";

const struct lg_command lg_cmd_dumpstackobjects = {
    .name = "dumpstackobjects",
    .alias = "dso",
    .usage = "[-thread OSID]",
    .summary = "the words on each stack, and the registers, that are addresses of objects",
    .details = details,
    .options = options,
    .beyond_graph = "stacks",
    .needs = LG_NEEDS_HEAP,
    .check = check_args,
    .run = run,
};
