#include "export/lite.h"

#include <stdio.h>
#include <string.h>

#include "util/cancel.h"
#include "util/utf8.h"

void lite_fail(struct lite *lite, struct lg_error *err)
{
    if (lite->err)
        lg_error_free(err);
    else
        lite->err = err;
}

static struct lg_error *error_of(const struct lite *lite, int code)
{
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return &lg_no_memory;
    case SQLITE_INTERRUPT:
        return &lg_was_cancelled;
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
        if (sqlite3_system_errno(lite->db))
            return lg_error_os(sqlite3_system_errno(lite->db), "writing '%s'", lite->file->path);
        // fallthrough
    default:
        return lg_error_new(LG_ERR_UNSUPPORTED, "writing '%s': %s", lite->file->path,
                            sqlite3_errmsg(lite->db));
    }
}

static bool check(struct lite *lite, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        lite_fail(lite, error_of(lite, code));
    return !lite->err;
}

static void run(struct lite *lite, const char *sql)
{
    if (!lite->err)
        check(lite, sqlite3_exec(lite->db, sql, NULL, NULL, NULL));
}

void lite_run(struct lite *lite, const char *const *statements)
{
    for (; *statements; statements++)
        run(lite, *statements);
}

static int is_cancelled(void *data)
{
    (void)data;
    return lg_cancelled();
}

// A path that begins with "file:" would be taken for a URI.
static int open_file(struct lite *lite)
{
    _cleanup_free_ char *path = NULL;
    const char *temporary = lite->file->temporary;
    if (asprintf(&path, "%s%s", temporary[0] == '/' ? "" : "./", temporary) < 0) {
        path = NULL;
        return SQLITE_NOMEM;
    }
    return sqlite3_open_v2(path, &lite->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
}

struct lg_error *lite_create(const char *path, struct lite **ret)
{
    enum { STEPS = 100000 }; // Of SQLite's machine between two looks at whether it is cancelled.
    _cleanup_(lite_freep) struct lite *lite = calloc(1, sizeof(*lite));
    struct lg_error *err = lite ? lg_new_file_create(path, &lite->file) : &lg_no_memory;
    if (err)
        return err;
    if (check(lite, open_file(lite)))
        sqlite3_progress_handler(lite->db, STEPS, is_cancelled, NULL);
    // Nobody sees the file before it is whole: nothing is to be rolled back.
    run(lite, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
              "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -32768; "
              "PRAGMA temp_store = FILE; BEGIN");
    err = lg_steal(lite->err);
    if (!err)
        *ret = lg_steal(lite);
    return err;
}

struct lg_error *lite_finish(struct lite *lite, uint64_t *size_ret)
{
    struct lg_error *err;
    run(lite, "COMMIT");
    int code = sqlite3_close(lite->db);
    if (code == SQLITE_OK) // Whatever went wrong before.
        lite->db = NULL;
    check(lite, code);
    err = lg_steal(lite->err);
    if (!err && fseek(lite->file->file, 0, SEEK_END) != 0)
        err = lg_error_new(LG_ERR_OS, "writing '%s'", lite->file->path);
    if (err)
        return err;
    *size_ret = (uint64_t)ftell(lite->file->file);
    return lg_new_file_finish(lite->file);
}

void lite_free(struct lite *lite)
{
    if (!lite)
        return;
    sqlite3_close(lite->db);
    lg_new_file_free(lite->file);
    lg_error_free(lite->err);
    free(lite);
}

// ---- rows ----

void lite_begin(struct lite *lite, struct lite_table *ret, const char *name, int columns)
{
    *ret = (struct lite_table){ .lite = lite, .next = 1 };
    sqlite3_str *sql = sqlite3_str_new(lite->db);
    sqlite3_str_appendf(sql, "INSERT INTO %s VALUES(?", name);
    for (int i = 1; i < columns; i++)
        sqlite3_str_appendall(sql, ",?");
    sqlite3_str_appendall(sql, ")");
    char *text = sqlite3_str_finish(sql);
    if (!lite->err)
        check(lite, text ? sqlite3_prepare_v3(lite->db, text, -1, SQLITE_PREPARE_PERSISTENT,
                                              &ret->insert, NULL)
                         : SQLITE_NOMEM);
    sqlite3_free(text);
}

void lite_number(struct lite_table *table, uint64_t value)
{
    if (!table->lite->err)
        check(table->lite, sqlite3_bind_int64(table->insert, table->next++, (int64_t)value));
}

void lite_null(struct lite_table *table)
{
    table->next++; // Bindings are cleared after each row.
}

static bool is_utf8(const char *text)
{
    for (const uint8_t *p = (const uint8_t *)text; *p;) {
        const uint8_t *before = p;
        if (lg_utf8_next(&p) == 0xfffd && (p - before != 3 || memcmp(before, "\xef\xbf\xbd", 3) != 0))
            return false;
    }
    return true;
}

static const char *as_utf8(struct lite_table *table, const char *text)
{
    if (is_utf8(text))
        return text;
    table->text.len = 0;
    bool ok = true;
    for (const uint8_t *p = (const uint8_t *)text; *p && ok;) {
        char bytes[4];
        size_t len = lg_utf8_put(bytes, lg_utf8_next(&p));
        for (size_t i = 0; i < len && ok; i++)
            ok = lg_vec_push(&table->text, bytes[i]);
    }
    return ok && lg_vec_push(&table->text, 0) ? table->text.at : NULL;
}

void lite_text(struct lite_table *table, const char *text)
{
    if (!text || table->lite->err) {
        table->next++;
        return;
    }
    const char *valid = as_utf8(table, text);
    check(table->lite, valid
                           ? sqlite3_bind_text(table->insert, table->next++, valid, -1, SQLITE_TRANSIENT)
                           : SQLITE_NOMEM);
}

void lite_end_row(struct lite_table *table)
{
    struct lite *lite = table->lite;
    table->next = 1;
    if (lite->err)
        return;
    check(lite, sqlite3_step(table->insert));
    if (!lite->err)
        check(lite, sqlite3_reset(table->insert));
    sqlite3_clear_bindings(table->insert);
    if (++table->rows % (1 << 16) == 0 && lg_cancelled())
        lite_fail(lite, &lg_was_cancelled);
}

void lite_end(struct lite_table *table)
{
    sqlite3_finalize(table->insert); // What is wrong with it was told before.
    lg_vec_free(&table->text);
}
