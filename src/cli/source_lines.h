// File and line of an IL offset, by the portable PDB of its assembly.
//
//     assembly   in the memory of the target, else the file that it was loaded from
//     its PDB    embedded in it; else beside that file, by the name that the assembly says
//
// Files are looked for where the process sees them (/proc/PID/root, --sysroot). A PDB counts if its id
// is the one that the assembly says, and an assembly of a file if it is the one that was loaded. Each
// is read once.
#ifndef LG_CLI_SOURCE_LINES_H
#define LG_CLI_SOURCE_LINES_H

#include "clr/clr.h"
#include "pdb/pdb.h"
#include "util/arena.h"
#include "util/map.h"
#include "util/vec.h"

struct lg_source_line {
    const char *file;    // as the compiler was told it; NULL: not known
    const char *why_not; // why; NULL: it is known
    uint32_t line;
};

// An assembly, by what is known of it.
struct lg_source_module {
    uint64_t address;    // of its Module; 0: not known
    const char *path;    // of its file; NULL or "": not known
    const uint8_t *guid; // of its PDB, 16 bytes by the runtime's word; NULL or zeros: not known
};

struct lg_source_pdb {
    struct lg_source_module module;
    const char *name;    // "App.dll"
    struct lg_pdb *pdb;  // NULL: none
    const char *why_not; // NULL: there is one
};

// Zeroed is empty. `clr`: NULL: no memory to ask; `pid` 0: files are those of this machine.
struct lg_source_lines {
    struct lg_clr *clr;
    int pid;
    struct lg_arena arena; // texts
    struct lg_map by_hash;
    LG_VEC(struct lg_source_pdb) modules; // that were asked for
};

struct lg_source_line lg_source_line(struct lg_source_lines *lines,
                                     const struct lg_source_module *module, uint32_t token, uint32_t il);
const char *lg_source_file_name(const char *path); // behind the last / or \, of whatever machine
void lg_source_lines_deinit(struct lg_source_lines *lines);

#endif
