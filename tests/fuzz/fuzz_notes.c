// Any bytes, read as ELF notes at either alignment: each note lies within them, and they come to an end.
#include <stdlib.h>

#include "target/notes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void read_notes(const uint8_t *data, size_t size, uint64_t align)
{
    struct lg_reader notes = lg_reader(data, size);
    struct lg_note note;
    size_t count = 0;
    while (lg_note_next(&notes, align, &note)) {
        const uint8_t *name = (const uint8_t *)note.name, *desc = note.desc;
        must(name >= data && name + note.name_len <= data + size);
        must(desc >= name && desc + note.len <= data + size);
        must(++count <= size / 12);
        lg_note_is(&note, "CORE", NT_FILE);
    }
    uint8_t id[32];
    must(lg_notes_build_id(data, size, align, id, sizeof(id)) <= sizeof(id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_notes(data, size, 4);
    read_notes(data, size, 8);
    return 0;
}
