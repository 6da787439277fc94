// What the runtime's memory, and its threads, tell of its GC.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "clr/memory.h"
#include "limits/limits_priv.h"
#include "target/proc.h"

enum { THREADS_MAX = 1 << 16, PAGE = 4096 };

// A basic region: from the page that the first object of gen0 is in to the region's end.
static struct lg_amount region_size(const struct lg_clr *clr)
{
    size_t count;
    const struct lg_segment *segments = lg_clr_segments(clr, &count);
    for (size_t i = 0; lg_clr_info(clr)->regions && i < count; i++) {
        uint64_t size = segments[i].reserved - (segments[i].start & ~(uint64_t)(PAGE - 1));
        if (segments[i].generation == LG_GEN0 && size > 0 && (size & (size - 1)) == 0)
            return lg_amount(size);
    }
    return (struct lg_amount){ LG_UNKNOWN };
}

struct lg_error *lg_gc_facts_read(struct lg_clr *clr, struct lg_gc_facts *ret)
{
    const struct lg_clr_info *info = lg_clr_info(clr);
    struct lg_gc_committed committed;
    *ret = (struct lg_gc_facts){
        .known = true,
        .server = info->server,
        .regions = info->regions,
        .heap_count = info->heap_count,
        .datas = info->datas,
        .region_size = region_size(clr),
    };
    uint64_t range;
    if (lg_clr_gc_range(clr, &range))
        ret->range = lg_amount(range);
    struct lg_error *err = lg_clr_gc_committed(clr, &committed);
    if (!err)
        ret->committed = lg_amount(committed.in_use + committed.free);
    if (err && lg_error_kind(err) == LG_ERR_NO_MEMORY)
        return err;
    lg_error_free(err);
    return NULL;
}

// ---- threads ----

static bool has_one_processor(int task, const char *name)
{
    char path[300], status[LG_PROC_TEXT];
    snprintf(path, sizeof(path), "%s/status", name);
    if (lg_proc_read(task, path, status, sizeof(status)) <= 0)
        return false;
    const char *list = strstr(status, "\nCpus_allowed_list:\t");
    return list && list[20 + strspn(list + 20, "0123456789")] == '\n';
}

static void look_at_thread(int task, const char *name, struct lg_gc_facts *facts)
{
    char path[300], comm[32];
    snprintf(path, sizeof(path), "%s/comm", name);
    if (lg_proc_read(task, path, comm, sizeof(comm)) <= 0)
        return;
    facts->has_bgc_thread |= strcmp(comm, ".NET BGC\n") == 0;
    if (strcmp(comm, ".NET Server GC\n") != 0)
        return;
    facts->gc_threads.value++;
    facts->pinned.value += has_one_processor(task, name);
}

static void close_dirp(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

void lg_gc_facts_read_threads(const struct lg_limits_place *place, struct lg_gc_facts *facts)
{
    char status[LG_PROC_TEXT];
    if (lg_proc_read(place->proc, "status", status, sizeof(status)) > 0)
        facts->huge_pages = lg_text_amount(status, "HugetlbPages");
    _cleanup_close_ int task = openat(place->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int again = task < 0 ? -1 : dup(task);
    _cleanup_(close_dirp) DIR *threads = again < 0 ? NULL : fdopendir(again);
    const struct dirent *entry;
    if (!threads)
        return;
    facts->gc_threads = facts->pinned = lg_amount(0);
    for (unsigned n = 0; n < THREADS_MAX && (entry = readdir(threads)); n++) {
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
            look_at_thread(task, entry->d_name, facts);
    }
}
