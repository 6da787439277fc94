// What goes over the socket between linger and the helper that hosts the DAC.
//
//     linger                                     helper
//       | CALL object, slot, arguments ------------> |
//       | <------------ READ address, length         |   as often as the DAC wants memory
//       | MEMORY bytes ---------------------------->  |
//       | <------------ ANSWER hresult, results      |
//
// The helper asks only while a request of linger's is open. Linger believes nothing that it says: each
// message is bounded, of a kind that fits, and late ones end the helper (host.c).
#ifndef LG_DAC_WIRE_H
#define LG_DAC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lg_dac_message {
    LG_DAC_START,     // to the helper: nothing. Load the DAC, make it look at the target.
    LG_DAC_CALL,      // struct lg_dac_call, then the bytes of its LG_DAC_IN arguments
    LG_DAC_MAP,       // struct lg_dac_range: have a copy of this memory at its own address
    LG_DAC_UNMAP,     // nothing: give up what was mapped last
    LG_DAC_MEMORY,    // what READ asked for, as far as it is there
    LG_DAC_REGISTERS, // struct lg_dac_registers; empty: no such thread
    // From the helper:
    LG_DAC_READ,      // struct lg_dac_range
    LG_DAC_WANT_REGS, // uint32_t tid, as the runtime has it
    LG_DAC_ANSWER,    // struct lg_dac_answer, then the bytes of the LG_DAC_OUT arguments
    LG_DAC_FAILED,    // a sentence
};

struct lg_dac_head {
    uint32_t kind, len; // len: of what follows.
};
enum { LG_DAC_LEN_MAX = 1 << 17, LG_DAC_READ_MAX = 1 << 16 };

struct lg_dac_range {
    uint64_t start, len;
};

// An interface is a number: what an LG_DAC_OBJECT argument brought. Slot 2 gives it back.
enum { LG_DAC_PROCESS, LG_DAC_SOS, LG_DAC_OBJECTS_MAX = 512 };
enum { LG_DAC_ARGS_MAX = 7 };
enum lg_dac_arg_kind {
    LG_DAC_VALUE,  // an integer, or an address in the target
    LG_DAC_IN,     // a pointer to `size` bytes
    LG_DAC_OUT,    // a pointer to `size` bytes, zero at first, that come back
    LG_DAC_OBJECT, // a pointer to where an interface goes
};
struct lg_dac_call {
    uint32_t object, slot, count, in_len;
    struct {
        uint32_t kind, size;
        uint64_t value;
    } args[LG_DAC_ARGS_MAX];
};
struct lg_dac_answer {
    int32_t hresult;
    uint32_t object; // UINT32_MAX: none
};

// x86-64 CONTEXT of the runtime (reference clr.md A.6), what of it the DAC looks at.
enum { LG_DAC_CONTEXT_SIZE = 1232 };
struct lg_dac_registers {
    uint64_t general[17]; // rax rcx rdx rbx rsp rbp rsi rdi r8 … r15 rip
    uint32_t eflags, cs;
};

struct lg_dac_piece {
    const void *bytes;
    size_t len;
};
// All of it, or false.
bool lg_dac_send(int fd, enum lg_dac_message kind, const struct lg_dac_piece *pieces, size_t count);
// Waits for all of `len` bytes; false at the end of the stream.
bool lg_dac_receive(int fd, void *buf, size_t len);

#endif
