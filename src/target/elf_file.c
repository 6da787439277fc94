#include "target/elf_file.h"
#include "util/search.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

// As in image.c; relocations: libcoreclr.so has some 60,000.
enum { HEADERS_MAX = 256, DYNAMIC_MAX = 1024 };
static const uint64_t tables_max = 256 << 20;

static int open_looked_at(int look, uint64_t *size_ret, int64_t *mtime_ret)
{
    struct stat st;
    if (look < 0 || fstat(look, &st) < 0)
        return -1;
    if (!S_ISREG(st.st_mode))
        return -2;
    char self[32];
    snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
    *size_ret = (uint64_t)st.st_size;
    *mtime_ret = st.st_mtime;
    return open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int lg_open_regular(const char *path, uint64_t *size_ret, int64_t *mtime_ret)
{
    static const char *const made_up[] = { "/proc/", "/sys/", "/dev/" };
    for (size_t i = 0; i < sizeof(made_up) / sizeof(*made_up); i++) {
        if (strncmp(path, made_up[i], strlen(made_up[i])) == 0)
            return -2;
    }
    // O_PATH looks without opening: opening alone starts a watchdog, rewinds a tape, waits on a FIFO.
    _cleanup_close_ int look = path[0] == '/' ? open(path, O_PATH | O_CLOEXEC) : -1;
    return open_looked_at(look, size_ret, mtime_ret);
}

int lg_open_regular_below(int dir, const char *path, uint64_t *size_ret, int64_t *mtime_ret)
{
    struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
    _cleanup_close_ int look = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
    return open_looked_at(look, size_ret, mtime_ret);
}

// What of `len` bytes at `address` one PT_LOAD has in the file.
static size_t read_load(const struct lg_elf_file *file, uint64_t address, void *buf, size_t len)
{
    for (size_t i = 0; i < file->loads.len; i++) {
        const Elf64_Phdr *ph = &file->loads.at[i];
        if (address < ph->p_vaddr || address - ph->p_vaddr >= ph->p_filesz)
            continue;
        uint64_t skip = address - ph->p_vaddr, left = ph->p_filesz - skip;
        uint64_t offset = ph->p_offset + skip;
        if (offset > INT64_MAX)
            return 0;
        ssize_t n = pread(file->fd, buf, len < left ? len : left, (off_t)offset);
        return n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static size_t file_read(struct lg_target *target, uint64_t address, void *buf, size_t len)
{
    const struct lg_elf_file *file = (const struct lg_elf_file *)target;
    size_t done = 0, n;
    while (done < len && (n = read_load(file, address + done, (uint8_t *)buf + done, len - done)) > 0)
        done += n;
    return done;
}

static const struct lg_target_ops file_ops = { .read = file_read };

// Headers and PT_LOADs; the address that file offset 0 is loaded at goes to `base_ret`.
static bool read_loads(struct lg_elf_file *file, uint64_t *base_ret)
{
    Elf64_Ehdr eh;
    Elf64_Phdr headers[HEADERS_MAX];
    if (pread(file->fd, &eh, sizeof(eh), 0) != sizeof(eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0
        || eh.e_phnum > HEADERS_MAX || eh.e_phentsize != sizeof(*headers) || eh.e_phoff > INT64_MAX)
        return false;
    file->relative = eh.e_machine == EM_AARCH64 ? R_AARCH64_RELATIVE : R_X86_64_RELATIVE;
    ssize_t want = (ssize_t)(eh.e_phnum * sizeof(*headers));
    if (pread(file->fd, headers, (size_t)want, (off_t)eh.e_phoff) != want)
        return false;
    bool found = false;
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        if (headers[i].p_type != PT_LOAD)
            continue;
        if (!lg_vec_push(&file->loads, headers[i]))
            return false;
        if (headers[i].p_offset < 4096 && !found) {
            *base_ret = headers[i].p_vaddr - headers[i].p_offset;
            found = true;
        }
    }
    return found;
}

bool lg_elf_file_open(int fd, uint64_t size, const char *path, struct lg_elf_file *ret)
{
    *ret = (struct lg_elf_file){ .fd = fd, .size = size, .target = { .ops = &file_ops } };
    uint64_t base;
    if (read_loads(ret, &base) && lg_image_locate(&ret->target, path, base, &ret->image))
        return true;
    lg_elf_file_close(ret);
    return false;
}

void lg_elf_file_close(struct lg_elf_file *file)
{
    lg_vec_free(&file->loads);
    lg_vec_free(&file->relocations);
}

struct tables {
    uint64_t rela, rela_size, jmprel, jmprel_size, relr, relr_size;
};

static bool read_dynamic(struct lg_elf_file *file, struct tables *tables)
{
    Elf64_Phdr ph;
    Elf64_Dyn dynamic[DYNAMIC_MAX];
    if (!lg_image_header(&file->image, PT_DYNAMIC, &ph))
        return false;
    size_t want = ph.p_filesz < sizeof(dynamic) ? ph.p_filesz : sizeof(dynamic);
    size_t count = lg_target_read(&file->target, ph.p_vaddr, dynamic, want) / sizeof(*dynamic);
    for (size_t i = 0; i < count && dynamic[i].d_tag != DT_NULL; i++) {
        uint64_t value = dynamic[i].d_un.d_val;
        switch (dynamic[i].d_tag) {
        case DT_RELA:
            tables->rela = value;
            break;
        case DT_RELASZ:
            tables->rela_size = value;
            break;
        case DT_JMPREL:
            tables->jmprel = value;
            break;
        case DT_PLTRELSZ:
            tables->jmprel_size = value;
            break;
        case 36: // DT_RELR, DT_RELRSZ (gABI): newer than our <elf.h>.
            tables->relr = value;
            break;
        case 35:
            tables->relr_size = value;
            break;
        default:
            break;
        }
    }
    return true;
}

// The bytes of a table, owned; NULL if they are not all there.
static void *read_table(struct lg_elf_file *file, uint64_t address, uint64_t size)
{
    if (size == 0 || size > file->size || size > tables_max)
        return NULL;
    _cleanup_free_ void *bytes = malloc(size);
    return bytes && lg_target_read_all(&file->target, address, bytes, size) ? lg_steal(bytes) : NULL;
}

static bool add_rela(struct lg_elf_file *file, uint64_t address, uint64_t size)
{
    if (size == 0)
        return true;
    _cleanup_free_ Elf64_Rela *rela = read_table(file, address, size);
    for (size_t i = 0; rela && i < size / sizeof(*rela); i++) {
        struct lg_relocation one = { rela[i].r_offset, (uint64_t)rela[i].r_addend,
                                     ELF64_R_TYPE(rela[i].r_info) == file->relative };
        if (ELF64_R_TYPE(rela[i].r_info) != R_X86_64_NONE && !lg_vec_push(&file->relocations, one))
            return false;
    }
    return rela != NULL;
}

// A run of the file's words: relative relocations come in order, one system call for each is too slow.
struct run {
    uint64_t start;
    size_t len;
    uint8_t bytes[4096];
};

static bool add_relative(struct lg_elf_file *file, struct run *run, uint64_t address)
{
    uint64_t value;
    if (run->len < sizeof(value) || address < run->start
        || address - run->start > run->len - sizeof(value)) {
        run->start = address;
        run->len = lg_target_read(&file->target, address, run->bytes, sizeof(run->bytes));
        if (run->len < sizeof(value))
            return false;
    }
    memcpy(&value, run->bytes + (address - run->start), sizeof(value));
    return lg_vec_push(&file->relocations, (struct lg_relocation){ address, value, true });
}

// DT_RELR (gABI, "Relative Relocation Table"): an even entry is the address of one word; an odd one is a
// bitmap over the 63 words after those told so far.
static bool add_relr(struct lg_elf_file *file, uint64_t address, uint64_t size)
{
    if (size == 0)
        return true;
    _cleanup_free_ uint64_t *relr = read_table(file, address, size);
    struct run run = { 0 };
    uint64_t next = 0;
    for (size_t i = 0; relr && i < size / sizeof(*relr); i++) {
        if (!(relr[i] & 1)) {
            if (!add_relative(file, &run, relr[i]))
                return false;
            next = relr[i] + 8;
            continue;
        }
        for (unsigned bit = 0; bit < 63; bit++) {
            if (relr[i] >> (bit + 1) & 1 && !add_relative(file, &run, next + 8 * bit))
                return false;
        }
        next += 63 * 8;
    }
    return relr != NULL;
}

static int by_address(const void *a, const void *b)
{
    const struct lg_relocation *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

// As linkers mostly leave them.
static bool is_sorted(const struct lg_elf_file *file)
{
    for (size_t i = 1; i < file->relocations.len; i++) {
        if (file->relocations.at[i - 1].address > file->relocations.at[i].address)
            return false;
    }
    return true;
}

// Two relocations of overlapping words: neither is known.
static void sort_out(struct lg_elf_file *file)
{
    if (!is_sorted(file))
        qsort(file->relocations.at, file->relocations.len, sizeof(*file->relocations.at), by_address);
    size_t kept = 0;
    for (size_t i = 0; i < file->relocations.len; i++) {
        struct lg_relocation *one = &file->relocations.at[i];
        struct lg_relocation *last = kept ? &file->relocations.at[kept - 1] : NULL;
        if (last && one->address - last->address < 8)
            one->known = last->known = false;
        if (last && one->address == last->address)
            continue;
        file->relocations.at[kept++] = *one;
    }
    file->relocations.len = kept;
}

bool lg_elf_file_read_relocations(struct lg_elf_file *file)
{
    struct tables tables = { 0 };
    if (!read_dynamic(file, &tables))
        return true; // Static: nothing is relocated.
    if (!add_rela(file, tables.rela, tables.rela_size)
        || !add_rela(file, tables.jmprel, tables.jmprel_size)
        || !add_relr(file, tables.relr, tables.relr_size))
        return false;
    if (file->relocations.len)
        sort_out(file);
    return true;
}

// The first relocation whose word ends past `address`.
static size_t first_relocation(const struct lg_elf_file *file, uint64_t address)
{
    return lg_first_not(file->relocations.len, i, file->relocations.at[i].address + 8 <= address);
}

size_t lg_elf_file_relocate(const struct lg_elf_file *file, uint64_t bias, uint64_t address, void *bytes,
                            size_t len)
{
    address -= bias;
    for (size_t i = first_relocation(file, address); i < file->relocations.len; i++) {
        const struct lg_relocation *one = &file->relocations.at[i];
        if (one->address >= address + len)
            break;
        uint64_t start = one->address > address ? one->address - address : 0;
        if (!one->known)
            return start;
        uint64_t value = one->value + bias, skip = address + start - one->address;
        size_t n = 8 - skip < len - start ? 8 - skip : len - start;
        memcpy((uint8_t *)bytes + start, (const uint8_t *)&value + skip, n);
    }
    return len;
}

bool lg_elf_file_has_mapping(const struct lg_elf_file *file, uint64_t offset, uint64_t size)
{
    for (size_t i = 0; i < file->loads.len; i++) {
        const Elf64_Phdr *ph = &file->loads.at[i];
        uint64_t start = ph->p_offset / 4096 * 4096,
                 end = (ph->p_offset + ph->p_filesz + 4095) / 4096 * 4096;
        if (offset >= start && offset < end && size <= end - offset)
            return true;
    }
    return false;
}
