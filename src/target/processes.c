#include "target/processes.h"

#include "util/error.h"

struct lg_error *lg_processes_list(struct lg_processes *ret)
{
    return lg_error_new(LG_ERR_UNSUPPORTED, "listing processes is not there yet");
}

void lg_processes_free(struct lg_processes *processes) {}
