// The diagnostics socket: what a running .NET runtime can be asked to do.
//
// Every runtime since .NET Core 3.0 listens on a socket in its temporary folder. One connection takes
// one command and gives one reply; a connection that asked for a session then carries its events, in the
// nettrace format, until the session ends:
//
//     linger                                 runtime
//       │ command ──────────────────────────►  │        14 bytes magic, size, set, command, payload
//       │ ◄──────────────────────────── reply  │        the same; or an error code, in words here
//       │ ◄═══════════════ nettrace stream ══  │        only after "collect"
//
// A session belongs to its connection: whoever closes it, or dies, ends the session, and the runtime
// goes on. Nothing here waits without end: each step has a deadline, and ends when lg_cancelled().
//
// The runtime serves one command at a time: while one of them makes it collect garbage, others wait.
//
// A `struct lg_diag` and a session may be used by one thread at a time each; by different threads at the
// same time they may (one reads the stream while another stops the session).
#ifndef LG_DIAG_DIAG_H
#define LG_DIAG_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"

enum { LG_DIAG_REPLY_MS = 10000 }; // How long an answer may take, where nothing else is said.

struct lg_diag;

// Finds the socket of a process, in whatever PID and mount namespace, and connects to nothing yet. The
// error says why there is none: not .NET, switched off, no right to look.
LG_MUST_CHECK struct lg_error *lg_diag_open(int pid, struct lg_diag **ret);
// A socket by its path, of whoever listens there.
LG_MUST_CHECK struct lg_error *lg_diag_open_path(const char *path, struct lg_diag **ret);
void lg_diag_free(struct lg_diag *diag);
LG_DEFINE_FREEP(lg_diag)

// ---- questions ----

// Strings are owned UTF-8; NULL: this runtime does not tell.
struct lg_diag_info {
    uint64_t pid;       // as the process itself sees it
    uint8_t cookie[16]; // of this run of this runtime, and of no other
    char *command, *os, *arch;
    char *entry, *version; // entry assembly, "10.0.12": since .NET 7
    char *rid;             // "linux-x64": since .NET 8
};
LG_MUST_CHECK struct lg_error *lg_diag_process_info(const struct lg_diag *diag,
                                                    struct lg_diag_info *ret);
void lg_diag_info_deinit(struct lg_diag_info *info);

// Lets a runtime go on that waits at its start (DOTNET_DefaultDiagnosticPortSuspend=1). One that does
// not wait takes it as well.
LG_MUST_CHECK struct lg_error *lg_diag_resume(const struct lg_diag *diag);
// Whether its environment tells it to wait at its start. It may have been let go since.
bool lg_diag_starts_suspended(const struct lg_diag *diag);

// ---- sessions ----

#define LG_DIAG_RUNTIME "Microsoft-Windows-DotNETRuntime"

enum lg_diag_level {
    LG_DIAG_CRITICAL = 1,
    LG_DIAG_ERROR,
    LG_DIAG_WARNING,
    LG_DIAG_INFO,
    LG_DIAG_VERBOSE
};

struct lg_diag_provider {
    const char *name; // ASCII
    uint64_t keywords;
    uint32_t level;
    const char *arguments;  // "key=value;key=value", ASCII; NULL: none
    const uint32_t *events; // Only these; runtimes before .NET 10 send others too. NULL: all.
    size_t event_count;
};

struct lg_diag_request {
    const struct lg_diag_provider *providers;
    size_t provider_count;
    // As many, that are asked instead of a runtime that does not know their `events`; NULL: the same.
    const struct lg_diag_provider *unfiltered;
    uint32_t buffer_mb; // Most memory that the session takes in the target; 0: 64.
    // Keywords of what is told of methods and modules at the end; 0: nothing. Runtimes before .NET 9
    // only know all or nothing.
    uint64_t rundown;
    bool stacks;  // With the stacks of events that have one. Before .NET 9: always.
    bool block;   // Rather stop the threads of the target than lose events; .NET 11, else ignored.
    int reply_ms; // Some keywords have work done before the reply (a collection). 0: LG_DIAG_REPLY_MS.
};

// What dotnet-trace asks to be told at the end: methods, modules, where IL is in native code.
#define LG_DIAG_RUNDOWN_ALL 0x80020139

struct lg_diag_session {
    int fd;      // The stream, from "Nettrace" on; does not block. Reading may end anywhere.
    int stop_fd; // The connection that asked for its end; -1: nobody did.
    uint64_t id;
    unsigned version; // of the command that the runtime took: CollectTracing, 2 to 6
    bool filtered;    // It knows `events`; else the consumer has to pass over what it did not ask for.
    bool blocks;      // It knows `block`.
    bool ended;       // The stream is over: stopped, or the runtime is gone.
};

// Starts a session, with the newest form of the command that the runtime has. `*ret` is to be closed.
LG_MUST_CHECK struct lg_error *lg_diag_collect(const struct lg_diag *diag,
                                               const struct lg_diag_request *request,
                                               struct lg_diag_session *ret);

// Reads what has come, at most `size` bytes; waits `timeout_ms` for the first one. `*len_ret` 0: nothing
// came, or, if `ended`, nothing will.
LG_MUST_CHECK struct lg_error *lg_diag_read(struct lg_diag_session *session, void *buf, size_t size,
                                            int timeout_ms, size_t *len_ret);

// Reads what has come and feeds it to `trace`, whose events are then told. When nothing has come for
// `timeout_ms`, the last of them too: what the runtime has had ready for so long, it has sent (it does
// so every 100 ms).
struct lg_nettrace;
LG_MUST_CHECK struct lg_error *lg_diag_feed(struct lg_diag_session *session, struct lg_nettrace *trace,
                                            int timeout_ms);
enum { LG_DIAG_QUIET_MS = 250 }; // A timeout that is long enough for that.

// Asks the runtime to end a session, and does not wait: the rundown comes first, through the stream. So
// read until `ended`, then ask lg_diag_stopped() whether all was well.
LG_MUST_CHECK struct lg_error *lg_diag_stop(const struct lg_diag *diag, struct lg_diag_session *session);
// What the runtime said to lg_diag_stop().
LG_MUST_CHECK struct lg_error *lg_diag_stopped(const struct lg_diag *diag,
                                               struct lg_diag_session *session);
// Whatever state it is in; the runtime ends it if nobody has. A session that never was is {.fd = -1,
// .stop_fd = -1}.
void lg_diag_close(struct lg_diag_session *session);

#endif
