#include "support/fake.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "util/arena.h"

enum { PAGE = 4096 };

struct page {
    uint64_t start;
    uint8_t bytes[PAGE];
    uint8_t there[PAGE / 8]; // One bit for each byte.
};

struct fake {
    struct lg_target target;
    LG_VEC(struct page *) pages; // By address.
    struct lg_arena paths;
};

const uint64_t fake_hostile[] = {
    0,
    1,
    7,
    0xffff,
    0x7fffffff,
    0xffffffff,
    0x1000000000,
    0x7ffffffff000,
    INT64_MAX,
    UINT64_C(1) << 63,
    UINT64_MAX - 7,
    UINT64_MAX,
};
const size_t fake_hostile_count = sizeof(fake_hostile) / sizeof(*fake_hostile);

static void *must(void *p)
{
    if (!p) {
        fprintf(stderr, "fake: out of memory\n");
        abort();
    }
    return p;
}

// The index of the first page at or above `start`.
static size_t page_index(const struct fake *fake, uint64_t start)
{
    size_t low = 0, high = fake->pages.len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (fake->pages.at[middle]->start < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct page *find_page(const struct fake *fake, uint64_t address)
{
    uint64_t start = address - address % PAGE;
    size_t i = page_index(fake, start);
    return i < fake->pages.len && fake->pages.at[i]->start == start ? fake->pages.at[i] : NULL;
}

// How many bytes from `from` on are there, up to `most`. Whole bytes of the bitmap at a time: targets
// are read by the page, and fuzzers read a lot of them.
static size_t bytes_there(const struct page *page, size_t from, size_t most)
{
    size_t n = 0;
    while (n < most) {
        size_t at = from + n;
        if (at % 8 == 0 && most - n >= 8 && page->there[at / 8] == 0xff)
            n += 8;
        else if (page->there[at / 8] >> (at % 8) & 1)
            n++;
        else
            break;
    }
    return n;
}

static size_t read_bytes(const struct fake *fake, uint64_t address, void *buf, size_t len)
{
    size_t done = 0;
    while (done < len && address + done >= address) {
        uint64_t at = address + done;
        const struct page *page = find_page(fake, at);
        size_t left = len - done, room = PAGE - at % PAGE, want = left < room ? left : room;
        size_t n = page ? bytes_there(page, at % PAGE, want) : 0;
        if (n > 0)
            memcpy((uint8_t *)buf + done, page->bytes + at % PAGE, n);
        done += n;
        if (n < want)
            break;
    }
    return done;
}

static size_t fake_read(struct lg_target *target, uint64_t address, void *buf, size_t len)
{
    return read_bytes((const struct fake *)target, address, buf, len);
}

static void fake_close(struct lg_target *target)
{
    struct fake *fake = (struct fake *)target;
    for (size_t i = 0; i < fake->pages.len; i++)
        free(fake->pages.at[i]);
    lg_vec_free(&fake->pages);
    lg_arena_free(&fake->paths);
    free(fake);
}

static const struct lg_target_ops fake_ops = {
    .read = fake_read,
    .close = fake_close,
};

struct lg_target *fake_new(void)
{
    struct fake *fake = must(calloc(1, sizeof(*fake)));
    fake->target.ops = &fake_ops;
    fake->target.kind = LG_TARGET_FAKE;
    fake->target.pause_ms = -1;
    return &fake->target;
}

void fake_map(struct lg_target *target, uint64_t start, uint64_t end, unsigned access, const char *path,
              uint64_t offset)
{
    struct fake *fake = (struct fake *)target;
    assert(start < end && start % PAGE == 0 && end % PAGE == 0 && offset % PAGE == 0);
    char *copy = lg_arena_copy(&fake->paths, path ? path : "", path ? strlen(path) : 0);
    struct lg_range range = { start, end, end - start, offset, access, must(copy) };
    must(lg_vec_push(&target->ranges, range) ? target : NULL);

    size_t i = target->ranges.len - 1;
    for (; i > 0 && target->ranges.at[i - 1].start > start; i--)
        target->ranges.at[i] = target->ranges.at[i - 1];
    target->ranges.at[i] = range;
    assert(i == 0 || target->ranges.at[i - 1].end <= start);
    assert(i + 1 == target->ranges.len || end <= target->ranges.at[i + 1].start);
}

static struct page *make_page(struct fake *fake, uint64_t address)
{
    struct page *page = find_page(fake, address);
    if (page)
        return page;
    page = must(calloc(1, sizeof(*page)));
    page->start = address - address % PAGE;
    size_t i = page_index(fake, page->start);
    must(lg_vec_push(&fake->pages, page) ? page : NULL);
    memmove(&fake->pages.at[i + 1], &fake->pages.at[i],
            (fake->pages.len - 1 - i) * sizeof(*fake->pages.at));
    fake->pages.at[i] = page;
    if (!lg_target_find(&fake->target, page->start))
        fake_map(&fake->target, page->start, page->start + PAGE, LG_READ | LG_WRITE, NULL, 0);
    return page;
}

static void mark_there(struct page *page, size_t from, size_t len)
{
    for (size_t at = from; at < from + len;) {
        if (at % 8 == 0 && from + len - at >= 8) {
            page->there[at / 8] = 0xff;
            at += 8;
        } else {
            page->there[at / 8] |= (uint8_t)(1 << at % 8);
            at++;
        }
    }
}

static void write_bytes(struct lg_target *target, uint64_t address, const uint8_t *bytes, size_t len)
{
    struct fake *fake = (struct fake *)target;
    assert(len <= UINT64_MAX - address);
    for (size_t done = 0; done < len;) {
        size_t from = (address + done) % PAGE, left = len - done;
        size_t n = left < PAGE - from ? left : PAGE - from;
        struct page *page = make_page(fake, address + done);
        if (bytes)
            memcpy(page->bytes + from, bytes + done, n);
        else
            memset(page->bytes + from, 0, n);
        mark_there(page, from, n);
        done += n;
    }
}

void fake_bytes(struct lg_target *target, uint64_t address, const void *bytes, size_t len)
{
    write_bytes(target, address, bytes, len);
}

void fake_zeros(struct lg_target *target, uint64_t address, size_t len)
{
    write_bytes(target, address, NULL, len);
}

void fake_string(struct lg_target *target, uint64_t address, const char *s)
{
    fake_bytes(target, address, s, strlen(s) + 1);
}

void fake_u64(struct lg_target *target, uint64_t address, uint64_t value)
{
    fake_bytes(target, address, &value, sizeof(value));
}

void fake_u32(struct lg_target *target, uint64_t address, uint32_t value)
{
    fake_bytes(target, address, &value, sizeof(value));
}

void fake_u16(struct lg_target *target, uint64_t address, uint16_t value)
{
    fake_bytes(target, address, &value, sizeof(value));
}

void fake_u8(struct lg_target *target, uint64_t address, uint8_t value)
{
    fake_bytes(target, address, &value, sizeof(value));
}

void fake_forget(struct lg_target *target, uint64_t address, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct page *page = find_page((struct fake *)target, address + i);
        if (page)
            page->there[(address + i) % PAGE / 8] &= (uint8_t) ~(1 << (address + i) % 8);
    }
}

void fake_thread(struct lg_target *target, uint32_t tid, uint64_t rip, uint64_t rsp)
{
    struct lg_thread thread = { .tid = tid, .ns_tid = tid, .has_registers = rsp != 0 };
    thread.registers[LG_REG_RIP] = rip;
    thread.registers[LG_REG_RSP] = rsp;
    must(lg_vec_push(&target->threads, thread) ? target : NULL);
}

static bool word_is_there(const struct page *page, unsigned i)
{
    return page->there[i] == 0xff;
}

bool fake_word(struct lg_target *target, size_t i, uint64_t *address_ret)
{
    const struct fake *fake = (const struct fake *)target;
    for (size_t p = 0; p < fake->pages.len; p++) {
        const struct page *page = fake->pages.at[p];
        for (unsigned word = 0; word < PAGE / 8; word++) {
            if (word_is_there(page, word) && i-- == 0) {
                *address_ret = page->start + word * 8;
                return true;
            }
        }
    }
    return false;
}

// ---- views ----

struct view {
    struct lg_target target;
    const struct fake *of;
    fake_reader *told;
    void *data;
};

static size_t view_read(struct lg_target *target, uint64_t address, void *buf, size_t len)
{
    const struct view *view = (const struct view *)target;
    if (view->told)
        view->told(view->data, address, len);
    return read_bytes(view->of, address, buf, len);
}

static void view_close(struct lg_target *target)
{
    free(target);
}

static const struct lg_target_ops view_ops = {
    .read = view_read,
    .close = view_close,
};

struct lg_target *fake_view(struct lg_target *fake, fake_reader *told, void *data)
{
    struct view *view = must(calloc(1, sizeof(*view)));
    view->of = (const struct fake *)fake;
    view->told = told;
    view->data = data;
    view->target.ops = &view_ops;
    view->target.kind = fake->kind;
    view->target.pid = fake->pid;
    view->target.pause_ms = -1;
    for (size_t i = 0; i < fake->ranges.len; i++)
        must(lg_vec_push(&view->target.ranges, fake->ranges.at[i]) ? view : NULL);
    for (size_t i = 0; i < fake->threads.len; i++)
        must(lg_vec_push(&view->target.threads, fake->threads.at[i]) ? view : NULL);
    return &view->target;
}
