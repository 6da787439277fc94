#include "cli/repl.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/complete.h"
#include "util/cancel.h"

static void print_error(struct lg_error *err)
{
    fflush(stdout);
    if (lg_error_kind(err) == LG_ERR_CANCELLED)
        fputs("cancelled\n", stderr);
    else if (lg_error_kind(err) != LG_ERR_CLOSED)
        fprintf(stderr, "error: %s\n", lg_error_message(err));
    lg_error_free(err);
}

// ---- input that is no terminal ----

static struct lg_error *read_all(struct lg_runner *runner, int *status_ret)
{
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    while (!runner->quit && getline(&line, &cap, stdin) >= 0) {
        struct lg_error *err = lg_runner_line(runner, line);
        if (!err)
            continue;
        if (*status_ret == 0)
            *status_ret = lg_exit_status(err);
        if (lg_error_kind(err) == LG_ERR_CLOSED)
            return err;
        print_error(err);
    }
    return NULL;
}

// ---- a terminal ----

struct prompt {
    struct lg_runner *runner;
    EditLine *el;
    History *history;
    char *history_path; // NULL: there is nowhere to keep it.
    int input;          // The terminal, opened once more so as not to wait in a read, or standard input.
};

static void on_interrupt(int number)
{
    lg_cancel_flag = number;
}

static void let_interrupt(bool let)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    pthread_sigmask(let ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

// Another description of the same terminal: O_NONBLOCK on standard input would be the shell's, too.
static int open_input(void)
{
    int fd = open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    return fd >= 0 ? fd : STDIN_FILENO;
}

// While a command runs SIGINT may come any time (without SA_RESTART, to end a write that waits); while a
// line is typed only here, so that none comes between looking and waiting. The terminal drops what was
// typed before Ctrl-C, also what ppoll() has just seen: a read that waits for it would not hear of
// SIGINT.
static int read_byte(int fd, char *ret)
{
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    sigdelset(&mask, SIGINT);
    for (;;) {
        struct pollfd input = { fd, POLLIN, 0 };
        if (ppoll(&input, 1, NULL, &mask) < 0)
            return -1;
        int n = (int)read(fd, ret, 1);
        if (n >= 0 || errno != EAGAIN)
            return n;
    }
}

// For libedit: the next character, 0 at the end, or -1.
static int read_char(EditLine *el, wchar_t *ret)
{
    struct prompt *prompt;
    el_get(el, EL_CLIENTDATA, &prompt);
    mbstate_t state = { 0 };
    for (;;) {
        char byte;
        int n = read_byte(prompt->input, &byte);
        if (n <= 0)
            return n;
        size_t len = mbrtowc(ret, &byte, 1, &state);
        if (len == (size_t)-1) {
            memset(&state, 0, sizeof(state)); // No character of this locale: passed over.
        } else if (len != (size_t)-2) {
            return 1;
        }
    }
}

static const char *prompt_text(EditLine *el)
{
    return "linger> ";
}

static void make_directory(char *path, char *slash)
{
    *slash = 0;
    mkdir(path, 0700); // It may be there already; if it is not, saving fails, and that is no harm.
    *slash = '/';
}

// $XDG_STATE_HOME/linger/history or ~/.local/state/linger/history. A home that is not there stays so.
static char *history_path(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *path;
    bool xdg = state && *state == '/';
    const char *root = xdg ? state : home;
    if (!root || access(root, W_OK) != 0)
        return NULL;
    if (asprintf(&path, "%s%s/linger/history", root, xdg ? "" : "/.local/state") < 0)
        return NULL;
    for (char *slash = path + strlen(root); (slash = strchr(slash + 1, '/'));)
        make_directory(path, slash);
    return path;
}

static void list_completions(const struct lg_completions *completions)
{
    putchar('\n');
    for (size_t i = 0; i < completions->at.len; i++)
        printf("%s\n", completions->at.at[i]);
    if (completions->more)
        puts("...");
    fflush(stdout);
}

static unsigned char complete(EditLine *el, int key)
{
    struct prompt *prompt;
    el_get(el, EL_CLIENTDATA, &prompt);
    const LineInfo *info = el_line(el);
    size_t cursor = (size_t)(info->cursor - info->buffer);
    _cleanup_(lg_completions_deinit) struct lg_completions completions;
    _cleanup_free_ char *line = strndup(info->buffer, cursor);
    if (!line)
        return CC_ERROR;
    lg_complete(prompt->runner->session, line, cursor, &completions);
    if (completions.at.len == 0)
        return CC_ERROR;

    size_t typed = cursor - completions.start, len = lg_completions_prefix(&completions);
    bool single = completions.at.len == 1 && !completions.more;
    if (!single && len <= typed) {
        list_completions(&completions);
        return CC_REDISPLAY;
    }
    _cleanup_free_ char *text = strndup(completions.at.at[0], len);
    if (!text)
        return CC_ERROR;
    el_deletestr(el, (int)typed);
    if (el_insertstr(el, text) != 0 || (single && el_insertstr(el, " ") != 0))
        return CC_ERROR;
    return CC_REFRESH;
}

static void deinit_prompt(struct prompt *prompt)
{
    HistEvent event;
    if (prompt->history && prompt->history_path) {
        mode_t before = umask(077); // What one looked for is nobody else's business.
        history(prompt->history, &event, H_SAVE, prompt->history_path);
        umask(before);
    }
    if (prompt->history)
        history_end(prompt->history);
    if (prompt->el)
        el_end(prompt->el);
    free(prompt->history_path);
    if (prompt->input != STDIN_FILENO)
        close(prompt->input);
}

static bool init_prompt(struct prompt *prompt)
{
    HistEvent event;
    prompt->el = el_init("linger", stdin, stdout, stderr);
    prompt->history = history_init();
    if (!prompt->el || !prompt->history)
        return false;
    history(prompt->history, &event, H_SETSIZE, 1000);
    history(prompt->history, &event, H_SETUNIQUE, 1);
    prompt->history_path = history_path();
    if (prompt->history_path)
        history(prompt->history, &event, H_LOAD, prompt->history_path);

    el_set(prompt->el, EL_CLIENTDATA, prompt);
    el_set(prompt->el, EL_PROMPT, prompt_text);
    el_set(prompt->el, EL_GETCFN, read_char);
    el_set(prompt->el, EL_EDITOR, "emacs");
    el_set(prompt->el, EL_HIST, history, prompt->history);
    el_set(prompt->el, EL_ADDFN, "linger-complete", "complete", complete);
    el_set(prompt->el, EL_BIND, "^I", "linger-complete", NULL);
    el_set(prompt->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(prompt->el, NULL); // ~/.editrc
    return true;
}

static void run_line(struct prompt *prompt, const char *line)
{
    HistEvent event;
    if (line[strspn(line, " \t\r\n")])
        history(prompt->history, &event, H_ENTER, line);
    lg_cancel_flag = 0;
    let_interrupt(true);
    struct lg_error *err = lg_runner_line(prompt->runner, line);
    let_interrupt(false);
    if (err)
        print_error(err);
}

// A line, or NULL at the end of input. Ctrl-C throws away what was typed.
static const char *read_line(struct prompt *prompt)
{
    for (;;) {
        int len = 0;
        lg_cancel_flag = 0;
        errno = 0;
        const char *line = el_gets(prompt->el, &len);
        if (line && len > 0)
            return line;
        if (!lg_cancelled() && errno != EINTR) {
            putchar('\n');
            return NULL;
        }
        fputs("^C\n", stdout);
        el_reset(prompt->el);
    }
}

static struct lg_error *prompt_all(struct lg_runner *runner)
{
    struct prompt prompt = { .runner = runner, .input = open_input() };
    if (!init_prompt(&prompt)) {
        deinit_prompt(&prompt);
        return lg_error_new(LG_ERR_OS, "cannot set up the terminal for editing");
    }
    let_interrupt(false);
    sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_interrupt }, NULL);
    lg_runner_greet(runner);
    const char *line;
    while (!runner->quit && (line = read_line(&prompt)))
        run_line(&prompt, line);
    deinit_prompt(&prompt);
    return NULL;
}

bool lg_repl_has_terminal(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

struct lg_error *lg_repl(struct lg_runner *runner, int *status_ret)
{
    bool terminal = lg_repl_has_terminal();
    runner->prompting = true;
    runner->paging = terminal && runner->out == stdout;
    *status_ret = 0;
    return terminal ? prompt_all(runner) : read_all(runner, status_ret);
}
