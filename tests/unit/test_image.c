#include "test.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/fake.h"
#include "target/image.h"

enum { BASE = 0x10000000 };

static struct lg_target *a_target(void)
{
    struct lg_target *fake = fake_new();
    const struct fake_symbol symbols[] = {
        { "g_dacTable", BASE + FAKE_IMAGE_FREE, 64 },
        { "DotNetRuntimeInfo", BASE + FAKE_IMAGE_FREE + 64, 112 },
    };
    fake_image(fake, BASE, "/x/libcoreclr.so", symbols, 2);
    return fake;
}

static void a_symbol_is_found_by_its_whole_name(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *fake = a_target();
    struct lg_image image;
    assert_ok(lg_image_open(fake, "/x/libcoreclr.so", BASE, &image));
    assert_int_equal(image.end, BASE + FAKE_IMAGE_SIZE);

    uint64_t address = 0, size = 0;
    assert_true(lg_image_symbol(&image, "DotNetRuntimeInfo", &address, &size));
    assert_int_equal(address, BASE + FAKE_IMAGE_FREE + 64);
    assert_int_equal(size, 112);
    assert_true(lg_image_symbol(&image, "g_dacTable", &address, &size));
    assert_false(lg_image_symbol(&image, "g_dacTabl", &address, &size));
    assert_false(lg_image_symbol(&image, "", &address, &size));

    uint8_t id[LG_BUILD_ID_MAX];
    assert_int_equal(lg_image_build_id(&image, id), 20);
    assert_memory_equal(id, "fake build-id 20 b.", 20);
}

// As musl leaves them.
static void relative_addresses_in_the_dynamic_section_are_taken_from_the_base(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *fake = a_target();
    for (uint64_t entry = BASE + 0x800; entry < BASE + 0x830; entry += 16) {
        uint64_t value;
        assert_true(lg_target_u64(fake, entry + 8, &value));
        fake_u64(fake, entry + 8, value - BASE);
    }
    struct lg_image image;
    uint64_t address, size;
    assert_ok(lg_image_open(fake, "/x", BASE, &image));
    assert_true(lg_image_symbol(&image, "g_dacTable", &address, &size));
    assert_int_equal(address, BASE + FAKE_IMAGE_FREE);
}

static void a_system_v_hash_table_does_too(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *fake = a_target();
    fake_u64(fake, BASE + 0x800, DT_HASH);
    const uint32_t table[] = { 1, 3, 2, 0, 0, 1 }; // bucket -> symbol 2 -> symbol 1
    fake_bytes(fake, BASE + 0x1000, table, sizeof(table));
    struct lg_image image;
    uint64_t address, size;
    assert_ok(lg_image_open(fake, "/x", BASE, &image));
    assert_true(lg_image_symbol(&image, "g_dacTable", &address, &size));
    assert_int_equal(address, BASE + FAKE_IMAGE_FREE);
    assert_false(lg_image_symbol(&image, "nothing", &address, &size));
}

static bool count_images(const struct lg_image *image, void *data)
{
    ++*(int *)data;
    return strcmp(image->path, "/stop") == 0;
}

static void every_image_is_visited_until_one_is_enough(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *fake = a_target();
    fake_map(fake, 0x20000000, 0x20010000, LG_READ, "/x/System.dll", 0);
    fake_bytes(fake, 0x20000000, "MZ", 2);
    int count = 0;
    assert_false(lg_images_each(fake, count_images, &count));
    assert_int_equal(count, 1);
    fake_image(fake, 0x30000000, "/stop", NULL, 0);
    fake_image(fake, 0x40000000, "/y", NULL, 0);
    assert_true(lg_images_each(fake, count_images, &count));
    assert_int_equal(count, 3);
}

static void what_is_no_image_is_refused(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *fake = a_target();
    struct lg_image image;
    assert_error(lg_image_open(fake, "/x", BASE + 0x1000, &image), LG_ERR_UNSUPPORTED,
                 "'/x' at 0x10001000 is no 64-bit x86-64 ELF image");
    fake_u64(fake, BASE + 0x800, DT_NULL);
    assert_error(lg_image_open(fake, "/x", BASE, &image), LG_ERR_UNSUPPORTED,
                 "'/x' at 0x10000000 has no dynamic section that can be read");
}

static void use(struct lg_target *fake)
{
    struct lg_image image;
    uint64_t address, size;
    uint8_t id[LG_BUILD_ID_MAX];
    struct lg_error *err = lg_image_open(fake, "/x", BASE, &image);
    if (!err) {
        lg_image_symbol(&image, "g_dacTable", &address, &size);
        lg_image_symbol(&image, "nothing", &address, &size);
        assert_true(lg_image_build_id(&image, id) <= LG_BUILD_ID_MAX);
    }
    lg_error_free(err);
}

static void any_word_may_hold_anything(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *fake = a_target();
    uint64_t address, saved;
    for (size_t i = 0; fake_word(fake, i, &address); i++) {
        assert_true(lg_target_u64(fake, address, &saved));
        for (size_t h = 0; h < fake_hostile_count; h++) {
            fake_u64(fake, address, fake_hostile[h]);
            use(fake);
        }
        fake_forget(fake, address, 8);
        use(fake);
        fake_u64(fake, address, saved);
    }
}

// Our own process, through pointers, as an independent proof: dlsym() has to agree.
static size_t read_self(struct lg_target *target, uint64_t address, void *buf, size_t len)
{
    FILE *mem = fopen("/proc/self/mem", "rb");
    assert_non_null(mem);
    ssize_t n = pread(fileno(mem), buf, len, (off_t)address);
    fclose(mem);
    return n < 0 ? 0 : (size_t)n;
}

static void our_own_libc_exports_what_dlsym_says(void **state)
{
    const struct lg_target_ops ops = { .read = read_self };
    struct lg_target self = { .ops = &ops };
    Dl_info info;
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(libc);
    assert_int_not_equal(dladdr(dlsym(libc, "strtoul"), &info), 0);
    struct lg_image image;
    assert_ok(lg_image_open(&self, info.dli_fname, (uintptr_t)info.dli_fbase, &image));
    const char *names[] = { "strtoul", "getpid", "environ", "__libc_start_main", "qsort" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        uint64_t address, size;
        assert_true(lg_image_symbol(&image, names[i], &address, &size));
        assert_int_equal(address, (uintptr_t)dlsym(libc, names[i]));
    }
    dlclose(libc);
    uint8_t id[LG_BUILD_ID_MAX];
    assert_int_equal(lg_image_build_id(&image, id), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_symbol_is_found_by_its_whole_name),
        cmocka_unit_test(relative_addresses_in_the_dynamic_section_are_taken_from_the_base),
        cmocka_unit_test(a_system_v_hash_table_does_too),
        cmocka_unit_test(every_image_is_visited_until_one_is_enough),
        cmocka_unit_test(what_is_no_image_is_refused),
        cmocka_unit_test(any_word_may_hold_anything),
        cmocka_unit_test(our_own_libc_exports_what_dlsym_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
