// A diagnostic port: a socket of ours that runtimes connect to when they start, and wait at until they
// are let go on (.NET 5 and later).
//
//     DOTNET_DiagnosticPorts=/tmp/linger-run-Xy12aB/port,suspend     in the environment of what is
//     started
//
//     runtime ── "here I am": cookie, process ──► port     and again after every command
//             ◄── forget the port ───────────────          so that what it starts does not wait
//             ◄── go on ─────────────────────────
//
// The first one waits for lg_port_let_go(); all others are let go at once: a thread sees to that as long
// as the port is there. The rest is asked over the runtime's own socket (diag.h), which it has as
// always.
#ifndef LG_DIAG_PORT_H
#define LG_DIAG_PORT_H

#include "util/cleanup.h"
#include "util/error.h"

struct lg_port;
LG_MUST_CHECK struct lg_error *lg_port_new(struct lg_port **ret);
// Removes the socket, and its folder.
void lg_port_free(struct lg_port *port);
LG_DEFINE_FREEP(lg_port)

// What DOTNET_DiagnosticPorts has to be; ports that it had already stay.
const char *lg_port_setting(const struct lg_port *port);
// The process of the first runtime that came; 0: none so far.
int lg_port_first(const struct lg_port *port);
void lg_port_let_go(struct lg_port *port);

#endif
