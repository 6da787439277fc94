// A fake target: a sparse address space built in memory, for unit tests, fuzzing and damage.
//
//     struct lg_target *fake = fake_new();
//     fake_u64(fake, 0x10000, 0x20000);               // there now: 8 bytes at 0x10000, nothing around
//     them fake_string(fake, 0x20000, "System.String");
//     ... lg_target_u64(fake, 0x10000, &value) ...
//     lg_target_free(fake);
//
// What was not written is not there: reads stop at the first byte that is missing. Pages that are
// written get a private `rw-` range of their own unless fake_map() made one before. Building ends the
// test program when memory runs out or a call makes no sense; reading is thread-safe once building is
// done.
#ifndef LG_TESTS_SUPPORT_FAKE_H
#define LG_TESTS_SUPPORT_FAKE_H

#include "target/target.h"

struct lg_target *fake_new(void);

// A range, before anything is written to it. `path` NULL or "": anonymous. All page-aligned.
void fake_map(struct lg_target *target, uint64_t start, uint64_t end, unsigned access, const char *path,
              uint64_t offset);

// Writes; over what is there already, too.
void fake_bytes(struct lg_target *target, uint64_t address, const void *bytes, size_t len);
void fake_zeros(struct lg_target *target, uint64_t address, size_t len);
void fake_string(struct lg_target *target, uint64_t address, const char *s); // with its NUL
void fake_u64(struct lg_target *target, uint64_t address, uint64_t value);
void fake_u32(struct lg_target *target, uint64_t address, uint32_t value);
void fake_u16(struct lg_target *target, uint64_t address, uint16_t value);
void fake_u8(struct lg_target *target, uint64_t address, uint8_t value);

// Takes bytes away again: a core that lacks them.
void fake_forget(struct lg_target *target, uint64_t address, size_t len);

// A thread, stopped; `rsp` 0: without registers.
void fake_thread(struct lg_target *target, uint32_t tid, uint64_t rip, uint64_t rsp);

// Another target with the bytes, ranges and threads of `fake`, which it borrows: so that one fake is
// built once, and opened and closed for each of many damages. `told` hears of each read; it may be NULL.
typedef void fake_reader(void *data, uint64_t address, size_t len);
struct lg_target *fake_view(struct lg_target *fake, fake_reader *told, void *data);

// An ELF image that exports symbols: header, PT_LOAD, PT_DYNAMIC, build-id, GNU hash table, as the
// dynamic linker of glibc leaves them. Takes the range [base, base + FAKE_IMAGE_SIZE), of which the
// upper half is free for what the symbols point at; symbols may also lie anywhere else.
enum { FAKE_IMAGE_SIZE = 0x20000, FAKE_IMAGE_FREE = 0x10000 };
struct fake_symbol {
    const char *name;
    uint64_t address, size;
};
void fake_image(struct lg_target *target, uint64_t base, const char *path,
                const struct fake_symbol *symbols, size_t count);

// For damage: the address of the `i`th 8-byte word that is there, in order of address; false past the
// last. With it a test replaces each word by each hostile value in turn, and puts it back.
bool fake_word(struct lg_target *target, size_t i, uint64_t *address_ret);
// Values that break what trusts them: 0, 1, -1, top bit, odd, huge, page-aligned but absent, ...
extern const uint64_t fake_hostile[];
extern const size_t fake_hostile_count;

#endif
