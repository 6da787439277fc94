// What clr.h promises of whatever a runtime tells, damaged or not: for tests that damage it.
#ifndef LG_TESTS_SUPPORT_PROMISES_H
#define LG_TESTS_SUPPORT_PROMISES_H

#include "clr/clr.h"

// Asks an opened runtime all that it can be asked, walks nothing. The first promise that does not hold,
// or NULL.
const char *broken_promise(struct lg_clr *clr);

#endif
