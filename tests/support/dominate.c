// Dominators of large graphs, for another library to check and for measuring:
//
//     dominate make FAMILY NODES SEED FILE   writes a graph of a family (below) and its roots
//     dominate find FILE OUT                 its dominators, as the library finds them
//     dominate time FAMILY NODES             from marking to retained sizes, in memory, with times
//
// FILE, 32-bit numbers: nodes, edges, roots; a start for each node and one behind; edges; roots.
// OUT: of each node its immediate dominator in 32 bits (`nodes`: the virtual root, 0xffffffff: not
// reached), then of each what it retains in 64, where node n takes 24 + 8 * (n % 13) itself.
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "graph/dominators.h"
#include "graph/marks.h"
#include "util/pages.h"

enum { ROW = 4, ROOTS = 8 }; // At most, of each graph.

static uint32_t random_below(uint64_t *seed, uint64_t limit)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 32) * limit >> 32);
}

// ---- families: the row of node `i` of `n` ----

static unsigned web(uint32_t i, uint32_t n, uint64_t *seed, lg_node *to)
{
    (void)i;
    for (unsigned k = 0; k < 3; k++)
        to[k] = random_below(seed, n);
    return 3;
}

static unsigned sparse(uint32_t i, uint32_t n, uint64_t *seed, lg_node *to)
{
    unsigned count = random_below(seed, ROW);
    (void)i;
    for (unsigned k = 0; k < count; k++)
        to[k] = random_below(seed, n);
    return count;
}

static uint32_t around(uint32_t i, uint32_t n, uint32_t width, uint64_t *seed)
{
    uint64_t at = (uint64_t)i + n - width / 2 % n + random_below(seed, width);
    return (uint32_t)(at % n);
}

// As heaps are: the next, one allocated at about the same time, and now and then one from anywhere.
static unsigned near(uint32_t i, uint32_t n, uint64_t *seed, lg_node *to)
{
    to[0] = i + 1 < n ? i + 1 : 0;
    to[1] = around(i, n, 128, seed);
    to[2] = random_below(seed, 100) ? around(i, n, 1 << 16, seed) : random_below(seed, n);
    // Lists of a thousand: without, all would be one.
    return i % 1000 == 999 ? (to[0] = to[2], 2) : 3;
}

static unsigned acyclic(uint32_t i, uint32_t n, uint64_t *seed, lg_node *to)
{
    unsigned count = i + 1 < n ? random_below(seed, ROW) : 0;
    for (unsigned k = 0; k < count; k++)
        to[k] = i + 1 + random_below(seed, random_below(seed, 8) ? (n - i - 2) / 1000 + 1 : n - i - 1);
    return count;
}

static unsigned tree(uint32_t i, uint32_t n, uint64_t *seed, lg_node *to)
{
    unsigned count = 0;
    for (uint64_t child = 2 * (uint64_t)i + 1; child <= 2 * (uint64_t)i + 2 && child < n; child++)
        to[count++] = (lg_node)child;
    if (i > 0 && random_below(seed, 2))
        to[count++] = (i - 1) / 2;
    if (random_below(seed, 50) == 0)
        to[count++] = random_below(seed, n);
    return count;
}

static unsigned list(uint32_t i, uint32_t n, uint64_t *seed, lg_node *to)
{
    unsigned count = 0;
    if (i + 1 < n)
        to[count++] = i + 1;
    if (i > 0)
        to[count++] = i - 1;
    if (random_below(seed, n / 8 + 1) == 0)
        to[count++] = random_below(seed, n);
    return count;
}

// Up one side and down the other, with rungs.
static unsigned ladder(uint32_t i, uint32_t n, uint64_t *seed, lg_node *to)
{
    uint32_t half = n / 2;
    unsigned count = 0;
    (void)seed;
    if (i < half && i + 1 < half)
        to[count++] = i + 1;
    if (i < half)
        to[count++] = half + i;
    if (i > half)
        to[count++] = i - 1;
    if (i + 1 == half)
        to[count++] = n - 1;
    return count;
}

// Loops with two ways in each, one in the other.
static unsigned loops(uint32_t i, uint32_t n, uint64_t *seed, lg_node *to)
{
    unsigned count = 0;
    if (i + 1 < n)
        to[count++] = i + 1;
    if (i + 2 < n)
        to[count++] = i + 2;
    if (i > 0) {
        to[count++] = i - 1;
        to[count++] = random_below(seed, i);
    }
    return count;
}

static unsigned back(uint32_t i, uint32_t n, uint64_t *seed, lg_node *to)
{
    unsigned count = sparse(i, n, seed, to);
    to[count == ROW ? 0 : count] = 0;
    return count == ROW ? count : count + 1;
}

static const struct family {
    const char *name;
    unsigned (*row)(uint32_t i, uint32_t n, uint64_t *seed, lg_node *to);
} families[] = {
    { "web", web },   { "sparse", sparse }, { "near", near },   { "acyclic", acyclic }, { "tree", tree },
    { "list", list }, { "ladder", ladder }, { "loops", loops }, { "back", back },
};

static struct lg_error *make(const char *name, uint32_t n, uint64_t seed, struct lg_graph **ret)
{
    const struct family *family = NULL;
    for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
        family = strcmp(families[i].name, name) == 0 ? &families[i] : family;
    if (!family)
        return lg_error_new(LG_ERR_USAGE, "there is no family '%s'", name);
    uint64_t edges = 0, again = seed;
    lg_node to[ROW];
    for (uint32_t i = 0; i < n; i++)
        edges += family->row(i, n, &again, to);
    struct lg_error *err = lg_graph_new(n, edges, ret);
    uint32_t next = 0;
    for (uint32_t i = 0; i < n && !err; i++) {
        next += family->row(i, n, &seed, (*ret)->edges + next);
        (*ret)->edge_start[i + 1] = next;
    }
    return err;
}

static void pick_roots(uint32_t n, lg_node *roots)
{
    for (uint32_t i = 0; i < ROOTS; i++)
        roots[i] = (uint32_t)((uint64_t)n * i * i / (ROOTS * ROOTS));
}

// ---- files ----

static bool put(FILE *file, const void *items, size_t count, size_t size)
{
    return fwrite(items, size, count, file) == count;
}

static bool get(FILE *file, void *items, size_t count, size_t size)
{
    return fread(items, size, count, file) == count;
}

static void close_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

static struct lg_error *write_graph(const struct lg_graph *graph, const char *path)
{
    _cleanup_(close_file) FILE *file = fopen(path, "wb");
    lg_node roots[ROOTS];
    const uint32_t head[] = { graph->node_count, (uint32_t)graph->edge_count, ROOTS };
    pick_roots(graph->node_count, roots);
    bool ok = file && put(file, head, 3, 4)
              && put(file, graph->edge_start, (size_t)graph->node_count + 1, 4)
              && put(file, graph->edges, graph->edge_count, 4) && put(file, roots, ROOTS, 4)
              && fflush(file) == 0;
    return ok ? NULL : lg_error_new(LG_ERR_OS, "cannot write '%s'", path);
}

static struct lg_error *read_graph(const char *path, struct lg_graph **graph_ret, lg_node *roots)
{
    _cleanup_(close_file) FILE *file = fopen(path, "rb");
    uint32_t head[3];
    if (!file || !get(file, head, 3, 4) || head[2] != ROOTS)
        return lg_error_new(LG_ERR_OS, "cannot read '%s'", path);
    _cleanup_(lg_graph_freep) struct lg_graph *graph = NULL;
    struct lg_error *err = lg_graph_new(head[0], head[1], &graph);
    if (err)
        return err;
    if (!get(file, graph->edge_start, (size_t)head[0] + 1, 4) || !get(file, graph->edges, head[1], 4)
        || !get(file, roots, ROOTS, 4))
        return lg_error_new(LG_ERR_CORRUPT, "'%s' ends early", path);
    err = lg_graph_check(graph);
    if (!err)
        *graph_ret = lg_steal(graph);
    return err;
}

// ---- finding ----

static uint64_t *retained(const struct lg_dominators *tree)
{
    uint64_t *size = lg_pages_alloc(tree->count, sizeof(*size));
    for (uint32_t i = 1; size && i < tree->count; i++)
        size[i] = 24 + tree->node[i] % 13 * 8;
    if (size)
        lg_retained_fold(tree, size);
    return size;
}

static struct lg_error *write_tree(const struct lg_dominators *tree, const char *path)
{
    _cleanup_(close_file) FILE *file = fopen(path, "wb");
    uint32_t n = tree->node_count;
    const uint32_t *number = tree->number;
    uint32_t *idom = lg_pages_alloc(n, 4);
    uint64_t *by_number = retained(tree), *size = lg_pages_alloc(n, 8);
    if (!idom || !by_number || !size)
        return &lg_no_memory;
    for (lg_node node = 0; node < n; node++) {
        uint32_t above = number[node] ? tree->idom[number[node]] : 0;
        idom[node] = !number[node] ? LG_NO_NODE : above ? tree->node[above] : n;
        size[node] = number[node] ? by_number[number[node]] : 0;
    }
    bool ok = file && put(file, idom, n, 4) && put(file, size, n, 8) && fflush(file) == 0;
    lg_pages_free(idom, n, 4);
    lg_pages_free(by_number, tree->count, 8);
    lg_pages_free(size, n, 8);
    return ok ? NULL : lg_error_new(LG_ERR_OS, "cannot write '%s'", path);
}

static struct lg_error *find(const char *path, const char *out)
{
    _cleanup_(lg_graph_freep) struct lg_graph *graph = NULL;
    _cleanup_(lg_dominators_freep) struct lg_dominators *tree = NULL;
    lg_node roots[ROOTS];
    struct lg_error *err = read_graph(path, &graph, roots);
    if (!err)
        err = lg_dominators_find(lg_steal(graph), NULL, roots, ROOTS, &tree);
    return err ? err : write_tree(tree, out);
}

// ---- measuring ----

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct lg_error *measure(const char *family, uint32_t n)
{
    _cleanup_(lg_graph_freep) struct lg_graph *graph = NULL;
    _cleanup_(lg_dominators_freep) struct lg_dominators *tree = NULL;
    uint64_t *marks = lg_pages_alloc(lg_marks_words(n), 8);
    lg_node roots[ROOTS];
    pick_roots(n, roots);
    struct lg_error *err = make(family, n, 1, &graph);
    double begin = seconds(), marked = 0, found = 0;
    uint64_t edges = err ? 0 : graph->edge_count, reached = 0;
    if (!err)
        err = marks ? lg_marks_search(marks, graph, roots, ROOTS, &reached) : &lg_no_memory;
    marked = seconds();
    lg_pages_free(marks, lg_marks_words(n), 8);
    if (!err)
        err = lg_dominators_find(lg_steal(graph), NULL, roots, ROOTS, &tree);
    found = seconds();
    uint64_t *size = err ? NULL : retained(tree);
    if (err || !size)
        return err ? err : &lg_no_memory;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%s: %u nodes, %llu edges, %llu reached: mark %.2f s, dominators %.2f s, retained %.2f s, "
           "in all %.2f s; peak %.1f B a node\n",
           family, n, (unsigned long long)edges, (unsigned long long)reached, marked - begin,
           found - marked, seconds() - found, seconds() - begin,
           (double)usage.ru_maxrss * 1024 / (double)n);
    lg_pages_free(size, tree->count, 8);
    return NULL;
}

static struct lg_error *run(int argc, char **argv)
{
    _cleanup_(lg_graph_freep) struct lg_graph *graph = NULL;
    if (argc == 6 && strcmp(argv[1], "make") == 0) {
        struct lg_error *err =
            make(argv[2], (uint32_t)strtoul(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), &graph);
        return err ? err : write_graph(graph, argv[5]);
    }
    if (argc == 4 && strcmp(argv[1], "find") == 0)
        return find(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "time") == 0)
        return measure(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
    return lg_error_new(LG_ERR_USAGE, "usage: dominate make FAMILY NODES SEED FILE | find FILE OUT | "
                                      "time FAMILY NODES");
}

int main(int argc, char **argv)
{
    struct lg_error *err = run(argc, argv);
    if (err)
        fprintf(stderr, "dominate: %s\n", lg_error_message(err));
    bool failed = err != NULL;
    lg_error_free(err);
    return failed;
}
