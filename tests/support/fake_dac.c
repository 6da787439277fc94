// A library that looks like a DAC, and behaves as the number of the thread that it is asked about says.
//
// A reference of thread 1 lies where its stack is, so that the copy of the stack can be seen; the frame
// of thread `FAKE_DAC_TRIES` tells what it could do that it should not.
#include "support/fake_dac.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dac/com.h"
#include "dac/data_target.h"
#include "support/fake_dac_facts.h"

#define F(function) (void *)(uintptr_t)(function)

// What both builds of the runtime have inside.
extern const char fake_dac_version[];
const char fake_dac_version[] = FAKE_DAC_VERSION;

struct fake {
    struct lg_com com; // First: the interfaces are all this.
    struct lg_com sos, task, walk, refs;
    struct lg_com *target;
    uint32_t thread, step;
};
extern struct fake fake;
struct fake fake;

static uint32_t nothing(struct lg_com *self)
{
    return 1;
}

// ---- what should not be possible ----

static uint64_t deeds(void)
{
    uint64_t done = 0;
    done |= open("/etc/passwd", O_RDONLY) >= 0 ? 1 : 0;
    done |= open("/tmp/fake_dac", O_RDWR | O_CREAT, 0600) >= 0 ? 2 : 0;
    done |= socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 4 : 0;
    done |= kill(getppid(), 0) == 0 ? 8 : 0;
    done |= ptrace(PTRACE_SEIZE, getppid(), 0, 0) == 0 ? 16 : 0;
    done |= execl("/bin/true", "true", (char *)NULL) == 0 ? 32 : 0;
    void *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    done |= code != MAP_FAILED ? 64 : 0;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    done |= child > 0 ? 128 : 0;
    return done;
}

__attribute__((__noreturn__)) static void hang(void)
{
    for (volatile unsigned i = 0;; i++)
        ;
}

__attribute__((__noreturn__)) static void eat(void)
{
    for (;;) {
        char *piece = malloc(1 << 20);
        memset(piece, 1, 1 << 20);
    }
}

static uint64_t read_word(uint64_t address)
{
    typedef int32_t read_function(struct lg_com *, uint64_t, void *, uint32_t, uint32_t *);
    uint64_t value = 0;
    uint32_t done;
    ((read_function *)(uintptr_t)fake.target->slots[6])(fake.target, address, &value, sizeof(value),
                                                        &done);
    return value;
}

// Another page each time, so that linger has to be asked for it.
__attribute__((__noreturn__)) static void read_all(void)
{
    for (uint64_t address = 1 << 20;; address += 4096)
        read_word(address);
}

static void misbehave(uint64_t how)
{
    if (how == FAKE_DAC_CRASHES)
        __builtin_trap();
    if (how == FAKE_DAC_HANGS)
        hang();
    if (how == FAKE_DAC_EATS)
        eat();
    if (how == FAKE_DAC_EXITS)
        _exit(3);
    if (how == FAKE_DAC_READS)
        read_all();
    if (how == FAKE_DAC_HANGS_UP) {
        for (int i = 0; i < 1024; i++)
            close(i);
        hang();
    }
}

// ---- a walk ----

static int32_t walk_context(struct lg_com *self, uint32_t flags, uint32_t size, uint32_t *used,
                            uint8_t *buf)
{
    uint64_t ip = 0x1000 + fake.step, sp = FAKE_DAC_STACK + 0x100 + 16 * fake.step;
    if (fake.thread == FAKE_DAC_TRIES)
        ip = deeds();
    if (fake.thread == FAKE_DAC_OFF_STACK)
        sp = 0x10;
    if (fake.thread == FAKE_DAC_ENDLESS)
        sp = FAKE_DAC_STACK + 0x100;
    memcpy(buf + LG_CONTEXT_RIP, &ip, sizeof(ip));
    memcpy(buf + LG_CONTEXT_RSP, &sp, sizeof(sp));
    return LG_S_OK;
}

static int32_t walk_next(struct lg_com *self)
{
    fake.step++;
    return fake.thread == FAKE_DAC_ENDLESS || fake.step < 3 ? LG_S_OK : LG_S_FALSE;
}

static int32_t walk_request(struct lg_com *self, uint32_t code, uint32_t in_size, uint8_t *in,
                            uint32_t out_size, uint8_t *out)
{
    memset(out, 0, out_size);
    return LG_S_OK;
}

static int32_t create_walk(struct lg_com *self, uint32_t flags, struct lg_com **ret)
{
    fake.step = 0;
    *ret = &fake.walk;
    return LG_S_OK;
}

static int32_t task_by_thread(struct lg_com *self, uint32_t thread, struct lg_com **ret)
{
    fake.thread = thread;
    misbehave(thread);
    *ret = &fake.task;
    return LG_S_OK;
}

// ---- names and references ----

static int32_t method_from_ip(struct lg_com *self, uint64_t ip, uint64_t *ret)
{
    *ret = 0x5000 + (ip & 0xf);
    return LG_S_OK;
}

static int32_t method_name(struct lg_com *self, uint64_t method, uint32_t count, uint16_t *name,
                           uint32_t *needed)
{
    const uint16_t text[] = {
        'M', 0xe9, 0xd83d, 0xde00, 0xd83d, 0
    }; // The last half of a pair is missing.
    memcpy(name, text, sizeof(text));
    *needed = 6;
    return LG_S_OK;
}

static int32_t refs_next(struct lg_com *self, uint32_t count, struct lg_dacp_stack_ref *refs,
                         uint32_t *fetched)
{
    uint64_t slot = FAKE_DAC_STACK + 0x108, value = 0;
    // At the slot's own address: in the copy of the stack.
    memcpy(&value, (const void *)(uintptr_t)slot, sizeof(value));
    *refs = (struct lg_dacp_stack_ref){ .has_register = 1, .reg = 5, .offset = -0x28, .address = slot };
    refs->object = value;
    refs->flags = LG_REF_INTERIOR;
    refs->source = 0x1000;
    refs->sp = FAKE_DAC_STACK + 0x100;
    *fetched = fake.step++ == 0 || fake.thread == FAKE_DAC_ENDLESS_REFS ? 1 : 0;
    if (fake.thread == FAKE_DAC_LIES)
        *fetched = 1u << 31;
    return LG_S_FALSE;
}

static int32_t stack_references(struct lg_com *self, uint32_t thread, struct lg_com **ret)
{
    fake.step = 0;
    *ret = &fake.refs;
    return LG_S_OK;
}

// ---- all other questions ----

static int32_t any(struct lg_com *self, uint64_t a)
{
    uint64_t how = read_word(FAKE_DAC_MODE);
    misbehave(how);
    return how == FAKE_DAC_REFUSES ? LG_E_FAIL : LG_S_OK;
}

// MODULEMAPTRAVERSE, with a list that goes on as long as it is let.
static int32_t traverse(struct lg_com *self, int32_t which, uint64_t module,
                        void (*each)(uint32_t index, uint64_t mt, void *token), void *token)
{
    uint64_t how = read_word(FAKE_DAC_MODE);
    misbehave(how);
    for (uint32_t i = 0; how == FAKE_DAC_CALLS_BACK; i++)
        each(i, 0x1000 + 8 * (uint64_t)i, token);
    return how == FAKE_DAC_REFUSES ? LG_E_FAIL : LG_S_OK;
}

// ---- the interfaces ----

static int32_t query(struct lg_com *self, const struct lg_guid *iid, void **ret)
{
    const uint32_t sos = 0x436f00f2; // What its identifier begins with.
    bool tells_facts = fake_tells_facts(read_word(FAKE_DAC_MODE));
    *ret = tells_facts && iid->a != sos ? fake_facts_query(iid) : &fake.sos;
    return *ret ? LG_S_OK : LG_E_NOINTERFACE;
}

static void *const process_slots[] = { F(query), F(nothing), F(nothing), 0, 0, 0, 0, F(task_by_thread) };
static void *const task_slots[LG_TASK_STACK_WALK + 1] = {
    F(query), F(nothing), F(nothing), [LG_TASK_STACK_WALK] = F(create_walk)
};
static void *const walk_slots[LG_WALK_REQUEST + 1] = { F(query),
                                                       F(nothing),
                                                       F(nothing),
                                                       [LG_WALK_CONTEXT] = F(walk_context),
                                                       [LG_WALK_NEXT] = F(walk_next),
                                                       [LG_WALK_REQUEST] = F(walk_request) };
static void *const refs_slots[LG_REFS_NEXT + 1] = { F(query), F(nothing),
                                                    F(nothing), [LG_REFS_NEXT] = F(refs_next) };
// Of ISOSDacInterface and the later ones, which are all this.
enum { SOS_SLOTS = 160 };
static void *sos_slots[SOS_SLOTS];

static void fill_sos(void)
{
    for (int i = 0; i < SOS_SLOTS; i++)
        sos_slots[i] = F(any);
    sos_slots[0] = F(query);
    sos_slots[1] = sos_slots[2] = F(nothing);
    sos_slots[LG_SOS_METHOD_FROM_IP] = F(method_from_ip);
    sos_slots[LG_SOS_METHOD_NAME] = F(method_name);
    sos_slots[LG_SOS_STACK_REFERENCES] = F(stack_references);
    sos_slots[LG_SOS_MODULE_MAP] = F(traverse);
    fake_facts_fill(sos_slots, read_word(FAKE_DAC_MODE));
}

int32_t CLRDataCreateInstance(const struct lg_guid *iid, struct lg_com *target, void **ret);
__attribute__((__visibility__("default"))) int32_t
CLRDataCreateInstance(const struct lg_guid *iid, struct lg_com *target, void **ret)
{
    fake.target = target;
    fill_sos();
    fake.com.slots = process_slots;
    fake.sos.slots = sos_slots;
    fake.task.slots = task_slots;
    fake.walk.slots = walk_slots;
    fake.refs.slots = refs_slots;
    *ret = &fake.com;
    return LG_S_OK;
}
