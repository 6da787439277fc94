#include "cli/pager.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

FILE *lg_pager_open(void)
{
    // As git has it: end if it fits after all, keep colours, leave the text on the screen.
    setenv("LESS", "FRX", 0);
    fflush(stdout);
    return popen(pager_command(), "we");
}

void lg_pager_close(FILE *pager)
{
    pclose(pager);
}
