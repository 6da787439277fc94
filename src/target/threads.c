#include "target/threads.h"

#include <stdio.h>
#include <string.h>

#include "target/proc.h"

uint32_t lg_threads_ns_pid(const char *status, uint32_t pid)
{
    // "NSpid: 4643 2": one number per nested namespace, the innermost last (proc(5)).
    int64_t number = lg_proc_field_last(status, "NSpid", pid);
    return number > 0 && number <= INT32_MAX ? (uint32_t)number : pid;
}

static void describe(int dir, struct lg_thread *thread, bool is_nested)
{
    char name[64], text[LG_PROC_TEXT];
    snprintf(name, sizeof(name), "task/%u/comm", thread->tid);
    if (lg_proc_read(dir, name, text, sizeof(thread->name)) > 0) {
        text[strcspn(text, "\n")] = '\0';
        memcpy(thread->name, text, strlen(text) + 1);
    }
    thread->ns_tid = thread->tid;
    if (!is_nested)
        return;
    snprintf(name, sizeof(name), "task/%u/status", thread->tid);
    bool found = lg_proc_read(dir, name, text, sizeof(text)) > 0;
    // 0 for a thread that ended meanwhile: what it was called inside is not known.
    thread->ns_tid = found ? lg_threads_ns_pid(text, thread->tid) : 0;
}

void lg_threads_describe(int dir, struct lg_target *target)
{
    char status[LG_PROC_TEXT];
    bool known = lg_proc_read(dir, "status", status, sizeof(status)) > 0;
    bool is_nested =
        known && lg_proc_field(status, "NSpid", -1) != lg_proc_field_last(status, "NSpid", -1);
    for (size_t i = 0; i < target->threads.len; i++)
        describe(dir, &target->threads.at[i], is_nested || !known);
}
