#include "util/cancel.h"

volatile sig_atomic_t lg_cancel_flag;
