// A runtime in a fake target, and a library that looks like its DAC (tests/support/fake_dac.c) in a
// folder of its own.
#ifndef LG_TESTS_UNIT_DAC_FIXTURE_H
#define LG_TESTS_UNIT_DAC_FIXTURE_H

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dac/dac.h"
#include "support/fake.h"
#include "support/fake_dac.h"

enum { BASE = 0x10000000, STACK_SIZE = 0x3000 };

struct fixture {
    struct lg_target *target;
    char folder[64], file[96];
};

static inline void copy_file(const char *from, const char *to, const char *old, const char *new)
{
    static char bytes[4 << 20];
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    assert_non_null(in);
    assert_non_null(out);
    size_t len = fread(bytes, 1, sizeof(bytes), in);
    assert_true(len > 0 && len < sizeof(bytes));
    char *found = old ? memmem(bytes, len, old, strlen(old)) : NULL;
    assert_true(!old || found);
    if (found)
        memcpy(found, new, strlen(new));
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(in);
    fclose(out);
    assert_int_equal(chmod(to, 0755), 0);
}

static inline struct lg_target *a_runtime(void)
{
    struct lg_target *target = fake_new();
    fake_image(target, BASE, "/x/libcoreclr.so", NULL, 0);
    fake_bytes(target, BASE + FAKE_IMAGE_FREE, FAKE_DAC_VERSION, sizeof(FAKE_DAC_VERSION));
    fake_map(target, FAKE_DAC_STACK, FAKE_DAC_STACK + STACK_SIZE, LG_READ | LG_WRITE, "", 0);
    static const uint8_t zeros[STACK_SIZE];
    fake_bytes(target, FAKE_DAC_STACK, zeros, sizeof(zeros));
    fake_u64(target, FAKE_DAC_STACK + 0x108, 0x123456789);
    fake_thread(target, FAKE_DAC_BEHAVES, 0x1000, FAKE_DAC_STACK);
    return target;
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/test_dac.%d.XXXXXX", getpid());
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->file, sizeof(f->file), "%s/dac.so", f->folder);
    copy_file(FAKE_DAC, f->file, NULL, NULL);
    f->target = a_runtime();
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    unlink(f->file);
    rmdir(f->folder);
    lg_target_free(f->target);
    free(f);
    // No helper is left, whatever became of it.
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    return 0;
}

static inline struct lg_error *open_with(struct fixture *f, struct lg_dac_options options,
                                         struct lg_dac **ret)
{
    options.file = f->file;
    options.version = "10.0.99";
    return lg_dac_open(f->target, "/x/libcoreclr.so", BASE, &options, ret);
}

#endif
