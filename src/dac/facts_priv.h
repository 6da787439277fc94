// What the facts_*.c share.
#ifndef LG_DAC_FACTS_PRIV_H
#define LG_DAC_FACTS_PRIV_H

#include "dac/facts.h"
#include "dac/host.h"

// "the DAC does not tell the type 0x7f… (0x80070057)", NOT_FOUND.
struct lg_error *lg_dac_no_fact(const char *what, uint64_t address, int32_t hresult);
// What may be missing: takes NOT_FOUND for an answer.
LG_MUST_CHECK struct lg_error *lg_dac_may_lack(struct lg_error *err);
// A name of at most `room` - 1 chars: one that is empty, or has no NUL, is no fact. The caller's.
LG_MUST_CHECK struct lg_error *lg_dac_text(const uint16_t *units, size_t room, uint64_t address,
                                           char **ret);
// By a slot of ISOSDacInterface that takes (address, count, chars, needed). The caller's; never empty.
LG_MUST_CHECK struct lg_error *lg_dac_name_read(struct lg_dac *dac, uint32_t slot, uint64_t address,
                                                char **ret);
// Before .NET 9 statics lie by module, a domain's or a thread's, and by type only where the type is made
// at run time.
LG_MUST_CHECK struct lg_error *lg_dac_module_statics(struct lg_dac *dac, const struct lg_dac_type *type,
                                                     const struct lg_dacp_local_module *data,
                                                     struct lg_dac_statics *ret);
#endif
