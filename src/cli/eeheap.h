// The parts of `eeheap`.
#ifndef LG_CLI_EEHEAP_H
#define LG_CLI_EEHEAP_H

#include "clr/clr.h"
#include "report/report.h"

struct lg_native_total {
    uint64_t loader, jit;             // Sum of what is known.
    bool loader_unknown, jit_unknown; // Some of it is not.
};

// Loader heaps and JIT code heaps: text, tables `loader_heaps` and `jit_heaps`, fact `loader_total`.
LG_MUST_CHECK struct lg_error *lg_eeheap_native(struct lg_report *report, struct lg_clr *clr,
                                                struct lg_native_total *ret);
// "Total bytes consumed by CLR", and the fact `clr_total`.
void lg_eeheap_total(struct lg_report *report, const struct lg_native_total *native,
                     uint64_t gc_committed);

#endif
