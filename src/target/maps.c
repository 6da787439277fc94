// A line of /proc/PID/maps (proc(5), torvalds/linux fs/proc/task_mmu.c @00c65c8, show_map_vma):
//
//     7f3a5c000000-7f3a5c021000 rw-p 00000000 08:01 131  /path, with "\n" as "\012"
#include "target/maps.h"

#include <errno.h>
#include <string.h>

#include "target/proc.h"
#include "util/error.h"

struct cursor {
    const char *pos, *end; // Of one line.
};

static bool skip(struct cursor *c, char wanted)
{
    bool found = c->pos < c->end && *c->pos == wanted;
    c->pos += found;
    return found;
}

static bool read_hex(struct cursor *c, uint64_t *ret)
{
    const char *start = c->pos;
    uint64_t value = 0;
    for (; c->pos < c->end && value >> 60 == 0; c->pos++) {
        char digit = *c->pos;
        if (digit >= '0' && digit <= '9')
            value = value << 4 | (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            value = value << 4 | (uint64_t)(digit - 'a' + 10);
        else
            break;
    }
    *ret = value;
    return c->pos > start;
}

static bool read_decimal(struct cursor *c, uint64_t *ret)
{
    const char *start = c->pos;
    uint64_t value = 0;
    for (; c->pos < c->end && *c->pos >= '0' && *c->pos <= '9'; c->pos++)
        value = value * 10 + (uint64_t)(*c->pos - '0');
    *ret = value;
    return c->pos > start;
}

static bool read_access(struct cursor *c, unsigned *ret)
{
    if (c->end - c->pos < 4)
        return false;
    *ret = (c->pos[0] == 'r' ? LG_READ : 0u) | (c->pos[1] == 'w' ? LG_WRITE : 0u)
           | (c->pos[2] == 'x' ? LG_EXECUTE : 0u);
    c->pos += 4;
    return true;
}

// What stands after the numbers: nothing, or spaces and a path.
static const char *read_path(struct cursor *c, struct lg_arena *paths)
{
    while (skip(c, ' '))
        ;
    size_t len = (size_t)(c->end - c->pos);
    if (len == 0)
        return "";
    char *path = lg_arena_copy(paths, c->pos, len);
    char *to = path ? strchr(path, '\\') : NULL;
    for (const char *from = to; from && *from; to++) {
        bool newline = strncmp(from, "\\012", 4) == 0;
        *to = newline ? '\n' : *from;
        from += newline ? 4 : 1;
    }
    if (to)
        *to = '\0';
    return path;
}

// The kernel's own pages: no copy of them can be read, or means anything elsewhere.
static bool is_unreadable(const char *path)
{
    return strncmp(path, "[vvar", 5) == 0 || strcmp(path, "[vsyscall]") == 0;
}

struct lg_error *lg_maps_parse_line(const char *line, size_t len, struct lg_arena *paths,
                                    struct lg_maps_line *ret)
{
    struct cursor c = { line, line + len };
    struct lg_range *range = &ret->range;
    uint64_t number;
    *ret = (struct lg_maps_line){ .inode = 0 };
    bool good = read_hex(&c, &range->start) && skip(&c, '-') && read_hex(&c, &range->end)
                && skip(&c, ' ') && read_access(&c, &range->access) && skip(&c, ' ')
                && read_hex(&c, &range->offset) && skip(&c, ' ') && read_hex(&c, &number)
                && skip(&c, ':') && read_hex(&c, &number) && skip(&c, ' ')
                && read_decimal(&c, &ret->inode) && range->end > range->start;
    if (!good)
        return lg_error_new(LG_ERR_CORRUPT, "not as /proc has it");
    ret->is_shared = ((const char *)memchr(line, ' ', len))[4] == 's'; // Behind the addresses: " rwxs".
    range->path = read_path(&c, paths);
    if (!range->path)
        return &lg_no_memory;
    range->saved = is_unreadable(range->path) ? 0 : range->end - range->start;
    return NULL;
}

struct lg_error *lg_maps_parse(const char *text, size_t len, struct lg_target *target,
                               struct lg_arena *paths)
{
    target->ranges.len = 0;
    const char *end = text + len;
    uint64_t reached = 0;
    for (size_t line = 1; text < end; line++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        struct lg_maps_line parsed;
        size_t length = (size_t)((newline ? newline : end) - text);
        struct lg_error *err = lg_maps_parse_line(text, length, paths, &parsed);
        if (err)
            return lg_error_context(err, "maps: line %zu", line);
        const struct lg_range range = parsed.range;
        // A running process may change between two reads of the file: what was merged is seen twice.
        if (range.start >= reached) {
            if (!lg_vec_push(&target->ranges, range))
                return &lg_no_memory;
            reached = range.end;
        }
        text = newline ? newline + 1 : end;
    }
    return NULL;
}

struct lg_error *lg_maps_read(int dir, struct lg_target *target, struct lg_arena *paths)
{
    size_t len;
    _cleanup_free_ char *text = lg_proc_read_all(dir, "maps", &len);
    if (!text)
        return lg_error_os(errno, "maps");
    return lg_maps_parse(text, len, target, paths);
}
