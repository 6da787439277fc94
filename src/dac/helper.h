// The helper process: hosts the DAC, and does what linger asks it over the socket.
//
// A fork of linger that gives up what it has (jail.h) and never returns. It does not know the target: it
// asks linger for every page of it.
#ifndef LG_DAC_HELPER_H
#define LG_DAC_HELPER_H

#include <stdint.h>

struct lg_dac_helper_options {
    int socket, file; // file: the DAC's, checked (find.h)
    int parent;       // PID
    uint64_t runtime_base;
    uint64_t memory;
    unsigned cpu_seconds;
};
_Noreturn void lg_dac_helper(const struct lg_dac_helper_options *options);

#endif
