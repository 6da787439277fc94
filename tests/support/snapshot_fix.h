// Makes the checksums of a snapshot right again after bytes of it were changed, so that what lies behind
// them is reached. Its header, and its table of chunks, are as they were written.
#ifndef LG_TEST_SNAPSHOT_FIX_H
#define LG_TEST_SNAPSHOT_FIX_H

#include <stdlib.h>
#include <string.h>

#include "snapshot/checksum.h"
#include "snapshot/chunks.h"

static inline uint64_t snapshot_get(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline void snapshot_put(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static inline uint32_t snapshot_chunk_count(const uint8_t *file)
{
    uint32_t count;
    memcpy(&count, file + 12, sizeof(count));
    return count;
}

// { u32 id, u32 0, u64 offset, u64 size, u64 checksum }
static inline uint8_t *snapshot_entry(uint8_t *file, unsigned chunk)
{
    return file + snapshot_get(file + 24) + chunk * LG_CHUNKS_ENTRY;
}

static inline uint8_t *snapshot_find(uint8_t *file, const char name[4])
{
    for (unsigned i = 0; i < snapshot_chunk_count(file); i++) {
        if (memcmp(snapshot_entry(file, i), name, 4) == 0)
            return snapshot_entry(file, i);
    }
    abort();
}

// Pages have checksums of their own, in PAGE.
static inline void snapshot_fix_pages(uint8_t *file)
{
    uint8_t *pages = snapshot_find(file, "PAGE"), *heap = snapshot_find(file, "HEAP");
    for (uint64_t at = 0; at + 40 <= snapshot_get(pages + 16); at += 40) {
        uint8_t *record = file + snapshot_get(pages + 8) + at;
        uint64_t offset = snapshot_get(record), length = snapshot_get(record + 8) & UINT32_MAX;
        if (offset > snapshot_get(heap + 16) || length > snapshot_get(heap + 16) - offset)
            continue;
        uint32_t sum = (uint32_t)lg_checksum(file + snapshot_get(heap + 8) + offset, length);
        memcpy(record + 12, &sum, sizeof(sum));
    }
}

static inline void snapshot_fix(uint8_t *file)
{
    uint32_t count = snapshot_chunk_count(file);
    snapshot_fix_pages(file);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *chunk = snapshot_entry(file, i);
        if (memcmp(chunk, "HEAP", 4) != 0)
            snapshot_put(chunk + 24,
                         lg_checksum(file + snapshot_get(chunk + 8), snapshot_get(chunk + 16)));
    }
    snapshot_put(file + 32, lg_checksum(snapshot_entry(file, 0), count * (size_t)LG_CHUNKS_ENTRY));
    snapshot_put(file + 40, lg_checksum(file, 40));
}

#endif
