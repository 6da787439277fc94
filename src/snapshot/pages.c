#include "snapshot/pages.h"

#include "snapshot/checksum.h"
#include "snapshot/tables.h"

enum { CODE_NULL, CODE_WORD, CODE_NULLS, CODE_DELTA }; // Of references.

void lg_page_write(const struct lg_page *page, uint8_t record[LG_PAGE_RECORD])
{
    memcpy(record, &page->offset, 8);
    memcpy(record + 8, &page->length, 4);
    memcpy(record + 12, &page->checksum, 4);
    memcpy(record + 16, &page->lead, 8);
    memcpy(record + 24, &page->lead_count, 8);
    memcpy(record + 32, &page->lead_code, 4);
    memcpy(record + 36, &page->kind, 4);
}

struct lg_page lg_page_read(const uint8_t record[LG_PAGE_RECORD])
{
    struct lg_page page;
    memcpy(&page.offset, record, 8);
    memcpy(&page.length, record + 8, 4);
    memcpy(&page.checksum, record + 12, 4);
    memcpy(&page.lead, record + 16, 8);
    memcpy(&page.lead_count, record + 24, 8);
    memcpy(&page.lead_code, record + 32, 4);
    memcpy(&page.kind, record + 36, 4);
    return page;
}

static uint64_t stride_of(uint64_t size)
{
    return (size + 7) & ~UINT64_C(7);
}

// The runs of references of an object that lie in [from, to), offsets from the object's start.
struct slots {
    const struct gc_desc *desc;
    uint64_t size, from, to;
    struct gc_cursor cursor;
};

static struct slots slots_in(const struct gc_desc *desc, uint64_t size, uint64_t from, uint64_t to)
{
    struct slots slots = { desc, size, from, to, { 0 } };
    // Of a long array of structs the elements before are passed over at once.
    if (desc->repeats && from > desc->first)
        slots.cursor.at = desc->first + (from - desc->first) / desc->element * desc->element;
    return slots;
}

static bool next_slots(struct slots *slots, uint64_t *from_ret, uint64_t *to_ret)
{
    uint64_t from, to;
    while (gc_desc_next(slots->desc, slots->size, &slots->cursor, &from, &to)) {
        if (slots->desc->repeats && from >= slots->to)
            return false;
        from = from < slots->from ? slots->from : from;
        to = to > slots->to ? slots->to : to;
        if (from % 8 != 0 || from >= to || to - from < 8)
            continue;
        *from_ret = from;
        *to_ret = to;
        return true;
    }
    return false;
}

// ---- encoding ----

static void flush_nulls(struct lg_page_encoder *encoder)
{
    if (encoder->nulls == 1)
        lg_bytes_varint(&encoder->stream, CODE_NULL);
    if (encoder->nulls > 1) {
        lg_bytes_varint(&encoder->stream, CODE_NULLS);
        lg_bytes_varint(&encoder->stream, encoder->nulls - 2);
    }
    encoder->nulls = 0;
}

static void open_page(struct lg_page_encoder *encoder, uint64_t start)
{
    encoder->start = start;
    encoder->end = start + LG_PAGE_SIZE;
    encoder->before = 0;
    encoder->page = (struct lg_page){ .offset = encoder->stream.len };
    if (encoder->object && encoder->at > start) {
        encoder->page.lead = encoder->object;
        encoder->page.lead_count = encoder->count;
        encoder->page.lead_code = encoder->code;
    }
}

static void fetch_contents(struct lg_page_encoder *encoder, uint64_t end)
{
    uint8_t bytes[LG_PAGE_SIZE];
    size_t len = (size_t)(end - encoder->start);
    if (!lg_target_read_all(encoder->contents, encoder->start, bytes, len))
        return; // Then its shapes are all there is.
    encoder->stream.len = encoder->page.offset;
    lg_bytes_add(&encoder->stream, bytes, len);
    encoder->page.kind = LG_PAGE_CONTENTS;
}

static void close_page(struct lg_page_encoder *encoder, uint64_t end)
{
    struct lg_page *page = &encoder->page;
    flush_nulls(encoder);
    if (encoder->contents && !encoder->stream.failed)
        fetch_contents(encoder, end);
    page->length = (uint32_t)(encoder->stream.len - page->offset);
    if (encoder->stream.failed)
        encoder->failed = true;
    else
        page->checksum = (uint32_t)lg_checksum(encoder->stream.at + page->offset, page->length);
    encoder->failed |= !lg_vec_push(&encoder->pages, *page);
}

// Up to the page that `address` is in.
static void turn_to(struct lg_page_encoder *encoder, uint64_t address)
{
    while (address >= encoder->end && !encoder->failed) {
        close_page(encoder, encoder->end);
        open_page(encoder, encoder->end);
    }
}

static void add_reference(struct lg_page_encoder *encoder, uint64_t slot, uint64_t value)
{
    if (value == 0) {
        encoder->nulls++;
        return;
    }
    flush_nulls(encoder);
    int64_t delta = (int64_t)(value - (encoder->before ? encoder->before : slot));
    encoder->before = value;
    if (delta & 7) {
        lg_bytes_varint(&encoder->stream, CODE_WORD);
        lg_bytes_add(&encoder->stream, &value, sizeof(value));
        return;
    }
    delta >>= 3;
    lg_bytes_varint(&encoder->stream, ((uint64_t)delta << 1 ^ (uint64_t)(delta >> 63)) + CODE_DELTA);
}

// All references of a long object, page after page: they come in ascending order.
static void add_run(void *self, uint64_t offset, const uint8_t *values, size_t count)
{
    struct lg_page_encoder *encoder = self;
    uint64_t slot = encoder->object + offset;
    for (size_t i = 0; i < count && slot % 8 == 0; i++, slot += 8) {
        turn_to(encoder, slot);
        if (slot >= encoder->start)
            add_reference(encoder, slot, lg_load_u64(values + 8 * i));
    }
}

// References of an object whose bytes are at hand, as far as they lie in the current page.
static void add_at_hand(struct lg_page_encoder *encoder, const struct gc_desc *desc,
                        const struct lg_seen *seen)
{
    uint64_t address = seen->object.address, from, to;
    uint64_t low = encoder->start > address ? encoder->start - address : 0;
    struct slots slots = slots_in(desc, seen->object.size, low, encoder->end - address);
    while (next_slots(&slots, &from, &to)) {
        for (; to - from >= 8; from += 8)
            add_reference(encoder, address + from, lg_load_u64(seen->bytes + from));
    }
}

static void add_references(struct lg_page_encoder *encoder, struct walker *walker,
                           const struct gc_desc *desc, const struct lg_seen *seen)
{
    if (seen->available < seen->object.size) {
        lg_seen_references(walker, seen, desc, add_run, encoder);
        return;
    }
    add_at_hand(encoder, desc, seen);
    while (encoder->at > encoder->end && !encoder->failed) {
        close_page(encoder, encoder->end);
        open_page(encoder, encoder->end);
        add_at_hand(encoder, desc, seen);
    }
}

void lg_page_encoder_begin(struct lg_page_encoder *encoder, uint64_t start)
{
    encoder->stream.len = 0;
    encoder->pages.len = 0;
    encoder->object = 0;
    encoder->at = start;
    encoder->nulls = 0;
    open_page(encoder, start);
}

void lg_page_encoder_add(struct lg_page_encoder *encoder, struct walker *walker,
                         const struct lg_seen *seen)
{
    const struct lg_object *object = &seen->object;
    if (object->type->id >= encoder->shapes->count) { // Nobody has met it before: not the same heap.
        encoder->failed = true;
        return;
    }
    uint32_t code = encoder->shapes->code[object->type->id];
    const struct lg_shape *shape = &encoder->shapes->by_code[code];
    turn_to(encoder, object->address);
    uint64_t at = encoder->at > encoder->start ? encoder->at : encoder->start;
    if (object->address > at) {
        lg_bytes_varint(&encoder->stream, 0);
        lg_bytes_varint(&encoder->stream, (object->address - at) / 8);
    }
    encoder->object = object->address;
    encoder->code = code;
    encoder->count = 0;
    encoder->before = 0;
    encoder->at = object->address + stride_of(object->size);
    lg_bytes_varint(&encoder->stream, (uint64_t)code + 1);
    if (shape->type->component_size) {
        uint32_t count;
        memcpy(&count, seen->bytes + 8, sizeof(count));
        encoder->count = count;
        lg_bytes_varint(&encoder->stream, count);
    }
    if (shape->desc)
        add_references(encoder, walker, shape->desc, seen);
    flush_nulls(encoder);
}

void lg_page_encoder_end(struct lg_page_encoder *encoder, uint64_t end)
{
    if (end <= encoder->start)
        return;
    turn_to(encoder, end - 1);
    close_page(encoder, end);
}

void lg_page_encoder_deinit(struct lg_page_encoder *encoder)
{
    lg_bytes_deinit(&encoder->stream);
    lg_vec_free(&encoder->pages);
}

// ---- decoding ----

struct decoder {
    const struct lg_shapes *shapes;
    struct lg_reader in;
    uint64_t start, end;
    uint8_t *bytes;
};

// The part of a value that lies in the page.
static void put(struct decoder *d, uint64_t address, const void *value, size_t len)
{
    const uint8_t *from = value;
    for (size_t i = 0; i < len; i++) {
        if (address + i >= d->start && address + i < d->end)
            d->bytes[address + i - d->start] = from[i];
    }
}

static inline void put_word(struct decoder *d, uint64_t address, uint64_t value)
{
    if (address >= d->start && d->end - address >= 8)
        memcpy(d->bytes + (address - d->start), &value, sizeof(value));
    else
        put(d, address, &value, sizeof(value));
}

static inline uint64_t next_varint(struct lg_reader *r)
{
    if (r->pos < r->end && *r->pos < 0x80)
        return *r->pos++;
    return lg_read_varint(r);
}

struct state {
    uint64_t before, nulls;
};

static inline void get_reference(struct decoder *d, struct state *state, uint64_t slot)
{
    if (state->nulls > 0) {
        state->nulls--;
        return;
    }
    uint64_t code = next_varint(&d->in), value;
    if (code == CODE_NULL)
        return;
    if (code == CODE_NULLS) {
        state->nulls = next_varint(&d->in) + 1;
        return;
    }
    if (code == CODE_WORD) {
        value = lg_read_u64(&d->in);
    } else {
        code -= CODE_DELTA;
        uint64_t delta = code >> 1 ^ -(code & 1);
        value = (state->before ? state->before : slot) + (delta << 3);
    }
    state->before = value;
    put_word(d, slot, value);
}

static void get_references(struct decoder *d, const struct gc_desc *desc, uint64_t object, uint64_t size)
{
    struct state state = { 0 };
    if (desc->slot_count && object >= d->start && object + size <= d->end) {
        for (uint32_t i = 0; i < desc->slot_count; i++)
            get_reference(d, &state, object + desc->slots[i]);
    } else {
        uint64_t low = object < d->start ? d->start - object : 0, from, to;
        struct slots slots = slots_in(desc, size, low, d->end - object);
        while (next_slots(&slots, &from, &to)) {
            for (; to - from >= 8 && !d->in.failed; from += 8)
                get_reference(d, &state, object + from);
        }
    }
    d->in.failed |= state.nulls > 0;
}

// Puts an object's head, as far as it lies in the page, and its references. Returns where the next
// begins; 0 if it makes no sense.
static uint64_t get_object(struct decoder *d, uint64_t address, uint64_t code, uint64_t count)
{
    if (code >= d->shapes->count || count > UINT32_MAX)
        return 0;
    const struct lg_shape *shape = &d->shapes->by_code[code];
    uint32_t length = (uint32_t)count;
    uint64_t size = lg_object_size(shape->type->base_size, shape->type->component_size, length);
    if (address + size < address)
        return 0;
    put_word(d, address, shape->type->mt);
    if (shape->type->component_size)
        put(d, address + 8, &length, sizeof(length));
    if (shape->desc)
        get_references(d, shape->desc, address, size);
    return d->in.failed ? 0 : address + stride_of(size);
}

static bool decode_shapes(struct decoder *d, const struct lg_page *page)
{
    uint64_t at = d->start;
    if (page->lead) {
        if (page->lead >= d->start || page->lead % 8 != 0)
            return false;
        at = get_object(d, page->lead, page->lead_code, page->lead_count);
        if (at <= d->start)
            return false;
    }
    while (lg_reader_left(&d->in) > 0) {
        uint64_t code = next_varint(&d->in);
        if (code == 0) {
            uint64_t gap = next_varint(&d->in);
            if (d->in.failed || gap == 0 || at >= d->end || gap > (d->end - at - 1) / 8)
                return false;
            at += gap * 8;
            code = next_varint(&d->in);
        }
        if (code == 0 || code - 1 >= d->shapes->count || at >= d->end)
            return false;
        bool has_count = d->shapes->by_code[code - 1].type->component_size != 0;
        at = get_object(d, at, code - 1, has_count ? next_varint(&d->in) : 0);
        if (at == 0)
            return false;
    }
    return !d->in.failed;
}

bool lg_page_decode(const struct lg_shapes *shapes, const struct lg_page *page, const uint8_t *stream,
                    uint64_t start, uint64_t end, uint8_t *bytes)
{
    size_t len = (size_t)(end - start);
    if ((uint32_t)lg_checksum(stream, page->length) != page->checksum)
        return false;
    if (page->kind == LG_PAGE_CONTENTS && page->length == len) {
        memcpy(bytes, stream, len);
        return true;
    }
    struct decoder decoder = { shapes, lg_reader(stream, page->length), start, end, bytes };
    memset(bytes, 0, len);
    return page->kind == LG_PAGE_SHAPES && decode_shapes(&decoder, page);
}
