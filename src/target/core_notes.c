// The notes of a core: who the process was, its threads and its mapped files.
#include "target/core_priv.h"
#include "target/notes.h"

// Where things are in the kernel's structures for x86-64 (torvalds/linux include/linux/elfcore.h
// @00c65c8): struct elf_prstatus: pr_pid at 32, pr_reg at 112. struct elf_prpsinfo: pr_pid at 24.
enum { PRSTATUS_PID = 32, PRSTATUS_REGISTERS = 112, PRPSINFO_PID = 24 };
// Those of arm64 begin alike; its registers are x0 to x30, sp, pc, pstate (arch/arm64/include/uapi/asm/
// ptrace.h, user_pt_regs).
enum { X86_REGISTERS = 27, ARM_REGISTERS = 34, ARM_SP = 31, ARM_PC = 32 };

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

static void place_arm(struct lg_thread *thread, const uint64_t *registers)
{
    unsigned from = 0;
    for (unsigned i = 0; i < LG_REGISTERS; i++) {
        bool is_special = i == LG_REG_RIP || i == LG_REG_RSP || i == LG_REG_FS_BASE;
        thread->registers[i] = is_special ? 0 : registers[from++];
    }
    thread->registers[LG_REG_RSP] = registers[ARM_SP];
    thread->registers[LG_REG_RIP] = registers[ARM_PC];
}

static void read_registers(struct lg_core *core, struct lg_thread *thread, const uint8_t *bytes)
{
    uint64_t registers[ARM_REGISTERS];
    if (core->target.machine == EM_AARCH64) {
        memcpy(registers, bytes, sizeof(registers));
        place_arm(thread, registers);
    } else {
        memcpy(thread->registers, bytes, X86_REGISTERS * sizeof(uint64_t));
    }
}

// The thread pointer of arm64 is no general register: it comes after them, of the same thread.
static void read_arm_tls(struct lg_core *core, const struct lg_note *note)
{
    size_t count = core->target.threads.len;
    if (core->target.machine == EM_AARCH64 && count > 0 && note->len >= sizeof(uint64_t))
        memcpy(&core->target.threads.at[count - 1].registers[LG_REG_FS_BASE], note->desc,
               sizeof(uint64_t));
}

// The kernel numbers threads as the process itself sees them, and so does createdump, which runs beside
// it; gcore from outside a container writes the numbers of outside. Nothing in the file tells.
static struct lg_error *read_thread(struct lg_core *core, const struct lg_note *note)
{
    struct lg_thread thread = { .has_registers = true };
    size_t count = core->target.machine == EM_AARCH64 ? ARM_REGISTERS : X86_REGISTERS;
    if (note->len < PRSTATUS_REGISTERS + count * sizeof(uint64_t))
        return lg_error_new(LG_ERR_CORRUPT, "status of thread %zu has %u bytes",
                            core->target.threads.len, note->len);
    const uint8_t *desc = note->desc;
    memcpy(&thread.tid, desc + PRSTATUS_PID, sizeof(thread.tid));
    thread.ns_tid = thread.tid;
    read_registers(core, &thread, desc + PRSTATUS_REGISTERS);
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
        else if (lg_note_is(&note, "LINUX", NT_ARM_TLS))
            read_arm_tls(core, &note);
        if (lg_note_is(&note, "LINUX", NT_X86_XSTATE) || lg_note_is(&note, "LINUX", NT_ARM_TLS))
            core->saves_changes = true; // createdump writes general and FPU registers only.
    }
    if (!err && notes.failed)
        lg_target_note(&core->target,
                       "the core's notes are cut short: threads and mapped files may be missing");
    return err;
}
