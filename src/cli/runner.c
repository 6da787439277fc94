#include "cli/runner.h"

#include <errno.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/collection.h"
#include "cli/pager.h"
#include "cli/progress.h"
#include "cli/watch.h"
#include "cli/words.h"
#include "util/cancel.h"

int lg_exit_status(const struct lg_error *err)
{
    if (!err)
        return 0;
    return lg_error_kind(err) == LG_ERR_USAGE ? 2 : 3; // 1 is for findings.
}

// ---- printing ----

struct lg_error *lg_runner_flush(FILE *out)
{
    // `errno` is that of the write that failed: renderers stop there.
    if (fflush(out) == 0 && !ferror(out))
        return NULL;
    if (errno == EINTR && lg_cancelled()) {
        clearerr(out);
        return &lg_was_cancelled;
    }
    if (errno == EPIPE)
        return lg_error_new(LG_ERR_CLOSED, "nobody reads the output any more");
    return lg_error_os(errno, "writing the report");
}

static void render(const struct lg_runner *runner, const struct lg_report *report, bool pretty,
                   FILE *out)
{
    if (runner->json)
        lg_report_write_json(report, pretty, out);
    else if (runner->tsv)
        lg_report_write_tsv(report, out);
    else
        lg_report_write_text(report, out);
}

struct lg_error *lg_runner_redirect(struct lg_runner *runner, const struct lg_args *args)
{
    const char *path = lg_args_text(args, "o");
    FILE *file = path ? fopen(path, "we") : NULL;
    if (path && !file)
        return lg_error_os(errno, "open '%s'", path);
    if (file) {
        runner->out = file;
        runner->terminal = runner->paging = false;
    }
    return NULL;
}

struct lg_error *lg_runner_restore(struct lg_runner *runner, struct lg_error *err)
{
    if (runner->out == stdout)
        return err;
    if (fclose(runner->out) != 0 && !err)
        err = lg_error_os(errno, "writing the report");
    runner->out = stdout;
    return err;
}

static struct lg_error *print_to_file(const struct lg_runner *runner, const struct lg_report *report,
                                      const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return lg_error_os(errno, "open '%s'", path);
    errno = 0;
    render(runner, report, false, file);
    struct lg_error *err = lg_runner_flush(file);
    if (fclose(file) != 0 && !err)
        err = lg_error_os(errno, "writing the report");
    return lg_error_context(err, "'%s'", path);
}

static struct lg_error *print_to_pager(const struct lg_runner *runner, const struct lg_report *report)
{
    struct lg_pager pager;
    struct lg_error *err = lg_pager_open(&pager);
    if (err)
        return err;
    render(runner, report, true, pager.in);
    lg_pager_close(&pager); // Whoever quits it has read enough: no error.
    return NULL;
}

// NULL: to wherever reports go.
static const char *report_path(const struct lg_command *command, const struct lg_args *args)
{
    const char *path = lg_args_text(args, "o");
    return path && command->writes_file && command->writes_file(path) ? NULL : path;
}

static struct lg_error *print_report(const struct lg_runner *runner, const struct lg_report *report,
                                     const char *path)
{
    if (path)
        return print_to_file(runner, report, path);
    if (runner->paging && !runner->json && !runner->tsv && lg_pager_wanted(report))
        return print_to_pager(runner, report);
    errno = 0;
    render(runner, report, runner->terminal, runner->out);
    return lg_runner_flush(runner->out);
}

// ---- notes ----

void lg_runner_deinit(struct lg_runner *runner)
{
    for (size_t i = 0; i < runner->notes_said.len; i++)
        free(runner->notes_said.at[i]);
    lg_vec_free(&runner->notes_said);
}

static bool was_said(const struct lg_runner *runner, const char *note)
{
    for (size_t i = 0; i < runner->notes_said.len; i++) {
        if (strcmp(runner->notes_said.at[i], note) == 0)
            return true;
    }
    return false;
}

static void say(struct lg_runner *runner, const char *note)
{
    if (was_said(runner, note))
        return;
    lg_report_write_note(note, stderr);
    char *copy = runner->prompting ? strdup(note) : NULL;
    if (copy && !lg_vec_push(&runner->notes_said, copy))
        free(copy); // Then it is said again.
}

// The full collection that `--gc` asked for; once. Of what is closed already the report has told.
static void print_collection(struct lg_runner *runner, FILE *out)
{
    const struct lg_gc_asked *collected = lg_session_collected(runner->session);
    bool is_open = lg_session_target(runner->session) != NULL;
    if (runner->json || !is_open || !collected || collected->ended == runner->collection_said)
        return;
    runner->collection_said = collected->ended;
    _cleanup_free_ char *words = lg_collection_words(collected);
    if (words)
        fprintf(out, "note: %s\n", words);
}

// JSON has all of them in it.
static void print_notes(struct lg_runner *runner, const struct lg_report *report)
{
    struct lg_pauses pauses = lg_session_pauses(runner->session);
    print_collection(runner, stderr);
    bool news = pauses.count > 0 && pauses.count != runner->pauses_said;
    runner->pauses_said = pauses.count;
    if (runner->json)
        return;
    if (news && pauses.count == 1)
        fprintf(stderr, "note: target paused %.1f ms\n", pauses.total_ms);
    else if (news)
        fprintf(stderr, "note: target paused %u times, %.1f ms in all, %.1f ms at most\n", pauses.count,
                pauses.total_ms, pauses.longest_ms);
    for (size_t i = 0; report && i < lg_report_note_count(report); i++)
        say(runner, lg_report_note(report, i));
}

void lg_runner_greet(struct lg_runner *runner)
{
    const struct lg_target *target = lg_session_target(runner->session);
    const struct lg_clr_info *info = lg_clr_info(lg_session_clr(runner->session));
    const char *version = info->version ? info->version : "of an unknown version";
    const char *gc = info->server ? "server" : "workstation";
    const char *help = "'help' lists the commands, 'quit' leaves.";
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("greeting");
    if (!report)
        return;
    if (info->is_bare)
        lg_report_line(report, "%s: a .gcdump. %s", target->path, help);
    else if (target->kind == LG_TARGET_PROCESS)
        lg_report_line(report, "Process %d: .NET %s, %s GC. %s", target->pid, version, gc, help);
    else
        lg_report_line(report, "%s: .NET %s, %s GC. %s", target->path ? target->path : "Core", version,
                       gc, help);
    lg_session_describe(runner->session, report);
    lg_report_write_text(report, stdout);
    fflush(stdout);
    print_notes(runner, report);
}

// ---- running ----

static struct lg_error *check_needs(const struct lg_runner *runner, const struct lg_command *command)
{
    if (command->needs == LG_NEEDS_PROMPT && !runner->prompting)
        return lg_error_new(LG_ERR_USAGE, "only of use at the prompt of 'open' or 'attach'");
    if (command->needs == LG_NEEDS_SHELL && runner->prompting)
        return lg_error_new(LG_ERR_USAGE, "only of use in the shell: 'linger %s'", command->name);
    if (command->needs == LG_NEEDS_HEAP && !lg_session_heap(runner->session))
        return lg_error_new(LG_ERR_USAGE, "no target is open; 'open' or 'attach' one");
    if (command->beyond_graph && lg_session_clr(runner->session)
        && lg_clr_info(lg_session_clr(runner->session))->is_bare)
        return lg_error_new(LG_ERR_UNSUPPORTED, "a .gcdump does not hold %s", command->beyond_graph);
    if (command->needs != LG_NEEDS_HEAP || command->without_objects)
        return NULL;
    const char *missing = lg_clr_info(lg_session_clr(runner->session))->heap_missing;
    return missing ? lg_error_new(LG_ERR_UNSUPPORTED, "%s", missing) : NULL;
}

// `eeheap -gc` is not the `--gc` of targets.
static bool has_itself(const struct lg_command *command, const char *name)
{
    const struct lg_option *own = command->options;
    while (own && own->name && strcmp(own->name, name) != 0)
        own++;
    return own && own->name;
}

// At the prompt, and in scripts, there is a target already.
static struct lg_error *check_target_options(const struct lg_command *command,
                                             const struct lg_args *args)
{
    if (command->needs != LG_NEEDS_HEAP)
        return NULL;
    for (const struct lg_option *option = lg_target_options; option->name; option++) {
        if (lg_args_has(args, option->name) && !has_itself(command, option->name))
            return lg_error_new(LG_ERR_USAGE,
                                "option '-%s' belongs to 'open' here, or before the first -c",
                                option->name);
    }
    return NULL;
}

static struct lg_error *run(struct lg_runner *runner, const struct lg_command *command,
                            const struct lg_args *args, struct lg_report **ret)
{
    if (lg_args_has(args, "help"))
        return lg_help_about(command, ret);
    struct lg_error *err = check_needs(runner, command);
    if (!err && runner->prompting)
        err = check_target_options(command, args);
    if (!err && command->check)
        err = command->check(args);
    if (!err)
        err = lg_session_use_dac(runner->session, lg_args_text(args, "dac"));
    struct lg_progress *progress = command->follows ? NULL : lg_progress_begin(runner->session);
    if (!err)
        err = command->run(runner->session, args, ret);
    lg_progress_end(progress);
    if (command->needs == LG_NEEDS_HEAP)
        err = lg_session_judge(runner->session, err,
                               runner->prompting ? "'refresh' takes another copy" : "try again");
    if (!err && *ret)
        lg_session_describe(runner->session, *ret);
    if (!err && *ret && lg_report_failed(*ret))
        err = &lg_no_memory;
    // The last look at the target: it need not wait, or keep its copy, while somebody reads the report.
    if (command->needs == LG_NEEDS_HEAP && !runner->prompting)
        lg_session_end(runner->session);
    return lg_error_context(err, "%s", command->name);
}

// ---- watching ----

struct watched {
    struct lg_runner *runner;
    const struct lg_command *command;
    const struct lg_args *args;
    void *memory;
    bool in_place, refresh;
};

// On a screen the notes are part of it; elsewhere each is said once.
static void print_watched_notes(struct watched *watched, const struct lg_report *report, FILE *out)
{
    if (!watched->in_place) {
        print_notes(watched->runner, report);
        return;
    }
    print_collection(watched->runner, out);
    lg_report_write_notes(report, out);
}

static struct lg_error *run_round(void *data, FILE *out)
{
    struct watched *watched = data;
    struct lg_runner *runner = watched->runner;
    _cleanup_(lg_report_freep) struct lg_report *report = NULL;
    struct lg_error *err = watched->refresh ? lg_session_refresh(runner->session) : NULL;
    watched->refresh = watched->command->needs == LG_NEEDS_HEAP;
    if (!err)
        err = run(runner, watched->command, watched->args, &report);
    if (err || !report)
        return err;
    errno = 0;
    render(runner, report, false, out);
    print_watched_notes(watched, report, out);
    return lg_runner_flush(out);
}

static bool is_over(void *data)
{
    const struct watched *watched = data;
    return watched->command->is_over && watched->command->is_over(watched->memory);
}

static struct lg_error *parse_watch(const struct lg_runner *runner, const struct lg_command *command,
                                    const struct lg_args *args, struct lg_watch *ret)
{
    if (command->watches && lg_args_has(args, "steps") && lg_session_target(runner->session))
        return lg_error_new(LG_ERR_USAGE, "option '-steps': standard input is the prompt's");
    if (command->watches)
        return lg_watch_parse(args, ret);
    unsigned seconds;
    struct lg_error *err = lg_watch_seconds(args, &seconds);
    if (!err)
        ret->every_ms = 1000 * (uint64_t)seconds;
    return err;
}

static struct lg_error *watch(struct lg_runner *runner, const struct lg_command *command,
                              const struct lg_args *args)
{
    struct watched watched = { runner, command, args,
                               .in_place = runner->terminal && !runner->json && !runner->tsv };
    struct lg_watch how = { .out = runner->out,
                            .in_place = watched.in_place,
                            .spaced = !runner->json,
                            .round = run_round,
                            .is_over = is_over,
                            .data = &watched };
    struct lg_error *err = parse_watch(runner, command, args, &how);
    void *memory = watched.memory = err ? NULL : command->remember();
    if (!err && !memory)
        err = &lg_no_memory;
    lg_session_remember(runner->session, memory);
    if (!err)
        err = lg_watch(&how);
    lg_session_remember(runner->session, NULL);
    if (memory)
        command->forget(memory);
    return err;
}

static bool is_watched(const struct lg_command *command, const struct lg_args *args)
{
    bool asked = command->watches || (command->remember && lg_args_has(args, "watch"));
    return asked && !lg_args_has(args, "help");
}

static struct lg_error *watch_into(struct lg_runner *how, const struct lg_command *command,
                                   const struct lg_args *args)
{
    how->prompting = true; // Not the last look at the target, and each note once.
    if (!lg_args_has(args, "o"))
        return lg_error_context(watch(how, command, args), "%s", command->name);
    struct lg_error *err = lg_runner_redirect(how, args);
    return err ? err : lg_runner_restore(how, watch(how, command, args));
}

struct lg_error *lg_runner_command(struct lg_runner *runner, const struct lg_command *command,
                                   struct lg_args *args)
{
    struct lg_runner how = *runner; // This command's own options do not outlast it.
    how.json = lg_args_has(args, "json") || (runner->json && !lg_args_has(args, "tsv"));
    how.tsv = lg_args_has(args, "tsv") || (runner->tsv && !lg_args_has(args, "json"));
    if (command->needs == LG_NEEDS_SHELL) { // Standard output is somebody else's.
        how.out = stderr;
        how.terminal = isatty(STDERR_FILENO);
    }
    how.json |= command->saves_json && lg_args_has(args, "o") && !how.tsv;
    if (lg_args_has(args, "json") && lg_args_has(args, "tsv"))
        return lg_error_new(LG_ERR_USAGE, "options '-json' and '-tsv' exclude each other");

    _cleanup_(lg_report_freep) struct lg_report *report = NULL;
    struct lg_error *err = NULL;
    if (is_watched(command, args)) {
        err = watch_into(&how, command, args);
    } else {
        bool is_text = !how.json && !how.tsv && !lg_args_has(args, "o");
        lg_session_listen(runner->session, command->follows && is_text ? how.out : NULL);
        err = run(&how, command, args, &report);
        lg_session_listen(runner->session, NULL);
        if (!err && report)
            err = print_report(&how, report, report_path(command, args));
        print_notes(&how, err ? NULL : report);
    }
    if (!err && command->needs == LG_OPENS_TARGET && lg_args_has(args, "c")) {
        how.prompting = true;
        err = lg_runner_redirect(&how, args);
        if (!err)
            err = lg_runner_restore(&how, lg_runner_script(&how, args));
    }
    runner->pauses_said = how.pauses_said;
    runner->collection_said = how.collection_said;
    memcpy(&runner->notes_said, &how.notes_said, sizeof(how.notes_said));
    runner->quit = how.quit || command == &lg_cmd_quit;
    return err;
}

// A line that has been split and parsed; `command` NULL: an empty one, or a comment.
struct line {
    struct lg_words words;
    const struct lg_command *command;
    struct lg_args *args;
};

static void line_deinit(struct line *line)
{
    lg_args_free(line->args);
    lg_words_deinit(&line->words);
}

static struct lg_error *parse_line(const char *text, struct line *ret)
{
    *ret = (struct line){ .command = NULL };
    struct lg_error *err = lg_words_split(text, &ret->words);
    size_t count = ret->words.at.len;
    char **words = ret->words.at.at;
    if (err || count == 0 || words[0][0] == '#')
        return err;
    ret->command = lg_command_find(words[0]);
    if (!ret->command)
        return lg_command_unknown(words[0]);
    err = lg_args_parse(ret->command, (int)count - 1, words + 1, &ret->args);
    return lg_error_context(err, "%s", ret->command->name);
}

struct lg_error *lg_runner_line(struct lg_runner *runner, const char *text)
{
    _cleanup_(line_deinit) struct line line;
    struct lg_error *err = parse_line(text, &line);
    return err || !line.command ? err : lg_runner_command(runner, line.command, line.args);
}

struct lg_error *lg_runner_check_script(const struct lg_args *args)
{
    const char *text;
    for (size_t i = 0; (text = lg_args_text_at(args, "c", i)); i++) {
        _cleanup_(line_deinit) struct line line;
        struct lg_error *err = parse_line(text, &line);
        if (!err && line.command && line.command->check)
            err = lg_error_context(line.command->check(line.args), "%s", line.command->name);
        if (err)
            return err;
    }
    return NULL;
}

struct lg_error *lg_runner_script(struct lg_runner *runner, const struct lg_args *args)
{
    const char *text;
    for (size_t i = 0; (text = lg_args_text_at(args, "c", i)); i++) {
        struct lg_error *err = lg_runner_line(runner, text);
        if (err || runner->quit)
            return err;
    }
    return NULL;
}
