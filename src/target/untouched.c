#include "target/untouched.h"

enum { PAGE = 4096, ENTRIES = 256, SWAPPED = 62, PRESENT = 63 }; // Bits of an entry (pagemap.rst).

size_t lg_untouched(int pagemap, const struct lg_target *target, uint64_t address, size_t len,
                    size_t *other_ret)
{
    uint64_t entries[ENTRIES];
    const struct lg_range *range = lg_target_find(target, address);
    bool is_anonymous = range && (!*range->path || range->path[0] == '[');
    uint64_t page = address / PAGE, in_page = address % PAGE;
    *other_ret = len;
    if (pagemap < 0 || !is_anonymous || len == 0)
        return 0;
    uint64_t left = range->end - address;
    len = left < len ? (size_t)left : len;
    uint64_t wanted = (in_page + len + PAGE - 1) / PAGE;
    ssize_t n = pread(pagemap, entries, (wanted < ENTRIES ? wanted : ENTRIES) * sizeof(*entries),
                      (off_t)(page * sizeof(*entries)));
    size_t count = n > 0 ? (size_t)n / sizeof(*entries) : 0, i = 1;
    if (count == 0)
        return 0;
    bool first = entries[0] >> SWAPPED == 0;
    while (i < count && (entries[i] >> SWAPPED == 0) == first)
        i++;
    size_t run = i * PAGE - (size_t)in_page;
    run = run < len ? run : len;
    *other_ret = first ? 0 : run;
    return first ? run : 0;
}
