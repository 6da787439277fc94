// A checksum of bytes that finds what damage does to files (docs/format-snapshot.md), at some 10 GB/s.
// It is no defence against somebody who wants to deceive.
#ifndef LG_SNAPSHOT_CHECKSUM_H
#define LG_SNAPSHOT_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LG_CHECKSUM_LANES = 4 };

// One step, a bijection of `lane`: words that differ give lanes that differ.
static inline uint64_t lg_checksum_step(uint64_t lane, uint64_t word)
{
    lane ^= word;
    return (lane << 27 | lane >> 37) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t lg_checksum(const void *bytes, size_t len)
{
    static const uint64_t starts[LG_CHECKSUM_LANES] = { 0x243f6a8885a308d3, 0x13198a2e03707344,
                                                        0xa4093822299f31d0, 0x082efa98ec4e6c89 };
    const uint8_t *at = bytes;
    uint64_t lanes[LG_CHECKSUM_LANES], block[LG_CHECKSUM_LANES], left = len;
    memcpy(lanes, starts, sizeof(lanes));
    for (; left > 0; left -= left < sizeof(block) ? left : sizeof(block), at += sizeof(block)) {
        if (left < sizeof(block))
            memset(block, 0, sizeof(block));
        memcpy(block, at, left < sizeof(block) ? left : sizeof(block));
        for (int i = 0; i < LG_CHECKSUM_LANES; i++)
            lanes[i] = lg_checksum_step(lanes[i], block[i]);
    }
    uint64_t sum = lg_checksum_step(0, len);
    for (int i = 0; i < LG_CHECKSUM_LANES; i++)
        sum = lg_checksum_step(sum, lanes[i]);
    sum ^= sum >> 32;
    return sum * UINT64_C(0x9e3779b97f4a7c15);
}

#endif
