// What the two files of dacdump share.
#ifndef LG_TESTS_SUPPORT_DACDUMP_H
#define LG_TESTS_SUPPORT_DACDUMP_H

#include "clr/clr.h"
#include "dac/facts.h"
#include "util/map.h"

struct dump {
    struct lg_target *target;
    struct lg_clr *clr; // NULL: it cannot read this runtime.
    struct lg_dac *dac;
    LG_VEC(uint64_t) types; // Method tables, each once.
    struct lg_map seen;
    struct lg_dac_threads threads;
};

double now_ms(void);
int fail(struct lg_error *err);
// What the DAC does not tell is no record; what ended its helper ends us.
bool told(struct lg_error *err);
void add_type(struct dump *d, uint64_t mt);
const char *yes(bool is_so, const char *name);

// GC, threads, modules; loader and code heaps. By the DAC, and by linger without it where that can.
void print_runtime(struct dump *d);
void print_native_memory(struct dump *d);

#endif
