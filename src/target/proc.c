#include "target/proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STAT_TEXT = 1024 };

int lg_proc_open(int pid)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d", pid);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int lg_proc_self(void)
{
    char self[32];
    ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    return atoi(self);
}

// What follows "tid (comm)" in a stat file; comm may hold anything, even parentheses. NULL: gone
static const char *read_stat(int dir, const char *name, char text[STAT_TEXT])
{
    if (lg_proc_read(dir, name, text, STAT_TEXT) < 0)
        return NULL;
    const char *end = strrchr(text, ')');
    return end ? end + 1 : NULL;
}

char lg_proc_state(int dir, const char *name)
{
    char text[STAT_TEXT];
    const char *fields = read_stat(dir, name, text);
    return fields && fields[0] == ' ' ? fields[1] : 0;
}

int64_t lg_proc_stat(int dir, const char *name, int number, int64_t absent)
{
    char text[STAT_TEXT];
    const char *field = read_stat(dir, name, text); // A space before each, from the third on.
    for (int i = 3; field && i < number; i++)
        field = strchr(field + 1, ' ');
    return field ? strtoll(field, NULL, 10) : absent;
}
