// Stacks of threads, and what lies at their upper ends with glibc:
//
//     stackblock                                                  stackblock + size
//     | guard |                stack ... rsp      | TLS of modules | struct pthread |
//                                                                  ^ fs base
//
// `struct pthread` knows its own stack, but where in it differs between versions: it is looked for, as
// the two words that make sense (glibc nptl/descr.h: stackblock, stackblock_size, 2.31 to 2.41).
#include <inttypes.h>
#include <string.h>

#include "picture/picture_priv.h"
#include "target/image.h"

enum {
    REG_FS_BASE = 21,
    PTHREAD_SIZE = 0x900, // 2304 bytes, give or take some: it ends where its page ends.
    TLS_MAX = 1 << 20,
    STACK_MAX_BITS = 36,
};

struct block {
    uint64_t start, end;
};

static bool makes_sense(uint64_t start, uint64_t size, uint64_t fs, uint64_t sp)
{
    return start % 4096 == 0 && size % 4096 == 0 && size > 0 && size >> STACK_MAX_BITS == 0
           && start <= fs && fs - start < size && start <= sp && sp - start < size;
}

// False: this thread's stack is not one that glibc made, or not known by it.
static bool find_block(const struct lg_making *making, uint64_t fs, uint64_t sp, struct block *ret)
{
    uint64_t words[PTHREAD_SIZE / 8], self;
    if (!lg_making_read(making, fs, words, sizeof(words)))
        return false;
    self = words[2]; // tcbhead_t.self
    for (size_t i = 3; self == fs && i + 1 < sizeof(words) / sizeof(*words); i++) {
        if (makes_sense(words[i], words[i + 1], fs, sp)) {
            *ret = (struct block){ words[i], words[i] + words[i + 1] };
            return true;
        }
    }
    return false;
}

static bool add_tls(const struct lg_image *image, void *data)
{
    uint64_t *size = data;
    Elf64_Phdr header;
    if (lg_image_header(image, PT_TLS, &header) && header.p_memsz < TLS_MAX && header.p_align <= 4096)
        *size += header.p_memsz + header.p_align;
    return *size > TLS_MAX;
}

static const struct lg_managed_thread *find_managed(struct lg_making *making, uint32_t os_id)
{
    const struct lg_managed_thread *threads;
    size_t count;
    struct lg_error *err =
        making->clr && making->detail ? lg_clr_threads(making->clr, &threads, &count) : NULL;
    bool usable = making->clr && making->detail && !err;
    lg_error_free(err);
    for (size_t i = 0; usable && i < count; i++) {
        if (threads[i].os_id == os_id && os_id != 0)
            return &threads[i];
    }
    return NULL;
}

static const char *describe(struct lg_making *making, const struct lg_thread *thread)
{
    const struct lg_managed_thread *managed = find_managed(making, thread->ns_tid);
    const char *name = thread->name[0] && !making->nameless ? thread->name : "without a name";
    return managed ? lg_making_format(making, "%u %.15s, managed %u", thread->tid, name, managed->id)
                   : lg_making_format(making, "%u %.15s", thread->tid, name);
}

static void claim_stack(struct lg_making *making, const struct lg_thread *thread, uint64_t tls)
{
    uint64_t fs = thread->registers[REG_FS_BASE], sp = thread->registers[LG_REG_RSP];
    const char *name = describe(making, thread);
    struct lg_page_owner stack = { LG_STACK, "thread stack",
                                   lg_making_format(making, "stack of %s", name), .thread = name };
    struct lg_page_owner tcb = { LG_TEB, "thread control block",
                                 lg_making_format(making, "TCB and TLS of %s", name), .thread = name };
    struct block block;
    const struct lg_mapping *at = lg_mapping_find(making->picture, sp);
    uint64_t tls_start = (fs > tls ? fs - tls : 0) / 4096 * 4096;
    if (fs && find_block(making, fs, sp, &block)) {
        uint64_t split = tls_start > block.start ? tls_start : block.start;
        lg_making_claim(making, split, block.end, lg_owner_new(making, &tcb));
        lg_making_claim(making, block.start, split, lg_owner_new(making, &stack));
        return;
    }
    if (at && lg_mapping_is_anonymous(at))
        lg_making_claim(making, at->start, at->end, lg_owner_new(making, &stack));
    const struct lg_mapping *own = fs ? lg_mapping_find(making->picture, fs) : NULL;
    if (own && lg_mapping_is_anonymous(own) && own != at) {
        uint64_t start = tls_start > own->start ? tls_start : own->start;
        uint64_t end = (fs + PTHREAD_SIZE + 4095) / 4096 * 4096;
        lg_making_claim(making, start, end < own->end ? end : own->end, lg_owner_new(making, &tcb));
    }
}

void lg_claim_stacks(struct lg_making *making)
{
    uint64_t tls = 0;
    lg_making_images(making, add_tls, &tls);
    for (size_t i = 0; i < making->target->threads.len && !making->out_of_memory; i++) {
        if (making->target->threads.at[i].has_registers)
            claim_stack(making, &making->target->threads.at[i], tls);
    }
    lg_making_settle(making);
}
