// Layouts that no descriptor tells, measured: of types that the DAC tells about, which words of their
// method tables hold what it says? (.NET 8 and older.)
//
//     MethodTable   flags | base size | flags2, token      the same since 3.1 (reference clr.md C.2)
//                   ... parent | module | EEClass or canonical method table | dictionaries, or element
//                   type
//     EEClass       ... method table
//
// A layout is believed if one place, and no other, holds for all the types asked about. From then on the
// DAC is not needed for a type of an object: the check that it is one is the same as with a descriptor,
// the EEClass that points back.
#include <string.h>

#include "clr/sources.h"
#include "clr/told.h"

enum {
    SAMPLES_MAX = 256,
    SAMPLES_MIN = 8,
    WORDS = 8, // of a MethodTable, before its vtable
    CLASS_WORDS = 12,
    TAGS = 3, // Of EEClass-or-canonical: which of the two it is.
};

struct sample {
    struct lg_dac_type told;
    uint64_t mt[WORDS], class[CLASS_WORDS];
    uint64_t canonical;
};
struct samples {
    struct lg_clr *clr;
    struct sample at[SAMPLES_MAX];
    size_t count, seen, step;
};

// ---- samples ----

static void take(void *data, uint32_t rid, uint64_t mt)
{
    struct samples *s = data;
    if (s->seen++ % s->step || s->count == SAMPLES_MAX)
        return;
    const struct lg_dac_type *told = lg_told_type(s->clr, mt);
    struct sample *sample = &s->at[s->count];
    if (!told || (told->token & 0xffffff) != rid)
        return;
    *sample = (struct sample){ .told = *told };
    s->count += lg_target_read_all(s->clr->target, mt, sample->mt, sizeof(sample->mt));
}

static void count_type(void *data, uint32_t rid, uint64_t mt)
{
    (*(size_t *)data)++;
}

// Of CoreLib's types, spread over all of them.
static struct lg_error *take_samples(struct lg_clr *clr, struct samples *s)
{
    size_t all = 0;
    const struct lg_dac_type *object = lg_told_type(clr, clr->info.object_mt);
    if (!object || !clr->from.module_types(clr, object->module, count_type, &all))
        return lg_error_new(LG_ERR_CORRUPT, "the DAC does not tell which types CoreLib has");
    s->clr = clr;
    s->step = all / SAMPLES_MAX + 1;
    clr->from.module_types(clr, object->module, take, s);
    if (s->count < SAMPLES_MIN)
        return lg_error_new(LG_ERR_CORRUPT, "the DAC tells of %zu of CoreLib's %zu types only", s->count,
                            all);
    return NULL;
}

// ---- places ----

typedef bool holds(const struct lg_clr *clr, struct sample *s, unsigned word);

static struct lg_error *find(const struct samples *s, const char *what, unsigned words, holds *test,
                             uint32_t *ret)
{
    unsigned found = 0;
    for (unsigned word = 0; word < words; word++) {
        size_t i = 0;
        while (i < s->count && test(s->clr, (struct sample *)&s->at[i], word))
            i++;
        if (i < s->count)
            continue;
        *ret = word * 8;
        found++;
    }
    if (found == 1)
        return NULL;
    return lg_error_new(LG_ERR_UNSUPPORTED, "%u places of a method table could be its %s, by %zu types",
                        found, what, s->count);
}

static bool is_parent(const struct lg_clr *clr, struct sample *s, unsigned word)
{
    return s->mt[word] == s->told.parent_mt;
}

static bool is_module(const struct lg_clr *clr, struct sample *s, unsigned word)
{
    return s->mt[word] == s->told.module;
}

static bool has_back_pointer(const struct sample *s)
{
    for (unsigned i = 0; i < CLASS_WORDS; i++) {
        if (s->class[i] == s->canonical)
            return true;
    }
    return false;
}

// Leaves the EEClass and the canonical method table behind, for the next. From .NET 9 on the DAC calls
// the canonical method table the class: then any that points back could be it.
static bool is_class(const struct lg_clr *clr, struct sample *s, unsigned word)
{
    uint64_t value = s->mt[word];
    bool is_tagged = value & TAGS;
    s->canonical = is_tagged ? value & ~(uint64_t)TAGS : s->told.mt;
    if ((is_tagged && !lg_target_u64(clr->target, s->canonical + 8 * (uint64_t)word, &value))
        || (value & 7) || value == 0
        || !lg_target_read_all(clr->target, value, s->class, sizeof(s->class)))
        return false;
    return s->told.ee_class == value || (s->told.ee_class == s->canonical && has_back_pointer(s));
}

static bool is_back_pointer(const struct lg_clr *clr, struct sample *s, unsigned word)
{
    return s->class[word] == s->canonical;
}

// object[] tells where arrays have their element: it is System.Object.
static struct lg_error *find_element(struct lg_clr *clr, uint32_t *ret)
{
    uint64_t mt[WORDS];
    unsigned found = 0;
    if (!lg_target_read_all(clr->target, clr->info.object_array_mt, mt, sizeof(mt)))
        return lg_error_new(LG_ERR_FAULT, "the method table of Object[] is not readable");
    for (unsigned word = 1; word < WORDS; word++) {
        if (mt[word] != clr->info.object_mt)
            continue;
        *ret = word * 8;
        found++;
    }
    if (found == 1)
        return NULL;
    return lg_error_new(LG_ERR_UNSUPPORTED, "%u places of Object[] could be its element type", found);
}

// The row of the token: 24 bits behind 8 of flags, or 16 behind 16.
static struct lg_error *find_rid(const struct samples *s, unsigned *ret)
{
    for (unsigned shift = 8; shift <= 16; shift += 8) {
        size_t i = 0;
        while (i < s->count && (uint32_t)s->at[i].mt[1] >> shift == (s->at[i].told.token & 0xffffff))
            i++;
        if (i < s->count)
            continue;
        *ret = shift;
        return NULL;
    }
    return lg_error_new(LG_ERR_UNSUPPORTED, "method tables do not tell their tokens");
}

// What has been the same since 3.1 is compared, too.
static struct lg_error *check_heads(const struct samples *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct sample *sample = &s->at[i];
        uint32_t flags = (uint32_t)sample->mt[0], base_size = (uint32_t)(sample->mt[0] >> 32);
        uint32_t component = flags & LG_MT_HAS_COMPONENT_SIZE ? flags & 0xffff : 0;
        if (base_size != sample->told.base_size || component != sample->told.component_size)
            return lg_error_new(
                LG_ERR_UNSUPPORTED,
                "method table %#jx: flags %#x and base size %u are not what the DAC says",
                (uintmax_t)sample->told.mt, flags, base_size);
    }
    return NULL;
}

// ---- all of them ----

// What no version has changed so far (reference clr.md C.1, C.2, D.3).
static void set_constants(struct lg_offsets *off)
{
    off->Object_m_pMethTab = 0;
    off->Array_m_NumComponents = 8;
    off->String_m_StringLength = 8;
    off->String_m_FirstChar = 12;
    off->MethodTable_MTFlags = 0;
    off->MethodTable_BaseSize = 4;
    off->MethodTable_MTFlags2 = 8;
    off->GenericsDictInfo_NumDicts = 4;
    off->GenericsDictInfo_NumTypeArgs = 6;
    off->TypeDesc_TypeAndFlags = 0;
}

static struct lg_error *measure(struct lg_clr *clr, struct samples *s)
{
    struct lg_offsets *off = &clr->off;
    const struct {
        const char *what;
        unsigned words;
        holds *test;
        uint32_t *ret;
    } places[] = {
        { "parent", WORDS, is_parent, &off->MethodTable_ParentMethodTable },
        { "module", WORDS, is_module, &off->MethodTable_Module },
        { "EEClass", WORDS, is_class, &off->MethodTable_EEClassOrCanonMT },
        { "EEClass's method table", CLASS_WORDS, is_back_pointer, &off->EEClass_MethodTable },
    };
    struct lg_error *err = check_heads(s);
    for (size_t i = 0; !err && i < sizeof(places) / sizeof(*places); i++) {
        err = find(s, places[i].what, places[i].words, places[i].test, places[i].ret);
        for (size_t k = 0; !err && k < s->count; k++)
            places[i].test(clr, &s->at[k], *places[i].ret / 8);
    }
    if (!err)
        err = find_element(clr, &off->MethodTable_PerInstInfo);
    return err ? err : find_rid(s, &clr->rid_shift);
}

struct lg_error *lg_clr_layouts_measure(struct lg_clr *clr)
{
    struct lg_error *err = clr->from.well_known(clr);
    if (err)
        return err;
    struct samples *s = calloc(1, sizeof(*s));
    if (!s)
        return &lg_no_memory;
    set_constants(&clr->off);
    clr->asks_for_modules = true;
    err = take_samples(clr, s);
    if (!err)
        err = measure(clr, s);
    free(s);
    return err ? lg_error_context(err, "layouts of runtime %s",
                                  clr->info.version ? clr->info.version : "(of unknown version)")
               : NULL;
}
