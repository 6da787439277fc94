// What a session says in reports of its target, and of a walk.
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/runner.h"
#include "cli/session.h"
#include "target/live.h"
#include "util/cancel.h"
#include "util/error.h"

struct lg_error *lg_session_damage(const struct lg_session *session)
{
    const struct lg_snapshot *snapshot = lg_session_snapshot(session);
    return snapshot ? lg_snapshot_damage(snapshot) : NULL;
}

bool lg_session_is_lost(const struct lg_session *session)
{
    const struct lg_target *target = lg_session_target(session);
    return target && lg_live_is_lost(target);
}

// Digits are a PID, whatever files there are.
bool lg_session_is_snapshot(const char *spec)
{
    return spec[strspn(spec, "0123456789")] && lg_snapshot_is_one(spec);
}

// What cannot be taken again is walked all the same: whoever has one core only has no choice.
struct lg_error *lg_session_gc_error(const struct lg_session *session, unsigned tries, unsigned seconds)
{
    if (!lg_target_can_retake(lg_session_target(session))) {
        lg_target_note(lg_session_target(session),
                       "Taken while a garbage collection was under way: objects may be half moved, dead "
                       "ones and references to what was moved away are among them. What could not be "
                       "walked is counted.");
        return NULL;
    }
    return lg_error_new(LG_ERR_CORRUPT,
                        "a garbage collection was under way in each of %u copies taken in %d seconds; "
                        "try again",
                        tries, seconds);
}

static const char *target_kind(const struct lg_target *target)
{
    return target->kind == LG_TARGET_PROCESS    ? "process"
           : target->kind == LG_TARGET_CORE     ? "core"
           : target->kind == LG_TARGET_SNAPSHOT ? "snapshot"
                                                : "fake";
}

// RFC 3339, to the millisecond.
static const char *format_time(const struct timespec *time, char buf[32])
{
    struct tm tm;
    if (time->tv_sec == 0 || !gmtime_r(&time->tv_sec, &tm))
        return NULL;
    size_t len = strftime(buf, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + len, 32 - len, ".%03dZ", (int)(time->tv_nsec / 1000000 % 1000));
    return buf;
}

struct lg_report_target lg_session_about(const struct lg_session *session, char taken[32])
{
    const struct lg_target *target = lg_session_target(session);
    struct lg_report_target about = {
        .kind = target_kind(target),
        .pid = target->pid,
        .path = target->path,
        .pause_ms = lg_live_pause_ms(target),
        .taken = format_time(&target->taken, taken),
    };
    if (about.pause_ms >= 0)
        about.pause_ms = (double)(uint64_t)(about.pause_ms * 1000) / 1000; // To the microsecond.
    const struct lg_gc_asked *collected = lg_session_collected(session);
    if (collected) {
        about.collected = true;
        about.gc_ms = collected->ms;
        about.gc_pause_ms = collected->pause_ms;
        about.gc_before = collected->before;
        about.gc_after = collected->after;
    }
    const struct lg_clr *clr = lg_session_clr(session);
    if (clr) {
        const struct lg_clr_info *info = lg_clr_info(clr);
        about.runtime = info->version;
        about.provider = info->provider;
        about.gc = info->is_bare ? NULL : info->server ? "server" : "workstation";
    }
    return about;
}

void lg_session_describe(const struct lg_session *session, struct lg_report *report)
{
    const struct lg_target *target = lg_session_target(session);
    if (!target)
        return;
    char taken[32];
    struct lg_report_target about = lg_session_about(session, taken);
    about.cow_bytes = lg_live_cow_bytes(lg_session_target(session));
    lg_report_set_target(report, &about);
    for (size_t i = 0; i < target->notes.len; i++)
        lg_report_incomplete(report, "%s", target->notes.at[i]);
}

struct lg_error *lg_session_judge(const struct lg_session *session, struct lg_error *err,
                                  const char *hint)
{
    struct lg_error *damage = lg_session_damage(session);
    if (damage) {
        lg_error_free(err);
        return damage;
    }
    if (lg_cancelled() || !lg_session_is_lost(session))
        return err;
    lg_error_free(err);
    int pid = lg_session_target(session)->pid;
    const char *reason = lg_live_lost_reason(lg_session_target(session));
    if (reason[0])
        return lg_error_new(LG_ERR_FAULT, "process %d %s", pid, reason);
    return lg_error_new(LG_ERR_FAULT, "process %d, or its copy, was killed while it was being read; %s",
                        pid, hint);
}

void lg_session_report_walk(struct lg_report *report, const struct lg_walk_result *result)
{
    if (result->bad_objects > 0)
        lg_report_incomplete(report,
                             "at %" PRIu64
                             " places in the heap there was no object where one should be, "
                             "first at %012" PRIx64 "; counts and sizes are too low",
                             result->bad_objects, result->first_bad);
    if (result->skipped_bytes > 0)
        lg_report_incomplete(report,
                             "%" PRIu64 " bytes of the heap could not be walked and were passed over",
                             result->skipped_bytes);
    if (result->unsettled > 0)
        lg_report_incomplete(report,
                             "at %" PRIu64 " places an object was being allocated: it is left out",
                             result->unsettled);
}

struct lg_error *lg_session_say(const struct lg_session *session, struct lg_report *report,
                                const char *format, ...)
{
    va_list args;
    FILE *listener = lg_session_listener(session);
    _cleanup_free_ char *line = NULL;
    va_start(args, format);
    bool failed = vasprintf(&line, format, args) < 0;
    va_end(args);
    if (failed)
        return &lg_no_memory;
    if (!listener) {
        lg_report_line(report, "%s", line);
        return NULL;
    }
    errno = 0;
    fprintf(listener, "%s\n", line);
    return lg_runner_flush(listener);
}
