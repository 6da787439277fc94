// Parts of a picture, added up into rows.
#ifndef LG_PICTURE_ROWS_H
#define LG_PICTURE_ROWS_H

#include "picture/picture.h"

enum lg_by { LG_BY_NAME, LG_BY_MODULE, LG_BY_FILE, LG_BY_KIND, LG_BY_THREAD };

struct lg_row {
    enum lg_category category; // Of LG_BY_NAME; else of the first part.
    const char *name;          // Borrowed of the picture.
    const char *kind;          // Of the first part.
    uint64_t start, end;       // If it is one part; else 0.
    size_t count;              // Parts.
    struct lg_amounts sum;
};
struct lg_rows {
    LG_VEC(struct lg_row) all;
};

// Rows with anything resident or swapped out, largest first; by name within their category, and
// anonymous regions of unknown owner of 1 MiB or more are each a row. Sums are those of the picture.
LG_MUST_CHECK struct lg_error *lg_rows_make(struct lg_picture *picture, enum lg_by by,
                                            struct lg_rows *ret);
void lg_rows_deinit(struct lg_rows *rows);

// Of each category; LG_PAGE_TABLES and LG_OTHER_SYSTEM are own pages of the kernel's, unknown as -1
// there.
void lg_category_sums(const struct lg_picture *picture, struct lg_amounts sums[LG_CATEGORIES]);

#endif
