// A new SQLite database, filled row by row.
//
//     err = lite_create("x.sqlite", &lite);
//     lite_run(lite, tables);               "CREATE TABLE type(id INTEGER PRIMARY KEY, name TEXT)"
//     lite_begin(lite, &table, "type", 2);
//     lite_number(&table, 1), lite_text(&table, "Order"), lite_end_row(&table);
//     lite_end(&table);
//     err = lite_finish(lite, &size);
//
// Everything is one transaction in a file under a temporary name; the first error is kept, and what
// follows it does nothing. It takes a cache of fixed size beside the rows at hand.
#ifndef LG_EXPORT_LITE_H
#define LG_EXPORT_LITE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/new_file.h"
#include "util/vec.h"

struct lite {
    sqlite3 *db;
    struct lg_new_file *file;
    struct lg_error *err; // The first.
};
LG_MUST_CHECK struct lg_error *lite_create(const char *path, struct lite **ret);
void lite_run(struct lite *lite, const char *const *statements); // NULL ends them.
void lite_fail(struct lite *lite, struct lg_error *err);         // NULL is allowed
// Gives the file its name. The database is not to be written any more, whatever comes of it.
LG_MUST_CHECK struct lg_error *lite_finish(struct lite *lite, uint64_t *size_ret);
void lite_free(struct lite *lite); // NULL is allowed; removes what is unfinished
LG_DEFINE_FREEP(lite)

struct lite_table {
    struct lite *lite;
    sqlite3_stmt *insert;
    int next; // column
    uint64_t rows;
    LG_VEC(char) text; // What is no UTF-8, made so.
};
void lite_begin(struct lite *lite, struct lite_table *ret, const char *name, int columns);
void lite_number(struct lite_table *table, uint64_t value);
void lite_text(struct lite_table *table, const char *text); // NULL is allowed; copied
void lite_null(struct lite_table *table);
// Values that are missing at the end of a row are NULL.
void lite_end_row(struct lite_table *table);
void lite_end(struct lite_table *table);

// 0 is not known: NULL.
static inline void lite_known(struct lite_table *table, uint64_t value)
{
    if (value)
        lite_number(table, value);
    else
        lite_null(table);
}

#endif
