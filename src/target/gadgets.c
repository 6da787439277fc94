#include "target/gadgets.h"

#include <string.h>

static const uint8_t system_call[] = { 0x0f, 0x05, 0xc3 };
// As glibc and musl have it, and as a compiler may shorten it.
static const uint8_t sigreturn_long[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
static const uint8_t sigreturn_short[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 };

enum { PIECE = 64 << 10, OVERLAP = sizeof(sigreturn_long) - 1, SEARCH_MAX = 256 << 20 };

static bool holds(const struct lg_proc_mem *mem, uint64_t address, const void *bytes, size_t len)
{
    uint8_t found[sizeof(sigreturn_long)];
    return address && lg_proc_mem_read(mem, found, len, address) == (ssize_t)len
           && memcmp(found, bytes, len) == 0;
}

bool lg_gadgets_hold(const struct lg_gadgets *gadgets, const struct lg_proc_mem *mem)
{
    return holds(mem, gadgets->system_call, system_call, sizeof(system_call))
           && (holds(mem, gadgets->sigreturn, sigreturn_long, sizeof(sigreturn_long))
               || holds(mem, gadgets->sigreturn, sigreturn_short, sizeof(sigreturn_short)));
}

static void search(const uint8_t *bytes, size_t len, const uint8_t *wanted, size_t wanted_len,
                   uint64_t address, uint64_t *ret)
{
    const uint8_t *found = *ret ? NULL : memmem(bytes, len, wanted, wanted_len);
    if (found)
        *ret = address + (uint64_t)(found - bytes);
}

static void search_range(const struct lg_range *range, const struct lg_proc_mem *mem, uint8_t *piece,
                         struct lg_gadgets *ret)
{
    for (uint64_t at = range->start; at < range->end && !(ret->system_call && ret->sigreturn);) {
        uint64_t left = range->end - at;
        ssize_t n = lg_proc_mem_read(mem, piece, left < PIECE ? (size_t)left : PIECE, at);
        if (n <= 0)
            return;
        search(piece, (size_t)n, system_call, sizeof(system_call), at, &ret->system_call);
        search(piece, (size_t)n, sigreturn_long, sizeof(sigreturn_long), at, &ret->sigreturn);
        search(piece, (size_t)n, sigreturn_short, sizeof(sigreturn_short), at, &ret->sigreturn);
        if ((uint64_t)n == left || n <= OVERLAP)
            return;
        at += (uint64_t)n - OVERLAP;
    }
}

static bool is_c_library(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return strncmp(name, "libc.so", 7) == 0 || strncmp(name, "libc-", 5) == 0
           || strncmp(name, "ld-musl", 7) == 0 || strncmp(name, "libc.musl", 9) == 0;
}

// Code that stays: mapped from a file, and not made by a just-in-time compiler.
static bool is_code(const struct lg_range *range)
{
    return range->access & LG_EXECUTE && !(range->access & LG_WRITE) && range->path[0] == '/'
           && strncmp(range->path, "/memfd:", 7) != 0;
}

bool lg_gadgets_find(const struct lg_target *target, const struct lg_proc_mem *mem,
                     struct lg_gadgets *gadgets)
{
    if (lg_gadgets_hold(gadgets, mem))
        return true;
    *gadgets = (struct lg_gadgets){ 0 };
    _cleanup_free_ uint8_t *piece = malloc(PIECE);
    uint64_t searched = 0;
    for (int others = 0; piece && others <= 1; others++) {
        for (size_t i = 0; i < target->ranges.len && searched < SEARCH_MAX; i++) {
            const struct lg_range *range = &target->ranges.at[i];
            if (!is_code(range) || is_c_library(range->path) == (others == 1))
                continue;
            search_range(range, mem, piece, gadgets);
            searched += range->end - range->start;
            if (gadgets->system_call && gadgets->sigreturn)
                return true;
        }
    }
    return false;
}
