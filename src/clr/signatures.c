#include "clr/types_priv.h"
