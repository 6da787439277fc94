#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/ps.h"

// No such PIDs exist (PID_MAX_LIMIT is 2^22), so nothing of the machine comes between.
enum { NOWHERE = 1 << 23 };

struct family {
    struct lg_process at[5];
    struct lg_processes processes;
    bool wanted[5];
    struct lg_ps_lines lines;
};

static void set_up(struct family *f)
{
    static const char *const names[] = { "Watcher", "Shop", "Mail", "Worker", "Alone" };
    static const int parents[] = { 1, NOWHERE, NOWHERE, NOWHERE + 1, 1 };
    *f = (struct family){ 0 };
    for (int i = 0; i < 5; i++) {
        f->at[i] = (struct lg_process){ .pid = NOWHERE + i,
                                        .ppid = parents[i] == 1 ? 0 : parents[i],
                                        .name = (char *)names[i] };
        f->wanted[i] = true;
    }
    f->processes.all.at = f->at;
    f->processes.all.len = 5;
}

// "0 1 3 2 4" of the lines' processes, with their prefixes.
static void assert_lines(struct family *f, const char *expected)
{
    char text[512] = "";
    for (size_t i = 0; i < f->lines.at.len; i++) {
        const struct lg_ps_line *line = &f->lines.at.at[i];
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%s%s\n", line->prefix, f->at[line->process].name);
    }
    assert_string_equal(text, expected);
    lg_vec_free(&f->lines.at);
}

static void children_stand_below_their_parents(void **state)
{
    struct family f;
    set_up(&f);
    assert_true(lg_ps_tree(&f.processes, f.wanted, &f.lines));
    assert_int_equal(f.lines.at.at[2].parent, 1);
    assert_lines(&f, "Watcher\n|- Shop\n|  `- Worker\n`- Mail\nAlone\n");
    f.wanted[1] = false; // Its child goes to its parent.
    assert_true(lg_ps_tree(&f.processes, f.wanted, &f.lines));
    assert_lines(&f, "Watcher\n|- Mail\n`- Worker\nAlone\n");
    assert_true(lg_ps_list(&f.processes, f.wanted, &f.lines));
    assert_lines(&f, "Watcher\nMail\nWorker\nAlone\n");
}

static void a_chain_longer_than_the_prefix_is_still_listed(void **state)
{
    enum { COUNT = 100 };
    static struct lg_process at[COUNT];
    static bool wanted[COUNT];
    struct lg_processes processes = { { at, COUNT, COUNT } };
    struct lg_ps_lines lines = { 0 };
    for (int i = 0; i < COUNT; i++) {
        at[i] = (struct lg_process){ .pid = NOWHERE + i, .ppid = i ? NOWHERE + i - 1 : 0 };
        wanted[i] = true;
    }
    assert_true(lg_ps_tree(&processes, wanted, &lines));
    assert_int_equal(lines.at.len, COUNT);
    assert_int_equal(lines.at.at[COUNT - 1].process, COUNT - 1);
    lg_vec_free(&lines.at);
}

static void parents_that_are_not_listed_are_passed_over(void **state)
{
    struct lg_process at[] = { { .pid = NOWHERE, .ppid = getpid() }, { .pid = getppid() } };
    struct lg_processes processes = { { at, 2, 2 } };
    assert_true(lg_process_parent(&processes, 0) == 1); // Through this program, which is not listed.
    assert_true(lg_process_parent(&processes, 1) == SIZE_MAX);
}

static void patterns_are_pids_parts_of_names_or_globs(void **state)
{
    const struct lg_process shop = { .pid = 4711, .name = (char *)"WebShop" };
    const char *const yes[] = { "4711", "WebShop", "Shop", "47*", "*Shop", "Web?hop", "[W]*", "471?" };
    const char *const no[] = { "47", "shop", "Web*p?", "47?", "Shop*", "[a]*", "webshop" };
    for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
        assert_true(lg_ps_matches(&shop, yes[i]));
    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
        assert_false(lg_ps_matches(&shop, no[i]));
    assert_false(lg_ps_matches(&(struct lg_process){ .pid = 1 }, "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_stand_below_their_parents),
        cmocka_unit_test(a_chain_longer_than_the_prefix_is_still_listed),
        cmocka_unit_test(parents_that_are_not_listed_are_passed_over),
        cmocka_unit_test(patterns_are_pids_parts_of_names_or_globs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
