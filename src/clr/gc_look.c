#include "clr/gc_look.h"

#include <string.h>
#include <time.h>

#include "clr/clr_priv.h"
#include "clr/memory.h"
#include "clr/runtime_image.h"
#include "target/live.h"

enum { READINGS_MAX = 8 };

static struct lg_error *read_once(struct lg_clr *clr, struct lg_gc_look *ret)
{
    lg_clr_gc_close(clr);
    clr->gc = NULL;
    struct lg_error *err = lg_clr_gc_open(clr);
    if (err)
        return err;
    ret->server = clr->info.server;
    ret->in_progress = clr->info.gc_in_progress;
    ret->heap_count = clr->info.heap_count;
    ret->segment_count = clr->segments.len;
    ret->allocated = 0;
    for (size_t i = 0; i < clr->segments.len; i++)
        ret->allocated += clr->segments.at[i].end - clr->segments.at[i].start;
    struct lg_gc_committed committed;
    err = lg_clr_gc_committed(clr, &committed);
    ret->committed_known = !err;
    ret->committed = err ? 0 : committed.in_use + committed.free;
    if (!err || lg_error_kind(err) != LG_ERR_UNSUPPORTED)
        return err;
    lg_error_free(
        err); // What this runtime does not tell is unknown; the rest may be otherwise next time.
    return NULL;
}

static bool agree(const struct lg_gc_look *a, const struct lg_gc_look *b)
{
    return !a->in_progress && !b->in_progress && a->server == b->server && a->heap_count == b->heap_count
           && a->segment_count == b->segment_count && a->committed == b->committed;
}

// What does not make sense may have been in motion; what is not there will not come.
static bool is_passing(const struct lg_error *err)
{
    return lg_error_kind(err) == LG_ERR_CORRUPT || lg_error_kind(err) == LG_ERR_FAULT;
}

static struct lg_error *read_until_agreed(struct lg_clr *clr, struct lg_gc_look *ret)
{
    struct lg_gc_look before = *ret;
    bool has_before = false;
    struct lg_error *err = NULL;
    for (int i = 0; i < READINGS_MAX; i++) {
        lg_error_free(err);
        lg_peek_again(clr->target);
        err = read_once(clr, ret);
        if (err && !is_passing(err))
            return err;
        if (!err && has_before && agree(&before, ret))
            return NULL;
        has_before = !err;
        before = *ret;
        if (err || i > 0)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return err ? err : lg_error_new(LG_ERR_CORRUPT, "its GC heap changed while it was being read");
}

struct lg_error *lg_gc_look(struct lg_target *target, const char *path, uint64_t base,
                            struct lg_gc_look *ret)
{
    _cleanup_(lg_clr_freep) struct lg_clr *clr = calloc(1, sizeof(*clr));
    if (!clr)
        return &lg_no_memory;
    clr->target = target;
    struct lg_gc_look look = { 0 };
    struct lg_error *err = lg_image_open(target, path, base, &clr->image);
    if (!err && !lg_runtime_image_version(&clr->image, look.version, sizeof(look.version)))
        look.version[0] = '\0';
    if (!err)
        err = read_until_agreed(clr, &look);
    if (err)
        return lg_error_context(err, ".NET runtime");
    *ret = look;
    return NULL;
}
