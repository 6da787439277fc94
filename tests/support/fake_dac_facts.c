// What the fake DAC tells about a small runtime, right or wrong (enum fake_dac_mode): one module with
// three types, two fields each, three threads, one heap, three segments.
#include "support/fake_dac_facts.h"

#include <stdbool.h>
#include <string.h>

#include "support/fake_dac.h"

#define F(function) (void *)(uintptr_t)(function)

static uint32_t mode;
static const uint32_t many = UINT32_MAX;

static int32_t said(void)
{
    return mode == FAKE_DAC_SILENT ? LG_E_FAIL : LG_S_OK;
}

// ---- types ----

static int32_t globals(struct lg_com *self, uint64_t *ret)
{
    const uint64_t types[5] = { 0x100, FAKE_DAC_STRING, 0x200, 0x300, FAKE_DAC_FREE };
    memcpy(ret, types, sizeof(types));
    return said();
}

static int32_t type(struct lg_com *self, uint64_t mt, struct lg_dacp_type *ret)
{
    bool is_known = mt == FAKE_DAC_MT || mt == FAKE_DAC_STRING || mt == FAKE_DAC_FREE;
    ret->is_free = mt == FAKE_DAC_FREE;
    ret->module = ret->is_free ? 0 : FAKE_DAC_MODULE;
    ret->parent = FAKE_DAC_MT - 0x100;
    ret->base_size = mt == FAKE_DAC_STRING ? 20 : 32;
    ret->component_size = mt == FAKE_DAC_STRING ? 2 : 0;
    ret->token = 0x02000003;
    ret->has_references = 1;
    return is_known ? said() : LG_E_INVALIDARG;
}

static int32_t type_fields(struct lg_com *self, uint64_t mt, struct lg_dacp_type_fields *ret)
{
    if (mt == FAKE_DAC_FREE || (mt & 0xff) != 0)
        __builtin_trap();
    bool is_base = mt == FAKE_DAC_MT - 0x100;
    ret->instance = mode == FAKE_DAC_HUGE ? UINT16_MAX : is_base ? 1 : 2;
    ret->statics = mode == FAKE_DAC_HUGE ? UINT16_MAX : 1;
    ret->first = FAKE_DAC_FIELDS;
    return said();
}

static int32_t field(struct lg_com *self, uint64_t address, struct lg_dacp_field *ret)
{
    uint64_t i = (address - FAKE_DAC_FIELDS) / 16;
    ret->type = 18;
    ret->token = 0x04000001 + (uint32_t)i;
    ret->offset = 8 * (uint32_t)i;
    ret->is_static = i > 0;
    ret->next = mode == FAKE_DAC_CIRCLE ? FAKE_DAC_FIELDS : address + 16;
    return mode == FAKE_DAC_SHORT && i > 0 ? LG_E_FAIL : LG_S_OK;
}

static int32_t type_name(struct lg_com *self, uint64_t mt, uint32_t count, uint16_t *name,
                         uint32_t *needed)
{
    const uint16_t text[] = { 'A', '.', 'B', 0 };
    const uint16_t unloaded[] = { '<', 'U', 'n', 'l', 'o', 'a', 'd', 'e',
                                  'd', ' ', 'T', 'y', 'p', 'e', '>', 0 };
    bool is_long = mode == FAKE_DAC_FOREVER || mode == FAKE_DAC_HUGE;
    for (uint32_t i = 0; is_long && i < count; i++)
        name[i] = 'x';
    if (!is_long && mt == FAKE_DAC_STRING)
        memcpy(name, unloaded, sizeof(unloaded));
    else if (!is_long)
        memcpy(name, text, sizeof(text));
    *needed = mode == FAKE_DAC_HUGE ? many : mode == FAKE_DAC_FOREVER ? count : 4;
    return said();
}

static int32_t object(struct lg_com *self, uint64_t address, struct lg_dacp_object *ret)
{
    ret->kind = 3;
    ret->element_handle = FAKE_DAC_MT;
    ret->element_type = 18;
    ret->rank = mode == FAKE_DAC_HUGE ? many : 2;
    return said();
}

static int32_t domain_module(struct lg_com *self, uint64_t module, struct lg_dacp_local_module *ret)
{
    ret->class_data = FAKE_DAC_MODE - 2; // So that of type 3 is the mode: its bit 0.
    ret->gc_statics = 0x1000;
    ret->non_gc_statics = 0x2000;
    return said();
}

// ---- threads ----

static int32_t thread_store(struct lg_com *self, struct lg_dacp_thread_store *ret)
{
    ret->all = mode == FAKE_DAC_HUGE ? many : 3;
    ret->first = FAKE_DAC_THREAD;
    return said();
}

static int32_t thread(struct lg_com *self, uint64_t address, struct lg_dacp_thread *ret)
{
    uint64_t i = (address - FAKE_DAC_THREAD) / 0x100;
    ret->id = 1 + (uint32_t)i;
    ret->next = i < 2 || mode == FAKE_DAC_FOREVER ? address + 0x100 : 0;
    if (mode == FAKE_DAC_CIRCLE)
        ret->next = i == 0 ? address + 0x100 : FAKE_DAC_THREAD;
    return mode == FAKE_DAC_SHORT && i == 1 ? LG_E_FAIL : LG_S_OK;
}

// ---- modules ----

static int32_t domain_store(struct lg_com *self, struct lg_dacp_domain_store *ret)
{
    ret->count = mode == FAKE_DAC_HUGE ? many : 1;
    return said();
}

static int32_t domains(struct lg_com *self, uint32_t count, uint64_t *ret, uint32_t *needed)
{
    ret[0] = FAKE_DAC_DOMAIN;
    *needed = count;
    return LG_S_OK;
}

static int32_t assemblies(struct lg_com *self, uint64_t domain, uint32_t count, uint64_t *ret,
                          uint32_t *needed)
{
    for (uint32_t i = 0; ret && i < count; i++)
        ret[i] = 0x500 + i;
    *needed = mode == FAKE_DAC_FOREVER ? many : 2;
    return said();
}

static int32_t assembly_modules(struct lg_com *self, uint64_t assembly, uint32_t count, uint64_t *ret,
                                uint32_t *needed)
{
    ret[0] = FAKE_DAC_MODULE; // Both assemblies': it is told once.
    *needed = mode == FAKE_DAC_SHORT ? many : 1;
    return LG_S_OK;
}

static int32_t module_data(struct lg_com *self, uint64_t address, struct lg_dacp_module *ret)
{
    ret->address = mode == FAKE_DAC_SHORT ? address + 8 : address;
    ret->pe_assembly = address;
    ret->assembly = 0x500;
    return said();
}

typedef void map_visitor(uint32_t index, uint64_t mt, void *token);
static int32_t module_map(struct lg_com *self, uint32_t kind, uint64_t module, map_visitor *visit,
                          void *token)
{
    visit(1, FAKE_DAC_MT, token);
    visit(many, FAKE_DAC_MT, token); // No row of a table.
    visit(2, FAKE_DAC_STRING, token);
    visit(3, 0, token);
    while (mode == FAKE_DAC_FOREVER)
        visit(4, FAKE_DAC_MT, token);
    return said();
}

// ---- the GC ----

static int32_t gc(struct lg_com *self, struct lg_dacp_gc *ret)
{
    *ret = (struct lg_dacp_gc){ .is_server = mode == FAKE_DAC_HUGE, .is_valid = 1, .heaps = 1 };
    ret->heaps = mode == FAKE_DAC_HUGE ? many : 1;
    return said();
}

static int32_t gc_heap(struct lg_com *self, struct lg_dacp_gc_heap *ret)
{
    ret->alloc_allocated = 0x7777;
    ret->generations[0].segment = FAKE_DAC_SEGMENT;
    return LG_S_OK;
}

static int32_t segment(struct lg_com *self, uint64_t address, struct lg_dacp_segment *ret)
{
    uint64_t i = (address - FAKE_DAC_SEGMENT) / 0x100;
    ret->mem = address * 16;
    ret->next = i < 2 || mode == FAKE_DAC_FOREVER ? address + 0x100 : 0;
    if (mode == FAKE_DAC_CIRCLE && i == 2)
        ret->next = FAKE_DAC_SEGMENT + 0x100; // The first one is not in the circle.
    return mode == FAKE_DAC_SHORT && i == 1 ? LG_E_FAIL : LG_S_OK;
}

// ---- loader heaps ----

typedef void heap_visitor(uint64_t block, uint64_t size, int32_t is_current);
static int32_t visit_heap(struct lg_com *self, uint64_t heap, uint32_t kind, heap_visitor *visit)
{
    visit(heap, mode == FAKE_DAC_HUGE ? UINT64_MAX : 0x1000, 0);
    visit(heap + 0x1000, 0x2000, 1);
    while (mode == FAKE_DAC_FOREVER)
        visit(heap, 1, 0);
    return said();
}

static int32_t domain_allocator(struct lg_com *self, uint64_t domain, uint64_t *ret)
{
    *ret = 0x600;
    return said();
}

static int32_t heap_names(struct lg_com *self, uint32_t count, const char **ret, uint32_t *needed)
{
    static const char endless[] = "a name that is longer than any that a heap of the runtime has";
    ret[0] = mode == FAKE_DAC_CIRCLE ? endless : "LowFrequencyHeap";
    ret[1] = "HighFrequencyHeap";
    *needed = 2;
    return LG_S_OK;
}

// The same heap twice, as of collectible assemblies, one that is not there, and one without a name.
static int32_t heaps(struct lg_com *self, uint64_t allocator, uint32_t count, uint64_t *ret,
                     int32_t *kinds, uint32_t *needed)
{
    ret[0] = ret[1] = FAKE_DAC_HEAP;
    ret[3] = FAKE_DAC_HEAP + 0x8000;
    *needed = mode == FAKE_DAC_SHORT ? many : 4;
    return said();
}

// ---- the interfaces ----

static uint32_t nothing(struct lg_com *self)
{
    return 1;
}

static void *const sos13_slots[] = { F(nothing),          F(nothing),    F(nothing), F(visit_heap),
                                     F(domain_allocator), F(heap_names), F(heaps) };
static struct lg_com sos13 = { sos13_slots };

void *fake_facts_query(const struct lg_guid *iid)
{
    const uint32_t begins = 0x3176a8ed;
    return iid->a == begins && mode != FAKE_DAC_OLD ? &sos13 : NULL;
}

bool fake_tells_facts(uint64_t number)
{
    return number >= FAKE_DAC_RIGHT && number <= FAKE_DAC_OLD;
}

void fake_facts_fill(void **slots, uint64_t number)
{
    void *const filled[] = {
        [LG_SOS_GLOBALS] = F(globals),
        [LG_SOS_TYPE] = F(type),
        [LG_SOS_TYPE_FIELDS] = F(type_fields),
        [LG_SOS_FIELD] = F(field),
        [LG_SOS_TYPE_NAME] = F(type_name),
        [LG_SOS_OBJECT] = F(object),
        [LG_SOS_DOMAIN_MODULE] = F(domain_module),
        [LG_SOS_THREAD_STORE] = F(thread_store),
        [LG_SOS_THREAD] = F(thread),
        [LG_SOS_DOMAIN_STORE] = F(domain_store),
        [LG_SOS_DOMAINS] = F(domains),
        [LG_SOS_ASSEMBLIES] = F(assemblies),
        [LG_SOS_ASSEMBLY_MODULES] = F(assembly_modules),
        [LG_SOS_MODULE] = F(nothing),
        [LG_SOS_MODULE_DATA] = F(module_data),
        [LG_SOS_MODULE_FILE] = F(type_name),
        [LG_SOS_MODULE_MAP] = F(module_map),
        [LG_SOS_GC] = F(gc),
        [LG_SOS_GC_HEAP_STATIC] = F(gc_heap),
        [LG_SOS_SEGMENT] = F(segment),
    };
    mode = (uint32_t)number;
    for (size_t i = 0; fake_tells_facts(number) && i < sizeof(filled) / sizeof(*filled); i++)
        slots[i] = filled[i] ? filled[i] : slots[i];
}
