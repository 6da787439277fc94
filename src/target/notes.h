// ELF notes, out of any run of bytes:
//
//     u32 name length | u32 descriptor length | u32 type | name, padded | descriptor, padded | …
//
// Padding is to 4 bytes, or to 8 where the segment's alignment is 8 (gABI, "Note Section").
#ifndef LG_TARGET_NOTES_H
#define LG_TARGET_NOTES_H

#include <elf.h>

#include "util/reader.h"

struct lg_note {
    uint32_t type, name_len, len;
    const char *name; // With its NUL, if it has one: compare `name_len` bytes.
    const void *desc; // `len` bytes.
};

static inline bool lg_note_pad(struct lg_reader *notes, uint32_t len, uint64_t align)
{
    size_t pad = -(size_t)len & (align == 8 ? 7 : 3);
    // The last one's padding may be cut off.
    return lg_read_bytes(notes, pad < lg_reader_left(notes) ? pad : lg_reader_left(notes)) != NULL;
}

// False at the end, or when a note ends past it: then `notes->failed` too.
static inline bool lg_note_next(struct lg_reader *notes, uint64_t align, struct lg_note *ret)
{
    if (lg_reader_left(notes) < 12)
        return false;
    ret->name_len = lg_read_u32(notes);
    ret->len = lg_read_u32(notes);
    ret->type = lg_read_u32(notes);
    ret->name = lg_read_bytes(notes, ret->name_len);
    lg_note_pad(notes, ret->name_len, align);
    ret->desc = lg_read_bytes(notes, ret->len);
    lg_note_pad(notes, ret->len, align);
    return !notes->failed;
}

static inline bool lg_note_is(const struct lg_note *note, const char *name, uint32_t type)
{
    size_t len = strlen(name) + 1;
    return note->type == type && note->name_len == len && memcmp(note->name, name, len) == 0;
}

// The build-id in a run of notes: its length, at most `max`, or 0.
static inline size_t lg_notes_build_id(const void *bytes, size_t len, uint64_t align, uint8_t *ret,
                                       size_t max)
{
    struct lg_reader notes = lg_reader(bytes, len);
    struct lg_note note;
    while (lg_note_next(&notes, align, &note)) {
        if (lg_note_is(&note, "GNU", NT_GNU_BUILD_ID) && note.len > 0 && note.len <= max) {
            memcpy(ret, note.desc, note.len);
            return note.len;
        }
    }
    return 0;
}

#endif
