#include "cli/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *pager_command(void)
{
    const char *command = getenv("LINGER_PAGER");
    if (!command)
        command = getenv("PAGER");
    return command ? command : "less";
}

bool lg_pager_wanted(const struct lg_report *report)
{
    struct winsize size;
    const char *command = pager_command();
    if (!*command || strcmp(command, "cat") == 0 || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
        return false;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0)
        return false;
    return lg_report_text_lines(report) >= size.ws_row;
}

// A shell that reads from `in`, with the signals as a program expects them.
static int spawn(int in, int *pid_ret)
{
    char *const argv[] = { (char *)"sh", (char *)"-c", (char *)pager_command(), NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int reason = posix_spawn(pid_ret, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return reason;
}

struct lg_error *lg_pager_open(struct lg_pager *ret)
{
    int ends[2];
    // As git has it: end if it fits after all, keep colours, leave the text on the screen.
    setenv("LESS", "FRX", 0);
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return lg_error_os(errno, "starting the pager");
    int reason = spawn(ends[0], &ret->pid);
    close(ends[0]);
    ret->in = reason ? NULL : fdopen(ends[1], "w");
    if (ret->in)
        return NULL;
    close(ends[1]);
    return lg_error_os(reason ? reason : errno, "starting the pager");
}

void lg_pager_close(struct lg_pager *pager)
{
    fclose(pager->in);
    while (waitpid(pager->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}
