// A pager for what is longer than the terminal: $LINGER_PAGER, $PAGER, or less.
#ifndef LG_CLI_PAGER_H
#define LG_CLI_PAGER_H

#include <stdio.h>

#include "report/report.h"

// Does the text of a report not fit the terminal of standard output? False if there is none, or paging
// is turned off (LINGER_PAGER is empty, or "cat").
bool lg_pager_wanted(const struct lg_report *report);
// NULL and errno when it cannot be started.
FILE *lg_pager_open(void);
void lg_pager_close(FILE *pager);

#endif
