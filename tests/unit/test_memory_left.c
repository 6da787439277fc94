// What would not fit is refused, in a process that would be killed otherwise.
#include "control_group.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "graph/disjoint.h"
#include "graph/dominators.h"
#include "graph/index.h"
#include "graph/marks.h"
#include "graph/paths.h"
#include "graph/rows.h"
#include "util/memory_left.h"
#include "util/pages.h"

enum { LIMIT_MB = 64, NODES = 1 << 20, MANY = 16 << 20 };

static void nothing_that_is_not_there_is_had(void **state)
{
    struct lg_error *err = lg_memory_need(UINT64_MAX / 2, "a graph of %d objects", 7);
    assert_non_null(err);
    assert_int_equal(lg_error_kind(err), LG_ERR_NO_MEMORY);
    const char *text = lg_error_message(err);
    assert_memory_equal(text, "a graph of 7 objects would take 8796093022208 MB of memory, and ", 60);
    assert_non_null(strstr(text, " MB are left "));
    assert_non_null(strstr(text, "`dumpheap -stat` needs no graph"));
    lg_error_free(err);
    assert_ok(lg_memory_need(0, "nothing"));
    assert_ok(lg_memory_need(1 << 20, "little"));
}

// ---- in a small group ----

// What each asks for does not fit into what is left. 0: refused, and says so; else what went wrong.
static int refused(struct lg_error *err, const char *what)
{
    if (!err) {
        fprintf(stderr, "%s: not refused\n", what);
        return 1;
    }
    const char *text = lg_error_message(err);
    bool ok = strstr(text, "would take ")
              && strstr(text, "MB are left until the limit of linger's control group")
              && strstr(text, "raise the limit");
    if (!ok)
        fprintf(stderr, "%s: %s\n", what, text);
    lg_error_free(err);
    return !ok;
}

static int index_is_refused(void)
{
    struct lg_index *index = NULL;
    const struct lg_span span = { 0x7f0000000000, 0x7f0000000000 + (UINT64_C(4) << 30) };
    return refused(lg_index_new(&span, 1, &index), "index");
}

static int rows_are_refused(void)
{
    struct lg_rows *rows = NULL;
    return refused(lg_rows_new(MANY, 1, &rows), "rows");
}

// Few objects that refer to much: told only as it comes.
static int references_are_refused(void)
{
    _cleanup_(lg_rows_freep) struct lg_rows *rows = NULL;
    _cleanup_(lg_index_freep) struct lg_index *index = NULL;
    struct lg_graph *graph = NULL;
    const struct lg_span span = { 0x7f0000000000, 0x7f0000400000 };
    struct lg_edge_batch batch;
    enum { PIECES = 64 };
    struct lg_error *err = lg_index_new(&span, 1, &index);
    lg_index_add(index, span.start, UINT64_MAX);
    if (!err)
        err = lg_index_seal(index);
    if (!err)
        err = lg_rows_new(64, PIECES, &rows);
    for (size_t piece = 0; piece < PIECES && !err; piece++) {
        for (uint32_t i = 0; i < 1 << 14; i++) {
            for (batch.count = 0; batch.count < 64; batch.count++) {
                batch.keys[batch.count] = span.start + 8 * batch.count;
                batch.values[batch.count] = (lg_node)piece;
            }
            lg_rows_add_batch(rows, 0, index, &batch);
        }
        lg_rows_end(rows, 0, piece);
    }
    return refused(err ? err : lg_rows_finish(rows, &graph), "references");
}

static int sorter_is_refused(void)
{
    _cleanup_(lg_edge_sorter_freep) struct lg_edge_sorter *sorter = NULL;
    struct lg_graph *graph = NULL;
    struct lg_error *err = lg_edge_sorter_new(NODES, &sorter);
    for (uint32_t i = 0; i < 8 * NODES && !err; i++)
        lg_edge_sorter_add(sorter, 0, i % NODES, i / 8);
    return refused(err ? err : lg_edge_sorter_finish(sorter, &graph), "sorter");
}

static int searches_are_refused(void)
{
    struct lg_graph *graph = NULL;
    struct lg_paths *paths = NULL;
    struct lg_disjoint *disjoint = NULL;
    struct lg_dominators *tree = NULL;
    uint64_t *marks = lg_pages_alloc(lg_marks_words(MANY), 8), count = 0;
    const lg_node root = 0;
    // Pages that nothing is written to are not there.
    if (lg_graph_new(MANY, 0, &graph))
        return 1;
    int failed = refused(lg_marks_search(marks, graph, &root, 1, &count), "marks")
                 + refused(lg_paths_find(graph, 0, &paths), "paths")
                 + refused(lg_disjoint_find(graph, 0, marks, 0, &disjoint), "disjoint")
                 + refused(lg_dominators_find(graph, NULL, &root, 1, &tree), "dominators");
    lg_pages_free(marks, lg_marks_words(MANY), 8);
    return failed;
}

static int all_are_refused(const struct group *group)
{
    if (!write_text(group->path, "cgroup.procs", "0"))
        return 99;
    return index_is_refused() + rows_are_refused() + references_are_refused() + sorter_is_refused()
           + searches_are_refused();
}

static void what_a_control_group_has_no_room_for_is_refused(void **state)
{
#ifdef TEST_HAS_ASAN
    print_message("skipped: AddressSanitizer's own memory would be counted\n");
    return;
#endif
    struct group group;
    int status = -1;
    if (!group_make(&group, LIMIT_MB))
        return;
    pid_t child = fork();
    if (child == 0)
        _exit(all_are_refused(&group));
    pid_t ended = child > 0 ? waitpid(child, &status, 0) : -1;
    group_remove(&group);
    assert_int_equal(ended, child);
    assert_int_equal(status, 0); // Neither killed nor in doubt.
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_is_not_there_is_had),
        cmocka_unit_test(what_a_control_group_has_no_room_for_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
