// What the helper may do: almost nothing.
//
// While the DAC is loaded it reads libraries; from then on it has memory, the socket to linger, and
// clocks. No file, no other process, no network, no new program, no thread; nothing that it takes
// outlives it. A call that is not on the list returns EACCES: the DAC goes on without, or fails.
#ifndef LG_DAC_JAIL_H
#define LG_DAC_JAIL_H

#include <stdbool.h>
#include <stdint.h>

enum lg_dac_stage { LG_DAC_LOADING, LG_DAC_RUNNING };

// Never undone. False: the kernel refuses, and nothing must be loaded.
bool lg_dac_jail(enum lg_dac_stage stage);
// `memory`: bytes on top of what is mapped already. The helper ends with linger.
bool lg_dac_limit(int parent, uint64_t memory, unsigned cpu_seconds);
// Closes all but two descriptors; 0, 1 and 2 lead nowhere.
bool lg_dac_close_others(int keep, int keep_too);

#endif
