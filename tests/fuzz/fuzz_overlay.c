// Any bytes, as the file on disk that a core names and whose first half kilobyte it saved: refused, or
// what is read of it is not longer than what it has, and the saved bytes are the core's.
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "target/target.h"

enum { BASE = 0x10000000, PAGE = 4096, SAVED = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A core of one segment; the file is mapped in full, as one piece and again as its second page.
struct __attribute__((__packed__)) core {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[2];
    Elf64_Nhdr nhdr;
    char name[8];
    uint64_t count, page_size, maps[2][3];
    char paths[2][32];
    uint8_t saved[SAVED];
};

static void write_core(int fd, const char *path, const uint8_t *data, size_t size)
{
    struct core core = {
        .eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                .e_type = ET_CORE,
                .e_machine = EM_X86_64,
                .e_phoff = offsetof(struct core, ph),
                .e_phentsize = sizeof(Elf64_Phdr),
                .e_phnum = 2 },
        .ph = { { PT_NOTE, 0, offsetof(struct core, nhdr), 0, 0, 0, 0, 4 },
                { PT_LOAD, PF_R, offsetof(struct core, saved), BASE, 0, 0, 0, 1 } },
        .name = "CORE",
        .count = 2,
        .page_size = PAGE,
        .maps = { { BASE, BASE + 4 * PAGE, 0 }, { BASE + 8 * PAGE, BASE + 9 * PAGE, 1 } },
    };
    size_t len = (size_t)snprintf(core.paths[0], sizeof(core.paths[0]), "%s", path) + 1;
    memcpy(core.paths[0] + len, path, len);
    core.nhdr = (Elf64_Nhdr){ 5, (uint32_t)(16 + sizeof(core.maps) + 2 * len), NT_FILE };
    core.ph[0].p_filesz = sizeof(core.nhdr) + sizeof(core.name) + core.nhdr.n_descsz;
    core.ph[1].p_filesz = core.ph[1].p_memsz = size < SAVED ? size : SAVED;
    memcpy(core.saved, data, core.ph[1].p_filesz);
    if (pwrite(fd, &core, sizeof(core), 0) != sizeof(core))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[] = "/tmp/fuzz-XXXXXX", core_path[32];
    _cleanup_close_ int fd = mkstemp(path);
    _cleanup_close_ int core_fd = memfd_create("core", 0);
    if (size == 0 || fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    write_core(core_fd, path, data, size);
    snprintf(core_path, sizeof(core_path), "/proc/self/fd/%d", core_fd);

    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    struct lg_error *err = lg_core_open(core_path, &target);
    unlink(path);
    if (err)
        abort();
    static uint8_t buf[5 * PAGE];
    size_t saved = size < SAVED ? size : SAVED, got = lg_target_read(target, BASE, buf, sizeof(buf));
    if (got < saved || got > 4 * PAGE || memcmp(buf, data, saved) != 0)
        abort();
    if (got > saved && got > size)
        abort();
    for (size_t at = saved; at < 4 * PAGE; at += 61)
        lg_target_read(target, BASE + at, buf, 100);
    if (lg_target_read(target, BASE + 8 * PAGE, buf, sizeof(buf)) > PAGE)
        abort();
    return 0;
}
