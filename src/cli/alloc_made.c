// What was learnt of the survivors, for the session to keep (collect/made.h): only what they need of
// frames and stacks.
#include <string.h>

#include "cli/alloc.h"

struct making {
    const struct lg_alloc_sites *sites;
    struct lg_made *made;
    uint32_t *frame;        // [frames] its number in `made`, + 1; 0: not there yet
    struct lg_map by_stack; // start of a stack in `sites`, and its length -> site
    bool failed;
};

static const char *copy(struct making *m, const char *text)
{
    const char *ret = text ? lg_arena_copy(&m->made->arena, text, strlen(text)) : NULL;
    m->failed |= text && !ret;
    return ret;
}

static uint32_t frame_of(struct making *m, uint32_t at)
{
    const struct lg_alloc_frame *frame = &m->sites->names.frames.at[at];
    if (m->frame[at])
        return m->frame[at] - 1;
    const struct lg_made_frame made = { .method = copy(m, frame->method),
                                        .module = copy(m, frame->module),
                                        .file = copy(m, frame->source.file),
                                        .il = frame->il,
                                        .line = frame->source.file ? frame->source.line : 0 };
    m->failed |= !lg_vec_push(&m->made->frames, made);
    m->frame[at] = (uint32_t)m->made->frames.len;
    return m->frame[at] - 1;
}

static uint32_t site_of(struct making *m, const struct lg_alloc_kept *kept)
{
    uint32_t found;
    uint64_t key =
        (uint64_t)kept->stack << 32 | kept->count; // An empty one starts where the next one does.
    if (lg_map_get(&m->by_stack, key, &found))
        return found;
    const struct lg_made_site site = { (uint32_t)m->made->stacks.len, kept->count, kept->own };
    found = (uint32_t)m->made->sites.len;
    for (uint32_t i = 0; i < kept->count && !m->failed; i++)
        m->failed |= !lg_vec_push(&m->made->stacks, frame_of(m, m->sites->stacks.at[kept->stack + i]));
    m->failed |= !lg_vec_push(&m->made->sites, site) || !lg_map_put(&m->by_stack, key, found);
    return found;
}

struct lg_error *lg_alloc_keep(struct lg_session *session, const struct lg_alloc_run *run,
                               const struct lg_alloc_sites *sites)
{
    _cleanup_(lg_made_freep) struct lg_made *made = calloc(1, sizeof(*made));
    _cleanup_free_ uint32_t *frames = calloc(sites->names.frames.len + 1, sizeof(*frames));
    struct making m = { .sites = sites, .made = made, .frame = frames };
    if (!made || !frames)
        return &lg_no_memory;
    made->sampling = copy(&m, run->samples.uses_ticks ? "AllocationTick" : "AllocationSampled");
    made->ms = (uint64_t)(run->seconds * 1000);
    made->samples = run->samples.samples;
    for (size_t i = 0; i < sites->kept.len && !m.failed; i++) {
        const struct lg_alloc_kept *kept = &sites->kept.at[i];
        const struct lg_made_object object = { kept->address, site_of(&m, kept), kept->share };
        m.failed |= !lg_vec_push(&made->objects, object);
    }
    lg_map_free(&m.by_stack);
    if (m.failed)
        return &lg_no_memory;
    if (!lg_made_sort(made))
        return lg_error_new(LG_ERR_CORRUPT, "two samples are alive at one address");
    lg_session_keep_made(session, lg_steal(made));
    return NULL;
}
