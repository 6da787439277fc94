#include "target/image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "target/notes.h"
#include "util/error.h"

// Real images have a dozen program headers and some forty dynamic entries; a chain of the hash table has
// a few symbols, of our fake's all of them. Beyond these bounds an image is damaged or hostile.
enum {
    HEADERS_MAX = 256,
    DYNAMIC_MAX = 1024,
    CHAIN_MAX = 1 << 14,
    NOTES_MAX = 1 << 14,
    NAME_MAX_LEN = 255,
    TEXT_PIECE = 1 << 16,
    TEXT_PAGE = 4096,
    TEXT_SEARCHED = 64 << 20, // The single-file hosts of .NET 10 have 12 MB to search.
};

// The program headers of the image at `base`; 0 if it is none.
static size_t read_headers(struct lg_target *target, uint64_t base, Elf64_Phdr headers[HEADERS_MAX])
{
    Elf64_Ehdr eh;
    static const uint8_t magic[] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB };
    if (!lg_target_read_all(target, base, &eh, sizeof(eh))
        || memcmp(eh.e_ident, magic, sizeof(magic)) != 0
        || (eh.e_machine != EM_X86_64 && eh.e_machine != EM_AARCH64)
        || (eh.e_type != ET_DYN && eh.e_type != ET_EXEC) || eh.e_phentsize != sizeof(*headers)
        || eh.e_phnum > HEADERS_MAX)
        return 0;
    bool there = lg_target_read_all(target, base + eh.e_phoff, headers, eh.e_phnum * sizeof(*headers));
    return there ? eh.e_phnum : 0;
}

// The segment that maps file offset 0 tells where the image went: its address is rounded down to a page
// together with its offset.
static bool place(struct lg_image *image, const Elf64_Phdr *headers, size_t count)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        const Elf64_Phdr *ph = &headers[i];
        if (ph->p_type == PT_LOAD && ph->p_offset < 4096 && !found) {
            image->bias = image->base - (ph->p_vaddr - ph->p_offset);
            found = true;
        }
    }
    for (size_t i = 0; found && i < count; i++) {
        uint64_t end = image->bias + headers[i].p_vaddr + headers[i].p_memsz;
        if (headers[i].p_type == PT_LOAD && end > image->end)
            image->end = end;
    }
    return found && image->end > image->base;
}

static void read_dynamic(struct lg_image *image, const Elf64_Phdr *ph)
{
    Elf64_Dyn dynamic[DYNAMIC_MAX];
    size_t want = ph->p_memsz < sizeof(dynamic) ? ph->p_memsz : sizeof(dynamic);
    size_t count =
        lg_target_read(image->target, image->bias + ph->p_vaddr, dynamic, want) / sizeof(*dynamic);
    for (size_t i = 0; i < count && dynamic[i].d_tag != DT_NULL; i++) {
        uint64_t value = dynamic[i].d_un.d_ptr;
        uint64_t address = value >= image->base ? value : value + image->bias;
        switch (dynamic[i].d_tag) {
        case DT_STRTAB:
            image->strtab = address;
            break;
        case DT_SYMTAB:
            image->symtab = address;
            break;
        case DT_GNU_HASH:
            image->gnu_hash = address;
            break;
        case DT_HASH:
            image->hash = address;
            break;
        default:
            break;
        }
    }
}

bool lg_image_locate(struct lg_target *target, const char *path, uint64_t base, struct lg_image *ret)
{
    struct lg_image image = { .target = target, .path = path, .base = base };
    Elf64_Phdr headers[HEADERS_MAX];
    size_t count = read_headers(target, base, headers);
    if (count == 0 || !place(&image, headers, count))
        return false;
    *ret = image;
    return true;
}

bool lg_image_header(const struct lg_image *image, uint32_t type, Elf64_Phdr *ret)
{
    Elf64_Phdr headers[HEADERS_MAX];
    size_t count = read_headers(image->target, image->base, headers);
    for (size_t i = 0; i < count; i++) {
        if (headers[i].p_type == type) {
            *ret = headers[i];
            return true;
        }
    }
    return false;
}

struct lg_error *lg_image_open(struct lg_target *target, const char *path, uint64_t base,
                               struct lg_image *ret)
{
    struct lg_image image;
    Elf64_Phdr dynamic;
    if (!lg_image_locate(target, path, base, &image))
        return lg_error_new(LG_ERR_UNSUPPORTED, "'%s' at 0x%" PRIx64 " is no 64-bit x86-64 ELF image%s",
                            path, base,
                            target->kind == LG_TARGET_PROCESS
                                ? ": its file was overwritten or cut while it was mapped; restart the "
                                  "program"
                                : "");
    if (lg_image_header(&image, PT_DYNAMIC, &dynamic))
        read_dynamic(&image, &dynamic);
    if (!image.symtab || !image.strtab || (!image.gnu_hash && !image.hash))
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "'%s' at 0x%" PRIx64 " has no dynamic section that can be read", path, base);
    *ret = image;
    return NULL;
}

// Whether symbol `i` is the definition of `name`.
static bool symbol_is(const struct lg_image *image, uint32_t i, const char *name, size_t len,
                      Elf64_Sym *ret)
{
    char buf[NAME_MAX_LEN + 1];
    return lg_target_read_all(image->target, image->symtab + sizeof(*ret) * i, ret, sizeof(*ret))
           && ret->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(ret->st_info) != STT_TLS
           && lg_target_read_all(image->target, image->strtab + ret->st_name, buf, len + 1)
           && memcmp(buf, name, len + 1) == 0;
}

// The table of DT_GNU_HASH (glibc elf/dl-lookup.c, do_lookup_x):
//
//     u32 bucket count, first symbol, bloom words (a power of two), bloom shift
//     u64 bloom[]   u32 buckets[]: index of the first symbol   u32 chain[]: hashes, bit 0 ends a chain
static bool find_gnu(const struct lg_image *image, const char *name, size_t len, Elf64_Sym *ret)
{
    uint32_t hash = 5381, header[4], i;
    for (const char *c = name; *c; c++)
        hash = hash * 33 + (uint8_t)*c;
    if (!lg_target_read_all(image->target, image->gnu_hash, header, sizeof(header)) || header[0] == 0
        || header[2] == 0)
        return false;

    uint64_t bloom = image->gnu_hash + sizeof(header), word;
    if (!lg_target_u64(image->target, bloom + 8 * (hash / 64 % header[2]), &word)
        || !(word >> hash % 64 & word >> (hash >> (header[3] & 31)) % 64 & 1))
        return false;

    uint64_t buckets = bloom + UINT64_C(8) * header[2];
    uint64_t chain = buckets + UINT64_C(4) * header[0];
    if (!lg_target_u32(image->target, buckets + 4 * (hash % header[0]), &i) || i < header[1])
        return false;
    for (unsigned steps = 0; steps < CHAIN_MAX; steps++, i++) {
        uint32_t other;
        if (!lg_target_u32(image->target, chain + UINT64_C(4) * (i - header[1]), &other))
            return false;
        if ((other | 1) == (hash | 1) && symbol_is(image, i, name, len, ret))
            return true;
        if (other & 1)
            return false;
    }
    return false;
}

// DT_HASH (System V ABI): u32 bucket count, symbol count, buckets[], next[].
static bool find_sysv(const struct lg_image *image, const char *name, size_t len, Elf64_Sym *ret)
{
    uint32_t hash = 0, header[2], i;
    for (const char *c = name; *c; c++) {
        hash = (hash << 4) + (uint8_t)*c;
        uint32_t top = hash & 0xf0000000;
        hash = (hash ^ top >> 24) & ~top;
    }
    if (!lg_target_read_all(image->target, image->hash, header, sizeof(header)) || header[0] == 0)
        return false;

    uint64_t buckets = image->hash + sizeof(header), next = buckets + UINT64_C(4) * header[0];
    if (!lg_target_u32(image->target, buckets + 4 * (hash % header[0]), &i))
        return false;
    for (unsigned steps = 0; steps < CHAIN_MAX && i != 0 && i < header[1]; steps++) {
        if (symbol_is(image, i, name, len, ret))
            return true;
        if (!lg_target_u32(image->target, next + UINT64_C(4) * i, &i))
            return false;
    }
    return false;
}

bool lg_image_symbol(const struct lg_image *image, const char *name, uint64_t *address_ret,
                     uint64_t *size_ret)
{
    Elf64_Sym symbol;
    size_t len = strlen(name);
    if (len > NAME_MAX_LEN)
        return false;
    if (image->gnu_hash ? !find_gnu(image, name, len, &symbol) : !find_sysv(image, name, len, &symbol))
        return false;
    *address_ret = image->bias + symbol.st_value;
    *size_ret = symbol.st_size;
    return true;
}

size_t lg_image_build_id(const struct lg_image *image, uint8_t id[LG_BUILD_ID_MAX])
{
    Elf64_Phdr headers[HEADERS_MAX];
    memcpy(id, image->id, image->id_len);
    if (image->id_len > 0)
        return image->id_len;
    size_t count = read_headers(image->target, image->base, headers);
    for (size_t i = 0; i < count; i++) {
        uint8_t notes[NOTES_MAX];
        if (headers[i].p_type != PT_NOTE)
            continue;
        size_t want = headers[i].p_memsz < sizeof(notes) ? headers[i].p_memsz : sizeof(notes);
        size_t got = lg_target_read(image->target, image->bias + headers[i].p_vaddr, notes, want);
        size_t len = lg_notes_build_id(notes, got, headers[i].p_align, id, LG_BUILD_ID_MAX);
        if (len > 0)
            return len;
    }
    return 0;
}

// In pieces that overlap, so that text across their borders is found too.
static bool text_between(const struct lg_image *image, uint64_t start, uint64_t end, const char *mark,
                         char *buf, size_t size)
{
    size_t len = strlen(mark);
    _cleanup_free_ char *piece = malloc(TEXT_PIECE);
    while (piece && start < end) {
        size_t want = end - start < TEXT_PIECE ? (size_t)(end - start) : TEXT_PIECE;
        size_t got = lg_target_read(image->target, start, piece, want);
        const char *found = memmem(piece, got, mark, len);
        if (found) {
            start += (uint64_t)(found - piece);
            buf[lg_target_read(image->target, start, buf, size - 1)] = 0;
            return true;
        }
        if (got < want) // A core may lack some pages.
            start = (start + got + TEXT_PAGE) & ~(uint64_t)(TEXT_PAGE - 1);
        else
            start += want < TEXT_PIECE ? want : want - len;
    }
    return false;
}

bool lg_image_text(const struct lg_image *image, const char *mark, char *buf, size_t size)
{
    Elf64_Phdr headers[HEADERS_MAX];
    size_t count = read_headers(image->target, image->base, headers);
    uint64_t searched = 0;
    for (size_t i = 0; i < count * 2; i++) {
        const Elf64_Phdr *ph = &headers[i % count];
        unsigned wanted = i < count ? PF_R | PF_W : PF_R;
        uint64_t start = image->bias + ph->p_vaddr;
        if (ph->p_type != PT_LOAD || (ph->p_flags & (PF_R | PF_W | PF_X)) != wanted)
            continue;
        if (ph->p_filesz > TEXT_SEARCHED - searched)
            return false;
        searched += ph->p_filesz;
        if (text_between(image, start, start + ph->p_filesz, mark, buf, size))
            return true;
    }
    return false;
}

bool lg_images_each(struct lg_target *target, bool (*each)(const struct lg_image *image, void *data),
                    void *data)
{
    struct lg_image image = { .path = "" };
    for (size_t i = 0; i < target->image_count; i++) {
        if (each(&target->images[i], data))
            return true;
    }
    for (size_t i = 0; i < target->ranges.len; i++) {
        const struct lg_range *range = &target->ranges.at[i];
        if (range->path[0] == 0 || range->path[0] == '[' || range->offset != 0)
            continue;
        // A small image's later segments may map its first page again.
        if (range->start < image.end && strcmp(range->path, image.path) == 0)
            continue;
        struct lg_image next;
        struct lg_error *err = lg_image_open(target, range->path, range->start, &next);
        lg_error_free(err);
        if (err)
            continue;
        image = next;
        if (each(&image, data))
            return true;
    }
    return false;
}
