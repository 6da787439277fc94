#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ps.h"
#include "util/cleanup.h"

bool lg_ps_matches(const struct lg_process *process, const char *pattern)
{
    char pid[16];
    const char *name = process->name ? process->name : "";
    snprintf(pid, sizeof(pid), "%d", process->pid);
    if (strpbrk(pattern, "*?["))
        return fnmatch(pattern, name, 0) == 0 || fnmatch(pattern, pid, 0) == 0;
    return strcmp(pattern, pid) == 0 || strstr(name, pattern);
}

bool lg_ps_list(const struct lg_processes *processes, const bool *wanted, struct lg_ps_lines *ret)
{
    for (size_t i = 0; i < processes->all.len; i++) {
        if (wanted[i] && !lg_vec_push(&ret->at, (struct lg_ps_line){ .process = i, .parent = SIZE_MAX }))
            return false;
    }
    return true;
}

// ---- families ----

struct family {
    size_t count;
    const bool *wanted;
    size_t *parents;
    struct lg_ps_lines *lines;
};

// Up to the nearest that is wanted. Who came first among equals is the parent of nobody before it, but
// numbers given anew may make a circle: bounded.
static size_t wanted_parent(const struct family *family, const size_t *parents, size_t i)
{
    size_t at = parents[i];
    for (size_t n = 0; at != SIZE_MAX && n < family->count; n++) {
        if (family->wanted[at])
            return at;
        at = parents[at];
    }
    return SIZE_MAX;
}

static bool has_more(const struct family *family, size_t parent, size_t after)
{
    for (size_t i = after + 1; i < family->count; i++) {
        if (family->wanted[i] && family->parents[i] == parent)
            return true;
    }
    return false;
}

// The children of `parent`, each followed by its own. `indent` is what stands before them.
static bool add_children(struct family *family, size_t parent, const char *indent, bool is_top)
{
    for (size_t i = 0; i < family->count; i++) {
        if (!family->wanted[i] || family->parents[i] != parent)
            continue;
        struct lg_ps_line line = { .process = i, .parent = parent };
        char below[LG_PS_LABEL];
        bool more = has_more(family, parent, i);
        size_t room = sizeof(line.prefix) - 4;
        snprintf(line.prefix, sizeof(line.prefix), "%.*s%s", (int)room, indent,
                 is_top ? ""
                 : more ? "|- "
                        : "`- ");
        snprintf(below, sizeof(below), "%.*s%s", (int)room, indent, is_top ? "" : more ? "|  " : "   ");
        if (!lg_vec_push(&family->lines->at, line) || !add_children(family, i, below, false))
            return false;
    }
    return true;
}

bool lg_ps_tree(const struct lg_processes *processes, const bool *wanted, struct lg_ps_lines *ret)
{
    size_t count = processes->all.len;
    _cleanup_free_ size_t *all = calloc(count + 1, sizeof(*all));
    _cleanup_free_ size_t *parents = calloc(count + 1, sizeof(*parents));
    if (!all || !parents)
        return false;
    struct family family = { .count = count, .wanted = wanted, .parents = parents, .lines = ret };
    for (size_t i = 0; i < count; i++)
        all[i] = lg_process_parent(processes, i);
    for (size_t i = 0; i < count; i++)
        parents[i] = wanted_parent(&family, all, i);
    return add_children(&family, SIZE_MAX, "", true);
}
