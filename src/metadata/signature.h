// The atoms of signatures (ECMA-335 II.23.2), on a bounded reader.
#ifndef LG_METADATA_SIGNATURE_H
#define LG_METADATA_SIGNATURE_H

#include "util/reader.h"

// A number in one, two or four bytes, as its first bits say (II.23.2). 0 and `failed` when it is not
// all there.
static inline uint32_t lg_sig_number(struct lg_reader *r)
{
    uint32_t a = lg_read_u8(r);
    if (!(a & 0x80))
        return a;
    uint32_t b = lg_read_u8(r);
    if (!(a & 0x40))
        return r->failed ? 0 : (a & 0x3f) << 8 | b;
    uint32_t c = lg_read_u8(r), d = lg_read_u8(r);
    return r->failed ? 0 : (a & 0x1f) << 24 | b << 16 | c << 8 | d;
}

// A TypeDef, TypeRef or TypeSpec as a token; 0 if it is none.
static inline uint32_t lg_sig_token(struct lg_reader *r)
{
    static const uint32_t tables[] = { 0x02000000, 0x01000000, 0x1b000000, 0 };
    uint32_t n = lg_sig_number(r), table = tables[n & 3];
    return table && n >> 2 <= 0xffffff ? table | n >> 2 : 0;
}

// Custom modifiers (cmod_opt, cmod_reqd with their token), `pinned` and `sentinel` say nothing about a
// type's name. Returns the element type that follows them.
static inline uint8_t lg_sig_element(struct lg_reader *r)
{
    uint8_t element = lg_read_u8(r);
    while (element == 0x1f || element == 0x20 || element == 0x45 || element == 0x41) {
        if (element < 0x40)
            lg_sig_token(r);
        element = lg_read_u8(r);
    }
    return element;
}

#endif
