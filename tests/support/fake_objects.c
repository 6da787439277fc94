#include "support/fake_objects.h"

#include <string.h>

// The references of a type lie before its method table: the count of series, then offset and size of
// each, which is less the object's base size (dotnet/runtime src/coreclr/gc/gcdesc.h, CGCDesc).
static void add_gc_desc(struct lg_target *t, uint64_t mt, uint64_t offset, uint64_t size)
{
    fake_u64(t, mt - 8, 1);
    fake_u64(t, mt - 16, offset);
    fake_u64(t, mt - 24, size);
}

static void add_string(struct lg_target *t, uint64_t at, const char *s)
{
    uint32_t len = (uint32_t)strlen(s);
    fake_zeros(t, at, FO_TURN - FO_STRING);
    fake_u64(t, at, FT_STRING);
    fake_u32(t, at + 8, len);
    for (uint32_t i = 0; i < len; i++)
        fake_u16(t, at + 12 + 2 * i, (uint16_t)s[i]);
}

static void add_turn(struct lg_target *t, uint64_t at, uint64_t next)
{
    fake_zeros(t, at, FO_TURN);
    fake_u64(t, at, FT_OBJECT_ARRAY);
    fake_u64(t, at + 8, 3);
    fake_u64(t, at + 16, next);
    fake_u64(t, at + 24, at + FO_NODE);
    fake_u64(t, at + 32, at + FO_STRING);
    fake_u64(t, at + FO_NODE, FT_MT(FT_NODE));
    fake_u64(t, at + FO_NODE + 8, next);
    add_string(t, at + FO_STRING, "fake text");
}

static void add_free(struct lg_target *t, uint64_t start, uint64_t end)
{
    fake_zeros(t, start, end - start);
    fake_u64(t, start, FR_METHOD_TABLES + 0x300);
    fake_u64(t, start + 8, end - start - 24);
}

static void add_objects(struct lg_target *t, uint64_t heap, uint64_t segment)
{
    uint64_t start = FR_MEMORY(heap, segment), at = start;
    for (uint64_t i = 0; i < FO_TURNS; i++, at += FO_TURN)
        add_turn(t, at, i + 1 < FO_TURNS ? at + FO_TURN : 0);
    if (heap > 0 || segment > 0) {
        add_free(t, at, start + FR_USED);
        return;
    }
    // Generation 0 has two allocation contexts in it, each with room for 24 bytes behind its limit; with
    // the segments GC generations begin at 0x1000 and 0x2000.
    add_free(t, at, start + 0x1000);
    add_free(t, start + 0x1000, start + 0x2000);
    add_free(t, start + 0x2000, start + 0x3000);
    add_free(t, start + 0x3000 + 24, start + 0x4000);
    add_free(t, start + 0x5000 + 24, start + 0x6000);
    add_free(t, start + 0x6000, start + FR_USED);
}

struct lg_target *fake_runtime_with_objects(unsigned flags)
{
    struct lg_target *t = fake_runtime(flags);
    fake_types_add(t);
    add_gc_desc(t, FT_OBJECT_ARRAY, 16, (uint64_t)-24);
    add_gc_desc(t, FT_MT(FT_NODE), 8, (uint64_t)(8 - 48));
    for (uint64_t heap = 0; heap < (flags & FAKE_SERVER_GC ? 2 : 1); heap++) {
        for (uint64_t segment = 0; segment < FR_SEGMENT_COUNT; segment++) {
            if (heap == 0 || segment != FR_FOH)
                add_objects(t, heap, segment);
        }
    }
    fake_u64(t, FT_STATICS + 16, FR_MEMORY(0, 2) + FO_NODE);
    return t;
}
