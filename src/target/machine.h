// Which processor an ELF file is for.
#ifndef LG_TARGET_MACHINE_H
#define LG_TARGET_MACHINE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

// "arm64", of e_machine; NULL: one that .NET does not run on.
static inline const char *lg_machine_name(uint16_t machine)
{
    static const struct {
        uint16_t machine;
        const char *name;
    } names[] = {
        { EM_386, "x86" },       { EM_ARM, "arm" },       { EM_X86_64, "x86-64" },
        { EM_AARCH64, "arm64" }, { EM_RISCV, "riscv64" }, { 258, "loongarch64" },
        { EM_PPC64, "ppc64le" }, { EM_S390, "s390x" },
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (names[i].machine == machine)
            return names[i].name;
    }
    return NULL;
}

#endif
