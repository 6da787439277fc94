// An ELF file on disk, seen as a target: its PT_LOADs at their own addresses, read with pread(2).
//
// So lg_image_symbol() and lg_image_build_id() work on files as on memory. Nothing is mapped: a file
// that shrinks while it is read gives short reads, where a mapping would end us with SIGBUS.
#ifndef LG_TARGET_ELF_FILE_H
#define LG_TARGET_ELF_FILE_H

#include <elf.h>

#include "target/image.h"

// A word that the dynamic linker rewrites: `value` + bias when it is known from the file alone
// (R_X86_64_RELATIVE, R_AARCH64_RELATIVE), else unknown.
struct lg_relocation {
    uint64_t address; // before the bias
    uint64_t value;
    bool known;
};

struct lg_elf_file {
    struct lg_target target; // Not from the heap: lg_elf_file_close(), never lg_target_free().
    struct lg_image image;   // Headers only: no symbols yet.
    int fd;                  // Borrowed.
    uint32_t relative;       // The type of a relative relocation.
    uint64_t size;
    LG_VEC(Elf64_Phdr) loads;
    LG_VEC(struct lg_relocation) relocations; // By address, once each.
};

// False if it is no ELF file of x86-64 or arm64.
bool lg_elf_file_open(int fd, uint64_t size, const char *path, struct lg_elf_file *ret);
// DT_RELA and DT_RELR. False when they do not make sense or memory ran out: then nothing that is
// relocated can be told from the file.
bool lg_elf_file_read_relocations(struct lg_elf_file *file);
// Does to `len` bytes, which belong at `address` and are not yet relocated, what the dynamic linker
// does. Returns how many of them are known: up to the first word that is not.
size_t lg_elf_file_relocate(const struct lg_elf_file *file, uint64_t bias, uint64_t address, void *bytes,
                            size_t len);
// Whether these bytes of the file are part of what one PT_LOAD maps.
bool lg_elf_file_has_mapping(const struct lg_elf_file *file, uint64_t offset, uint64_t size);
void lg_elf_file_close(struct lg_elf_file *file);

// Opens a regular file that somebody else named, by its absolute path: neither a FIFO nor a device is
// touched, nor what the kernel makes up. -1 if it is not there; -2 if it is something else.
int lg_open_regular(const char *path, uint64_t *size_ret, int64_t *mtime_ret);
// The same of a file below `dir`, where links too are as if `dir` were the root.
int lg_open_regular_below(int dir, const char *path, uint64_t *size_ret, int64_t *mtime_ret);

#endif
