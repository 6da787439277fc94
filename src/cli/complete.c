#include "cli/complete.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/words.h"

enum {
    COMPLETIONS_MAX = 200,
    WALK_MAX = 1 << 30, // Bytes of heap that are walked while somebody waits for Tab.
};

// The line as far as the cursor: the words before, and the one that is being typed.
struct place {
    size_t start;
    const char *word; // Without its opening quote.
    struct lg_words before;
};

static void add(struct lg_completions *c, char *candidate)
{
    if (!candidate)
        return;
    c->more = c->more || c->at.len >= COMPLETIONS_MAX;
    if (c->more || !lg_vec_push(&c->at, candidate))
        free(candidate);
}

static bool begins_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static void add_name(struct lg_completions *c, const char *name, const char *word)
{
    if (name && begins_with(name, word))
        add(c, strdup(name));
}

static void add_commands(struct lg_completions *c, const char *word)
{
    for (size_t i = 0; lg_commands[i]; i++) {
        add_name(c, lg_commands[i]->name, word);
        if (*word)
            add_name(c, lg_commands[i]->alias, word);
    }
}

static void add_options(struct lg_completions *c, const struct lg_option *options, const char *word)
{
    const char *dashes = begins_with(word, "--") ? "--" : "-";
    for (; options && options->name; options++) {
        char *name;
        if (!options->help || !begins_with(options->name, word + strlen(dashes)))
            continue;
        if (asprintf(&name, "%s%s", dashes, options->name) >= 0)
            add(c, name);
    }
}

// ---- type names ----

// Only a walk makes all types known.
static void know_types(struct lg_session *session)
{
    size_t count;
    const struct lg_segment *segments = lg_clr_segments(lg_session_clr(session), &count);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += segments[i].end - segments[i].start;
    const struct lg_type_stats *stats;
    const struct lg_walk_result *walk;
    if (bytes <= WALK_MAX)
        lg_error_free(lg_session_stats(session, &stats, &walk));
}

static char *quote_name(const char *name)
{
    char *quoted;
    if (!strpbrk(name, " \t'\"\\"))
        return strdup(name);
    const char *q = strchr(name, '\'') ? "\"" : "'";
    return asprintf(&quoted, "%s%s%s", q, name, q) < 0 ? NULL : quoted;
}

static char *format_mt(uint64_t mt)
{
    char *s;
    return asprintf(&s, "%012" PRIx64, mt) < 0 ? NULL : s;
}

// After -mt the one type that a name leads to becomes its method table.
static void add_types(struct lg_session *session, struct lg_completions *c, const char *word, bool as_mt)
{
    if (!lg_session_clr(session))
        return;
    know_types(session);
    struct lg_clr *clr = lg_session_clr(session);
    uint64_t mt = 0;
    size_t matches = 0;
    for (uint32_t id = 0; clr && id < lg_clr_type_count(clr); id++) {
        const struct lg_type *type = lg_clr_type_at(clr, id);
        const char *name = lg_clr_type_name(clr, type);
        if (!begins_with(name, word))
            continue;
        mt = type->mt;
        matches++;
        add(c, quote_name(name));
    }
    if (as_mt && matches == 1 && c->at.len == 1) {
        free(c->at.at[0]);
        c->at.len = 0;
        add(c, format_mt(mt));
    }
}

// ---- the line ----

// Where the last word begins: behind the last blank that no quote holds.
static size_t word_start(const char *line)
{
    size_t start = 0;
    char quote = 0;
    for (size_t i = 0; line[i]; i++) {
        char ch = line[i];
        if (quote ? ch == quote : ch == '\'' || ch == '"')
            quote = quote ? 0 : ch;
        else if (!quote && (ch == ' ' || ch == '\t'))
            start = i + 1;
    }
    return start;
}

static void complete_at(struct lg_session *session, const struct place *place, struct lg_completions *c)
{
    size_t count = place->before.at.len;
    const struct lg_command *command = count > 0 ? lg_command_find(place->before.at.at[0]) : NULL;
    const char *last = count > 0 ? place->before.at.at[count - 1] : "";
    bool is_option = place->word[0] == '-';
    if (count == 0 || (count == 1 && strcmp(last, "help") == 0 && !is_option)) {
        add_commands(c, place->word);
        return;
    }
    const struct lg_option *option = command ? lg_option_find(command, last) : NULL;
    if (option && option->kind != LG_OPT_FLAG && !strchr(last, '=')) {
        bool as_mt = strcmp(option->name, "mt") == 0;
        if (as_mt || strcmp(option->name, "type") == 0)
            add_types(session, c, place->word, as_mt);
    } else if (command && is_option) {
        add_options(c, command->options, place->word);
        if (command->needs == LG_OPENS_TARGET)
            add_options(c, lg_target_options, place->word);
        add_options(c, lg_common_options, place->word);
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct lg_completions *c)
{
    size_t kept = 0;
    if (c->at.len > 1)
        qsort(c->at.at, c->at.len, sizeof(*c->at.at), compare);
    for (size_t i = 0; i < c->at.len; i++) {
        if (kept > 0 && strcmp(c->at.at[kept - 1], c->at.at[i]) == 0)
            free(c->at.at[i]);
        else
            c->at.at[kept++] = c->at.at[i];
    }
    c->at.len = kept;
}

void lg_complete(struct lg_session *session, const char *line, size_t cursor, struct lg_completions *ret)
{
    *ret = (struct lg_completions){ 0 };
    _cleanup_free_ char *head = strndup(line, cursor);
    if (!head)
        return;
    ret->start = word_start(head);
    const char *word = head + ret->start;
    struct place place = { ret->start, word + (*word == '\'' || *word == '"'), { .text = NULL } };
    _cleanup_free_ char *before = strndup(head, ret->start);
    struct lg_error *err = before ? lg_words_split(before, &place.before) : &lg_no_memory;
    if (!err)
        complete_at(session, &place, ret);
    lg_error_free(err);
    lg_words_deinit(&place.before);
    sort(ret);
}

size_t lg_completions_prefix(const struct lg_completions *completions)
{
    if (completions->at.len == 0)
        return 0;
    const char *first = completions->at.at[0], *last = completions->at.at[completions->at.len - 1];
    size_t len = 0; // Sorted: what the outermost two share, all share.
    while (first[len] && first[len] == last[len])
        len++;
    return len;
}

void lg_completions_deinit(struct lg_completions *completions)
{
    for (size_t i = 0; i < completions->at.len; i++)
        free(completions->at.at[i]);
    lg_vec_free(&completions->at);
}
