// What differs between several pictures of a program, told by names.
//
// A row is something that is counted in each picture: the objects of a type, or of what a holder holds.
// Rows of holders are a tree. Rows are found by their names, never by an address; where a picture does
// not have one, it is 0 there.
//
//                                  picture 0    1      2
//     App.Order, Shop.dll               100    150    200
//     App.Ticket, Shop.dll                0      7      7
//
// Only what changes from picture to picture takes memory.
#ifndef LG_ANALYSIS_COMPARISON_H
#define LG_ANALYSIS_COMPARISON_H

#include <stdbool.h>
#include <stdint.h>

#include "util/arena.h"
#include "util/error.h"
#include "util/map.h"
#include "util/vec.h"

#define LG_NO_ROW UINT32_MAX

struct lg_amount {
    uint64_t count, size, retained;
};

struct lg_row_point {
    uint32_t picture; // From this one on,
    struct lg_amount amount;
};

struct lg_row {
    const char *type, *assembly; // "": unknown
    const char *held;            // What leads to it; "" for rows of types.
    uint32_t before;             // The row of what holds it, lower than its own; LG_NO_ROW: a root does.
    uint32_t seen;               // In this picture at last.
    LG_VEC(struct lg_row_point) points;
};

struct lg_comparison {
    LG_VEC(struct lg_row) rows;
    uint32_t pictures;    // The last is the one that is being filled.
    struct lg_map by_key; // hash of the names -> row; equal hashes: the next one
    struct lg_arena arena;
};

// A further picture, in which nothing is counted yet.
static inline void lg_comparison_begin(struct lg_comparison *comparison)
{
    comparison->pictures++;
}
// Counts more in the row of that name. An assembly that is unknown is any. False when out of memory.
bool lg_comparison_add(struct lg_comparison *comparison, const struct lg_row *names,
                       struct lg_amount amount, uint32_t *row_ret);
// The picture is complete.
bool lg_comparison_end(struct lg_comparison *comparison);
void lg_comparison_deinit(struct lg_comparison *comparison);

struct lg_amount lg_row_at(const struct lg_row *row, uint32_t picture);
struct lg_amount lg_comparison_total(const struct lg_comparison *comparison, uint32_t picture);

// Of a tree of rows: which of the rows that changed between the first and the last picture is to be told
// of. `top` is [rows]; its value the row whose change a row's own belongs to, itself if it is one to be
// told, LG_NO_ROW if nothing changed. What hangs below a row that grew has grown with it, and is part of
// it, unless it grew out of proportion (or the other way).
void lg_comparison_tops(const struct lg_comparison *comparison, uint32_t *top);

#endif
