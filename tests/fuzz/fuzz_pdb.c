// Any bytes, as a portable PDB or as an image with one in it, are refused, or every line that an offset
// is found at is one that its method's points tell.
#include "input.h"

#include <stdlib.h>
#include <string.h>

#include "linger/error.h"
#include "pdb/pdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The last line before the first point behind `il`.
struct wanted {
    uint32_t il, middle;
    unsigned n;
    bool is_over, found;
    struct lg_pdb_point last;
};

static void see(void *data, const struct lg_pdb_point *point)
{
    struct wanted *w = data;
    if (++w->n % 2)
        w->middle = point->il;
    w->is_over |= point->il > w->il;
    if (w->is_over || point->line == LG_PDB_HIDDEN)
        return;
    w->found = true;
    w->last = *point;
}

static void check_method(const struct lg_pdb *pdb, uint32_t rid)
{
    struct wanted w = { .il = 7 };
    struct lg_pdb_point found;
    char file[256];
    lg_pdb_points(pdb, rid, see, &w);
    w = (struct wanted){ .il = w.middle };
    bool is_whole = lg_pdb_points(pdb, rid, see, &w), is_found = lg_pdb_find(pdb, rid, w.il, &found);
    if (is_whole && is_found != w.found)
        abort();
    if (is_found && memcmp(&found, &w.last, sizeof(found)) != 0)
        abort();
    const char *name = lg_pdb_file(pdb, rid, file, sizeof(file));
    if (name && (strlen(name) == 0 || strlen(name) >= sizeof(file)))
        abort();
}

static void check(struct lg_error *err, struct lg_pdb **pdb)
{
    for (uint32_t rid = 0; !err && rid < 300; rid++)
        check_method(*pdb, rid);
    if (!err)
        lg_pdb_free(*pdb);
    lg_error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { data, size };
    const struct lg_pe_source source = { read_input, &input };
    struct lg_pdb *pdb = NULL;
    uint8_t *copy = malloc(size + 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    check(lg_pdb_new(copy, size, &pdb), &pdb);
    for (int mapped = 0; mapped < 2; mapped++) {
        struct lg_pe_debug debug;
        if (!lg_pe_debug(&source, mapped, &debug))
            continue;
        if (strlen(debug.path) >= sizeof(debug.path))
            abort();
        check(lg_pdb_embedded(&source, &debug, &pdb), &pdb);
    }
    return 0;
}
