// For cmd_vadump.c and vadump_*.c: a memory picture, and how it is shown.
#ifndef LG_CLI_VADUMP_H
#define LG_CLI_VADUMP_H

#include "cli/command.h"
#include "cli/session.h"
#include "picture/rows.h"

// What an earlier picture had, by row: for changes from round to round.
struct lg_vadump_memory {
    LG_VEC(struct lg_vadump_remembered {
        char *name;
        uint64_t total;
    })
    all;
    bool has_round;
};
void *lg_vadump_remember(void);
void lg_vadump_forget(void *memory);

struct lg_vadump_view {
    struct lg_report *report;
    struct lg_picture *picture;
    struct lg_clr *clr; // NULL: none
    bool detail;
    enum lg_by by;
    bool by_given;
    uint64_t top;                    // Rows; 0: all
    struct lg_vadump_memory *memory; // NULL: changes are not asked for.
};

// The tables, in text and in JSON.
LG_MUST_CHECK struct lg_error *lg_vadump_tables(struct lg_vadump_view *view);
// The closing paragraph.
void lg_vadump_words(struct lg_vadump_view *view);
// vadump -diff A B
LG_MUST_CHECK struct lg_error *lg_vadump_diff(const char *before, const char *after,
                                              struct lg_report **ret);

#endif
