// What is read while a process stands still: as little as makes everything else known.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "picture/pages.h"
#include "picture/picture_priv.h"
#include "util/error.h"
#include "util/search.h"

enum {
    SMAPS_START = 4 << 20, // Some 5,000 mappings; it grows.
    SMAPS_MAX = 1 << 30,
    RUNS_MAX = 8 << 20,
    WORDS_MAX = 4 << 20, // Entries of pagemap in all: 16 GiB of addresses.
};

struct lg_sight *lg_sight_new(void)
{
    _cleanup_(lg_sight_freep) struct lg_sight *sight = calloc(1, sizeof(*sight));
    if (!sight || !(sight->smaps = malloc(SMAPS_START)))
        return NULL;
    memset(sight->smaps, 0, SMAPS_START); // Its pages are to be there before the stop.
    sight->smaps_size = SMAPS_START;
    return lg_steal(sight);
}

static void forget(struct lg_sight *sight)
{
    for (size_t i = 0; i < sight->words.len; i++)
        free(sight->words.at[i].words);
    sight->words.len = sight->runs.len = 0;
    lg_mappings_deinit(&sight->mappings);
    lg_error_free(sight->err);
    sight->err = NULL;
    sight->has_seen = false;
    sight->refused = 0;
}

void lg_sight_free(struct lg_sight *sight)
{
    if (!sight)
        return;
    forget(sight);
    lg_vec_free(&sight->words);
    lg_vec_free(&sight->runs);
    free(sight->smaps);
    free(sight);
}

static bool grow(struct lg_sight *sight)
{
    char *grown = sight->smaps_size < SMAPS_MAX ? realloc(sight->smaps, 2 * sight->smaps_size) : NULL;
    if (!grown)
        return false;
    sight->smaps = grown;
    sight->smaps_size *= 2;
    return true;
}

static struct lg_error *read_smaps(struct lg_sight *sight, int proc)
{
    _cleanup_close_ int fd = openat(proc, "smaps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return lg_error_os(errno, "smaps");
    sight->smaps_len = 0;
    for (;;) {
        if (sight->smaps_len == sight->smaps_size && !grow(sight))
            return &lg_no_memory;
        ssize_t n = read(fd, sight->smaps + sight->smaps_len, sight->smaps_size - sight->smaps_len);
        if (n < 0 && errno != EINTR)
            return lg_error_os(errno, "smaps");
        if (n == 0)
            return NULL;
        sight->smaps_len += n > 0 ? (size_t)n : 0;
    }
}

// Pages of one mapping that are not all of one sort, so that parts of it can be told only page by page;
// a copy of the process does not have the pages of shared mappings, and all that it has are shared.
static bool needs_words(const struct lg_mapping *mapping)
{
    const struct lg_amounts *sum = &mapping->sum;
    if (mapping->hugetlb > 0 || sum->resident == 0)
        return false;
    return sum->split_unknown || strncmp(mapping->path, "/memfd:doublemapper", 19) == 0
           || (lg_mapping_is_anonymous(mapping) && sum->shared > 0 && sum->shared < sum->resident);
}

static bool add_run(void *data, uint64_t start, uint64_t end, bool swapped)
{
    struct lg_sight *sight = data;
    return sight->runs.len < RUNS_MAX
           && lg_vec_push(&sight->runs, (struct lg_page_run){ start, end, swapped });
}

// Now, as whoever reads the process or its copy later may make pages resident.
static void read_runs(struct lg_sight *sight, int pagemap)
{
    sight->has_runs = true;
    for (size_t i = 0; sight->has_runs && i < sight->mappings.all.len; i++) {
        const struct lg_mapping *mapping = &sight->mappings.all.at[i];
        bool is_empty = mapping->sum.resident == 0 && mapping->sum.swapped == 0;
        bool is_full = mapping->sum.resident == mapping->end - mapping->start;
        if (!lg_mapping_is_anonymous(mapping) || is_empty || mapping->hugetlb > 0)
            continue;
        if (is_full) // The kernel has looked at each of its pages once; that is enough.
            sight->has_runs = add_run(sight, mapping->start, mapping->end, false);
        else
            sight->has_runs = lg_pages_scan(pagemap, mapping->start, mapping->end, add_run, sight);
    }
}

size_t lg_sight_run(const struct lg_sight *sight, uint64_t address)
{
    return lg_first_not(sight->runs.len, i, sight->runs.at[i].end <= address);
}

static struct lg_error *read_words(struct lg_sight *sight, int proc)
{
    uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE), total = 0;
    _cleanup_close_ int fd = openat(proc, "pagemap", O_RDONLY | O_CLOEXEC);
    sight->refused = fd < 0 ? errno : 0;
    if (fd >= 0)
        read_runs(sight, fd);
    for (size_t i = 0; fd >= 0 && i < sight->mappings.all.len; i++) {
        const struct lg_mapping *mapping = &sight->mappings.all.at[i];
        uint64_t count = (mapping->end - mapping->start) / page_size;
        if (!needs_words(mapping) || count > WORDS_MAX - total)
            continue;
        struct lg_page_words words = { (uint32_t)i, malloc(count * sizeof(uint64_t)) };
        if (!words.words || !lg_vec_push(&sight->words, words)) {
            free(words.words);
            return &lg_no_memory;
        }
        total += count;
        if (!lg_pages_read(fd, mapping->start, page_size, count, words.words)) {
            sight->refused = errno ? errno : EIO;
            free(words.words);
            sight->words.len--;
        }
    }
    return NULL;
}

void lg_sight_stopped(void *data, int proc)
{
    struct lg_sight *sight = data;
    forget(sight);
    if (lg_proc_read(proc, "status", sight->status, sizeof(sight->status)) <= 0)
        sight->status[0] = '\0';
    sight->err = read_smaps(sight, proc);
    if (!sight->err)
        sight->err = lg_smaps_parse(sight->smaps, sight->smaps_len, &sight->mappings);
    if (!sight->err)
        sight->err = read_words(sight, proc);
    sight->has_seen = true;
}

const uint64_t *lg_sight_words(const struct lg_sight *sight, uint32_t mapping)
{
    size_t low = lg_first_not(sight ? sight->words.len : 0, i, sight->words.at[i].mapping < mapping);
    bool found = sight && low < sight->words.len && sight->words.at[low].mapping == mapping;
    return found ? sight->words.at[low].words : NULL;
}
