// A core's first bytes: whether it is one that can be read, and what it is if not.
#include <string.h>

#include "target/core_priv.h"
#include "target/machine.h"

// A core of macOS, or a program of it (Apple's mach-o/loader.h: MH_MAGIC_64, then filetype at 12).
static const char *mach_o(const struct lg_core *core)
{
    static const uint8_t magic[] = { 0xcf, 0xfa, 0xed, 0xfe };
    enum { FILETYPE = 12, MH_CORE = 4 };
    if (core->size <= FILETYPE || memcmp(core->bytes, magic, sizeof(magic)) != 0)
        return NULL;
    return core->bytes[FILETYPE] == MH_CORE
               ? "a macOS core (Mach-O): only ELF cores of Linux can be read"
               : "a program or library of macOS (Mach-O), not a core";
}

static struct lg_error *not_a_core(const struct lg_core *core)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *what;
    } others[] = {
        { "\x1f\x8b", 2, "compressed (gzip): decompress it with 'gunzip' first" },
        { "\x28\xb5\x2f\xfd", 4,
          "compressed (zstd): decompress it with 'unzstd' first, or use 'coredumpctl dump -o'" },
        { "\x04\x22\x4d\x18", 4,
          "compressed (lz4): decompress it with 'unlz4' first, or use 'coredumpctl dump -o'" },
        { "\xfd"
          "7zXZ",
          5, "compressed (xz): decompress it with 'unxz' first" },
        { "BZh", 3, "compressed (bzip2): decompress it with 'bunzip2' first" },
        { "PK\x03\x04", 4, "a zip archive: unpack it first" },
        { "MDMP", 4, "a Windows minidump: only ELF cores of Linux can be read" },
        { "PAGEDU64", 8, "a Windows kernel dump: only ELF cores of Linux can be read" },
        { "PAGEDUMP", 8, "a Windows kernel dump: only ELF cores of Linux can be read" },
        { "MZ", 2, "a PE file (a .dll or .exe), not a core" },
        { "Nettrace", 8, "an event trace, not a core" },
        { "\x14\0\0\0!FastSerialization", 22, "a .gcdump, not a core" },
        { "JAVA PROFILE", 12, "a heap dump of Java, not a core" },
        { "#!", 2, "a script, not a core" },
    };
    const char *macos = mach_o(core);
    if (macos)
        return lg_error_new(LG_ERR_UNSUPPORTED, "%s", macos);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (core->size >= others[i].len && memcmp(core->bytes, others[i].magic, others[i].len) == 0)
            return lg_error_new(LG_ERR_UNSUPPORTED, "%s", others[i].what);
    }
    return lg_error_new(LG_ERR_UNSUPPORTED, "not an ELF core (write one with 'createdump' or 'gcore')");
}

static struct lg_error *check_machine(const Elf64_Ehdr *eh)
{
    const char *name = lg_machine_name(eh->e_machine);
    if (eh->e_machine == EM_X86_64 || eh->e_machine == EM_AARCH64)
        return NULL;
    if (name)
        return lg_error_new(LG_ERR_UNSUPPORTED, "of %s: only cores of x86-64 and arm64 can be read",
                            name);
    return lg_error_new(LG_ERR_UNSUPPORTED, "of machine %u: only cores of x86-64 and arm64 can be read",
                        eh->e_machine);
}

// The type and machine of 32-bit files are where those of 64-bit ones are.
static struct lg_error *check_class(const struct lg_core *core, const Elf64_Ehdr *eh)
{
    if (core->bytes[EI_DATA] != ELFDATA2LSB)
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "of a big-endian machine: only cores of x86-64 and arm64 can be read");
    if (core->bytes[EI_CLASS] == ELFCLASS64)
        return NULL;
    const char *name = lg_machine_name(eh->e_machine);
    return lg_error_new(LG_ERR_UNSUPPORTED, "of a 32-bit process%s%s%s: only 64-bit ones can be read",
                        name ? " (" : "", name ? name : "", name ? ")" : "");
}

struct lg_error *lg_core_read_header(const struct lg_core *core, Elf64_Ehdr *eh)
{
    memcpy(eh, core->bytes, core->size < sizeof(*eh) ? core->size : sizeof(*eh));
    if (core->size < EI_NIDENT || memcmp(core->bytes, ELFMAG, SELFMAG) != 0)
        return not_a_core(core);
    struct lg_error *err = check_class(core, eh);
    if (err)
        return err;
    if (core->size < sizeof(*eh))
        return lg_error_new(LG_ERR_CORRUPT, "cut short: it ends in its ELF header");
    if (eh->e_type != ET_CORE)
        return lg_error_new(LG_ERR_UNSUPPORTED, "an ELF %s, not a core",
                            eh->e_type == ET_REL ? "object file" : "program or library");
    return check_machine(eh);
}
