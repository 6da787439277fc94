// Any answer on a diagnostics socket is an error, or what it tells lies within it.
#include <stdlib.h>
#include <string.h>

#include "diag/diag_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
    if (text && strlen(text) > size * 3)
        abort();
}

static void check_info(const uint8_t *payload, size_t len, int command)
{
    struct lg_diag_info info = { 0 };
    struct lg_error *err = lg_info_parse(payload, len, command, &info);
    if (err && (info.command || info.version))
        abort();
    const char *const texts[] = { info.command, info.os, info.arch, info.entry, info.version, info.rid };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        check_text(texts[i], len);
    lg_error_free(err);
    lg_diag_info_deinit(&info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < LG_IPC_HEADER)
        return 0;
    size_t whole = 0, len = size - LG_IPC_HEADER;
    const uint8_t *payload = data + LG_IPC_HEADER;
    struct lg_error *err = lg_reply_size(data, &whole);
    if (!err && whole < LG_IPC_HEADER)
        abort();
    lg_error_free(err);
    uint32_t code = 0;
    err = lg_reply_code(data, payload, len, &code);
    if (!err && code != 0)
        err = lg_reply_refusal(code);
    lg_error_free(err);
    check_info(payload, len, LG_IPC_INFO);
    check_info(payload, len, LG_IPC_INFO2);
    check_info(payload, len, LG_IPC_INFO3);
    return 0;
}
