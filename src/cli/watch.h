// The same again and again: -watch, and the command watch.
//
// On a terminal each round takes the place of the one before; elsewhere one follows the other, with an
// empty line between. Ctrl-C is how a watch ends: it is no error, and whoever runs it goes on.
#ifndef LG_CLI_WATCH_H
#define LG_CLI_WATCH_H

#include <stdio.h>

#include "cli/command.h"

enum { LG_WATCH_SECONDS = 2, LG_WATCH_SECONDS_MAX = 86400 };

struct lg_watch {
    uint64_t every_ms; // From the start of one round to that of the next.
    bool by_lines;     // Instead: a round for each line that comes on standard input.
    uint64_t for_ms;   // No round starts later than that after the first; 0: whenever.
    uint64_t rounds;   // At most; 0: any number.
    FILE *out;
    bool in_place; // `out` is a terminal, and what is printed is text.
    bool spaced;   // Empty lines between rounds.
    struct lg_error *(*round)(void *data, FILE *out); // Prints one.
    bool (*is_over)(void *data);                      // Asked after each; NULL: it never is.
    void *data;
};
// Until lg_cancelled(), an end, or an error.
LG_MUST_CHECK struct lg_error *lg_watch(const struct lg_watch *watch);

// The seconds that `-watch` asks for. An error: they make no sense.
LG_MUST_CHECK struct lg_error *lg_watch_seconds(const struct lg_args *args, unsigned *ret);

// For commands that do nothing else (lg_command.watches): their options, and what they come to.
#define LG_WATCH_OPTIONS \
    { "every", LG_OPT_DURATION, "TIME", "from round to round (default 30s)" }, \
        { "for", LG_OPT_DURATION, "TIME", "no round later than TIME after the first" }, \
        { "rounds", LG_OPT_NUMBER, "N", "rounds at most" }, \
    { \
        "steps", LG_OPT_FLAG, NULL, "instead of -every: a round for each line on standard input" \
    }
LG_MUST_CHECK struct lg_error *lg_watch_parse(const struct lg_args *args, struct lg_watch *ret);

#endif
