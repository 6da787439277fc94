// An ELF image in a target's memory: its exported symbols and its build-id, without any file on disk.
//
// Resolved as the dynamic linker does, through PT_DYNAMIC: DT_GNU_HASH (or DT_HASH), DT_SYMTAB,
// DT_STRTAB. glibc rewrites the d_ptr values to absolute addresses in place, musl leaves them relative
// to the load bias: values below the base are relative (reference clr.md A.7, measured). All of it is
// untrusted.
#ifndef LG_TARGET_IMAGE_H
#define LG_TARGET_IMAGE_H

#include <elf.h>

#include "target/target.h"

enum { LG_BUILD_ID_MAX = 32 };

struct lg_image {
    struct lg_target *target;
    const char *path; // As mapped; lives as long as the target.
    uint64_t base;    // Where file offset 0 is mapped: not always the lowest mapping of the file.
    uint64_t bias;    // Add to a virtual address of the file.
    uint64_t end;     // One past the last PT_LOAD.
    uint64_t strtab, symtab, gnu_hash, hash; // 0: absent
    uint8_t id_len, id[LG_BUILD_ID_MAX];     // Build-id, if it was noted before; length 0: it was not.
};

// Errors: not ELF64 of x86-64 or arm64, no dynamic section, unreadable.
LG_MUST_CHECK struct lg_error *lg_image_open(struct lg_target *target, const char *path, uint64_t base,
                                             struct lg_image *ret);
// The same without the dynamic section: for headers and build-id. False if it is no such image.
bool lg_image_locate(struct lg_target *target, const char *path, uint64_t base, struct lg_image *ret);
// The first program header of this type.
bool lg_image_header(const struct lg_image *image, uint32_t type, Elf64_Phdr *ret);
// False if the image exports no such symbol.
bool lg_image_symbol(const struct lg_image *image, const char *name, uint64_t *address_ret,
                     uint64_t *size_ret);
// Length of the build-id written to `id`, 0 if none is readable.
size_t lg_image_build_id(const struct lg_image *image, uint8_t id[LG_BUILD_ID_MAX]);
// The text from the first `mark` on, in what the image maps: variables first, then constants. Ends with
// NUL, at the latest where `buf` does. False if there is none, or it is farther in than anyone looks.
bool lg_image_text(const struct lg_image *image, const char *mark, char *buf, size_t size);

// Calls `each` for every mapped file that starts (offset 0) with an ELF header; stops when it returns
// true. Returns whether it did.
bool lg_images_each(struct lg_target *target, bool (*each)(const struct lg_image *image, void *data),
                    void *data);

#endif
