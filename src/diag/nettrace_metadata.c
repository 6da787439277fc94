#include "diag/nettrace_priv.h"

#include <string.h>

#include "util/utf16.h"

static struct lg_error *bad_row(void)
{
    return lg_error_new(LG_ERR_CORRUPT, "event stream: a damaged description of an event");
}

static enum lg_event_provider known_provider(const char *name)
{
    if (strcmp(name, "Microsoft-Windows-DotNETRuntime") == 0)
        return LG_PROVIDER_RUNTIME;
    return strcmp(name, "Microsoft-Windows-DotNETRuntimeRundown") == 0 ? LG_PROVIDER_RUNDOWN
                                                                       : LG_PROVIDER_OTHER;
}

// A row under an id that was there replaces the old one: ids are reused after a flush of v6.
static struct lg_error *add_kind(struct lg_nettrace *trace, uint32_t id, const struct lg_event_kind *row)
{
    if (trace->kinds.len >= LG_NETTRACE_KINDS_MAX || trace->names_size > LG_NETTRACE_NAMES_MAX)
        return lg_error_new(LG_ERR_UNSUPPORTED, "event stream: too many kinds of events");
    struct lg_event_kind *kind = lg_arena_alloc(&trace->names, sizeof(*kind));
    if (!kind || !row->name || !row->provider_name
        || !lg_map_put(&trace->kind_by_id, id, (uint32_t)trace->kinds.len)
        || !lg_vec_push(&trace->kinds, kind))
        return &lg_no_memory;
    *kind = *row;
    kind->provider = known_provider(kind->provider_name);
    trace->recent_kind = NULL;
    return NULL;
}

static const char *keep_wide(struct lg_nettrace *trace, struct lg_reader *r)
{
    size_t chars;
    const void *bytes = lg_read_wide(r, &chars);
    if (!bytes)
        return "";
    trace->names_size += LG_UTF8_SIZE(chars);
    _cleanup_free_ uint16_t *aligned = malloc(chars * 2 + 1);
    char *text = lg_arena_alloc(&trace->names, LG_UTF8_SIZE(chars));
    if (!aligned || !text)
        return NULL;
    memcpy(aligned, bytes, chars * 2);
    lg_utf8_from_utf16(text, LG_UTF8_SIZE(chars), aligned, chars);
    return text;
}

struct lg_error *nettrace_metadata_v4(struct lg_nettrace *trace, struct lg_reader r)
{
    struct lg_event_kind kind = { 0 };
    uint32_t id = lg_read_u32(&r);
    kind.provider_name = keep_wide(trace, &r);
    kind.id = lg_read_u32(&r);
    kind.name = keep_wide(trace, &r);
    kind.keywords = lg_read_u64(&r);
    kind.version = lg_read_u32(&r);
    kind.level = lg_read_u32(&r);
    return r.failed ? bad_row() : add_kind(trace, id, &kind);
}

const char *nettrace_string(struct lg_reader *r, size_t *len_ret)
{
    *len_ret = nettrace_varuint32(r);
    return lg_read_bytes(r, *len_ret);
}

static const char *keep_string(struct lg_nettrace *trace, struct lg_reader *r)
{
    size_t len;
    const char *s = nettrace_string(r, &len);
    if (!s)
        return "";
    trace->names_size += len + 1;
    return lg_arena_copy(&trace->names, s, len);
}

// What may follow the fields: version, level, keywords among it. It ends at the first kind not known.
static void read_optional(struct lg_reader r, struct lg_event_kind *kind)
{
    enum { OPCODE = 1, KEYWORD = 3, MESSAGE, DESCRIPTION, KEY_VALUE, GUID, LEVEL, VERSION };
    while (lg_reader_left(&r) && !r.failed) {
        size_t len;
        switch (lg_read_u8(&r)) {
        case OPCODE:
            lg_read_u8(&r);
            break;
        case KEYWORD:
            kind->keywords = lg_read_u64(&r);
            break;
        case KEY_VALUE:
            nettrace_string(&r, &len);
            nettrace_string(&r, &len);
            break;
        case MESSAGE:
        case DESCRIPTION:
            nettrace_string(&r, &len);
            break;
        case GUID:
            lg_read_bytes(&r, 16);
            break;
        case LEVEL:
            kind->level = lg_read_u8(&r);
            break;
        case VERSION:
            kind->version = lg_read_u8(&r);
            break;
        default:
            return;
        }
    }
}

static struct lg_error *row_v6(struct lg_nettrace *trace, struct lg_reader r)
{
    struct lg_event_kind kind = { 0 };
    uint32_t id = nettrace_varuint32(&r);
    kind.provider_name = keep_string(trace, &r);
    kind.id = nettrace_varuint32(&r);
    kind.name = keep_string(trace, &r);
    uint16_t fields = lg_read_u16(&r);
    for (unsigned i = 0; i < fields && !r.failed; i++)
        lg_read_bytes(&r, lg_read_u16(&r));
    size_t size = lg_read_u16(&r);
    const void *optional = lg_read_bytes(&r, size);
    if (r.failed)
        return bad_row();
    read_optional(lg_reader(optional, size), &kind);
    return add_kind(trace, id, &kind);
}

struct lg_error *nettrace_metadata_v6(struct lg_nettrace *trace, struct lg_reader r)
{
    lg_read_bytes(&r, lg_read_u16(&r)); // a header of later versions
    while (lg_reader_left(&r)) {
        size_t size = lg_read_u16(&r);
        const void *row = lg_read_bytes(&r, size);
        if (r.failed)
            return bad_row();
        struct lg_error *err = row_v6(trace, lg_reader(row, size));
        if (err)
            return err;
    }
    return r.failed ? bad_row() : NULL;
}

const struct lg_event_kind *nettrace_kind(struct lg_nettrace *trace, uint32_t id)
{
    uint32_t i;
    if (trace->recent_kind && trace->recent_kind_id == id)
        return trace->recent_kind;
    if (!lg_map_get(&trace->kind_by_id, id, &i))
        return NULL;
    trace->recent_kind_id = id;
    return trace->recent_kind = trace->kinds.at[i];
}
