// What the facts_*.c share.
#ifndef LG_DAC_FACTS_PRIV_H
#define LG_DAC_FACTS_PRIV_H

#include "dac/facts.h"
#include "dac/host.h"

// "the DAC does not tell the type 0x7f… (0x80070057)", NOT_FOUND.
struct lg_error *lg_dac_no_fact(const char *what, uint64_t address, int32_t hresult);
// By a slot of ISOSDacInterface that takes (address, count, chars, needed). The caller's; never empty.
LG_MUST_CHECK struct lg_error *lg_dac_name_read(struct lg_dac *dac, uint32_t slot, uint64_t address,
                                                char **ret);

#endif
