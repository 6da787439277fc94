// Files that are written under another name until they are whole.
#include "test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/new_file.h"

static char folder[64];

// Whether nothing is in the folder, which goes then.
static bool is_empty(void)
{
    return rmdir(folder) == 0;
}

static void path_in(char path[96])
{
    snprintf(folder, sizeof(folder), "/tmp/linger-new-file-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, 96, "%s/file", folder);
}

static void a_finished_one_is_there_and_no_other(void **state)
{
    char path[96];
    struct lg_new_file *first = NULL, *second = NULL;
    path_in(path);
    assert_ok(lg_new_file_create(path, &first));
    assert_ok(lg_new_file_create(path, &second));
    assert_ok(lg_new_file_put(first, "1", 1));
    assert_ok(lg_new_file_finish(first));
    lg_new_file_free(first);
    lg_new_file_free(second);
    assert_int_equal(unlink(path), 0);
    assert_true(is_empty());
}

// As from another thread, in a process that ends.
static void who_ends_leaves_none(void **state)
{
    char path[96];
    int status = -1;
    path_in(path);
    pid_t child = fork();
    if (child == 0) {
        struct lg_new_file *files[3] = { 0 };
        for (int i = 0; i < 3; i++) {
            if (lg_new_file_create(path, &files[i]))
                _exit(1);
        }
        lg_new_file_free(files[1]);
        lg_new_files_remove();
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
    assert_true(is_empty());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_one_is_there_and_no_other),
        cmocka_unit_test(who_ends_leaves_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
