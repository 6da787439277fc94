#include "util/proc_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

// Half a million mappings; a hostile process may have more than anyone wants to read.
enum { ALL_MAX = 256 << 20 };

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
