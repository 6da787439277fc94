// What Tab may complete at the prompt: commands, their options, and type names after -type and -mt.
#ifndef LG_CLI_COMPLETE_H
#define LG_CLI_COMPLETE_H

#include "cli/session.h"
#include "util/vec.h"

struct lg_completions {
    size_t start;      // Where the word begins that they replace.
    LG_VEC(char *) at; // Sorted, without duplicates; quoted where the line needs it.
    bool more;         // There were too many.
};

// For the first `cursor` bytes of a line. What runs out of memory completes nothing.
void lg_complete(struct lg_session *session, const char *line, size_t cursor,
                 struct lg_completions *ret);
// How many bytes all of them begin with.
size_t lg_completions_prefix(const struct lg_completions *completions);
void lg_completions_deinit(struct lg_completions *completions);

#endif
