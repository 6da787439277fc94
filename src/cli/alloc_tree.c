// `alloc -tree`: who called whom on the way to what is alive, from the top down.
//
//     Program.Main -> Program.Leak      90 %    a chain without a branch is one row
//       Program.Round                   60 %
//         OrderFactory.Create -> new Order
//         (3 smaller)                    2 %    what -min leaves out is summed up
//
// Frames are told apart by method, not by IL offset; the type that was made is the leaf.
#include <string.h>

#include "cli/alloc.h"

struct node {
    uint32_t parent, key;        // `key`: a method by its first frame; above all frames a type
    uint32_t child, next, count; // its children: a list, and how many they are; 0: none
    struct lg_alloc_site sums;
};
struct tree {
    const struct lg_alloc_sites *sites;
    const struct lg_alloc_query *query;
    struct lg_report *report;
    struct lg_table *table;
    bool is_alive, by_made;
    LG_VEC(struct node) nodes; // The first stands for everything.
    struct lg_map children;    // parent << 32 | key -> node
    struct lg_map by_text;     // hash -> key
    uint32_t *method;          // [frames] the first frame of the same method
    LG_VEC(const char *) types;
};

// ---- building ----

static uint64_t hash_of(const char *text, uint64_t hash)
{
    for (; text && *text; text++)
        hash = lg_hash64(hash ^ (uint8_t)*text);
    return hash;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool find_methods(struct tree *tree)
{
    const struct lg_alloc_names *names = &tree->sites->names;
    tree->method = calloc(names->frames.len + 1, sizeof(*tree->method));
    for (uint32_t i = 0; tree->method && i < names->frames.len; i++) {
        const struct lg_alloc_frame *frame = &names->frames.at[i];
        uint64_t hash = hash_of(frame->module, hash_of(frame->method, 0));
        uint32_t *first = &tree->method[i];
        while (lg_map_get(&tree->by_text, hash, first)
               && !(same(names->frames.at[*first].method, frame->method)
                    && same(names->frames.at[*first].module, frame->module)))
            hash++;
        if (lg_map_get(&tree->by_text, hash, first))
            continue;
        *first = i;
        if (!lg_map_put(&tree->by_text, hash, i))
            return false;
    }
    return tree->method != NULL;
}

// Keys of types lie above those of frames.
static bool find_type(struct tree *tree, const char *type, uint32_t *ret)
{
    uint64_t hash = hash_of(type, 1);
    uint32_t base = (uint32_t)tree->sites->names.frames.len;
    for (; lg_map_get(&tree->by_text, hash, ret); hash++) {
        if (*ret >= base && strcmp(tree->types.at[*ret - base], type) == 0)
            return true;
    }
    *ret = base + (uint32_t)tree->types.len;
    return lg_vec_push(&tree->types, type) && lg_map_put(&tree->by_text, hash, *ret);
}

static void add_sums(struct lg_alloc_site *sums, const struct lg_alloc_site *site)
{
    sums->samples += site->samples;
    sums->survivors += site->survivors;
    sums->made_count += site->made_count;
    sums->unsized += site->unsized;
    sums->made_bytes += site->made_bytes;
    sums->count += site->count;
    sums->bytes += site->bytes;
    sums->count_var += site->count_var;
    sums->bytes_var += site->bytes_var;
}

// Goes down a step; `*at` is the node there.
static bool go_down(struct tree *tree, uint32_t key, uint32_t *at)
{
    uint32_t parent = *at;
    if (lg_map_get(&tree->children, (uint64_t)parent << 32 | key, at))
        return true;
    *at = (uint32_t)tree->nodes.len;
    struct node node = { .parent = parent, .key = key, .next = tree->nodes.at[parent].child };
    tree->nodes.at[parent].child = *at;
    tree->nodes.at[parent].count++;
    return lg_vec_push(&tree->nodes, node)
           && lg_map_put(&tree->children, (uint64_t)parent << 32 | key, *at);
}

static bool add_stack(struct tree *tree, const struct lg_alloc_site *site)
{
    uint32_t at = 0, type;
    if (!find_type(tree, site->type ? site->type : "?", &type))
        return false;
    add_sums(&tree->nodes.at[0].sums, site);
    for (uint32_t i = site->stack_count; i-- > 0;) {
        if (!go_down(tree, tree->method[tree->sites->stacks.at[site->stack + i]], &at))
            return false;
        add_sums(&tree->nodes.at[at].sums, site);
    }
    if (!go_down(tree, type, &at))
        return false;
    add_sums(&tree->nodes.at[at].sums, site);
    return true;
}

static bool build(struct tree *tree)
{
    struct node root = { .key = UINT32_MAX };
    bool ok = find_methods(tree) && lg_vec_push(&tree->nodes, root);
    for (size_t i = 0; i < tree->sites->all.len && ok; i++)
        ok = add_stack(tree, &tree->sites->all.at[i]);
    return ok;
}

// ---- rows ----

static double weight(const struct tree *tree, const struct lg_alloc_site *sums)
{
    return tree->by_made ? sums->made_bytes : sums->bytes;
}

static const char *type_of(const struct tree *tree, uint32_t node)
{
    uint32_t key = tree->nodes.at[node].key, base = (uint32_t)tree->sites->names.frames.len;
    return key != UINT32_MAX && key >= base ? tree->types.at[key - base] : NULL;
}

static const struct lg_alloc_frame *frame_of(const struct tree *tree, uint32_t node)
{
    uint32_t key = tree->nodes.at[node].key;
    return key < tree->sites->names.frames.len ? &tree->sites->names.frames.at[key] : NULL;
}

static const struct lg_column step_columns[] = {
    { "method", "Method", LG_CELL_TEXT, -1 },
    { "module", "Module", LG_CELL_TEXT, -1 },
};
static const struct lg_table_spec step_spec = LG_TABLE_SPEC("frames", step_columns, 0);

static const struct lg_column columns[] = {
    { "depth", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "bytes", "Bytes", LG_CELL_BYTES, 0, LG_COL_COMMAS | LG_COL_IF_KNOWN },
    { "bytes_low", "", LG_CELL_BYTES, 0, LG_COL_JSON_ONLY },
    { "bytes_high", "", LG_CELL_BYTES, 0, LG_COL_JSON_ONLY },
    { "count", "Count", LG_CELL_COUNT, 0, LG_COL_COMMAS | LG_COL_IF_KNOWN },
    { "count_low", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "count_high", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "survivors", "Alive", LG_CELL_COUNT, 0, LG_COL_COMMAS | LG_COL_IF_KNOWN },
    { "samples", "Samples", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "made_count", "Made", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "made_bytes", "Made Bytes", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "smaller", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "type", "", LG_CELL_TEXT, -1, LG_COL_JSON_ONLY },
    { "frames", "", LG_CELL_TABLE, 0, LG_COL_JSON_ONLY },
    { "calls", "", LG_CELL_TEXT, -1, LG_COL_JSON_ONLY },
    { "share", "Share", LG_CELL_TEXT, 0, LG_COL_RIGHT | LG_COL_TEXT_ONLY },
    { "text", "Calls", LG_CELL_TEXT, -1, LG_COL_TEXT_ONLY },
};
static const struct lg_table_spec tree_spec =
    LG_TABLE_SPEC("tree", columns, LG_TABLE_MAIN | LG_TABLE_WIDE);

// A row: a chain of nodes from `first` down to `last`, or the children that are too small.
struct row {
    uint32_t first, last, depth, smaller;
    struct lg_alloc_site sums;
};

static const char *name_of(const struct tree *tree, uint32_t node)
{
    const struct lg_alloc_frame *frame = frame_of(tree, node);
    if (frame)
        return frame->method ? frame->method : "(unknown code)";
    return type_of(tree, node);
}

static void add_name(const struct tree *tree, uint32_t node, FILE *out)
{
    fprintf(out, "%s%s", type_of(tree, node) ? "new " : "", name_of(tree, node));
}

// Of a long chain, if it is to be short, its first and its last two.
static void add_chain(const struct tree *tree, const uint32_t *chain, uint32_t length, bool is_short,
                      FILE *out)
{
    enum { SHOWN = 4 };
    for (uint32_t i = 0; i < length; i++) {
        bool hides = is_short && length > SHOWN && i == 1;
        fputs(i ? " -> " : "", out);
        if (hides)
            fprintf(out, "(%u more)", length - 3);
        else
            add_name(tree, chain[i], out);
        i = hides ? length - 3 : i;
    }
}

static void add_calls(const struct tree *tree, const struct row *row, const uint32_t *chain,
                      uint32_t length, bool is_short)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        fprintf(out, "%*s", is_short ? (int)(2 * row->depth) : 0, "");
        if (row->smaller)
            fprintf(out, "(%u smaller)", row->smaller);
        else if (row->last == 0)
            fputs("(all)", out);
        else
            add_chain(tree, chain, length, is_short, out);
        fclose(out);
    }
    lg_cell_text(tree->table, text ? text : "");
    free(text);
}

static void add_share(const struct tree *tree, const struct row *row)
{
    char share[16];
    double all = weight(tree, &tree->nodes.at[0].sums);
    snprintf(share, sizeof(share), "%.1f%%", all > 0 ? 100 * weight(tree, &row->sums) / all : 0);
    lg_cell_text(tree->table, share);
}

static void add_steps(const struct tree *tree, const uint32_t *chain, uint32_t length)
{
    struct lg_table *steps = lg_cell_table(tree->table, &step_spec);
    for (uint32_t i = 0; i < length; i++) {
        const struct lg_alloc_frame *frame = frame_of(tree, chain[i]);
        if (!frame)
            continue;
        lg_cell_text(steps, frame->method);
        lg_cell_text(steps, frame->module);
    }
}

static bool add_row(const struct tree *tree, const struct row *row)
{
    struct lg_table *table = tree->table;
    uint32_t length = 0;
    for (uint32_t at = row->last; at != 0; at = at == row->first ? 0 : tree->nodes.at[at].parent)
        length++;
    _cleanup_free_ uint32_t *chain = calloc(length + 1u, sizeof(*chain));
    if (!chain)
        return false;
    uint32_t node = row->last;
    for (uint32_t i = length; i-- > 0; node = tree->nodes.at[node].parent)
        chain[i] = node;
    lg_cell_number(table, row->depth);
    lg_alloc_cell_living(table, &row->sums, tree->is_alive);
    lg_alloc_cell_made(table, &row->sums);
    if (row->smaller)
        lg_cell_number(table, row->smaller);
    else
        lg_cell_null(table);
    lg_cell_text(table, row->smaller ? NULL : type_of(tree, row->last));
    add_steps(tree, chain, row->smaller ? 0 : length);
    add_calls(tree, row, chain, length, false);
    add_share(tree, row);
    add_calls(tree, row, chain, length, true);
    return true;
}

// ---- order ----

struct rows {
    LG_VEC(struct row) all; // a stack: the next one last
};

static struct row row_of(const struct tree *tree, uint32_t node, uint32_t depth)
{
    struct row row = { .first = node, .last = node, .depth = depth, .sums = tree->nodes.at[node].sums };
    while (node != 0 && tree->nodes.at[row.last].count == 1)
        row.last = tree->nodes.at[row.last].child;
    return row;
}

// What is below a row, the heaviest on top.
static bool push_children(const struct tree *tree, const struct row *row, struct rows *rows)
{
    struct lg_top top = { 0 };
    struct row smaller = { .depth = row->depth + 1 };
    double least = (double)tree->query->min * weight(tree, &tree->nodes.at[0].sums) / 100;
    bool ok = true;
    for (uint32_t at = tree->nodes.at[row->last].child; at && ok; at = tree->nodes.at[at].next) {
        const struct lg_alloc_site *sums = &tree->nodes.at[at].sums;
        if (weight(tree, sums) >= least) {
            ok = lg_top_offer(&top, (uint64_t)(weight(tree, sums) + 0.5), at);
        } else {
            add_sums(&smaller.sums, sums);
            smaller.smaller++;
        }
    }
    ok = ok && (!smaller.smaller || lg_vec_push(&rows->all, smaller));
    lg_top_sort(&top);
    for (size_t i = top.kept.len; i-- > 0 && ok;)
        ok = lg_vec_push(&rows->all, row_of(tree, top.kept.at[i].value, row->depth + 1));
    lg_top_deinit(&top);
    return ok;
}

static bool add_rows(const struct tree *tree)
{
    struct rows rows = { 0 };
    bool ok = lg_vec_push(&rows.all, row_of(tree, 0, 0));
    while (rows.all.len && ok) {
        struct row row = rows.all.at[--rows.all.len];
        ok = add_row(tree, &row);
        if (ok && !row.smaller && (tree->query->depth == 0 || row.depth < tree->query->depth))
            ok = push_children(tree, &row, &rows);
    }
    lg_vec_free(&rows.all);
    return ok;
}

struct lg_error *lg_alloc_tree(const struct lg_alloc_query *query, const struct lg_alloc_sites *sites,
                               bool is_alive, struct lg_report *report)
{
    struct tree tree = { .sites = sites,
                         .query = query,
                         .report = report,
                         .is_alive = is_alive,
                         .by_made = query->all || !is_alive };
    tree.table = lg_report_table(report, &tree_spec);
    bool ok = build(&tree) && add_rows(&tree);
    lg_vec_free(&tree.nodes);
    lg_map_free(&tree.children);
    lg_map_free(&tree.by_text);
    lg_vec_free(&tree.types);
    free(tree.method);
    return ok ? NULL : &lg_no_memory;
}
