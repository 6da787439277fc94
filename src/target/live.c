// A target that is a live process, read through a copy that it made of itself.
#include "target/target.h"
#include "util/error.h"

struct lg_error *lg_live_open(int pid, struct lg_target **ret)
{
    return lg_error_new(LG_ERR_UNSUPPORTED, "process %d: live targets cannot be read yet", pid);
}
