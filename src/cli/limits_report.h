// What `limits` found, as a report.
#ifndef LG_CLI_LIMITS_REPORT_H
#define LG_CLI_LIMITS_REPORT_H

#include "limits/limits.h"
#include "report/report.h"

// The bounds, the settings and the sentences around them; NULL when out of memory. Nothing in it points
// into `limits`.
struct lg_report *lg_limits_report(const struct lg_limits *limits);

struct lg_session;
// What bounds the open target, as `limits` at the prompt has it.
LG_MUST_CHECK struct lg_error *lg_limits_of_session(const struct lg_session *session,
                                                    struct lg_limits *ret);

#endif
