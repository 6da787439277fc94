// The memory of a snapshot: pages of the heap made of their streams, and the memos.
//
// A page takes some 20 us to make. Whole pages, as a walk reads them, are made where they are wanted;
// of single words the last pages are kept.
#include "snapshot/snapshot_priv.h"
#include "util/search.h"

static const struct run *run_at(const struct lg_snapshot *snapshot, uint64_t address)
{
    size_t low = lg_first_not(snapshot->runs.len, i, snapshot->runs.at[i].start <= address);
    const struct run *run = low > 0 ? &snapshot->runs.at[low - 1] : NULL;
    return run && address < run->end ? run : NULL;
}

bool snapshot_decode(struct lg_snapshot *snapshot, const struct run *run, uint64_t page, uint8_t *bytes)
{
    struct lg_page record = lg_page_read(snapshot->pages + page * LG_PAGE_RECORD);
    uint64_t start = run->start + (page - run->page) * LG_PAGE_SIZE;
    uint64_t end = run->end - start < LG_PAGE_SIZE ? run->end : start + LG_PAGE_SIZE;
    uint64_t none = 0;
    bool is_there = record.length <= snapshot->heap.size;
    _cleanup_free_ uint8_t *stream = is_there ? malloc((size_t)record.length + 1) : NULL;
    if (stream && lg_chunk_part_read(&snapshot->heap, record.offset, stream, record.length)
        && lg_page_decode(&snapshot->shapes, &record, stream, start, end, bytes)) {
        memos_overlay(&snapshot->memos, start, bytes, (size_t)(end - start));
        return true;
    }
    atomic_compare_exchange_strong(&snapshot->damaged, &none, page + 1);
    return false;
}

static bool copy_cached(struct lg_snapshot *snapshot, const struct run *run, uint64_t page,
                        size_t offset, void *buf, size_t len)
{
    struct cached *cached = &snapshot->cached[page % CACHED];
    bool ok = true;
    pthread_mutex_lock(&cached->lock);
    if (cached->page != page + 1) {
        if (!cached->bytes)
            cached->bytes = malloc(LG_PAGE_SIZE);
        ok = cached->bytes && snapshot_decode(snapshot, run, page, cached->bytes);
        cached->page = ok ? page + 1 : 0;
    }
    if (ok)
        memcpy(buf, cached->bytes + offset, len);
    pthread_mutex_unlock(&cached->lock);
    return ok;
}

// What of [address, address + len) lies in one page, one blank, or one memo.
static size_t read_part(struct lg_snapshot *snapshot, uint64_t address, uint8_t *buf, size_t len)
{
    const struct run *run = run_at(snapshot, address);
    size_t blank;
    if (!run && (blank = blanks_length(&snapshot->blanks, address, len)) > 0) {
        memset(buf, 0, blank);
        memos_overlay(&snapshot->memos, address, buf, blank);
        return blank;
    }
    if (!run) {
        const struct memo *memo = memos_find(&snapshot->memos, address);
        uint64_t left = memo ? memo->length - (address - memo->address) : 0;
        size_t n = left < len ? (size_t)left : len;
        if (n > 0)
            memcpy(buf, memo->bytes + (address - memo->address), n);
        return n;
    }
    uint64_t page = (address - run->start) / LG_PAGE_SIZE;
    uint64_t start = run->start + page * LG_PAGE_SIZE, end = start + LG_PAGE_SIZE;
    end = run->end < end ? run->end : end;
    size_t n = end - address < len ? (size_t)(end - address) : len;
    bool is_whole = address == start && n == end - start;
    bool ok = is_whole ? snapshot_decode(snapshot, run, run->page + page, buf)
                       : copy_cached(snapshot, run, run->page + page, (size_t)(address - start), buf, n);
    return ok ? n : 0;
}

bool snapshot_knows(struct lg_target *target, uint64_t address, size_t len)
{
    return memos_cover(&((struct lg_snapshot *)target)->memos, address, len);
}

size_t snapshot_read(struct lg_target *target, uint64_t address, void *buf, size_t len)
{
    struct lg_snapshot *snapshot = (struct lg_snapshot *)target;
    size_t done = 0, n = 1;
    while (done < len && n > 0 && address + done >= address) {
        n = read_part(snapshot, address + done, (uint8_t *)buf + done, len - done);
        done += n;
    }
    return done;
}
