// The main table of a report as tab-separated values, for cut, awk, sort and spreadsheets.
//
// One header line of keys, one line per row. In text `\t`, `\n`, `\r` and `\\` stand for the characters
// that would break a row or be taken for an escape, `\u001b` for others that a terminal would obey. What
// is unknown is an empty field. A report without a table prints its facts, a key and a value per line.
#include <stdio.h>

#include "report/report_priv.h"

static void write_escaped(struct lg_out *out, const char **s)
{
    char buf[16];
    int32_t c = lg_next_char(s);
    const char *letter = c == '\t'   ? "\\t"
                         : c == '\n' ? "\\n"
                         : c == '\r' ? "\\r"
                         : c == '\\' ? "\\\\"
                                     : NULL;
    if (letter)
        lg_out_bytes(out, letter, 2);
    else if (lg_is_unsafe(c))
        lg_out_bytes(out, buf, (size_t)snprintf(buf, sizeof(buf), "\\u%04x", (unsigned)c));
    else
        lg_out_bytes(out, buf, lg_encode_char(buf, c));
}

static void write_text(struct lg_out *out, const char *s)
{
    while (*s) {
        size_t plain = lg_plain_prefix(s, LG_PLAIN_TSV);
        lg_out_bytes(out, s, plain);
        s += plain;
        if (*s)
            write_escaped(out, &s);
    }
}

static void write_value(struct lg_out *out, enum lg_cell_kind kind, uint64_t cell)
{
    char buf[LG_NUMBER_MAX];
    if (cell == LG_CELL_UNKNOWN)
        return;
    switch (kind) {
    case LG_CELL_TEXT:
        write_text(out, lg_cell_string(cell));
        break;
    case LG_CELL_COUNT:
    case LG_CELL_BYTES:
        lg_out_bytes(out, buf, lg_format_decimal(buf, cell));
        break;
    case LG_CELL_ADDRESS:
        lg_out_bytes(out, "0x", 2);
        lg_out_bytes(out, buf, lg_format_hex(buf, cell, 1, false));
        break;
    case LG_CELL_REAL:
        lg_out_bytes(out, buf, lg_format_real(buf, lg_cell_double(cell)));
        break;
    case LG_CELL_BOOL:
        lg_out_string(out, cell ? "true" : "false");
        break;
    case LG_CELL_TABLE:
        break; // Passed over by the caller.
    }
}

static bool is_shown(const struct lg_column *column)
{
    return column->kind != LG_CELL_TABLE && !(column->flags & LG_COL_TEXT_ONLY);
}

static void write_header(struct lg_out *out, const struct lg_table_spec *spec)
{
    const char *tab = "";
    for (size_t c = 0; c < spec->column_count; c++) {
        if (!is_shown(&spec->columns[c]))
            continue;
        lg_out_string(out, tab);
        lg_out_string(out, spec->columns[c].key);
        tab = "\t";
    }
    lg_out_newline(out);
}

static void write_row(struct lg_out *out, const struct lg_table_spec *spec, const uint64_t *cells)
{
    size_t tab = 0;
    for (size_t c = 0; c < spec->column_count; c++) {
        if (!is_shown(&spec->columns[c]))
            continue;
        lg_out_bytes(out, "\t", tab);
        write_value(out, spec->columns[c].kind, cells[c]);
        tab = 1;
    }
    lg_out_newline(out);
}

static void write_facts(struct lg_out *out, const struct lg_report *report)
{
    lg_out_string(out, "key\tvalue");
    lg_out_newline(out);
    for (size_t i = 0; i < report->items.len; i++) {
        const struct lg_item *item = &report->items.at[i];
        if (item->kind != LG_ITEM_FACT)
            continue;
        lg_out_string(out, item->key);
        lg_out_bytes(out, "\t", 1);
        write_value(out, item->value_kind, item->value);
        lg_out_newline(out);
    }
}

void lg_report_write_tsv(const struct lg_report *report, FILE *file)
{
    struct lg_out out;
    lg_out_init(&out, file);
    const struct lg_table *table = lg_report_main_table(report);
    if (table) {
        write_header(&out, table->spec);
        size_t rows = lg_table_rows(table), count = table->spec->column_count;
        for (size_t i = 0; i < rows && !out.failed; i++)
            write_row(&out, table->spec, table->cells.at + i * count);
    } else {
        write_facts(&out, report);
    }
    lg_out_flush(&out);
}
