// The same again and again: -watch.
//
// On a terminal each round takes the place of the one before; elsewhere one follows the other, with an
// empty line between. Ctrl-C is how a watch ends: it is no error, and whoever runs it goes on.
#ifndef LG_CLI_WATCH_H
#define LG_CLI_WATCH_H

#include <stdio.h>

#include "cli/command.h"

enum { LG_WATCH_SECONDS = 2, LG_WATCH_SECONDS_MAX = 86400 };

struct lg_watch {
    unsigned seconds; // From the start of one round to that of the next.
    FILE *out;
    bool in_place; // `out` is a terminal, and what is printed is text.
    bool spaced;   // Empty lines between rounds.
    struct lg_error *(*round)(void *data, FILE *out); // Prints one.
    void *data;
};
// Until lg_cancelled(), or an error.
LG_MUST_CHECK struct lg_error *lg_watch(const struct lg_watch *watch);

// The seconds that `-watch` asks for. An error: they make no sense.
LG_MUST_CHECK struct lg_error *lg_watch_seconds(const struct lg_args *args, unsigned *ret);

#endif
