// The part of the fake DAC that tells facts (fake_dac_facts.c).
#ifndef LG_TESTS_SUPPORT_FAKE_DAC_FACTS_H
#define LG_TESTS_SUPPORT_FAKE_DAC_FACTS_H

#include <stdbool.h>

#include "dac/data_target.h"

// Is `mode` one of enum fake_dac_mode?
bool fake_tells_facts(uint64_t mode);
// Of ISOSDacInterface, if it is.
void fake_facts_fill(void **slots, uint64_t mode);
// One of the interfaces beside ISOSDacInterface, or NULL.
void *fake_facts_query(const struct lg_guid *iid);

#endif
