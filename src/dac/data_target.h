// The target as the DAC sees it: ICLRDataTarget and its kin, in the helper.
#ifndef LG_DAC_DATA_TARGET_H
#define LG_DAC_DATA_TARGET_H

#include <stddef.h>

#include "dac/com.h"

// Any interface: a table of functions comes first, each of which takes the interface first.
struct lg_com {
    void *const *slots;
};

struct lg_data_target;

// NULL: out of memory. Lives as long as the process.
struct lg_data_target *lg_data_target_new(int socket, uint64_t runtime_base);
// What CLRDataCreateInstance is given.
struct lg_com *lg_data_target_interface(struct lg_data_target *host);

// As much of it as the target has. Asks linger, and ends the process when linger is gone.
size_t lg_data_target_read(struct lg_data_target *host, uint64_t address, void *buf, size_t len);

#endif
