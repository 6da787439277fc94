// Whose something is, in words.
#include <inttypes.h>
#include <stdio.h>

#include "collect/retain.h"

char *lg_owner_label(const struct lg_owner *owner)
{
    static const char *const kinds[LG_ROOT_KINDS] = {
        [LG_ROOT_STATIC] = "statics without a name",
        [LG_ROOT_THREAD_STATIC] = "thread statics without a name",
        [LG_ROOT_STRONG] = "strong handles",
        [LG_ROOT_PINNED] = "pinned handles",
        [LG_ROOT_ASYNC_PINNED] = "async pinned handles",
        [LG_ROOT_SIZED_REF] = "sized ref handles",
        [LG_ROOT_REFCOUNTED] = "ref counted handles",
        [LG_ROOT_FINALIZER] = "finalizer queue",
        [LG_ROOT_FRAME] = "threads",
        [LG_ROOT_STACK] = "stacks",
    };
    char *text = NULL;
    int len = -1;
    if (owner->is_frozen)
        len = asprintf(&text, "frozen heap");
    else if (owner->name && owner->thread)
        len = asprintf(&text, "thread static %s, thread %" PRIx32, owner->name, owner->thread->os_id);
    else if (owner->name)
        len = asprintf(&text, "%s %s", owner->kind == LG_ROOT_THREAD_STATIC ? "thread static" : "static",
                       owner->name);
    else if (owner->thread)
        len = asprintf(&text, "thread %" PRIx32, owner->thread->os_id);
    else
        len = asprintf(&text, "%s", kinds[owner->kind]);
    return len < 0 ? NULL : text;
}
