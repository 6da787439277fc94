#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "limits/limits_priv.h"

// Without RESOLVE_IN_ROOT an absolute link inside a container would lead to a file of ours.
static int open_within(int root, const char *path, int flags)
{
    struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

static char *read_fd(int fd, size_t *len_ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return NULL;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return NULL;
    }
    _cleanup_free_ char *text = malloc(LG_FILE_MAX + 1);
    size_t len = 0;
    while (text && len < LG_FILE_MAX) {
        ssize_t n = read(fd, text + len, LG_FILE_MAX - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return NULL;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (!text)
        return NULL;
    text[len] = '\0';
    *len_ret = len;
    char *fitting = realloc(text, len + 1);
    if (fitting)
        text = NULL;
    return fitting ? fitting : lg_steal(text);
}

char *lg_file_read(int root, const char *path, size_t *len_ret)
{
    _cleanup_close_ int fd = open_within(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? NULL : read_fd(fd, len_ret);
}

bool lg_file_exists(int root, const char *path)
{
    _cleanup_close_ int fd = open_within(root, path, O_PATH);
    return fd >= 0;
}

// Digits up to the end of a word. False of anything else, and of what has more than 64 bits.
static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && (*end == '\0' || *end == '\n' || *end == ' ' || *end == '\t');
}

struct lg_amount lg_file_amount(int root, const char *path)
{
    size_t len;
    uint64_t value;
    _cleanup_free_ char *text = lg_file_read(root, path, &len);
    if (!text)
        return (struct lg_amount){ LG_UNKNOWN };
    errno = 0;
    if (strcmp(text, "max\n") == 0 || strcmp(text, "max") == 0)
        return (struct lg_amount){ LG_UNLIMITED };
    bool good = parse_number(text, &value);
    errno = 0;
    return good ? lg_amount(value) : (struct lg_amount){ LG_UNKNOWN };
}

struct lg_amount lg_text_amount(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) != 0 || !strchr(": \t", line[len]) || !line[len])
            continue;
        const char *number = line + len + strspn(line + len, ": \t");
        uint64_t value;
        if (!parse_number(number, &value))
            break;
        const char *unit = number + strspn(number, "0123456789");
        bool kib = strncmp(unit, " kB", 3) == 0;
        if (kib && value > UINT64_MAX / 1024)
            break;
        return lg_amount(kib ? value * 1024 : value);
    }
    return (struct lg_amount){ LG_UNKNOWN };
}
