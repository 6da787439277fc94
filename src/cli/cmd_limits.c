// `linger limits`: what bounds a process, and what it will hit first.
//
// Nothing is stopped. A process whose memory may not be read, and one that is not .NET, has bounds all
// the same; a core has settings, but no bounds.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/limits_report.h"
#include "cli/session.h"
#include "clr/runtime_image.h"
#include "target/live.h"
#include "target/proc.h"
#include "target/processes.h"

enum { OPEN_TRIES = 8, PROBLEM_TEXT = 512 };

// What was opened to look at the target; with a session some of it is the session's.
struct subject {
    struct lg_limits_subject about;
    struct lg_limits_place place;
    struct lg_target *target;
    struct lg_clr *clr;
    struct lg_snapshot *snapshot; // The target, if it is one.
    const char *dac;              // As lg_clr_options has it.
    int pid;                      // Of a live process.
    char problem[PROBLEM_TEXT];   // "" none
    char version[32];             // As files tell it; "" unknown
};

static void subject_deinit(struct subject *subject)
{
    lg_clr_free(subject->clr);
    lg_target_free(subject->target);
    lg_closep(&subject->place.root);
    lg_closep(&subject->place.proc);
}

static struct lg_error *open_place(struct subject *subject, int pid)
{
    subject->place.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    subject->place.proc = lg_proc_open(pid);
    if (subject->place.root < 0)
        return lg_error_os(errno, "open '/'");
    if (subject->place.proc < 0)
        return lg_error_new(LG_ERR_NOT_FOUND,
                            "process %d: no such process ('linger ps' lists those that there are)", pid);
    subject->about.place = &subject->place;
    subject->pid = pid;
    return NULL;
}

// Why it can be done without; memory that ran out is an error still.
static struct lg_error *take_problem(struct subject *subject, struct lg_error *err)
{
    if (!err || lg_error_kind(err) == LG_ERR_NO_MEMORY)
        return err;
    snprintf(subject->problem, sizeof(subject->problem), "%s", lg_error_message(err));
    subject->about.problem = subject->problem;
    lg_error_free(err);
    return NULL;
}

// The process may be changing the structures that are being read.
static struct lg_error *open_clr(struct subject *subject)
{
    const struct lg_clr_options options = { .dac = subject->dac };
    struct lg_error *err = NULL;
    for (unsigned i = 0; i < OPEN_TRIES; i++) {
        lg_error_free(err);
        err = lg_clr_open(subject->target, &options, &subject->clr);
        bool passing =
            err && (lg_error_kind(err) == LG_ERR_CORRUPT || lg_error_kind(err) == LG_ERR_FAULT);
        if (!passing || subject->target->kind != LG_TARGET_PROCESS)
            break;
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
    subject->about.clr = subject->clr;
    return take_problem(subject, err);
}

static struct lg_error *look_into(struct subject *subject)
{
    struct lg_image image;
    struct lg_error *err = lg_runtime_image_find(subject->target, &image);
    subject->about.target = subject->target;
    subject->about.is_dotnet = !err;
    if (err && lg_error_kind(err) == LG_ERR_NO_MEMORY)
        return err;
    if (!err) {
        if (!lg_runtime_image_version(&image, subject->version, sizeof(subject->version)))
            subject->version[0] = '\0';
        return open_clr(subject);
    }
    // Whether that is a problem is not known yet.
    snprintf(subject->problem, sizeof(subject->problem), "%s", lg_error_message(err));
    lg_error_free(err);
    return NULL;
}

// What /proc tells of the runtime: without the process's memory, or where no CoreCLR is in it.
static struct lg_error *look_from_outside(struct subject *subject, int pid)
{
    struct lg_process process = { 0 };
    struct lg_error *err = lg_process_read(pid, &process);
    if (err)
        return err;
    subject->about.is_unknown =
        !subject->target && process.flavour == LG_FLAVOUR_NONE && process.problem;
    subject->about.is_dotnet = process.flavour == LG_FLAVOUR_FRAMEWORK
                               || process.flavour == LG_FLAVOUR_SELF_CONTAINED
                               || process.flavour == LG_FLAVOUR_SINGLE_FILE;
    if (subject->about.is_dotnet)
        subject->about.problem = subject->problem; // The runtime is not loaded yet, for one.
    if (process.version)
        snprintf(subject->version, sizeof(subject->version), "%s", process.version);
    if (process.flavour == LG_FLAVOUR_NATIVEAOT || process.flavour == LG_FLAVOUR_MONO)
        subject->about.other_runtime = lg_flavour_name(process.flavour);
    lg_process_deinit(&process);
    return NULL;
}

// Of a process that has ended there is half a picture.
static struct lg_error *check_alive(const struct subject *subject)
{
    char state = lg_proc_state(subject->place.proc, "stat");
    if (state && state != 'Z' && state != 'X')
        return NULL;
    return lg_error_new(LG_ERR_NOT_FOUND, "process %d ended while it was being read", subject->pid);
}

static struct lg_error *open_process(struct subject *subject, int pid)
{
    struct lg_error *err = open_place(subject, pid);
    if (err)
        return err;
    err = lg_glance_open(pid, &subject->target);
    if (err && lg_error_kind(err) == LG_ERR_NOT_FOUND)
        return err;
    err = err ? take_problem(subject, err) : look_into(subject);
    return err || subject->about.is_dotnet ? err : look_from_outside(subject, pid);
}

static struct lg_error *open_snapshot(struct subject *subject, const char *path)
{
    struct lg_error *err = lg_snapshot_open(path, &subject->snapshot);
    if (err)
        return err;
    subject->target = lg_snapshot_target(subject->snapshot);
    err = lg_snapshot_clr(subject->snapshot, &subject->clr);
    subject->about.clr = subject->clr;
    return err;
}

static struct lg_error *open_spec(struct subject *subject, const char *spec)
{
    int pid = 0;
    if (lg_session_is_snapshot(spec))
        return open_snapshot(subject, spec);
    struct lg_error *err = lg_target_resolve(spec, &pid);
    if (!err && pid > 0)
        return open_process(subject, pid);
    if (!err)
        err = lg_core_open(spec, &subject->target);
    return err ? err : look_into(subject);
}

// At a prompt the picture that is open is read; /proc is asked as it is now.
static struct lg_error *use_session(struct subject *subject, const struct lg_session *session)
{
    struct lg_target *target = lg_session_target(session);
    if (!target)
        return lg_error_new(LG_ERR_USAGE, "expected a target: a PID, the name of a .NET process, or a "
                                          "core file; 'linger ps' lists processes");
    subject->snapshot = (struct lg_snapshot *)lg_session_snapshot(session);
    subject->about.target = target;
    subject->about.clr = lg_session_clr(session);
    subject->about.is_dotnet = true;
    return target->kind == LG_TARGET_PROCESS ? open_place(subject, target->pid) : NULL;
}

struct lg_error *lg_limits_of_session(const struct lg_session *session, struct lg_limits *ret)
{
    _cleanup_(subject_deinit) struct subject subject = { .place = { -1, -1 } };
    struct lg_error *err = use_session(&subject, session);
    return err ? err : lg_limits_read(&subject.about, ret);
}

static const char *taken_text(const struct timespec *time, char buf[40])
{
    struct tm tm;
    if (time->tv_sec == 0 || !gmtime_r(&time->tv_sec, &tm))
        return NULL;
    size_t len = strftime(buf, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + len, 40 - len, ".%03dZ", (int)(time->tv_nsec / 1000000 % 1000));
    return buf;
}

static void set_target(const struct subject *subject, struct lg_report *report)
{
    char taken[40];
    const struct lg_target *target = subject->target;
    const struct lg_clr_info *info = subject->clr ? lg_clr_info(subject->clr) : NULL;
    struct lg_report_target about = {
        .cow_bytes = -1, // Nothing was copied.
        .kind = !target                              ? "process"
                : target->kind == LG_TARGET_CORE     ? "core"
                : target->kind == LG_TARGET_SNAPSHOT ? "snapshot"
                                                     : "process",
        .pid = target ? target->pid : subject->pid,
        .path = target ? target->path : NULL,
        .pause_ms = -1,
        .runtime = info ? info->version : NULL,
        .provider = info ? info->provider : NULL,
        .gc = !info          ? NULL
              : info->server ? "server"
                             : "workstation",
        .taken = target ? taken_text(&target->taken, taken) : NULL,
    };
    lg_report_set_target(report, &about);
    for (size_t i = 0; target && i < target->notes.len; i++)
        lg_report_incomplete(report, "%s", target->notes.at[i]);
}

static void note_version(const char *version, size_t settings, struct lg_report *report)
{
    if (settings > 0 && version && *version && strncmp(version, "10.", 3) != 0)
        lg_report_incomplete(report,
                             "the runtime is .NET %s; names, rules and defaults are those of "
                             ".NET 10",
                             version);
}

static struct lg_error *check(const struct lg_args *args)
{
    return lg_args_expect(args, 0, 1);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    const char *spec = lg_args_count(args) > 0 ? lg_args_at(args, 0) : NULL;
    if (spec && lg_session_target(session))
        return lg_error_new(LG_ERR_USAGE,
                            "a target is open, and 'limits' is about that one: "
                            "leave '%s' out",
                            spec);
    _cleanup_(subject_deinit) struct subject subject = { .dac = lg_args_text(args, "dac"),
                                                         .place = { -1, -1 } };
    struct lg_error *err = spec ? open_spec(&subject, spec) : use_session(&subject, session);
    struct lg_limits limits = { .arena = { NULL } };
    if (!err)
        err = subject.snapshot ? lg_snapshot_limits(subject.snapshot, &limits)
                               : lg_limits_read(&subject.about, &limits);
    if (err)
        return err;
    const struct lg_clr_info *info = subject.about.clr ? lg_clr_info(subject.about.clr) : NULL;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_limits_report(&limits);
    size_t settings = limits.settings.len;
    lg_limits_deinit(&limits);
    if (!report)
        return &lg_no_memory;
    note_version(info ? info->version : subject.version, settings, report);
    if (subject.about.place)
        err = check_alive(&subject);
    if (err)
        return err;
    if (spec)
        set_target(&subject, report);
    *ret = lg_steal(report);
    return NULL;
}

static const char details[] =
    "Bounds: control groups up the tree, the machine's memory, ulimits, the kernel's limits, and the\n"
    "GC's own; how much there is of each, and how much is used. Settings of the GC: the value in\n"
    "effect, where it comes from, and what it means here. Numbers in the environment are hexadecimal.\n"
    "Nothing is stopped. A program that is not .NET has bounds only, a core settings only.\n"
    "\n"
    "    $ linger limits 4714\n"
    "    BOUND                       LIMIT       NOW  HEADROOM  SET BY\n"
    "    cgroup memory             512 MiB  26.0 MiB   486 MiB  /shop memory.limit_in_bytes\n"
    "    physical memory          23.5 GiB   2.3 GiB  21.2 GiB  MemTotal - MemAvailable\n"
    "    ...\n"
    "    managed heap              384 MiB  18.2 MiB   366 MiB  GCHeapHardLimit\n"
    "\n"
    "    SETTING                      VALUE  FROM                        EFFECT\n"
    "    gcServer                      true  runtime                     server GC: a heap and a GC "
    "...\n"
    "    GCHighMemPercent                80  DOTNET_GCHighMemPercent=50  from 410 MiB in use on, the "
    "...\n"
    "    ...\n"
    "    Smallest headroom: 366 MiB of managed heap, 4 % of 384 MiB used; at the limit:\n"
    "    OutOfMemoryException, after a full collection.";

const struct lg_command lg_cmd_limits = {
    .name = "limits",
    .usage = "[TARGET]",
    .summary = "what bounds a process and what it will hit first; settings of its GC",
    .details = details,
    .check = check,
    .run = run,
};
