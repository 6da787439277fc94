// A pager for what is longer than the terminal: $LINGER_PAGER, $PAGER, or less.
#ifndef LG_CLI_PAGER_H
#define LG_CLI_PAGER_H

#include <stdio.h>

#include "report/report.h"

// Does the text of a report not fit the terminal of standard output? False if there is none, or paging
// is turned off (LINGER_PAGER is empty, or "cat").
bool lg_pager_wanted(const struct lg_report *report);

struct lg_pager {
    FILE *in; // Write here.
    int pid;
};
LG_MUST_CHECK struct lg_error *lg_pager_open(struct lg_pager *ret);
void lg_pager_close(struct lg_pager *pager); // Waits until it is left.

#endif
