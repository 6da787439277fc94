// Messages as bytes: payloads to send, replies to understand.
#include <inttypes.h>
#include <string.h>

#include "diag/diag_priv.h"
#include "util/utf16.h"

enum { PAYLOAD_MAX = UINT16_MAX - LG_IPC_HEADER, OK = 0x00, ERROR = 0xff, SET_SERVER = 0xff };

// ---- payloads ----

static void put(struct lg_payload *payload, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++, value >>= 8)
        payload->failed |=
            payload->bytes.len >= PAYLOAD_MAX || !lg_vec_push(&payload->bytes, (uint8_t)value);
}

void lg_payload_u8(struct lg_payload *payload, uint8_t value)
{
    put(payload, value, 1);
}
void lg_payload_u32(struct lg_payload *payload, uint32_t value)
{
    put(payload, value, 4);
}
void lg_payload_u64(struct lg_payload *payload, uint64_t value)
{
    put(payload, value, 8);
}

void lg_payload_string(struct lg_payload *payload, const char *ascii)
{
    put(payload, ascii ? strlen(ascii) + 1 : 0, 4);
    for (const char *s = ascii; s && *s; s++)
        put(payload, (uint8_t)*s, 2);
    if (ascii)
        put(payload, 0, 2);
}

void lg_payload_deinit(struct lg_payload *payload)
{
    lg_vec_free(&payload->bytes);
}

// ---- replies ----

void lg_reply_deinit(struct lg_reply *reply)
{
    free(reply->bytes);
    reply->bytes = NULL;
}

struct lg_error *lg_reply_size(const uint8_t header[LG_IPC_HEADER], size_t *ret)
{
    static const char magic[14] = "DOTNET_IPC_V1";
    struct lg_reader r = lg_reader(header, LG_IPC_HEADER);
    if (memcmp(lg_read_bytes(&r, sizeof(magic)), magic, sizeof(magic)) != 0)
        return lg_error_new(
            LG_ERR_CORRUPT,
            "the answer is none of a .NET runtime: it does not begin with DOTNET_IPC_V1");
    size_t size = lg_read_u16(&r);
    if (size < LG_IPC_HEADER)
        return lg_error_new(LG_ERR_CORRUPT, "the answer calls itself %zu bytes long; its header has %d",
                            size, LG_IPC_HEADER);
    *ret = size;
    return NULL;
}

struct lg_error *lg_reply_code(const uint8_t header[LG_IPC_HEADER], const uint8_t *payload, size_t len,
                               uint32_t *ret)
{
    uint8_t set = header[16], command = header[17];
    if (set != SET_SERVER || (command != OK && command != ERROR))
        return lg_error_new(LG_ERR_CORRUPT, "the answer is neither a result nor an error (0x%02x%02x)",
                            set, command);
    if (command == OK) {
        *ret = 0;
        return NULL;
    }
    struct lg_reader r = lg_reader(payload, len);
    uint32_t code = lg_read_u32(&r);
    if (r.failed || code == 0)
        return lg_error_new(LG_ERR_CORRUPT, "the answer is an error without a code");
    *ret = code;
    return NULL;
}

// dotnet/diagnostics documentation/design-docs/ipc-protocol.md, "Error codes", and
// src/Microsoft.Diagnostics.NETCore.Client/DiagnosticsIpc/IpcMessage.cs @3c9f99e
static const struct {
    uint32_t code;
    enum lg_error_kind kind;
    const char *words;
} refusals[] = {
    { 0x80131384u, LG_ERR_UNSUPPORTED, "it does not understand what the command was given" },
    { LG_IPC_UNKNOWN_COMMAND, LG_ERR_UNSUPPORTED,
      "it does not know this command; it is too old, or too new" },
    { 0x80131386u, LG_ERR_UNSUPPORTED, "it speaks another version of the protocol" },
    { 0x80131387u, LG_ERR_OS, "something went wrong there that it has no name for" },
    { 0x80131515u, LG_ERR_UNSUPPORTED, "it was built without this" },
    { 0x80004005u, LG_ERR_OS, "it failed; it may have too many sessions, or too little memory" },
    { 0x8007000eu, LG_ERR_OS, "it is out of memory" },
    { 0x8013135bu, LG_ERR_OS, "not yet: it has not started so far" },
    { 0x80131371u, LG_ERR_OS, "it is not up, or already on its way down" },
    { 0x80070057u, LG_ERR_OS, "it takes an argument for wrong" },
    { 0x8007007au, LG_ERR_OS, "its buffer is too small for this" },
    { 0x800000cbu, LG_ERR_NOT_FOUND, "it has no such environment variable" },
    { 0x8013136au, LG_ERR_OS, "another profiler is attached" },
};

struct lg_error *lg_reply_refusal(uint32_t code)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        if (refusals[i].code == code)
            return lg_error_new(refusals[i].kind, "the runtime refuses: %s (0x%08" PRIx32 ")",
                                refusals[i].words, code);
    }
    return lg_error_new(LG_ERR_OS, "the runtime refuses, with an error that is not known: 0x%08" PRIx32,
                        code);
}

// ---- process info ----

// NULL: there is none, or `failed` of the reader, or *no_memory.
static char *read_string(struct lg_reader *r, bool *no_memory)
{
    uint32_t count = lg_read_u32(r);
    const void *bytes = lg_read_bytes(r, (size_t)count * 2);
    if (!bytes || count == 0)
        return NULL;
    _cleanup_free_ uint16_t *chars = malloc((size_t)count * 2);
    char *text = chars ? malloc(LG_UTF8_SIZE((size_t)count)) : NULL;
    *no_memory |= !text;
    if (!text)
        return NULL;
    memcpy(chars, bytes, (size_t)count * 2);
    size_t len = chars[count - 1] == 0 ? count - 1 : count;
    lg_utf8_from_utf16(text, LG_UTF8_SIZE((size_t)count), chars, len);
    return text;
}

struct lg_error *lg_info_parse(const uint8_t *payload, size_t len, int command, struct lg_diag_info *ret)
{
    struct lg_diag_info info = { 0 };
    struct lg_reader r = lg_reader(payload, len);
    bool no_memory = false;
    uint32_t version = command == LG_IPC_INFO3 ? lg_read_u32(&r) : 1;
    info.pid = lg_read_u64(&r);
    const void *cookie = lg_read_bytes(&r, sizeof(info.cookie));
    if (cookie)
        memcpy(info.cookie, cookie, sizeof(info.cookie));
    info.command = read_string(&r, &no_memory);
    info.os = read_string(&r, &no_memory);
    info.arch = read_string(&r, &no_memory);
    if (command != LG_IPC_INFO) {
        info.entry = read_string(&r, &no_memory);
        info.version = read_string(&r, &no_memory);
    }
    if (command == LG_IPC_INFO3)
        info.rid = read_string(&r, &no_memory);
    if (!r.failed && !no_memory && version >= 1) {
        *ret = info;
        return NULL;
    }
    lg_diag_info_deinit(&info);
    if (no_memory)
        return &lg_no_memory;
    return lg_error_new(LG_ERR_CORRUPT, "what it tells of its process ends at byte %zu, too early",
                        lg_reader_offset(&r));
}
