// Has the user had enough?
//
// The one variable of the whole program: a signal handler can reach nothing else. In a prompt, Ctrl-C
// asks for the command that runs to end, and the prompt goes on; a loop that may take longer than half
// a second asks now and then (once per piece of memory, not per object), lets go of what it has, and
// returns `&lg_was_cancelled`. Elsewhere Ctrl-C ends linger, and nobody needs to ask.
#ifndef LG_UTIL_CANCEL_H
#define LG_UTIL_CANCEL_H

#include <signal.h>
#include <stdbool.h>

extern volatile sig_atomic_t lg_cancel_flag;

static inline bool lg_cancelled(void)
{
    return lg_cancel_flag != 0;
}

#endif
