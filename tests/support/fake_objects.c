#include "support/fake_objects.h"

#include <string.h>

enum { OBJECT, STRING, ARRAY, FREE };

// One turn of a chain: an array of three, an object, a string.
enum { ARRAY_SIZE = 40, OBJECT_SIZE = 24, STRING_SIZE = 40, TURN = 104, TURNS = 20 };

static uint64_t method_table(int type)
{
    return FR_METHOD_TABLES + 0x100 * (uint64_t)type;
}

// MethodTable.EEClassOrCanonMT 40, EEClass.MethodTable 16, as in the descriptor of 10.0.9.
static void add_classes(struct lg_target *t)
{
    for (int type = OBJECT; type <= ARRAY; type++) {
        uint64_t ee_class = FO_CLASSES + 0x100 * (uint64_t)type;
        fake_zeros(t, ee_class, 128);
        fake_u64(t, ee_class + 16, method_table(type));
        fake_u64(t, method_table(type) + 40, ee_class);
    }
    // A GCDesc of one series that repeats, in front of Object[]'s: size and offset, and the count of
    // series (gcdesc.h, CGCDesc).
    fake_u64(t, method_table(ARRAY) - 8, 1);
    fake_u64(t, method_table(ARRAY) - 16, 16);
    fake_u64(t, method_table(ARRAY) - 24, (uint64_t)-24);
}

static void add_string(struct lg_target *t, uint64_t at, const char *s)
{
    uint32_t len = (uint32_t)strlen(s);
    fake_zeros(t, at, STRING_SIZE);
    fake_u64(t, at, method_table(STRING));
    fake_u32(t, at + 8, len);
    for (uint32_t i = 0; i < len; i++)
        fake_u16(t, at + 12 + 2 * i, (uint16_t)s[i]);
}

static void add_turn(struct lg_target *t, uint64_t at, uint64_t next)
{
    fake_u64(t, at, method_table(ARRAY));
    fake_u64(t, at + 8, 3);
    fake_u64(t, at + 16, next);
    fake_u64(t, at + 24, at + ARRAY_SIZE);
    fake_u64(t, at + 32, at + ARRAY_SIZE + OBJECT_SIZE);
    fake_zeros(t, at + ARRAY_SIZE, OBJECT_SIZE);
    fake_u64(t, at + ARRAY_SIZE, method_table(OBJECT));
    add_string(t, at + ARRAY_SIZE + OBJECT_SIZE, "fake text");
}

static void add_free(struct lg_target *t, uint64_t start, uint64_t end)
{
    fake_zeros(t, start, end - start);
    fake_u64(t, start, method_table(FREE));
    fake_u64(t, start + 8, end - start - 24);
}

static void add_objects(struct lg_target *t, uint64_t heap, uint64_t segment)
{
    uint64_t start = FR_MEMORY(heap, segment), at = start;
    for (uint64_t i = 0; i < TURNS; i++, at += TURN)
        add_turn(t, at, i + 1 < TURNS ? at + TURN : 0);
    if (heap > 0 || segment > 0) {
        add_free(t, at, start + FR_USED);
        return;
    }
    // Generation 0 has two allocation contexts in it, each with room for 24 bytes behind its limit.
    add_free(t, at, start + 0x3000);
    add_free(t, start + 0x3000 + 24, start + 0x4000);
    add_free(t, start + 0x5000 + 24, start + 0x6000);
    add_free(t, start + 0x6000, start + FR_USED);
}

uint64_t fake_chain(uint64_t heap, uint64_t segment, uint64_t i)
{
    return FR_MEMORY(heap, segment) + TURN * i;
}

struct lg_target *fake_runtime_with_objects(unsigned flags)
{
    struct lg_target *t = fake_runtime(flags);
    add_classes(t);
    for (uint64_t heap = 0; heap < (flags & FAKE_SERVER_GC ? 2 : 1); heap++) {
        for (uint64_t segment = 0; segment < FR_SEGMENT_COUNT; segment++) {
            if (heap == 0 || segment != FR_FOH)
                add_objects(t, heap, segment);
        }
    }
    return t;
}
