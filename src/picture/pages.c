#include "picture/pages.h"

#include <errno.h>
#include <sys/ioctl.h>

// The scan of pagemap that Linux 6.7 brought; headers of distributions are older (torvalds/linux
// include/uapi/linux/fs.h @00c65c8).
struct page_region {
    uint64_t start, end, categories;
};
struct pm_scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN _IOWR('f', 16, struct pm_scan_arg)
enum { IS_PRESENT = 8, IS_SWAPPED = 16, IS_ZERO = 32, REGIONS = 512, WORDS = 8192 };

bool lg_pages_read(int pagemap, uint64_t start, uint64_t page_size, size_t count, uint64_t *words)
{
    size_t done = 0, len = count * sizeof(*words);
    while (done < len) {
        off_t at = (off_t)(start / page_size * sizeof(*words) + done);
        ssize_t n = pread(pagemap, (char *)words + done, len - done, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

void lg_pages_add(struct lg_amounts *sum, uint64_t word, uint64_t page_size)
{
    if (word >> LG_PAGE_SWAPPED & 1 && !(word >> LG_PAGE_PRESENT & 1))
        sum->swapped += page_size;
    if (!(word >> LG_PAGE_PRESENT & 1))
        return;
    sum->resident += page_size;
    if (!(word >> LG_PAGE_ONCE & 1))
        sum->shared += page_size;
    else if (word >> LG_PAGE_FILE & 1)
        sum->shareable += page_size;
    else
        sum->own += page_size;
}

typedef bool each_run(void *data, uint64_t start, uint64_t end, bool swapped);

bool lg_pages_scan(int pagemap, uint64_t start, uint64_t end, each_run *each, void *data)
{
    struct page_region regions[REGIONS];
    while (start < end) {
        struct pm_scan_arg arg = {
            .size = sizeof(arg),
            .start = start,
            .end = end,
            .vec = (uint64_t)(uintptr_t)regions,
            .vec_len = REGIONS,
            .category_anyof_mask = IS_PRESENT | IS_SWAPPED,
            .return_mask = IS_PRESENT | IS_SWAPPED | IS_ZERO,
        };
        int count = ioctl(pagemap, SCAN, &arg);
        if (count < 0)
            return false;
        for (int i = 0; i < count && i < REGIONS; i++) {
            bool counts = !(regions[i].categories & IS_ZERO);
            if (counts
                && !each(data, regions[i].start, regions[i].end, regions[i].categories & IS_SWAPPED))
                return false;
        }
        if (arg.walk_end <= start || arg.walk_end > end)
            return false;
        start = arg.walk_end;
    }
    return true;
}

bool lg_pages_each(int pagemap, uint64_t start, uint64_t end, uint64_t page_size, each_run *each,
                   void *data)
{
    _cleanup_free_ uint64_t *words = malloc(WORDS * sizeof(*words));
    for (; words && start < end; start += WORDS * page_size) {
        uint64_t pages = (end - start) / page_size;
        size_t count = pages < WORDS ? (size_t)pages : WORDS;
        if (!lg_pages_read(pagemap, start, page_size, count, words))
            return false;
        for (size_t i = 0; i < count; i++) {
            bool present = words[i] >> LG_PAGE_PRESENT & 1, swapped = words[i] >> LG_PAGE_SWAPPED & 1;
            uint64_t at = start + i * page_size;
            if ((present || swapped) && !each(data, at, at + page_size, !present))
                return false;
        }
    }
    return words != NULL;
}
