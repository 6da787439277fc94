// A stream of events in the nettrace format, versions 4 (what runtimes send, live or kept in a file) and
// 6 (what `dotnet-trace collect-linux` writes).
//
//     struct lg_nettrace *trace;                   bytes in, of any number at a time
//     lg_nettrace_new(&handler, 0, &trace);            │ lg_nettrace_read() or lg_nettrace_feed()
//     do                                               ▼
//         err = lg_nettrace_read(trace, fd, &ended);   blocks ─► metadata, stacks, threads: kept
//     while (!err && !ended);                              └───► events ─► handler->event()
//     err = lg_nettrace_finish(trace);
//
// Loss is accounted for exactly: the runtime numbers what each thread attempts to write, whether or not
// there is room for it, and tells the numbers of all threads at every sequence point. What is missing
// is told to the handler where it is missing, by thread and time, and counted.
//
// Memory is bounded: a block at a time, and the stacks (in order: the events) since the last sequence
// point. Layout of the runtime's own events: reference diagnostics-ipc.md 3.2, 4.1.
#ifndef LG_DIAG_NETTRACE_H
#define LG_DIAG_NETTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/reader.h"

enum lg_event_provider {
    LG_PROVIDER_OTHER,
    LG_PROVIDER_RUNTIME, // Microsoft-Windows-DotNETRuntime
    LG_PROVIDER_RUNDOWN, // Microsoft-Windows-DotNETRuntimeRundown
};

// What an event is. Lives as long as the trace.
struct lg_event_kind {
    enum lg_event_provider provider;
    const char *provider_name;
    const char *name; // Empty for the runtime's own: known by provider, id and version.
    uint32_t id, version, level;
    uint64_t keywords;
};

// Valid during the call. Threads are those of the system as the process sees them.
struct lg_event {
    const struct lg_event_kind *kind;
    uint64_t time; // ticks: lg_nettrace_facts.frequency a second
    uint64_t thread, capture_thread;
    const uint8_t *payload;
    size_t payload_size;
    const uint64_t *stack; // return addresses, innermost first
    size_t stack_count;
};
static inline struct lg_reader lg_event_payload(const struct lg_event *event)
{
    return lg_reader(event->payload, event->payload_size);
}
// Moves past a string of UTF-16 that ends with a 0: its place (at any alignment) and its length in
// chars. NULL, and the reader has failed, if it does not end.
const void *lg_read_wide(struct lg_reader *r, size_t *chars_ret);
// The same as UTF-8, cut at `size` bytes.
void lg_read_wide_text(struct lg_reader *r, char *buf, size_t size);

// `count` events of a thread are not there, that were written after `since` (the last event before, 0:
// none) and not after `until`.
struct lg_event_loss {
    uint64_t thread, count, since, until;
};

struct lg_event_handler {
    void *self;
    // An error ends the reading, and is returned by whoever was called.
    struct lg_error *(*event)(void *self, const struct lg_event *event);
    void (*lost)(void *self, const struct lg_event_loss *loss); // NULL: they are only counted
};

enum lg_nettrace_flags {
    // Events of all threads in the order of their time. They come up to some 100 ms later then.
    LG_NETTRACE_IN_ORDER = 1,
};

struct lg_nettrace;
LG_MUST_CHECK struct lg_error *lg_nettrace_new(const struct lg_event_handler *handler, unsigned flags,
                                               struct lg_nettrace **ret);
void lg_nettrace_free(struct lg_nettrace *trace); // NULL is allowed
LG_DEFINE_FREEP(lg_nettrace)

// The next bytes of the stream. After an error there is nothing more to be had.
LG_MUST_CHECK struct lg_error *lg_nettrace_feed(struct lg_nettrace *trace, const void *bytes,
                                                size_t size);
// The same with what one read(2) gives: a file, a pipe or a socket. `*ended_ret`: there is no more.
// `*bytes_ret`, unless NULL: those bytes, valid until the next call, `*size_ret` of them.
LG_MUST_CHECK struct lg_error *lg_nettrace_read(struct lg_nettrace *trace, int fd, bool *ended_ret,
                                                const void **bytes_ret, size_t *size_ret);
// No more bytes: tells the last events. What a cut stream still holds of a block is not told.
LG_MUST_CHECK struct lg_error *lg_nettrace_finish(struct lg_nettrace *trace);

struct lg_nettrace_facts {
    unsigned version;       // 4, 6; 0: nothing read yet
    unsigned pointer_size;  // 4, 8
    uint32_t pid;           // as the process sees itself; 0: not told
    uint64_t frequency;     // ticks a second
    uint64_t start_ticks;   // when it began
    int64_t start_utc;      // the same in milliseconds since 1970
    uint64_t bytes, events; // read, told
    uint64_t lost;          // as told to handler->lost()
    uint64_t disordered;    // told after a later one; in order: 0, unless the stream lies
    bool ended;             // with its end mark: otherwise it was cut
};
const struct lg_nettrace_facts *lg_nettrace_facts(const struct lg_nettrace *trace);

#endif
