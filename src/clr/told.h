// What the DAC tells of a runtime: asked once, kept, and asked under a lock.
//
// The DAC's helper answers one request at a time, and walkers on several threads may meet a type that
// only it knows: lg_told_type() may be called by any of them.
#ifndef LG_CLR_TOLD_H
#define LG_CLR_TOLD_H

#include "clr/clr_priv.h"
#include "dac/facts.h"

// What the DAC says of a method table; NULL: nothing (it is none, or there is no DAC, or it ended).
// Thread-safe; the pointer stays valid.
const struct lg_dac_type *lg_told_type(struct lg_clr *clr, uint64_t mt);

// The types of a module that have been loaded, by token; NULL: not told. The pointer stays valid. For
// one thread.
const struct lg_dac_module_types *lg_told_types_of(struct lg_clr *clr, uint64_t module);

// Under the lock: for requests of one thread while others may ask for types. `*ret` NULL, and the error
// freed: there is no DAC.
struct lg_dac *lg_told_begin(struct lg_clr *clr);
void lg_told_end(struct lg_clr *clr);

// Questions that have got no answer, as the DAC has crashed or is not there; that there is no such fact
// is one. What was made of the others may be too little.
void lg_told_failed(struct lg_clr *clr, const struct lg_error *err);
size_t lg_told_unanswered(const struct lg_clr *clr);

#endif
