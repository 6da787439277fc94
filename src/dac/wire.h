// What goes over the socket between linger and the helper that hosts the DAC.
//
//     linger                                     helper
//       | CALL object, slot, arguments ------------> |
//       | <------------ READ address, length         |   as often as the DAC wants memory
//       | MEMORY bytes ---------------------------->  |
//       | <------------ PART items                   |   of what is a list, as often as need be
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
    LG_DAC_CALL,      // one or more of: struct lg_dac_call, then the bytes of its LG_DAC_IN arguments;
                      // if the first fails, the others are not done
    LG_DAC_FOLLOW,    // struct lg_dac_follow: all structs of a list
    LG_DAC_MAP,       // struct lg_dac_range: have a copy of this memory at its own address
    LG_DAC_UNMAP,     // nothing: give up what was mapped last
    LG_DAC_MEMORY,    // what READ asked for, as far as it is there
    LG_DAC_REGISTERS, // struct lg_dac_registers; empty: no such thread
    // From the helper:
    LG_DAC_READ,      // struct lg_dac_range
    LG_DAC_WANT_REGS, // uint32_t tid, as the runtime has it
    LG_DAC_PART,      // items of a list: of LG_DAC_FOLLOW structs, of an LG_DAC_CALLBACK lg_dac_item
    LG_DAC_ANSWER,    // per call struct lg_dac_answer, then the bytes of the LG_DAC_OUT arguments
    LG_DAC_FAILED,    // a sentence
};

struct lg_dac_head {
    uint32_t kind, len; // len: of what follows.
};
// Results: room for a hundred thousand assemblies.
enum { LG_DAC_RESULTS_MAX = 1 << 20, LG_DAC_PART_MAX = 1 << 16, LG_DAC_READ_MAX = 1 << 16 };
enum { LG_DAC_LEN_MAX = LG_DAC_RESULTS_MAX };

struct lg_dac_range {
    uint64_t start, len;
};

// An interface is a number: one of these, which are there from the start, or what an LG_DAC_OBJECT
// argument brought. Slot 2 gives the latter back. A call to one that this DAC has not (ISOSDacInterface8
// came with .NET 5) is answered LG_E_NOINTERFACE.
enum lg_dac_object {
    LG_DAC_PROCESS,
    LG_DAC_SOS,
    LG_DAC_SOS6,
    LG_DAC_SOS8,
    LG_DAC_SOS12,
    LG_DAC_SOS13,
    LG_DAC_SOS14,
    LG_DAC_SOS16,
    LG_DAC_OBJECTS_OWN,
    LG_DAC_OBJECTS_MAX = 512,
};
enum { LG_DAC_ARGS_MAX = 7 };
enum lg_dac_arg_kind {
    LG_DAC_VALUE,    // an integer, or an address in the target
    LG_DAC_IN,       // a pointer to `size` bytes
    LG_DAC_OUT,      // a pointer to `size` bytes, zero at first, that come back
    LG_DAC_OBJECT,   // a pointer to where an interface goes
    LG_DAC_CALLBACK, // a function that makes each of its calls an item
    LG_DAC_STRINGS,  // as OUT: pointers to texts of the DAC's own, each of which becomes an item
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
// What the DAC has called a callback with: of MODULEMAPTRAVERSE the index and the method table, of
// VISITHEAP block, size, and whether it is the current one. Of 32-bit arguments the rest is undefined.
struct lg_dac_item {
    uint64_t a, b, c;
};
struct lg_dac_string {
    char text[32]; // With a NUL.
};

// A list of structs that know the address of the next: slot(address, struct *), again and again. It ends
// at address 0, after `max`, where the slot fails, or, with LG_E_CIRCLE, when it comes back to where it
// was; the answer has what the last call returned.
struct lg_dac_follow {
    uint32_t object, slot;
    uint32_t size, next_at; // Of the struct, and of the address of the next in it.
    uint64_t first, max;
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
