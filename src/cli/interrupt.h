// Ctrl-C, and the other polite ways of being told to end.
//
// A live target has a copy of itself that only we can end (target/live.h). So SIGINT, SIGTERM and SIGHUP
// go to a thread of their own: it asks the work to end (util/cancel.h), gives it a moment, ends the copy
// itself if that was not enough, and then lets the signal do what it would have done. A prompt at a
// terminal takes SIGINT for itself (repl.c).
#ifndef LG_CLI_INTERRUPT_H
#define LG_CLI_INTERRUPT_H

#include "cli/session.h"

// Until the program ends; `prompting`: not SIGINT. Without a thread (it cannot be started), signals end
// the program as always.
void lg_interrupt_watch(struct lg_session *session, bool prompting);

// Ends the program by the signal that lg_cancelled() tells of.
void lg_interrupt_die(void);

#endif
