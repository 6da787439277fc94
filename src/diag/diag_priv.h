// For the files of src/diag.
//
//     u8 magic[14] "DOTNET_IPC_V1\0"   u16 size, of all of it   u8 set   u8 command   u16 0   payload
//
// Integers are little-endian. A string is a u32 count of UTF-16 units, its NUL included, and the units;
// a count of 0 is none. The reply has set 0xff, and command 0 or, with an error code as payload, 0xff
// (dotnet/diagnostics documentation/design-docs/ipc-protocol.md @3c9f99e).
#ifndef LG_DIAG_DIAG_PRIV_H
#define LG_DIAG_DIAG_PRIV_H

#include "diag/diag.h"
#include "util/reader.h"
#include "util/vec.h"

enum lg_ipc_set { LG_IPC_EVENTPIPE = 2, LG_IPC_PROCESS = 4 };
enum {
    LG_IPC_STOP = 1,
    LG_IPC_INFO = 0,
    LG_IPC_RESUME = 1,
    LG_IPC_SET_ENVIRONMENT = 3,
    LG_IPC_INFO2 = 4,
    LG_IPC_INFO3 = 8
};
enum { LG_IPC_HEADER = 20, LG_IPC_NAME = 96 };

// What the runtime answers when it does not have a command (clrmd's and its own name:
// CORDIAGIPC_E_UNKNOWN_COMMAND).
#define LG_IPC_UNKNOWN_COMMAND 0x80131385u

struct lg_diag {
    int pid;                // 0: not known; opened by path.
    int dir;                // The socket's folder, O_PATH.
    char name[LG_IPC_NAME]; // Within it.
    char *folder;           // As its process calls it.
};

// A payload that is being made; `failed`: out of memory, or too much for one message.
struct lg_payload {
    LG_VEC(uint8_t) bytes;
    bool failed;
};
void lg_payload_u8(struct lg_payload *payload, uint8_t value);
void lg_payload_u32(struct lg_payload *payload, uint32_t value);
void lg_payload_u64(struct lg_payload *payload, uint64_t value);
void lg_payload_string(struct lg_payload *payload, const char *ascii); // NULL: none
void lg_payload_deinit(struct lg_payload *payload);

struct lg_reply {
    uint32_t code;  // 0: it was done. Else why not.
    uint8_t *bytes; // The payload; owned.
    size_t len;
};
void lg_reply_deinit(struct lg_reply *reply);
// The size of a whole message, by its header.
LG_MUST_CHECK struct lg_error *lg_reply_size(const uint8_t header[LG_IPC_HEADER], size_t *ret);
// Whether it is an error reply, by header and payload; takes nothing.
LG_MUST_CHECK struct lg_error *lg_reply_code(const uint8_t header[LG_IPC_HEADER], const uint8_t *payload,
                                             size_t len, uint32_t *ret);
// An error reply as an error: "the runtime refuses: it does not know this command (0x80131385)".
struct lg_error *lg_reply_refusal(uint32_t code) __attribute__((__returns_nonnull__));

// The payload of a reply to one of the three commands; `command` is LG_IPC_INFO…
LG_MUST_CHECK struct lg_error *lg_info_parse(const uint8_t *payload, size_t len, int command,
                                             struct lg_diag_info *ret);

// One connection: sends a command, waits for its reply. `*fd_ret` stays open, and does not block.
LG_MUST_CHECK struct lg_error *lg_ipc_request(const struct lg_diag *diag, enum lg_ipc_set set,
                                              int command, const struct lg_payload *payload,
                                              int timeout_ms, int *fd_ret, struct lg_reply *ret);
// The first half of that, and the second.
LG_MUST_CHECK struct lg_error *lg_ipc_send(const struct lg_diag *diag, enum lg_ipc_set set, int command,
                                           const struct lg_payload *payload, int timeout_ms,
                                           int *fd_ret);
LG_MUST_CHECK struct lg_error *lg_ipc_receive(const struct lg_diag *diag, int fd, int timeout_ms,
                                              struct lg_reply *ret);
// Waits for `events` of poll(2) on a socket; false after `timeout_ms`. Then `err` is NULL.
LG_MUST_CHECK struct lg_error *lg_ipc_wait(int fd, short events, int64_t until_ms, bool *ret);
int64_t lg_ipc_now_ms(void);

// Connects; the peer is the process that was meant, as far as the kernel tells.
LG_MUST_CHECK struct lg_error *lg_diag_connect(const struct lg_diag *diag, int64_t until_ms,
                                               int *fd_ret);

#endif
