#include "cli/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "util/cancel.h"
#include "util/cleanup.h"

enum { LOOK_MS = 50 }; // Between looks whether it is to end.

struct lg_error *lg_watch_seconds(const struct lg_args *args, unsigned *ret)
{
    uint64_t seconds = lg_args_text(args, "watch") ? lg_args_number(args, "watch", 0) : LG_WATCH_SECONDS;
    if (seconds < 1 || seconds > LG_WATCH_SECONDS_MAX)
        return lg_error_new(LG_ERR_USAGE, "option '-watch': every %ju seconds; 1 to %d are possible",
                            (uintmax_t)seconds, LG_WATCH_SECONDS_MAX);
    *ret = (unsigned)seconds;
    return NULL;
}

struct lg_error *lg_watch_parse(const struct lg_args *args, struct lg_watch *ret)
{
    enum { EVERY_MS = 30000, LEAST_MS = 100 };
    ret->every_ms = lg_args_number(args, "every", EVERY_MS);
    ret->for_ms = lg_args_number(args, "for", 0);
    ret->rounds = lg_args_number(args, "rounds", 0);
    ret->by_lines = lg_args_has(args, "steps");
    if (ret->by_lines && lg_args_has(args, "every"))
        return lg_error_new(LG_ERR_USAGE, "options '-every' and '-steps' exclude each other");
    if (ret->every_ms < LEAST_MS || ret->every_ms > LG_WATCH_SECONDS_MAX * UINT64_C(1000))
        return lg_error_new(LG_ERR_USAGE, "option '-every': %d ms to 24 h are possible", LEAST_MS);
    if ((lg_args_has(args, "for") && !ret->for_ms) || (lg_args_has(args, "rounds") && !ret->rounds))
        return lg_error_new(LG_ERR_USAGE, "no round at all is no watch");
    return NULL;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_until(int64_t end_ms)
{
    int64_t left;
    while (!lg_cancelled() && (left = end_ms - now_ms()) > 0)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 * (left < LOOK_MS ? left : LOOK_MS) }, NULL);
}

// False when standard input has ended, or somebody has had enough.
static bool await_line(void)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    char c = 0;
    while (!lg_cancelled()) {
        int ready = poll(&in, 1, LOOK_MS);
        if (ready > 0 && (read(STDIN_FILENO, &c, 1) != 1 || c == '\n'))
            return c == '\n';
        if (ready < 0 && errno != EINTR)
            return false;
    }
    return false;
}

// ---- a terminal (ECMA-48) ----

// The cursor is hidden, and lines that are too long are cut rather than folded.
static void begin_painting(FILE *out)
{
    fputs("\033[?25l\033[?7l\033[2J", out);
}

static void end_painting(FILE *out)
{
    fputs("\033[?7h\033[?25h", out);
    fflush(out);
}

static size_t screen_rows(FILE *out)
{
    struct winsize size;
    bool known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_row > 1;
    return known ? size.ws_row : 24;
}

// Over what is there, line by line, so that nothing flickers; the last line of the screen stays empty.
static void paint(FILE *out, const char *text)
{
    size_t rows = screen_rows(out) - 1;
    fputs("\033[H", out);
    for (size_t i = 0; i < rows && *text; i++) {
        size_t len = strcspn(text, "\n");
        bool is_cut = i + 1 == rows && text[len] && text[len + 1];
        if (is_cut)
            fputs("...", out);
        else
            fwrite(text, 1, len, out);
        fputs("\033[K\r\n", out);
        text += len + (text[len] == '\n');
    }
    fputs("\033[J", out);
    fflush(out);
}

static struct lg_error *paint_round(const struct lg_watch *watch)
{
    _cleanup_free_ char *text = NULL;
    size_t len;
    FILE *memory = open_memstream(&text, &len);
    if (!memory)
        return &lg_no_memory;
    struct lg_error *err = watch->round(watch->data, memory);
    bool good = fclose(memory) == 0;
    if (!err && !good)
        err = &lg_no_memory;
    if (!err)
        paint(watch->out, text);
    return err;
}

// ---- rounds ----

static struct lg_error *print_round(const struct lg_watch *watch, size_t number)
{
    if (watch->in_place)
        return paint_round(watch);
    if (number > 0 && watch->spaced)
        fputc('\n', watch->out);
    return watch->round(watch->data, watch->out);
}

// Ctrl-C has been heard, and is no reason to end more than the watch.
static struct lg_error *end(struct lg_error *err)
{
    if (err && lg_error_kind(err) != LG_ERR_CANCELLED)
        return err;
    if (lg_cancelled() && lg_cancel_flag != SIGINT)
        return &lg_was_cancelled;
    lg_cancel_flag = 0;
    return NULL;
}

// Waits for the next round, if there is to be one.
static bool await_round(const struct lg_watch *watch, uint64_t done, int64_t first, int64_t last)
{
    int64_t every = (int64_t)watch->every_ms, next = first;
    if (!watch->by_lines)
        next += ((last - first) / every + 1) * every;
    bool over = (watch->rounds && done >= watch->rounds)
                || (watch->for_ms && !watch->by_lines && next - first > (int64_t)watch->for_ms)
                || (watch->is_over && watch->is_over(watch->data));
    if (over)
        return false;
    if (watch->by_lines)
        return await_line();
    sleep_until(next);
    return !lg_cancelled();
}

struct lg_error *lg_watch(const struct lg_watch *watch)
{
    int64_t first = now_ms(), last;
    uint64_t done = 0;
    struct lg_error *err;
    if (watch->in_place)
        begin_painting(watch->out);
    do {
        last = now_ms();
        err = print_round(watch, done++);
    } while (!err && await_round(watch, done, first, last));
    if (watch->in_place)
        end_painting(watch->out);
    return end(err);
}
