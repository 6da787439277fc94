#include "target/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

// Half a million mappings; a hostile process may have more than anyone wants to read.
enum { ALL_MAX = 256 << 20, STAT_TEXT = 1024 };

int lg_proc_open(int pid)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d", pid);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// Reads until the end or until `size` bytes are there.
static ssize_t read_full(int fd, char *buf, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, buf + done, size - done);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n == 0)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

int lg_proc_self(void)
{
    char self[32];
    ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    return atoi(self);
}

ssize_t lg_proc_read(int dir, const char *name, char *buf, size_t size)
{
    buf[0] = '\0';
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read_full(fd, buf, size - 1);
    buf[n < 0 ? 0 : n] = '\0';
    return n;
}

char *lg_proc_read_all(int dir, const char *name, size_t *len_ret)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    _cleanup_free_ char *text = NULL;
    size_t len = 0, size = 64 << 10;
    for (;;) {
        char *grown = realloc(text, size + 1);
        if (!grown)
            return NULL;
        text = grown;
        ssize_t n = read_full(fd, text + len, size - len);
        if (n < 0)
            return NULL;
        len += (size_t)n;
        if (len < size || size >= ALL_MAX)
            break;
        size *= 2;
    }
    text[len] = '\0';
    *len_ret = len;
    return lg_steal(text);
}

// What follows "key:", or NULL. Keys start a line.
static const char *find_field(const char *status, const char *key)
{
    size_t len = strlen(key);
    for (const char *line = status; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0 && line[len] == ':')
            return line + len + 1;
    }
    return NULL;
}

int64_t lg_proc_field(const char *status, const char *key, int64_t absent)
{
    const char *value = find_field(status, key);
    char *end;
    int64_t number = value ? strtoll(value, &end, 10) : 0;
    return value && end != value ? number : absent;
}

int64_t lg_proc_field_last(const char *status, const char *key, int64_t absent)
{
    const char *value = find_field(status, key);
    const char *line_end = value ? strchrnul(value, '\n') : NULL;
    int64_t last = absent;
    while (value && value < line_end) {
        char *end;
        int64_t number = strtoll(value, &end, 10);
        if (end == value || end > line_end)
            break;
        last = number;
        value = end;
    }
    return last;
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
