// Commands that are answered with their reply.
#include "diag/diag_priv.h"

void lg_diag_info_deinit(struct lg_diag_info *info)
{
    free(info->command);
    free(info->os);
    free(info->arch);
    free(info->entry);
    free(info->version);
    free(info->rid);
    *info = (struct lg_diag_info){ 0 };
}

static struct lg_error *ask(const struct lg_diag *diag, enum lg_ipc_set set, int command,
                            struct lg_reply *ret)
{
    _cleanup_close_ int fd = -1;
    return lg_ipc_request(diag, set, command, NULL, LG_DIAG_REPLY_MS, &fd, ret);
}

struct lg_error *lg_diag_process_info(const struct lg_diag *diag, struct lg_diag_info *ret)
{
    static const int commands[] = { LG_IPC_INFO3, LG_IPC_INFO2, LG_IPC_INFO }; // .NET 8, 7, 5
    uint32_t code = 0;
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        _cleanup_(lg_reply_deinit) struct lg_reply reply = { 0 };
        struct lg_error *err = ask(diag, LG_IPC_PROCESS, commands[i], &reply);
        if (err)
            return err;
        code = reply.code;
        if (code == 0)
            return lg_info_parse(reply.bytes, reply.len, commands[i], ret);
        if (code != LG_IPC_UNKNOWN_COMMAND)
            break;
    }
    return lg_reply_refusal(code);
}

struct lg_error *lg_diag_resume(const struct lg_diag *diag)
{
    _cleanup_(lg_reply_deinit) struct lg_reply reply = { 0 };
    struct lg_error *err = ask(diag, LG_IPC_PROCESS, LG_IPC_RESUME, &reply);
    return err || reply.code == 0 ? err : lg_reply_refusal(reply.code);
}
