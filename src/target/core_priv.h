// For core.c, core_notes.c, core_ranges.c and overlay.c: what an opened core is made of.
//
//     segments   PT_LOAD: addresses that the writer of the core knew of, and the bytes it saved of them
//     files      NT_FILE: addresses that a file was mapped at
//     ranges     both, cut at each other's ends: a range is in at most one segment and one file entry
//
// createdump lists only what it saved, the kernel everything; so ranges without a segment are real
// memory.
#ifndef LG_TARGET_CORE_PRIV_H
#define LG_TARGET_CORE_PRIV_H

#include <elf.h>

#include "target/page_cache.h"
#include "target/target.h"
#include "util/error.h"

#define LG_NONE UINT32_MAX

struct lg_core_segment {
    uint64_t start, end;
    uint64_t saved;  // Bytes that are in the core, whatever its header hoped for.
    uint64_t offset; // Where.
    unsigned access;
};

struct lg_core_file {
    uint64_t start, end, offset;
    const char *path;
    unsigned access; // Of the segments in it; 0: none tells.
};

// What belongs to target.ranges.at[i], beside it.
struct lg_core_part {
    uint64_t offset;  // In the core.
    uint32_t segment; // LG_NONE: not listed
    uint32_t file;    // LG_NONE: no file mapped there
    uint32_t overlay; // The file on disk that has what was not saved; LG_NONE: unknown
};

struct lg_core {
    struct lg_target target;
    int fd;
    int sysroot;          // Directory that mapped files are below; -1: the root.
    const uint8_t *bytes; // The whole core file, while it is being opened; then NULL.
    size_t size;
    LG_VEC(void *) notes;       // Each PT_NOTE; paths of `files` lie in them.
    struct lg_page_cache cache; // Of the file, by offset.
    bool saves_changes;         // Whatever the process wrote to is in it: made by the kernel or by gdb.
    LG_VEC(struct lg_core_segment) segments;
    LG_VEC(struct lg_core_file) files;
    LG_VEC(struct lg_core_part) parts; // [target.ranges.len]
    struct lg_overlay *overlay;
};

// The ELF header of the core, if it is one. Errors say what it is instead.
LG_MUST_CHECK struct lg_error *lg_core_read_header(const struct lg_core *core, Elf64_Ehdr *eh);

// One PT_NOTE.
LG_MUST_CHECK struct lg_error *lg_core_read_notes(struct lg_core *core, const void *bytes, size_t len,
                                                  uint64_t align);
// Makes ranges and parts of segments and files. False when out of memory.
bool lg_core_make_ranges(struct lg_core *core);

// Fills target.lacks. False when out of memory.
bool lg_core_find_lacks(struct lg_core *core);

// Finds the files on disk and decides which of them to believe. False when out of memory.
bool lg_overlay_open(struct lg_core *core);
// What of `len` bytes at `address`, which is in range `i`, the file on disk has.
size_t lg_overlay_read(const struct lg_core *core, size_t i, uint64_t address, void *buf, size_t len);
void lg_overlay_close(struct lg_core *core);

#endif
