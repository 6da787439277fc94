// The notes of a core: who the process was, its threads and its mapped files.
#include "target/core_priv.h"
#include "target/notes.h"

// Where things are in the kernel's structures for x86-64 (torvalds/linux include/linux/elfcore.h
// @00c65c8): struct elf_prstatus: pr_pid at 32, pr_reg at 112. struct elf_prpsinfo: pr_pid at 24.
enum { PRSTATUS_PID = 32, PRSTATUS_REGISTERS = 112, PRPSINFO_PID = 24 };

// The kernel's table of mapped files (torvalds/linux fs/binfmt_elf.c @00c65c8, fill_files_note):
//
//     count  page size  | start  end  page offset | start  end  page offset | …      all u64
//     "name" NUL "name" NUL …                                                        `count` of them
static struct lg_error *read_files(struct lg_core *core, const struct lg_note *note)
{
    struct lg_reader files = lg_reader(note->desc, note->len);
    uint64_t count = lg_read_u64(&files), page_size = lg_read_u64(&files);
    if (files.failed || count > lg_reader_left(&files) / 24)
        return lg_error_new(LG_ERR_CORRUPT, "table of files ends past its note");

    struct lg_reader names = files;
    lg_read_bytes(&names, count * 24);
    for (uint64_t i = 0; i < count; i++) {
        struct lg_core_file file = { .start = lg_read_u64(&files), .end = lg_read_u64(&files) };
        // An offset that does not fit is as good as none.
        if (__builtin_mul_overflow(lg_read_u64(&files), page_size, &file.offset))
            file.offset = INT64_MAX;
        file.path = lg_read_string(&names);
        if (!file.path)
            return lg_error_new(LG_ERR_CORRUPT, "name of file %zu ends past its note", (size_t)i);
        if (file.start < file.end && !lg_vec_push(&core->files, file))
            return &lg_no_memory;
    }
    return NULL;
}

// The kernel numbers threads as the process itself sees them, and so does createdump, which runs beside
// it; gcore from outside a container writes the numbers of outside. Nothing in the file tells.
static struct lg_error *read_thread(struct lg_core *core, const struct lg_note *note)
{
    struct lg_thread thread = { .has_registers = true };
    if (note->len < PRSTATUS_REGISTERS + sizeof(thread.registers))
        return lg_error_new(LG_ERR_CORRUPT, "status of thread %zu has %u bytes",
                            core->target.threads.len, note->len);
    const uint8_t *desc = note->desc;
    memcpy(&thread.tid, desc + PRSTATUS_PID, sizeof(thread.tid));
    thread.ns_tid = thread.tid;
    memcpy(thread.registers, desc + PRSTATUS_REGISTERS, sizeof(thread.registers));
    return lg_vec_push(&core->target.threads, thread) ? NULL : &lg_no_memory;
}

static void read_process(struct lg_core *core, const struct lg_note *note)
{
    int32_t pid;
    if (note->len < PRPSINFO_PID + sizeof(pid))
        return;
    memcpy(&pid, (const uint8_t *)note->desc + PRPSINFO_PID, sizeof(pid));
    core->target.pid = pid > 0 ? pid : 0;
}

struct lg_error *lg_core_read_notes(struct lg_core *core, const void *bytes, size_t len, uint64_t align)
{
    struct lg_reader notes = lg_reader(bytes, len);
    struct lg_note note;
    struct lg_error *err = NULL;
    while (!err && lg_note_next(&notes, align, &note)) {
        if (lg_note_is(&note, "CORE", NT_FILE))
            err = read_files(core, &note);
        else if (lg_note_is(&note, "CORE", NT_PRSTATUS))
            err = read_thread(core, &note);
        else if (lg_note_is(&note, "CORE", NT_PRPSINFO))
            read_process(core, &note);
        else if (lg_note_is(&note, "LINUX", NT_X86_XSTATE))
            core->saves_changes = true; // createdump writes general and FPU registers only.
    }
    if (!err && notes.failed)
        lg_target_note(&core->target,
                       "the core's notes are cut short: threads and mapped files may be missing");
    return err;
}
