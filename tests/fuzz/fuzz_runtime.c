// Any words that linger reads of a runtime, of its types and of its heap, replaced by any values:
// opening is refused, or all that can be asked is answered within bounds, and clr.h's promises hold.
//
//     u8 which fake runtime | u8 what is asked | edit | edit | …      edit: u16 word, u8 kind, u8 arg,
//     u64 value
//
// Words are those that a run over the undamaged runtime reads. Kinds make what random bytes seldom hit:
// values that break whoever trusts them, and addresses and contents of other words, of which lists are
// made that bite their tails. One kind changes a character of the data descriptor: other offsets, all of
// them believable. libFuzzer's mutations are edits, too.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fake_objects.h"
#include "support/line.h"
#include "support/promises.h"
#include "util/reader.h"

enum { HEAD = 2, EDIT = 12, EDITS_MAX = 32, WORDS_MAX = 1 << 16, FLAGS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
// libFuzzer's; the replay of a corpus mutates nothing.
__attribute__((__weak__)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

// ---- what is asked ----

static void must(bool condition)
{
    if (!condition)
        abort();
}

static const char *const lines[] = {
    "dumpheap -stat",
    "gcroot 7e0000020308",
    "dumpobj 7e0000020000",
    "dumpobj 7e0000020030",
    "eeheap",
    "dumparray 7e0000020000",
    "finalizequeue",
    "gchandles",
    "clrthreads",
    "dumpstackobjects",
    "modules",
    "dumpalc",
    "dumpdomain",
    "retained -top 5",
    "dumpheap -strings -stat",
};
enum { LINES = sizeof(lines) / sizeof(*lines) };

static void ask(struct lg_session *session, unsigned what)
{
    _cleanup_(lg_report_freep) struct lg_report *report = NULL;
    const struct lg_type_stats *stats;
    const struct lg_walk_result *walk;
    const struct lg_roots *roots;
    if (what % (2 * LINES) < LINES) {
        lg_error_free(run_line(session, lines[what % LINES], &report));
        return;
    }
    lg_error_free(lg_session_stats(session, &stats, &walk));
    must(!broken_promise(lg_session_clr(session)));
    lg_error_free(lg_session_roots(session, &roots));
}

static void open_and_ask(struct lg_target *target, unsigned what)
{
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    must(session);
    struct lg_error *err = lg_session_use_dac(session, "none");
    must(!err);
    err = lg_session_adopt(session, target);
    if (!err)
        ask(session, what);
    lg_error_free(err);
}

// ---- words ----

struct pattern {
    struct lg_target *fake;
    uint64_t text_len; // of the descriptor
    uint64_t words[WORDS_MAX];
    size_t len;
};

// Images have targets of their own, and the descriptor's text has a kind.
static bool is_structure(uint64_t address)
{
    return !(address >= FR_IMAGE && address < FR_IMAGE + FAKE_IMAGE_FREE)
           && !(address >= FR_JSON && address < FR_JSON + 0x10000)
           && !(address >= FT_IMAGE(0) && address < FT_IMAGE(2));
}

// What is read by the page is a heap or a stack: its zeros are nobody's.
static void note_words(void *data, uint64_t address, size_t len)
{
    struct pattern *pattern = data;
    for (uint64_t at = address & ~UINT64_C(7); at < address + len; at += 8) {
        uint64_t value;
        bool there = is_structure(at) && lg_target_u64(pattern->fake, at, &value);
        if (there && (value || len < 1024) && pattern->len < WORDS_MAX)
            pattern->words[pattern->len++] = at;
    }
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void keep_each_once(struct pattern *pattern)
{
    size_t kept = 0;
    qsort(pattern->words, pattern->len, sizeof(*pattern->words), by_value);
    for (size_t i = 0; i < pattern->len; i++) {
        if (kept == 0 || pattern->words[kept - 1] != pattern->words[i])
            pattern->words[kept++] = pattern->words[i];
    }
    pattern->len = kept;
}

static struct pattern *pattern_of(unsigned flags)
{
    static struct pattern all[FLAGS];
    struct pattern *pattern = &all[flags];
    if (pattern->fake)
        return pattern;
    pattern->fake = fake_runtime_with_objects(flags);
    uint32_t len;
    must(lg_target_u32(pattern->fake, FR_DESCRIPTOR + 12, &len) && len > 8);
    pattern->text_len = len & ~7u;
    for (unsigned what = 0; what <= LINES; what++) {
        open_and_ask(fake_view(pattern->fake, note_words, pattern), what);
        keep_each_once(pattern);
    }
    must(pattern->len > 0 && pattern->len < WORDS_MAX / 2);
    return pattern;
}

// ---- edits ----

enum kind { VALUE, HOSTILE, HOSTILE_HALF, SHORT, BIT, NEAR, ADDRESS, CONTENT, SELF, GONE, TEXT, KINDS };

static uint64_t with_bytes(uint64_t word, unsigned at, const void *bytes, size_t len)
{
    memcpy((uint8_t *)&word + at, bytes, len);
    return word;
}

// Digits mostly: what else is a descriptor that does not parse.
static uint64_t edited_text(uint64_t word, unsigned at, unsigned choice)
{
    static const char characters[] = "0123456789012345678901234567890123456789-,:[]\"";
    return with_bytes(word, at, &characters[choice % (sizeof(characters) - 1)], 1);
}

static uint64_t edited(const struct pattern *p, uint64_t at, unsigned kind, uint8_t arg, uint64_t value)
{
    uint64_t word = 0, other = p->words[value % p->len];
    uint64_t hostile = fake_hostile[arg % fake_hostile_count];
    lg_target_u64(p->fake, at, &word);
    switch (kind) {
    case HOSTILE:
        return hostile;
    case HOSTILE_HALF:
        return with_bytes(word, value % 2 * 4, &hostile, 4);
    case SHORT:
        return with_bytes(word, arg % 7, &value, 1 + (arg >> 7));
    case BIT:
        return word ^ UINT64_C(1) << arg % 64;
    case NEAR:
        return word + (uint64_t)(int64_t)(int8_t)arg * (value % 2 ? 8 : 1);
    case ADDRESS:
        return other + arg % 16;
    case CONTENT:
        lg_target_u64(p->fake, other, &word);
        return word;
    case TEXT:
        return edited_text(word, arg % 8, arg / 8);
    case SELF:
        return at + arg % 16;
    default:
        return value;
    }
}

struct undo {
    uint64_t at[EDITS_MAX], before[EDITS_MAX];
    size_t len;
};

static void edit(const struct pattern *p, struct lg_reader *r, struct undo *undo)
{
    while (undo->len < EDITS_MAX && lg_reader_left(r) >= EDIT) {
        uint64_t at = p->words[lg_read_u16(r) % p->len];
        unsigned kind = lg_read_u8(r) % KINDS;
        uint8_t arg = lg_read_u8(r);
        uint64_t seed = lg_read_u64(r), before;
        at = kind == TEXT ? FR_JSON + (seed % p->text_len & ~UINT64_C(7)) : at;
        uint64_t value = edited(p, at, kind, arg, seed);
        if (!lg_target_u64(p->fake, at, &before)) // Gone by an earlier edit.
            continue;
        undo->at[undo->len] = at;
        undo->before[undo->len++] = before;
        if (kind == GONE)
            fake_forget(p->fake, at, 8);
        else
            fake_u64(p->fake, at, value);
    }
}

static void put_back(const struct pattern *p, const struct undo *undo)
{
    for (size_t i = undo->len; i-- > 0;)
        fake_u64(p->fake, undo->at[i], undo->before[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lg_reader r = lg_reader(data, size);
    unsigned choice = lg_read_u8(&r), what = lg_read_u8(&r);
    struct undo undo = { .len = 0 };
    static bool is_one;
    if (!is_one)
        use_one_processor();
    is_one = true;
    struct pattern *pattern = pattern_of(choice % FLAGS); // Neither, Server GC, segments.
    edit(pattern, &r, &undo);
    // What cannot be read of a core is treated apart.
    pattern->fake->kind = choice & 0x80 ? LG_TARGET_CORE : LG_TARGET_FAKE;
    open_and_ask(fake_view(pattern->fake, NULL, NULL), what);
    put_back(pattern, &undo);
    return 0;
}

// ---- mutations ----

static unsigned roll(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    return *state >> 8;
}

static size_t mutate_edits(uint8_t *data, size_t size, size_t most, unsigned *state)
{
    size_t count = (size - HEAD) / EDIT;
    uint8_t *at = data + HEAD + (count ? roll(state) % count : 0) * EDIT;
    unsigned how = count ? roll(state) % 8 : 0;
    if (how <= 1 && count < EDITS_MAX && size + EDIT <= most) { // One more, or the same elsewhere.
        uint8_t *new = data + HEAD + count *EDIT;
        for (unsigned i = 0; i < EDIT; i++)
            new[i] = how == 1 && i > 1 ? at[i] : (uint8_t)roll(state);
        return HEAD + (count + 1) * EDIT;
    }
    if (how == 2 && count > 1) { // One less.
        memmove(at, at + EDIT, (size_t)(data + HEAD + count * EDIT - at - EDIT));
        return HEAD + (count - 1) * EDIT;
    }
    if (how == 3) // A neighbour.
        at[0] = (uint8_t)(at[0] + roll(state) % 9 - 4);
    else if (how == 4)
        at[2] = (uint8_t)roll(state);
    else if (how == 5)
        at[3] = (uint8_t)roll(state);
    else
        LLVMFuzzerMutate(at + (how == 6 ? 4 : 0), how == 6 ? 8 : EDIT, how == 6 ? 8 : EDIT);
    return HEAD + count * EDIT;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    unsigned state = seed;
    if (most < HEAD)
        return LLVMFuzzerMutate(data, size, most);
    if (size < HEAD)
        memset(data + size, 0, HEAD - size);
    size = size < HEAD ? HEAD : size;
    if (roll(&state) % 8 == 0)
        data[roll(&state) % HEAD] = (uint8_t)roll(&state);
    return mutate_edits(data, size, most, &state);
}
