// Pages of the GC heap as streams of types, lengths and references (docs/format-snapshot.md, Pages).
//
// Both directions know of a type what a walk knows: its size, and where its references are. Encoding is
// told of one object after the other, over a run of the heap that begins and ends at objects; decoding
// gives the bytes of any page by itself, without values.
#ifndef LG_SNAPSHOT_PAGES_H
#define LG_SNAPSHOT_PAGES_H

#include "heap/heap_priv.h"
#include "snapshot/chunks.h"

enum {
    LG_PAGE_SIZE = 1 << 16,
    LG_PAGE_RECORD = 40,
    LG_RUN_RECORD = 24,
    LG_PAGE_SHAPES = 0,
    LG_PAGE_CONTENTS = 1,
};

// By code: what a type is called in streams.
struct lg_shape {
    const struct lg_type *type;
    const struct gc_desc *desc; // NULL: no references
};
struct lg_shapes {
    struct lg_shape *by_code;
    uint32_t count;
    uint32_t *code; // [count] by lg_type.id; for encoding
};

struct lg_page {
    uint64_t offset; // of its stream
    uint32_t length, checksum;
    uint64_t lead, lead_count; // The object that reaches into it from before; 0: none.
    uint32_t lead_code, kind;
};
void lg_page_write(const struct lg_page *page, uint8_t record[LG_PAGE_RECORD]);
struct lg_page lg_page_read(const uint8_t record[LG_PAGE_RECORD]);

// ---- encoding ----

struct lg_page_encoder {
    const struct lg_shapes *shapes;
    struct lg_target *contents; // where the bytes of pages of kind 1 come from; NULL: shapes only
    uint64_t start, end;        // of the page that is being made
    uint64_t at;                // behind the last object
    struct lg_page page;
    struct lg_bytes stream; // of all pages of the run
    LG_VEC(struct lg_page) pages;
    // The object that is being told of, and its last reference in this page.
    uint64_t object, count, before;
    uint32_t code;
    uint64_t nulls;
    bool failed;
};
// A run of the heap from `start` on. Reuses what was allocated for the one before.
void lg_page_encoder_begin(struct lg_page_encoder *encoder, uint64_t start);
// The next object, with its bytes as far as they are at hand. `walker` fetches the others.
void lg_page_encoder_add(struct lg_page_encoder *encoder, struct walker *walker,
                         const struct lg_seen *seen);
void lg_page_encoder_end(struct lg_page_encoder *encoder, uint64_t end);
void lg_page_encoder_deinit(struct lg_page_encoder *encoder);

// ---- decoding ----

// The bytes [start, end) of the heap, at most a page, from the stream of that page. False if the stream
// makes no sense.
bool lg_page_decode(const struct lg_shapes *shapes, const struct lg_page *page, const uint8_t *stream,
                    uint64_t start, uint64_t end, uint8_t *bytes);

#endif
