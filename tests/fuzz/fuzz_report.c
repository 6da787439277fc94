// Names of a target may be any bytes. Whatever they are, text, JSON and TSV are UTF-8, hold nothing that
// a terminal would obey, and keep their rows and columns.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "cli/words.h"
#include "report/report.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct lg_column columns[] = {
    { "name", "Name", LG_CELL_TEXT },
    { "tail", "Tail", LG_CELL_TEXT, 8, LG_COL_TAIL | LG_COL_RIGHT },
    { "n", "N", LG_CELL_COUNT },
};
static const struct lg_table_spec spec = LG_TABLE_SPEC("names", columns, 0);

struct output {
    size_t lines, tabs;
};

static struct output check(const char *text, size_t len)
{
    struct output output = { 0 };
    const utf8proc_uint8_t *s = (const utf8proc_uint8_t *)text, *end = s + len;
    while (s < end) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(s, end - s, &c);
        if (n <= 0)
            abort(); // No UTF-8.
        s += n;
        output.lines += c == '\n';
        output.tabs += c == '\t';
        if (c != '\n' && c != '\t' && utf8proc_category(c) == UTF8PROC_CATEGORY_CC)
            abort();
    }
    return output;
}

static struct output render(const struct lg_report *report, int format)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (format == 0)
        lg_report_write_text(report, out);
    else if (format == 1)
        lg_report_write_json(report, false, out);
    else
        lg_report_write_tsv(report, out);
    fclose(out);
    return check(text, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *name = calloc(size + 1, 1);
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("fuzz");
    if (!name || !report)
        return 0;
    memcpy(name, data, size);
    struct lg_table *table = lg_report_table(report, &spec);
    for (int i = 0; i < 2; i++) {
        lg_cell_text(table, name);
        lg_cell_name(table, name);
        lg_cell_number(table, size);
    }
    lg_report_line(report, "%s", name);
    if (lg_report_failed(report))
        return 0;
    struct output text = render(report, 0), json = render(report, 1), tsv = render(report, 2);
    if (text.lines != 4 || text.tabs || json.lines != 1 || json.tabs || tsv.lines != 3 || tsv.tabs != 6)
        abort();

    _cleanup_(lg_words_deinit) struct lg_words words; // A line at the prompt, too.
    lg_error_free(lg_words_split(name, &words));
    return 0;
}
