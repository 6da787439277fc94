#include "dac/data_target.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dac/wire.h"

// ---- memory ----

// The DAC reads a word here and a struct there, all of few pages: those are kept.
enum { PAGE = 4096, PAGES = 1024 };
struct page {
    uint64_t address; // 0: empty. The page at 0 is nobody's.
    uint32_t len;
    uint8_t bytes[PAGE];
};

struct interface {
    struct lg_com com; // What the DAC knows of it.
    struct lg_data_target *host;
};
struct lg_data_target {
    struct interface target, locator, metadata;
    int socket;
    uint64_t runtime_base;
    struct page pages[PAGES];
};

static struct lg_data_target *host_of(struct lg_com *self)
{
    return ((struct interface *)self)->host;
}

// The bytes that come back go to `buf`; how many.
static size_t ask(struct lg_data_target *host, enum lg_dac_message what, enum lg_dac_message reply,
                  const void *question, size_t size, void *buf, size_t len)
{
    struct lg_dac_piece piece = { question, size };
    struct lg_dac_head head;
    if (!lg_dac_send(host->socket, what, &piece, 1) || !lg_dac_receive(host->socket, &head, sizeof(head))
        || head.kind != reply || head.len > len || !lg_dac_receive(host->socket, buf, head.len))
        _exit(0); // linger is gone.
    return head.len;
}

static size_t fetch(struct lg_data_target *host, uint64_t address, void *buf, size_t len)
{
    struct lg_dac_range range = { address, len };
    return ask(host, LG_DAC_READ, LG_DAC_MEMORY, &range, sizeof(range), buf, len);
}

static const struct page *page_at(struct lg_data_target *host, uint64_t address)
{
    struct page *page = &host->pages[(address / PAGE) % PAGES];
    if (page->address != address) {
        page->len = (uint32_t)fetch(host, address, page->bytes, PAGE);
        page->address =
            page->len == PAGE ? address : 0; // What is not there, linger is to be asked again.
    }
    return page;
}

size_t lg_data_target_read(struct lg_data_target *host, uint64_t address, void *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        uint64_t at = address + done, skip = at % PAGE;
        size_t left = len - done, n;
        if (at < address)
            break;
        if (left >= 4 * PAGE) {
            size_t want = left < LG_DAC_READ_MAX ? left : LG_DAC_READ_MAX;
            n = fetch(host, at, (uint8_t *)buf + done, want);
            done += n;
            if (n < want)
                break;
            continue;
        }
        const struct page *page = at >= PAGE ? page_at(host, at - skip) : NULL;
        if (!page || page->len <= skip)
            break;
        n = page->len - skip < left ? page->len - (size_t)skip : left;
        memcpy((uint8_t *)buf + done, page->bytes + skip, n);
        done += n;
    }
    return done;
}

// ---- callbacks ----

static int32_t query(struct lg_com *self, const struct lg_guid *iid, void **ret);

static uint32_t add_ref(struct lg_com *self)
{
    return 2;
}
static uint32_t release(struct lg_com *self)
{
    return 1;
}

static int32_t machine_type(struct lg_com *self, uint32_t *ret)
{
    *ret = 0x8664; // IMAGE_FILE_MACHINE_AMD64
    return LG_S_OK;
}

static int32_t pointer_size(struct lg_com *self, uint32_t *ret)
{
    *ret = 8;
    return LG_S_OK;
}

// Asked for libcoreclr.so, by runtimes before 8.
static int32_t image_base(struct lg_com *self, const uint16_t *path, uint64_t *ret)
{
    *ret = host_of(self)->runtime_base;
    return LG_S_OK;
}

static int32_t read_virtual(struct lg_com *self, uint64_t address, uint8_t *buf, uint32_t len,
                            uint32_t *done)
{
    size_t n = lg_data_target_read(host_of(self), address, buf, len);
    if (done)
        *done = (uint32_t)n;
    return n > 0 ? LG_S_OK : LG_E_FAIL;
}

// The DAC "writes" for a memory barrier; nothing is ever written.
static int32_t write_virtual(struct lg_com *self, uint64_t address, uint8_t *buf, uint32_t len,
                             uint32_t *done)
{
    if (done)
        *done = len;
    return LG_S_OK;
}

static int32_t not_implemented(struct lg_com *self)
{
    return LG_E_NOTIMPL;
}

// The stack walker ignores a failure and uses the buffer all the same: it is never left as it was
// (reference clr.md A.6).
static int32_t thread_context(struct lg_com *self, uint32_t tid, uint32_t flags, uint32_t size,
                              uint8_t *context)
{
    struct lg_dac_registers registers;
    const uint32_t full = LG_CONTEXT_FULL;
    memset(context, 0, size);
    if (size < 0x100
        || ask(host_of(self), LG_DAC_WANT_REGS, LG_DAC_REGISTERS, &tid, sizeof(tid), &registers,
               sizeof(registers))
               != sizeof(registers))
        return LG_E_FAIL;
    memcpy(context + 0x30, &full, 4);
    memcpy(context + 0x38, &registers.cs, 2);
    memcpy(context + 0x44, &registers.eflags, 4);
    memcpy(context + 0x78, registers.general, sizeof(registers.general));
    return LG_S_OK;
}

static int32_t runtime_base(struct lg_com *self, uint64_t *ret)
{
    *ret = host_of(self)->runtime_base;
    return LG_S_OK;
}

// Images that the target's memory lacks are read from their files by linger (target/overlay.h): what the
// DAC still asks for is nowhere.
static int32_t metadata(struct lg_com *self, const uint16_t *path, uint32_t timestamp, uint32_t size,
                        const struct lg_guid *mvid, uint32_t rva, uint32_t flags, uint32_t buf_size,
                        uint8_t *buf, uint32_t *ret)
{
    return LG_E_FAIL;
}

#define F(function) (void *)(uintptr_t)(function)
static void *const target_slots[] = { F(query),           F(add_ref),         F(release),
                                      F(machine_type),    F(pointer_size),    F(image_base),
                                      F(read_virtual),    F(write_virtual),   F(not_implemented),
                                      F(not_implemented), F(not_implemented), F(thread_context),
                                      F(not_implemented), F(not_implemented) };
static void *const locator_slots[] = { F(query), F(add_ref), F(release), F(runtime_base) };
static void *const metadata_slots[] = { F(query), F(add_ref), F(release), F(metadata) };

static int32_t query(struct lg_com *self, const struct lg_guid *iid, void **ret)
{
    static const struct lg_guid unknown = { 0, 0, 0, { 0xc0, 0, 0, 0, 0, 0, 0, 0x46 } };
    static const struct lg_guid data_target = {
        0x3e11ccee, 0xd08b, 0x43e5, { 0xaf, 0x01, 0x32, 0x71, 0x7a, 0x64, 0xda, 0x03 }
    };
    static const struct lg_guid runtime_locator = {
        0xb760bf44, 0x9377, 0x4597, { 0x8b, 0xe7, 0x58, 0x08, 0x3b, 0xdc, 0x51, 0x46 }
    };
    static const struct lg_guid metadata_locator = {
        0xaa8fa804, 0xbc05, 0x4642, { 0xb2, 0xc5, 0xc3, 0x53, 0xed, 0x22, 0xfc, 0x63 }
    };
    struct lg_data_target *host = host_of(self);
    *ret = NULL;
    if (memcmp(iid, &unknown, sizeof(*iid)) == 0 || memcmp(iid, &data_target, sizeof(*iid)) == 0)
        *ret = &host->target;
    else if (memcmp(iid, &runtime_locator, sizeof(*iid)) == 0)
        *ret = &host->locator;
    else if (memcmp(iid, &metadata_locator, sizeof(*iid)) == 0)
        *ret = &host->metadata;
    return *ret ? LG_S_OK : LG_E_NOINTERFACE;
}

struct lg_data_target *lg_data_target_new(int socket, uint64_t runtime)
{
    struct lg_data_target *host = calloc(1, sizeof(*host));
    if (!host)
        return NULL;
    host->socket = socket;
    host->runtime_base = runtime;
    host->target = (struct interface){ { target_slots }, host };
    host->locator = (struct interface){ { locator_slots }, host };
    host->metadata = (struct interface){ { metadata_slots }, host };
    return host;
}

struct lg_com *lg_data_target_interface(struct lg_data_target *host)
{
    return &host->target.com;
}
