// A target that is a live process, read through a copy that it made of itself.
#include "target/live.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "target/freeze.h"
#include "target/keeper.h"
#include "target/machine.h"
#include "target/maps.h"
#include "target/page_cache.h"
#include "target/proc.h"
#include "target/room.h"
#include "target/threads.h"
#include "target/uncopied.h"
#include "target/untouched.h"
#include "target/watchdog.h"
#include "util/error.h"
#include "util/memory_left.h"

enum {
    PIECE = 1 << 20,       // Of one system call.
    TEND_MS = 2,           // Between looks for threads that could not be let go.
    FLAGS = 9,             // Field of a stat file (proc(5)), with, for a thread of the kernel,
    PF_KTHREAD = 0x200000, // (torvalds/linux include/linux/sched.h @00c65c8).
    WATCH_MS = 100,        // Between looks whether the copy is still there.
    LOST = 200,            // Length of a reason.
    SHORT = 4 << 20,       // Bytes that are left when a copy is given up.
};

struct lg_live {
    struct lg_target target;
    struct lg_keeper *keeper;
    struct lg_watchdog *watchdog;
    struct lg_freeze freeze;    // Of the keeper's thread.
    struct lg_arena paths;      // Of target.ranges
    int proc;                   // /proc/PID of the process itself.
    struct lg_proc_mem mem;     // The memory that is read.
    int pagemap;                // Of the process, if that itself is read; else -1.
    atomic_int reading;         // The process whose memory that is; 0: gone.
    bool is_copy;               // What is read is a copy: it holds still, so
    struct lg_page_cache cache; // its pages are fetched once.
    bool is_peek;               // The same of what does not, until lg_peek_again().
    struct lg_error *err;       // Of the keeper's last job.
    struct lg_live_watch watch; // Of the stop.
    struct lg_target_options options;
    struct lg_room room; // Before the stop.
    bool has_no_room;    // For a copy: it is read stopped.
    _Atomic int64_t cow; // The most that a copy has cost; < 0: there was none.
    char lost[LOST];     // Why we gave up what was being read. Of the keeper's thread; then constant.
    atomic_bool is_given_up; // `lost` is filled in.
};

static size_t read_piece(struct lg_live *live, uint64_t address, void *buf, size_t len)
{
    if (atomic_load(&live->reading) == 0)
        return 0;
    ssize_t n = lg_proc_mem_read(&live->mem, buf, len, address);
    return n > 0 ? (size_t)n : 0;
}

// Up to where what is to be left alone begins or ends.
static size_t read_some(struct lg_live *live, uint64_t address, void *buf, size_t len)
{
    size_t other = len;
    size_t n = lg_untouched(live->pagemap, &live->target, address, len, &other);
    memset(buf, 0, n);
    return n > 0 ? n : read_piece(live, address, buf, other);
}

static size_t fetch_page(void *data, uint64_t address, void *buf, size_t len)
{
    return read_piece(data, address, buf, len);
}

static size_t live_read(struct lg_target *target, uint64_t address, void *buf, size_t len)
{
    struct lg_live *live = (struct lg_live *)target;
    size_t done = 0;
    if (atomic_load(&live->reading) == 0)
        return 0;
    if ((live->is_copy || live->is_peek)
        && lg_page_cache_read(&live->cache, address, buf, len, fetch_page, live))
        return len;
    while (done < len) {
        size_t left = len - done;
        size_t n = read_some(live, address + done, (uint8_t *)buf + done, left < PIECE ? left : PIECE);
        if (n == 0)
            break;
        done += n;
    }
    return done;
}

// Gives up what is being read, for the target's sake.
static void give_up(struct lg_live *live)
{
    atomic_store(&live->is_given_up, true);
    atomic_store(&live->reading, 0);
    lg_freeze_end(&live->freeze);
}

static void measure_cow(struct lg_live *live)
{
    _cleanup_close_ int proc = live->freeze.copy ? lg_proc_open(live->freeze.copy) : -1;
    int64_t own = proc >= 0 ? (int64_t)lg_room_own(proc) : -1;
    // Of a process that has ended the copy has everything for itself, at no cost.
    if (own > atomic_load(&live->cow) && lg_proc_stat(live->proc, "stat", FLAGS, -1) >= 0)
        atomic_store(&live->cow, own);
}

static void check_limits(struct lg_live *live)
{
    const struct lg_target_options *options = &live->options;
    if (atomic_load(&live->reading) == 0)
        return; // Not yet, or not any more.
    if (!live->freeze.copy) {
        if (live->freeze.is_stopped && options->max_pause_ms > 0
            && lg_live_pause_ms(&live->target) >= options->max_pause_ms) {
            snprintf(live->lost, LOST, "was let go after the %.0f ms of --max-pause, before it was read",
                     options->max_pause_ms);
            give_up(live);
        }
        return;
    }
    if (options->max_cow > 0)
        measure_cow(live);
    if (options->max_cow > 0 && atomic_load(&live->cow) > (int64_t)options->max_cow) {
        snprintf(live->lost, LOST,
                 "has written to %" PRId64
                 " MB since it was copied, more than --max-cow allows: the copy "
                 "was given up",
                 atomic_load(&live->cow) >> 20);
        give_up(live);
    } else if (lg_memory_left(live->proc) < SHORT) {
        snprintf(live->lost, LOST,
                 "has come near its memory limit, or the machine its end: the copy was given up");
        give_up(live);
    }
}

static unsigned idle_ms(const struct lg_live *live, bool has_copy)
{
    double left = live->options.max_pause_ms - lg_live_pause_ms(&live->target);
    if (!has_copy && live->freeze.is_stopped && live->options.max_pause_ms > 0)
        return left < 1 ? 1 : left < WATCH_MS ? (unsigned)left : WATCH_MS;
    return has_copy ? WATCH_MS : UINT16_MAX;
}

static unsigned idle(void *data)
{
    struct lg_live *live = data;
    check_limits(live);
    bool has_copy = lg_freeze_has_copy(&live->freeze);
    if (live->freeze.copy && !has_copy)
        atomic_store(&live->reading, 0);
    if (!live->freeze.is_stopped && lg_freeze_tend(&live->freeze))
        return TEND_MS;
    return idle_ms(live, has_copy);
}

static void end_job(void *data)
{
    struct lg_live *live = data;
    lg_freeze_end(&live->freeze);
}

static void live_close(struct lg_target *target)
{
    struct lg_live *live = (struct lg_live *)target;
    atomic_store(&live->reading, 0);
    if (live->keeper)
        lg_keeper_run(live->keeper, end_job, live);
    lg_keeper_free(live->keeper);
    lg_watchdog_free(live->watchdog);
    lg_freeze_deinit(&live->freeze);
    lg_page_cache_deinit(&live->cache);
    lg_proc_mem_close(&live->mem);
    lg_closep(&live->pagemap);
    lg_closep(&live->proc);
    lg_arena_free(&live->paths);
    free(live);
}

static struct lg_error *check_machine(int proc)
{
    Elf64_Ehdr header;
    _cleanup_close_ int exe = openat(proc, "exe", O_RDONLY | O_CLOEXEC);
    if (exe < 0 || read(exe, &header, sizeof(header)) != sizeof(header))
        return NULL; // Asked again when it is stopped.
    if (header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == EM_X86_64)
        return NULL;
    const char *name = lg_machine_name(header.e_machine);
    return lg_error_new(LG_ERR_UNSUPPORTED, "is a %s process%s%s%s: only 64-bit x86 ones can be read",
                        header.e_ident[EI_CLASS] == ELFCLASS32 ? "32-bit" : "foreign", name ? " (" : "",
                        name ? name : "", name ? ")" : "");
}

static struct lg_error *check_process(int pid, int proc)
{
    char status[LG_PROC_TEXT];
    if (proc < 0 || lg_proc_read(proc, "status", status, sizeof(status)) <= 0)
        return lg_freeze_no_such();
    struct lg_error *err = lg_freeze_misplaced();
    if (err)
        return err;
    int64_t tgid = lg_proc_field(status, "Tgid", pid);
    if (tgid != pid)
        return lg_error_new(LG_ERR_NOT_FOUND, "is a thread of process %d: give that", (int)tgid);
    if (lg_proc_field(status, "VmSize", -1) >= 0)
        return check_machine(proc);
    if (lg_proc_field(status, "Threads", 0) > 1)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "its first thread has ended, and with it what /proc knows of "
                            "its memory");
    if (lg_proc_stat(proc, "stat", FLAGS, 0) & PF_KTHREAD)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "is a thread of the kernel: it has no memory of its own");
    return lg_error_new(LG_ERR_NOT_FOUND, "has ended: it is a zombie that process %d has not waited for",
                        (int)lg_proc_field(status, "PPid", 0));
}

// Another linger may be at it: that takes milliseconds.
static void await_tracer(int proc)
{
    for (int tries = 0; tries < LG_TRACER_TRIES; tries++) {
        char status[LG_PROC_TEXT];
        if (lg_proc_read(proc, "status", status, sizeof(status)) <= 0
            || lg_proc_field(status, "TracerPid", 0) == 0)
            return;
        nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000000 }, NULL);
    }
}

// What can be done before the stop.
static struct lg_error *prepare(struct lg_live *live)
{
    struct lg_error *err = check_process(live->target.pid, live->proc);
    if (err)
        return err;
    await_tracer(live->proc);
    if (!lg_proc_mem_open(live->proc, live->target.pid, true, &live->freeze.mem))
        return lg_freeze_denied(live->target.pid, live->proc, live->target.pid,
                                &live->freeze.is_contended);
    err = lg_maps_read(live->proc, &live->target, &live->paths);
    if (!err && !live->watch.stopped)
        lg_gadgets_find(&live->target, &live->freeze.mem, &live->freeze.gadgets);
    return err;
}

static void freeze_job(void *data)
{
    struct lg_live *live = data;
    live->err = lg_freeze_stop(&live->freeze);
    for (size_t i = 0; !live->err && i < live->freeze.tracees.len; i++) {
        const struct lg_tracee *t = &live->freeze.tracees.at[i];
        struct lg_thread thread = { .tid = (uint32_t)t->tid, .has_registers = t->has_registers };
        _Static_assert(sizeof(thread.registers) >= sizeof(t->registers), "as the kernel has them");
        memcpy(thread.registers, &t->registers, sizeof(t->registers));
        if (t->state != LG_TRACEE_GONE && !lg_vec_push(&live->target.threads, thread))
            live->err = &lg_no_memory;
    }
    if (!live->err && live->watch.stopped) {
        live->watch.stopped(live->watch.data, live->proc);
        // Only now: reading code makes pages of its file resident.
        if (live->watch.after == LG_AFTER_COPY)
            lg_gadgets_find(&live->target, &live->freeze.mem, &live->freeze.gadgets);
    }
    if (live->err || live->watch.after == LG_AFTER_GO)
        lg_freeze_end(&live->freeze);
    else if (live->has_no_room && live->watch.after == LG_AFTER_COPY)
        live->freeze.copy = 0; // `refusal` says why.
    else if (live->watch.after == LG_AFTER_COPY)
        live->err = lg_freeze_copy(&live->freeze);
}

static void note_what_is_odd(struct lg_live *live)
{
    struct lg_target *target = &live->target;
    if (!live->freeze.copy && live->watch.after == LG_AFTER_COPY)
        lg_target_note(target, "the process cannot be copied (%s) and stands still while it is read",
                       live->freeze.refusal);
    size_t unknown = 0;
    for (size_t i = 0; i < target->threads.len; i++)
        unknown += !target->threads.at[i].has_registers;
    if (unknown > 0)
        lg_target_note(
            target,
            "%zu of %zu threads did not stop, being asleep in the kernel: %s registers are unknown",
            unknown, target->threads.len, unknown == 1 ? "its" : "their");
}

// Looks at what is there now, the copy or the process itself.
static struct lg_error *look(struct lg_live *live)
{
    struct lg_target *target = &live->target;
    int pid = live->freeze.copy ? live->freeze.copy : target->pid;
    live->is_copy = live->freeze.copy != 0;
    _cleanup_close_ int proc = lg_proc_open(pid);
    if (proc < 0 || !lg_proc_mem_open(proc, pid, false, &live->mem))
        return lg_error_os(errno, "memory");
    if (!live->is_copy)
        live->pagemap = openat(proc, "pagemap", O_RDONLY | O_CLOEXEC);
    lg_arena_free(&live->paths);
    struct lg_target before = { .ranges = target->ranges }; // Without names.
    memset(&target->ranges, 0, sizeof(target->ranges));
    struct lg_error *err = lg_maps_read(proc, target, &live->paths);
    if (!err && target->ranges.len == 0)
        err = lg_error_new(LG_ERR_NOT_FOUND, "ended while it was being read");
    if (!err && live->is_copy)
        lg_uncopied_note(target, live->proc, &before);
    lg_vec_free(&before.ranges);
    if (err)
        return err;
    lg_threads_describe(live->proc, target);
    target->taken = live->freeze.taken;
    target->stopped_at = live->freeze.started;
    target->pause_ms = lg_live_pause_ms(target);
    note_what_is_odd(live);
    atomic_store(&live->reading, pid);
    return NULL;
}

// How long the process may have to stand still, against what is allowed; and how it is to be read.
static struct lg_error *plan(struct lg_live *live)
{
    struct lg_room *room = &live->room;
    double most = live->options.max_pause_ms, expected;
    if (live->watch.after != LG_AFTER_COPY)
        return NULL;
    lg_room_measure(live->target.pid, live->proc, lg_proc_mem_pins(&live->freeze.mem), room);
    live->has_no_room = room->needed > room->left;
    if (live->has_no_room)
        snprintf(live->freeze.refusal, sizeof(live->freeze.refusal),
                 "there are %" PRIu64
                 " MB left until its memory limit, or the machine's end, and a copy "
                 "may take %" PRIu64 " MB",
                 room->left >> 20, room->needed >> 20);
    expected =
        live->has_no_room ? lg_room_read_ms(room->private_bytes) : lg_room_pause_ms(room->private_bytes);
    if (most == 0 || expected <= most)
        return NULL;
    return lg_error_new(
        LG_ERR_OS, "would stand still for some %.0f ms%s%s, and --max-pause allows %.0f ms", expected,
        live->has_no_room ? ": it has to be stopped while it is read, as " : "",
        live->has_no_room ? live->freeze.refusal : "", most);
}

// Forked by the keeper's thread while ours waits for it: none of the two is in the midst of anything
// that the watchdog would find locked for ever (AddressSanitizer's allocator, for one).
static void watchdog_job(void *data)
{
    struct lg_live *live = data;
    live->err = lg_watchdog_start(live->target.pid, live->proc, &live->watchdog);
}

static struct lg_error *freeze(struct lg_live *live)
{
    live->freeze.is_contended = live->freeze.is_refused = false;
    struct lg_error *err = prepare(live);
    if (!err)
        err = plan(live);
    if (!err && !live->watchdog) {
        lg_keeper_run(live->keeper, watchdog_job, live);
        err = live->err;
    }
    if (!err) {
        live->freeze.journal = lg_watchdog_journal(live->watchdog);
        live->target.threads.len = 0;
        lg_keeper_run(live->keeper, freeze_job, live);
        err = live->err;
    }
    lg_proc_mem_close(&live->freeze.mem);
    return err;
}

static struct lg_error *take(struct lg_live *live)
{
    struct lg_error *err = freeze(live);
    for (int tries = 0; err && lg_freeze_may_yet(&live->freeze, tries); tries++) {
        // Two that give way to each other at once are not to do so for ever.
        nanosleep(&(struct timespec){ .tv_nsec = (5 + getpid() % 11) * 1000000 }, NULL);
        lg_error_free(err);
        err = freeze(live);
    }
    return err ? err : look(live);
}

static void forget(struct lg_live *live)
{
    struct lg_target *target = &live->target;
    atomic_store(&live->reading, 0);
    atomic_store(&live->is_given_up, false);
    lg_keeper_run(live->keeper, end_job, live);
    lg_page_cache_clear(&live->cache);
    lg_proc_mem_close(&live->mem);
    lg_closep(&live->pagemap);
    live->pagemap = -1;
    for (size_t i = 0; i < target->notes.len; i++)
        free(target->notes.at[i]);
    target->notes.len = target->threads.len = target->ranges.len = 0;
}

static struct lg_error *live_retake(struct lg_target *target, unsigned delay_ms)
{
    struct lg_live *live = (struct lg_live *)target;
    forget(live);
    nanosleep(&(struct timespec){ delay_ms / 1000, (long)(delay_ms % 1000) * 1000000 }, NULL);
    struct lg_error *err = take(live);
    return lg_error_context(err, "process %d", target->pid);
}

static const struct lg_target_ops live_ops = {
    .read = live_read,
    .retake = live_retake,
    .close = live_close,
};

static const struct lg_target_ops peek_ops = {
    .read = live_read,
    .close = live_close,
};

static struct lg_live *live_new(int pid, const struct lg_target_ops *ops)
{
    struct lg_live *live = calloc(1, sizeof(*live));
    if (!live)
        return NULL;
    live->target.ops = ops;
    live->target.kind = LG_TARGET_PROCESS;
    live->target.pid = pid;
    live->proc = pid > 0 ? lg_proc_open(pid) : -1;
    live->mem = LG_PROC_MEM_NONE;
    live->pagemap = -1;
    live->cow = -1;
    live->freeze = (struct lg_freeze){
        .pid = pid, .proc = live->proc, .mem = LG_PROC_MEM_NONE, .maps = &live->target
    };
    return live;
}

void lg_live_set_watch(struct lg_target *target, const struct lg_live_watch *watch)
{
    if (target->ops == &live_ops)
        ((struct lg_live *)target)->watch = watch ? *watch : (struct lg_live_watch){ 0 };
}

struct lg_error *lg_live_open(int pid, struct lg_target **ret)
{
    return lg_live_open_as(pid, NULL, NULL, ret);
}

struct lg_error *lg_live_open_as(int pid, const struct lg_target_options *options,
                                 const struct lg_live_watch *watch, struct lg_target **ret)
{
    struct lg_live *live = live_new(pid, &live_ops);
    if (!live)
        return &lg_no_memory;
    lg_live_set_watch(&live->target, watch);
    live->options = options ? *options : (struct lg_target_options){ 0 };
    _cleanup_(lg_target_freep) struct lg_target *target = &live->target;
    lg_page_cache_init(&live->cache);
    struct lg_error *err = lg_keeper_new(idle, live, &live->keeper);
    if (!err)
        err = take(live);
    if (err)
        return lg_error_context(err, "process %d", pid);
    *ret = lg_steal(target);
    return NULL;
}

struct lg_error *lg_peek_open(int pid, struct lg_target **ret)
{
    enum { SLOTS = 64 }; // The GC's variables and structures are on some thirty pages.
    struct lg_live *live = live_new(pid, &peek_ops);
    if (!live)
        return &lg_no_memory;
    _cleanup_(lg_target_freep) struct lg_target *target = &live->target;
    if (live->proc < 0 || !lg_proc_mem_open(live->proc, pid, false, &live->mem)) {
        struct lg_error *err = check_process(pid, live->proc);
        if (!err)
            err = lg_freeze_denied(pid, live->proc, pid, &live->freeze.is_contended);
        return lg_error_context(err, "process %d", pid);
    }
    lg_page_cache_init_sized(&live->cache, SLOTS);
    live->is_peek = true;
    clock_gettime(CLOCK_REALTIME, &target->taken);
    atomic_store(&live->reading, pid);
    *ret = lg_steal(target);
    return NULL;
}

struct lg_error *lg_glance_open(int pid, struct lg_target **ret)
{
    struct lg_live *live = live_new(pid, &peek_ops);
    if (!live)
        return &lg_no_memory;
    _cleanup_(lg_target_freep) struct lg_target *target = &live->target;
    struct lg_error *err = check_process(pid, live->proc);
    if (!err && !lg_proc_mem_open(live->proc, pid, false, &live->mem))
        err = lg_freeze_denied(pid, live->proc, pid, &live->freeze.is_contended);
    if (!err)
        err = lg_maps_read(live->proc, target, &live->paths);
    if (err)
        return lg_error_context(err, "process %d", pid);
    clock_gettime(CLOCK_REALTIME, &target->taken);
    atomic_store(&live->reading, pid);
    *ret = lg_steal(target);
    return NULL;
}

void lg_peek_again(struct lg_target *target)
{
    lg_page_cache_clear(&((struct lg_live *)target)->cache);
}

void lg_live_end(struct lg_target *target)
{
    if (target->kind != LG_TARGET_PROCESS)
        return;
    struct lg_live *live = (struct lg_live *)target;
    atomic_store(&live->reading, 0);
    if (live->keeper)
        lg_keeper_run(live->keeper, end_job, live);
}

int lg_live_reading(const struct lg_target *target)
{
    return target->kind == LG_TARGET_PROCESS ? atomic_load(&((struct lg_live *)target)->reading) : 0;
}

double lg_live_pause_ms(const struct lg_target *target)
{
    if (target->kind != LG_TARGET_PROCESS)
        return -1;
    const struct lg_freeze *freeze = &((const struct lg_live *)target)->freeze;
    return freeze->is_stopped ? (double)(lg_freeze_now() - freeze->started) / 1e6 : freeze->pause_ms;
}

bool lg_live_reads_process(const struct lg_target *target)
{
    return target->kind == LG_TARGET_PROCESS && !((const struct lg_live *)target)->is_copy;
}

static void look_after_job(void *data)
{
    idle(data); // Finds out whether the copy has ended.
}

// A process that dies gives up its memory some time before it can be waited for.
static bool has_memory(struct lg_live *live)
{
    for (size_t i = 0; i < live->target.ranges.len; i++) {
        uint8_t byte;
        if (live->target.ranges.at[i].access & LG_READ)
            return read_piece(live, live->target.ranges.at[i].start, &byte, 1) == 1;
    }
    return false;
}

// Asks, and does not wait until the keeper looks again: whoever asks is about to believe what was read.
bool lg_live_is_lost(const struct lg_target *target)
{
    if (target->kind != LG_TARGET_PROCESS)
        return false;
    struct lg_live *live = (struct lg_live *)target;
    int reading = atomic_load(&live->reading);
    if (reading != 0 && live->keeper)
        lg_keeper_run(live->keeper, look_after_job, live);
    char state = reading == target->pid ? lg_proc_state(live->proc, "stat") : 'R';
    return atomic_load(&live->reading) == 0 || !state || state == 'Z' || state == 'X'
           || !has_memory(live);
}

const char *lg_live_lost_reason(const struct lg_target *target)
{
    const struct lg_live *live = (const struct lg_live *)target;
    return target->kind == LG_TARGET_PROCESS && atomic_load(&live->is_given_up) ? live->lost : "";
}

static void cow_job(void *data)
{
    measure_cow(data);
}

int64_t lg_live_cow_bytes(struct lg_target *target)
{
    if (target->kind != LG_TARGET_PROCESS)
        return -1;
    struct lg_live *live = (struct lg_live *)target;
    if (live->keeper && live->is_copy && atomic_load(&live->reading) != 0)
        lg_keeper_run(live->keeper, cow_job, live);
    return atomic_load(&live->cow);
}
