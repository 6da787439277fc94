// An ELF image, laid out by hand:
//
//     0x0000 header, program headers     0x0400 build-id note       0x0800 dynamic section
//     0x1000 GNU hash table              0x4000 dynamic symbols     0x8000 their names
//
// The hash table has one bucket, which is legal and makes every look-up walk the whole chain.
#include <assert.h>
#include <elf.h>
#include <string.h>

#include "support/fake.h"

enum {
    AT_NOTE = 0x400,
    AT_DYNAMIC = 0x800,
    AT_HASH = 0x1000,
    AT_SYMBOLS = 0x4000,
    AT_NAMES = 0x8000,
    SYMBOLS_MAX = 500
};

static void write_headers(struct lg_target *target, uint64_t base)
{
    Elf64_Ehdr eh = {
        .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 3,
    };
    Elf64_Phdr ph[] = {
        { PT_LOAD, PF_R | PF_W, 0, 0, 0, FAKE_IMAGE_SIZE, FAKE_IMAGE_SIZE, 0x1000 },
        { PT_DYNAMIC, PF_R | PF_W, AT_DYNAMIC, AT_DYNAMIC, 0, 0x100, 0x100, 8 },
        { PT_NOTE, PF_R, AT_NOTE, AT_NOTE, 0, 36, 36, 4 },
    };
    fake_bytes(target, base, &eh, sizeof(eh));
    fake_bytes(target, base + sizeof(eh), ph, sizeof(ph));

    Elf64_Nhdr note = { .n_namesz = 4, .n_descsz = 20, .n_type = NT_GNU_BUILD_ID };
    fake_bytes(target, base + AT_NOTE, &note, sizeof(note));
    fake_bytes(target, base + AT_NOTE + 12, "GNU", 4);
    fake_bytes(target, base + AT_NOTE + 16, "fake build-id 20 b.", 20);
}

static void write_dynamic(struct lg_target *target, uint64_t base)
{
    const Elf64_Dyn dynamic[] = {
        { DT_GNU_HASH, { base + AT_HASH } },
        { DT_SYMTAB, { base + AT_SYMBOLS } },
        { DT_STRTAB, { base + AT_NAMES } },
        { DT_NULL, { 0 } },
    };
    fake_bytes(target, base + AT_DYNAMIC, dynamic, sizeof(dynamic));
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (uint8_t)*name;
    return hash;
}

static void write_symbols(struct lg_target *target, uint64_t base, const struct fake_symbol *symbols,
                          size_t count)
{
    // Buckets, first symbol, bloom words and shift; a bloom word of ones says "maybe" to all.
    const uint32_t header[] = { 1, 1, 1, 6 };
    fake_bytes(target, base + AT_HASH, header, sizeof(header));
    fake_u64(target, base + AT_HASH + 16, UINT64_MAX);
    fake_u32(target, base + AT_HASH + 24, count ? 1 : 0);
    fake_zeros(target, base + AT_SYMBOLS, sizeof(Elf64_Sym));
    fake_u8(target, base + AT_NAMES, 0);

    uint32_t name = 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t last = i + 1 == count;
        fake_u32(target, base + AT_HASH + 28 + 4 * i, (gnu_hash(symbols[i].name) & ~UINT32_C(1)) | last);
        Elf64_Sym symbol = {
            .st_name = name,
            .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
            .st_shndx = 1,
            .st_value = symbols[i].address - base,
            .st_size = symbols[i].size,
        };
        fake_bytes(target, base + AT_SYMBOLS + sizeof(symbol) * (i + 1), &symbol, sizeof(symbol));
        fake_string(target, base + AT_NAMES + name, symbols[i].name);
        name += (uint32_t)strlen(symbols[i].name) + 1;
    }
    // Readers may ask for more of a name than it has.
    fake_zeros(target, base + AT_NAMES + name, 256);
}

void fake_image(struct lg_target *target, uint64_t base, const char *path,
                const struct fake_symbol *symbols, size_t count)
{
    assert(count <= SYMBOLS_MAX);
    fake_map(target, base, base + FAKE_IMAGE_SIZE, LG_READ | LG_WRITE, path, 0);
    write_headers(target, base);
    write_dynamic(target, base);
    write_symbols(target, base, symbols, count);
}
