#include "test.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/fake.h"
#include "target/target.h"

enum { BASE = 0x10000000, PAGE = 0x1000 };

// ---- files to be mapped ----

// An ELF library of two segments, 0x0000-0x1000 read-only and 0x2000-0x2800 (to 0x5000 in memory) data:
//
//     0x000 headers   0x400 build-id   0x600 DT_RELA   0x700 DT_RELR
//     0x1000 = address 0x2000 dynamic section; from 0x2100 words that are relocated
static void build_elf(uint8_t file[2 * PAGE], char id)
{
    Elf64_Ehdr eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                      .e_type = ET_DYN,
                      .e_machine = EM_X86_64,
                      .e_phoff = sizeof(eh),
                      .e_phentsize = sizeof(Elf64_Phdr),
                      .e_phnum = 5 };
    Elf64_Phdr ph[] = { { PT_LOAD, PF_R, 0, 0, 0, PAGE, PAGE, PAGE },
                        { PT_LOAD, PF_R | PF_W, PAGE, 0x2000, 0, 0x800, 0x3000, PAGE },
                        { PT_DYNAMIC, PF_R, PAGE, 0x2000, 0, 0x100, 0x100, 8 },
                        { PT_NOTE, PF_R, 0x400, 0x400, 0, 20, 20, 4 },
                        { PT_GNU_RELRO, PF_R, PAGE, 0x2000, 0, 0x800, 0x1000, 1 } };
    struct {
        Elf64_Nhdr nhdr;
        char name[4], id[4];
    } note = { { 4, 4, NT_GNU_BUILD_ID }, "GNU", { id, 2, 3, 4 } };
    Elf64_Rela rela[] = { { 0x2108, ELF64_R_INFO(0, R_X86_64_RELATIVE), 0x123 },
                          { 0x2200, ELF64_R_INFO(1, R_X86_64_64), 0 } };
    uint64_t relr[] = { 0x2110, 0x5 }; // 0x2110, and the second word after it: 0x2120.
    Elf64_Dyn dynamic[] = { { DT_RELA, { 0x600 } },
                            { DT_RELASZ, { sizeof(rela) } },
                            { 36, { 0x700 } },
                            { 35, { sizeof(relr) } },
                            { DT_NULL, { 0 } } };
    for (size_t i = 0; i < 2 * PAGE; i++)
        file[i] = (uint8_t)(i % 251);
    memset(file, 0, 0x800);
    memcpy(file, &eh, sizeof(eh));
    memcpy(file + sizeof(eh), ph, sizeof(ph));
    memcpy(file + 0x400, &note, sizeof(note));
    memcpy(file + 0x600, rela, sizeof(rela));
    memcpy(file + 0x700, relr, sizeof(relr));
    memcpy(file + PAGE, dynamic, sizeof(dynamic));
    memset(file + PAGE + 0x100, 0, 0x30);
    file[PAGE + 0x110] = 0x45; // RELR keeps the addend in place.
    file[PAGE + 0x120] = 0x67;
}

// A PE file of a header page and two sections of a page each, the second writable.
static void build_pe(uint8_t file[3 * PAGE], uint32_t stamp)
{
    const uint32_t header = 0x80, image_size = 0x4000, headers_size = 0x200;
    for (size_t i = 0; i < 3 * PAGE; i++)
        file[i] = (uint8_t)(i % 241);
    memset(file, 0, 0x400);
    memcpy(file, "MZ", 2);
    memcpy(file + 0x3c, &header, 4);
    memcpy(file + 0x80, "PE\0\0\x64\x86\2\0", 8);
    memcpy(file + 0x88, &stamp, 4);
    file[0x94] = 0xf0; // SizeOfOptionalHeader
    memcpy(file + 0x98 + 56, &image_size, 4);
    memcpy(file + 0x98 + 60, &headers_size, 4);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t fields[10] = { [2] = PAGE,
                                [3] = PAGE * (i + 2),
                                [4] = PAGE,
                                [5] = PAGE * (i + 1),
                                [9] = i ? 0xc0000000 : 0x60000020 };
        memcpy(file + 0x188 + 40 * i, fields, 40);
    }
}

// ---- a directory for them, and cores that name them ----

static char dir[32], file_path[64], core_path[64];

static int make_dir(void **state)
{
    strcpy(dir, "/tmp/overlay-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(file_path, sizeof(file_path), "%s/libx.so", dir);
    snprintf(core_path, sizeof(core_path), "%s/core", dir);
    return 0;
}

static int remove_dir(void **state)
{
    unlink(file_path);
    unlink(core_path);
    return rmdir(dir);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

struct part {
    uint64_t start, end; // Of memory; `bytes` are what is saved from the start on.
    const void *bytes;
    size_t saved;
};
struct mapping {
    uint64_t start, end, page_offset;
};

static bool by_kernel; // The next core has the notes that tell so.

// A core of these parts; the mappings are all of one file.
static void write_core(const struct part *parts, size_t part_count, const char *path,
                       const struct mapping *mappings, size_t mapping_count)
{
    static uint8_t core[16 * PAGE];
    Elf64_Ehdr eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                      .e_type = ET_CORE,
                      .e_machine = EM_X86_64,
                      .e_phoff = sizeof(eh),
                      .e_phentsize = sizeof(Elf64_Phdr),
                      .e_phnum = (uint16_t)(part_count + 1) };
    memset(core, 0, sizeof(core));
    memcpy(core, &eh, sizeof(eh));
    uint64_t note[256] = { 0 }, at = PAGE;
    size_t len = 2;
    note[0] = mapping_count;
    note[1] = PAGE;
    for (size_t i = 0; i < mapping_count; i++) {
        memcpy(&note[len], &mappings[i], sizeof(*mappings));
        len += 3;
    }
    char *names = (char *)&note[len];
    for (size_t i = 0; i < mapping_count; i++)
        names = stpcpy(names, path) + 1;
    Elf64_Nhdr nhdr = { 5, (uint32_t)(names - (char *)note), NT_FILE };
    memcpy(core + at, &nhdr, sizeof(nhdr));
    memcpy(core + at + 12, "CORE", 5);
    memcpy(core + at + 20, note, nhdr.n_descsz);
    Elf64_Phdr ph = { PT_NOTE, 0, at, 0, 0, 20 + nhdr.n_descsz, 0, 4 };
    if (by_kernel) {
        Elf64_Nhdr state = { 6, 0, NT_X86_XSTATE };
        ph.p_filesz = (ph.p_filesz + 3) / 4 * 4;
        memcpy(core + at + ph.p_filesz, &state, sizeof(state));
        memcpy(core + at + ph.p_filesz + 12, "LINUX", 6);
        ph.p_filesz += 20;
        by_kernel = false;
    }
    memcpy(core + sizeof(eh), &ph, sizeof(ph));
    for (size_t i = 0; i < part_count; i++) {
        at += PAGE;
        ph = (Elf64_Phdr){
            PT_LOAD, PF_R, at, parts[i].start, 0, parts[i].saved, parts[i].end - parts[i].start, 1
        };
        memcpy(core + sizeof(eh) + (i + 1) * sizeof(ph), &ph, sizeof(ph));
        if (parts[i].saved)
            memcpy(core + at, parts[i].bytes, parts[i].saved);
    }
    write_file(core_path, core, at + PAGE);
}

static struct lg_target *open_core(void)
{
    struct lg_target *target = NULL;
    assert_ok(lg_core_open(core_path, &target));
    return target;
}

// A core as createdump writes it: of the library above only the header page and one word of data.
static const struct mapping elf_mappings[] = { { BASE, BASE + PAGE, 0 },
                                               { BASE + 0x2000, BASE + 0x3000, 1 } };
static uint8_t elf_file[2 * PAGE], pe_file[3 * PAGE];

static struct lg_target *elf_target(char file_id, char core_id, size_t header_saved)
{
    build_elf(elf_file, file_id);
    write_file(file_path, elf_file, sizeof(elf_file)); // Before the core: it must not be younger.
    build_elf(elf_file, core_id);
    const struct part parts[] = { { BASE, BASE + header_saved, elf_file, header_saved },
                                  { BASE + 0x2130, BASE + 0x2138, "captured", 8 },
                                  { BASE + 0x9000, BASE + 0x9008, "captured", 8 } };
    write_core(header_saved ? parts : parts + 1, header_saved ? 3 : 2, file_path, elf_mappings, 2);
    build_elf(elf_file, file_id);
    return open_core();
}

static uint64_t u64_at(struct lg_target *target, uint64_t address)
{
    uint64_t value = 0;
    assert_true(lg_target_u64(target, address, &value));
    return value;
}

static void assert_note(const struct lg_target *target, size_t i, const char *part)
{
    assert_true(i < target->notes.len);
    if (!strstr(target->notes.at[i], part))
        fail_msg("'%s' is not in '%s'", part, target->notes.at[i]);
}

// ---- tests ----

static void a_library_with_the_build_id_of_the_core_fills_the_gaps(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *target = elf_target(1, 1, 0x500);
    uint8_t buf[PAGE];
    assert_int_equal(lg_target_read(target, BASE + 0x900, buf, 256), 256);
    assert_memory_equal(buf, elf_file + 0x900, 256);
    // Across the end of what was saved.
    assert_int_equal(lg_target_read(target, BASE, buf, PAGE), PAGE);
    assert_memory_equal(buf, elf_file, PAGE);
    assert_int_equal(target->notes.len, 0); // All of its data is read-only after relocation.
}

static void what_was_captured_wins(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *target = elf_target(1, 1, 0x500);
    char buf[8];
    assert_int_equal(lg_target_read(target, BASE + 0x2130, buf, 8), 8);
    assert_memory_equal(buf, "captured", 8);
}

static void data_is_relocated_as_the_dynamic_linker_does(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *target = elf_target(1, 1, 0x500);
    assert_int_equal(u64_at(target, BASE + 0x2100), 0);
    assert_int_equal(u64_at(target, BASE + 0x2108), BASE + 0x123);
    assert_int_equal(u64_at(target, BASE + 0x2110), BASE + 0x45);
    assert_int_equal(u64_at(target, BASE + 0x2118), 0);
    assert_int_equal(u64_at(target, BASE + 0x2120), BASE + 0x67);
    // Parts of a relocated word, and a read that begins in one.
    uint8_t buf[16];
    assert_int_equal(lg_target_read(target, BASE + 0x210b, buf, 2), 2);
    assert_memory_equal(buf, "\x10\0", 2);
    assert_int_equal(lg_target_read(target, BASE + 0x2105, buf, 5), 5);
    assert_memory_equal(buf, "\0\0\0\x23\1", 5);
}

static void a_word_that_only_the_dynamic_linker_knows_is_not_there(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *target = elf_target(1, 1, 0x500);
    uint8_t buf[64];
    assert_int_equal(lg_target_read(target, BASE + 0x21f0, buf, 64), 16);
    assert_int_equal(lg_target_read(target, BASE + 0x2204, buf, 4), 0);
    assert_int_equal(lg_target_read(target, BASE + 0x2208, buf, 64), 64);
}

// The file has bytes there; the process had zeros, and then its variables.
static void variables_behind_the_file_s_data_are_not_there(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *target = elf_target(1, 1, 0x500);
    uint8_t buf[64];
    assert_int_equal(lg_target_read(target, BASE + 0x27f0, buf, 64), 16);
    assert_int_equal(lg_target_read(target, BASE + 0x2800, buf, 64), 0);
}

static void a_library_of_another_build_id_is_not_read(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *target = elf_target(9, 1, 0x500);
    uint8_t buf[8];
    assert_int_equal(lg_target_read(target, BASE + 0x100, buf, 8), 8); // saved
    assert_int_equal(lg_target_read(target, BASE + 0x900, buf, 8), 0);
    assert_int_equal(target->notes.len, 1);
    assert_note(target, 0, "files on disk are not the ones that were mapped");
    assert_note(target, 0, "libx.so' (has build-id 09020304, the core build-id 01020304)");
}

static void a_missing_library_is_named_with_its_build_id(void **state)
{
    lg_target_free(elf_target(1, 1, 0x500));
    assert_int_equal(unlink(file_path), 0);
    _cleanup_(lg_target_freep) struct lg_target *target = open_core();
    assert_int_equal(target->notes.len, 1);
    assert_note(target, 0, "libx.so' (build-id 01020304)");
}

// The note with the build-id was not saved, or nothing of the library was.
static void an_identity_that_cannot_be_proven_is_noted(void **state)
{
    const size_t saved[] = { 0x200, 0 };
    for (size_t i = 0; i < 2; i++) {
        _cleanup_(lg_target_freep) struct lg_target *target = elf_target(1, 1, saved[i]);
        uint8_t buf[8];
        assert_int_equal(lg_target_read(target, BASE + 0x900, buf, 8), 8);
        assert_int_equal(u64_at(target, BASE + 0x2108), BASE + 0x123);
        assert_int_equal(target->notes.len, 1);
        assert_note(target, 0, "identity not proven");
        assert_note(target, 0, "'libx.so'");
    }
}

static void a_file_younger_than_the_core_is_not_believed_without_proof(void **state)
{
    lg_target_free(elf_target(1, 1, 0));
    const struct timespec future[2] = { { .tv_sec = 4000000000 }, { .tv_sec = 4000000000 } };
    assert_int_equal(utimensat(AT_FDCWD, file_path, future, 0), 0);
    _cleanup_(lg_target_freep) struct lg_target *target = open_core();
    uint8_t buf[8];
    assert_int_equal(lg_target_read(target, BASE + 0x900, buf, 8), 0);
    assert_note(target, 0, "(has build-id 01020304, the core does not tell)");
}

static void a_file_that_does_not_fit_its_mappings_is_not_believed_without_proof(void **state)
{
    lg_target_free(elf_target(1, 1, 0));
    write_file(file_path, elf_file, PAGE);
    _cleanup_(lg_target_freep) struct lg_target *target = open_core();
    uint8_t buf[8];
    assert_int_equal(lg_target_read(target, BASE + 0x900, buf, 8), 0);
    assert_note(target, 0, "are not read");
}

static void an_assembly_is_known_by_stamp_and_size(void **state)
{
    const struct mapping mappings[] = { { BASE, BASE + PAGE, 0 },
                                        { BASE + 0x2000, BASE + 0x3000, 1 },
                                        { BASE + 0x3000, BASE + 0x4000, 2 } };
    build_pe(pe_file, 7);
    const struct part header = { BASE, BASE + 0x200, pe_file, 0x200 };
    write_core(&header, 1, file_path, mappings, 3);
    write_file(file_path, pe_file, sizeof(pe_file));
    struct lg_target *target = open_core();
    uint8_t buf[8];
    assert_int_equal(lg_target_read(target, BASE + 0x2010, buf, 8), 8);
    assert_memory_equal(buf, pe_file + PAGE + 0x10, 8);
    // What the process may have written is not in the file.
    assert_int_equal(lg_target_read(target, BASE + 0x3010, buf, 8), 0);
    assert_int_equal(target->notes.len, 0);
    lg_target_free(target);

    build_pe(pe_file, 8);
    write_file(file_path, pe_file, sizeof(pe_file));
    target = open_core();
    assert_int_equal(lg_target_read(target, BASE + 0x2010, buf, 8), 0);
    assert_note(target, 0,
                "(has TimeDateStamp 0x00000008, SizeOfImage 0x4000, the core TimeDateStamp 0x00000007, "
                "SizeOfImage 0x4000)");
    lg_target_free(target);
}

static void kernel_and_gdb_save_all_that_was_written(void **state)
{
    const struct mapping mappings[] = { { BASE, BASE + PAGE, 0 },
                                        { BASE + 0x2000, BASE + 0x3000, 1 },
                                        { BASE + 0x3000, BASE + 0x4000, 2 } };
    build_pe(pe_file, 7);
    const struct part parts[] = { { BASE, BASE + PAGE, pe_file, 0x200 },
                                  { BASE + 0x3000, BASE + 0x4000, NULL, 0 } };
    write_file(file_path, pe_file, sizeof(pe_file));
    for (size_t listed = 1; listed <= 2; listed++) {
        by_kernel = true;
        write_core(parts, listed, file_path, mappings, 3);
        _cleanup_(lg_target_freep) struct lg_target *target = open_core();
        uint8_t buf[8];
        assert_int_equal(lg_target_read(target, BASE + 0x3010, buf, 8), 8);
        assert_memory_equal(buf, pe_file + 2 * PAGE + 0x10, 8);
    }
}

// A core of the library at `named`, of which nothing was saved, or all of its headers; the files are
// those below `dir`.
static struct lg_target *open_below(const char *named, size_t header_saved)
{
    const struct part parts[] = { { BASE, BASE + PAGE, elf_file, header_saved },
                                  { BASE + 0x9000, BASE + 0x9008, "captured", 8 } };
    write_core(parts, 2, named, elf_mappings, 2);
    struct lg_target *target = NULL;
    assert_ok(lg_core_open_below(core_path, dir, &target));
    return target;
}

static bool is_read(struct lg_target *target)
{
    uint8_t buf[8];
    return lg_target_read(target, BASE + 0x900, buf, 8) == 8 && memcmp(buf, elf_file + 0x900, 8) == 0;
}

static void below_a_sysroot_files_are_found_by_path_or_name(void **state)
{
    static const char *const names[] = { "/libx.so", "/nowhere/libx.so", "/../../libx.so" };
    build_elf(elf_file, 1);
    write_file(file_path, elf_file, sizeof(elf_file));
    for (size_t i = 0; i < 3; i++) {
        struct lg_target *target = open_below(names[i], 0x500);
        assert_true(is_read(target));
        assert_int_equal(target->notes.len, 0);
        lg_target_free(target);
    }
    struct lg_target *target = open_below(file_path + 1, 0x500); // Relative: not a name to look for.
    assert_false(is_read(target));
    lg_target_free(target);
}

static void in_a_sysroot_too_the_build_id_decides(void **state)
{
    build_elf(elf_file, 2);
    write_file(file_path, elf_file, sizeof(elf_file));
    build_elf(elf_file, 1);
    struct lg_target *target = open_below("/libx.so", 0x500);
    assert_false(is_read(target));
    assert_note(target, 0,
                "not the ones that were mapped (1 native file), and are not read: '/libx.so'");
    lg_target_free(target);

    unlink(file_path);
    target = open_below("/libx.so", 0x500);
    assert_note(target, 0, "missing or cannot be read (1 native file), so what");
    assert_null(strstr(target->notes.at[0], "--sysroot"));
    lg_target_free(target);
}

// Whoever names a sysroot vouches for it: copies are younger than what they are copies of.
static void in_a_sysroot_the_date_of_a_file_does_not_matter(void **state)
{
    const struct timespec future[2] = { { .tv_sec = 4000000000 }, { .tv_sec = 4000000000 } };
    build_elf(elf_file, 1);
    write_file(file_path, elf_file, sizeof(elf_file));
    assert_int_equal(utimensat(AT_FDCWD, file_path, future, 0), 0);
    _cleanup_(lg_target_freep) struct lg_target *target = open_below("/libx.so", 0);
    assert_true(is_read(target));
    assert_note(target, 0, "identity not proven");
}

static void links_of_a_sysroot_stay_in_it(void **state)
{
    char link[64], outside[] = "/tmp/outside-XXXXXX";
    snprintf(link, sizeof(link), "%s/liby.so", dir);
    build_elf(elf_file, 1);
    write_file(file_path, elf_file, sizeof(elf_file));
    assert_int_equal(symlink("/libx.so", link), 0);
    struct lg_target *target = open_below("/liby.so", 0x500);
    assert_true(is_read(target));
    lg_target_free(target);
    unlink(link);

    _cleanup_close_ int fd = mkstemp(outside);
    assert_true(fd >= 0);
    write_file(outside, elf_file, sizeof(elf_file));
    assert_int_equal(symlink(outside, link), 0);
    target = open_below("/liby.so", 0x500);
    assert_false(is_read(target));
    lg_target_free(target);
    unlink(link);
    unlink(outside);
}

static void a_sysroot_is_a_directory(void **state)
{
    lg_target_free(elf_target(1, 1, 0x500));
    struct lg_target *target = NULL;
    assert_error(lg_core_open_below(core_path, "/nowhere", &target), LG_ERR_OS,
                 "sysroot '/nowhere': No such file or directory");
    assert_error(lg_core_open_below(core_path, "/etc/passwd", &target), LG_ERR_OS,
                 "sysroot '/etc/passwd': Not a directory");
}

// Expects that nothing of `path` is read or waited for.
static void assert_untouched(const char *path)
{
    const struct part part = { BASE + 0x9000, BASE + 0x9008, "captured", 8 };
    write_core(&part, 1, path, elf_mappings, 2);
    _cleanup_(lg_target_freep) struct lg_target *target = open_core();
    uint8_t buf[8];
    assert_int_equal(lg_target_read(target, BASE, buf, 8), 0);
}

static void only_regular_files_of_that_name_are_opened(void **state)
{
    char deleted[80];
    snprintf(deleted, sizeof(deleted), "%s (deleted)", file_path);
    build_elf(elf_file, 1);
    write_file(deleted, elf_file, sizeof(elf_file));
    assert_untouched(deleted);
    unlink(deleted);
    assert_untouched("libx.so");
    assert_untouched("/memfd:doublemapper (deleted)");
    assert_untouched(dir);
    assert_untouched("/dev/zero");
    assert_untouched("/proc/self/exe");
    assert_untouched("");
    assert_int_equal(mkfifo(file_path, 0600), 0);
    assert_untouched(file_path);
    unlink(file_path);
    write_file(file_path, "some data", 9);
    assert_untouched(file_path);
    write_file(file_path, "", 0);
    assert_untouched(file_path);
}

static void any_word_of_a_file_may_hold_anything(void **state)
{
    lg_target_free(elf_target(1, 1, 0));
    uint8_t buf[PAGE];
    for (size_t at = 0; at < PAGE + 0x140; at += at == 0x800 - 8 ? 0x800 + 8 : 8) {
        for (size_t h = 0; h < fake_hostile_count; h++) {
            uint64_t good;
            memcpy(&good, elf_file + at, 8);
            memcpy(elf_file + at, &fake_hostile[h], 8);
            FILE *f = fopen(file_path, "r+b");
            assert_non_null(f);
            assert_int_equal(pwrite(fileno(f), elf_file, sizeof(elf_file), 0), sizeof(elf_file));
            fclose(f);
            struct lg_target *target = open_core();
            lg_target_read(target, BASE, buf, PAGE);
            lg_target_read(target, BASE + 0x2000, buf, PAGE);
            lg_target_free(target);
            memcpy(elf_file + at, &good, 8);
        }
    }
}

#define OVERLAY_TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVERLAY_TEST(a_library_with_the_build_id_of_the_core_fills_the_gaps),
        OVERLAY_TEST(what_was_captured_wins),
        OVERLAY_TEST(data_is_relocated_as_the_dynamic_linker_does),
        OVERLAY_TEST(a_word_that_only_the_dynamic_linker_knows_is_not_there),
        OVERLAY_TEST(variables_behind_the_file_s_data_are_not_there),
        OVERLAY_TEST(a_library_of_another_build_id_is_not_read),
        OVERLAY_TEST(a_missing_library_is_named_with_its_build_id),
        OVERLAY_TEST(an_identity_that_cannot_be_proven_is_noted),
        OVERLAY_TEST(a_file_younger_than_the_core_is_not_believed_without_proof),
        OVERLAY_TEST(a_file_that_does_not_fit_its_mappings_is_not_believed_without_proof),
        OVERLAY_TEST(an_assembly_is_known_by_stamp_and_size),
        OVERLAY_TEST(kernel_and_gdb_save_all_that_was_written),
        OVERLAY_TEST(below_a_sysroot_files_are_found_by_path_or_name),
        OVERLAY_TEST(in_a_sysroot_too_the_build_id_decides),
        OVERLAY_TEST(in_a_sysroot_the_date_of_a_file_does_not_matter),
        OVERLAY_TEST(links_of_a_sysroot_stay_in_it),
        OVERLAY_TEST(a_sysroot_is_a_directory),
        OVERLAY_TEST(only_regular_files_of_that_name_are_opened),
        OVERLAY_TEST(any_word_of_a_file_may_hold_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
