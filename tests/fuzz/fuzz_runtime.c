// Any words of a runtime's structures, of its types and of its heap replaced by any values: opening is
// refused, or walk, graph, roots, handles and queues end, within bounds.
//
//     u8 flags of the fake runtime | u16 word, u8 kind, then for kind 0 u64 value | u16 word, u8 kind |
//     …
//
// Kinds make what random bytes seldom hit: values that break whoever trusts them, and addresses of
// other words, of which lists that bite their tails are made.
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session.h"
#include "support/fake_objects.h"
#include "support/fake_runtime.h"
#include "util/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EDITS_MAX = 32, WORDS_MAX = 1 << 16 };

// The addresses of all words; the same for each fake of these flags.
struct words {
    uint64_t at[WORDS_MAX];
    size_t len;
};

// Images and the descriptor's text have targets of their own.
static bool is_structure(uint64_t address)
{
    return !(address >= FR_IMAGE && address < FR_IMAGE + FAKE_IMAGE_FREE)
           && !(address >= FR_JSON && address < FR_JSON + 0x10000);
}

static const struct words *words_of(unsigned flags)
{
    static struct words all[4];
    struct words *words = &all[flags];
    if (words->len > 0)
        return words;
    struct lg_target *fake = fake_runtime_with_objects(flags);
    for (size_t i = 0; i < fake->ranges.len; i++) {
        const struct lg_range *range = &fake->ranges.at[i];
        uint64_t value;
        for (uint64_t at = range->start; at < range->end && words->len < WORDS_MAX; at += 8) {
            if (is_structure(at) && lg_target_u64(fake, at, &value))
                words->at[words->len++] = at;
        }
    }
    lg_target_free(fake);
    return words;
}

static void edit(struct lg_target *fake, const struct words *words, struct lg_reader *r)
{
    for (unsigned i = 0; i < EDITS_MAX && lg_reader_left(r) >= 3; i++) {
        uint64_t at = words->at[lg_read_u16(r) % words->len];
        uint8_t kind = lg_read_u8(r);
        uint64_t value = kind == 0                    ? lg_read_u64(r)
                         : kind <= fake_hostile_count ? fake_hostile[kind - 1]
                         : kind < 128                 ? at
                                                      : words->at[lg_read_u16(r) % words->len];
        fake_u64(fake, at, value);
    }
}

// One processor: what goes wrong goes wrong again.
static void use_one_processor(void)
{
    static bool done;
    cpu_set_t one;
    if (done)
        return;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
    done = true;
}

static void ask_everything(struct lg_session *session)
{
    struct lg_clr *clr = lg_session_clr(session);
    const struct lg_handle *handles;
    const struct lg_finalizer_queue *queues;
    const struct lg_module *const *modules;
    const struct lg_native_heap *native;
    const struct lg_type_stats *stats;
    const struct lg_walk_result *walk;
    const struct lg_roots *roots;
    size_t count;
    lg_error_free(lg_clr_handles(clr, &handles, &count));
    lg_error_free(lg_clr_finalizer_queues(clr, &queues, &count));
    lg_error_free(lg_clr_modules(clr, &modules, &count));
    lg_error_free(lg_clr_native_heaps(clr, &native, &count));
    struct lg_error *err = lg_session_stats(session, &stats, &walk);
    for (uint32_t i = 0; !err && i < stats->type_count; i++)
        lg_clr_type_name(clr, lg_clr_type_at(clr, i));
    lg_error_free(err);
    lg_error_free(lg_session_roots(session, &roots));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lg_reader r = lg_reader(data, size);
    unsigned choice = lg_read_u8(&r);
    unsigned flags = choice % 3; // Neither, Server GC, segments.
    use_one_processor();
    struct lg_target *fake = fake_runtime_with_objects(flags);
    edit(fake, words_of(flags), &r);
    if (choice & 0x80) // What cannot be read of a core is treated apart.
        fake->kind = LG_TARGET_CORE;
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    struct lg_error *err = session ? lg_session_adopt(session, fake) : NULL;
    if (!err && session)
        ask_everything(session);
    lg_error_free(err);
    return 0;
}
